//! The core under a seeded simulator: real store rules (the memory store), a broker that keeps the prefix rule and no more, several relays
//! on one table, and faults between any two commands and on every answer.
//!
//! What is checked is the theorem of `docs/design.md`: first deliveries of an aggregate's ordered events come in commit order, what
//! committed is delivered or dead, what rolled back never is, and no row is found only by the pass from the start.

mod broker;
mod database;
mod event;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "_mutants")]
mod mutants;
mod plan;
mod relays;
mod shrink;
mod trace;
mod verdict;
mod world;
mod writer;

use std::ops::Range;
use std::time::Duration;

use plan::{Fault, Plan};
use shrink::{failure, shrink, tell};
use world::{Outcome, World};

/// Runs some seeds; `EVENTFERRY_SIM_SEEDS` multiplies them, for long runs by hand.
fn run_all(seeds: Range<u64>, plan: impl Fn(u64) -> Plan) -> Outcome {
    let times: u64 = std::env::var("EVENTFERRY_SIM_SEEDS").map_or(1, |times| times.parse().expect("a number"));
    let mut total = Outcome::default();
    let from: u64 = std::env::var("EVENTFERRY_SIM_FROM").map_or(0, |from| from.parse().expect("a number"));
    for seed in from + seeds.start..from + seeds.start + (seeds.end - seeds.start) * times {
        let outcome = World::new(&plan(seed)).run();
        if !outcome.violations.is_empty() {
            let found = failure(&plan(seed)).expect("a seed decides everything");
            let first = tell(&found);
            let short = tell(&shrink(found));
            panic!("seed {seed}:\n{first}\n==== the shortest run that fails so:\n{short}");
        }
        total.committed += outcome.committed;
        total.duplicates += outcome.duplicates;
        total.deaths += outcome.deaths;
        total.letters += outcome.letters;
        total.late += outcome.late;
        total.ends += outcome.ends;
        total.most_ends = total.most_ends.max(outcome.most_ends);
        total.careful = total.careful.max(outcome.careful);
        total.blamed += outcome.blamed;
        total.steps += outcome.steps;
        total.ended = total.ended.max(outcome.ended);
    }
    total
}

/// What many runs came to, for whoever reads the output.
#[expect(clippy::print_stdout, reason = "a test's own figures")]
fn say(what: &str, total: &Outcome) {
    println!("{what}: {total:?}");
}

#[test]
fn a_quiet_world_delivers_everything_once() {
    let total = run_all(0..20, Plan::quiet);
    say("quiet", &total);
    assert_eq!((total.duplicates, total.deaths), (0, 0));
    assert!(total.late > 10, "late rows are the hard part: {total:?}");
}

#[test]
fn any_world_keeps_every_promise() {
    let total = run_all(0..1_200, Plan::any);
    say("any", &total);
    assert!(total.duplicates > 0 && total.deaths > 0 && total.letters > 0, "{total:?}");
}

#[test]
fn an_outage_with_restarts_counts_nothing_and_kills_nothing() {
    let plan = |seed| {
        let plan = Plan {
            poison: 0.0,
            rates: Vec::new(),
            ..Plan::any(seed)
        };
        let plan = plan
            .with(Fault::Unreachable, 0.2)
            .with(Fault::SessionBreaks, 0.05)
            .with(Fault::NotOpened, 0.3);
        let plan = plan
            .with(Fault::NotDescribed, 0.2)
            .with(Fault::ArrivesLate, 0.1)
            .with(Fault::TopicAway, 1.0);
        plan.with(Fault::Kill, 4.0).with(Fault::Ghost, 0.5)
    };
    let total = run_all(1_000..1_060, plan);
    say("outage", &total);
    assert_eq!(total.deaths, 0, "{total:?}");
}

#[test]
fn a_stalled_partition_or_topic_holds_up_nobody_else() {
    let plan = |seed| Plan {
        one_topic: true,
        scheduled: 0.0,
        patience: Some(Duration::from_millis(1_500)),
        ..Plan::quiet(seed).with(Fault::Stall, 1.0)
    };
    let total = run_all(2_000..2_040, plan);
    say("stalled", &total);
    assert_eq!(total.deaths, 0, "nobody's fault: {total:?}");
}

#[cfg(feature = "kafka")]
#[test]
fn on_kafka_every_promise_is_kept_too() {
    let total = run_all(0..500, Plan::kafka);
    say("kafka", &total);
    assert!(total.duplicates > 0 && total.deaths > 0, "{total:?}");
}

#[test]
fn an_event_that_ends_its_process_dies_and_takes_nobody_with_it() {
    let total = run_all(3_000..3_220, Plan::deadly);
    say("deadly", &total);
    assert!(total.ends > 100 && total.deaths > 0, "{total:?}");
    assert_eq!(total.blamed, 0, "no other event is counted: {total:?}");
}

#[test]
fn ordinary_kills_cost_no_careful_phase() {
    let plan = |seed| {
        let mut plan = Plan::deadly(seed);
        plan.deadly = 0.0;
        plan.with(Fault::Kill, 2.0)
    };
    let total = run_all(4_000..4_100, plan);
    say("kills", &total);
    assert_eq!((total.careful, total.blamed), (0, 0), "{total:?}");
}

#[test]
fn deadly_events_among_all_other_faults_hold_up_nothing_for_ever() {
    let plan = |seed| {
        let mut plan = Plan::any(seed);
        plan.deadly = 0.01;
        plan.deadly_most = 2;
        plan.lease = plan.lease.min(Duration::from_millis(1_500));
        plan
    };
    let total = run_all(5_000..5_150, plan);
    say("deadly and more", &total);
    assert!(total.ends > 100 && total.careful > 0, "{total:?}");
}

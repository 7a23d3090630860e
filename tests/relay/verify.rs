//! The whole line under faults, by fixed seeds: its own PostgreSQL or SQLite and Kafka, relays in processes of their own.
//!
//! Ten minutes of it with every fault: `cargo run -p eventferry-tests --all-features --bin verify -- --seconds 600`.

use std::path::PathBuf;
use std::time::Duration;

use eventferry::testing::verify::{Database, Fault};
use eventferry_tests::verify::{Outcome, Verification};

async fn verify(seed: u64, seconds: u64, database: Database, faults: &[&str]) -> Option<Outcome> {
    verify_with(&[], seed, seconds, database, faults).await
}

/// With relays that are started with more options.
async fn verify_with(options: &[&str], seed: u64, seconds: u64, database: Database, faults: &[&str]) -> Option<Outcome> {
    let faults: Vec<Fault> = faults.iter().flat_map(|prefix| Fault::named(prefix)).collect();
    let relay = PathBuf::from(env!("CARGO_BIN_EXE_relay-process"));
    let run = Verification::new(seed, Duration::from_secs(seconds), relay)
        .database(database)
        .relay_options(options)
        .faults(&faults);
    let outcome = run.run(|text| eprintln!("{text}")).await?;
    eprintln!("{outcome}");
    assert!(outcome.holds(), "seed {seed}:\n{outcome}");
    // A file has one writer at a time, and each of them lingers.
    let enough = if database == Database::File { 300 } else { 1_000 };
    assert!(outcome.report.committed > enough, "too little was tried");
    // Three at the beginning, and another one for each that was killed.
    let kills = planned(&outcome, Fault::KillRelay) as u64;
    assert!(outcome.starts >= 3 + kills, "{kills} kills, {} starts", outcome.starts);
    Some(outcome)
}

/// How often the seed has planned it. A seed that plans something else after a change of `Schedule` is to be replaced.
fn planned(outcome: &Outcome, fault: Fault) -> usize {
    outcome.schedule.acts().iter().filter(|act| act.fault == fault).count()
}

fn assert_planned(outcome: &Outcome, faults: &[Fault], times: usize) {
    for fault in faults {
        let count = planned(outcome, *fault);
        assert!(
            count >= times,
            "{fault} is planned {count} times, not {times}: {}",
            outcome.schedule
        );
    }
}

/// After a kill no aggregate stands still for longer than a lease, a heartbeat and 5 s; `holds` says so of every fault.
#[tokio::test(flavor = "multi_thread")]
async fn relays_that_are_killed_frozen_and_robbed_stall_nobody_beyond_a_lease() {
    let Some(outcome) = verify(822, 20, Database::Server, &["kill-relay", "freeze-relay", "steal-lanes"]).await else {
        return;
    };
    assert_planned(&outcome, &[Fault::KillRelay, Fault::FreezeRelay, Fault::StealLanes], 3);
}

/// Whatever can be killed, stopped, cut, slowed or stalled is, some at once, and what is killed has events under way.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_nothing_is_lost_made_up_or_out_of_order() {
    let Some(outcome) = verify(46_651, 60, Database::Server, &[""]).await else {
        return;
    };
    assert_planned(&outcome, &Fault::of(Database::Server), 1);
    for kill in [Fault::KillRelay, Fault::KillDatabase, Fault::KillBroker] {
        let under_way = outcome.under_way.iter().any(|(fault, rows)| *fault == kill && *rows > 0);
        assert!(under_way, "no row waited at any {kill}: {:?}", outcome.under_way);
    }
}

/// The same where each batch is a transaction of Kafka's, and what is compared is what readers of committed events see.
#[tokio::test(flavor = "multi_thread")]
async fn with_transactions_nothing_is_lost_made_up_or_out_of_order_either() {
    let names = ["kill-relay", "freeze-relay", "steal-lanes", "kill-broker", "kill-database"];
    let options = ["--transactions", "20"];
    let Some(outcome) = verify_with(&options, 1, 20, Database::Server, &names).await else {
        return;
    };
    let faults: Vec<Fault> = names.iter().flat_map(|name| Fault::named(name)).collect();
    assert_planned(&outcome, &faults, 1);
}

/// Kafka's client waits by the wall clock. Relays whose clock is set back by an hour while the broker is away go on when it is back, and not an
/// hour later.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_while_the_broker_is_away_stops_no_relay() {
    let faults = [Fault::StepClock, Fault::KillBroker];
    let names = faults.map(|fault| fault.to_string());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some(outcome) = verify(4_454, 24, Database::Server, &names).await else {
        return;
    };
    let acts = outcome.schedule.acts();
    let away = |moment| {
        let kills = acts.iter().filter(|act| act.fault == Fault::KillBroker);
        kills.map(|act| act.at..act.at + act.lasts).any(|time| time.contains(&moment))
    };
    let set_back = acts.iter().filter(|act| act.fault == Fault::StepClock && away(act.at + act.lasts));
    assert!(set_back.count() >= 2, "{}", outcome.schedule);
}

/// One file that eight writers and three relays open at once. One of the relays is stopped, perhaps while it writes, one is killed, lanes are
/// taken away, for a while nobody can write at all, the broker is killed, and the clock of the relays is set forward and back.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_everybody_writes_to_loses_makes_up_and_reorders_nothing() {
    let names = [
        "kill-relay",
        "freeze-relay",
        "steal-lanes",
        "hold-file",
        "cut-relays-broker",
        "kill-broker",
        "step-clock",
    ];
    let Some(outcome) = verify(2, 24, Database::File, &names).await else {
        return;
    };
    let faults: Vec<Fault> = names.iter().flat_map(|name| Fault::named(name)).collect();
    assert_planned(&outcome, &faults, 1);
    assert!(outcome.written.repeated > 0, "no writer was in another's way");
}

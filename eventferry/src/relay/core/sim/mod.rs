//! The core under a seeded simulator: real store rules (the memory store), a broker that keeps the prefix rule and no more, several relays
//! on one table, and faults between any two commands and on every answer.
//!
//! What is checked is the theorem of `docs/design.md`: first deliveries of an aggregate's ordered events come in commit order, what
//! committed is delivered or dead, what rolled back never is, and no row is found only by the pass from the start.

mod broker;
#[cfg(feature = "_mutants")]
mod mutants;
mod verdict;
mod world;
mod writer;

use std::ops::Range;

use world::{Faults, Outcome, World};

/// Runs some seeds; `EVENTFERRY_SIM_SEEDS` multiplies them, for long runs by hand.
fn run_all(seeds: Range<u64>, faults: Faults) -> Outcome {
    let times: u64 = std::env::var("EVENTFERRY_SIM_SEEDS").map_or(1, |times| times.parse().expect("a number"));
    let mut total = Outcome::default();
    for seed in seeds.start..seeds.start + (seeds.end - seeds.start) * times {
        let outcome = World::new(seed, faults).run();
        assert!(
            outcome.violations.is_empty(),
            "seed {seed} with {faults:?}: {:#?}",
            outcome.violations
        );
        total.committed += outcome.committed;
        total.duplicates += outcome.duplicates;
        total.dead += outcome.dead;
        total.late += outcome.late;
    }
    total
}

#[test]
fn a_quiet_world_delivers_everything_once() {
    let total = run_all(0..10, Faults::NONE);
    assert_eq!((total.duplicates, total.dead), (0, 0));
    assert!(total.committed > 2_000, "{total:?}");
    assert!(total.late > 30, "late rows are the hard part: {total:?}");
}

#[test]
fn passes_from_the_start_repeat_nothing() {
    let total = run_all(
        5_000..5_010,
        Faults {
            passes: true,
            ..Faults::NONE
        },
    );
    assert_eq!((total.duplicates, total.dead), (0, 0));
}

#[test]
fn a_refused_event_is_overtaken_by_none() {
    let total = run_all(
        10000..10010,
        Faults {
            refuse: 0.03,
            poison: 0.01,
            ..Faults::NONE
        },
    );
    assert!(total.dead > 5, "{total:?}");
}

#[test]
fn a_store_that_fails_loses_nothing() {
    run_all(
        20000..20010,
        Faults {
            store: 0.05,
            ..Faults::NONE
        },
    );
}

#[test]
fn a_broker_that_goes_away_loses_nothing() {
    let total = run_all(
        30000..30010,
        Faults {
            broker: 0.05,
            topic_away: true,
            ..Faults::NONE
        },
    );
    assert_eq!(total.dead, 0, "an outage kills no event");
}

#[test]
fn relays_that_die_pause_and_lose_their_leases_keep_the_order() {
    let total = run_all(
        40000..40010,
        Faults {
            kill: true,
            pause: true,
            ..Faults::NONE
        },
    );
    assert!(total.duplicates > 0, "{total:?}");
}

#[test]
fn everything_at_once() {
    run_all(
        50000..50010,
        Faults {
            refuse: 0.02,
            poison: 0.005,
            store: 0.03,
            broker: 0.02,
            topic_away: true,
            kill: true,
            pause: true,
            plain_only: false,
            passes: false,
        },
    );
    run_all(
        60000..60010,
        Faults {
            refuse: 0.02,
            poison: 0.005,
            store: 0.03,
            broker: 0.02,
            topic_away: true,
            kill: true,
            pause: true,
            plain_only: true,
            passes: true,
        },
    );
}

/// An older read was out when a verdict was answered with "waits", and the row was skipped as settled when its aggregate was read again.
#[test]
fn a_row_that_waits_is_not_taken_for_settled() {
    let faults = Faults {
        refuse: 0.02,
        poison: 0.005,
        store: 0.03,
        broker: 0.02,
        topic_away: true,
        kill: true,
        pause: true,
        ..Faults::NONE
    };
    run_all(50_012..50_013, faults);
}

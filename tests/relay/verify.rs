//! The whole line under faults, by fixed seeds: its own PostgreSQL and Kafka, relays in processes of their own.
//!
//! Ten minutes of it with every fault: `cargo run -p eventferry-tests --all-features --bin verify -- --seconds 600`.

use std::path::PathBuf;
use std::time::Duration;

use eventferry::testing::verify::Fault;
use eventferry_tests::verify::{Outcome, Verification};

async fn verify(seed: u64, seconds: u64, faults: &[&str]) -> Option<Outcome> {
    let faults: Vec<Fault> = faults.iter().flat_map(|prefix| Fault::named(prefix)).collect();
    let relay = PathBuf::from(env!("CARGO_BIN_EXE_relay-process"));
    let run = Verification::new(seed, Duration::from_secs(seconds), relay).faults(&faults);
    let outcome = run.run(|text| eprintln!("{text}")).await?;
    eprintln!("{outcome}");
    assert!(outcome.holds(), "seed {seed}:\n{outcome}");
    assert!(outcome.report.committed > 1_000, "too little was tried");
    Some(outcome)
}

/// After a kill no aggregate stands still for longer than a lease, a heartbeat and 5 s; `holds` says so of every fault.
#[tokio::test(flavor = "multi_thread")]
async fn relays_that_are_killed_frozen_and_robbed_stall_nobody_beyond_a_lease() {
    let Some(outcome) = verify(3, 20, &["kill-relay", "freeze-relay", "steal-lanes"]).await else {
        return;
    };
    assert!(outcome.schedule.acts().len() >= 4, "{}", outcome.schedule);
}

/// Whatever is killed, stopped, cut, slowed or stalled, several at once.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_nothing_is_lost_made_up_or_out_of_order() {
    let Some(outcome) = verify(4, 40, &[""]).await else { return };
    assert!(outcome.schedule.acts().len() >= 8, "{}", outcome.schedule);
}

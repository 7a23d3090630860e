//! Each rule, broken on purpose: the simulator must notice, and notice the right thing.

use super::plan::{Fault, Plan};
use super::shrink::{Failure, failure, shrink, tell};
use super::verdict::Breach;
use crate::mutant::{Mutant, broken};

/// Breaks a rule: among so many seeds one must show one of these promises broken.
fn noticed(mutant: Mutant, seeds: u64, breaches: &[Breach], plan: impl Fn(u64) -> Plan) {
    let found = broken(mutant, || {
        (0..seeds).find(|seed| failure(&plan(*seed)).is_some_and(|failure| breaches.contains(&failure.breach)))
    });
    let seed = found.unwrap_or_else(|| panic!("{mutant:?} passed unnoticed through {seeds} seeds"));
    say(mutant, seed);
}

#[expect(clippy::print_stdout, reason = "a test's own figures")]
fn say(mutant: Mutant, seed: u64) {
    println!("{mutant:?}: noticed with seed {seed}");
}

/// What a failing seed is shown as.
#[test]
fn a_failing_seed_shrinks_and_fails_in_the_same_way() {
    broken(Mutant::ParkedIgnored, || {
        let of = |found: &Failure| (found.outcome.steps, found.outcome.struck.len(), found.plan.aggregates);
        let found = (0..50)
            .filter_map(|seed| failure(&Plan::any(seed)))
            .find(|found| found.breach == Breach::Order);
        let found = found.expect("the mutant is noticed");
        let before = of(&found);
        let short = shrink(found);
        let after = of(&short);
        assert_eq!(short.breach, Breach::Order);
        assert!(
            after.0 * 2 < before.0 && after.1 <= before.1 && after.2 <= before.2,
            "{before:?} to {after:?}"
        );
        let again = failure(&short.plan).expect("the plan holds all that is needed to see it again");
        assert_eq!((again.breach, of(&again)), (short.breach, after));
        let told = tell(&short);
        assert!(
            told.contains("Order") && told.contains("seed") && told.contains("aggregate"),
            "{told}"
        );
    });
}

#[test]
fn ids_against_the_order_of_commits_are_noticed() {
    noticed(Mutant::NoLock, 20, &[Breach::Order], Plan::quiet);
}

#[test]
fn a_cursor_and_a_sweep_are_noticed() {
    noticed(Mutant::CursorAndSweep, 20, &[Breach::Order], |seed| Plan {
        full_pass: std::time::Duration::from_millis(300),
        ..Plan::quiet(seed)
    });
}

#[test]
fn a_lane_left_out_of_a_read_is_noticed() {
    noticed(Mutant::LaneLeftOut, 400, &[Breach::Order, Breach::Stray, Breach::Lost], Plan::quiet);
}

#[test]
fn a_verdict_on_another_owners_lane_is_noticed() {
    noticed(Mutant::VerdictWithoutLane, 200, &[Breach::StaleVerdict], Plan::any);
}

#[test]
fn an_ack_by_id_alone_is_noticed() {
    noticed(Mutant::AckById, 200, &[Breach::Lost], |seed| {
        Plan::any(seed).with(Fault::FailOver, 1.0)
    });
}

#[test]
fn a_verdict_that_settled_nothing_and_is_believed_is_noticed() {
    noticed(Mutant::ZeroRowsSettled, 400, &[Breach::Order, Breach::Lost], |seed| {
        Plan::any(seed)
            .with(Fault::ClockStep, 3.0)
            .with(Fault::Steal, 12.0)
            .with(Fault::Refused, 0.1)
    });
}

#[test]
fn a_locked_row_that_is_taken_for_recorded_is_noticed() {
    noticed(Mutant::LockedSettled, 50, &[Breach::Lost, Breach::Stray, Breach::Stuck], |seed| {
        Plan::any(seed).with(Fault::RowLocked, 0.2)
    });
}

#[test]
fn rows_sent_past_a_parked_one_are_noticed() {
    noticed(Mutant::ParkedIgnored, 50, &[Breach::Order], Plan::any);
}

#[test]
fn a_floor_that_a_drop_does_not_lower_is_noticed() {
    noticed(
        Mutant::FloorKept,
        1_000,
        &[Breach::Order, Breach::Lost, Breach::Stray, Breach::Stuck],
        Plan::any,
    );
}

#[test]
fn a_queue_that_opens_after_a_read_that_missed_what_it_dropped_is_noticed() {
    noticed(
        Mutant::StaleReadOpens,
        1_000,
        &[Breach::Order, Breach::Lost, Breach::Stray, Breach::Stuck],
        Plan::any,
    );
}

#[test]
fn rows_that_were_looked_through_and_forgotten_are_noticed() {
    noticed(
        Mutant::SkimForgets,
        200,
        &[Breach::Order, Breach::Lost, Breach::Stray, Breach::Stuck],
        Plan::any,
    );
}

#[test]
fn a_route_changed_in_flight_is_noticed() {
    noticed(Mutant::RouteChanged, 100, &[Breach::Order], Plan::any);
}

#[test]
fn an_event_whose_schema_nobody_knows_is_noticed() {
    noticed(Mutant::SchemaIgnored, 5, &[Breach::Unlearned], Plan::any);
}

#[cfg(feature = "kafka")]
mod kafka {
    use std::time::Duration;

    use super::{Breach, Mutant, Plan, noticed};
    use crate::publish::kafka::WarmRule;
    use crate::relay::core::sim::plan::Broker;
    use crate::relay::core::sim::shrink::failure;

    #[test]
    fn a_client_that_goes_on_after_a_refusal_is_noticed() {
        noticed(Mutant::NoGapless, 400, &[Breach::Order], Plan::kafka);
    }

    #[test]
    fn a_cold_partition_that_takes_many_records_is_noticed() {
        noticed(Mutant::NoWarmRule, 400, &[Breach::Order], Plan::kafka);
    }

    /// A second rule behind the warm one, so it is broken where that one does not help: on a broker that forgets producers too soon.
    #[test]
    fn a_success_without_an_offset_is_noticed() {
        let plan = |seed| Plan {
            broker: Broker::Kafka {
                rule: WarmRule::Broken,
                idle: Duration::from_millis(100),
                expiry: Duration::from_millis(400),
            },
            ..Plan::kafka(seed)
        };
        let lost = |seed| failure(&plan(seed)).is_some_and(|failure| failure.breach == Breach::Lost);
        assert!(!(0..100).any(lost), "without the warm rule order breaks, and nothing is lost");
        noticed(Mutant::OffsetIgnored, 400, &[Breach::Lost], plan);
    }
}

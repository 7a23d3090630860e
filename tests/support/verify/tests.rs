//! What a run may not pass over.

use eventferry::MessageId;
use eventferry::testing::verify::{Arrivals, Journal};

use super::*;

fn run() -> Verification {
    Verification::new(1, Duration::from_secs(1), PathBuf::new())
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// Events of one aggregate, each with its time in ms.
fn compare(checker: &Checker, committed: &[(u8, u64)], arrived: &[(u8, u64)]) -> Report {
    let (mut journal, mut arrivals) = (Journal::new(), Arrivals::new());
    let id = |n: u8| MessageId::from_bytes([n; 16]);
    for (n, millis) in committed {
        journal.commit("a", id(*n), at(*millis));
    }
    for ((n, millis), offset) in arrived.iter().zip(0..) {
        arrivals.event("a", id(*n), at(*millis), (0, offset));
    }
    checker.check(&journal, &arrivals)
}

/// What a run without any fault comes to.
fn outcome(report: Report) -> Outcome {
    Outcome {
        schedule: Schedule::plan(1, Duration::from_secs(1), Duration::from_secs(3), 3, &[]),
        report,
        written: Written::default(),
        unsettled: 0,
        attempts: 0,
        attempts_excused: false,
        dead: 0,
        strays: 0,
        starts: 3,
        under_way: Vec::new(),
        standstills: 0,
    }
}

fn clean() -> Outcome {
    outcome(compare(&run().checker(), &[(1, 0), (2, 0)], &[(1, 10), (2, 20)]))
}

#[test]
fn an_aggregate_may_stand_still_for_a_lease_a_heartbeat_and_five_seconds() {
    let run = run();
    assert_eq!(run.patience(), Duration::from_secs(3 + 1 + 5));
    for (stall, stalled) in [(9_000, 0), (9_001, 1)] {
        let report = compare(&run.checker(), &[(1, 1_000)], &[(1, 1_000 + stall)]);
        assert_eq!(report.stalled, stalled, "{report}");
        assert_eq!(outcome(report).holds(), stalled == 0);
    }
    // Beyond the last fault, that is.
    for (stall, stalled) in [(19_000, 0), (19_001, 1)] {
        let disturbed = run.checker().disturbed(at(500), at(11_000));
        let report = compare(&disturbed, &[(1, 1_000)], &[(1, 1_000 + stall)]);
        assert_eq!(report.stalled, stalled, "{report}");
    }
}

#[test]
fn only_where_others_carry_on_a_fault_is_over_when_it_begins() {
    let (server, file) = (run(), run().database(Database::File));
    for fault in Fault::ALL {
        let of_one_relay = matches!(fault, Fault::KillRelay | Fault::FreezeRelay | Fault::StealLanes);
        assert_eq!(server.others_carry_on(*fault), of_one_relay, "{fault}");
        assert_eq!(
            file.others_carry_on(*fault),
            of_one_relay && *fault != Fault::FreezeRelay,
            "{fault}"
        );
        assert!(!run().relays(1).others_carry_on(*fault), "{fault}: there is nobody else");
    }
}

#[test]
fn each_thing_that_must_not_be_makes_a_run_fail() {
    assert!(clean().holds());
    let committed = [(1, 0), (2, 0)];
    for (what, arrived) in [
        ("lost", &[(1, 10)][..]),
        ("phantom", &[(1, 10), (9, 15), (2, 20)]),
        ("out of order", &[(2, 10), (1, 20)]),
        ("stalled", &[(1, 10), (2, 60_000)]),
    ] {
        let wrong = outcome(compare(&run().checker(), &committed, arrived));
        assert!(!wrong.holds(), "{what}: {wrong}");
        assert!(wrong.to_string().contains(&format!("\n{what}: ")), "it says what is wrong: {wrong}");
    }
    let spoilt = |what, spoil: fn(&mut Outcome)| {
        let mut wrong = clean();
        spoil(&mut wrong);
        assert!(!wrong.holds(), "{what}: {wrong}");
        assert!(wrong.to_string().contains(&format!("1 {what}")), "{wrong}");
    };
    spoilt("rows unsettled", |outcome| outcome.unsettled = 1);
    spoilt("attempts", |outcome| outcome.attempts = 1);
    spoilt("dead", |outcome| outcome.dead = 1);
    spoilt("strays", |outcome| outcome.strays = 1);
    let mut excused = clean();
    (excused.attempts, excused.attempts_excused) = (1, true);
    assert!(excused.holds(), "its relay ended while it was on its way alone");
}

/// An attempt is excused by what lets a lease end, and by nothing else.
#[test]
fn an_outage_of_the_broker_excuses_no_attempt() {
    for fault in Fault::named("kill-relay")
        .into_iter()
        .chain(Fault::named("freeze-relay"))
        .chain(Fault::named("kill-database"))
    {
        assert!(ends_leases(fault), "{fault}");
    }
    for fault in Fault::named("restart-broker")
        .into_iter()
        .chain(Fault::named("kill-broker"))
        .chain(Fault::named("cut-relays-broker"))
    {
        assert!(!ends_leases(fault), "{fault}");
    }
}

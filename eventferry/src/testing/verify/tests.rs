//! The checker against logs that are wrong on purpose, and what it says of them.

use std::time::{Duration, SystemTime};

use crate::event::{Message, MessageId};
use crate::testing::verify::{Act, Arrivals, Checker, Database, Fault, Journal, Report, Schedule, Stall, Step, Turn, Workload, Wrong};

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn id(n: u8) -> MessageId {
    MessageId::from_bytes([n; 16])
}

/// A journal of events of one aggregate, and the times in ms at which they committed.
fn journal(events: &[(u8, u64)]) -> Journal {
    let mut journal = Journal::new();
    for (n, millis) in events {
        journal.commit("a", id(*n), at(*millis));
    }
    journal
}

fn arrivals(events: &[(u8, u64)]) -> Arrivals {
    let mut arrivals = Arrivals::new();
    for ((n, millis), offset) in events.iter().zip(0..) {
        arrivals.event("a", id(*n), at(*millis), (0, offset));
    }
    arrivals
}

fn counts(report: &Report) -> [usize; 6] {
    let Report {
        committed,
        lost,
        phantom,
        out_of_order,
        duplicates,
        stalled,
        ..
    } = report;
    [*committed, *lost, *phantom, *out_of_order, *duplicates, *stalled]
}

#[test]
fn a_log_as_it_should_be_is_clean() {
    let report = Checker::new().check(&journal(&[(1, 10), (2, 20)]), &arrivals(&[(1, 15), (2, 30)]));
    assert_eq!(counts(&report), [2, 0, 0, 0, 0, 0]);
    assert!(report.holds() && report.violations.is_empty() && report.delivered == 2, "{report}");
    assert_eq!(report.longest_wait, Duration::from_millis(10));
    assert!(Checker::new().check(&Journal::new(), &Arrivals::new()).holds());
}

#[test]
fn a_duplicate_is_counted_and_allowed_even_behind_later_events() {
    let report = Checker::new().check(&journal(&[(1, 0), (2, 0)]), &arrivals(&[(1, 1), (2, 2), (1, 3), (2, 4), (1, 5)]));
    assert_eq!(counts(&report), [2, 0, 0, 0, 3, 0]);
    assert!(report.holds(), "{report}");
}

#[test]
fn what_never_arrived_is_lost_and_shown_between_its_neighbours() {
    let committed: Vec<_> = (1..=20).map(|n| (n, u64::from(n))).collect();
    let came: Vec<_> = committed.iter().copied().filter(|(n, _)| *n != 10).collect();
    let report = Checker::new().check(&journal(&committed), &arrivals(&came));
    assert_eq!(counts(&report), [20, 1, 0, 0, 0, 0]);
    assert!(!report.holds());
    let [violation] = &report.violations[..] else { panic!("{report}") };
    assert_eq!((violation.wrong, violation.history.aggregate()), (Wrong::Lost, "a"));
    let text = violation.history.to_string();
    assert_eq!(text.lines().count(), 1 + 5, "two neighbours on each side: {text}");
    let gap = text.lines().find(|line| line.contains(&id(10).to_string())).unwrap();
    assert!(gap.contains("commit     10") && gap.contains("never arrived"), "{text}");
}

#[test]
fn what_never_committed_is_a_phantom_wherever_it_stands() {
    let mut log = arrivals(&[(1, 1), (9, 2), (2, 3), (9, 4)]);
    log.event("nobody", id(1), at(5), (3, 4));
    log.arrive(&Message::new("t", "no headers"), at(6), (0, 9));
    let report = Checker::new().check(&journal(&[(1, 0), (2, 0)]), &log);
    assert_eq!(
        counts(&report),
        [2, 0, 4, 0, 0, 0],
        "twice the unknown one, one of another aggregate, one without headers"
    );
    assert!(!report.holds() && report.to_string().contains("never committed"), "{report}");
}

#[test]
fn each_event_that_was_overtaken_counts_and_the_overtaker_does_not() {
    for (order, overtaken) in [
        (&[1, 2, 3, 4][..], 0),
        (&[2, 1, 3, 4], 1),
        (&[4, 1, 2, 3], 3),
        (&[2, 3, 4, 1], 1),
        (&[1, 3, 2, 3, 4], 1),
        (&[4, 3, 2, 1], 3),
    ] {
        let came: Vec<_> = order.iter().zip(100..).map(|(n, t)| (*n, t)).collect();
        let report = Checker::new().check(&journal(&[(1, 1), (2, 2), (3, 3), (4, 4)]), &arrivals(&came));
        assert_eq!(report.out_of_order, overtaken, "{order:?}");
        assert_eq!(report.holds(), overtaken == 0);
    }
}

#[test]
fn a_history_shows_the_overtaken_and_the_overtaker_from_a_long_log() {
    let committed: Vec<_> = (1..=200).map(|n| (n, u64::from(n))).collect();
    let mut came: Vec<_> = committed.iter().map(|(n, t)| (*n, t + 1_000)).collect();
    came.swap(99, 100);
    let report = Checker::new().check(&journal(&committed), &arrivals(&came));
    let [violation] = &report.violations[..] else { panic!("{report}") };
    let text = violation.history.to_string();
    assert!(text.contains("commit    100") && text.contains("commit    101"), "{text}");
    assert!(text.lines().count() <= 10, "{text}");
}

#[test]
fn of_many_violations_few_are_shown_one_for_each_aggregate_and_all_are_counted() {
    let mut journal = Journal::new();
    for n in 0..100 {
        journal.commit(["a", "b", "c", "d"][usize::from(n % 4)], id(n), at(0));
    }
    let report = Checker::new().check(&journal, &Arrivals::new());
    assert_eq!(report.lost, 100);
    let shown: Vec<_> = report.violations.iter().map(|violation| violation.history.aggregate()).collect();
    assert_eq!(shown, ["a", "b", "c"]);
}

#[test]
fn a_stall_is_measured_while_something_waits_and_nothing_comes() {
    // 1 comes at once. 2 and 3 wait together from 100; 2 comes at 400, 3 at 900. Nothing waits from 900 to 5,000.
    let report = Checker::new().check(
        &journal(&[(1, 0), (2, 100), (3, 150), (4, 5_000)]),
        &arrivals(&[(1, 10), (2, 400), (3, 900), (4, 5_050)]),
    );
    let stall = report.longest_stall.unwrap();
    assert_eq!((stall.from, stall.to), (at(400), at(900)));
    assert_eq!(report.longest_wait, Duration::from_millis(750));
    assert_eq!(report.stalled, 0, "without a patience nothing is too long");
}

#[test]
fn a_duplicate_is_no_progress() {
    let report = Checker::new().check(&journal(&[(1, 0), (2, 10)]), &arrivals(&[(1, 10), (1, 500), (2, 1_000)]));
    assert_eq!(report.longest_stall.unwrap().length(), Duration::from_millis(990));
}

#[test]
fn a_stall_is_excused_until_the_last_disturbance_within_it_is_over() {
    let journal = journal(&[(1, 1_000)]);
    let log = arrivals(&[(1, 10_000)]);
    let patience = Checker::new().patience(Duration::from_secs(2));
    assert_eq!(patience.clone().check(&journal, &log).stalled, 1);
    for (disturbances, unexcused) in [
        (&[][..], 9_000),
        (&[(0, 900)], 9_000),
        (&[(0, 7_000)], 3_000),
        (&[(0, 9_000)], 1_000),
        (&[(3_000, 8_500), (0, 2_000)], 1_500),
        (&[(0, 20_000)], 0),
        (&[(11_000, 20_000)], 9_000),
    ] {
        let disturbed = disturbances
            .iter()
            .fold(patience.clone(), |checker, (from, to)| checker.disturbed(at(*from), at(*to)));
        let report = disturbed.check(&journal, &log);
        assert_eq!(
            report.longest_unexcused.as_ref().unwrap().unexcused,
            Duration::from_millis(unexcused),
            "{disturbances:?}"
        );
        assert_eq!(report.stalled, usize::from(unexcused > 2_000), "{disturbances:?}");
        assert_eq!(report.holds(), unexcused <= 2_000);
    }
}

#[test]
fn disturbances_that_follow_each_other_excuse_no_stall_for_ever() {
    let journal = journal(&[(1, 1_000)]);
    let patience = Checker::new().patience(Duration::from_secs(2));
    // One second of each two is broken, given out of order and partly twice.
    let broken = (0..10).rev().map(|n| n * 2_000);
    let disturbed = broken.fold(patience, |checker, from| {
        let again = checker.disturbed(at(from + 500), at(from + 900));
        again.disturbed(at(from), at(from + 1_000)).disturbed(at(from), at(from + 200))
    });
    for (arrived, unexcused, undisturbed) in [
        (1_700, 700, 700),
        (4_500, 0, 2_000),
        (8_999, 0, 4_000),
        (9_001, 1, 4_001),
        (12_000, 1_000, 6_000),
    ] {
        let report = disturbed.check(&journal, &arrivals(&[(1, arrived)]));
        let of = |stall: Option<Stall>, part: fn(&Stall) -> Duration| stall.as_ref().map(part).unwrap();
        assert_eq!(
            of(report.longest_undisturbed.clone(), |stall| stall.undisturbed),
            Duration::from_millis(undisturbed)
        );
        assert_eq!(
            of(report.longest_unexcused.clone(), |stall| stall.unexcused),
            Duration::from_millis(unexcused)
        );
        assert_eq!(report.stalled, usize::from(undisturbed > 4_000), "{report}");
    }
}

#[test]
fn clocks_that_differ_a_little_make_no_stall() {
    let report = Checker::new().check(&journal(&[(1, 20), (2, 30)]), &arrivals(&[(1, 10), (2, 12)]));
    assert_eq!(counts(&report), [2, 0, 0, 0, 0, 0]);
    assert_eq!(report.longest_wait, Duration::ZERO);
}

#[test]
fn a_plan_holds_everything_that_writers_can_do() {
    let plan: Vec<_> = Workload::new(3).bulk(100).transactions(0).take(2_000).collect();
    let steps = || plan.iter().flat_map(|transaction| &transaction.steps);
    assert!(steps().any(|step| matches!(step, Step::Enqueue(aggregates) if aggregates.len() > 50)));
    assert!(steps().any(|step| matches!(step, Step::Enqueue(aggregates) if aggregates.len() == 1)));
    for kept in [true, false] {
        assert!(steps().any(|step| matches!(step, Step::Attempt { kept: k, .. } if *k == kept)));
    }
    assert!(plan.iter().any(|transaction| transaction.steps.is_empty()));
    let ends: std::collections::HashSet<_> = plan.iter().map(|transaction| format!("{:?}", transaction.end)).collect();
    assert_eq!(ends.len(), 3, "{ends:?}");
}

#[test]
fn a_schedule_mends_everything_spares_one_relay_and_breaks_each_thing_once_at_a_time() {
    let (length, lease) = (Duration::from_mins(10), Duration::from_secs(3));
    for seed in 0..200 {
        let plan = Schedule::plan(seed, length, lease, 3, Fault::ALL);
        assert_eq!(plan, Schedule::plan(seed, length, lease, 3, Fault::ALL));
        let mut open: Vec<Act> = Vec::new();
        let mut ended = Duration::ZERO;
        for (at, number, turn) in plan.turns() {
            assert!(at >= ended && at < length, "{plan}");
            ended = at;
            let act = plan.acts()[number];
            if turn == Turn::End {
                open.retain(|other| *other != act);
                continue;
            }
            open.push(act);
            let gone: Vec<u32> = open
                .iter()
                .filter(|act| matches!(act.fault, Fault::KillRelay | Fault::FreezeRelay))
                .map(|act| act.which % 3)
                .collect();
            assert!(gone.len() < 3 && (gone.len() < 2 || gone[0] != gone[1]), "{plan}");
            let down = |act: &&Act| matches!(act.fault, Fault::KillDatabase | Fault::RestartDatabase | Fault::StealLanes);
            assert!(open.iter().filter(down).count() < 2, "{plan}");
        }
        assert!(open.is_empty());
        for fault in Fault::ALL {
            assert!(
                plan.acts().iter().any(|act| act.fault == *fault),
                "{fault} is not in ten minutes: {plan}"
            );
        }
    }
}

#[test]
fn faults_are_found_by_the_beginning_of_their_names() {
    assert_eq!(Fault::named("kill"), [Fault::KillRelay, Fault::KillDatabase, Fault::KillBroker]);
    assert_eq!(Fault::named("stall-relays-broker-down").len(), 1);
    assert_eq!(Fault::named("").len(), Fault::ALL.len());
    assert!(Fault::named("nothing").is_empty());
}

#[test]
fn a_file_has_no_server_to_end_and_no_line_to_cut() {
    let names = |database| Fault::of(database).iter().map(Fault::to_string).collect::<Vec<_>>();
    let (server, file) = (names(Database::Server), names(Database::File));
    for name in &file {
        assert!(!name.contains("database") && name != "exhaust-connections", "{name}");
        assert_eq!(server.contains(name), name != "hold-file", "{name}");
    }
    assert_eq!(server.len() + 1, Fault::ALL.len());
    assert_eq!(file.len(), 12, "relays, clock, broker and its line, lanes, the file: {file:?}");
}

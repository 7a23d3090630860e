//! Rows that somebody else has locked, when it is to be recorded what became of them.

use std::collections::HashSet;
use std::time::Duration;

use super::alone::lane;
use super::{Bench, config, row};
use crate::outbox::RowId;
use crate::publish::{Presence, PublishErrorKind};
use crate::relay::core::{Command, CoreConfig, Fact, Notice, WriteCommand};
use crate::store::{Fault, VerdictOutcome};

/// The rows of the ack that was asked for since the last call.
fn asked(bench: &mut Bench) -> Option<Vec<RowId>> {
    let is_ack = |command: &mut Command| matches!(command, Command::Write(WriteCommand::Ack(_)));
    let asked = bench.commands.extract_if(.., is_ack).next()?;
    let Command::Write(WriteCommand::Ack(rows)) = asked else {
        unreachable!()
    };
    Some(rows)
}

fn told(bench: &mut Bench) -> Vec<Notice> {
    let mut notices = Vec::new();
    bench.commands.retain(|command| {
        let Command::Tell(notice) = command else { return true };
        notices.push(notice.clone());
        false
    });
    notices
}

fn answered(bench: &mut Bench, locked: &[RowId]) {
    bench.turn([Fact::Acked {
        locked: Some(locked.to_vec()),
    }]);
}

/// Three events are delivered, and the row of the first one is locked.
fn with_one_locked() -> (Bench, RowId) {
    let mut bench = Bench::new(CoreConfig { ack_batch: 3, ..config() });
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "b"), row(3, "c")]);
    let sent = bench.handed_over();
    bench.turn([Fact::Delivered(sent.iter().map(|(_, token)| *token).collect())]);
    let rows = asked(&mut bench).expect("an ack");
    assert_eq!(rows.len(), 3);
    answered(&mut bench, &rows[..1]);
    (bench, rows[0])
}

#[test]
fn the_others_are_recorded_and_it_is_named_again_a_second_later() {
    let (mut bench, locked) = with_one_locked();
    let stats = bench.core.stats();
    assert_eq!((stats.delivered, stats.acked, stats.locked, stats.known), (3, 2, 1, 1));
    bench.now += Duration::from_millis(999);
    bench.turn([]);
    assert_eq!(asked(&mut bench), None, "not at once: an ack that names it takes its time");
    assert!(bench.core.next_turn() <= bench.now + Duration::from_millis(1));
    bench.now += Duration::from_millis(1);
    bench.turn([]);
    assert_eq!(asked(&mut bench).expect("again"), [locked]);
    answered(&mut bench, &[]);
    let stats = bench.core.stats();
    assert_eq!((stats.acked, stats.locked, stats.known), (3, 0, 0));
}

#[test]
fn it_is_told_of_once_when_it_begins_and_once_when_it_ends() {
    let (mut bench, locked) = with_one_locked();
    assert_eq!(told(&mut bench), [Notice::Locked { rows: 1, one: 1 }]);
    for _ in 0..3 {
        bench.now += Duration::from_secs(1);
        bench.turn([]);
        assert_eq!(asked(&mut bench).expect("again"), [locked]);
        answered(&mut bench, &[locked]);
    }
    assert_eq!(told(&mut bench), []);
    bench.now += Duration::from_secs(1);
    bench.turn([]);
    assert!(asked(&mut bench).is_some());
    answered(&mut bench, &[]);
    assert_eq!(told(&mut bench), [Notice::Unlocked]);
}

#[test]
fn a_stop_waits_for_it_until_its_time_is_over() {
    let (mut bench, locked) = with_one_locked();
    bench.turn([Fact::Stop]);
    assert!(!bench.core.is_closed());
    bench.now += Duration::from_secs(1);
    bench.turn([]);
    assert_eq!(asked(&mut bench).expect("again"), [locked]);
    answered(&mut bench, &[locked]);
    assert!(!bench.core.is_closed());
    bench.now += Duration::from_secs(4);
    bench.turn([]);
    assert!(bench.core.is_closed(), "five seconds to drain");
}

/// Takes events from the table and delivers them.
fn deliver(bench: &mut Bench, ids: impl Iterator<Item = i64>) {
    bench.read(|batch| batch.fresh = ids.map(|id| row(id, &format!("a{id}"))).collect());
    let sent = bench.handed_over();
    bench.turn([Fact::Delivered(sent.iter().map(|(_, token)| *token).collect())]);
}

/// However many there are, the others have their turn, and each of them is named again.
#[test]
fn more_than_one_ack_takes_starve_nobody() {
    const LOCKED: i64 = 30;
    let mut bench = Bench::new(config());
    deliver(&mut bench, 1..=LOCKED);
    let mut named = HashSet::new();
    for fresh in LOCKED + 1..=LOCKED + 20 {
        let until = bench.now + Duration::from_secs(1);
        while bench.now < until {
            bench.now += Duration::from_millis(10);
            bench.turn([]);
            let Some(rows) = asked(&mut bench) else { continue };
            assert!(rows.len() <= 4, "one ack takes four");
            let locked: Vec<_> = rows.into_iter().filter(|row| row.id <= LOCKED).collect();
            if !locked.is_empty() {
                // As long as PostgreSQL waits for locks.
                bench.now += Duration::from_millis(250);
            }
            if fresh > LOCKED + 10 {
                named.extend(locked.iter().copied());
            }
            answered(&mut bench, &locked);
        }
        let leases_end = bench.now + Duration::from_mins(5);
        bench.core.lanes.iter_mut().for_each(|lane| lane.valid_until = leases_end);
        deliver(&mut bench, fresh..=fresh);
    }
    let stats = bench.core.stats();
    assert!(stats.acked >= 17, "{stats:?}");
    assert_eq!((stats.locked, named.len()), (30, 30));
    assert_eq!(told(&mut bench).len(), 1);
}

#[test]
fn what_is_locked_leaves_the_rest_of_the_window_to_be_read() {
    let mut bench = Bench::new(CoreConfig { window: 16, ..config() });
    deliver(&mut bench, 1..=15);
    while let Some(rows) = asked(&mut bench) {
        answered(&mut bench, &rows);
    }
    assert_eq!(bench.core.stats().locked, 15);
    // What was asked for before brings nothing.
    bench.read(|_| ());
    bench.now += Duration::from_millis(500);
    bench.turn([]);
    deliver(&mut bench, 16..=16);
    assert_eq!(bench.core.stats().delivered, 16);
}

#[test]
fn a_verdict_is_given_again_a_second_later_and_the_others_are_not() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "b"), row(3, "b")]);
    for (_, token) in bench.handed_over() {
        bench.refuse(token, PublishErrorKind::Rejected);
    }
    let mut outcomes = Vec::new();
    while outcomes.len() < 2 {
        let verdicts = bench.judged();
        assert!(!verdicts.is_empty());
        let of = |id| if id == 1 { VerdictOutcome::Locked } else { VerdictOutcome::Dead };
        let these: Vec<_> = verdicts.iter().map(|verdict| of(verdict.row.id)).collect();
        outcomes.extend(these.clone());
        let outcomes = Some(these);
        bench.turn([Fact::Judged { verdicts, outcomes }]);
    }
    assert_eq!((bench.core.stats().dead, bench.core.stats().locked), (1, 1));
    assert_eq!(told(&mut bench), [Notice::Locked { rows: 1, one: 1 }]);
    bench.now += Duration::from_millis(999);
    bench.turn([]);
    assert!(bench.judged().is_empty(), "not at once");
    bench.now += Duration::from_millis(1);
    bench.turn([]);
    bench.answer_verdict(VerdictOutcome::Dead);
    assert_eq!((bench.core.stats().dead, bench.core.stats().locked), (2, 0));
    assert_eq!(told(&mut bench), [Notice::Unlocked]);
}

/// Relays ended again and again, and somebody who looks into it has a row locked.
#[test]
fn an_event_that_goes_alone_and_cannot_be_counted_lets_the_others_go() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "b")]);
    assert_ne!(lane("a"), lane("b"));
    bench.answer_probe(Presence::There);
    let first = bench.judged();
    let (locked, outcomes) = (first[0].row.id, Some(vec![VerdictOutcome::Locked]));
    bench.turn([Fact::Judged { verdicts: first, outcomes }]);
    bench.answer_probe(Presence::There);
    let next = bench.judged();
    assert_ne!(next[0].row.id, locked, "the other one has its turn");
    let outcomes = Some(vec![VerdictOutcome::Waits { attempts: 1 }]);
    bench.turn([Fact::Judged { verdicts: next, outcomes }]);
    let sent = bench.handed_over();
    assert_eq!(sent.len(), 1);
    assert_eq!(bench.core.stats().locked, 1);
    // An attempt whose answer was lost may be counted there: it is taken back when the row is free, and the event has its turn again.
    bench.now += Duration::from_secs(1);
    bench.turn([]);
    let verdicts = bench.judged();
    let [excuse] = &verdicts[..] else { panic!("{verdicts:?}") };
    assert_eq!((excuse.row.id, excuse.fault, excuse.attempts), (locked, Fault::Excused, 1));
    let outcomes = Some(vec![VerdictOutcome::Waits { attempts: 0 }]);
    bench.turn([Fact::Judged { verdicts, outcomes }]);
    assert_eq!(bench.core.stats().locked, 0);
}

/// While the row is named again, an answer about others says nothing of it.
#[test]
fn nothing_is_told_before_the_answer_is_there() {
    let (mut bench, locked) = with_one_locked();
    told(&mut bench);
    bench.read(|batch| batch.fresh = vec![row(4, "d")]);
    let (_, token) = bench.handed_over()[0];
    bench.now += Duration::from_secs(1);
    bench.turn([]);
    assert_eq!(asked(&mut bench).expect("again"), [locked]);
    bench.refuse(token, PublishErrorKind::Rejected);
    bench.answer_verdict(VerdictOutcome::Dead);
    assert_eq!((bench.core.stats().locked, told(&mut bench)), (1, Vec::new()));
    answered(&mut bench, &[locked]);
    assert_eq!((bench.core.stats().locked, told(&mut bench)), (1, Vec::new()));
}

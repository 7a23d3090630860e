//! Delivered rows that somebody else has locked.

use std::time::Duration;

use super::{Bench, config, row};
use crate::outbox::RowId;
use crate::relay::core::{Command, CoreConfig, Fact, Notice, WriteCommand};

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
    assert_eq!(told(&mut bench), [Notice::Locked { rows: 1 }]);
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

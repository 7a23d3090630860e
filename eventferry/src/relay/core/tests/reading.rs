//! What a read answers, and which answers are believed.

use std::collections::HashSet;
use std::time::Duration;

use super::{Bench, config, row, snapshot};
use crate::event::Message;
use crate::outbox::{Payload, Record};
use crate::publish::{PublishErrorKind, Scope};
use crate::relay::core::read::next_pass;
use crate::relay::core::{Command, CoreConfig, Fact, Loaded, Now, ReadCommand, WriteCommand};
use crate::store::{ReadBatch, Snapshot};

#[test]
fn another_connection_begins_from_the_start() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a")]);
    assert_eq!(bench.ids(), [1]);
    bench.turn([]);
    bench.read(|batch| {
        batch.snapshot = snapshot(2);
        batch.fresh = vec![row(9, "c")];
    });
    assert_eq!(bench.ids(), [0; 0], "what was read with the old cursors is not to be trusted");
    let (_, lanes) = bench.main_read();
    assert!(lanes.iter().all(|lane| lane.cursor == 0));
    assert_eq!(
        (bench.core.stats().resets, bench.core.stats().known),
        (1, 1),
        "only what is in flight is remembered"
    );
}

#[test]
fn a_full_late_part_puts_off_the_fresh_rows_and_lowers_every_cursor() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(50, "a")]);
    bench.handed_over();
    bench.read(|batch| {
        (batch.late, batch.late_is_full) = (vec![row(7, "b")], true);
        batch.fresh = vec![row(60, "b")];
    });
    assert_eq!(bench.ids(), [7]);
    let (_, lanes) = bench.main_read();
    assert!(lanes.iter().all(|lane| lane.cursor <= 7), "{lanes:?}");
}

#[test]
fn a_read_from_before_an_ack_does_not_bring_its_row_back() {
    let mut bench = Bench::new(CoreConfig {
        full_pass: Duration::from_millis(1),
        ..config()
    });
    let again = row(1, "a");
    bench.read(|batch| batch.fresh = vec![again.clone()]);
    let sent = bench.handed_over();
    bench.now += Duration::from_millis(5);
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    let (number, _) = bench.main_read();
    assert!(bench.commands.iter().any(|c| matches!(c, Command::Write(WriteCommand::Ack(_)))));
    bench.turn([Fact::Acked { locked: Some(Vec::new()) }]);
    let mut stale = ReadBatch::new(snapshot(1));
    stale.fresh = vec![again];
    bench.turn([Fact::Read {
        number,
        batch: Some(stale),
    }]);
    assert_eq!(bench.ids(), [0; 0]);
}

/// What became visible late is too much to be read in time: it must not be asked for for ever.
#[test]
fn a_read_that_fails_again_and_again_begins_every_lane_anew() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(10, "a")]);
    assert_eq!(bench.ids(), [10]);
    for failure in 1..=3 {
        bench.now += Duration::from_secs(1);
        bench.turn([]);
        let (number, lanes) = bench.main_read();
        assert!(lanes.iter().any(|lane| lane.cursor == 10), "failure {failure}");
        bench.turn([Fact::Read { number, batch: None }]);
    }
    bench.now += Duration::from_secs(1);
    bench.turn([]);
    assert!(bench.main_read().1.iter().all(|lane| lane.cursor == 0));
    assert_eq!(bench.core.stats().resets, 1);
}

/// Its id is one of the old server's, and says nothing of what stands before it on the new one.
#[test]
fn what_was_in_flight_at_a_failover_has_its_aggregate_read_from_the_start() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(50, "a")]);
    let sent = bench.handed_over();
    bench.turn([]);
    bench.read(|batch| batch.snapshot = Snapshot::new("there", 2, 100));
    let message = Box::new(Message::new("t", "{}"));
    bench.turn([Fact::Refused {
        token: sent[0].1,
        kind: PublishErrorKind::Unavailable(Scope::Partition),
        error: "no".into(),
        message,
    }]);
    bench.read(|batch| batch.snapshot = Snapshot::new("there", 2, 100));
    bench.now += Duration::from_secs(2);
    bench.turn([]);
    let after = bench.commands.iter().find_map(|command| match command {
        Command::Read(ReadCommand::Aggregates { wanted, .. }) => Some(wanted[0].after),
        Command::Lease(_) | Command::Read(_) | Command::Write(_) | Command::Publish(_) | Command::Tell(_) => None,
    });
    assert_eq!(after, Some(0));
}

#[test]
fn a_payload_finds_its_row_behind_one_that_came_in_front() {
    let mut bench = Bench::new(config());
    let unordered = |id| {
        let mut row = row(id, "a");
        row.ordered = false;
        row
    };
    let mut large = unordered(20);
    large.payload = Payload::Deferred(100_000);
    let id = large.row();
    bench.read(|batch| batch.fresh = vec![large]);
    let key = bench.commands.iter().find_map(|c| {
        if let Command::Read(ReadCommand::Payload { key, .. }) = c {
            Some(*key)
        } else {
            None
        }
    });
    bench.read(|batch| batch.late = vec![unordered(15)]);
    bench.turn([Fact::Loaded {
        row: id,
        key: key.expect("asked for"),
        payload: Loaded::Payload(Some(vec![1])),
    }]);
    assert_eq!(bench.ids(), [15, 20]);
}

/// What is new in a lane waits while the lane is passed from the start: that must never be all lanes at once.
#[test]
fn lanes_that_were_begun_together_are_not_passed_together() {
    let mut bench = Bench::new(CoreConfig {
        lease: Duration::from_hours(1),
        ..config()
    });
    let mut passed = Vec::new();
    for second in 0..700 {
        bench.now = Duration::from_secs(second);
        bench.turn([]);
        let (number, lanes) = bench.main_read();
        let mut batch = ReadBatch::new(snapshot(1));
        for lane in lanes.iter().filter(|lane| lane.cursor == 0) {
            let mut first = row(7, "a");
            first.order_key = i64::from(lane.lane);
            batch.fresh.push(first);
            passed.push((second, lane.lane));
        }
        batch.fresh.sort_by_key(Record::lane);
        bench.turn([Fact::Read {
            number,
            batch: Some(batch),
        }]);
    }
    let again = passed.split_off(64);
    assert!(passed.iter().all(|(second, _)| *second == 0), "{passed:?}");
    assert!(again.windows(2).all(|pair| pair[0].0 < pair[1].0), "{again:?}");
    let lanes: HashSet<u8> = again.iter().map(|(_, lane)| *lane).collect();
    assert_eq!(lanes.len(), 64, "{again:?}");
}

#[test]
fn a_lane_in_which_millions_wait_is_passed_less_often() {
    let (minute, five) = (Duration::from_mins(1), Duration::from_mins(5));
    assert_eq!(
        next_pass(7, Now::ZERO, 900, Duration::from_secs(1), five),
        five + Duration::from_secs(1)
    );
    assert_eq!(
        next_pass(7, Now::ZERO, 900, minute, five),
        minute * 201,
        "half a percent of its time"
    );
}

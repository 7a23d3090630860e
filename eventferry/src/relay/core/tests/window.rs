//! How much may be in flight, and what leaves room to the rest.

use std::time::Duration;

use super::{Bench, config, on_partition, pipelined, row, stalled};
use crate::outbox::Payload;
use crate::relay::core::{Command, CoreConfig, Fact, ReadCommand};

#[test]
fn one_event_of_an_aggregate_is_in_flight_on_the_plain_route() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a"), row(3, "b")]);
    let sent = bench.handed_over();
    assert_eq!(sent.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 3]);
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert_eq!(bench.ids(), [2]);
}

#[test]
fn partitions_that_stall_one_after_another_leave_room_to_read() {
    let mut bench = Bench::new(CoreConfig {
        window: 256,
        ..pipelined()
    });
    bench.read(|batch| batch.fresh = (1..=200).map(|id| on_partition(id, 0)).collect());
    bench.answer_topic(Ok(9));
    bench.turn([Fact::SessionOpened { session: 1 }]);
    let first = bench.ids().len();
    assert!((100..=150).contains(&first), "a partition takes half of what is left: {first}");
    // None of them ever answers; what is only queued makes way after a while.
    let mut next = 1_000;
    for partition in 1..5 {
        for _ in 0..40 {
            bench.now += Duration::from_millis(300);
            bench.turn([]);
        }
        bench.commands.retain(|c| {
            !matches!(
                c,
                Command::Read(ReadCommand::Aggregates { .. } | ReadCommand::Due { .. }) | Command::Lease(_)
            )
        });
        bench
            .core
            .lanes
            .iter_mut()
            .for_each(|lane| lane.valid_until = bench.now + Duration::from_mins(5));
        bench.read(|batch| batch.fresh = (next..next + 60).map(|id| on_partition(id, partition)).collect());
        next += 100;
        assert!(!bench.ids().is_empty(), "partition {partition} gets through");
    }
}

#[test]
fn a_topic_that_hangs_leaves_plain_calls_to_the_others() {
    let mut bench = Bench::new(CoreConfig {
        plain_limit: 8,
        ..config()
    });
    bench.read(|batch| batch.fresh = (1..=50).map(|id| row(id, &format!("a{id}"))).collect());
    assert_eq!(bench.ids().len(), 4, "half of what is left");
    let mut other = row(90, "b");
    other.topic = "other".to_owned();
    bench.read(|batch| batch.fresh = vec![other]);
    assert_eq!(bench.ids(), [90]);
}

#[test]
fn payloads_in_flight_count_in_the_window_until_they_land() {
    let large = |id| {
        let mut row = on_partition(id, 0);
        row.payload = Payload::Bytes(vec![0; 100_000]);
        row
    };
    let mut bench = stalled(
        CoreConfig {
            window_bytes: 1_000_000,
            ..pipelined()
        },
        2,
        (1..=9).map(large).collect(),
    );
    let sent = bench.handed_over();
    assert_eq!(sent.len(), 5, "one partition holds at most about half of the bytes");
    assert_eq!(bench.core.flight_bytes, 500_000);
    bench.turn([Fact::Delivered(sent.iter().map(|(_, token)| *token).collect())]);
    assert_eq!(bench.ids().len(), 4);
    assert_eq!(bench.core.flight_bytes, 400_000);
}

//! What is only queued behind a route that does not move makes room, and comes back when it moves.

use std::time::Duration;

use super::{Bench, CoreConfig, on_partition, pipelined};
use crate::relay::core::{Command, Fact, ReadCommand};

/// A small window full of rows for partition 0, of which some are in flight and nothing comes back; a second later.
fn stuck() -> (Bench, Vec<u64>) {
    let mut bench = Bench::new(CoreConfig {
        window: 256,
        lease: Duration::from_mins(30),
        ..pipelined()
    });
    bench.read(|batch| batch.fresh = (1..=240).map(|id| on_partition(id, 0)).collect());
    bench.answer_topic(Ok(9));
    bench.turn([Fact::SessionOpened { session: 1 }]);
    let sent = bench.handed_over();
    assert!((100..=150).contains(&sent.len()), "{}", sent.len());
    bench.pass(Duration::from_millis(600));
    (bench, sent.into_iter().map(|(_, token)| token).collect())
}

impl Bench {
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.turn([]);
    }

    /// How many aggregates were asked for since the last call; the reads stay out.
    fn asked_again(&mut self) -> usize {
        let mut count = 0;
        self.commands.retain(|command| {
            let Command::Read(ReadCommand::Aggregates { wanted, .. }) = command else {
                return true;
            };
            count += wanted.len();
            false
        });
        count
    }
}

#[test]
fn what_is_dropped_is_not_read_again_while_its_partition_does_not_move() {
    let (mut bench, tokens) = stuck();
    assert_eq!(bench.core.stats().known, tokens.len() as u64, "what was only queued made room");
    let mut asked = 0;
    for _ in 0..20 {
        bench.pass(Duration::from_millis(250));
        asked += bench.asked_again();
    }
    assert!(asked <= 3, "one at a time is tried, ever more seldom: {asked} in five seconds");
}

#[test]
fn it_is_read_again_at_once_when_its_partition_moves() {
    let (mut bench, tokens) = stuck();
    bench.asked_again();
    bench.turn([Fact::Delivered(vec![tokens[0]])]);
    assert!(bench.asked_again() > 50, "all that was dropped");
}

#[test]
fn it_is_read_again_when_the_session_is_over() {
    let (mut bench, _) = stuck();
    bench.asked_again();
    bench.turn([Fact::SessionOver { session: 1, cause: None }]);
    assert!(bench.asked_again() > 100, "what was in flight, and all that was dropped");
}

#[test]
fn another_partition_that_moves_wakes_nobody_of_this_one() {
    let (mut bench, _) = stuck();
    bench.asked_again();
    bench.read(|batch| batch.fresh = (1_000..1_010).map(|id| on_partition(id, 1)).collect());
    let sent = bench.handed_over();
    assert_eq!(sent.len(), 10);
    bench.turn([Fact::Delivered(sent.into_iter().map(|(_, token)| token).collect())]);
    assert_eq!(bench.asked_again(), 0);
}

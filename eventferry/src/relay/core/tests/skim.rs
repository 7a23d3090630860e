//! Lanes whose rows are left in the table are looked through; nothing that could go is passed over.

use std::time::Duration;

use super::{Bench, CoreConfig, config, row, snapshot};
use crate::outbox::{LaneLease, Record, Status, lane_of, order_key};
use crate::relay::core::{Command, Fact, ReadCommand};
use crate::store::{LaneRead, ReadBatch, Renewed, Skimmed};

/// Another aggregate in the lane of `thing`/`a`.
fn neighbour() -> String {
    let lane = lane_of(order_key("thing", "a"));
    let mut names = (0..).map(|n: u32| format!("n{n}"));
    names
        .find(|id| lane_of(order_key("thing", id)) == lane)
        .expect("there are enough names")
}

fn held(id: i64) -> Record {
    let mut dead = row(id, "a");
    dead.status = Status::DeadHolding;
    dead
}

fn group(aggregate: &str, first: i64, last: i64, rows: u32) -> Skimmed {
    Skimmed::new(order_key("thing", aggregate), true, first, last, rows)
}

impl Bench {
    /// A lane whose first aggregate is held and has more rows than one read takes.
    fn parked(config: CoreConfig) -> Self {
        let mut bench = Self::new(config);
        let (number, lanes) = bench.main_read();
        let limit = i64::from(limit_of(&lanes));
        let mut answer = ReadBatch::new(snapshot(1));
        answer.fresh = vec![held(1)];
        answer.fresh.extend((2..=limit).map(|id| row(id, "a")));
        bench.turn([Fact::Read {
            number,
            batch: Some(answer),
        }]);
        bench
    }

    /// The look that was asked for.
    fn look(&mut self) -> Option<(u64, Vec<LaneRead>)> {
        let asked = |c: &Command| matches!(c, Command::Read(ReadCommand::Skim { .. }));
        let at = self.commands.iter().position(asked)?;
        let Command::Read(ReadCommand::Skim { number, lanes }) = self.commands.remove(at) else {
            return None;
        };
        Some((number, lanes))
    }

    fn skimmed(&mut self, number: u64, found: Vec<Skimmed>) {
        self.turn([Fact::Skimmed {
            number,
            found: Some(found),
        }]);
    }

    /// Aggregates that are asked for, and from which id on.
    fn asked_for(&mut self) -> Vec<(i64, i64)> {
        let mut out = Vec::new();
        for command in &self.commands {
            if let Command::Read(ReadCommand::Aggregates { wanted, .. }) = command {
                out.extend(wanted.iter().map(|read| (read.order_key, read.after)));
            }
        }
        out
    }
}

fn limit_of(lanes: &[LaneRead]) -> u32 {
    let lane = lane_of(order_key("thing", "a"));
    lanes.iter().find(|read| read.lane == lane).expect("it is held").limit
}

#[test]
fn a_lane_full_of_rows_that_wait_is_looked_through_and_then_read_on() {
    let mut bench = Bench::parked(config());
    let (number, lanes) = bench.look().expect("there is more of it");
    assert_eq!(lanes.len(), 1, "only that lane");
    assert!(!bench.commands.iter().any(|c| matches!(c, Command::Read(ReadCommand::Lanes { .. }))));
    let rows = lanes[0].limit;
    let last = lanes[0].cursor + i64::from(rows);
    bench.skimmed(number, vec![group("a", lanes[0].cursor + 1, last, rows)]);
    let (_, reads) = bench.main_read();
    assert_eq!(limit_of(&reads), 0, "late rows and the other lanes, in between");
    bench.turn([]);
    assert!(bench.look().is_none(), "never beside a main read");
    assert_eq!(bench.core.stats().known, 0);
}

#[test]
fn a_look_that_comes_to_the_end_makes_way_for_reading() {
    let mut bench = Bench::parked(config());
    let (number, lanes) = bench.look().expect("there is more of it");
    bench.skimmed(number, vec![group("a", lanes[0].cursor + 1, 900, 5)]);
    let (_, reads) = bench.main_read();
    let lane = lanes[0].lane;
    let read = reads.iter().find(|read| read.lane == lane).expect("it is held");
    assert!(read.limit > 0 && read.cursor == 900, "{read:?}");
}

#[test]
fn an_aggregate_that_may_go_is_read_from_where_it_was_met() {
    let mut bench = Bench::parked(config());
    let (number, lanes) = bench.look().expect("there is more of it");
    let (next, last) = (lanes[0].cursor + 1, lanes[0].cursor + i64::from(lanes[0].limit));
    let other = neighbour();
    bench.skimmed(
        number,
        vec![group("a", next, last, lanes[0].limit - 2), group(&other, next + 5, next + 9, 2)],
    );
    assert_eq!(bench.asked_for(), [(order_key("thing", &other), next + 4)]);
}

#[test]
fn what_an_open_queue_has_goes_on_and_the_rest_is_its_next_page() {
    let mut bench = Bench::new(CoreConfig { window: 4_000, ..config() });
    let other = neighbour();
    let (number, lanes) = bench.main_read();
    let limit = i64::from(limit_of(&lanes));
    let mut answer = ReadBatch::new(snapshot(1));
    answer.fresh = vec![row(1, &other), row(2, &other), held(3)];
    answer.fresh.extend((4..=limit).map(|id| row(id, "a")));
    bench.turn([Fact::Read {
        number,
        batch: Some(answer),
    }]);
    let sent = bench.handed_over();
    assert_eq!(sent.len(), 1);
    let (number, lanes) = bench.look().expect("there is more of it");
    bench.skimmed(number, vec![group(&other, 700, 800, 3), group("a", 600, 899, lanes[0].limit - 3)]);
    assert_eq!(bench.asked_for(), [(order_key("thing", &other), 699)]);
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert_eq!(bench.ids(), [2], "it was in memory all the time");
}

#[test]
fn an_answer_for_a_lane_that_was_begun_anew_passes_nothing() {
    let mut bench = Bench::parked(config());
    let (number, _) = bench.look().expect("there is more of it");
    bench.turn([Fact::Skimmed { number, found: None }]);
    bench.now += Duration::from_secs(1);
    bench.turn([]);
    bench.read(|batch| batch.snapshot = snapshot(2));
    let (_, reads) = bench.main_read();
    assert!(reads.iter().all(|read| read.cursor == 0 && read.limit > 0), "{reads:?}");
    bench.skimmed(number, vec![group("a", 1, 5_000, 5_000)]);
    assert!(bench.core.lanes.iter().all(|lane| lane.cursor == 0));
}

#[test]
fn a_lease_that_lapsed_and_came_back_does_not_take_in_the_look_that_was_under_way() {
    let mut bench = Bench::parked(config());
    let (number, lanes) = bench.look().expect("there is more of it");
    // Its renewal is under way when the process freezes past the end of the lease.
    bench.now = Duration::from_secs(16);
    bench.turn([]);
    let held: Vec<_> = (0..64).map(|lane| LaneLease::new(lane, 1)).collect();
    let answer = Renewed::new(held.clone(), 1);
    bench.turn([Fact::Renewed {
        asked_at: Duration::from_secs(14),
        held,
        answer,
    }]);
    assert_eq!(bench.core.stats().lanes, 64, "nobody else took them");
    bench.skimmed(number, vec![group("a", lanes[0].cursor + 1, 5_000, lanes[0].limit)]);
    bench.now += Duration::from_secs(1);
    bench.turn([]);
    let (_, reads) = bench.main_read();
    assert!(reads.iter().all(|read| read.cursor == 0 && read.limit > 0), "{reads:?}");
}

#[test]
fn no_main_read_begins_while_a_look_is_under_way() {
    let mut bench = Bench::parked(config());
    let (number, lanes) = bench.look().expect("there is more of it");
    for _ in 0..3 {
        bench.now += Duration::from_secs(1);
        bench.turn([]);
        bench.turn([Fact::Wake]);
    }
    let reads = |bench: &Bench| {
        let asked = |c: &&Command| matches!(c, Command::Read(ReadCommand::Lanes { .. }));
        bench.commands.iter().filter(asked).count()
    };
    assert_eq!(reads(&bench), 0, "its snapshot would be newer than what the look sees");
    bench.skimmed(number, vec![group("a", lanes[0].cursor + 1, 900, lanes[0].limit)]);
    assert_eq!(reads(&bench), 1);
}

/// Where there is room a look waits for its turn anyway; here is none, so nothing but the read under way stands before it.
#[test]
fn no_look_begins_while_a_main_read_is_under_way() {
    let window = 250;
    let mut bench = Bench::parked(CoreConfig { window, ..config() });
    let (number, lanes) = bench.look().expect("there is more of it");
    let (next, last) = (lanes[0].cursor + 1, lanes[0].cursor + i64::from(lanes[0].limit));
    let other = neighbour();
    bench.skimmed(
        number,
        vec![group("a", next, last, lanes[0].limit - 1), group(&other, last, last, 1)],
    );
    let (number, count) = bench.aggregates().expect("the other aggregate may go");
    assert_eq!(count, 1);
    let rows = (last..).take(window).map(|id| row(id, &other)).collect();
    bench.turn([Fact::Aggregates { number, rows: Some(rows) }]);
    assert!(bench.core.stats().known >= 200, "the window is full: {:?}", bench.core.stats());
    bench.turn([]);
    assert!(bench.look().is_none(), "rows that it cannot see would not be late to the next read");
    bench.read(|_| ());
    assert!(bench.look().is_some());
}

#[test]
fn a_lane_of_which_a_part_can_go_is_read_and_not_looked_through() {
    let mut bench = Bench::new(config());
    let (number, lanes) = bench.main_read();
    let limit = i64::from(limit_of(&lanes));
    let other = neighbour();
    let mut answer = ReadBatch::new(snapshot(1));
    answer.fresh = vec![held(1)];
    answer
        .fresh
        .extend((2..=limit).map(|id| row(id, if id % 4 == 0 { &other } else { "a" })));
    bench.turn([Fact::Read {
        number,
        batch: Some(answer),
    }]);
    assert!(bench.look().is_none(), "a quarter of it can go");
    assert!(limit_of(&bench.main_read().1) > 0);
}

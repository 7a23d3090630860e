//! Single decisions that the simulator would show only by chance.

mod alone;
mod discard;
mod due;
mod groups;
mod letters;
mod refused;
mod schemas;
mod shed;
mod skim;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::read::next_pass;
use super::{Command, Core, CoreConfig, Fact, HandOver, LeaseCommand, Loaded, Now, Policy, PublishCommand, ReadCommand, Way, WriteCommand};
use crate::event::Message;
use crate::outbox::{LaneLease, NewRecord, OnDead, Payload, Record, RetryPolicy, Status};
use crate::publish::{PublishErrorKind, Scope};
use crate::store::{LaneRead, ReadBatch, Renewed, Snapshot, Taken, VerdictOutcome};

/// Ids with their tokens.
type Sent = Vec<(i64, u64)>;

/// A core that holds all lanes on a publisher without sessions, and whose facts arrive at once.
struct Bench {
    core: Core,
    now: Now,
    commands: Vec<Command>,
}

fn config() -> CoreConfig {
    CoreConfig {
        window: 1_000,
        window_bytes: 1 << 20,
        ack_batch: 1,
        ack_delay: Duration::ZERO,
        lease: Duration::from_secs(15),
        drain: Duration::from_secs(5),
        poll_min: Duration::from_millis(5),
        poll_max: Duration::from_millis(500),
        full_pass: Duration::from_mins(5),
        plain_limit: 100,
        pipelined: false,
        learns: false,
        groups: 1,
        recover_from_fence: false,
        policy: Policy {
            max_attempts: 3,
            retry: RetryPolicy::linear(Duration::from_secs(1), Duration::from_mins(5)),
            on_dead: OnDead::Continue,
        },
        topics: HashMap::new(),
        dead_letter: None,
        seed: 1,
    }
}

fn snapshot(connection: u64) -> Snapshot {
    Snapshot::new("here", connection, 100)
}

fn row(id: i64, aggregate: &str) -> Record {
    Record::new(id, NewRecord::new("t", "thing", aggregate, "E", Some(b"{}".to_vec())), UNIX_EPOCH)
}

impl Bench {
    fn new(config: CoreConfig) -> Self {
        let mut bench = Self {
            core: Core::new(config),
            now: Now::ZERO,
            commands: Vec::new(),
        };
        bench.turn([]);
        bench.turn([Fact::Renewed {
            asked_at: Now::ZERO,
            held: Vec::new(),
            answer: Renewed::new(Vec::new(), 1),
        }]);
        let lanes = (0..64).map(|lane| Taken::new(LaneLease::new(lane, 1), 0)).collect();
        bench.turn([Fact::Taken {
            asked_at: Now::ZERO,
            lanes,
        }]);
        bench
    }

    fn turn(&mut self, facts: impl IntoIterator<Item = Fact>) {
        self.commands.extend(self.core.turn(self.now, facts));
    }

    /// The lanes of the main read that was asked for last, and its number.
    fn main_read(&mut self) -> (u64, Vec<LaneRead>) {
        let at = self
            .commands
            .iter()
            .position(|c| matches!(c, Command::Read(ReadCommand::Lanes { .. })))
            .expect("a read was asked for");
        let Command::Read(ReadCommand::Lanes { number, lanes, .. }) = self.commands.remove(at) else {
            unreachable!()
        };
        (number, lanes)
    }

    /// Answers the main read.
    fn read(&mut self, batch: impl FnOnce(&mut ReadBatch)) {
        let (number, _) = self.main_read();
        let mut answer = ReadBatch::new(snapshot(1));
        batch(&mut answer);
        answer.fresh.sort_by_key(|row| (row.lane(), row.id));
        self.turn([Fact::Read {
            number,
            batch: Some(answer),
        }]);
    }

    /// Ids handed over since the last call, with their tokens.
    fn handed_over(&mut self) -> Sent {
        let (pipelined, plain) = self.handed_over_by_route();
        let mut out = [pipelined, plain].concat();
        out.sort_unstable();
        out
    }

    /// The same, those that go through a session apart from those that go by one call.
    fn handed_over_by_route(&mut self) -> (Sent, Sent) {
        let (mut pipelined, mut plain) = (Vec::new(), Vec::new());
        self.commands.retain_mut(|command| {
            let Command::Publish(PublishCommand::HandOver(batch)) = command else {
                return true;
            };
            for HandOver { token, way } in batch.drain(..) {
                match way {
                    Way::Pipelined { record, .. } => pipelined.push((record.id, token)),
                    Way::Plain { record, .. } => plain.push((record.id, token)),
                    Way::DeadLetter { .. } => panic!("a dead letter"),
                }
            }
            false
        });
        (pipelined, plain)
    }

    fn ids(&mut self) -> Vec<i64> {
        self.handed_over().into_iter().map(|(id, _)| id).collect()
    }
}

/// A core with sessions; topics are looked up.
fn pipelined() -> CoreConfig {
    CoreConfig {
        pipelined: true,
        ..config()
    }
}

impl Bench {
    /// Topics that were asked for since the last call.
    fn described(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        self.commands.retain(|command| {
            let Command::Publish(PublishCommand::Describe(topic)) = command else {
                return true;
            };
            out.push(topic.to_string());
            false
        });
        out
    }

    /// Aggregates that are to be read again, with the number of the read.
    fn aggregates(&mut self) -> Option<(u64, usize)> {
        let at = self
            .commands
            .iter()
            .position(|c| matches!(c, Command::Read(ReadCommand::Aggregates { .. })))?;
        let Command::Read(ReadCommand::Aggregates { number, wanted, .. }) = self.commands.remove(at) else {
            return None;
        };
        Some((number, wanted.len()))
    }

    fn answer_topic(&mut self, partitions: Result<u32, PublishErrorKind>) {
        self.turn([Fact::Described {
            topic: Arc::from("t"),
            partitions,
        }]);
    }
}

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
fn a_failed_row_waits_for_its_time_and_its_aggregate_with_it() {
    let mut bench = Bench::new(config());
    let mut failed = row(1, "a");
    (failed.status, failed.attempts, failed.due_in) = (Status::Failed, 1, Duration::from_secs(9));
    bench.read(|batch| batch.fresh = vec![failed, row(2, "a"), row(3, "b")]);
    assert_eq!(bench.ids(), [3]);
    assert_eq!(bench.core.stats().known, 1, "what waits is left in the table");
}

#[test]
fn a_dead_row_that_holds_lets_nothing_pass() {
    let mut bench = Bench::new(config());
    let mut dead = row(1, "a");
    dead.status = Status::DeadHolding;
    bench.read(|batch| batch.fresh = vec![dead, row(2, "a"), row(3, "b")]);
    assert_eq!(bench.ids(), [3]);
}

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
    bench.turn([Fact::Acked { ok: true }]);
    let mut stale = ReadBatch::new(snapshot(1));
    stale.fresh = vec![again];
    bench.turn([Fact::Read {
        number,
        batch: Some(stale),
    }]);
    assert_eq!(bench.ids(), [0; 0]);
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

#[test]
fn a_verdict_comes_before_anything_else_of_its_aggregate() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a")]);
    let sent = bench.handed_over();
    let message = Box::new(Message::new("t", "{}"));
    bench.turn([Fact::Refused {
        token: sent[0].1,
        kind: PublishErrorKind::Retriable,
        error: "no".into(),
        message,
    }]);
    assert_eq!(bench.ids(), [0; 0]);
    assert!(
        bench
            .commands
            .iter()
            .any(|c| matches!(c, Command::Write(WriteCommand::Judge(verdicts)) if verdicts[0].error == "no"))
    );
}

#[test]
fn a_relay_whose_lease_may_be_over_sends_nothing() {
    let mut bench = Bench::new(config());
    bench.now = Duration::from_secs(15);
    let (number, _) = bench.main_read();
    let mut batch = ReadBatch::new(snapshot(1));
    batch.fresh = vec![row(1, "a")];
    bench.turn([Fact::Read {
        number,
        batch: Some(batch),
    }]);
    assert_eq!(bench.ids(), [0; 0]);
    assert_eq!(bench.core.stats().lanes, 0);
}

#[test]
fn a_stop_hands_everything_back_once_what_is_in_flight_is_recorded() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a")]);
    let sent = bench.handed_over();
    bench.turn([Fact::Stop]);
    let released = |bench: &Bench| {
        let lanes = bench.commands.iter().map(|c| {
            if let Command::Lease(LeaseCommand::Release(lanes)) = c {
                lanes.len()
            } else {
                0
            }
        });
        lanes.sum::<usize>()
    };
    assert_eq!(released(&bench), 63, "all but the lane of the event in flight");
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert_eq!(bench.ids(), [0; 0], "its successor is left to others");
    bench.turn([Fact::Acked { ok: true }]);
    assert_eq!((released(&bench), bench.core.is_closed()), (64, true));
}

#[test]
fn a_lease_that_lapsed_and_came_back_does_not_take_in_the_read_that_was_under_way() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(10, "a"), row(11, "a")]);
    assert_eq!(bench.ids(), [10]);
    bench.turn([]);
    let (number, _) = bench.main_read();
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
    let mut stale = ReadBatch::new(snapshot(1));
    stale.fresh = vec![row(50, "a")];
    bench.turn([Fact::Read {
        number,
        batch: Some(stale),
    }]);
    assert_eq!(bench.ids(), [0; 0], "11 comes first");
    let (_, lanes) = bench.main_read();
    assert!(lanes.iter().all(|lane| lane.cursor == 0));
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

/// The database's clock was set back by an hour: the aggregate must not stand for as long.
#[test]
fn a_wait_that_no_policy_asks_for_is_over() {
    let mut bench = Bench::new(config());
    let mut failed = row(1, "a");
    (failed.status, failed.due_in) = (Status::Failed, Duration::from_hours(1));
    bench.read(|batch| batch.fresh = vec![failed, row(2, "a")]);
    assert_eq!(bench.ids(), [1]);
}

#[test]
fn an_aggregate_whose_failed_row_somebody_else_settled_is_read_again() {
    let mut bench = Bench::new(config());
    let mut failed = row(1, "a");
    (failed.status, failed.due_in) = (Status::Failed, Duration::from_secs(2));
    bench.read(|batch| batch.fresh = vec![failed, row(2, "a")]);
    assert!(bench.aggregates().is_none());
    // The page of due rows never shows it: it is done.
    bench.now += Duration::from_secs(4);
    bench.turn([]);
    let (number, count) = bench.aggregates().expect("read again");
    assert_eq!(count, 1);
    bench.turn([Fact::Aggregates {
        number,
        rows: Some(vec![row(2, "a")]),
    }]);
    assert_eq!(bench.ids(), [2]);
}

#[test]
fn a_topic_that_was_away_is_asked_for_again_after_an_outage() {
    let mut bench = Bench::new(pipelined());
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    assert_eq!(bench.described(), ["t"]);
    bench.answer_topic(Err(PublishErrorKind::Unavailable(Scope::Topic)));
    bench.now += Duration::from_secs(1);
    bench.turn([]);
    assert_eq!(bench.described(), ["t"]);
    bench.answer_topic(Err(PublishErrorKind::Unavailable(Scope::Publisher)));
    assert!(bench.core.stats().broker_away);
    bench.now += Duration::from_secs(2);
    bench.turn([]);
    assert_eq!(bench.described(), ["t"]);
    bench.answer_topic(Ok(3));
    assert!(bench.aggregates().is_some(), "and what waited for it is read again");
    assert!(!bench.core.stats().broker_away);
}

#[test]
fn a_name_that_can_be_no_topics_is_judged_on_the_plain_route() {
    let mut bench = Bench::new(pipelined());
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    bench.answer_topic(Err(PublishErrorKind::Rejected));
    assert_eq!(bench.ids(), [1]);
    assert!(!bench.core.stats().broker_away, "one event's fault is not the broker's");
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

/// A core whose session is open on topic `t` with `partitions` partitions, and which has handed over what it read.
fn stalled(config: CoreConfig, partitions: u32, rows: Vec<Record>) -> Bench {
    let mut bench = Bench::new(config);
    bench.read(|batch| batch.fresh = rows);
    bench.answer_topic(Ok(partitions));
    bench.turn([Fact::SessionOpened { session: 1 }]);
    bench
}

fn on_partition(id: i64, partition: i32) -> Record {
    let mut row = row(id, &format!("a{id}"));
    row.partition = Some(partition);
    row
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

/// An operator's open transaction on one row.
#[test]
fn a_verdict_that_cannot_be_written_keeps_no_other_from_it() {
    let mut bench = Bench::new(config());
    let rows: Vec<_> = (1..=4).map(|id| row(id, &format!("a{id}"))).collect();
    bench.read(|batch| batch.fresh = rows);
    for (_, token) in bench.handed_over() {
        let message = Box::new(Message::new("t", "{}"));
        bench.turn([Fact::Refused {
            token,
            kind: PublishErrorKind::Retriable,
            error: "no".into(),
            message,
        }]);
    }
    let locked = 2;
    let mut answered = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let at = bench
            .commands
            .iter()
            .position(|command| matches!(command, Command::Write(WriteCommand::Judge(_))));
        if let Some(at) = at {
            let Command::Write(WriteCommand::Judge(verdicts)) = bench.commands.remove(at) else {
                unreachable!()
            };
            let outcomes = if verdicts.iter().any(|verdict| verdict.row.id == locked) {
                None
            } else {
                answered.extend(verdicts.iter().map(|verdict| verdict.row.id));
                Some(vec![VerdictOutcome::Waits { attempts: 1 }; verdicts.len()])
            };
            bench.turn([Fact::Judged { verdicts, outcomes }]);
        }
        bench.now += Duration::from_millis(300);
        bench.turn([]);
    }
    assert_eq!(Vec::from_iter(answered), [1, 3, 4]);
}

/// Metadata says that it is there; only a delivery says that it may be written.
#[test]
fn a_topic_that_may_not_be_written_is_told_of_once() {
    let mut bench = Bench::new(CoreConfig {
        lease: Duration::from_mins(10),
        ..pipelined()
    });
    let mut keyless = row(1, "a");
    keyless.key = None;
    bench.read(|batch| batch.fresh = vec![keyless.clone()]);
    bench.answer_topic(Ok(4));
    let mut tries = 0;
    for _ in 0..50 {
        for (_, token) in bench.handed_over() {
            tries += 1;
            let message = Box::new(Message::new("t", "{}"));
            bench.turn([Fact::Refused {
                token,
                kind: PublishErrorKind::Unavailable(Scope::Topic),
                error: "no".into(),
                message,
            }]);
        }
        bench.now += Duration::from_millis(100);
        bench.turn([]);
        if !bench.described().is_empty() {
            bench.answer_topic(Ok(4));
        }
        while let Some((number, _)) = bench.aggregates() {
            let rows = Some(vec![keyless.clone()]);
            bench.turn([Fact::Aggregates { number, rows }]);
        }
    }
    let told: Vec<_> = bench
        .commands
        .iter()
        .filter(|command| matches!(command, Command::Tell(_)))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        (3..=15).contains(&tries),
        "with a pause that grows to a second: {tries} in five seconds"
    );
}

/// The database was away from everybody: whoever is back first must not take the others for dead.
#[test]
fn after_an_outage_of_the_database_no_lane_is_taken_before_the_others_are_heard_of() {
    let mut bench = Bench {
        core: Core::new(config()),
        now: Now::ZERO,
        commands: Vec::new(),
    };
    let takes = |bench: &mut Bench| {
        let before = bench.commands.len();
        bench
            .commands
            .retain(|command| !matches!(command, Command::Lease(LeaseCommand::Take(_))));
        before > bench.commands.len()
    };
    bench.turn([]);
    bench.turn([Fact::LeaseCallFailed]);
    bench.now += Duration::from_secs(30);
    bench.turn([]);
    let asked_at = bench.now;
    bench.turn([Fact::Renewed {
        asked_at,
        held: Vec::new(),
        answer: Renewed::new(Vec::new(), 1),
    }]);
    assert!(!takes(&mut bench));
    let mut waited = Duration::ZERO;
    while !takes(&mut bench) {
        let step = Duration::from_millis(500);
        (waited, bench.now) = (waited + step, bench.now + step);
        bench.turn([]);
        let asked_at = bench.now;
        bench.turn([Fact::Renewed {
            asked_at,
            held: Vec::new(),
            answer: Renewed::new(Vec::new(), 1),
        }]);
        assert!(waited < Duration::from_secs(5));
    }
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
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

#[test]
fn where_nothing_comes_back_the_topics_are_asked_for() {
    let mut bench = stalled(pipelined(), 2, vec![on_partition(1, 0)]);
    assert_eq!(bench.ids(), [1]);
    bench.described();
    bench.now += Duration::from_secs(6);
    bench.turn([]);
    assert_eq!(bench.described(), ["t"]);
    bench.answer_topic(Err(PublishErrorKind::Unavailable(Scope::Publisher)));
    assert!(bench.core.stats().broker_away);
    bench.now += Duration::from_secs(6);
    bench.turn([]);
    bench.answer_topic(Ok(2));
    assert!(!bench.core.stats().broker_away);
}

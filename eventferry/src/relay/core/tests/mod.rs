//! Single decisions that the simulator would show only by chance.

mod alone;
mod care;
mod discard;
mod due;
mod groups;
mod leases;
mod letters;
mod locked;
mod reading;
mod refused;
mod schemas;
mod shed;
mod skim;
mod suspects;
mod topics;
mod waiting;
mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::{Command, Core, CoreConfig, Fact, HandOver, Now, Policy, PublishCommand, ReadCommand, Way};
use crate::outbox::{LaneLease, NewRecord, OnDead, Record, RetryPolicy};
use crate::publish::PublishErrorKind;
use crate::store::{LaneRead, ReadBatch, Renewed, Snapshot, Taken};

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

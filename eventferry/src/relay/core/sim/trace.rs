//! What happened to one aggregate, told line by line.

use std::collections::HashMap;

use super::writer::{Deed, Written};
use crate::event::MessageId;
use crate::outbox::{lane_of, order_key};
use crate::relay::core::{Command, Fact, LeaseCommand, Now, PublishCommand, ReadCommand, Way, WriteCommand};

/// Nothing, unless an aggregate is watched.
#[derive(Debug, Default)]
pub(super) struct Trace {
    watched: Option<Watched>,
    lines: Vec<String>,
}

#[derive(Debug)]
struct Watched {
    aggregate: u64,
    order_key: i64,
    lane: u8,
    /// Names by which its events go here: the order in which they were inserted.
    names: HashMap<MessageId, usize>,
    /// Hand-overs of its events.
    tokens: HashMap<(usize, u64, u64), MessageId>,
}

impl Watched {
    fn name(&self, message_id: MessageId) -> Option<String> {
        self.names.get(&message_id).map(|number| format!("event {number}"))
    }

    fn all(&self, ids: impl Iterator<Item = (i64, MessageId)>) -> String {
        let names: Vec<String> = ids
            .filter_map(|(id, message_id)| Some(format!("{} (id {id})", self.name(message_id)?)))
            .collect();
        names.join(", ")
    }

    fn fact(&self, relay: usize, life: u64, fact: &Fact) -> Option<String> {
        let tokens = |tokens: &[u64]| {
            let ours = tokens.iter().filter_map(|token| self.tokens.get(&(relay, life, *token)));
            let names: Vec<String> = ours.filter_map(|id| self.name(*id)).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        match fact {
            Fact::Read { number, batch: None } => Some(format!("read {number} failed")),
            Fact::Read {
                number,
                batch: Some(batch),
            } => {
                let late = self.all(batch.late.iter().map(|row| (row.id, row.message_id)));
                let fresh = self.all(batch.fresh.iter().map(|row| (row.id, row.message_id)));
                (late.len() + fresh.len() > 0).then(|| format!("read {number} found: late [{late}], fresh [{fresh}]"))
            }
            Fact::Skimmed { number, found } => {
                let mut found = found.as_ref()?.iter();
                let group = found.find(|group| group.order_key == self.order_key)?;
                Some(format!("read {number} looked through {} to {}", group.first, group.last))
            }
            Fact::Aggregates { number, rows } => {
                let rows = rows.as_ref()?;
                let found = self.all(rows.iter().map(|row| (row.id, row.message_id)));
                (!found.is_empty()).then(|| format!("read {number} of aggregates found [{found}]"))
            }
            Fact::Due { number, rows } => {
                let rows = rows.as_ref()?;
                let found = self.all(rows.iter().map(|row| (row.record.id, row.record.message_id)));
                (!found.is_empty()).then(|| format!("read {number} of due rows found [{found}]"))
            }
            Fact::Loaded { row, payload, .. } => Some(format!(
                "{} loaded: {}",
                self.name(row.message_id)?,
                matches!(payload, crate::relay::core::Loaded::Payload(_))
            )),
            Fact::Taken { lanes, .. } => {
                let taken = lanes.iter().find(|taken| taken.lease.lane == self.lane)?;
                Some(format!("lane taken, epoch {}, after {} deaths", taken.lease.epoch, taken.deaths))
            }
            Fact::Renewed { held, answer, .. } => {
                let lease = held.iter().find(|lease| lease.lane == self.lane)?;
                (!answer.kept.contains(lease)).then(|| "lane not renewed: it is somebody else's".to_owned())
            }
            Fact::LeaseCallFailed => Some("a lease statement failed".to_owned()),
            Fact::Described { topic, partitions } => partitions.as_ref().err().map(|kind| format!("topic {topic}: {kind:?}")),
            Fact::Learned { topic, schema, problem } => problem.as_ref().map(|_| format!("schema {schema} of topic {topic} is away")),
            Fact::SessionOpened { session } => Some(format!("session {session} is open")),
            Fact::SessionOver { session, cause } => {
                Some(format!("session {session} is over: {:?}", cause.as_ref().map(|cause| cause.kind)))
            }
            Fact::Delivered(delivered) => tokens(delivered).map(|names| format!("delivered: {names}")),
            Fact::Refused { token, kind, .. } => tokens(&[*token]).map(|name| format!("refused, {kind:?}: {name}")),
            Fact::Acked { locked: None } => Some("an ack failed".to_owned()),
            Fact::Acked { locked: Some(locked) } => (!locked.is_empty()).then(|| format!("{} delivered rows are locked", locked.len())),
            Fact::Judged { verdicts, outcomes } => {
                let place = verdicts
                    .iter()
                    .position(|verdict| self.names.contains_key(&verdict.row.message_id))?;
                let name = self.name(verdicts[place].row.message_id)?;
                Some(format!(
                    "verdict on {name}: {:?}",
                    outcomes.as_ref().map(|outcomes| outcomes[place])
                ))
            }
            Fact::Probed { number, presence } => Some(format!("probe {number}: {presence:?}")),
            Fact::Wake => None,
            Fact::Stop => Some("asked to stop".to_owned()),
        }
    }

    fn command(&mut self, relay: usize, life: u64, command: &Command) -> Option<String> {
        match command {
            Command::Lease(LeaseCommand::Release(lanes)) => {
                lanes.iter().find(|lease| lease.lane == self.lane)?;
                Some("hands the lane back".to_owned())
            }
            Command::Lease(LeaseCommand::Close) => Some("closes".to_owned()),
            Command::Lease(
                LeaseCommand::Renew(..) | LeaseCommand::Take(_) | LeaseCommand::TakeGroups { .. } | LeaseCommand::Forgive(_),
            )
            | Command::Tell(_)
            | Command::Read(ReadCommand::Due { .. }) => None,
            Command::Read(ReadCommand::Lanes { number, lanes, .. }) => {
                let lane = lanes.iter().find(|lane| lane.lane == self.lane)?;
                Some(format!("read {number}: lane beyond {}, at most {}", lane.cursor, lane.limit))
            }
            Command::Read(ReadCommand::Skim { number, lanes }) => {
                let lane = lanes.iter().find(|lane| lane.lane == self.lane)?;
                Some(format!(
                    "read {number}: looks through the lane beyond {}, at most {}",
                    lane.cursor, lane.limit
                ))
            }
            Command::Read(ReadCommand::Aggregates { number, wanted, limit }) => {
                let wanted = wanted.iter().find(|read| read.order_key == self.order_key)?;
                let order = if wanted.ordered { "ordered" } else { "unordered" };
                Some(format!(
                    "read {number}: {order} rows of the aggregate beyond {}, at most {limit}",
                    wanted.after
                ))
            }
            Command::Read(ReadCommand::Payload { row, .. }) => Some(format!("loads {}", self.name(row.message_id)?)),
            Command::Write(WriteCommand::Ack(rows)) => {
                let rows = self.all(rows.iter().map(|row| (row.id, row.message_id)));
                (!rows.is_empty()).then(|| format!("acks {rows}"))
            }
            Command::Write(WriteCommand::Judge(verdicts)) => {
                let mut ours = verdicts.iter().filter(|verdict| self.names.contains_key(&verdict.row.message_id));
                let verdict = ours.next()?;
                Some(format!("judges {}: {:?}", self.name(verdict.row.message_id)?, verdict.fault))
            }
            Command::Publish(PublishCommand::Probe { number, .. }) => Some(format!("probes, {number}")),
            Command::Publish(PublishCommand::Describe(topic)) => Some(format!("looks up topic {topic}")),
            Command::Publish(PublishCommand::Learn { topic, schema }) => Some(format!("learns schema {schema} of topic {topic}")),
            Command::Publish(PublishCommand::OpenSession { session, group }) => Some(format!("opens session {session} of group {group}")),
            Command::Publish(PublishCommand::CloseSession(session)) => Some(format!("closes session {session}")),
            Command::Publish(PublishCommand::HandOver(batch)) => {
                let mut lines = Vec::new();
                for hand_over in batch {
                    let (message_id, way) = match &hand_over.way {
                        Way::Pipelined {
                            session,
                            record,
                            partition,
                            ..
                        } => (record.message_id, format!("{}/{partition} in session {session}", record.topic)),
                        Way::Plain { record, .. } => (record.message_id, format!("{}, by itself", record.topic)),
                        Way::DeadLetter { letter } => (super::broker::message_id(&letter.message), letter.topic.clone()),
                    };
                    if let Some(name) = self.name(message_id) {
                        self.tokens.insert((relay, life, hand_over.token), message_id);
                        lines.push(format!("{name} to {way}"));
                    }
                }
                (!lines.is_empty()).then(|| format!("hands over {}", lines.join(", ")))
            }
        }
    }
}

impl Trace {
    pub(super) fn of(aggregate: u64) -> Self {
        let order_key = order_key("thing", &aggregate.to_string());
        Self {
            watched: Some(Watched {
                aggregate,
                order_key,
                lane: lane_of(order_key),
                names: HashMap::new(),
                tokens: HashMap::new(),
            }),
            lines: Vec::new(),
        }
    }

    pub(super) fn lines(self) -> Vec<String> {
        self.lines
    }

    fn line(&mut self, now: Now, text: &str) {
        self.lines.push(format!("{:>9.3} ms  {text}", now.as_secs_f64() * 1000.0));
    }

    /// Something that concerns everybody.
    pub(super) fn note(&mut self, now: Now, text: impl FnOnce() -> String) {
        if self.watched.is_some() {
            self.line(now, &text());
        }
    }

    pub(super) fn lane(&mut self, now: Now, lane: u8, text: impl FnOnce() -> String) {
        if self.watched.as_ref().is_some_and(|watched| watched.lane == lane) {
            self.line(now, &text());
        }
    }

    /// Something that happened to an event.
    pub(super) fn event(&mut self, now: Now, message_id: MessageId, text: impl FnOnce() -> String) {
        if let Some(name) = self.watched.as_ref().and_then(|watched| watched.name(message_id)) {
            self.line(now, &format!("{name} {}", text()));
        }
    }

    pub(super) fn deed(&mut self, now: Now, deed: &Deed) {
        let Some(watched) = &mut self.watched else { return };
        let (what, rows) = match deed {
            Deed::Inserted(rows) => ("inserted", rows),
            Deed::Committed(rows) => ("committed", rows),
            Deed::RolledBack(rows) => ("rolled back", rows),
        };
        let ours: Vec<Written> = rows.iter().filter(|row| row.aggregate == watched.aggregate).cloned().collect();
        let mut names = Vec::new();
        for row in ours {
            let next = watched.names.len() + 1;
            let number = *watched.names.entry(row.message_id).or_insert(next);
            names.push(if row.ordered {
                format!("event {number}")
            } else {
                format!("event {number} (unordered)")
            });
        }
        if !names.is_empty() {
            self.line(now, &format!("{what}: {}", names.join(", ")));
        }
    }

    pub(super) fn fact(&mut self, now: Now, relay: usize, life: u64, fact: &Fact) {
        if let Some(text) = self.watched.as_ref().and_then(|watched| watched.fact(relay, life, fact)) {
            self.line(now, &format!("    -> relay {relay}.{life}: {text}"));
        }
    }

    pub(super) fn command(&mut self, now: Now, relay: usize, life: u64, command: &Command) {
        if let Some(text) = self.watched.as_mut().and_then(|watched| watched.command(relay, life, command)) {
            self.line(now, &format!("    <- relay {relay}.{life}: {text}"));
        }
    }
}

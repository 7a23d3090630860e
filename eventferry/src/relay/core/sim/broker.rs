//! A broker that keeps the prefix rule within a session and partition, and promises nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::event::Event;
#[cfg(feature = "kafka")]
use super::plan::Broker;
use super::plan::Fault;
use super::verdict::Breach;
use super::world::World;
use crate::event::headers::EVENT_SCHEMA;
use crate::event::{IncomingMessage, Message, MessageId};
use crate::publish::partitioner::partition_of;
use crate::publish::{Presence, PublishErrorKind, Scope};
use crate::relay::core::{Cause, Command, Fact, HandOver, PublishCommand, Way};

const PARTITIONS: u32 = 3;
/// After this long a publish of one event is given up; it may arrive nevertheless.
const DEADLINE: Duration = Duration::from_millis(700);

/// A topic and one of its partitions; −1 is all of them.
pub(super) type Place = (&'static str, i32);
/// A relay, which of its lives, and which session of that.
pub(super) type SessionId = (usize, u64, u64);

pub(super) fn partition(key: &str) -> i32 {
    partition_of(key.as_bytes(), PARTITIONS)
}

fn place(topic: &str, partition: i32) -> Place {
    (if topic == "main" { "main" } else { "other" }, partition)
}

/// Messages handed over to one session and not yet answered, by partition, in order.
#[derive(Debug, Default)]
pub(super) struct SimSession {
    queues: BTreeMap<Place, VecDeque<(u64, Message)>>,
    broken: bool,
}

pub(super) fn message_id(message: &Message) -> MessageId {
    message.message_id().expect("every message carries its id")
}

impl World {
    pub(super) fn publish(&mut self, relay: usize, life: u64, command: Command) {
        let Command::Publish(command) = command else { return };
        let fact = match command {
            PublishCommand::Probe { number, .. } => Fact::Probed {
                number,
                presence: if self.strikes(Fault::NotDescribed) {
                    Presence::Away
                } else {
                    Presence::There
                },
            },
            PublishCommand::Describe(topic) => {
                let partitions = if self.strikes(Fault::NotDescribed) {
                    let kinds = [Scope::Publisher, Scope::Topic, Scope::Partition];
                    Err(PublishErrorKind::Unavailable(kinds[self.rng.usize(..3)]))
                } else if &*topic == "other" && self.now < self.away_until {
                    Err(PublishErrorKind::Unavailable(Scope::Topic))
                } else {
                    Ok(PARTITIONS)
                };
                Fact::Described { topic, partitions }
            }
            PublishCommand::Learn { topic, schema } => {
                let ok = !self.strikes(Fault::NotDescribed);
                if ok {
                    self.learned.insert((relay, life, topic.to_string(), schema.to_string()));
                }
                let problem = (!ok).then(String::new);
                Fact::Learned { topic, schema, problem }
            }
            PublishCommand::OpenSession { session, .. } if self.strikes(Fault::NotOpened) => Fact::SessionOver {
                session,
                cause: Some(Cause {
                    token: None,
                    kind: PublishErrorKind::Unavailable(Scope::Publisher),
                }),
            },
            PublishCommand::OpenSession { session, group } => {
                self.open_session((relay, life, session), group);
                Fact::SessionOpened { session }
            }
            PublishCommand::CloseSession(session) => {
                return self.close_session((relay, life, session), None, None);
            }
            PublishCommand::HandOver(batch) => {
                for HandOver { token, way } in batch {
                    let handed = match &way {
                        Way::Pipelined { record, .. } | Way::Plain { record, .. } => record.message_id,
                        Way::DeadLetter { letter } => message_id(&letter.message),
                    };
                    if self.deadly(handed) {
                        // What was handed over before it may be on its way.
                        return self.end_by(relay, handed);
                    }
                    self.hand_over(relay, life, token, way);
                }
                return;
            }
        };
        let at = self.now + self.ms(0..30);
        self.answer_at(at, relay, life, vec![fact]);
    }

    fn open_session(&mut self, id: SessionId, group: u8) {
        if self.plan.groups > 1 {
            self.fence(group, Some(id));
        }
        #[cfg(feature = "kafka")]
        if let Broker::Kafka { .. } = self.plan.broker {
            return self.open_kafka(id);
        }
        self.sessions.insert(id, SimSession::default());
    }

    fn close_session(&mut self, id: SessionId, stopped: Option<Place>, cause: Option<Cause>) {
        #[cfg(feature = "kafka")]
        if let Broker::Kafka { .. } = self.plan.broker {
            return self.close_kafka(id, cause);
        }
        self.end_session(id, stopped, cause);
    }

    /// A publisher that frames must know the schema of what it is handed.
    fn check_schema(&mut self, relay: usize, life: u64, way: &Way) {
        let (Way::Plain { record, .. } | Way::Pipelined { record, .. }) = way else {
            return;
        };
        let Some(schema) = record.headers.get(EVENT_SCHEMA) else { return };
        if !self.learned.contains(&(relay, life, record.topic.clone(), schema.to_owned())) {
            let text = format!("relay {relay}.{life} does not know schema {schema}");
            self.oracle.breach(Breach::Unlearned, Some(record.message_id), text);
        }
    }

    fn hand_over(&mut self, relay: usize, life: u64, token: u64, way: Way) {
        self.check_schema(relay, life, &way);
        let (message, letter) = match way {
            Way::Pipelined {
                session,
                partition,
                record,
                source,
            } => {
                let message = record.into_message(&source);
                let id = (relay, life, session);
                #[cfg(feature = "kafka")]
                if let Broker::Kafka { .. } = self.plan.broker {
                    return self.hand_to_kafka(id, place(&message.topic, partition), token, message);
                }
                let place = place(&message.topic, partition);
                // Without a session this one was handed over while the news of its end was under way.
                let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.broken) else {
                    return;
                };
                session.queues.entry(place).or_default().push_back((token, message));
                return self.after(1..60, Event::Deliver(id, place));
            }
            Way::Plain { record, source } => (record.into_message(&source), false),
            Way::DeadLetter { letter } => (letter.message, true),
        };
        let stall = self.stall(&message.topic, message.key().map_or(0, partition)).filter(|_| !letter);
        let mut at = self.now + self.ms(1..40);
        let mut heard = true;
        if stall.is_some() || self.strikes(Fault::ArrivesLate) {
            heard = false;
            let give_up = self.now + DEADLINE;
            at = stall.unwrap_or(give_up) + self.ms(1..600);
            let fact = Fact::Refused {
                token,
                kind: PublishErrorKind::Unavailable(Scope::Partition),
                error: "no answer".into(),
                message: Box::new(message.clone()),
            };
            self.answer_at(give_up, relay, life, vec![fact]);
        }
        self.at(
            at,
            Event::Plain {
                relay,
                life,
                token,
                message,
                letter,
                heard,
            },
        );
    }

    /// The broker takes the head of one partition's queue: delivered, refused, or the connection breaks before or after it was written.
    pub(super) fn deliver(&mut self, id: SessionId, place: Place) {
        let (relay, life, number) = id;
        if let Some(until) = self.stall(place.0, place.1) {
            let at = until + self.ms(0..20);
            return self.at(at, Event::Deliver(id, place));
        }
        let alive = self.is_up(relay, life);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let broken = session.broken;
        let Some(queue) = session.queues.get_mut(&place) else { return };
        let Some((token, message)) = queue.pop_front() else { return };
        if !alive || broken {
            // Of what is on its way from a client that is gone, a prefix arrives.
            if self.rng.u8(..3) == 0 || self.poison(message_id(&message)).is_some() {
                if let Some(queue) = self.sessions.get_mut(&id).and_then(|session| session.queues.get_mut(&place)) {
                    queue.clear();
                }
                return;
            }
            return self.arrived(&message, || format!("from session {number} of relay {relay}.{life}, which is over"));
        }
        let poison = self.poison(message_id(&message));
        let cause = |token, kind| Some(Cause { token, kind });
        if poison.is_some() || self.strikes(Fault::BatchRefused) {
            return self.end_session(id, Some(place), cause(Some(token), poison.unwrap_or(PublishErrorKind::Retriable)));
        }
        let breaks = self.strikes(Fault::SessionBreaks);
        if !breaks || self.rng.bool() {
            self.arrived(&message, || format!("in session {number} of relay {relay}.{life}, token {token}"));
        }
        if breaks {
            let kind = if self.rng.bool() {
                cause(None, PublishErrorKind::Unavailable(Scope::Publisher))
            } else {
                cause(Some(token), PublishErrorKind::Unavailable(Scope::Topic))
            };
            return self.end_session(id, Some(place), kind);
        }
        let at = self.now + self.ms(0..10);
        self.answer_at(at, relay, life, vec![Fact::Delivered(vec![token])]);
    }

    /// A transactional id has a new user: the one before is shut out, and what it had not committed never arrives.
    pub(super) fn fence(&mut self, group: u8, by: Option<SessionId>) {
        let before = match by {
            Some(id) => self.seats.insert(group, id),
            None => self.seats.remove(&group),
        };
        let Some(id) = before.filter(|id| Some(*id) != by) else { return };
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.broken) {
            session.broken = true;
            session.queues.clear();
            let (relay, life, number) = id;
            let at = self.now + self.ms(11..40);
            let cause = Some(Cause {
                token: None,
                kind: PublishErrorKind::Fenced,
            });
            self.answer_at(at, relay, life, vec![Fact::SessionOver { session: number, cause }]);
        }
    }

    /// Of each partition a prefix arrives, at once or later, and a prefix of that is confirmed; a delivery is always told before the end is.
    fn end_session(&mut self, id: SessionId, stopped: Option<Place>, cause: Option<Cause>) {
        let (relay, life, number) = id;
        let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.broken) else {
            return;
        };
        session.broken = true;
        let queues = std::mem::take(&mut session.queues);
        let mut confirmed = Vec::new();
        for (place, mut queue) in queues {
            if stopped == Some(place) || self.stall(place.0, place.1).is_some() {
                continue;
            }
            let arrive = self.rng.usize(..=queue.len());
            let confirm = self.rng.usize(..=arrive);
            for n in 0..arrive {
                let Some((token, message)) = queue.pop_front() else { break };
                if self.poison(message_id(&message)).is_some() {
                    queue.clear();
                    break;
                }
                self.arrived(&message, || {
                    format!("as session {number} of relay {relay}.{life} ended, token {token}")
                });
                if n < confirm {
                    confirmed.push(token);
                }
            }
            // What was on its way may still arrive, in order.
            for _ in 0..queue.len() {
                self.after(20..1_500, Event::Deliver(id, place));
            }
            if let Some(session) = self.sessions.get_mut(&id) {
                session.queues.insert(place, queue);
            }
        }
        // Deliveries whose answers are under way come first: the end takes longer than any of them.
        let at = self.now + self.ms(11..40);
        let over = Fact::SessionOver { session: number, cause };
        self.answer_at(at, relay, life, vec![Fact::Delivered(confirmed), over]);
    }

    pub(super) fn arrived(&mut self, message: &Message, how: impl Fn() -> String) {
        let message_id = message_id(message);
        self.trace.event(self.now, message_id, || format!("arrives {}", how()));
        self.oracle.arrive(message_id, self.now);
    }

    /// A publish of one event reaches the broker; `heard` is whether anybody still waits for the answer.
    pub(super) fn plain_arrives(&mut self, relay: usize, life: u64, token: u64, message: Message, letter: bool, heard: bool) {
        let id = message_id(&message);
        let poison = self.poison(id).filter(|_| !letter);
        let refusal = if letter {
            self.strikes(Fault::LetterRefused).then(|| {
                [
                    PublishErrorKind::Retriable,
                    PublishErrorKind::Rejected,
                    PublishErrorKind::Unavailable(Scope::Topic),
                    PublishErrorKind::Unavailable(Scope::Publisher),
                ][self.rng.usize(..4)]
            })
        } else if poison.is_some() {
            poison
        } else if self.strikes(Fault::Refused) {
            Some([PublishErrorKind::Retriable, PublishErrorKind::Throttled][self.rng.usize(..2)])
        } else if self.strikes(Fault::Unreachable) {
            let scope = [Scope::Publisher, Scope::Topic, Scope::Partition][self.rng.usize(..3)];
            Some(PublishErrorKind::Unavailable(scope))
        } else if message.topic() == "other" && self.now < self.away_until {
            Some(PublishErrorKind::Unavailable(Scope::Topic))
        } else {
            None
        };
        let unavailable = matches!(refusal, Some(PublishErrorKind::Unavailable(_)));
        if refusal.is_none() || (unavailable && self.rng.u8(..3) == 0) {
            if letter {
                self.trace.event(self.now, id, || "is on the dead-letter topic".to_owned());
                self.oracle.lettered(id);
            } else {
                self.arrived(&message, || format!("by a call of relay {relay}.{life}, token {token}"));
            }
        }
        if letter && refusal == Some(PublishErrorKind::Rejected) {
            // It can never have it: the event dies without.
            self.oracle.lettered(id);
        }
        if !heard {
            return;
        }
        if let (false, Some(PublishErrorKind::Retriable | PublishErrorKind::Rejected)) = (letter, refusal) {
            self.oracle.refused(id);
        }
        let fact = match refusal {
            None => Fact::Delivered(vec![token]),
            Some(kind) => Fact::Refused {
                token,
                kind,
                error: "refused".into(),
                message: Box::new(message),
            },
        };
        let at = self.now + self.ms(0..20);
        self.answer_at(at, relay, life, vec![fact]);
    }
}

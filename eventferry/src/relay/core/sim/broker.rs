//! A broker that keeps the prefix rule within a session and partition, and promises nothing else.

use std::collections::{BTreeMap, VecDeque};

use super::world::{Event, World};
use crate::event::{IncomingMessage, Message, MessageId};
use crate::publish::{Presence, PublishErrorKind, Scope};
use crate::relay::core::{Cause, Command, Fact, HandOver, Now, PublishCommand, Way};

const PARTITIONS: u32 = 3;

/// What the world was told of one event that arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) message_id: MessageId,
    pub(super) how: String,
}

/// Messages handed over to one session and not yet answered, by partition, in order.
#[derive(Debug, Default)]
pub(super) struct SimSession {
    pub(super) number: u64,
    pub(super) queues: BTreeMap<(String, i32), VecDeque<(u64, Message)>>,
    pub(super) broken: bool,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) log: Vec<Arrival>,
}

impl Broker {
    pub(super) fn append(&mut self, message: &Message, how: String) {
        let message_id = message.message_id().expect("every message carries its id");
        self.log.push(Arrival { message_id, how });
    }
}

impl World {
    pub(super) fn publish(&mut self, relay: usize, life: u64, command: Command) {
        let Command::Publish(command) = command else { return };
        let fact = match command {
            PublishCommand::Probe { number, .. } => {
                let chance = self.faults.broker;
                let presence = if self.unlucky(chance) { Presence::Away } else { Presence::There };
                Fact::Probed { number, presence }
            }
            PublishCommand::Describe(topic) => {
                let away = self.faults.topic_away && &*topic == "other" && self.now > Now::from_secs(1) && self.now < Now::from_secs(5);
                let chance = self.faults.broker;
                let partitions = if self.unlucky(chance) {
                    Err(PublishErrorKind::Unavailable(Scope::Publisher))
                } else if away {
                    Err(PublishErrorKind::Unavailable(Scope::Topic))
                } else {
                    Ok(PARTITIONS)
                };
                Fact::Described { topic, partitions }
            }
            PublishCommand::OpenSession { session, .. } => {
                self.relays[relay].session = Some(SimSession {
                    number: session,
                    ..SimSession::default()
                });
                Fact::SessionOpened { session }
            }
            PublishCommand::CloseSession(session) => return self.end_session(relay, life, session, None, None),
            PublishCommand::HandOver(batch) => {
                for HandOver { token, way } in batch {
                    self.hand_over(relay, life, token, way);
                }
                return;
            }
        };
        self.after(
            0..30,
            Event::Answer {
                relay,
                life,
                facts: vec![fact],
            },
        );
    }

    fn hand_over(&mut self, relay: usize, life: u64, token: u64, way: Way) {
        match way {
            Way::Pipelined {
                partition, record, source, ..
            } => {
                let message = record.into_message(&source);
                let Some(session) = &mut self.relays[relay].session else { return };
                if session.broken {
                    return;
                }
                let (number, queue) = (session.number, (message.topic().to_owned(), partition));
                session.queues.entry(queue.clone()).or_default().push_back((token, message));
                self.after(
                    1..60,
                    Event::Deliver {
                        relay,
                        life,
                        session: number,
                        queue,
                    },
                );
            }
            Way::Plain { record, source } => {
                let message = record.into_message(&source);
                self.after(
                    1..40,
                    Event::PlainArrives {
                        relay,
                        life,
                        token,
                        message,
                    },
                );
            }
            Way::DeadLetter { .. } => panic!("no dead-letter topic is configured"),
        }
    }

    /// The broker takes the head of one partition's queue: delivered, refused, or the connection breaks before or after it was written.
    pub(super) fn deliver(&mut self, relay: usize, life: u64, number: u64, queue: &(String, i32)) {
        let sim = &mut self.relays[relay];
        if sim.life != life {
            return; // the process is gone, and what it had not sent with it
        }
        let alive = sim.up;
        let Some(session) = sim.session.as_mut().filter(|session| session.number == number && !session.broken) else {
            return;
        };
        let Some((token, message)) = session.queues.get_mut(queue).and_then(VecDeque::pop_front) else {
            return;
        };
        if !alive && self.rng.f64() < 0.5 {
            // Of what a killed process had sent, a prefix arrives.
            if let Some(session) = &mut self.relays[relay].session {
                session.queues.remove(queue);
            }
            return;
        }
        if self.is_poisoned(&message) || self.unlucky(self.faults.refuse) {
            return self.end_session(
                relay,
                life,
                number,
                Some(queue),
                Some(Cause {
                    token: Some(token),
                    kind: PublishErrorKind::Retriable,
                }),
            );
        }
        let breaks = self.unlucky(self.faults.broker / 4.0);
        if breaks && self.rng.bool() {
            return self.end_session(
                relay,
                life,
                number,
                Some(queue),
                Some(Cause {
                    token: None,
                    kind: PublishErrorKind::Unavailable(Scope::Publisher),
                }),
            );
        }
        let how = format!("{:?} relay {relay}.{life} session {number} token {token}", self.now);
        self.broker.append(&message, how);
        if breaks {
            return self.end_session(
                relay,
                life,
                number,
                Some(queue),
                Some(Cause {
                    token: None,
                    kind: PublishErrorKind::Unavailable(Scope::Publisher),
                }),
            );
        }
        self.after(
            0..10,
            Event::Answer {
                relay,
                life,
                facts: vec![Fact::Delivered(vec![token])],
            },
        );
    }

    /// Of each partition a prefix still arrives, and a prefix of that is confirmed; a delivery is always told before the end is.
    fn end_session(&mut self, relay: usize, life: u64, number: u64, stopped: Option<&(String, i32)>, cause: Option<Cause>) {
        let Some(session) = self.relays[relay]
            .session
            .as_mut()
            .filter(|session| session.number == number && !session.broken)
        else {
            return;
        };
        session.broken = true;
        let queues = std::mem::take(&mut session.queues);
        let mut confirmed = Vec::new();
        for (key, queue) in queues {
            if stopped == Some(&key) {
                continue;
            }
            let arrive = self.rng.usize(..=queue.len());
            let confirm = self.rng.usize(..=arrive);
            for (n, (token, message)) in queue.into_iter().enumerate().take(arrive) {
                if self.is_poisoned(&message) {
                    break;
                }
                let how = format!("{:?} relay {relay}.{life} end of session {number} token {token}", self.now);
                self.broker.append(&message, how);
                if n < confirm {
                    confirmed.push(token);
                }
            }
        }
        // Deliveries whose answers are under way come first: the end takes longer than any of them.
        self.after(
            11..40,
            Event::Answer {
                relay,
                life,
                facts: vec![Fact::Delivered(confirmed), Fact::SessionOver { session: number, cause }],
            },
        );
    }

    pub(super) fn plain_arrives(&mut self, relay: usize, life: u64, token: u64, message: Message) {
        let refused = |kind, message| Fact::Refused {
            token,
            kind,
            error: "refused".into(),
            message: Box::new(message),
        };
        let chance = self.faults.broker;
        let fact = if self.is_poisoned(&message) {
            refused(PublishErrorKind::Retriable, message)
        } else if self.unlucky(self.faults.refuse) {
            refused(
                if self.rng.bool() {
                    PublishErrorKind::Retriable
                } else {
                    PublishErrorKind::Throttled
                },
                message,
            )
        } else if self.unlucky(chance / 2.0) {
            let scope = [Scope::Publisher, Scope::Topic, Scope::Partition][self.rng.usize(..3)];
            refused(PublishErrorKind::Unavailable(scope), message)
        } else {
            let how = format!("{:?} relay {relay}.{life} plain token {token}", self.now);
            self.broker.append(&message, how);
            if self.unlucky(chance / 2.0) {
                refused(PublishErrorKind::Unavailable(Scope::Partition), message)
            } else {
                Fact::Delivered(vec![token])
            }
        };
        self.after(
            0..20,
            Event::Answer {
                relay,
                life,
                facts: vec![fact],
            },
        );
    }

    fn is_poisoned(&mut self, message: &Message) -> bool {
        let Some(id) = message.message_id() else { return false };
        // Decided once for each event, by its own id, so that every relay agrees.
        let share = f64::from(u16::from_be_bytes([id.as_bytes()[0], id.as_bytes()[1]])) / f64::from(u16::MAX);
        share < self.faults.poison && {
            self.poisoned.insert(id);
            true
        }
    }
}

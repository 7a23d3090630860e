//! Kafka as far as order and loss depend on it: partitions that check sequence numbers, and an idempotent client with librdkafka's holes.
//!
//! A partition takes any first sequence number of a producer it does not know (a *cold* partition), and forgets producers that are idle. A
//! client keeps up to five batches in flight on each; it repeats what may be repeated, and takes "written before" for a success, without an
//! offset. Between it and the relay stand the session's own rules: the warm rule is the real one, and so is the question for an offset.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::broker::{Place, SessionId, message_id};
use super::event::Event;
use super::plan::{Broker, Fault};
use super::world::World;
use crate::event::Message;
use crate::mutant::{Mutant, mutant};
use crate::publish::PublishErrorKind;
use crate::publish::kafka::{Flow, WarmRule, is_in_log};
use crate::relay::core::{Cause, Fact, Now};

/// Batches in flight on one partition.
const IN_FLIGHT: usize = 5;
/// Batches of each producer that a partition remembers.
const REMEMBERED: usize = 5;
/// What librdkafka reports as the offset of a record that it takes to have been written before.
const NO_OFFSET: i64 = -1001;

#[derive(Debug)]
pub(super) struct Kafka {
    start: Instant,
    partitions: BTreeMap<Place, Partition>,
    clients: BTreeMap<SessionId, Client>,
    producers: u64,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            partitions: BTreeMap::new(),
            clients: BTreeMap::new(),
            producers: 0,
        }
    }
}

/// Something that happens between a client and its broker.
#[derive(Debug)]
pub(super) enum Step {
    /// A batch reaches the broker.
    Arrives(SessionId, Place, u64),
    /// Its answer reaches the client.
    Answered(SessionId, Place, u64, Answer),
    /// The session is closed.
    Closes(SessionId, Option<Cause>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    At(i64),
    WrittenBefore,
    OutOfOrder,
    Refused(PublishErrorKind),
    Again,
}

#[derive(Debug, Default)]
struct Partition {
    offset: i64,
    producers: BTreeMap<u64, Producer>,
}

#[derive(Debug)]
struct Producer {
    next: i64,
    last: Now,
    remembered: VecDeque<(i64, i64)>,
}

impl Partition {
    /// Takes a batch, or says why not.
    fn append(&mut self, producer: u64, first: i64, count: i64, now: Now, expiry: Duration) -> (Answer, bool) {
        self.producers.retain(|_, known| now < known.last + expiry);
        let known = self.producers.entry(producer).or_insert(Producer {
            next: first,
            last: now,
            remembered: VecDeque::new(),
        });
        if first > known.next {
            return (Answer::OutOfOrder, false);
        }
        if first < known.next {
            let before = known.remembered.iter().find(|(number, _)| *number == first);
            return (before.map_or(Answer::WrittenBefore, |(_, offset)| Answer::At(*offset)), false);
        }
        let offset = self.offset;
        self.offset += count;
        known.next += count;
        known.last = now;
        known.remembered.push_back((first, offset));
        if known.remembered.len() > REMEMBERED {
            known.remembered.pop_front();
        }
        (Answer::At(offset), true)
    }
}

#[derive(Debug)]
struct Client {
    producer: u64,
    places: BTreeMap<Place, Pipe>,
    /// Nothing is handed to it any more.
    over: bool,
    /// It gave up: nothing of it is sent any more.
    fatal: bool,
    closed: bool,
    batches: u64,
    told: Now,
}

#[derive(Debug)]
struct Pipe {
    flow: Flow,
    producer: u64,
    sequence: i64,
    queue: VecDeque<(u64, Message)>,
    in_flight: VecDeque<Batch>,
    last_arrival: Now,
    /// The connection went with the process: nothing after what was lost arrives.
    cut: bool,
}

#[derive(Debug, Clone)]
struct Batch {
    number: u64,
    producer: u64,
    first: i64,
    records: Vec<(u64, Message)>,
}

impl World {
    fn rules(&self) -> (WarmRule, Duration, Duration) {
        match self.plan.broker {
            Broker::Kafka { rule, idle, expiry } => (rule, idle, expiry),
            Broker::Plain | Broker::Sessions => (WarmRule::Kept, Duration::MAX, Duration::MAX),
        }
    }

    fn client(&mut self, id: SessionId) -> Option<&mut Client> {
        self.kafka.clients.get_mut(&id).filter(|client| !client.closed)
    }

    fn kafka_after(&mut self, range: std::ops::Range<u64>, step: Step) {
        self.after(range, Event::Kafka(step));
    }

    pub(super) fn open_kafka(&mut self, id: SessionId) {
        self.kafka.producers += 1;
        let client = Client {
            producer: self.kafka.producers,
            places: BTreeMap::new(),
            over: false,
            fatal: false,
            closed: false,
            batches: 0,
            told: self.now,
        };
        self.kafka.clients.insert(id, client);
    }

    pub(super) fn close_kafka(&mut self, id: SessionId, cause: Option<Cause>) {
        let (relay, life, number) = id;
        let told = self.now + self.ms(1..30);
        let Some(client) = self.client(id) else { return };
        client.closed = true;
        let told = client.told.max(told);
        for pipe in client.places.values_mut() {
            pipe.queue.clear();
        }
        self.answer_at(told, relay, life, vec![Fact::SessionOver { session: number, cause }]);
    }

    pub(super) fn hand_to_kafka(&mut self, id: SessionId, place: Place, token: u64, message: Message) {
        let (rule, idle, _) = self.rules();
        let now = self.kafka.start + self.now;
        let Some(client) = self.client(id).filter(|client| !client.over) else {
            return;
        };
        let producer = client.producer;
        let pipe = client.places.entry(place).or_insert_with(|| Pipe {
            flow: Flow::new(rule),
            producer,
            sequence: 0,
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            last_arrival: Now::ZERO,
            cut: false,
        });
        if pipe.flow.is_clear() && pipe.flow.open(now, idle) {
            pipe.flow.sent();
            pipe.queue.push_back((token, message));
            self.send_batches(id, place);
        } else {
            pipe.flow.wait((token, message));
        }
    }

    fn send_batches(&mut self, id: SessionId, place: Place) {
        loop {
            let count = self.rng.usize(1..=4);
            let Some(client) = self.client(id).filter(|client| !client.fatal) else {
                return;
            };
            let Some(pipe) = client.places.get_mut(&place) else { return };
            if pipe.in_flight.len() >= IN_FLIGHT || pipe.queue.is_empty() {
                return;
            }
            client.batches += 1;
            let records: Vec<_> = pipe.queue.drain(..pipe.queue.len().min(count)).collect();
            let (number, first) = (client.batches, pipe.sequence);
            pipe.sequence += i64::try_from(records.len()).unwrap_or(0);
            pipe.in_flight.push_back(Batch {
                number,
                producer: pipe.producer,
                first,
                records,
            });
            self.send_batch(id, place, number);
        }
    }

    /// Requests of one connection arrive in the order in which they were sent.
    fn send_batch(&mut self, id: SessionId, place: Place, number: u64) {
        let at = self.now + self.ms(1..20);
        let Some(pipe) = self.kafka.clients.get_mut(&id).and_then(|client| client.places.get_mut(&place)) else {
            return;
        };
        let at = at.max(pipe.last_arrival);
        pipe.last_arrival = at;
        self.at(at, Event::Kafka(Step::Arrives(id, place, number)));
    }

    pub(super) fn kafka_step(&mut self, step: Step) {
        match step {
            Step::Arrives(id, place, number) => self.batch_arrives(id, place, number),
            Step::Answered(id, place, number, answer) => self.batch_answered(id, place, number, answer),
            Step::Closes(id, cause) => self.close_kafka(id, cause),
        }
    }

    fn batch_arrives(&mut self, id: SessionId, place: Place, number: u64) {
        let (relay, life, session) = id;
        let gone = !self.is_up(relay, life) || self.kafka.clients.get(&id).is_none_or(|client| client.closed);
        let lost = gone && self.rng.u8(..3) == 0;
        let Some(pipe) = self.kafka.clients.get_mut(&id).and_then(|client| client.places.get_mut(&place)) else {
            return;
        };
        pipe.cut |= lost;
        let Some(batch) = pipe
            .in_flight
            .iter()
            .find(|batch| batch.number == number)
            .filter(|_| !pipe.cut)
            .cloned()
        else {
            return;
        };
        let (_, _, expiry) = self.rules();
        let poison = batch.records.iter().find_map(|(_, message)| self.poison(message_id(message)));
        let answer = if let Some(kind) = poison {
            Answer::Refused(kind)
        } else if self.strikes(Fault::BatchRefused) {
            Answer::Refused(PublishErrorKind::Retriable)
        } else if self.strikes(Fault::BatchDelayed) {
            Answer::Again
        } else {
            let breaks = self.strikes(Fault::SessionBreaks);
            let count = i64::try_from(batch.records.len()).unwrap_or(0);
            if breaks && self.rng.bool() {
                Answer::Again
            } else {
                let now = self.now;
                let partition = self.kafka.partitions.entry(place).or_default();
                let (answer, written) = partition.append(batch.producer, batch.first, count, now, expiry);
                for (token, message) in batch.records.iter().filter(|_| written) {
                    self.arrived(message, || format!("in session {session} of relay {relay}.{life}, token {token}"));
                }
                if breaks { Answer::Again } else { answer }
            }
        };
        self.kafka_after(1..3, Step::Answered(id, place, number, answer));
    }

    fn batch_answered(&mut self, id: SessionId, place: Place, number: u64, answer: Answer) {
        let gapless = !mutant(Mutant::NoGapless);
        let fresh = self.kafka.producers + 1;
        let Some(client) = self.client(id) else { return };
        let fatal = client.fatal;
        let Some(pipe) = client.places.get_mut(&place) else { return };
        let Some(at) = pipe.in_flight.iter().position(|batch| batch.number == number) else {
            return;
        };
        match answer {
            Answer::OutOfOrder | Answer::Again if fatal => {
                pipe.in_flight.remove(at);
            }
            Answer::OutOfOrder | Answer::Again => {
                // Sent again; after a batch was given up, with the numbers of a new epoch.
                let count = i64::try_from(pipe.in_flight[at].records.len()).unwrap_or(0);
                if pipe.in_flight[at].producer != pipe.producer {
                    (pipe.in_flight[at].producer, pipe.in_flight[at].first) = (pipe.producer, pipe.sequence);
                    pipe.sequence += count;
                }
                self.send_batch(id, place, number);
            }
            Answer::Refused(kind) => {
                let refused = pipe.in_flight.remove(at);
                if gapless {
                    client.fatal = true;
                } else {
                    pipe.producer = fresh;
                    pipe.sequence = 0;
                    self.kafka.producers = fresh;
                }
                let token = refused.and_then(|batch| batch.records.first().map(|(token, _)| *token));
                self.fail(id, token, kind);
                self.send_batches(id, place);
            }
            Answer::At(_) | Answer::WrittenBefore => {
                let offset = if let Answer::At(offset) = answer { offset } else { NO_OFFSET };
                let records = pipe.in_flight.remove(at).map(|batch| batch.records).unwrap_or_default();
                self.report(id, place, &records, offset);
                self.send_batches(id, place);
            }
        }
    }

    /// The client reports a success.
    fn report(&mut self, id: SessionId, place: Place, records: &[(u64, Message)], offset: i64) {
        let (_, idle, _) = self.rules();
        let now = self.kafka.start + self.now;
        let (relay, life, _) = id;
        let told = self.now + self.ms(0..10);
        if !is_in_log(offset) {
            return self.fail(id, records.first().map(|(token, _)| *token), PublishErrorKind::Retriable);
        }
        let Some(client) = self.client(id) else { return };
        let over = client.over;
        let Some(pipe) = client.places.get_mut(&place) else { return };
        for _ in records {
            pipe.flow.acked(now);
        }
        while !over && pipe.flow.open(now, idle) {
            let Some(next) = pipe.flow.next() else { break };
            pipe.flow.sent();
            pipe.queue.push_back(next);
        }
        client.told = client.told.max(told);
        let (told, tokens) = (client.told, records.iter().map(|(token, _)| *token).collect());
        self.answer_at(told, relay, life, vec![Fact::Delivered(tokens)]);
    }

    /// The client reports a failure: the first one ends the session.
    fn fail(&mut self, id: SessionId, token: Option<u64>, kind: PublishErrorKind) {
        let Some(client) = self.client(id) else { return };
        if !std::mem::replace(&mut client.over, true) {
            self.kafka_after(1..20, Step::Closes(id, Some(Cause { token, kind })));
        }
    }
}

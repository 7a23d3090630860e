//! A pipelined session: one idempotent, gapless client from creation to destruction.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use tokio::sync::Notify;

use crate::event::Message;
use crate::publish::kafka::client;
use crate::publish::kafka::config::setup_failure;
use crate::publish::kafka::error::{code_of, failure, kind_of_batch};
use crate::publish::kafka::plain::{Answer, answer, destroy, record};
use crate::publish::kafka::settings::Settings;
use crate::publish::kafka::warm::{Flow, WarmRule};
use crate::publish::{BoxFuture, Full, PublishError, PublishErrorKind, Report, Session};

/// The most events that may wait for their partition to become warm; librdkafka bounds what it holds itself.
const WAITING_LIMIT: usize = 100_000;

/// One partition of one topic, as this session sees it.
struct Place {
    topic: Arc<str>,
    partition: i32,
    flow: Flow,
}

/// What librdkafka's polling thread and the session share. The lock is held for a push or a swap, never across a call.
#[derive(Default)]
struct Shared {
    arrived: Mutex<Vec<Arrived>>,
    wake: Notify,
    /// Set by the first failure, before its report is even in the buffer: nothing is handed to the client any more.
    over: AtomicBool,
    /// The client gave up for a reason that belongs to no event.
    fatal: AtomicBool,
}

struct Arrived {
    ticket: Ticket,
    answer: Answer,
}

#[derive(Clone, Copy)]
struct Ticket {
    token: u64,
    place: usize,
}

impl Shared {
    fn push(&self, ticket: Ticket, answer: Answer) {
        if answer.is_err() {
            self.over.store(true, Ordering::Release);
        }
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.push(Arrived { ticket, answer });
        // Whoever waits takes all there is, so only the first of a batch has to wake it.
        let first = arrived.len() == 1;
        drop(arrived);
        if first {
            self.wake.notify_one();
        }
    }

    fn take(&self, into: &mut Vec<Arrived>) {
        mem::swap(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner), into);
    }
}

pub(super) struct KafkaSession {
    producer: Option<ThreadedProducer<SessionContext>>,
    shared: Arc<Shared>,
    topics: HashMap<Arc<str>, HashMap<i32, usize>>,
    places: Vec<Place>,
    /// Places with waiting events.
    held_back: BTreeSet<usize>,
    waiting: usize,
    taken: Vec<Arrived>,
    generation: Arc<AtomicU64>,
    seen_generation: u64,
    idle: Duration,
    warm_rule: WarmRule,
    failed: bool,
    purged: bool,
}

impl KafkaSession {
    /// Makes the client. Starts threads and may read certificates, so it runs beside the async threads.
    pub(super) fn open(settings: &Settings, generation: Arc<AtomicU64>) -> Result<Self, PublishError> {
        let shared = Arc::new(Shared::default());
        let context = SessionContext(Arc::clone(&shared));
        let producer = ThreadedProducer::from_config_and_context(&settings.pipelined(), context).map_err(|error| setup_failure(&error))?;
        let seen_generation = generation.load(Ordering::Acquire);
        Ok(Self {
            producer: Some(producer),
            shared,
            topics: HashMap::new(),
            places: Vec::new(),
            held_back: BTreeSet::new(),
            waiting: 0,
            taken: Vec::new(),
            generation,
            seen_generation,
            idle: match settings.warm_rule {
                WarmRule::Kept => settings.idle,
                WarmRule::Broken => Duration::MAX,
            },
            warm_rule: settings.warm_rule,
            failed: false,
            purged: false,
        })
    }

    fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::Acquire)
    }

    fn place(&mut self, topic: &str, partition: i32) -> usize {
        if let Some(place) = self.topics.get(topic).and_then(|partitions| partitions.get(&partition)) {
            return *place;
        }
        let place = self.places.len();
        let name = match self.topics.get_key_value(topic) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(topic),
        };
        self.topics.entry(Arc::clone(&name)).or_default().insert(partition, place);
        self.places.push(Place {
            topic: name,
            partition,
            flow: Flow::new(self.warm_rule),
        });
        place
    }

    /// Gives an event to the client, which has no say in its partition. A full client gives it back; any other refusal ends the session.
    fn send(&mut self, place: usize, token: u64, message: Message) -> Result<(), Message> {
        let Some(producer) = &self.producer else {
            return Err(message);
        };
        let ticket = Ticket { token, place };
        let partition = self.places[place].partition;
        let refused = producer
            .send(record(&message, Some(partition), Box::new(ticket)))
            .map_err(|(error, _)| code_of(&error));
        match refused {
            Ok(()) => self.places[place].flow.sent(),
            Err(RDKafkaErrorCode::QueueFull) => return Err(message),
            Err(code) => {
                self.places[place].flow.sent();
                self.shared.push(ticket, Err(code));
            }
        }
        Ok(())
    }

    /// Sends what waits on the places that may go on.
    fn pump(&mut self, now: Instant) {
        if self.held_back.is_empty() {
            return;
        }
        for place in mem::take(&mut self.held_back) {
            while !self.is_over() && self.places[place].flow.open(now, self.idle) {
                let Some((token, message)) = self.places[place].flow.next() else {
                    break;
                };
                if let Err(message) = self.send(place, token, message) {
                    self.places[place].flow.put_back((token, message));
                    break;
                }
                self.waiting -= 1;
            }
            if !self.places[place].flow.is_clear() {
                self.held_back.insert(place);
            }
        }
    }

    /// Turns what arrived into reports and lets go of what waited for it.
    fn settle(&mut self) -> Vec<Report> {
        let mut taken = mem::take(&mut self.taken);
        self.shared.take(&mut taken);
        if taken.is_empty() {
            self.taken = taken;
            return Vec::new();
        }
        let now = Instant::now();
        let mut reports = Vec::with_capacity(taken.len());
        for Arrived { ticket, answer } in taken.drain(..) {
            match answer {
                Ok(delivery) => {
                    self.places[ticket.place].flow.acked(now);
                    reports.push(Report::new(ticket.token, Ok(delivery)));
                }
                Err(code) => {
                    if let Some(error) = self.error(ticket.place, code) {
                        reports.push(Report::new(ticket.token, Err(error)));
                    }
                }
            }
        }
        self.taken = taken;
        if !self.is_over() {
            self.pump(now);
        }
        reports
    }

    /// The error for a failed event; none for one that only went down with the session, of which nothing is known.
    fn error(&mut self, place: usize, code: RDKafkaErrorCode) -> Option<PublishError> {
        let consequence = matches!(
            code,
            RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight | RDKafkaErrorCode::Fatal
        );
        if consequence && (self.failed || self.producer.is_none()) {
            return None;
        }
        self.failed = true;
        let cause = self
            .producer
            .as_ref()
            .filter(|_| consequence)
            .and_then(|p| p.client().fatal_error());
        let code = cause.map_or(code, |(code, _)| code);
        let topic = &self.places[place].topic;
        let attempt = "deliver in a pipelined session to";
        if code == RDKafkaErrorCode::NoOffset {
            return Some(PublishError::new(
                PublishErrorKind::Retriable,
                format!("failed to {attempt} topic `{topic}`: the client reported success without an offset"),
            ));
        }
        Some(failure(kind_of_batch(code), attempt, topic, code))
    }

    /// After an error that belongs to no event the client keeps what it has for ever: a purge makes it say so.
    fn purge_if_fatal(&mut self) {
        if !self.purged && self.shared.fatal.load(Ordering::Acquire) {
            self.purged = true;
            if let Some(producer) = &self.producer {
                producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
            }
        }
    }
}

impl Session for KafkaSession {
    fn hand_over(&mut self, token: u64, partition: i32, message: Message) -> Result<(), Full> {
        if self.is_over() {
            return Err(Full(message));
        }
        let generation = self.generation.load(Ordering::Acquire);
        if generation != self.seen_generation {
            self.seen_generation = generation;
            self.places.iter_mut().for_each(|place| place.flow.cool());
        }
        let place = self.place(message.topic(), partition);
        let flow = &mut self.places[place].flow;
        if flow.is_clear() && flow.open(Instant::now(), self.idle) {
            return self.send(place, token, message).map_err(Full);
        }
        if self.waiting >= WAITING_LIMIT {
            return Err(Full(message));
        }
        flow.wait((token, message));
        self.waiting += 1;
        self.held_back.insert(place);
        Ok(())
    }

    fn reports(&mut self) -> BoxFuture<'_, Vec<Report>> {
        Box::pin(async move {
            loop {
                self.purge_if_fatal();
                let reports = self.settle();
                if !reports.is_empty() {
                    return reports;
                }
                self.shared.wake.notified().await;
            }
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        self.shared.over.store(true, Ordering::Release);
        Box::pin(async move {
            if let Some(producer) = self.producer.take() {
                let destroyed = tokio::task::spawn_blocking(move || {
                    producer.purge(PurgeConfig::default().queue().inflight());
                    drop(producer);
                });
                if let Err(error) = destroyed.await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "failed to close a Kafka session cleanly");
                }
            }
            self.settle()
        })
    }
}

impl Drop for KafkaSession {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        destroy(self.producer.take());
    }
}

struct SessionContext(Arc<Shared>);

impl ClientContext for SessionContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        client::log(level, facility, line);
    }

    fn stats_raw(&self, json: &[u8]) {
        client::stats(json);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::client_error(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.0.over.store(true, Ordering::Release);
            self.0.fatal.store(true, Ordering::Release);
            self.0.wake.notify_one();
        }
    }
}

impl ProducerContext for SessionContext {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, report: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        self.0.push(*ticket, answer(report));
    }
}

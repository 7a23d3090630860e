//! A pipelined session: one idempotent, gapless client from creation to destruction.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tokio::time::timeout;

use crate::event::Message;
use crate::publish::kafka::error::{failure, kind_of_batch};
use crate::publish::kafka::gapless::{Arrived, SessionClient, Shared, Ticket};
use crate::publish::kafka::losses::Stillness;
use crate::publish::kafka::plain::{PlainProducer, destroy};
use crate::publish::kafka::settings::Settings;
use crate::publish::kafka::warm::{Flow, WarmRule};
use crate::publish::{BoxFuture, Full, PublishError, PublishErrorKind, Report, Session};

/// The most events that may wait for their partition to become warm; librdkafka bounds what it holds itself.
const WAITING_LIMIT: usize = 100_000;
/// How soon a client that was full, with nothing on its way, is tried again.
const ROOM: Duration = Duration::from_millis(1);

/// One partition of one topic, as this session sees it.
struct Place {
    topic: Arc<str>,
    partition: i32,
    flow: Flow,
    stillness: Stillness,
}

/// A partition whose connection is lost again and again under its events, while its leader is asked whether it is there.
struct Suspicion {
    place: usize,
    leader_answers: Arc<OnceLock<bool>>,
}

pub(super) struct KafkaSession {
    producer: Option<Arc<SessionClient>>,
    shared: Arc<Shared>,
    topics: HashMap<Arc<str>, HashMap<i32, usize>>,
    places: Vec<Place>,
    /// Places with waiting events.
    held_back: BTreeSet<usize>,
    waiting: usize,
    /// Given to the client and not answered yet.
    outstanding: usize,
    taken: Vec<Arrived>,
    generation: Arc<AtomicU64>,
    seen_generation: u64,
    idle: Duration,
    warm_rule: WarmRule,
    failed: bool,
    plain: PlainProducer,
    question: Duration,
    suspicion: Option<Suspicion>,
}

impl KafkaSession {
    /// Makes the client. Starts threads and may read certificates, so it runs beside the async threads.
    pub(super) fn open(settings: &Settings, generation: Arc<AtomicU64>, plain: PlainProducer) -> Result<Self, PublishError> {
        let shared = Arc::new(Shared::default());
        let producer = SessionClient::new(settings, Arc::clone(&shared))?;
        let seen_generation = generation.load(Ordering::Acquire);
        Ok(Self {
            producer: Some(Arc::new(producer)),
            shared,
            topics: HashMap::new(),
            places: Vec::new(),
            held_back: BTreeSet::new(),
            waiting: 0,
            outstanding: 0,
            taken: Vec::new(),
            generation,
            seen_generation,
            idle: match settings.warm_rule {
                WarmRule::Kept => settings.idle,
                WarmRule::Broken => Duration::MAX,
            },
            warm_rule: settings.warm_rule,
            failed: false,
            plain,
            question: settings.question_timeout(),
            suspicion: None,
        })
    }

    /// The client, for as long as the session has it.
    pub(super) fn client(&self) -> Option<Arc<SessionClient>> {
        self.producer.clone()
    }

    fn is_over(&self) -> bool {
        self.shared.is_over()
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
            stillness: Stillness::default(),
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
        let refused = producer.send(&message, partition, ticket);
        if refused == Err(RDKafkaErrorCode::QueueFull) {
            return Err(message);
        }
        self.places[place].flow.sent();
        self.places[place].stillness.sent(token);
        self.outstanding += 1;
        if let Err(code) = refused {
            self.shared.push(ticket, Err(code));
        }
        Ok(())
    }

    /// Sends what waits on the places that may go on; nothing, once the session is over.
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
        let now = Instant::now();
        let mut reports = Vec::with_capacity(taken.len());
        self.outstanding = self.outstanding.saturating_sub(taken.len());
        for Arrived { ticket, answer } in taken.drain(..) {
            match answer {
                Ok(delivery) => {
                    self.places[ticket.place].flow.acked(now);
                    self.places[ticket.place].stillness.delivered(ticket.token);
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
        self.pump(now);
        self.watch();
        reports.extend(self.judge());
        reports.extend(self.last_word());
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
        let cause = self.producer.as_ref().filter(|_| consequence).and_then(|p| p.fatal());
        let code = cause.unwrap_or(code);
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

    /// Looks for a partition whose connection is lost again and again under its events, and asks its leader whether it is there.
    fn watch(&mut self) {
        let Some(losses) = self.shared.losses() else { return };
        let mut suspects = Vec::new();
        for (number, place) in self.places.iter_mut().enumerate() {
            let lost = losses.of(&place.topic, place.partition);
            if place.stillness.suspicious(lost) {
                suspects.push(number);
            }
        }
        if self.suspicion.is_none()
            && !self.is_over()
            && let Some(place) = suspects.first().copied()
        {
            let Place { topic, partition, .. } = &self.places[place];
            let (plain, topic, partition, question) = (self.plain.clone(), Arc::clone(topic), *partition, self.question);
            let (shared, leader_answers) = (Arc::clone(&self.shared), Arc::default());
            self.suspicion = Some(Suspicion {
                place,
                leader_answers: Arc::clone(&leader_answers),
            });
            tokio::task::spawn_blocking(move || {
                leader_answers.get_or_init(|| plain.ask_leader(&topic, partition, question).is_ok());
                shared.wake.notify_one();
            });
        }
    }

    /// The report that ends the session for a partition under suspicion, if its leader is there and nothing moved meanwhile.
    fn judge(&mut self) -> Option<Report> {
        let suspicion = self.suspicion.take_if(|suspicion| suspicion.leader_answers.get().is_some())?;
        let place = &mut self.places[suspicion.place];
        if suspicion.leader_answers.get() != Some(&true) || place.stillness.moved() || self.failed || self.shared.is_over() {
            place.stillness.forgive();
            return None;
        }
        let token = place.stillness.oldest()?;
        let text = format!(
            "failed to deliver in a pipelined session to topic `{}`: the broker closes the connection on what is sent to partition {}, and answers \
             when it is asked; its events go on one by one; compare batch.size with the broker's socket.request.max.bytes",
            place.topic, place.partition
        );
        self.failed = true;
        self.shared.over.store(true, Ordering::Release);
        Some(Report::new(token, Err(PublishError::new(PublishErrorKind::Retriable, text))))
    }

    /// The report of a client that gave up while it had no event that could tell: one that waits for its partition does.
    fn last_word(&mut self) -> Option<Report> {
        if !self.is_over() || self.failed || self.outstanding > 0 {
            return None;
        }
        let place = *self.held_back.first()?;
        let (token, _) = self.places[place].flow.next()?;
        let error = self.error(place, RDKafkaErrorCode::Fatal)?;
        Some(Report::new(token, Err(error)))
    }
}

impl Session for KafkaSession {
    fn hand_over(&mut self, token: u64, partition: i32, message: Message) -> Result<(), Full> {
        if self.is_over() {
            if self.failed || self.outstanding > 0 || self.producer.is_none() {
                return Err(Full(message));
            }
            // The client gave up while it had no event whose report could say so: this one does.
            let place = self.place(message.topic(), partition);
            self.outstanding += 1;
            self.shared.push(Ticket { token, place }, Err(RDKafkaErrorCode::Fatal));
            return Ok(());
        }
        let generation = self.generation.load(Ordering::Acquire);
        if generation != self.seen_generation {
            self.seen_generation = generation;
            self.places.iter_mut().for_each(|place| place.flow.cool());
        }
        let place = self.place(message.topic(), partition);
        let flow = &mut self.places[place].flow;
        let message = if flow.is_clear() && flow.open(Instant::now(), self.idle) {
            match self.send(place, token, message) {
                Ok(()) => return Ok(()),
                Err(message) if self.outstanding > 0 => return Err(Full(message)),
                // The client makes room a moment after its last report, so no further report would call the caller back.
                Err(message) => message,
            }
        } else {
            message
        };
        if self.waiting >= WAITING_LIMIT {
            return Err(Full(message));
        }
        self.places[place].flow.wait((token, message));
        self.waiting += 1;
        self.held_back.insert(place);
        Ok(())
    }

    fn reports(&mut self) -> BoxFuture<'_, Vec<Report>> {
        Box::pin(async move {
            loop {
                let reports = self.settle();
                if !reports.is_empty() {
                    return reports;
                }
                let report = self.shared.wake.notified();
                if self.held_back.is_empty() || self.outstanding > 0 || self.is_over() {
                    report.await;
                } else {
                    // Nothing is on its way that would wake us: only the client's full queue holds the events back.
                    let _ = timeout(ROOM, report).await;
                }
            }
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        self.shared.over.store(true, Ordering::Release);
        Box::pin(async move {
            if let Some(producer) = self.producer.take() {
                let destroyed = tokio::task::spawn_blocking(move || {
                    producer.end();
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

#[cfg(test)]
mod tests;

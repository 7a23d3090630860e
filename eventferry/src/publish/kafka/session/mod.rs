//! A pipelined session: one idempotent, gapless client from creation to destruction.

mod end;

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tokio::time::timeout;

use crate::event::Message;
use crate::publish::kafka::clock::Era;
use crate::publish::kafka::current::Dated;
use crate::publish::kafka::gapless::{Arrived, SessionClient, Shared, Ticket};
use crate::publish::kafka::losses::Stillness;
use crate::publish::kafka::plain::{PlainProducer, destroy};
use crate::publish::kafka::settings::Settings;
use crate::publish::kafka::warm::{Flow, WarmRule};
use crate::publish::{BoxFuture, Full, PublishError, Report, Session};

/// The most events that may wait for their partition to become warm; librdkafka bounds what it holds itself.
const WAITING_LIMIT: usize = 100_000;
/// How long closing may take: what the client gave up, and the end of its threads.
const CLOSE: Duration = Duration::from_secs(10);
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
    /// When the client was made.
    era: Era,
}

impl KafkaSession {
    /// Makes the client. Starts threads and may read certificates, so it runs beside the async threads.
    pub(super) fn open(settings: &Settings, generation: Arc<AtomicU64>, plain: Dated) -> Result<Self, PublishError> {
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
            plain: plain.client,
            question: settings.question_timeout(),
            suspicion: None,
            era: plain.era,
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
        // A client that was there when the clock was set back is given nothing more.
        if !self.era.is_over() {
            self.pump(now);
        }
        self.watch();
        reports.extend(self.judge());
        reports.extend(self.outlived());
        reports.extend(self.last_word());
        reports
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
        let stale = self.outstanding == 0 && self.era.is_over();
        let message = if !stale && flow.is_clear() && flow.open(Instant::now(), self.idle) {
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
                if !self.held_back.is_empty() && self.outstanding == 0 && !self.is_over() {
                    // Nothing is on its way that would wake us: only the client's full queue holds the events back.
                    let _ = timeout(ROOM, report).await;
                } else {
                    let at_work = self.outstanding > 0 && !self.failed;
                    tokio::select! {
                        () = report => {}
                        () = self.era.ended(), if at_work => {}
                    }
                }
            }
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        self.shared.over.store(true, Ordering::Release);
        Box::pin(async move {
            if let Some(producer) = self.producer.take() {
                let destroy = move || {
                    producer.end();
                    drop(producer);
                };
                if self.era.call(CLOSE, destroy).await.is_none() {
                    tracing::warn!("a Kafka session was left before its client had ended, which it does by itself");
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

//! The idempotent, gapless client of a session, and what its polling thread leaves for the session.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use tokio::sync::Notify;

use crate::event::Message;
use crate::publish::PublishError;
use crate::publish::kafka::client;
use crate::publish::kafka::config::setup_failure;
use crate::publish::kafka::error::code_of;
use crate::publish::kafka::losses::Losses;
use crate::publish::kafka::plain::{Answer, answer, record};
use crate::publish::kafka::settings::Settings;

/// How long closing waits for the client to say what it gave up; it need not ask anybody.
const FLUSH: Duration = Duration::from_secs(1);

/// The client of a session.
pub(super) struct SessionClient(ThreadedProducer<SessionContext>);

impl SessionClient {
    /// Makes the client. Starts threads and may read certificates, so it runs beside the async threads.
    pub(super) fn new(settings: &Settings, shared: Arc<Shared>) -> Result<Self, PublishError> {
        let context = SessionContext {
            shared,
            tell_statistics: settings.wants_statistics(),
        };
        ThreadedProducer::from_config_and_context(&settings.pipelined(), context)
            .map(Self)
            .map_err(|error| setup_failure(&error))
    }

    /// Gives an event to the client, which has no say in its partition.
    pub(super) fn send(&self, message: &Message, partition: i32, ticket: Ticket) -> Result<(), RDKafkaErrorCode> {
        let record = record(message, Some(partition), Box::new(ticket));
        self.0.send(record).map_err(|(error, _)| code_of(&error))
    }

    /// Why the client gave up, if it did.
    pub(super) fn fatal(&self) -> Option<RDKafkaErrorCode> {
        self.0.client().fatal_error().map(|(code, _)| code)
    }

    /// Asks the broker about a topic, so that this client knows its partitions. Blocks.
    pub(super) fn refresh(&self, topic: &str, timeout: Duration) {
        if let Err(error) = self.0.client().fetch_metadata(Some(topic), timeout) {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                topic,
                "a session could not ask about a changed topic"
            );
        }
    }

    /// Gives up everything and takes what is known of it. Blocks; the last owner destroys the client.
    pub(super) fn end(&self) {
        self.0.purge(PurgeConfig::default().queue().inflight());
        if let Err(error) = self.0.flush(FLUSH) {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a session closed with events of unknown outcome"
            );
        }
    }
}

impl fmt::Debug for SessionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionClient")
    }
}

/// What librdkafka's polling thread and the session share. The lock is held for a push or a swap, never across a call.
#[derive(Default)]
pub(super) struct Shared {
    arrived: Mutex<Vec<Arrived>>,
    pub(super) wake: Notify,
    /// What was counted last, until the session looks.
    losses: Mutex<Option<Losses>>,
    /// Set by the first failure, before its report is even in the buffer: nothing is handed to the client any more.
    pub(super) over: AtomicBool,
}

pub(super) struct Arrived {
    pub(super) ticket: Ticket,
    pub(super) answer: Answer,
}

#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub(super) token: u64,
    pub(super) place: usize,
}

impl Shared {
    pub(super) fn push(&self, ticket: Ticket, answer: Answer) {
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

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(super) fn counted(&self, losses: Losses) {
        *self.losses.lock().unwrap_or_else(PoisonError::into_inner) = Some(losses);
    }

    /// What was counted since the session looked.
    pub(super) fn losses(&self) -> Option<Losses> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn take(&self, into: &mut Vec<Arrived>) {
        mem::swap(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner), into);
    }
}

struct SessionContext {
    shared: Arc<Shared>,
    tell_statistics: bool,
}

impl ClientContext for SessionContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        client::log(level, facility, line);
    }

    fn stats_raw(&self, json: &[u8]) {
        if self.tell_statistics {
            client::stats(json);
        }
        if let Some(losses) = Losses::read(json) {
            self.shared.counted(losses);
            self.shared.wake.notify_one();
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::client_error(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            // The client gives up what it has queued and reports it. Where it has nothing, the session has the last word.
            self.shared.over.store(true, Ordering::Release);
            self.shared.wake.notify_one();
        }
    }
}

impl ProducerContext for SessionContext {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, report: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        self.shared.push(*ticket, answer(report));
    }
}

//! What the client says of the events of one batch.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use crate::publish::Delivery;
use crate::publish::kafka::client;
use crate::publish::kafka::plain::{Answer, answer};

/// An event of the batch, and what it failed with.
pub(super) type Failed = (usize, RDKafkaErrorCode);

/// The answers of the batch under way.
#[derive(Default)]
pub(super) struct BatchContext {
    batch: Mutex<Batch>,
    answered: Condvar,
}

#[derive(Default)]
struct Batch {
    answers: Vec<Option<Delivery>>,
    failed: Option<Failed>,
}

impl BatchContext {
    fn batch(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, events: usize) {
        let mut batch = self.batch();
        batch.answers.clear();
        batch.answers.resize(events, None);
        batch.failed = None;
    }

    /// Waits for any answer.
    pub(super) fn wait(&self, timeout: Duration) {
        drop(self.answered.wait_timeout(self.batch(), timeout));
    }

    /// The first event that failed.
    pub(super) fn failed(&self) -> Option<Failed> {
        self.batch().failed
    }

    /// All answers of a committed batch. One without an offset, or none at all, is no delivery.
    pub(super) fn answers(&self) -> Result<Vec<Delivery>, Failed> {
        let batch = self.batch();
        if let Some(failed) = batch.failed {
            return Err(failed);
        }
        let missing = |(place, answer): (usize, &Option<_>)| answer.ok_or((place, RDKafkaErrorCode::NoOffset));
        batch.answers.iter().enumerate().map(missing).collect()
    }

    fn take(&self, place: usize, answer: Answer) {
        let mut batch = self.batch();
        match answer {
            Ok(delivery) => {
                if let Some(slot) = batch.answers.get_mut(place) {
                    *slot = Some(delivery);
                }
            }
            // Only the first is a cause; the others go down with it.
            Err(code) => {
                batch.failed.get_or_insert((place, code));
            }
        }
        drop(batch);
        self.answered.notify_one();
    }
}

impl ClientContext for BatchContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        client::log(level, facility, line);
    }

    fn stats_raw(&self, json: &[u8]) {
        client::stats(json);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::client_error(&error, reason);
    }
}

impl ProducerContext for BatchContext {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, report: &DeliveryResult<'_>, place: Self::DeliveryOpaque) {
        self.take(*place, answer(report));
    }
}

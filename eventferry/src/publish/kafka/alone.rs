//! An event whose connection is lost again and again: is it the event?
//!
//! A broker closes the connection on a request it will not even read, such as one above its `socket.request.max.bytes`. From here that looks
//! like an outage, and one event could pose as an outage for ever. So the event goes through a client of its own, where no other event can be
//! taken for it, and the leader of its partition is asked something before and after.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::event::Message;
use crate::publish::kafka::error::code_of;
use crate::publish::kafka::plain::PlainProducer;
use crate::publish::kafka::settings::Settings;
use crate::publish::{Delivery, PublishError};

/// How many connections an event must have cost, alone.
const ENOUGH: usize = 3;

/// What came out.
#[derive(Debug)]
pub(super) enum Trial {
    /// It was delivered: another event had taken its connection with it.
    Delivered(Delivery),
    /// The connection was lost each time, and the leader answered each time.
    Guilty,
    /// Something else failed, or the leader did not answer.
    Failed(RDKafkaErrorCode),
    /// There was no time for it.
    Postponed,
}

/// Tries such events, one at a time: each trial costs a client.
#[derive(Debug)]
pub(super) struct Trials(Semaphore);

impl Trials {
    pub(super) fn new() -> Self {
        Self(Semaphore::new(1))
    }

    /// Publishes an event alone, before `until`.
    ///
    /// # Errors
    /// Those of making a client.
    pub(super) async fn try_alone(
        &self,
        settings: &Settings,
        message: &Message,
        partition: i32,
        until: Instant,
    ) -> Result<Trial, PublishError> {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(Ok(turn)) = timeout(left, self.0.acquire()).await else {
            return Ok(Trial::Postponed);
        };
        let (settings, message) = (settings.clone(), message.clone());
        let tried = tokio::task::spawn_blocking(move || {
            let client = PlainProducer::alone(&settings)?;
            Ok(run(&client, &message, partition, settings.question_timeout(), until))
        })
        .await;
        drop(turn);
        tried.unwrap_or(Ok(Trial::Postponed))
    }
}

/// Blocks.
fn run(client: &PlainProducer, message: &Message, partition: i32, question: Duration, until: Instant) -> Trial {
    for lost in 0..=ENOUGH {
        if until.saturating_duration_since(Instant::now()) < question * 2 {
            return Trial::Postponed;
        }
        if let Err(error) = client.ask_leader(message.topic(), partition, question) {
            return Trial::Failed(code_of(&error));
        }
        if lost == ENOUGH {
            break;
        }
        let answer = match client.send(message, Some(partition)) {
            Ok(receiver) => receiver.blocking_recv().unwrap_or(Err(RDKafkaErrorCode::DestroyBroker)),
            Err(code) => Err(code),
        };
        match answer {
            Ok(delivery) => return Trial::Delivered(delivery),
            Err(RDKafkaErrorCode::BrokerTransportFailure) => {}
            Err(code) => return Trial::Failed(code),
        }
    }
    Trial::Guilty
}

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
use crate::publish::Delivery;
use crate::publish::kafka::error::code_of;
use crate::publish::kafka::plain::PlainProducer;
use crate::publish::kafka::settings::Settings;

/// How many connections an event must have cost, alone.
const ENOUGH: usize = 3;

/// What came out.
#[derive(Debug)]
pub(super) enum Trial {
    /// It was delivered: another event had taken its connection with it.
    Delivered(Delivery),
    /// The connection was lost each time, and the leader answered each time.
    Guilty,
    /// The broker said something else about it.
    Failed(RDKafkaErrorCode),
    /// The leader did not answer a question: that concerns no event.
    Unanswered(RDKafkaErrorCode),
    /// There was no time for it, or no client could be made now.
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
    pub(super) async fn try_alone(&self, settings: &Settings, message: &Message, partition: i32, until: Instant) -> Trial {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(Ok(turn)) = timeout(left, self.0.acquire()).await else {
            return Trial::Postponed;
        };
        let (settings, message) = (settings.clone(), message.clone());
        let tried = tokio::task::spawn_blocking(move || {
            // Certificates may be changing, threads may be used up: the event has no part in that.
            let Ok(client) = PlainProducer::alone(&settings) else {
                return Trial::Postponed;
            };
            run(&client, &message, partition, settings.question_timeout(), until)
        })
        .await;
        drop(turn);
        tried.unwrap_or(Trial::Postponed)
    }
}

/// Blocks.
fn run(client: &PlainProducer, message: &Message, partition: i32, question: Duration, until: Instant) -> Trial {
    for lost in 0..=ENOUGH {
        if until.saturating_duration_since(Instant::now()) < question * 2 {
            return Trial::Postponed;
        }
        if let Err(error) = client.ask_leader(message.topic(), partition, question) {
            return Trial::Unanswered(code_of(&error));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::kafka::warm::WarmRule;

    #[tokio::test]
    async fn a_client_that_cannot_be_made_is_no_events_fault() {
        let settings = Settings {
            brokers: "127.77.77.77:9".to_owned(),
            // Stands for a certificate that is being replaced.
            user: vec![("no.such.thing".to_owned(), "1".to_owned())],
            publish_deadline: Duration::from_secs(30),
            metadata_timeout: Duration::from_secs(5),
            idle: Duration::from_mins(1),
            transactions: None,
            transactional_id_prefix: String::new(),
            warm_rule: WarmRule::Kept,
        };
        let until = Instant::now() + Duration::from_secs(30);
        let trial = Trials::new().try_alone(&settings, &Message::new("orders", "1"), 0, until).await;
        assert!(matches!(trial, Trial::Postponed), "{trial:?}");
    }
}

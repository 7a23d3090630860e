//! Kafka's own: what the conformance suite cannot ask of every publisher.

mod away;
pub(crate) mod conformance;
mod faults;
mod headers;
mod mock;
mod own;
mod plain;
mod poison;
mod session;
mod strict;
mod threads;
mod transactions;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use eventferry::publish::kafka::{KafkaPublisher, KafkaPublisherBuilder};
use eventferry::publish::{Pipelined, PublishError, Seat, Session};
use eventferry::{Delivery, Message};
use eventferry_tests::kafka::PATIENCE;

/// Whose events a session carries, where no other session competes for them.
const SEAT: Seat<'static> = Seat::new("tests", 0);

/// A publisher that gives up soon enough for a test, and not on brokers that are only busy.
fn builder(brokers: &str) -> KafkaPublisherBuilder {
    KafkaPublisher::builder(brokers)
        .publish_deadline(Duration::from_secs(30))
        .metadata_timeout(Duration::from_secs(30))
        .set("linger.ms", "2")
}

/// The same without the local size check, so that the broker is the one that refuses, and with batches below a topic limit of 2,000 bytes,
/// so that it refuses nothing but the event that is too large.
fn unchecked(brokers: &str) -> KafkaPublisherBuilder {
    builder(brokers).set("message.max.bytes", "10000000").set("batch.size", "1500")
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

async fn open(publisher: &KafkaPublisher) -> Box<dyn Session> {
    within("opening a session", publisher.open(SEAT))
        .await
        .expect("a client can be made")
}

fn event(topic: &str, text: impl Into<String>) -> Message {
    Message::new(topic, text.into()).with_key("agg")
}

/// What reports said, by token.
#[derive(Debug, Default)]
struct Reported(BTreeMap<u64, Result<Delivery, PublishError>>);

impl Reported {
    /// Takes reports until `enough` says so.
    async fn until(&mut self, what: &str, session: &mut dyn Session, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            for report in within(what, session.reports()).await {
                self.0.insert(report.token, report.result);
            }
        }
    }

    /// Takes whatever is reported next.
    async fn more(&mut self, what: &str, session: &mut dyn Session) {
        let seen = self.0.len();
        self.until(what, session, |reported| reported.0.len() > seen).await;
    }

    /// Closes the session and takes what it still says.
    async fn close(&mut self, session: Box<dyn Session>) {
        for report in within("closing the session", session.close()).await {
            self.0.insert(report.token, report.result);
        }
    }

    fn delivered(&self) -> Vec<u64> {
        self.0
            .iter()
            .filter(|(_, result)| result.is_ok())
            .map(|(token, _)| *token)
            .collect()
    }

    fn errors(&self) -> Vec<(u64, &PublishError)> {
        self.0
            .iter()
            .filter_map(|(token, result)| Some((*token, result.as_ref().err()?)))
            .collect()
    }

    fn failed(&self) -> bool {
        self.0.values().any(Result::is_err)
    }
}

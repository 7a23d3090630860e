//! Events that die: only the one at fault, where it goes, when its row says so, and what an operator does about it.

mod discarded;
mod fault;
mod letters;

use std::sync::Mutex;
use std::time::Duration;

use eventferry::event::Operator;
use eventferry::outbox::Status;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::{Delivery, PublishError, Publisher};
use eventferry::{IncomingMessage, Message, MessageId, RetryPolicy};
use eventferry_tests::kafka::Logged;

use crate::rig::{Rig, soon};

fn quick() -> RetryPolicy {
    RetryPolicy::fixed(Duration::from_millis(50))
}

fn alice() -> Operator {
    Operator::new("alice").unwrap()
}

/// Kafka by single calls, but for what `judge` refuses.
struct Judging<J> {
    kafka: KafkaPublisher,
    judge: J,
    calls: Mutex<Vec<String>>,
}

impl<J> Judging<J> {
    fn new(rig: &Rig, judge: J) -> Self {
        Self {
            kafka: rig.publisher(),
            judge,
            calls: Mutex::default(),
        }
    }
}

impl<J: Fn(&Message, usize) -> Option<PublishError> + Send + Sync + 'static> Publisher for Judging<J> {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        let so_far = {
            let id = message.message_id().unwrap().to_string();
            let mut calls = self.calls.lock().unwrap();
            calls.push(id.clone());
            calls.iter().filter(|call| **call == id).count()
        };
        match (self.judge)(message, so_far) {
            Some(error) => Err(error),
            None => self.kafka.publish(message).await,
        }
    }
}

/// Status, attempts and last error of a row.
async fn row(rig: &Rig, id: MessageId) -> (i16, i32, Option<String>) {
    sqlx::query_as("select status, attempts, last_error from outbox where message_id = $1")
        .bind(uuid::Uuid::from(id))
        .fetch_one(&rig.db.pool)
        .await
        .unwrap()
}

async fn until_status(rig: &Rig, id: MessageId, status: Status) {
    soon(&format!("status {status:?}"), async {
        while row(rig, id).await.0 != status.code() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn none_waits(rig: &Rig) {
    soon("the end of the backlog", async {
        let waiting = "select exists (select from outbox where status in (0, 1, 3))";
        while sqlx::query_scalar(waiting).fetch_one(&rig.db.pool).await.unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn ids(log: &[Logged], aggregate: &str) -> Vec<MessageId> {
    let of_it = log.iter().filter(|logged| logged.aggregate_id() == Some(aggregate));
    of_it.map(|logged| logged.message_id().unwrap()).collect()
}

/// `count` events of one aggregate, the one in the middle larger than its topic allows.
async fn with_a_large_one(rig: &Rig, aggregate: &str, count: u64) -> (Vec<MessageId>, MessageId) {
    let mut records: Vec<_> = (0..count).map(|n| rig.record(aggregate, n)).collect();
    let middle = records.len() / 2;
    records[middle].payload = Some(vec![b'x'; 5_000]);
    let large = records[middle].message_id;
    (rig.write(records).await, large)
}

/// Only ids that are first in the log, in its order.
fn first_arrivals(ids: Vec<MessageId>) -> Vec<MessageId> {
    let mut seen = std::collections::HashSet::new();
    ids.into_iter().filter(|id| seen.insert(*id)).collect()
}

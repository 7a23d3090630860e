//! Kafka against the suite, and again with transactions.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::testing::conformance::publisher::{Harness, Logged};
use eventferry_tests::kafka::{self, TestTopic, read_log};

use super::builder;

/// With each batch of a session in a transaction, or not.
pub(crate) struct Kafka<const TRANSACTIONS: bool> {
    brokers: String,
    pub(crate) publisher: Arc<KafkaPublisher>,
    topics: Mutex<Vec<TestTopic>>,
}

impl<const TRANSACTIONS: bool> Kafka<TRANSACTIONS> {
    pub(crate) fn fresh(brokers: String) -> Self {
        // The broker refuses, not the client, and refuses no batch of small events.
        let publisher = builder(&brokers).set("message.max.bytes", "10000000").set("batch.size", "30000");
        let publisher = if TRANSACTIONS {
            publisher.transactions(Duration::from_secs(30))
        } else {
            publisher
        };
        Self {
            publisher: Arc::new(publisher.build().expect("the settings are good")),
            brokers,
            topics: Mutex::default(),
        }
    }
}

impl<const TRANSACTIONS: bool> Harness for Kafka<TRANSACTIONS> {
    type Publisher = KafkaPublisher;
    const TOO_LARGE: usize = 100_000;
    const BATCHES_ARE_WHOLE: bool = TRANSACTIONS;

    fn publisher(&self) -> &KafkaPublisher {
        &self.publisher
    }

    async fn create_topic(&self, topic: &str, partitions: u32) {
        let topic = TestTopic::named(&self.brokers, topic);
        let partitions = i32::try_from(partitions).expect("a number of partitions");
        topic.be_born(partitions, &[("max.message.bytes", "50000")]).await;
        self.topics.lock().expect("no test panicked").push(topic);
    }

    async fn log(&self, topic: &str) -> Vec<Logged> {
        let (brokers, topic) = (self.brokers.clone(), topic.to_owned());
        let log = tokio::task::spawn_blocking(move || read_log(&brokers, &topic))
            .await
            .expect("the log can be read");
        let logged = |record: kafka::Logged| Logged {
            partition: Some(record.partition),
            key: record.key,
            payload: record.payload,
            headers: record.headers.into_iter().map(|(n, v)| (n, v.unwrap_or_default())).collect(),
        };
        log.into_iter().map(logged).collect()
    }
}

macro_rules! fresh {
    ($transactions:literal) => {
        match eventferry_tests::servers::require("kafka") {
            Some(brokers) => Kafka::<$transactions>::fresh(brokers),
            None => return,
        }
    };
}

eventferry::conformance_publisher!(suite, fresh!(false));
eventferry::conformance_publisher!(suite_in_transactions, fresh!(true));

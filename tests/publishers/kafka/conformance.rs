//! Kafka against the suite.

use std::sync::Mutex;

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::testing::conformance::publisher::{Harness, Logged};
use eventferry_tests::kafka::{self, TestTopic, read_log};

use super::builder;

struct Kafka {
    brokers: String,
    publisher: KafkaPublisher,
    topics: Mutex<Vec<TestTopic>>,
}

impl Kafka {
    fn fresh(brokers: String) -> Self {
        // The broker refuses, not the client, and refuses no batch of small events.
        let publisher = builder(&brokers).set("message.max.bytes", "10000000").set("batch.size", "30000");
        Self {
            publisher: publisher.build().expect("the settings are good"),
            brokers,
            topics: Mutex::default(),
        }
    }
}

impl Harness for Kafka {
    type Publisher = KafkaPublisher;
    const TOO_LARGE: usize = 100_000;

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
    () => {
        match eventferry_tests::servers::require("kafka") {
            Some(brokers) => Kafka::fresh(brokers),
            None => return,
        }
    };
}

eventferry::conformance_publisher!(suite, fresh!());

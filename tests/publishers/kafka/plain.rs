//! The plain client against a real broker.

use eventferry::IncomingMessage;
use eventferry::publish::partitioner::partition_of;
use eventferry::publish::{PublishErrorKind, Publisher, Scope};
use eventferry_tests::kafka::{PATIENCE, TestTopic};
use eventferry_tests::servers;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{builder, event, within};

#[tokio::test]
async fn a_key_chooses_the_partition_as_javas_client_does_and_a_named_partition_wins() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 5, &[]).await;
    let publisher = builder(&brokers).build().unwrap();
    for key in ["a", "b", "", "ключ"] {
        let delivery = within("publishing", publisher.publish(&event(topic.name(), key).with_key(key)))
            .await
            .unwrap();
        assert_eq!(delivery.partition, Some(partition_of(key.as_bytes(), 5)), "{key:?}");
    }
    let named = event(topic.name(), "x").with_partition(4);
    assert_eq!(within("publishing", publisher.publish(&named)).await.unwrap().partition, Some(4));
    let missing = event(topic.name(), "x").with_partition(5);
    let error = within("publishing", publisher.publish(&missing)).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Partition), "{error}");
    let senseless = event(topic.name(), "x").with_partition(-7);
    let error = within("publishing", publisher.publish(&senseless)).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Rejected, "{error}");
}

/// Whatever a row that somebody wrote by hand can hold.
#[tokio::test]
async fn a_name_that_no_topic_can_have_is_rejected_and_says_nothing_of_the_broker() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).build().unwrap();
    let long = "x".repeat(250);
    let longer = "x".repeat(600);
    for name in ["", ".", "..", "my orders", "a/b", "größe", "a\0b", "\0", &long, &longer] {
        let publishing = publisher.publish(&event(name, "1")).await.unwrap_err();
        let counting = publisher.pipelined().unwrap().partitions(name).await.unwrap_err();
        for error in [publishing, counting] {
            assert_eq!(error.kind(), PublishErrorKind::Rejected, "{name:?}: {error}");
        }
    }
    within("publishing", publisher.publish(&event(topic.name(), "1"))).await.unwrap();
}

#[tokio::test]
async fn a_message_of_rdkafkas_consumer_is_read_in_place() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).build().unwrap();
    let sent = event(topic.name(), "{}")
        .with_header("event-type", "OrderCreated")
        .with_header("event-version", "3")
        .with_header("aggregate-id", "ключ")
        .with_header("event-position", "77");
    within("publishing", publisher.publish(&sent)).await.unwrap();
    let (name, read) = (topic.name().to_owned(), PATIENCE);
    let consumed = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "g")
            .create()
            .unwrap();
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&name, 0, Offset::Beginning).unwrap();
        consumer.assign(&from).unwrap();
        let message = consumer.poll(read).unwrap().unwrap();
        check(&message, &name);
        message.detach()
    })
    .await
    .unwrap();
    check(&consumed, topic.name());
}

fn check(message: &dyn IncomingMessage, topic: &str) {
    assert_eq!((message.topic(), message.payload()), (topic, Some(&b"{}"[..])));
    assert_eq!((message.event_type(), message.event_version()), (Some("OrderCreated"), Some(3)));
    assert_eq!((message.aggregate_id(), message.position()), (Some("ключ"), Some(77)));
    assert_eq!(message.message_id(), None);
}

#[tokio::test]
async fn a_refused_event_takes_no_other_with_it() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[("max.message.bytes", "2000")]).await;
    let publisher = builder(&brokers).set("message.max.bytes", "10000000").build().unwrap();
    // Twenty at once: small enough to share a request with the one that is too large, if requests were shared.
    let messages: Vec<_> = (0..20)
        .map(|i| event(topic.name(), if i == 7 { "x".repeat(5_000) } else { i.to_string() }))
        .collect();
    within("publishing", publisher.publish(&messages[0])).await.unwrap();
    let publisher = std::sync::Arc::new(publisher);
    let mut publishing = tokio::task::JoinSet::new();
    for (i, message) in messages.into_iter().enumerate() {
        let publisher = std::sync::Arc::clone(&publisher);
        publishing.spawn(async move { (i, publisher.publish(&message).await.map_err(|error| error.kind())) });
    }
    for (i, result) in within("publishing", publishing.join_all()).await {
        if i == 7 {
            assert_eq!(result, Err(PublishErrorKind::Rejected));
        } else {
            assert!(result.is_ok(), "event {i}: {result:?}");
        }
    }
}

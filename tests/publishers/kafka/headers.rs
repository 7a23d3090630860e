//! Headers that somebody else wrote, as rdkafka's consumers give them to ours.

use std::time::Duration;

use eventferry::IncomingMessage;
use eventferry_tests::kafka::{PATIENCE, TestTopic};
use eventferry_tests::kafka_wire::publish_bytes;
use eventferry_tests::servers;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_no_text_end_no_consumer() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let headers: [(&[u8], &[u8]); 7] = [
        (b"event-type", b"Old"),
        (b"event-type", b"Ping"),
        (b"aggregate-id", b"\xff\xfe"),
        (b"event-version", b"-1"),
        (b"message-id", b"\0\0"),
        (b"\xff\xfe", b"no name"),
        (b"", b"nameless"),
    ];
    publish_bytes(&brokers, topic.name(), b"{}", &headers).await;

    let config = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", "none")
        .clone();
    let consumer: BaseConsumer = config.create().unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(topic.name(), 0, Offset::Beginning).unwrap();
    consumer.assign(&all).unwrap();
    let mut waits = (0..PATIENCE.as_secs()).map(|_| consumer.poll(Duration::from_secs(1)));
    let borrowed = waits.find_map(|message| message).unwrap().unwrap();
    let owned = borrowed.detach();
    for message in [&borrowed as &dyn IncomingMessage, &owned] {
        assert_eq!(message.payload(), Some(&b"{}"[..]));
        assert_eq!(message.event_type(), Some("Ping"), "what stands before the odd name is found");
        assert_eq!(message.header("aggregate-id"), Some(&b"\xff\xfe"[..]));
        assert_eq!(
            (message.aggregate_id(), message.event_version(), message.message_id()),
            (None, None, None)
        );
        assert_eq!((message.header("tenant-id"), message.header("")), (None, Some(&b"nameless"[..])));
    }
}

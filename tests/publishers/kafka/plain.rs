//! The plain client against a real broker.

use eventferry::publish::partitioner::partition_of;
use eventferry::publish::{PublishErrorKind, Publisher, Scope};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::servers;

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

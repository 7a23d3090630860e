//! Answers a healthy broker cannot be made to give, from librdkafka's own mock cluster.

use eventferry::publish::{PublishErrorKind, Publisher, Scope};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};

use super::{Reported, builder, event, open, within};

fn cluster() -> (MockCluster<'static, DefaultProducerContext>, String) {
    let cluster = MockCluster::new(1).expect("a mock cluster can be made");
    cluster.create_topic("orders", 1, 1).expect("a topic can be made");
    let brokers = cluster.bootstrap_servers();
    (cluster, brokers)
}

#[tokio::test]
async fn a_refusal_of_a_single_event_says_whose_fault_it_is() {
    let (cluster, brokers) = cluster();
    let publisher = builder(&brokers).build().unwrap();
    let message = event("orders", "1");
    within("a publish", publisher.publish(&message)).await.unwrap();
    // Once, or as often as the client tries by itself.
    for (code, times, kind) in [
        (
            Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            1,
            PublishErrorKind::Unavailable(Scope::Topic),
        ),
        (Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1, PublishErrorKind::Rejected),
        (Code::RD_KAFKA_RESP_ERR_INVALID_RECORD, 1, PublishErrorKind::Rejected),
        (Code::RD_KAFKA_RESP_ERR_POLICY_VIOLATION, 1, PublishErrorKind::Rejected),
        (Code::RD_KAFKA_RESP_ERR_UNKNOWN, 1, PublishErrorKind::Retriable),
        (Code::RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, 1, PublishErrorKind::Throttled),
        (
            Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            3,
            PublishErrorKind::Unavailable(Scope::Partition),
        ),
        // The broker is asked about the topic, and answers: so it is not the one that is away.
        (
            Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            3,
            PublishErrorKind::Unavailable(Scope::Partition),
        ),
    ] {
        cluster.request_errors(RDKafkaApiKey::Produce, &vec![code; times]);
        let error = within("a publish", publisher.publish(&message)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code:?}: {error}");
        assert!(error.to_string().starts_with("failed to publish to topic `orders`: "), "{error}");
        cluster.clear_request_errors(RDKafkaApiKey::Produce);
    }
}

#[tokio::test]
async fn what_passes_by_itself_is_tried_again_inside_the_client() {
    let (cluster, brokers) = cluster();
    let publisher = builder(&brokers).build().unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ],
    );
    within("a publish", publisher.publish(&event("orders", "1"))).await.unwrap();
}

#[tokio::test]
async fn a_session_that_may_not_write_says_so_by_the_events_it_was_given() {
    let (cluster, brokers) = cluster();
    let publisher = builder(&brokers).build().unwrap();
    cluster.request_errors(
        RDKafkaApiKey::InitProducerId,
        &[Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED; 5],
    );
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    for token in 0..3 {
        if session.hand_over(token, 0, event("orders", "1")).is_err() {
            break;
        }
    }
    reported.until("an error", session.as_mut(), Reported::failed).await;
    let (_, error) = reported.errors()[0];
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Publisher), "{error}");
    assert!(error.to_string().contains("IDEMPOTENT_WRITE"), "{error}");
    assert_eq!(reported.errors().len(), 1, "the others only went down with it");
    reported.close(session).await;
    assert_eq!(reported.delivered(), Vec::<u64>::new());
}

#[tokio::test]
async fn a_topic_that_may_not_be_written_ends_the_session_and_is_the_topics_fault() {
    let (cluster, brokers) = cluster();
    let publisher = builder(&brokers).build().unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    cluster.request_errors(RDKafkaApiKey::Produce, &[Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    for token in 0..100 {
        session.hand_over(token, 0, event("orders", "1")).unwrap();
    }
    reported.until("an error", session.as_mut(), Reported::failed).await;
    assert_eq!(reported.errors()[0].0, 0);
    assert_eq!(reported.errors()[0].1.kind(), PublishErrorKind::Unavailable(Scope::Topic));
    reported.close(session).await;
    assert_eq!(reported.delivered(), Vec::<u64>::new(), "the others waited for the first");
}

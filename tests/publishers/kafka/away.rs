//! The broker, or a topic, goes away and comes back.

use std::time::Duration;

use eventferry::publish::{Pipelined, PublishErrorKind, Publisher, Scope};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::kafka_proxy::{KafkaProxy, PRODUCE};
use eventferry_tests::servers;

use super::{Reported, builder, event, open, within};

/// Asks until the answer is a good one.
async fn until_back(publisher: &impl Pipelined, topic: &str) {
    within("the broker's return", async { while publisher.partitions(topic).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_the_publishers_fault_and_everything_resumes_by_itself() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(proxy.address())
        // Waited out below.
        .publish_deadline(Duration::from_secs(10))
        .metadata_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    session.hand_over(0, 0, event(topic.name(), "0")).unwrap();
    reported.until("the first delivery", session.as_mut(), |r| !r.0.is_empty()).await;
    within("a publish", publisher.publish(&event(topic.name(), "plain"))).await.unwrap();

    proxy.cut();
    for token in 1..500 {
        session.hand_over(token, 0, event(topic.name(), token.to_string())).unwrap();
    }
    let error = within("a publish", publisher.publish(&event(topic.name(), "lost")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Publisher), "{error}");
    let error = within("counting partitions", publisher.partitions(topic.name())).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Publisher), "{error}");
    assert_eq!(reported.delivered(), [0], "nothing was delivered meanwhile");

    proxy.mend();
    until_back(&publisher, topic.name()).await;
    reported.until("all deliveries", session.as_mut(), |r| r.0.len() == 500).await;
    assert!(!reported.failed(), "an outage ends no session: {:?}", reported.errors());
    within("a publish", publisher.publish(&event(topic.name(), "plain"))).await.unwrap();
    reported.close(session).await;
    let mut log = topic.texts(0).await;
    log.retain(|text| !["plain", "lost"].contains(&text.as_str()));
    assert_eq!(
        log,
        (0..500).map(|token| token.to_string()).collect::<Vec<_>>(),
        "in order, and each once"
    );
}

#[tokio::test]
async fn closing_a_session_whose_broker_is_away_claims_nothing() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(proxy.address()).build().unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    session.hand_over(0, 0, event(topic.name(), "0")).unwrap();
    reported.until("the first delivery", session.as_mut(), |r| !r.0.is_empty()).await;
    proxy.cut();
    for token in 1..100 {
        session.hand_over(token, 0, event(topic.name(), token.to_string())).unwrap();
    }
    reported.close(session).await;
    assert_eq!(reported.delivered(), [0]);
    assert_eq!(topic.texts(0).await, ["0"]);
}

#[tokio::test]
async fn a_broker_that_was_never_there_is_named_as_unavailable_without_any_secret() {
    // Nothing listens on the discard port of a loopback address nobody uses.
    let publisher = builder("127.77.77.77:9")
        .publish_deadline(Duration::from_secs(1))
        .set("security.protocol", "sasl_plaintext")
        .set("sasl.mechanism", "PLAIN")
        .set("sasl.username", "ann")
        .set("sasl.password", "hunter2")
        .build()
        .unwrap();
    let error = within("a publish", publisher.publish(&event("orders", "payload-of-mine")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Publisher));
    let text = format!("{error} {error:?} {publisher:?}");
    assert!(error.to_string().starts_with("failed to find topic `orders`"), "{text}");
    for hidden in ["hunter2", "ann", "payload-of-mine"] {
        assert!(!text.contains(hidden), "{text}");
    }
}

#[tokio::test]
async fn a_broker_that_does_not_speak_our_protocol_is_unavailable() {
    let Some(brokers) = servers::require("kafka") else { return };
    let publisher = builder(&brokers)
        .publish_deadline(Duration::from_secs(2))
        .set("security.protocol", "sasl_plaintext")
        .set("sasl.mechanism", "PLAIN")
        .set("sasl.username", "ann")
        .set("sasl.password", "hunter2")
        .build()
        .unwrap();
    let error = within("a publish", publisher.publish(&event("orders", "1"))).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Publisher));
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_topic_that_was_deleted_is_the_topics_fault_and_resumes_when_it_is_back() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let other = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).build().unwrap();
    within("a publish", publisher.publish(&event(topic.name(), "before")))
        .await
        .unwrap();
    topic.die().await;
    within("the end of the topic", async {
        loop {
            // The broker forgets a topic bit by bit: it may take an event or two, or still know the topic without its partition.
            match publisher
                .publish(&event(topic.name(), "meanwhile"))
                .await
                .map_err(|error| error.kind())
            {
                Err(PublishErrorKind::Unavailable(Scope::Topic)) => return,
                Ok(_) | Err(PublishErrorKind::Unavailable(Scope::Partition)) => {}
                Err(kind) => panic!("{kind:?}"),
            }
        }
    })
    .await;
    within("a publish", publisher.publish(&event(other.name(), "1"))).await.unwrap();
    topic.be_born(2, &[]).await;
    until_back(&publisher, topic.name()).await;
    within("a publish", publisher.publish(&event(topic.name(), "after").with_partition(1)))
        .await
        .unwrap();
    assert_eq!(topic.texts(1).await, ["after"]);
}

/// It writes each event, and its answers are too slow for the publish deadline.
#[tokio::test]
async fn a_leader_that_takes_events_and_does_not_answer_in_time_is_no_events_fault() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    // Half of it is waited out below.
    let publisher = builder(proxy.address()).publish_deadline(Duration::from_secs(10)).build().unwrap();
    within("a publish", publisher.publish(&event(topic.name(), "before")))
        .await
        .unwrap();
    proxy.swallow_answers_to(&[PRODUCE]);
    let error = within("a publish", publisher.publish(&event(topic.name(), "slow")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Partition), "{error}");
    proxy.swallow_answers_to(&[]);
    within("a publish", publisher.publish(&event(topic.name(), "after"))).await.unwrap();
    let log = topic.texts(0).await;
    assert!(log.contains(&"slow".to_owned()), "it was written, only nobody said so: {log:?}");
}

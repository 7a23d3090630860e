//! Pipelined sessions against a real broker.

use std::collections::BTreeMap;

use eventferry::Message;
use eventferry::publish::partitioner::partition_of;
use eventferry::publish::{Full, Pipelined, PublishErrorKind, Publisher, Scope};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::servers;

use super::{Reported, builder, event, open, unchecked, within};

#[tokio::test]
async fn twenty_thousand_pipelined_events_are_in_the_log_once_and_in_order() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 3, &[]).await;
    let publisher = builder(&brokers).build().unwrap();
    assert_eq!(within("counting partitions", publisher.partitions(topic.name())).await.unwrap(), 3);
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    let mut expected: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for token in 0..20_000_u64 {
        let key = format!("aggregate-{}", token % 97);
        let partition = partition_of(key.as_bytes(), 3);
        let text = format!("{key}/{token}");
        let mut message = Message::new(topic.name(), text.clone())
            .with_key(key)
            .with_header("message-id", token.to_string());
        while let Err(Full(back)) = session.hand_over(token, partition, message) {
            message = back;
            reported.more("room in the session", session.as_mut()).await;
        }
        expected.entry(partition).or_default().push(text);
    }
    reported.until("delivering all", session.as_mut(), |r| r.0.len() == 20_000).await;
    assert!(!reported.failed());
    reported.close(session).await;
    assert_eq!(expected.len(), 3, "the keys reach every partition");
    for (partition, texts) in expected {
        assert_eq!(topic.texts(partition).await, texts, "partition {partition}");
    }
}

#[tokio::test]
async fn a_delivery_names_the_place_in_the_log() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 2, &[]).await;
    let publisher = builder(&brokers).build().unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    for token in 0..3 {
        session.hand_over(token, 1, event(topic.name(), token.to_string())).unwrap();
    }
    reported.until("three deliveries", session.as_mut(), |r| r.0.len() == 3).await;
    for (token, offset) in [(0, 0), (1, 1), (2, 2)] {
        let delivery = reported.0[&token].as_ref().unwrap();
        assert_eq!((delivery.partition, delivery.offset), (Some(1), Some(offset)));
    }
    reported.close(session).await;
}

#[tokio::test]
async fn an_unknown_topic_is_the_topics_fault_is_not_created_and_resumes_once_it_is_there() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::unborn(&brokers);
    let publisher = builder(&brokers).build().unwrap();
    for _ in 0..2 {
        let error = within("asking for an unknown topic", publisher.partitions(topic.name()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Topic));
        assert!(
            error.to_string().contains(topic.name()) && error.to_string().contains("create the topic"),
            "{error}"
        );
    }
    topic.be_born(4, &[]).await;
    assert_eq!(within("asking again", publisher.partitions(topic.name())).await.unwrap(), 4);
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    session.hand_over(1, 3, event(topic.name(), "first")).unwrap();
    reported.until("the first delivery", session.as_mut(), |r| !r.0.is_empty()).await;
    assert_eq!(reported.delivered(), [1]);
    reported.close(session).await;
    topic.grow_to(5).await;
    assert_eq!(within("asking once more", publisher.partitions(topic.name())).await.unwrap(), 5);
}

#[tokio::test]
async fn an_event_refused_on_a_warm_partition_ends_the_session_with_nothing_after_it_in_the_log() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[("max.message.bytes", "2000")]).await;
    let publisher = unchecked(&brokers).build().unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    session.hand_over(0, 0, event(topic.name(), "0")).unwrap();
    reported.until("warming the partition", session.as_mut(), |r| !r.0.is_empty()).await;

    for token in 1..2000 {
        let text = if token == 100 { "x".repeat(5000) } else { token.to_string() };
        if session.hand_over(token, 0, event(topic.name(), text)).is_err() {
            break;
        }
    }
    reported.until("the refusal", session.as_mut(), Reported::failed).await;
    assert!(
        session.hand_over(5000, 0, event(topic.name(), "late")).is_err(),
        "a session that is over takes nothing"
    );
    reported.close(session).await;

    let (token, error) = reported.errors()[0];
    assert!(token <= 100, "the batch of the refused event fails, nothing before it");
    assert_eq!(error.kind(), PublishErrorKind::Retriable, "a refused batch is not a refused event");
    assert!(error.to_string().contains("MessageSizeTooLarge"), "{error}");
    let log = topic.texts(0).await;
    let prefix: Vec<String> = (0..log.len()).map(|token| token.to_string()).collect();
    assert_eq!(log, prefix, "what was delivered is a prefix");
    assert!(log.len() <= 100, "nothing after the refused event: {}", log.len());
    let delivered: Vec<u64> = (0..log.len() as u64).collect();
    assert_eq!(reported.delivered(), delivered, "and exactly that was reported");
}

#[tokio::test]
async fn a_full_client_gives_events_back_and_keeps_their_order() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).set("queue.buffering.max.messages", "50").build().unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    let mut full = 0;
    session.hand_over(99_999, 0, event(topic.name(), "warm")).unwrap();
    reported.until("warming the partition", session.as_mut(), |r| !r.0.is_empty()).await;
    for token in 0..10_000 {
        let mut message = event(topic.name(), token.to_string());
        while let Err(Full(back)) = session.hand_over(token, 0, message) {
            message = back;
            full += 1;
            reported.more("room in the session", session.as_mut()).await;
        }
    }
    reported.until("all deliveries", session.as_mut(), |r| r.0.len() == 10_001).await;
    assert!(full > 0, "the queue was never full");
    assert!(!reported.failed());
    reported.close(session).await;
    assert_eq!(
        topic.texts(0).await[1..],
        (0..10_000).map(|token| token.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_waits_for_a_full_client_is_not_overtaken() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).set("queue.buffering.max.messages", "50").build().unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    // The first 200 wait for a cold partition and then for room; the others come while there is room and something waits.
    for token in 0..2_000 {
        let mut message = event(topic.name(), token.to_string());
        while let Err(Full(back)) = session.hand_over(token, 0, message) {
            message = back;
            reported.more("room in the session", session.as_mut()).await;
        }
        if token >= 200 && token % 5 == 0 && (reported.0.len() as u64) < token {
            reported.more("some reports", session.as_mut()).await;
        }
    }
    reported.until("all deliveries", session.as_mut(), |r| r.0.len() == 2_000).await;
    assert!(!reported.failed());
    reported.close(session).await;
    assert_eq!(topic.texts(0).await, (0..2_000).map(|token| token.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_topic_that_grows_under_a_session_keeps_its_order() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).build().unwrap();
    assert_eq!(within("counting partitions", publisher.partitions(topic.name())).await.unwrap(), 1);
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    for token in 0..300 {
        session.hand_over(token, 0, event(topic.name(), token.to_string())).unwrap();
    }
    topic.grow_to(3).await;
    assert_eq!(within("counting partitions", publisher.partitions(topic.name())).await.unwrap(), 3);
    for token in 300..600 {
        session.hand_over(token, 0, event(topic.name(), token.to_string())).unwrap();
        session.hand_over(1_000 + token, 2, event(topic.name(), token.to_string())).unwrap();
    }
    reported.until("all deliveries", session.as_mut(), |r| r.0.len() == 900).await;
    assert!(!reported.failed());
    reported.close(session).await;
    assert_eq!(topic.texts(0).await, (0..600).map(|token| token.to_string()).collect::<Vec<_>>());
    assert_eq!(topic.texts(2).await, (300..600).map(|token| token.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_the_client_refuses_ends_the_session_and_the_plain_client_rejects_it() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).set("message.max.bytes", "2000").build().unwrap();
    let large = event(topic.name(), "x".repeat(5_000));
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    session.hand_over(1, 0, large.clone()).unwrap();
    reported.until("the refusal", session.as_mut(), Reported::failed).await;
    assert!(session.hand_over(2, 0, event(topic.name(), "2")).is_err());
    reported.close(session).await;
    assert_eq!(reported.errors()[0].1.kind(), PublishErrorKind::Retriable);
    let error = within("a publish", publisher.publish(&large)).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Rejected);
    assert!(error.to_string().contains("raise message.max.bytes"), "{error}");
    assert!(topic.log().await.is_empty());
}

//! Events on which a broker closes the connection: they look like an outage, and are none.

use std::time::Duration;

use eventferry::publish::{PublishErrorKind, Publisher, Scope};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::kafka_proxy::{KafkaProxy, LIST_OFFSETS, PRODUCE};
use eventferry_tests::servers;

use super::strict::strict;
use super::{Reported, builder, event, open, within};

/// Larger than what the strict broker reads at all, and within every limit a client knows of.
fn poison() -> String {
    "x".repeat(200_000)
}

#[tokio::test]
async fn an_event_the_broker_hangs_up_on_is_refused_when_it_goes_alone_and_its_neighbours_are_delivered() {
    let Some(kafka) = strict().await else { return };
    let topic = TestTopic::create(&kafka.brokers(), 2, &[]).await;
    let publisher = std::sync::Arc::new(builder(&kafka.brokers()).build().unwrap());
    let mut publishing = tokio::task::JoinSet::new();
    for n in 0..20 {
        let text = if n == 7 { poison() } else { n.to_string() };
        let message = event(topic.name(), text).with_partition(n % 2);
        let publisher = std::sync::Arc::clone(&publisher);
        publishing.spawn(async move { (n, publisher.publish(&message).await) });
    }
    for (n, result) in within("publishing", publishing.join_all()).await {
        if n == 7 {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), PublishErrorKind::Retriable, "{error}");
            assert!(error.to_string().contains("closes the connection"), "{error}");
        } else {
            assert!(result.is_ok(), "event {n}: {result:?}");
        }
    }
    let mut log: Vec<String> = topic.texts(0).await;
    log.extend(topic.texts(1).await);
    log.sort_unstable();
    log.dedup();
    assert_eq!(log.len(), 19, "{log:?}");
}

#[tokio::test]
async fn an_event_without_a_key_the_broker_hangs_up_on_is_refused_too() {
    let Some(kafka) = strict().await else { return };
    let topic = TestTopic::create(&kafka.brokers(), 2, &[]).await;
    let publisher = builder(&kafka.brokers()).build().unwrap();
    let message = eventferry::Message::new(topic.name(), poison());
    let error = within("a publish", publisher.publish(&message)).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Retriable, "{error}");
}

#[tokio::test]
async fn a_session_ends_on_an_event_the_broker_hangs_up_on_and_nothing_has_overtaken_it() {
    let Some(kafka) = strict().await else { return };
    let topic = TestTopic::create(&kafka.brokers(), 2, &[]).await;
    let publisher = builder(&kafka.brokers()).set("batch.size", "50000").build().unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    for token in 0..400 {
        let text = if token == 200 { poison() } else { token.to_string() };
        session.hand_over(token, (token % 2) as i32, event(topic.name(), text)).unwrap();
    }
    // The other partition of the same broker goes on, between two losses.
    reported
        .until("the other partition", session.as_mut(), |r| {
            (0..200).all(|n| r.0.contains_key(&(2 * n + 1)))
        })
        .await;
    reported.until("the suspicion", session.as_mut(), Reported::failed).await;
    let (token, error) = reported.errors()[0];
    assert_eq!((token, error.kind()), (200, PublishErrorKind::Retriable), "{error}");
    let text = error.to_string();
    assert!(text.contains("socket.request.max.bytes") && !text.contains("  "), "{text}");
    assert!(session.hand_over(999, 1, event(topic.name(), "late")).is_err(), "it is over");
    reported.close(session).await;
    assert_eq!(reported.errors().len(), 1, "the others only went down with it");
    let texts = |from: i32| (0..200).map(move |n| (2 * n + from).to_string());
    assert_eq!(topic.texts(0).await, texts(0).take(100).collect::<Vec<_>>());
    assert_eq!(topic.texts(1).await, texts(1).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_the_broker_hangs_up_on_ends_the_session_though_each_of_its_events_is_good() {
    let Some(kafka) = strict().await else { return };
    let topic = TestTopic::create(&kafka.brokers(), 1, &[]).await;
    let publisher = builder(&kafka.brokers()).build().unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    let text = "y".repeat(1_000);
    for token in 0..500 {
        session.hand_over(token, 0, event(topic.name(), text.clone())).unwrap();
    }
    reported.until("the suspicion", session.as_mut(), Reported::failed).await;
    let (token, error) = reported.errors()[0];
    assert_eq!(error.kind(), PublishErrorKind::Retriable, "{error}");
    assert_eq!(token, reported.delivered().len() as u64, "the first that was not delivered");
    reported.close(session).await;
    within("a publish", publisher.publish(&event(topic.name(), text))).await.unwrap();
}

#[tokio::test]
async fn an_event_is_suspected_only_while_the_leader_answers() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(proxy.address()).publish_deadline(Duration::from_secs(10));
    let publisher = publisher.build().unwrap();
    within("a publish", publisher.publish(&event(topic.name(), "0"))).await.unwrap();
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    session.hand_over(0, 0, event(topic.name(), "1")).unwrap();
    reported.until("the first delivery", session.as_mut(), |r| !r.0.is_empty()).await;

    // An outage that has every sign of a poisoned event but one.
    proxy.hang_up_on(&[PRODUCE, LIST_OFFSETS]);
    session.hand_over(1, 0, event(topic.name(), "2")).unwrap();
    let error = within("a publish", publisher.publish(&event(topic.name(), "3"))).await.unwrap_err();
    // Not of the whole publisher: metadata is still answered.
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Partition), "{error}");
    let silent = tokio::time::timeout(Duration::from_secs(4), session.reports()).await;
    assert!(silent.is_err(), "an outage ends no session: {silent:?}");

    // The same with a leader that answers, and with time for three lost connections on a slow machine.
    proxy.hang_up_on(&[PRODUCE]);
    let patient = builder(proxy.address()).build().unwrap();
    let error = within("a publish", patient.publish(&event(topic.name(), "4"))).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Retriable, "{error}");
    reported.until("the suspicion", session.as_mut(), Reported::failed).await;
    assert_eq!(reported.errors()[0].1.kind(), PublishErrorKind::Retriable);
    reported.close(session).await;
    proxy.hang_up_on(&[]);
    within("a publish", publisher.publish(&event(topic.name(), "5"))).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_was_lost_once_is_nobodys_fault() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(proxy.address()).build().unwrap();
    within("a publish", publisher.publish(&event(topic.name(), "0"))).await.unwrap();
    proxy.hang_up_on(&[PRODUCE]);
    let message = event(topic.name(), "1");
    let publishing = publisher.publish(&message);
    tokio::pin!(publishing);
    assert!(tokio::time::timeout(Duration::from_millis(60), &mut publishing).await.is_err());
    proxy.hang_up_on(&[]);
    let result = within("a publish", publishing).await;
    assert!(result.is_ok(), "{result:?}");
    let missing = TestTopic::unborn(&brokers);
    let error = within("a publish", publisher.publish(&event(missing.name(), "1")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Topic), "{error}");
}

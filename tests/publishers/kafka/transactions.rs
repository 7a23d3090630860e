//! Sessions that put each batch into a Kafka transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::{Pipelined, PublishErrorKind, Publisher, Scope, Seat, Session};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::kafka_proxy::{END_TRANSACTION, KafkaProxy};
use eventferry_tests::servers;

use super::{Reported, builder, event, unchecked, within};

const LIMIT: Duration = Duration::from_secs(30);

/// Seats are taken by name, so each test has an outbox of its own.
async fn take(publisher: &KafkaPublisher, outbox: &str, group: u8) -> Box<dyn Session> {
    let session = within("taking a seat", publisher.open(Seat::new(outbox, group))).await;
    session.expect("the seat is taken")
}

fn texts(tokens: impl Iterator<Item = u64>) -> Vec<String> {
    tokens.map(|token| token.to_string()).collect()
}

#[tokio::test]
async fn batches_are_delivered_once_and_in_order_and_each_delivery_has_its_place() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 3, &[]).await;
    let publisher = builder(&brokers).transactions(LIMIT).build().unwrap();
    assert_eq!(publisher.groups(), 8);
    let mut session = take(&publisher, topic.name(), 0).await;
    let mut reported = Reported::default();
    let mut expected: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for token in 0..12_000 {
        let partition = (token % 3) as i32;
        session.hand_over(token, partition, event(topic.name(), token.to_string())).unwrap();
        expected.entry(partition).or_default().push(token.to_string());
    }
    reported.until("all deliveries", session.as_mut(), |r| r.0.len() == 12_000).await;
    assert!(!reported.failed(), "{:?}", reported.errors());
    let places: std::collections::BTreeSet<_> = reported
        .0
        .values()
        .map(|r| *r.as_ref().unwrap())
        .map(|d| (d.partition, d.offset))
        .collect();
    assert_eq!(places.len(), 12_000, "no two events have the same place");
    reported.close(session).await;
    for (partition, texts) in expected {
        assert_eq!(topic.texts(partition).await, texts, "partition {partition}");
    }
}

#[tokio::test]
async fn a_refused_event_takes_its_whole_batch_with_it_and_none_of_it_is_ever_visible() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 2, &[("max.message.bytes", "2000")]).await;
    let publisher = unchecked(&brokers).transactions(LIMIT).build().unwrap();
    let mut session = take(&publisher, topic.name(), 0).await;
    let mut reported = Reported::default();
    for token in 0..10 {
        session
            .hand_over(token, (token % 2) as i32, event(topic.name(), token.to_string()))
            .unwrap();
    }
    reported.until("the first batch", session.as_mut(), |r| r.0.len() == 10).await;
    for token in 10..500 {
        let text = if token == 210 { "x".repeat(5_000) } else { token.to_string() };
        session.hand_over(token, (token % 2) as i32, event(topic.name(), text)).unwrap();
    }
    reported.until("the refusal", session.as_mut(), Reported::failed).await;
    let (token, error) = reported.errors()[0];
    assert_eq!(error.kind(), PublishErrorKind::Retriable, "{error}");
    assert!(error.to_string().contains("MessageSizeTooLarge"), "{error}");
    assert!(session.hand_over(999, 0, event(topic.name(), "late")).is_err(), "it is over");
    let delivered = reported.delivered();
    reported.close(session).await;
    assert_eq!(reported.delivered(), delivered);
    assert_eq!(delivered, (0..delivered.len() as u64).collect::<Vec<_>>(), "a prefix");
    assert!(token >= delivered.len() as u64 && delivered.len() <= 210, "event {token} failed");
    for (partition, remainder) in [(0, 0), (1, 1)] {
        let visible = delivered.iter().copied().filter(|n| n % 2 == remainder);
        assert_eq!(topic.texts(partition).await, texts(visible), "partition {partition}");
    }
    // The other partition's events were written, and whoever reads the uncommitted has seen them.
    let seen = topic.uncommitted_texts(1).await;
    assert!(seen.len() > topic.texts(1).await.len(), "{seen:?}");

    // The next session of the seat goes on at the first event that is not delivered.
    let mut session = take(&publisher, topic.name(), 0).await;
    let mut reported = Reported::default();
    for token in delivered.len() as u64..210 {
        session
            .hand_over(token, (token % 2) as i32, event(topic.name(), token.to_string()))
            .unwrap();
    }
    let rest = 210 - delivered.len();
    reported.until("the rest", session.as_mut(), |r| r.0.len() == rest).await;
    reported.close(session).await;
    assert_eq!(topic.texts(0).await, texts((0..210).filter(|n| n % 2 == 0)));
    assert_eq!(topic.texts(1).await, texts((0..210).filter(|n| n % 2 == 1)));
}

#[tokio::test]
async fn of_two_sessions_in_one_seat_the_older_one_is_fenced_and_delivers_nothing_more() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let (one, two) = (builder(&brokers).transactions(LIMIT), builder(&brokers).transactions(LIMIT));
    let (one, two) = (one.build().unwrap(), two.build().unwrap());
    let mut older = take(&one, topic.name(), 3).await;
    let mut neighbour = take(&one, topic.name(), 4).await;
    let mut reported = Reported::default();
    older.hand_over(0, 0, event(topic.name(), "0")).unwrap();
    reported.until("the first delivery", older.as_mut(), |r| r.0.len() == 1).await;

    let mut younger = take(&two, topic.name(), 3).await;
    for token in 1..100 {
        older.hand_over(token, 0, event(topic.name(), format!("older {token}"))).unwrap();
    }
    reported.until("the fence", older.as_mut(), Reported::failed).await;
    let (_, error) = reported.errors()[0];
    assert_eq!(error.kind(), PublishErrorKind::Fenced, "{error}");
    assert!(error.to_string().contains(&format!("eventferry-{}-3", topic.name())), "{error}");
    assert!(older.hand_over(100, 0, event(topic.name(), "late")).is_err(), "it is over");
    reported.close(older).await;
    assert_eq!(reported.delivered(), [0]);
    assert_eq!(reported.errors().len(), 1);

    // The same seat under another prefix is another id.
    let other = builder(&brokers).transactions(LIMIT).transactional_id_prefix("mine");
    let mut elsewhere = take(&other.build().unwrap(), topic.name(), 3).await;
    let mut reported = Reported::default();
    elsewhere.hand_over(0, 0, event(topic.name(), "elsewhere")).unwrap();
    reported.until("its delivery", elsewhere.as_mut(), |r| r.0.len() == 1).await;
    reported.close(elsewhere).await;
    let mut reported = Reported::default();
    younger.hand_over(0, 0, event(topic.name(), "younger")).unwrap();
    reported.until("its delivery", younger.as_mut(), |r| r.0.len() == 1).await;
    assert!(!reported.failed(), "{:?}", reported.errors());
    reported.close(younger).await;
    let mut reported = Reported::default();
    neighbour.hand_over(0, 0, event(topic.name(), "neighbour")).unwrap();
    reported.until("its delivery", neighbour.as_mut(), |r| r.0.len() == 1).await;
    assert!(!reported.failed(), "another group is another seat: {:?}", reported.errors());
    reported.close(neighbour).await;
    assert_eq!(topic.texts(0).await, ["0", "elsewhere", "younger", "neighbour"]);
}

/// A session behind a proxy that has delivered event 0.
async fn begun(publisher: &KafkaPublisher, topic: &TestTopic) -> (Box<dyn Session>, Reported) {
    let mut session = take(publisher, topic.name(), 0).await;
    let mut reported = Reported::default();
    session.hand_over(0, 0, event(topic.name(), "0")).expect("there is room");
    reported.until("the first delivery", session.as_mut(), |r| r.0.len() == 1).await;
    (session, reported)
}

async fn until_in_the_log(topic: &TestTopic, count: usize) {
    within("events in the log", async { while topic.texts(0).await.len() < count {} }).await;
}

#[tokio::test]
async fn a_commit_that_never_arrives_delivers_nothing() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(proxy.address()).transactions(LIMIT).build().unwrap();
    let (mut session, mut reported) = begun(&publisher, &topic).await;
    proxy.hang_up_on(&[END_TRANSACTION]);
    session.hand_over(1, 0, event(topic.name(), "1")).unwrap();
    within("the event's arrival", async { while topic.uncommitted_texts(0).await.len() < 2 {} }).await;
    reported.close(session).await;
    assert_eq!(reported.delivered(), [0]);
    assert_eq!(topic.texts(0).await, ["0"]);
    // The next owner of the seat has the transaction aborted, and its own are not held up by it.
    proxy.hang_up_on(&[]);
    let mut session = take(&publisher, topic.name(), 0).await;
    session.hand_over(1, 0, event(topic.name(), "1")).unwrap();
    reported.until("its delivery", session.as_mut(), |r| r.0.len() == 2).await;
    assert_eq!(reported.delivered(), [0, 1]);
    reported.close(session).await;
    assert_eq!(topic.texts(0).await, ["0", "1"]);
    assert_eq!(topic.uncommitted_texts(0).await, ["0", "1", "1"]);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_reported_once_it_is_known_and_never_before() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(proxy.address()).transactions(LIMIT).build().unwrap();
    let (mut session, mut reported) = begun(&publisher, &topic).await;
    proxy.lose_answers_to(&[END_TRANSACTION]);
    session.hand_over(1, 0, event(topic.name(), "1")).unwrap();
    until_in_the_log(&topic, 2).await;
    let unknown = tokio::time::timeout(Duration::from_millis(300), session.reports()).await;
    assert!(unknown.is_err(), "its outcome is not known: {unknown:?}");
    proxy.lose_answers_to(&[]);
    reported.until("the delivery", session.as_mut(), |r| r.0.len() == 2).await;
    assert_eq!(reported.delivered(), [0, 1], "the commit was repeated, and answered");
    // The same, but nobody waits for the answer.
    proxy.lose_answers_to(&[END_TRANSACTION]);
    session.hand_over(2, 0, event(topic.name(), "2")).unwrap();
    until_in_the_log(&topic, 3).await;
    reported.close(session).await;
    assert_eq!(reported.delivered(), [0, 1], "the outcome of event 2 is unknown");
    assert_eq!(reported.errors().len(), 0);
}

#[tokio::test]
async fn a_transaction_that_outlives_its_time_limit_is_no_fence() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let limited = builder(proxy.address()).transactions(Duration::from_secs(2));
    // Asked while the brokers are away, this one says so soon.
    let impatient = limited.clone().metadata_timeout(Duration::from_secs(2)).build().unwrap();
    let publisher = limited.build().unwrap();
    let (mut session, mut reported) = begun(&publisher, &topic).await;
    proxy.cut();
    session.hand_over(1, 0, event(topic.name(), "1")).unwrap();
    reported.until("the end of the session", session.as_mut(), Reported::failed).await;
    let (token, error) = reported.errors()[0];
    assert_eq!(
        (token, error.kind()),
        (1, PublishErrorKind::Unavailable(Scope::Partition)),
        "{error}"
    );
    reported.close(session).await;
    let away = within("taking a seat", impatient.open(Seat::new(topic.name(), 0))).await;
    let error = away.err().expect("the brokers are away");
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Publisher), "{error}");
    proxy.mend();
    let mut session = take(&publisher, topic.name(), 0).await;
    session.hand_over(1, 0, event(topic.name(), "1")).unwrap();
    reported.until("its delivery", session.as_mut(), |r| r.delivered().len() == 2).await;
    reported.close(session).await;
    assert_eq!(topic.texts(0).await, ["0", "1"]);
}

/// Each batch is larger than the client's queue.
#[tokio::test]
async fn a_full_client_makes_a_batch_wait_and_ends_no_session() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).set("queue.buffering.max.messages", "50");
    let publisher = publisher.transactions(LIMIT).build().unwrap();
    let mut session = take(&publisher, topic.name(), 0).await;
    let mut reported = Reported::default();
    for token in 0..2_000 {
        session.hand_over(token, 0, event(topic.name(), token.to_string())).unwrap();
    }
    reported
        .until("all deliveries", session.as_mut(), |r| r.0.len() == 2_000 || r.failed())
        .await;
    assert!(!reported.failed(), "{:?}", reported.errors());
    reported.close(session).await;
    assert_eq!(topic.texts(0).await, texts(0..2_000));
}

#[tokio::test]
async fn what_goes_alone_goes_outside_of_transactions() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).transactions(LIMIT).build().unwrap();
    within("a publish", publisher.publish(&event(topic.name(), "alone"))).await.unwrap();
    assert_eq!(topic.texts(0).await, ["alone"]);
}

#[tokio::test]
async fn sessions_end_however_they_are_left() {
    let Some(brokers) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = builder(&brokers).transactions(LIMIT).build().unwrap();
    let mut reported = Reported::default();
    let session = take(&publisher, topic.name(), 0).await;
    reported.close(session).await;
    let mut session = take(&publisher, topic.name(), 0).await;
    session.hand_over(0, 0, event(topic.name(), "0")).unwrap();
    drop(session);
    let mut session = take(&publisher, topic.name(), 0).await;
    session.hand_over(1, 0, event(topic.name(), "1")).unwrap();
    reported.until("its delivery", session.as_mut(), |r| r.0.len() == 1).await;
    reported.close(session).await;
    assert_eq!(topic.texts(0).await.last().map(String::as_str), Some("1"));
}

#[tokio::test]
async fn a_batch_the_broker_hangs_up_on_is_judged_one_by_one() {
    let Some(kafka) = super::strict::strict().await else { return };
    let topic = TestTopic::create(&kafka.brokers(), 1, &[]).await;
    let publisher = builder(&kafka.brokers()).transactions(Duration::from_secs(2)).build().unwrap();
    let mut session = take(&publisher, topic.name(), 0).await;
    let mut reported = Reported::default();
    session.hand_over(0, 0, event(topic.name(), "x".repeat(200_000))).unwrap();
    reported.until("its end", session.as_mut(), Reported::failed).await;
    assert_eq!(
        reported.errors()[0].1.kind(),
        PublishErrorKind::Retriable,
        "{:?}",
        reported.errors()
    );
    reported.close(session).await;
}

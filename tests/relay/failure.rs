//! Whose fault is it: topics that are not there, and such as cannot be.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::{BoxFuture, Delivery, Pipelined, PublishError, Publisher, Seat, Session};
use eventferry::relay::Relay;
use eventferry::{IncomingMessage, Message, MessageId};
use eventferry_tests::kafka::{Logged, TestTopic};

use crate::rig::{Comparison, Ledger, Rig, soon};

/// A row written by hand may name anything. The client cannot even ask for some of them, which is not the broker's absence.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_cannot_be_is_its_own_events_fault() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let mut ledger = Ledger::default();
    let mut records = Vec::new();
    for n in 0..40 {
        records.push(rig.record(&format!("a{}", n % 4), n));
    }
    for (n, topic) in (0..).zip([String::new(), "my orders".to_owned(), "x".repeat(600)]) {
        let mut record = rig.record(&format!("b{n}"), n);
        record.topic = topic;
        records.insert(0, record);
    }
    for (n, id) in rig.write(records).await.into_iter().skip(3).enumerate() {
        ledger.0.entry(format!("a{}", n % 4)).or_default().push(id);
    }
    let relay = rig.relay().build().unwrap().start().await.unwrap();
    let done = relay.wait_for(|stats| stats.acked >= 40 && stats.dead == 3);
    soon("40 acks and three deaths", done).await.unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    let attempts: i64 = sqlx::query_scalar("select coalesce(sum(attempts), 0)::bigint from outbox where status = 0")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    let end = relay.stop().await.unwrap();
    assert_eq!((attempts, end.strays, end.sessions_rebuilt), (0, 0, 0), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_topic_waits_uncounted_while_the_others_flow() {
    // The broker's own time of arrival, to compare the two logs.
    let settings = [("message.timestamp.type", "LogAppendTime")];
    let Some(rig) = Rig::new(2, &settings).await else { return };
    let unborn = TestTopic::unborn(&rig.kafka);
    let mut records = Vec::new();
    let mut all = Ledger::default();
    let (mut here, mut there) = (Ledger::default(), Ledger::default());
    for n in 0..60u64 {
        let aggregate = format!("a{}", n % 6);
        let mut record = rig.record(&aggregate, n);
        // Aggregates a0 and a1 write to both topics, the unborn one first, so that their order spans the two.
        let log = if n % 6 < 2 && n % 4 < 2 {
            record.topic = unborn.name().to_owned();
            &mut there
        } else {
            &mut here
        };
        for ledger in [&mut all, log] {
            ledger.0.entry(aggregate.clone()).or_default().push(record.message_id);
        }
        records.push(record);
    }
    rig.write(records).await;
    let relay = rig.start().await;
    // The four healthy aggregates get through at once.
    soon("40 acks", relay.wait_for(|stats| stats.acked >= 40)).await.unwrap();
    let attempts: i64 = sqlx::query_scalar("select sum(attempts)::bigint from outbox")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    assert_eq!(attempts, 0);
    // One more that goes through, so that a relay which is about to let something pass has had its time.
    here.0
        .entry("a2".to_owned())
        .or_default()
        .extend(rig.write(vec![rig.record("a2", 60)]).await);
    soon("another ack", relay.wait_for(|stats| stats.acked >= 41)).await.unwrap();
    assert_eq!(rig.count(0).await, 20, "what is behind an event without a topic waits with it");
    let log = rig.topic.log().await;
    let early = log.iter().map(aggregate_id).filter(|id| ["a0", "a1"].contains(id));
    assert_eq!((log.len(), early.count()), (41, 0), "nothing of theirs went ahead");

    unborn.be_born(2, &settings).await;
    soon("the rest", relay.wait_for(|stats| stats.acked >= 61)).await.unwrap();
    assert_eq!(rig.compare(&here).await, Comparison::CLEAN);
    let (log, born) = (rig.topic.log().await, unborn.log().await);
    assert_eq!(there.compare(&born), Comparison::CLEAN);
    // Across the logs: no event has an earlier time than the one which committed before it.
    let at = |id: &MessageId| {
        let mut records = log.iter().chain(&born);
        let record = records.find(|record| record.header("message-id") == Some(id.to_string().as_bytes()));
        record.and_then(|record| record.timestamp).unwrap()
    };
    for aggregate in ["a0", "a1"] {
        let times: Vec<_> = all.0[aggregate].iter().map(at).collect();
        assert!(times.is_sorted(), "{aggregate}: {times:?}");
    }
    let stats = relay.stop().await.unwrap();
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}

fn aggregate_id(record: &Logged) -> &str {
    std::str::from_utf8(record.header("aggregate-id").unwrap()).unwrap()
}

/// Kafka, but nobody ever answers the first two questions about a topic.
struct Mute {
    kafka: KafkaPublisher,
    asked: AtomicU32,
}

impl Publisher for Mute {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        self.kafka.publish(message).await
    }

    fn pipelined(&self) -> Option<&dyn Pipelined> {
        Some(self)
    }
}

impl Pipelined for Mute {
    fn open<'a>(&'a self, seat: Seat<'a>) -> BoxFuture<'a, Result<Box<dyn Session>, PublishError>> {
        self.kafka.open(seat)
    }

    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, PublishError>> {
        if self.asked.fetch_add(1, Ordering::Relaxed) < 2 {
            return Box::pin(std::future::pending());
        }
        self.kafka.partitions(topic)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_a_topic_that_nobody_answers_is_asked_again() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let ledger = rig.fill(40, 4).await;
    let publisher = Mute {
        kafka: rig.publisher(),
        asked: AtomicU32::new(0),
    };
    let relay = Relay::builder(rig.store(), publisher).publish_deadline(Duration::from_millis(300));
    let relay = relay.build().unwrap().start().await.unwrap();
    soon("40 acks", relay.wait_for(|stats| stats.acked >= 40)).await.unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    relay.stop().await.unwrap();
}

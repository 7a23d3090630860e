//! Whose fault is it: refused events, topics that are away, dead letters.

use std::time::Duration;

use eventferry::outbox::OnDead;
use eventferry::{IncomingMessage, MessageId, RetryPolicy, Topic};
use eventferry_tests::kafka::{Logged, TestTopic};

use crate::rig::{Comparison, Ledger, Rig, soon};

fn quick() -> RetryPolicy {
    RetryPolicy::fixed(Duration::from_millis(50))
}

/// 40 events over 4 aggregates; the tenth of aggregate a1 is larger than its topic allows.
async fn with_a_bad_one(rig: &Rig) -> (Ledger, MessageId) {
    let mut ledger = Ledger::default();
    let mut records = Vec::new();
    for n in 0..80u64 {
        let mut record = rig.record(&format!("a{}", n % 4), n);
        if n == 41 {
            record.payload = Some(vec![b'x'; 5_000]);
        }
        records.push(record);
    }
    let bad = records[41].message_id;
    for (n, id) in rig.write(records).await.into_iter().enumerate() {
        if id != bad {
            ledger.0.entry(format!("a{}", n % 4)).or_default().push(id);
        }
    }
    (ledger, bad)
}

async fn last_error(rig: &Rig, id: MessageId) -> (i16, i32, Option<String>) {
    sqlx::query_as("select status, attempts, last_error from outbox where message_id = $1")
        .bind(uuid::Uuid::from(id))
        .fetch_one(&rig.db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_event_that_is_at_fault_dies_and_none_overtakes_it() {
    let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    let (ledger, bad) = with_a_bad_one(&rig).await;
    let relay = rig.relay().max_attempts(3).retry(quick()).build().unwrap().start().await.unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 79 && stats.dead == 1))
        .await
        .unwrap();
    let comparison = rig.compare(&ledger).await;
    assert!(comparison.holds(), "{comparison:?}");
    let (status, _, error) = last_error(&rig, bad).await;
    assert_eq!(status, 4);
    let error = error.unwrap();
    assert!(
        error.to_lowercase().contains("large") || error.to_lowercase().contains("size"),
        "{error}"
    );
    let end = relay.stop().await.unwrap();
    assert_eq!((end.dead, end.strays), (1, 0), "{end:?}");
}

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
async fn a_dead_event_that_holds_lets_none_of_its_aggregate_pass() {
    let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    let (mut ledger, bad) = with_a_bad_one(&rig).await;
    let relay = rig
        .relay()
        .max_attempts(2)
        .retry(quick())
        .on_dead(OnDead::Hold)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    // a1 has 20 events; its eleventh is the bad one: ten are before it.
    soon("70 acks", relay.wait_for(|stats| stats.acked >= 70 && stats.dead == 1))
        .await
        .unwrap();
    assert_eq!(last_error(&rig, bad).await.0, 5);
    let waiting = ledger.0.get_mut("a1").unwrap().split_off(10);
    assert!(rig.compare(&ledger).await.holds());
    assert_eq!(rig.count(0).await, 9);
    // The operator discards it: its successors go on.
    sqlx::query("update outbox set status = 2 where status = 5")
        .execute(&rig.db.pool)
        .await
        .unwrap();
    ledger.0.get_mut("a1").unwrap().extend(waiting);
    soon("the rest", relay.wait_for(|stats| stats.acked >= 79)).await.unwrap();
    assert!(rig.compare(&ledger).await.holds());
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_delivered_before_its_row_is_dead() {
    let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    let dlq = TestTopic::create(&rig.kafka, 1, &[]).await;
    let (ledger, bad) = with_a_bad_one(&rig).await;
    let topic = Topic::new(dlq.name()).unwrap();
    let relay = rig
        .relay()
        .max_attempts(2)
        .retry(quick())
        .dead_letter_topic(&topic)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 79 && stats.dead == 1))
        .await
        .unwrap();
    assert!(rig.compare(&ledger).await.holds());
    let log = dlq.log().await;
    assert_eq!(log.len(), 1);
    let header = |name: &str| {
        let value = log[0].headers.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.clone());
        String::from_utf8(value.unwrap_or_else(|| panic!("no header {name}"))).unwrap()
    };
    assert_eq!(header("message-id"), bad.to_string());
    assert_eq!(header("dlq-original-topic"), rig.topic.name());
    assert!(["rejected", "retriable"].contains(&header("dlq-error-class").as_str()));
    assert!(header("dlq-failed-at").ends_with('Z') && !header("dlq-reason").is_empty() && !header("dlq-attempts").is_empty());
    assert_eq!(log[0].payload.as_ref().map(Vec::len), Some(5_000));
    relay.stop().await.unwrap();
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

//! Whose fault is it: refused events, topics that are away, dead letters.

use std::time::Duration;

use eventferry::outbox::OnDead;
use eventferry::{MessageId, RetryPolicy, Topic};
use eventferry_tests::kafka::TestTopic;

use crate::rig::{Ledger, Rig, soon};

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
    let Some(rig) = Rig::new(2, &[]).await else { return };
    let unborn = TestTopic::unborn(&rig.kafka);
    let mut records = Vec::new();
    for n in 0..60u64 {
        let mut record = rig.record(&format!("a{}", n % 6), n);
        // Aggregates a0 and a1 write to both topics, so that their order spans the two.
        if n % 6 < 2 && n % 4 < 2 {
            record.topic = unborn.name().to_owned();
        }
        records.push(record);
    }
    let waiting = records.iter().filter(|record| record.topic == unborn.name()).count() as u64;
    rig.write(records).await;
    let relay = rig.start().await;
    // The four healthy aggregates get through at once.
    soon("40 acks", relay.wait_for(|stats| stats.acked >= 40)).await.unwrap();
    let attempts: i64 = sqlx::query_scalar("select sum(attempts)::bigint from outbox")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    assert_eq!(attempts, 0);
    assert!(rig.count(0).await >= waiting.cast_signed());
    unborn.be_born(2, &[]).await;
    soon("the rest", relay.wait_for(|stats| stats.acked >= 60)).await.unwrap();
    assert_eq!(unborn.log().await.len() as u64, waiting);
    let stats = relay.stop().await.unwrap();
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}

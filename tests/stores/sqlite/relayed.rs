//! Two relays on one file, while producers write to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use eventferry::outbox::{NewRecord, Status};
use eventferry::publish::memory::MemoryPublisher;
use eventferry::relay::Relay;
use eventferry::store::sqlite::SqliteStore;
use eventferry::{IncomingMessage, MessageId, OpenTransaction, PublishErrorKind, RetryPolicy, Store, TableName};
use sqlx::SqlitePool;

use super::{Fresh, open};

async fn bounded<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_mins(1), future)
        .await
        .expect("not within a minute")
}

fn relay(pool: SqlitePool, broker: &MemoryPublisher) -> Relay<SqliteStore, MemoryPublisher> {
    let often = RetryPolicy::fixed(Duration::from_millis(20));
    Relay::builder(SqliteStore::new(pool), broker.clone())
        .retry(often)
        .max_attempts(0)
        .build()
        .unwrap()
}

/// Sixty transactions, a fifth of them rolled back; answers the message ids that were committed.
async fn produce(pool: SqlitePool, seed: u64) -> Vec<MessageId> {
    let mut random = fastrand::Rng::with_seed(seed);
    let table = TableName::default();
    let mut committed = Vec::new();
    for _ in 0..60 {
        let event = |random: &mut fastrand::Rng| {
            NewRecord::new("orders", "order", &random.u8(0..12).to_string(), "OrderPaid", Some(b"{}".to_vec()))
        };
        let records: Vec<NewRecord> = (0..random.usize(1..4)).map(|_| event(&mut random)).collect();
        let mut tx = pool.begin().await.unwrap();
        tx.insert(&table, records.clone()).await.unwrap();
        if random.u8(0..5) == 0 {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            committed.extend(records.iter().map(|record| record.message_id));
        }
    }
    committed
}

async fn open_rows(pool: &SqlitePool) -> i64 {
    let rows = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE status <> ?1").bind(Status::Done.code());
    rows.fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_and_nothing_else_is_delivered_in_order() {
    let outbox = Fresh::new().await;
    let broker = MemoryPublisher::new();
    let calls = Arc::new(AtomicU32::new(0));
    // One publish in eleven is refused, whichever event it is: its aggregate parks, the others go on.
    broker.fail_when(move |_| (calls.fetch_add(1, Relaxed) % 11 == 10).then_some(PublishErrorKind::Retriable));
    let one = relay(open(&outbox.file).await, &broker).start().await.unwrap();
    let other = relay(open(&outbox.file).await, &broker).start().await.unwrap();
    let producers: Vec<_> = (0..4).map(|seed| tokio::spawn(produce(outbox.pool.clone(), seed))).collect();
    let mut committed = Vec::new();
    for producer in producers {
        committed.extend(bounded(producer).await.unwrap());
    }
    let first = bounded(one.stop()).await.unwrap();
    loop {
        // In this order: an ack between the two shows in the count or in what is waited for.
        let acked = other.stats().acked;
        if open_rows(&outbox.pool).await == 0 {
            break;
        }
        bounded(other.wait_for(|stats| stats.acked > acked)).await.unwrap();
    }
    let second = bounded(other.stop()).await.unwrap();

    let messages = broker.messages("orders");
    let delivered: BTreeSet<MessageId> = messages.iter().filter_map(IncomingMessage::message_id).collect();
    assert_eq!(delivered, committed.iter().copied().collect());
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for message in &messages {
        if seen.insert(message.message_id()) {
            let (aggregate, position) = (message.aggregate_id().unwrap(), message.position().unwrap());
            let before = last.insert(aggregate, position).unwrap_or(0);
            assert!(
                position > before,
                "aggregate {aggregate}: {position} was first delivered after {before}"
            );
        }
    }
    assert_eq!((first.strays, second.strays), (0, 0));
    assert!(first.failed + second.failed > 0, "the refusals were counted");
    let free = outbox.store.take(eventferry::store::RelayId::random(), 64).await.unwrap();
    assert_eq!(free.len(), 64, "a relay that stops hands its lanes back at once");
}

//! Several writers at once: they wait for each other, or are told to repeat.

use std::collections::BTreeMap;
use std::time::Duration;

use eventferry::outbox::{LANES, NewRecord};
use eventferry::store::LaneRead;
use eventferry::{OpenTransaction, Store, StoreError, StoreErrorKind};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

use super::{Fresh, options};

fn event(id: &str) -> NewRecord {
    NewRecord::new("orders", "order", id, "OrderCreated", Some(b"{}".to_vec()))
}

#[tokio::test]
async fn a_transaction_that_has_read_an_older_state_is_told_to_repeat() {
    let outbox = Fresh::new().await;
    let mut tx = outbox.pool.begin().await.unwrap();
    let _: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&mut *tx).await.unwrap();
    let mut other = outbox.pool.begin().await.unwrap();
    other.insert(&outbox.table, vec![event("1")]).await.unwrap();
    other.commit().await.unwrap();

    let error = tx.insert(&outbox.table, vec![event("2")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Contention);
    assert!(
        error.is_retryable() && error.to_string().contains("repeat the whole transaction"),
        "{error}"
    );
    tx.rollback().await.unwrap();

    let mut again = outbox.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    again.insert(&outbox.table, vec![event("2")]).await.unwrap();
    again.commit().await.unwrap();
}

#[tokio::test]
async fn a_writer_that_waits_longer_than_the_busy_timeout_is_told_to_repeat() {
    let outbox = Fresh::new().await;
    let impatient = options(&outbox.file).busy_timeout(Duration::from_millis(20));
    let impatient = SqlitePoolOptions::new().connect_with(impatient).await.unwrap();
    let mut slow = outbox.pool.begin().await.unwrap();
    slow.insert(&outbox.table, vec![event("1")]).await.unwrap();
    let mut quick = impatient.begin().await.unwrap();
    let error = quick.insert(&outbox.table, vec![event("2")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Contention, "{error}");
    quick.rollback().await.unwrap();
    slow.commit().await.unwrap();
    impatient.close().await;
}

/// Reads, then writes: the worst case for SQLite. Repeats for as long as it is told to.
async fn write_until_it_commits(pool: &SqlitePool, outbox: &eventferry::TableName, aggregate: &str) -> Result<i64, StoreError> {
    loop {
        let mut tx = pool.begin().await.unwrap();
        let number: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE aggregate_id = ?1")
            .bind(aggregate)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        let mut record = event(aggregate);
        record.headers.set("number", number.to_string());
        match tx.insert(outbox, vec![record]).await {
            Ok(_) => {}
            Err(error) if error.is_retryable() => {
                tx.rollback().await.unwrap();
                continue;
            }
            Err(error) => return Err(error),
        }
        if tx.commit().await.is_ok() {
            return Ok(number);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_writer_gets_its_turn_and_ids_follow_the_commits() {
    let outbox = Fresh::new().await;
    let mut writers = Vec::new();
    for _ in 0..6 {
        let (pool, table) = (outbox.pool.clone(), outbox.table.clone());
        writers.push(tokio::spawn(async move {
            for n in 0..20 {
                write_until_it_commits(&pool, &table, &format!("aggregate-{}", n % 3))
                    .await
                    .unwrap();
            }
        }));
    }
    for writer in writers {
        tokio::time::timeout(Duration::from_mins(1), writer)
            .await
            .expect("a writer starves")
            .unwrap();
    }
    let lanes: Vec<LaneRead> = (0..LANES).map(|lane| LaneRead::new(lane, 0, 1000)).collect();
    let rows = outbox.store.read(None, &lanes).await.unwrap().fresh;
    let mut numbers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for row in rows {
        let number = row.headers.get("number").unwrap().parse().unwrap();
        numbers.entry(row.aggregate_id).or_default().push(number);
    }
    // Each number is how many events of the aggregate were committed before: read by id, they count up.
    for (aggregate, found) in numbers {
        let expected: Vec<usize> = (0..found.len()).collect();
        assert_eq!(found, expected, "{aggregate}");
    }
}

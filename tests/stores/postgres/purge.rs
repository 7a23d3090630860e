//! A purge goes through the table in stretches of ids, and neither gaps nor what is purged already makes one of them long.

use std::time::Duration;

use eventferry::store::Store;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use crate::postgres::support::{Outbox, fresh};

const LIMIT: u32 = 500;

/// Rows that were delivered long ago.
async fn put_done(outbox: &Outbox, rows: u32) {
    let columns = "order_key, status, processed_at, aggregate_type, aggregate_id, topic, event_type, payload";
    outbox
        .run(&format!(
            "INSERT INTO outbox ({columns})
             SELECT i, 2, now() - interval '1 day', 'order', 'x', 'orders', 'OrderCreated', decode(repeat('78', 200), 'hex')
             FROM generate_series(1, {rows}) AS i"
        ))
        .await;
}

async fn left(outbox: &Outbox) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM outbox");
    count.fetch_one(&outbox.database.pool).await.unwrap()
}

/// Calls until nothing is left, as a relay does that is told of few rows and comes back.
async fn purge_all(outbox: &Outbox) -> u32 {
    for call in 1..=20 {
        outbox.store.purge(Duration::ZERO, LIMIT).await.unwrap();
        if left(outbox).await == 0 {
            return call;
        }
    }
    panic!("{} rows are left", left(outbox).await)
}

#[tokio::test]
async fn a_gap_in_the_ids_keeps_no_row_from_being_purged() {
    let outbox = fresh!("outbox");
    for next in [2_i64, 100_000, 20_000_000_000, 9_000_000_000_000_000_000] {
        outbox
            .run(&format!("SELECT setval(pg_get_serial_sequence('outbox', 'id'), {next})"))
            .await;
        put_done(&outbox, 3).await;
    }
    // One that is slow passes fewer ids at a time.
    let calls = purge_all(&outbox).await;
    assert!(calls <= 10, "{calls} calls");
    put_done(&outbox, 3).await;
    let calls = purge_all(&outbox).await;
    assert!(calls <= 10, "{calls} calls from the start again");
}

/// How many pages one statement of a purge from the start of the table touches.
async fn pages(outbox: &Outbox, until: i64) -> u64 {
    const PURGE: &str = include_str!("../../../eventferry/src/store/postgres/sql/purge.sql");
    let mut connection = outbox.database.connect().await;
    let mut tx = connection.begin().await.unwrap();
    tx.execute(sqlx::raw_sql(AssertSqlSafe(format!("PREPARE x AS {PURGE}"))))
        .await
        .unwrap();
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE x (0, {LIMIT}, 0, {until})");
    let row = tx.fetch_one(sqlx::raw_sql(AssertSqlSafe(explain))).await.unwrap();
    let plan: serde_json::Value = row.get(0);
    let count = |key: &str| plan[0]["Plan"][key].as_u64().unwrap();
    count("Shared Hit Blocks") + count("Shared Read Blocks")
}

#[tokio::test]
async fn what_was_purged_and_is_not_vacuumed_yet_makes_no_statement_long() {
    const ROWS: u32 = 200_000;
    let outbox = fresh!("outbox");
    outbox.run("ALTER TABLE outbox SET (autovacuum_enabled = off)").await;
    put_done(&outbox, ROWS).await;
    outbox.run("DELETE FROM outbox").await;
    let (bounded, all) = (pages(&outbox, i64::from(LIMIT) * 40).await, pages(&outbox, i64::MAX).await);
    assert!(all > 6_000, "nothing was there to step over: {all}");
    assert!(bounded * 8 < all, "{bounded} pages, of {all}");
    put_done(&outbox, 3).await;
    let calls = purge_all(&outbox).await;
    assert!(calls <= 2, "{calls} calls");
}

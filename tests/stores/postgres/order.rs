//! Commit order: the lock that makes ids follow it, and the test that fails without the lock.

use std::time::Duration;

use eventferry::outbox::{NewRecord, Record, order_key};
use eventferry::store::{LaneRead, OpenTransaction, Receipt, Store};
use eventferry::testing::conformance::store::Harness;
use sqlx::{Connection, Executor, PgConnection, Postgres, Row, Transaction};

use crate::postgres::support::{Outbox, event, fresh, within};

/// How an event gets into the table.
#[derive(Clone, Copy)]
enum Insert {
    /// As the library does it.
    Enqueue,
    /// Without the lock: the mutant.
    Bare,
}

async fn insert(outbox: &Outbox, tx: &mut Transaction<'static, Postgres>, how: Insert, record: NewRecord) -> i64 {
    match how {
        Insert::Enqueue => position(tx.insert(&outbox.table, vec![record]).await.unwrap()[0]),
        Insert::Bare => {
            let row = sqlx::query(
                "INSERT INTO outbox (message_id, order_key, aggregate_type, aggregate_id, topic, event_type)
                 VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
            )
            .bind(uuid::Uuid::from(record.message_id))
            .bind(record.order_key())
            .bind(record.aggregate_type)
            .bind(record.aggregate_id)
            .bind(record.topic)
            .bind(record.event_type)
            .fetch_one(&mut **tx)
            .await;
            row.unwrap().get(0)
        }
    }
}

/// The id of a row that was written.
pub(super) fn position(receipt: Receipt) -> i64 {
    let Receipt::Enqueued { position, .. } = receipt else {
        panic!("not enqueued: {receipt:?}");
    };
    position
}

/// Two transactions on one aggregate: the first to insert is the last to commit, if the database lets it be.
/// Answers the order of commits, and the order in which a relay that starts then delivers.
async fn overlap(outbox: &Outbox, how: Insert) -> (Vec<i64>, Vec<i64>) {
    let mut first = outbox.begin().await;
    let first_id = insert(outbox, &mut first, how, event("42")).await;
    let mut second = outbox.begin().await;
    let mut waiting = Box::pin(insert(outbox, &mut second, how, event("42")));
    let early = match how {
        // Long enough to show that it waits.
        Insert::Enqueue => tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.ok(),
        Insert::Bare => Some(within(&mut waiting).await),
    };
    let commits = if let Some(second_id) = early {
        drop(waiting);
        outbox.commit(second).await;
        outbox.commit(first).await;
        vec![second_id, first_id]
    } else {
        outbox.commit(first).await;
        let second_id = within(waiting).await;
        outbox.commit(second).await;
        vec![first_id, second_id]
    };
    let delivered = read_all(outbox).await;
    (commits, delivered.iter().map(|record| record.id).collect())
}

#[tokio::test]
async fn events_leave_in_commit_order_and_do_not_without_the_lock() {
    let outbox = fresh!("outbox");
    let (commits, delivered) = overlap(&outbox, Insert::Enqueue).await;
    assert_eq!((commits.len(), &commits), (2, &delivered));
    let outbox = fresh!("outbox");
    let (commits, delivered) = overlap(&outbox, Insert::Bare).await;
    assert_eq!(
        (delivered.len(), commits),
        (2, vec![delivered[1], delivered[0]]),
        "the mutant must be caught"
    );
}

#[tokio::test]
async fn a_writer_that_waits_has_drawn_no_id() {
    let outbox = fresh!("outbox");
    let mut first = outbox.begin().await;
    insert(&outbox, &mut first, Insert::Enqueue, event("42")).await;
    let mut second = outbox.begin().await;
    let mut waiting = Box::pin(insert(&outbox, &mut second, Insert::Enqueue, event("42")));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    let drawn: i64 = scalar(&outbox, "SELECT last_value FROM outbox_id_seq").await;
    assert_eq!(drawn, 1);
    outbox.commit(first).await;
    assert_eq!(within(waiting).await, 2);
}

async fn scalar(outbox: &Outbox, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&outbox.database.pool).await.unwrap()
}

/// Whether the slot of `order`/`id` is free, asked by another session.
async fn is_free(connection: &mut PgConnection, id: &str) -> bool {
    let mut tx = connection.begin().await.unwrap();
    let row = sqlx::query("SELECT pg_try_advisory_xact_lock('outbox'::regclass::oid::int4, ($1::int8 & 4095)::int4)")
        .bind(order_key("order", id))
        .fetch_one(&mut *tx)
        .await;
    tx.rollback().await.unwrap();
    row.unwrap().get(0)
}

#[tokio::test]
async fn a_savepoint_gives_back_only_the_locks_taken_in_it() {
    let outbox = fresh!("outbox");
    let mut other = outbox.database.connect().await;
    let mut tx = outbox.begin().await;
    insert(&outbox, &mut tx, Insert::Enqueue, event("kept")).await;
    let mut inner = tx.begin().await.unwrap();
    inner.insert(&outbox.table, vec![event("kept")]).await.unwrap();
    inner.insert(&outbox.table, vec![event("given back")]).await.unwrap();
    assert!(!is_free(&mut other, "given back").await);
    inner.rollback().await.unwrap();
    assert!(is_free(&mut other, "given back").await);
    assert!(!is_free(&mut other, "kept").await, "a lock taken before the savepoint outlives it");
    tx.commit().await.unwrap();
    assert!(is_free(&mut other, "kept").await);
}

#[tokio::test]
async fn a_prepared_transaction_holds_its_place() {
    let outbox = fresh!("outbox");
    let allowed: i64 = scalar(&outbox, "SELECT current_setting('max_prepared_transactions')::int8").await;
    assert!(
        allowed > 0,
        "the server must allow prepared transactions: max_prepared_transactions"
    );
    let mut other = outbox.database.connect().await;
    let mut tx = outbox.begin().await;
    insert(&outbox, &mut tx, Insert::Enqueue, event("42")).await;
    // The name is the whole server's.
    let name = uuid::Uuid::new_v4();
    tx.execute(sqlx::AssertSqlSafe(format!("PREPARE TRANSACTION '{name}'")))
        .await
        .unwrap();
    let held = !is_free(&mut other, "42").await;
    // Before anything is asserted: a database with a prepared transaction cannot be dropped.
    other
        .execute(sqlx::AssertSqlSafe(format!("COMMIT PREPARED '{name}'")))
        .await
        .unwrap();
    assert!(held);
    assert!(is_free(&mut other, "42").await);
}

/// Reads everything, in the order of ids.
pub(super) async fn read_all(outbox: &Outbox) -> Vec<Record> {
    let lanes: Vec<_> = (0..64).map(|lane| LaneRead::new(lane, 0, 100_000)).collect();
    let mut rows = outbox.store.read(None, &lanes).await.unwrap().fresh;
    rows.sort_by_key(|record| record.id);
    rows
}

#[tokio::test]
async fn an_event_written_by_hand_takes_its_place() {
    let outbox = fresh!("outbox");
    let mut first = outbox.begin().await;
    insert(&outbox, &mut first, Insert::Enqueue, event("42")).await;
    let by_hand = "SELECT outbox_enqueue('orders', 'order', '42', 'OrderPaid', convert_to('{\"n\":1}', 'UTF8'))";
    let mut second = outbox.begin().await;
    let mut waiting = Box::pin(sqlx::query_scalar::<_, i64>(by_hand).fetch_one(&mut *second));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "it waits for the place of its aggregate");
    outbox.commit(first).await;
    assert_eq!(within(waiting).await.unwrap(), 2);
    outbox.commit(second).await;
    let rows = read_all(&outbox).await;
    let (library, hand) = (&rows[0], &rows[1]);
    assert_eq!((hand.order_key, hand.ordered, hand.attempts), (library.order_key, true, 0));
    assert_eq!(hand.key.as_deref(), Some("42"));
    assert_eq!((hand.event_version, hand.content_type.as_str()), (1, "application/json"));
}

#[tokio::test]
async fn a_duplicate_written_by_hand_answers_null() {
    let outbox = fresh!("outbox");
    let again = "SELECT outbox_enqueue('t', 'a', '1', 'E', NULL, message_id => '00000000-0000-0000-0000-000000000001')";
    let write = || sqlx::query_scalar::<_, Option<i64>>(again).fetch_one(&outbox.database.pool);
    assert_eq!(write().await.unwrap(), Some(1));
    assert_eq!(write().await.unwrap(), None);
}

#[tokio::test]
async fn the_database_computes_the_same_order_keys() {
    let outbox = fresh!("outbox");
    for (aggregate_type, id) in [
        ("order", "42"),
        ("order", ""),
        ("ä", "1"),
        ("a\u{1f600}", "'\\"),
        ("x", "negative-7"),
    ] {
        let theirs: i64 = sqlx::query_scalar("SELECT outbox_order_key($1, $2)")
            .bind(aggregate_type)
            .bind(id)
            .fetch_one(&outbox.database.pool)
            .await
            .unwrap();
        assert_eq!(theirs, order_key(aggregate_type, id), "{aggregate_type}/{id}");
    }
}

//! What is in the file: ids that stay used, everything after a reopening, several outboxes, a restored copy, the view for people.

use eventferry::outbox::{LANES, NewRecord, Payload, Record};
use eventferry::store::sqlite::SqliteStore;
use eventferry::store::{Doing, LaneRead, Receipt, RelayId, Retention, Snapshot};
use eventferry::{OpenTransaction, Store, StoreErrorKind, TableName};
use sqlx::SqlitePool;

use super::{Fresh, delete_file, fresh_path, open};

fn event(id: &str) -> NewRecord {
    NewRecord::new("orders", "order", id, "OrderCreated", Some(b"{\"total\":1}".to_vec()))
}

async fn put(pool: &SqlitePool, table: &TableName, records: Vec<NewRecord>) -> Vec<Receipt> {
    let mut tx = pool.begin().await.unwrap();
    let receipts = tx.insert(table, records).await.unwrap();
    tx.commit().await.unwrap();
    receipts
}

fn position(receipt: Receipt) -> i64 {
    match receipt {
        Receipt::Enqueued { position, .. } => position,
        Receipt::Duplicate { .. } | _ => panic!("expected a new row, got {receipt:?}"),
    }
}

async fn read(store: &SqliteStore) -> (Snapshot, Vec<Record>) {
    let lanes: Vec<LaneRead> = (0..LANES).map(|lane| LaneRead::new(lane, 0, 1000)).collect();
    let batch = store.read(None, &lanes).await.unwrap();
    (batch.snapshot, batch.fresh)
}

#[tokio::test]
async fn an_id_is_not_drawn_again_after_its_row_is_deleted_and_the_file_reopened() {
    let outbox = Fresh::new().await;
    let receipts = put(&outbox.pool, &outbox.table, vec![event("1"), event("2")]).await;
    let rows: Vec<_> = read(&outbox.store).await.1.iter().map(Record::row).collect();
    outbox.store.done(&rows, Retention::Delete).await.unwrap();
    outbox.pool.close().await;

    let pool = open(&outbox.file).await;
    let after = put(&pool, &outbox.table, vec![event("3")]).await;
    assert!(position(after[0]) > position(receipts[1]), "{after:?} after {receipts:?}");
    pool.close().await;
}

#[tokio::test]
async fn a_file_that_is_opened_again_has_everything() {
    let outbox = Fresh::new().await;
    let (first, second) = (RelayId::random(), RelayId::random());
    let held = outbox.store.take(first, 10).await.unwrap();
    let held: Vec<_> = held.into_iter().map(|taken| taken.lease).collect();
    put(&outbox.pool, &outbox.table, vec![event("1")]).await;
    let before = read(&outbox.store).await;
    outbox.pool.close().await;

    let pool = open(&outbox.file).await;
    let store = SqliteStore::new(pool.clone());
    let after = read(&store).await;
    assert_eq!((after.0, after.1[0].row()), (before.0, before.1[0].row()));
    assert_eq!(store.take(second, LANES).await.unwrap().len(), 54, "leases outlive the process");
    assert_eq!(store.renew(first, &held, Doing::Sharing).await.unwrap().kept.len(), 10);
    pool.close().await;
}

#[tokio::test]
async fn outboxes_of_one_database_know_nothing_of_each_other() {
    let outbox = Fresh::new().await;
    let longest = TableName::new(&"x".repeat(50)).unwrap();
    let other = TableName::new("outbox_outbox").unwrap();
    let mut stores = vec![outbox.store.clone()];
    for table in [&longest, &other] {
        SqliteStore::migrate(&outbox.pool, table).await.unwrap();
        stores.push(SqliteStore::new(outbox.pool.clone()).table(table.clone()));
    }
    put(&outbox.pool, &longest, vec![event("1"), event("2")]).await;
    put(&outbox.pool, &other, vec![event("1")]).await;
    let mut sources = Vec::new();
    let mut counts = Vec::new();
    for store in &stores {
        assert_eq!(store.take(RelayId::random(), LANES).await.unwrap().len(), 64);
        let (snapshot, rows) = read(store).await;
        sources.push(snapshot.source);
        counts.push(rows.len());
    }
    assert_eq!(counts, [0, 2, 1]);
    sources.sort();
    sources.dedup();
    assert_eq!(sources.len(), 3, "each outbox is a source of its own");
    SqliteStore::migrate_down(&outbox.pool, &TableName::default()).await.unwrap();
    assert_eq!(read(&stores[1]).await.1.len(), 2);
}

#[tokio::test]
async fn a_restored_copy_is_told_by_its_snapshot() {
    let outbox = Fresh::new().await;
    put(&outbox.pool, &outbox.table, vec![event("1")]).await;
    let copy = fresh_path();
    sqlx::query("VACUUM INTO ?1")
        .bind(copy.to_str().unwrap())
        .execute(&outbox.pool)
        .await
        .unwrap();
    put(&outbox.pool, &outbox.table, vec![event("2")]).await;
    let (now, _) = read(&outbox.store).await;

    let pool = open(&copy).await;
    let (restored, rows) = read(&SqliteStore::new(pool.clone())).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(restored.source, now.source);
    assert!(
        restored.xmax < now.xmax,
        "ids come back: a relay that sees the bound go down starts over"
    );
    pool.close().await;
    delete_file(&copy);
}

#[tokio::test]
async fn only_one_of_two_processes_that_migrate_at_once_makes_the_outbox() {
    let file = fresh_path();
    let pool = open(&file).await;
    let table = TableName::default();
    let (one, other) = tokio::join!(SqliteStore::migrate(&pool, &table), SqliteStore::migrate(&pool, &table));
    one.unwrap();
    other.unwrap();
    assert_eq!(
        SqliteStore::new(pool.clone()).take(RelayId::random(), LANES).await.unwrap().len(),
        64
    );
    pool.close().await;
    delete_file(&file);
}

/// What the first version had: no table of schemas.
#[tokio::test]
async fn an_outbox_of_the_first_version_is_brought_up_with_its_events() {
    let outbox = Fresh::new().await;
    put(&outbox.pool, &outbox.table, vec![event("1")]).await;
    let back = "DROP TABLE outbox_schema; UPDATE outbox_meta SET version = 1";
    sqlx::raw_sql(back).execute(&outbox.pool).await.unwrap();
    let error = outbox.store.open(RelayId::random()).await.unwrap_err();
    assert!(error.to_string().contains("run `SqliteStore::migrate`"), "{error}");

    SqliteStore::migrate(&outbox.pool, &outbox.table).await.unwrap();
    outbox.store.open(RelayId::random()).await.unwrap();
    let rows: Vec<_> = read(&outbox.store).await.1.iter().map(Record::row).collect();
    assert_eq!(rows.len(), 1);
    outbox.store.done(&rows, Retention::Delete).await.unwrap();
    sqlx::raw_sql(back).execute(&outbox.pool).await.unwrap();
    SqliteStore::migrate_down(&outbox.pool, &outbox.table).await.unwrap();
}

#[tokio::test]
async fn down_refuses_while_an_event_is_not_delivered() {
    let outbox = Fresh::new().await;
    put(&outbox.pool, &outbox.table, vec![event("1"), event("2")]).await;
    let error = SqliteStore::migrate_down(&outbox.pool, &outbox.table).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.to_string().contains("events that were not delivered"), "{error}");
    let rows: Vec<_> = read(&outbox.store).await.1.iter().map(Record::row).collect();
    assert_eq!(rows.len(), 2, "nothing was changed");

    outbox.store.done(&rows[..1], Retention::default()).await.unwrap();
    sqlx::query("UPDATE outbox SET status = 4 WHERE status = 0")
        .execute(&outbox.pool)
        .await
        .unwrap();
    assert!(
        SqliteStore::migrate_down(&outbox.pool, &outbox.table).await.is_err(),
        "a dead event is nobody's to throw away"
    );

    outbox.store.done(&rows, Retention::default()).await.unwrap();
    SqliteStore::migrate_down(&outbox.pool, &outbox.table).await.unwrap();
    let left: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE name LIKE '%outbox%'")
        .fetch_all(&outbox.pool)
        .await
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
    SqliteStore::migrate(&outbox.pool, &outbox.table).await.unwrap();
}

#[tokio::test]
async fn people_read_json_as_json_and_nothing_where_it_is_none() {
    let outbox = Fresh::new().await;
    let (json, mut bytes, mut tombstone) = (event("1"), event("2"), event("3"));
    bytes.payload = Some(vec![0xff, 0x00, 0xfe]);
    tombstone.payload = None;
    let id = json.message_id;
    put(&outbox.pool, &outbox.table, vec![json, bytes, tombstone]).await;
    let rows: Vec<(String, String, Option<String>, Option<i64>)> =
        sqlx::query_as("SELECT message_id, status, payload, payload_bytes FROM outbox_readable ORDER BY id")
            .fetch_all(&outbox.pool)
            .await
            .unwrap();
    assert_eq!(
        rows[0],
        (id.to_string(), "pending".to_owned(), Some("{\"total\":1}".to_owned()), Some(11))
    );
    assert_eq!((rows[1].2.as_deref(), rows[1].3), (None, Some(3)));
    assert_eq!((rows[2].2.as_deref(), rows[2].3), (None, None));
}

#[tokio::test]
async fn a_hand_written_row_is_carried_like_any_other() {
    let outbox = Fresh::new().await;
    let key = eventferry::order_key("order", "42");
    sqlx::query(
        "INSERT INTO outbox (message_id, order_key, aggregate_type, aggregate_id, topic, event_type, payload) VALUES (randomblob(16), ?1, 'order', '42', 'orders', 'OrderCreated', x'7b7d')",
    )
    .bind(key)
    .execute(&outbox.pool)
    .await
    .unwrap();
    let rows = read(&outbox.store).await.1;
    assert_eq!(
        (rows[0].order_key, rows[0].lane(), rows[0].event_version),
        (key, eventferry::outbox::lane_of(key), 1)
    );
    assert!(rows[0].payload == Payload::Bytes(b"{}".to_vec()) && rows[0].headers.is_empty());
}

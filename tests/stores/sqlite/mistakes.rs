//! Each mistake in the setting up is one clear error that says what to do.

use std::error::Error as _;
use std::time::Duration;

use eventferry::outbox::NewRecord;
use eventferry::store::RelayId;
use eventferry::store::sqlite::SqliteStore;
use eventferry::{OpenTransaction, Store, StoreError, StoreErrorKind, TableName};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{Fresh, delete_file, fresh_path, open};

fn event() -> NewRecord {
    NewRecord::new("orders", "order", "42", "OrderCreated", Some(b"a secret payload".to_vec()))
}

#[track_caller]
fn assert_says(error: &StoreError, kind: StoreErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}: {:?}", error.source());
    let chain = format!("{error}: {:?}", error.source());
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in: {chain}");
    }
    assert!(!chain.contains("secret"), "{chain}");
}

async fn run(outbox: &Fresh, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&outbox.pool).await.unwrap();
}

#[tokio::test]
async fn a_table_that_was_never_made() {
    let outbox = Fresh::new().await;
    let elsewhere = TableName::new("elsewhere").unwrap();
    let store = SqliteStore::new(outbox.pool.clone()).table(elsewhere.clone());
    let says: &[&str] = &["`elsewhere`", "SqliteStore::migrate"];
    assert_says(
        &store.open(RelayId::random()).await.unwrap_err(),
        StoreErrorKind::Misconfigured,
        says,
    );
    assert_says(
        &store.take(RelayId::random(), 1).await.unwrap_err(),
        StoreErrorKind::Misconfigured,
        says,
    );
    assert_says(&store.read(None, &[]).await.unwrap_err(), StoreErrorKind::Misconfigured, says);
    let mut tx = outbox.pool.begin().await.unwrap();
    assert_says(
        &tx.insert(&elsewhere, vec![event()]).await.unwrap_err(),
        StoreErrorKind::Misconfigured,
        says,
    );
    tx.insert(&outbox.table, vec![event()]).await.unwrap();
    tx.commit().await.unwrap();
    let error = SqliteStore::migrate_down(&outbox.pool, &elsewhere).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["`elsewhere`", "not in this database"]);
}

#[tokio::test]
async fn a_name_with_a_schema() {
    let outbox = Fresh::new().await;
    let table = TableName::new("sales.outbox").unwrap();
    let error = SqliteStore::migrate(&outbox.pool, &table).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["`sales.outbox`", "SQLite has no schemas"]);
    let mut tx = outbox.pool.begin().await.unwrap();
    let error = tx.insert(&table, vec![event()]).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["`sales.outbox`", "SQLite has no schemas"]);
    let error = SqliteStore::new(outbox.pool.clone())
        .table(table)
        .open(RelayId::random())
        .await
        .unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["`sales.outbox`", "SQLite has no schemas"]);
}

#[tokio::test]
async fn a_schema_version_of_the_future() {
    let outbox = Fresh::new().await;
    run(&outbox, "UPDATE outbox_meta SET version = 99").await;
    let says: &[&str] = &["`outbox`", "schema version 99", "knows version 2", "upgrade eventferry"];
    assert_says(
        &outbox.store.open(RelayId::random()).await.unwrap_err(),
        StoreErrorKind::Misconfigured,
        says,
    );
    for error in [
        SqliteStore::migrate(&outbox.pool, &outbox.table).await.unwrap_err(),
        SqliteStore::migrate_down(&outbox.pool, &outbox.table).await.unwrap_err(),
    ] {
        assert_says(&error, StoreErrorKind::Misconfigured, says);
    }
}

#[tokio::test]
async fn columns_that_are_not_ours() {
    let outbox = Fresh::new().await;
    run(
        &outbox,
        "DROP VIEW outbox_readable; ALTER TABLE outbox RENAME COLUMN topic TO subject",
    )
    .await;
    let says: &[&str] = &["`outbox`", "not as this version of eventferry makes it"];
    let mut tx = outbox.pool.begin().await.unwrap();
    assert_says(
        &tx.insert(&outbox.table, vec![event()]).await.unwrap_err(),
        StoreErrorKind::Misconfigured,
        says,
    );
    assert_says(
        &outbox.store.read(None, &[]).await.unwrap_err(),
        StoreErrorKind::Misconfigured,
        says,
    );
}

#[tokio::test]
async fn another_table_of_the_name() {
    let file = fresh_path();
    let pool = open(&file).await;
    sqlx::raw_sql("CREATE TABLE outbox (letters TEXT)").execute(&pool).await.unwrap();
    let error = SqliteStore::migrate(&pool, &TableName::default()).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["failed to migrate `outbox`"]);
    assert!(error.source().unwrap().to_string().contains("already exists"));
    pool.close().await;
    delete_file(&file);
}

#[tokio::test]
async fn an_outbox_that_would_break_a_promise() {
    let lanes = Fresh::new().await;
    run(&lanes, "DELETE FROM outbox_lane WHERE lane = 17").await;
    let error = lanes.store.open(RelayId::random()).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["`outbox`", "lanes 0 to 63"]);

    let settings = Fresh::new().await;
    run(&settings, "DELETE FROM outbox_meta").await;
    let error = settings.store.open(RelayId::random()).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["`outbox`", "its settings are gone"]);
    let error = settings.store.read(None, &[]).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["`outbox`", "lost its settings"]);

    let ids = Fresh::new().await;
    run(
        &ids,
        "DROP VIEW outbox_readable; DROP TABLE outbox; CREATE TABLE outbox (id INTEGER PRIMARY KEY, order_key INTEGER, status INTEGER)",
    )
    .await;
    let error = ids.store.open(RelayId::random()).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["`outbox`", "AUTOINCREMENT"]);
}

/// A lane is one of 64 numbers, each once: with 64 rows none is missing, which is why counting them is enough.
#[tokio::test]
async fn a_lane_that_does_not_exist_or_exists_already() {
    let outbox = Fresh::new().await;
    for statement in [
        "INSERT INTO outbox_lane (lane) VALUES (64)",
        "INSERT INTO outbox_lane (lane) VALUES (-1)",
        "INSERT INTO outbox_lane (lane) VALUES (17)",
        // Null stands for the next number there is, which is the 65th.
        "INSERT INTO outbox_lane (lane) VALUES (NULL)",
        "UPDATE outbox_lane SET lane = 64 WHERE lane = 17",
        "UPDATE outbox_lane SET lane = 18 WHERE lane = 17",
    ] {
        let error = sqlx::query(statement).execute(&outbox.pool).await.unwrap_err();
        let error = error.as_database_error().unwrap_or_else(|| panic!("{statement}: {error}"));
        assert!(error.is_check_violation() || error.is_unique_violation(), "{statement}: {error}");
    }
    assert!(outbox.store.open(RelayId::random()).await.is_ok());
}

#[tokio::test]
async fn settings_under_which_a_promise_rests_on_luck() {
    let outbox = Fresh::new().await;
    let bad = SqliteConnectOptions::new()
        .filename(&outbox.file)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::ZERO);
    outbox.pool.close().await;
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(bad).await.unwrap();
    let warnings = SqliteStore::new(pool.clone()).open(RelayId::random()).await.unwrap().warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (warning, part) in warnings.iter().zip(["journal_mode", "synchronous", "busy_timeout"]) {
        assert!(warning.contains(part), "{warning}");
    }
    pool.close().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_or_is_no_database() {
    let missing = SqliteConnectOptions::new().filename("/nonexistent/folder/outbox.db");
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(Duration::from_secs(2))
        .connect_lazy_with(missing);
    let error = SqliteStore::new(pool).open(RelayId::random()).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Unavailable, &["failed to open `outbox`"]);

    let file = fresh_path();
    std::fs::write(
        &file,
        "this is a letter, not a database, and long enough to be told from one".repeat(20),
    )
    .unwrap();
    let pool = SqlitePoolOptions::new().connect_lazy_with(SqliteConnectOptions::new().filename(&file));
    let error = SqliteStore::new(pool).open(RelayId::random()).await.unwrap_err();
    assert_says(&error, StoreErrorKind::Misconfigured, &["failed to open `outbox`"]);
    delete_file(&file);
}

//! What a relay refuses at start, what it warns of, migrations, and errors that tell no secret.

use std::error::Error;

use eventferry::TableName;
use eventferry::store::postgres::PostgresStore;
use eventferry::store::{Doing, LaneRead, OpenTransaction, RelayId, Store, StoreError, StoreErrorKind};
use eventferry::testing::conformance::store::Harness;
use eventferry_tests::postgres as databases;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::postgres::order::read_all;
use crate::postgres::support::{Outbox, event, fresh, together, within};

async fn open(outbox: &Outbox) -> Result<Vec<String>, StoreError> {
    outbox.store.open(RelayId::random()).await.map(|opened| opened.warnings)
}

/// Breaks the outbox, expects the refusal, runs the command it names, and expects to start.
async fn refused_and_mended(breaking: &str) {
    let Some(outbox) = Outbox::fresh("sales.events").await else {
        return;
    };
    assert!(open(&outbox).await.is_ok());
    outbox.run(breaking).await;
    let error = open(&outbox).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured, "{error}");
    let text = error.to_string();
    let (_, command) = text.split_once("; run ").unwrap_or_else(|| panic!("no command in: {text}"));
    outbox.database.pool.execute(AssertSqlSafe(command.to_owned())).await.unwrap();
    open(&outbox).await.unwrap();
}

#[tokio::test]
async fn a_sequence_with_a_cache_is_refused_with_the_command_that_mends_it() {
    refused_and_mended("ALTER SEQUENCE sales.events_id_seq CACHE 20").await;
}

#[tokio::test]
async fn a_sequence_with_another_increment_is_refused_with_the_command_that_mends_it() {
    refused_and_mended("ALTER SEQUENCE sales.events_id_seq INCREMENT BY 2").await;
}

#[tokio::test]
async fn a_sequence_that_cycles_is_refused_with_the_command_that_mends_it() {
    refused_and_mended("ALTER SEQUENCE sales.events_id_seq CYCLE").await;
}

#[tokio::test]
async fn a_missing_lane_is_refused_with_the_command_that_mends_it() {
    refused_and_mended("DELETE FROM sales.events_lane WHERE lane = 17").await;
}

/// Whoever is told to migrate a table that is there already comes back with the same error.
#[tokio::test]
async fn a_table_of_somebody_else_is_not_taken_for_the_outbox() {
    let outbox = fresh!("outbox");
    outbox.run("CREATE TABLE shop_relay (theirs integer)").await;
    let table = TableName::new("shop").unwrap();
    let error = PostgresStore::migrate(&outbox.database.pool, &table).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("choose another `TableName`") && !text.contains("run `PostgresStore::migrate`"),
        "{text}"
    );
}

/// A lane is one of 64 numbers, each once: with 64 rows none is missing, which is why counting them is enough.
#[tokio::test]
async fn a_lane_that_does_not_exist_or_exists_already_cannot_be_made() {
    let outbox = fresh!("outbox");
    for statement in [
        "INSERT INTO outbox_lane (lane) VALUES (64)",
        "INSERT INTO outbox_lane (lane) VALUES (-1)",
        "INSERT INTO outbox_lane (lane) VALUES (17)",
        "INSERT INTO outbox_lane (lane) VALUES (NULL)",
        "UPDATE outbox_lane SET lane = 64 WHERE lane = 17",
        "UPDATE outbox_lane SET lane = 18 WHERE lane = 17",
    ] {
        let error = outbox.database.pool.execute(statement).await.unwrap_err();
        let error = error.as_database_error().unwrap_or_else(|| panic!("{statement}: {error}"));
        // Not null, unique, check.
        let refused = ["23502", "23505", "23514"];
        assert!(error.code().is_some_and(|code| refused.contains(&&*code)), "{statement}: {error}");
    }
    assert!(open(&outbox).await.is_ok());
}

#[tokio::test]
async fn an_identity_that_was_lost_is_refused_with_the_command_that_mends_it() {
    refused_and_mended("DELETE FROM sales.events_meta").await;
}

/// Two sessions with ids in stock: the later commit gets the lower id.
#[tokio::test]
async fn ids_in_stock_would_go_against_commit_order() {
    let outbox = fresh!("outbox");
    outbox.run("ALTER SEQUENCE outbox_id_seq CACHE 20").await;
    let (mut one, mut two) = (outbox.database.connect().await, outbox.database.connect().await);
    let mut positions = Vec::new();
    for connection in [0, 1, 0] {
        let connection = if connection == 0 { &mut one } else { &mut two };
        let mut tx = connection.begin().await.unwrap();
        let receipt = tx.insert(&outbox.table, vec![event("42")]).await.unwrap()[0];
        tx.commit().await.unwrap();
        positions.push(crate::postgres::order::position(receipt));
    }
    assert!(!positions.is_sorted(), "{positions:?}");
}

#[tokio::test]
async fn another_version_of_the_schema_is_refused() {
    let outbox = fresh!("outbox");
    outbox.run("UPDATE outbox_meta SET version = 3").await;
    for error in [
        open(&outbox).await.unwrap_err(),
        PostgresStore::migrate(&outbox.database.pool, &outbox.table).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        assert!(error.to_string().contains("upgrade eventferry"), "{error}");
    }
}

/// What the first version had: no table of schemas.
#[tokio::test]
async fn an_outbox_of_the_first_version_is_brought_up_with_its_events() {
    let outbox = fresh!("sales.events");
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, vec![event("42")]).await.unwrap();
    outbox.commit(tx).await;
    outbox.run("DROP TABLE outbox_schema; UPDATE outbox_meta SET version = 1").await;
    let error = open(&outbox).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.to_string().contains("run `PostgresStore::migrate`"), "{error}");

    PostgresStore::migrate(&outbox.database.pool, &outbox.table).await.unwrap();
    open(&outbox).await.unwrap();
    assert_eq!(read_all(&outbox).await.len(), 1);
    outbox
        .run("DELETE FROM outbox; DROP TABLE outbox_schema; UPDATE outbox_meta SET version = 1")
        .await;
    PostgresStore::migrate_down(&outbox.database.pool, &outbox.table).await.unwrap();
}

#[tokio::test]
async fn the_table_of_schemas_stays_while_an_event_that_waits_names_one() {
    let outbox = fresh!("sales.events");
    let mut tx = outbox.begin().await;
    let mut framed = event("42");
    framed.headers.set("event-schema", "0".repeat(64));
    tx.insert(&outbox.table, vec![framed]).await.unwrap();
    outbox.commit(tx).await;
    let error = PostgresStore::migrate_down(&outbox.database.pool, &outbox.table).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("events that name their schema"), "{cause}");
    outbox.run("SELECT 1 FROM outbox_schema; UPDATE outbox SET status = 2").await;
    PostgresStore::migrate_down(&outbox.database.pool, &outbox.table).await.unwrap();
}

#[tokio::test]
async fn a_missing_outbox_is_named_with_what_to_run() {
    let Some(database) = databases::fresh().await else { return };
    let table = TableName::new("nowhere.events").unwrap();
    let store = PostgresStore::new(database.pool.clone()).table(table.clone());
    let error = store.open(RelayId::random()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.to_string().contains("`nowhere.events`"), "{error}");
    assert!(error.to_string().contains("run `PostgresStore::migrate`"), "{error}");
    let error = PostgresStore::migrate(&database.pool, &table).await.unwrap_err();
    assert_eq!(
        error.kind(),
        StoreErrorKind::Misconfigured,
        "the schema is the user's to create: {error}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_sync_is_warned_of_and_not_refused() {
    let outbox = fresh!("outbox");
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&outbox.database.pool).await.unwrap();
    let warnings = open(&outbox).await.unwrap();
    assert_eq!(warnings.iter().any(|text| text.starts_with("fsync is off")), fsync == "off");
    let options = outbox.database.options.clone().options([("synchronous_commit", "off")]);
    let store = PostgresStore::new(PgPoolOptions::new().connect_lazy_with(options));
    let warnings = store.open(RelayId::random()).await.unwrap().warnings;
    assert!(
        warnings.iter().any(|text| text.starts_with("synchronous_commit is off")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn migrating_at_the_same_time_and_again_is_harmless() {
    let Some(database) = databases::fresh().await else { return };
    let table = TableName::default();
    for answer in within(together((0..8).map(|_| PostgresStore::migrate(&database.pool, &table)))).await {
        answer.unwrap();
    }
    let store = PostgresStore::new(database.pool.clone());
    assert!(store.open(RelayId::random()).await.is_ok());
}

#[tokio::test]
async fn the_printed_statements_are_the_migration() {
    let Some(database) = databases::fresh().await else { return };
    let table = TableName::new("sales.events").unwrap();
    database.pool.execute("CREATE SCHEMA sales").await.unwrap();
    database
        .pool
        .execute(sqlx::raw_sql(AssertSqlSafe(PostgresStore::sql(&table))))
        .await
        .unwrap();
    let store = PostgresStore::new(database.pool.clone()).table(table.clone());
    store.open(RelayId::random()).await.unwrap();
    PostgresStore::migrate(&database.pool, &table).await.unwrap();
}

#[tokio::test]
async fn down_refuses_while_anything_is_undelivered_and_leaves_nothing_behind() {
    let outbox = fresh!("sales.events");
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, vec![event("42")]).await.unwrap();
    outbox.commit(tx).await;
    for status in [0, 1, 3, 4, 5] {
        outbox
            .run(&format!(
                "UPDATE outbox SET status = 0; UPDATE outbox SET available_at = now(), status = {status}"
            ))
            .await;
        let error = PostgresStore::migrate_down(&outbox.database.pool, &outbox.table).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured, "status {status}: {error}");
    }
    outbox.run("UPDATE outbox SET status = 2").await;
    PostgresStore::migrate_down(&outbox.database.pool, &outbox.table).await.unwrap();
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'sales'::regnamespace)
              + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'sales'::regnamespace)",
    )
    .fetch_one(&outbox.database.pool)
    .await
    .unwrap();
    assert_eq!(left, 0);
    PostgresStore::migrate(&outbox.database.pool, &outbox.table).await.unwrap();
}

#[tokio::test]
async fn truncate_is_refused() {
    let outbox = fresh!("outbox");
    let error = outbox.database.pool.execute("TRUNCATE outbox RESTART IDENTITY").await.unwrap_err();
    assert!(error.to_string().contains("refusing to truncate outbox"), "{error}");
}

#[tokio::test]
async fn a_sequence_behind_an_id_that_was_read_stops_the_heartbeat() {
    let outbox = fresh!("outbox");
    let relay = RelayId::random();
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, vec![event("1"), event("2"), event("3")]).await.unwrap();
    outbox.commit(tx).await;
    assert_eq!(read_all(&outbox).await.len(), 3);
    assert!(outbox.store.renew(relay, &[], Doing::Sharing).await.is_ok());
    outbox.run("ALTER SEQUENCE outbox_id_seq RESTART WITH 1").await;
    let error = outbox.store.renew(relay, &[], Doing::Sharing).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    let text = error.to_string();
    let (_, command) = text.split_once("; run ").unwrap();
    outbox.database.pool.execute(AssertSqlSafe(command.to_owned())).await.unwrap();
    assert!(outbox.store.renew(relay, &[], Doing::Sharing).await.is_ok());
}

/// A copy of the table under a new identity, as after a restore that was declared: what a relay remembers of the old one is void.
#[tokio::test]
async fn another_identity_is_another_source() {
    let outbox = fresh!("outbox");
    let lane = [LaneRead::new(0, 0, 1)];
    let before = outbox.store.read(None, &lane).await.unwrap().snapshot;
    outbox.run("UPDATE outbox_meta SET id = gen_random_uuid()").await;
    let after = outbox.store.read(Some(&before), &lane).await.unwrap().snapshot;
    assert_ne!(after.source, before.source);
    assert_eq!(
        after.source.split('/').count(),
        4,
        "uuid, system identifier, timeline, table: {}",
        after.source
    );
    assert_eq!(
        after.source.split('/').skip(1).collect::<Vec<_>>(),
        before.source.split('/').skip(1).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn payloads_that_cannot_be_shown_are_null_in_the_readable_view() {
    let outbox = fresh!("outbox");
    let mut tx = outbox.begin().await;
    let payloads: [Option<&[u8]>; 4] = [Some(b"{\"a\":1}"), Some(b"\xff\xfe"), Some(b"not json"), None];
    for payload in payloads {
        let mut record = event("42");
        record.payload = payload.map(<[u8]>::to_vec);
        tx.insert(&outbox.table, vec![record]).await.unwrap();
    }
    outbox.commit(tx).await;
    let shown: Vec<Option<String>> = sqlx::query_scalar("SELECT payload::text FROM outbox_readable ORDER BY id")
        .fetch_all(&outbox.database.pool)
        .await
        .unwrap();
    assert_eq!(shown, [Some("{\"a\":1}".to_owned()), None, None, None]);
}

/// Everything an error may show: its text, its causes, and `Debug`.
fn all_of(error: &StoreError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text} {next} {next:?}");
        cause = next.source();
    }
    text
}

/// A server that refuses every password, as PostgreSQL does.
async fn refuses_passwords() -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Start-up message, answered by a demand for a clear-text password, and the password.
            let mut length = [0; 4];
            stream.read_exact(&mut length).await.unwrap();
            let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
            stream.read_exact(&mut rest).await.unwrap();
            stream.write_all(b"R\0\0\0\x08\0\0\0\x03").await.unwrap();
            let mut password = [0; 5];
            stream.read_exact(&mut password).await.unwrap();
            let fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"relay\"\0\0";
            let mut answer = vec![b'E'];
            answer.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
            answer.extend(fields);
            stream.write_all(&answer).await.unwrap();
        }
    });
    (port, server)
}

#[tokio::test]
async fn a_wrong_password_gives_its_cause_and_not_the_password() {
    let (port, server) = refuses_passwords().await;
    let url = format!("postgres://relay:hunter2@127.0.0.1:{port}/shop?sslmode=disable");
    let options: PgConnectOptions = url.parse().unwrap();
    let store = PostgresStore::new(PgPoolOptions::new().connect_lazy_with(options));
    let error = within(store.open(RelayId::random())).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    let text = all_of(&error);
    assert!(text.contains("password authentication failed for user \"relay\""), "{text}");
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    assert!(!text.contains("hunter2") && !format!("{store:?}").contains("hunter2"), "{text}");
    server.abort();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let options: PgConnectOptions = format!("postgres://relay:hunter2@127.0.0.1:{port}/shop").parse().unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let error = within(PostgresStore::migrate(&pool, &TableName::default())).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let text = all_of(&error);
    assert!(text.contains(&format!("127.0.0.1:{port}")) && !text.contains("hunter2"), "{text}");
}

/// A constraint that a payload breaks: PostgreSQL quotes the whole row, this library does not.
#[tokio::test]
async fn a_refused_row_is_not_quoted() {
    let outbox = fresh!("outbox");
    outbox
        .run("ALTER TABLE outbox ADD CONSTRAINT no_secrets CHECK (aggregate_id <> 'secret-4111')")
        .await;
    let mut tx = outbox.begin().await;
    let error = tx.insert(&outbox.table, vec![event("secret-4111")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
    let text = all_of(&error);
    assert!(text.contains("no_secrets") && !text.contains("4111"), "{text}");
}

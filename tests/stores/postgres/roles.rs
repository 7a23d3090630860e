//! What each role needs, and no more: what `docs/postgres.md` says.

use std::error::Error;

use eventferry::outbox::{LANES, OnDead, Status};
use eventferry::schema::{Schema, SchemaKind};
use eventferry::store::postgres::PostgresStore;
use eventferry::store::{
    Doing, Fault, InboxTransaction, LaneRead, OpenTransaction, Receipt, RelayId, Retention, SchemaTable, Store, StoreErrorKind, Verdict,
};
use eventferry::testing::conformance::store::Harness;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::postgres::support::{Outbox, event, fresh, leases};

/// A pool whose sessions act as a role that has no more than it is granted here.
pub(super) async fn role(outbox: &Outbox, grants: &[&str]) -> PgPool {
    let role = format!("r_{}", uuid::Uuid::new_v4().simple());
    outbox.run(&format!("CREATE ROLE {role} NOLOGIN")).await;
    for grant in grants {
        outbox.run(&format!("GRANT {grant} TO {role}")).await;
    }
    let options = outbox.database.options.clone().options([("role", &role)]);
    PgPoolOptions::new().connect_lazy_with(options)
}

pub(super) async fn drop_role(outbox: &Outbox, pool: &PgPool) {
    let role: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(pool).await.unwrap();
    pool.close().await;
    outbox.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_producer_needs_insert_and_three_columns_and_nothing_of_the_payload() {
    let outbox = fresh!("sales.events");
    let pool = role(
        &outbox,
        &["USAGE ON SCHEMA sales", "INSERT, SELECT (id, message_id, status) ON outbox"],
    )
    .await;
    let mut tx = pool.begin().await.unwrap();
    let record = event("42");
    let receipts = tx.insert(&outbox.table, vec![record.clone(), record]).await.unwrap();
    assert!(
        matches!(receipts[..], [Receipt::Enqueued { .. }, Receipt::Duplicate { dead: false, .. }]),
        "{receipts:?}"
    );
    let by_hand = "SELECT sales.events_enqueue('t', 'a', '1', 'E', NULL)";
    assert!(sqlx::query_scalar::<_, i64>(by_hand).fetch_one(&mut *tx).await.unwrap() > 1);
    tx.commit().await.unwrap();
    let refused = sqlx::query("SELECT payload FROM sales.events").execute(&pool).await.unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
    drop_role(&outbox, &pool).await;
}

#[tokio::test]
async fn a_producer_that_writes_its_schemas_needs_insert_and_the_fingerprints() {
    let outbox = fresh!("sales.events");
    let pool = role(&outbox, &["USAGE ON SCHEMA sales", "INSERT, SELECT (fingerprint) ON outbox_schema"]).await;
    let schema = Schema::new(SchemaKind::Json, "Ping", "{}");
    for _ in 0..2 {
        pool.put_schemas(&outbox.table, std::slice::from_ref(&schema)).await.unwrap();
    }
    let error = pool.find_schema(&outbox.table, &schema.fingerprint()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        StoreErrorKind::Misconfigured,
        "the relay's role reads the texts: {error}"
    );
    drop_role(&outbox, &pool).await;
}

#[tokio::test]
async fn a_producer_without_rights_is_told_so() {
    let outbox = fresh!("sales.events");
    let pool = role(&outbox, &["USAGE ON SCHEMA sales"]).await;
    let mut tx = pool.begin().await.unwrap();
    let error = tx.insert(&outbox.table, vec![event("42")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.source().unwrap().to_string().contains("permission denied"), "{error:?}");
    drop(tx);
    drop_role(&outbox, &pool).await;
}

#[tokio::test]
async fn a_consumer_needs_insert_on_the_inbox_only() {
    let outbox = fresh!("sales.events");
    let pool = role(&outbox, &["USAGE ON SCHEMA sales", "INSERT ON sales.events_inbox"]).await;
    let mut tx = pool.begin().await.unwrap();
    let id = event("42").message_id;
    assert!(tx.remember(&outbox.table, "billing", id).await.unwrap());
    assert!(!tx.remember(&outbox.table, "billing", id).await.unwrap());
    drop(tx);
    drop_role(&outbox, &pool).await;
}

/// What `docs/postgres.md` lists for a relay.
const RELAY: [&str; 6] = [
    "USAGE ON SCHEMA sales",
    "SELECT, UPDATE, DELETE ON sales.events",
    "USAGE ON SEQUENCE sales.events_id_seq",
    "SELECT, UPDATE ON sales.events_lane",
    "SELECT, INSERT, UPDATE, DELETE ON sales.events_relay",
    "SELECT ON sales.events_meta",
];

#[tokio::test]
async fn a_relay_needs_no_more_than_the_documented_rights() {
    let outbox = fresh!("sales.events");
    let pool = role(&outbox, &RELAY).await;
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, vec![event("1"), event("2"), event("3")]).await.unwrap();
    outbox.commit(tx).await;
    let store = PostgresStore::new(pool.clone()).table(outbox.table.clone());
    let relay = RelayId::random();
    store.open(relay).await.unwrap();
    let held = leases(&store.take(relay, LANES).await.unwrap());
    assert_eq!(store.renew(relay, &held, Doing::Sharing).await.unwrap().kept.len(), 64);
    let lanes: Vec<_> = (0..LANES).map(|lane| LaneRead::new(lane, 0, 10)).collect();
    let rows = store.read(None, &lanes).await.unwrap().fresh;
    let (kept, deleted, failed) = (&rows[0], &rows[1], &rows[2]);
    store.done(&[kept.row()], Retention::default()).await.unwrap();
    store.done(&[deleted.row()], Retention::Delete).await.unwrap();
    let lease = held.iter().find(|lease| lease.lane == failed.lane()).unwrap();
    let verdict = Verdict::new(failed.row(), 0, *lease, Fault::Rejected, OnDead::Continue, "no");
    store.fail(relay, &[verdict]).await.unwrap();
    let statuses = store.look_up(&[kept.row(), deleted.row(), failed.row()]).await.unwrap();
    assert_eq!(statuses, [Some(Status::Done), None, Some(Status::Dead)]);
    assert_eq!(store.purge(std::time::Duration::ZERO, 10).await.unwrap(), 1);
    store.release(relay, &held).await.unwrap();
    store.close(relay).await.unwrap();
    drop_role(&outbox, &pool).await;
}

/// A policy that hides every row must not look like an empty outbox.
#[tokio::test]
async fn row_security_is_an_error_and_not_an_empty_table() {
    let outbox = fresh!("sales.events");
    let pool = role(&outbox, &RELAY).await;
    outbox.run("ALTER TABLE outbox ENABLE ROW LEVEL SECURITY").await;
    let store = PostgresStore::new(pool.clone()).table(outbox.table.clone());
    let error = store.read(None, &[LaneRead::new(0, 0, 10)]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.source().unwrap().to_string().contains("row-level security"), "{error:?}");
    drop_role(&outbox, &pool).await;
}

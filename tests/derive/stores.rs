//! Typed events in the transactions of real databases: with the business row or not at all.
#![expect(clippy::unwrap_used, reason = "what a test needs is there or the test fails")]

use eventferry::event::TraceContext;
use eventferry::{EnqueueErrorKind, MessageId, OpenTransaction, OutboxEvent, Receipt, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", version = 3)]
struct OrderCreated {
    // Not in the order of the alphabet: bytes that were written again would show it.
    #[schemars(range(min = 1))]
    total_cents: i64,
    #[outbox(aggregate_id)]
    order_id: u64,
    #[outbox(header = "tenant-id")]
    tenant: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "pings", aggregate_type = "host", order = "none")]
struct Ping {
    #[outbox(aggregate_id)]
    host: String,
}

define_outbox! {
    type ShopEvents;

    #[derive(Debug, PartialEq)]
    enum ShopEvent {
        OrderCreated,
        Ping,
    }
}

fn order(order_id: u64, total_cents: i64) -> OrderCreated {
    OrderCreated {
        total_cents,
        order_id,
        tenant: "a \"quoted\" täx".to_owned(),
    }
}

fn position(receipt: &Receipt) -> Option<i64> {
    if let Receipt::Enqueued { position, .. } = receipt {
        Some(*position)
    } else {
        None
    }
}

/// A database with an outbox and a table `orders (id)`.
trait Database {
    type Transaction: OpenTransaction;

    async fn begin(&self) -> Self::Transaction;
    async fn insert_order(&self, tx: &mut Self::Transaction);
    async fn commit(&self, tx: Self::Transaction);
    /// How many orders there are.
    async fn orders(&self) -> i64;
    /// The rows of the outbox by id: payload, event type, headers, whether ordered.
    async fn rows(&self) -> Vec<(Vec<u8>, String, String, bool)>;
}

macro_rules! database {
    ($name:ty, $driver:ty) => {
        impl Database for $name {
            type Transaction = sqlx::Transaction<'static, $driver>;

            async fn begin(&self) -> Self::Transaction {
                self.pool.begin().await.unwrap()
            }

            async fn insert_order(&self, tx: &mut Self::Transaction) {
                sqlx::query("INSERT INTO orders (id) VALUES (1)")
                    .execute(&mut **tx)
                    .await
                    .unwrap();
            }

            async fn commit(&self, tx: Self::Transaction) {
                tx.commit().await.unwrap();
            }

            async fn orders(&self) -> i64 {
                sqlx::query_scalar("SELECT count(*) FROM orders")
                    .fetch_one(&self.pool)
                    .await
                    .unwrap()
            }

            async fn rows(&self) -> Vec<(Vec<u8>, String, String, bool)> {
                sqlx::query_as("SELECT payload, event_type, CAST(headers AS text), ordered FROM outbox ORDER BY id")
                    .fetch_all(&self.pool)
                    .await
                    .unwrap()
            }
        }
    };
}

async fn an_event_is_there_if_and_only_if_its_transaction_committed(database: &impl Database) {
    let events = ShopEvents::new().unwrap();
    for commits in [false, true] {
        let mut tx = database.begin().await;
        database.insert_order(&mut tx).await;
        events.enqueue(&mut tx, order(7, 500)).await.unwrap();
        if commits {
            database.commit(tx).await;
        }
    }
    assert_eq!(database.orders().await, 1);
    let rows = database.rows().await;
    let [(payload, event_type, headers, ordered)] = rows.as_slice() else {
        panic!("{} rows", rows.len())
    };
    assert_eq!(
        (payload, event_type.as_str(), *ordered),
        (&serde_json::to_vec(&order(7, 500)).unwrap(), "OrderCreated", true)
    );
    let headers: serde_json::Value = serde_json::from_str(headers).unwrap();
    assert_eq!(headers, serde_json::json!({ "tenant-id": "a \"quoted\" täx" }));
}

async fn what_is_refused_leaves_the_transaction_usable(database: &impl Database) {
    let events = ShopEvents::new().unwrap();
    let mut tx = database.begin().await;
    events.enqueue(&mut tx, order(1, 1)).await.unwrap();
    let refused = events.enqueue(&mut tx, order(2, 0)).await.unwrap_err();
    assert_eq!(refused.kind(), EnqueueErrorKind::Refused);
    let invalid = events.event(order(3, 1)).header("x", "\0").enqueue(&mut tx).await.unwrap_err();
    assert_eq!(invalid.kind(), EnqueueErrorKind::Invalid);
    let batch = [events.event(order(4, 1)), events.event(order(5, 0))];
    assert_eq!(events.enqueue_all(&mut tx, batch).await.unwrap_err().position(), Some(1));
    events.enqueue(&mut tx, order(6, 6)).await.unwrap();
    database.commit(tx).await;
    let stored: Vec<_> = database.rows().await.into_iter().map(|(payload, ..)| payload).collect();
    assert_eq!(stored, [order(1, 1), order(6, 6)].map(|event| serde_json::to_vec(&event).unwrap()));
}

async fn a_batch_of_mixed_events_keeps_its_order_and_a_message_id_writes_once(database: &impl Database) {
    let events = ShopEvents::new().unwrap();
    let context = TraceContext::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let (id, host) = (MessageId::random(), "a".to_owned());
    let mut tx = database.begin().await;
    let drafts = [
        events.event(Ping { host }).trace_context(&context),
        events.event(order(2, 2)).message_id(id).key("k"),
        events.event(order(1, 1)),
        events.event(order(2, 2)).message_id(id),
    ];
    let receipts = events.enqueue_all(&mut tx, drafts).await.unwrap();
    let again = events.event(order(2, 2)).message_id(id).enqueue(&mut tx).await.unwrap();
    database.commit(tx).await;
    let positions: Vec<_> = receipts.iter().filter_map(position).collect();
    assert!(positions.is_sorted() && positions.len() == 3, "{receipts:?}");
    assert!(receipts[3].is_duplicate() && again.is_duplicate());
    assert_eq!((receipts[1].message_id(), again.message_id()), (id, id));
    let rows = database.rows().await;
    let kinds: Vec<_> = rows
        .iter()
        .map(|(_, event_type, _, ordered)| (event_type.as_str(), *ordered))
        .collect();
    assert_eq!(kinds, [("Ping", false), ("OrderCreated", true), ("OrderCreated", true)]);
    assert!(
        rows[0].2.contains("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        "{}",
        rows[0].2
    );
}

mod sqlite {
    use eventferry::TableName;
    use eventferry::store::sqlite::SqliteStore;
    use sqlx::SqlitePool;
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    use super::Database;

    pub(super) struct Sqlite {
        pub(super) pool: SqlitePool,
    }

    database!(Sqlite, sqlx::Sqlite);

    /// A database in memory: one connection, so that it stays the same one.
    async fn fresh() -> Sqlite {
        let pool = SqlitePoolOptions::new().max_connections(1).min_connections(1);
        let pool = pool.connect_with(SqliteConnectOptions::new().in_memory(true)).await.unwrap();
        SqliteStore::migrate(&pool, &TableName::default()).await.unwrap();
        sqlx::query("CREATE TABLE orders (id integer)").execute(&pool).await.unwrap();
        Sqlite { pool }
    }

    #[tokio::test]
    async fn an_event_is_there_if_and_only_if_its_transaction_committed() {
        super::an_event_is_there_if_and_only_if_its_transaction_committed(&fresh().await).await;
    }

    #[tokio::test]
    async fn what_is_refused_leaves_the_transaction_usable() {
        super::what_is_refused_leaves_the_transaction_usable(&fresh().await).await;
    }

    #[tokio::test]
    async fn a_batch_of_mixed_events_keeps_its_order_and_a_message_id_writes_once() {
        super::a_batch_of_mixed_events_keeps_its_order_and_a_message_id_writes_once(&fresh().await).await;
    }
}

mod postgres {
    use eventferry::TableName;
    use eventferry::store::postgres::PostgresStore;
    use eventferry_tests::postgres::{FreshDatabase, fresh as fresh_database};
    use sqlx::Postgres;

    use super::Database;

    database!(FreshDatabase, Postgres);

    async fn fresh() -> Option<FreshDatabase> {
        let database = fresh_database().await?;
        PostgresStore::migrate(&database.pool, &TableName::default()).await.unwrap();
        sqlx::query("CREATE TABLE orders (id integer)")
            .execute(&database.pool)
            .await
            .unwrap();
        Some(database)
    }

    #[tokio::test]
    async fn an_event_is_there_if_and_only_if_its_transaction_committed() {
        let Some(database) = fresh().await else { return };
        super::an_event_is_there_if_and_only_if_its_transaction_committed(&database).await;
    }

    #[tokio::test]
    async fn what_is_refused_leaves_the_transaction_usable() {
        let Some(database) = fresh().await else { return };
        super::what_is_refused_leaves_the_transaction_usable(&database).await;
    }

    #[tokio::test]
    async fn a_batch_of_mixed_events_keeps_its_order_and_a_message_id_writes_once() {
        let Some(database) = fresh().await else { return };
        super::a_batch_of_mixed_events_keeps_its_order_and_a_message_id_writes_once(&database).await;
    }
}

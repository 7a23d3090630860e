//! A typed set with events of every format: from `register` and `enqueue`, on PostgreSQL and on SQLite, through a relay that puts frames on, to
//! `decode` at the other end.

use std::collections::HashMap;

use apache_avro::AvroSchema;
use eventferry::codec::EventSchema;
use eventferry::event::headers;
use eventferry::outbox::Payload;
use eventferry::publish::Framed;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::{Relay, RelayHandle};
use eventferry::schema::confluent::ConfluentRegistry;
use eventferry::schema::{Schema, SchemaKind, SchemaRegistry, SubjectStrategy, frame};
use eventferry::store::postgres::PostgresStore;
use eventferry::store::sqlite::SqliteStore;
use eventferry::store::{Operate, SchemaTable, ShowPayload, Store, StoredSchemas};
use eventferry::{IncomingMessage, Message, MessageId, OpenTransaction, OutboxEvent, TableName, define_outbox};
use eventferry_tests::kafka::{Logged, TestTopic};
use eventferry_tests::{postgres, servers};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rig::{File, soon};

const ORDERS: &str = "typed-orders";
const STOCK: &str = "typed-stock";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = ORDERS, aggregate_type = "order")]
struct OrderPlaced {
    #[outbox(aggregate_id)]
    order_id: String,
    note: Option<String>,
    #[schemars(length(min = 1))]
    skus: Vec<String>,
}

/// What the release before wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[avro(namespace = "shop")]
#[outbox(topic = ORDERS, aggregate_type = "order", format = "avro", name = "OrderPaid")]
struct OrderPaidV1 {
    #[outbox(aggregate_id)]
    order_id: String,
    cents: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[avro(namespace = "shop")]
#[outbox(topic = ORDERS, aggregate_type = "order", format = "avro", version = 2, upcast_from = OrderPaidV1)]
struct OrderPaid {
    #[outbox(aggregate_id)]
    order_id: String,
    // Before the old field: read with the schema of another version, the bytes are another event.
    by: Option<String>,
    cents: i64,
}

impl From<OrderPaidV1> for OrderPaid {
    fn from(old: OrderPaidV1) -> Self {
        Self {
            order_id: old.order_id,
            by: Some("unknown".to_owned()),
            cents: old.cents,
        }
    }
}

/// A message within a message: its place in the file is \[1, 0\].
#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = ORDERS, aggregate_type = "order", format = "protobuf")]
#[outbox(schema = "relay/schemas/shop.proto", message = "shop.v1.Order.Parked")]
struct OrderParked {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(sint64, tag = "2")]
    for_days: i64,
    #[prost(string, repeated, tag = "3")]
    reasons: Vec<String>,
}

/// The first message of its file, whose frame is shorter.
#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = STOCK, aggregate_type = "sku", format = "protobuf", schema = "relay/schemas/shop.proto")]
struct StockCounted {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    sku: String,
    #[prost(int64, tag = "2")]
    count: i64,
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug, Clone, PartialEq)]
    enum ShopEvent { OrderPlaced, OrderPaid, OrderParked, StockCounted }
}

define_outbox! {
    type Before;
    #[derive(Debug)]
    enum ShopEventBefore { OrderPaid(OrderPaidV1) }
}

fn placed(n: usize) -> OrderPlaced {
    OrderPlaced {
        order_id: format!("o{n}"),
        note: n.is_multiple_of(2).then(|| "Größe \"x\"".to_owned()),
        skus: vec!["a".to_owned(); n + 1],
    }
}

fn paid(n: usize) -> OrderPaid {
    OrderPaid {
        order_id: format!("o{n}"),
        by: (n % 2 == 1).then(|| "Zoë".to_owned()),
        cents: -1_i64 << n,
    }
}

fn parked(n: usize) -> OrderParked {
    OrderParked {
        order_id: format!("o{n}"),
        for_days: 300 - 40_000_i64 * i64::try_from(n).unwrap(),
        reasons: vec![String::new(), "ü".repeat(n)],
    }
}

/// The first of them is all defaults but for its id: for Protobuf next to nothing stands behind the frame.
fn counted(n: usize) -> StockCounted {
    StockCounted {
        sku: format!("s{n}"),
        count: i64::try_from(n).unwrap() * 1_000_000_007,
    }
}

const ROUNDS: usize = 6;

/// A service at work: the release before writes one event, then today's writes all kinds; what was written, in its order.
async fn write<T, F>(pool: &T, begin: impl Fn(T) -> F) -> Vec<(MessageId, ShopEvent)>
where
    T: SchemaTable + Clone,
    F: Future<Output: Written>,
{
    let mut written = Vec::new();
    let before = Before::new().unwrap().register(pool).await.unwrap();
    let old = OrderPaidV1 {
        order_id: "o0".to_owned(),
        cents: 1_234,
    };
    let mut tx = begin(pool.clone()).await;
    let id = before.enqueue(tx.open(), old.clone()).await.unwrap().message_id();
    tx.done().await;
    written.push((id, ShopEvent::OrderPaid(old.into())));

    let events = ShopEvents::new().unwrap().register(pool).await.unwrap();
    for n in 0..ROUNDS {
        let mut tx = begin(pool.clone()).await;
        let first = events.enqueue(tx.open(), placed(n)).await.unwrap().message_id();
        let rest = [events.event(paid(n)), events.event(parked(n)), events.event(counted(n))];
        let rest = events.enqueue_all(tx.open(), rest).await.unwrap();
        tx.done().await;
        let ids = std::iter::once(first).chain(rest.iter().map(eventferry::Receipt::message_id));
        let of_round: [ShopEvent; 4] = [placed(n).into(), paid(n).into(), parked(n).into(), counted(n).into()];
        written.extend(ids.zip(of_round));
    }
    written
}

/// A transaction of either database.
trait Written {
    fn open(&mut self) -> &mut impl OpenTransaction;
    fn done(self) -> impl Future<Output = ()>;
}

impl Written for sqlx::Transaction<'static, sqlx::Postgres> {
    fn open(&mut self) -> &mut impl OpenTransaction {
        self
    }

    async fn done(self) {
        self.commit().await.unwrap();
    }
}

impl Written for sqlx::Transaction<'static, sqlx::Sqlite> {
    fn open(&mut self) -> &mut impl OpenTransaction {
        self
    }

    async fn done(self) {
        self.commit().await.unwrap();
    }
}

async fn relay<S: Store + 'static, T: SchemaTable + 'static>(store: S, pool: T, kafka: &str, registry: &str) -> RelayHandle {
    let registry = ConfluentRegistry::builder([registry]).build().unwrap();
    let publisher = KafkaPublisher::builder(kafka).build().unwrap();
    let framed = Framed::new(publisher, registry, StoredSchemas::new(pool, TableName::default()));
    Relay::builder(store, framed).build().unwrap().start().await.unwrap()
}

/// The versions of the set with their ids: registered by whoever owns the contract, the oldest first.
async fn publish_contract(url: &str) -> HashMap<(&'static str, u32), (EventSchema, u32)> {
    let owner = ConfluentRegistry::builder([url]).auto_register(true).build().unwrap();
    let mut ids = HashMap::new();
    for version in ShopEvents::schemas() {
        let schema = version.registered.as_ref().unwrap();
        let subject = SubjectStrategy::TopicRecordName.subject(version.topic, &schema.name);
        let id = owner.id_of(&subject, schema).await.unwrap().get();
        ids.insert((version.name, version.version), (version, id));
    }
    ids
}

/// What the frame of a message says, and what stands behind it.
fn unframed(schema: &Schema, message: &Logged) -> (u32, Vec<u32>, Vec<u8>) {
    let (id, rest) = frame::take(message.payload.as_deref().unwrap()).unwrap();
    let (index, rest) = match schema.kind {
        SchemaKind::Protobuf => frame::take_message_index(rest).unwrap(),
        SchemaKind::Json | SchemaKind::Avro => (Vec::new(), rest),
    };
    (id.get(), index, rest.to_vec())
}

async fn stored_payload(store: &impl Operate, id: MessageId) -> Vec<u8> {
    let row = store.show(id, ShowPayload::Read).await.unwrap().unwrap();
    let Payload::Bytes(bytes) = row.record.payload else {
        panic!("{row:?}")
    };
    bytes
}

/// Two services, one on each database, write the same kinds of events to the same topics, under the same ids.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_every_format_arrive_as_they_were_enqueued_from_postgresql_and_from_sqlite() {
    let (Some(kafka), Some(url)) = (servers::require("kafka"), servers::require("schema-registry")) else {
        return;
    };
    let Some(db) = postgres::fresh().await else { return };
    let topics = [TestTopic::named(&kafka, ORDERS), TestTopic::named(&kafka, STOCK)];
    for topic in &topics {
        topic.be_born(2, &[]).await;
    }
    let table = TableName::default();
    PostgresStore::migrate(&db.pool, &table).await.unwrap();
    let file = File::new();
    let sqlite = file.pool().await;
    SqliteStore::migrate(&sqlite, &table).await.unwrap();
    let (on_postgres, on_sqlite) = (PostgresStore::new(db.pool.clone()), SqliteStore::new(sqlite.clone()));

    let from_postgres = write(&db.pool, async |pool| pool.begin().await.unwrap()).await;
    let from_sqlite = write(&sqlite, async |pool| pool.begin().await.unwrap()).await;
    let ids = publish_contract(&url).await;
    let relays = [
        relay(PostgresStore::new(db.pool.clone()), db.pool.clone(), &kafka, &url).await,
        relay(on_sqlite.clone(), sqlite.clone(), &kafka, &url).await,
    ];
    let count = from_postgres.len();
    for relay in relays {
        soon("all acks", relay.wait_for(|stats| stats.acked >= count as u64)).await.unwrap();
        let stats = relay.stop().await.unwrap();
        assert_eq!((stats.failed, stats.dead, stats.sessions_rebuilt, stats.strays), (0, 0, 0, 0));
    }

    let mut log = topics[0].log().await;
    log.extend(topics[1].log().await);
    assert_eq!(log.len(), 2 * count);
    let registry = || ConfluentRegistry::builder([&url]).build().unwrap();
    let (reader, events) = (registry(), ShopEvents::new().unwrap());
    let (checked, resolver) = (ShopEvents::new().unwrap().checked_decode().unwrap(), events.resolving(registry()));
    let mut seen = HashMap::new();
    let all = from_postgres.into_iter().zip(std::iter::repeat(true));
    for ((id, event), postgres) in all.chain(from_sqlite.into_iter().zip(std::iter::repeat(false))) {
        let message = log.iter().find(|message| message.message_id() == Some(id)).unwrap();
        assert_eq!(events.decode(message).unwrap(), event);
        assert_eq!(checked.decode(message).unwrap(), event);

        let (name, version) = (message.event_type().unwrap(), message.event_version().unwrap());
        let (of, registered) = ids
            .iter()
            .find_map(|((n, v), found)| (*n == name && *v == version).then_some(found))
            .unwrap();
        let schema = of.registered.as_ref().unwrap();
        let (framed, index, bytes) = unframed(schema, message);
        let said: u32 = message.text_header(headers::EVENT_SCHEMA_ID).unwrap().parse().unwrap();
        assert_eq!((framed, said), (*registered, *registered), "{name} {version}");
        assert_eq!(index, schema.message_index, "{name}");
        let stored = if postgres {
            stored_payload(&on_postgres, id).await
        } else {
            stored_payload(&on_sqlite, id).await
        };
        assert_eq!(bytes, stored, "{name}");
        assert_eq!(message.text_header("content-type"), Some(of.content_type));
        assert_eq!(message.text_header(headers::EVENT_SCHEMA), None);
        assert_eq!(
            reader.schema_of(eventferry::schema::SchemaId::new(framed)).await.unwrap().text,
            schema.text
        );

        // What is left where a tool copies a topic without its headers: the frame alone says which event it is.
        let bare = Message::new(message.topic.as_str(), message.payload.clone().unwrap());
        assert_eq!(resolver.decode(&bare).await.unwrap(), event, "{name} {version} without its headers");
        *seen.entry((name.to_owned(), version, index)).or_insert(0) += 1;
    }
    let wanted = [
        (("OrderPlaced", 1, vec![]), 2 * ROUNDS),
        (("OrderPaid", 1, vec![]), 2),
        (("OrderPaid", 2, vec![]), 2 * ROUNDS),
        (("OrderParked", 1, vec![1, 0]), 2 * ROUNDS),
        (("StockCounted", 1, vec![0]), 2 * ROUNDS),
    ];
    let wanted = wanted.map(|((name, version, index), count)| ((name.to_owned(), version, index), count));
    assert_eq!(seen, HashMap::from(wanted));
}

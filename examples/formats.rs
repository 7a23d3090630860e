//! Three formats on one topic, in the frames of a schema registry: JSON, Avro and Protobuf, from the enqueue to a typed consumer.
//!
//! Needs PostgreSQL, Kafka and a schema registry, which `tests/run` starts and stops. It makes a database and a topic of its own, and leaves
//! three subjects in the registry.
//! ```sh
//! tests/run -- cargo run -p eventferry-examples --example formats --features schema-registry
//! ```
//! prints
//! ```text
//! schema    OrderPlaced (Json)
//! schema    shop.OrderPaid (Avro)
//! schema    shop.OrderSent (Protobuf)
//! received  order 7 placed for 4200 cents: application/json, 29 bytes, framed
//! received  order 7 paid 42.00 by Card: avro/binary, 10 bytes, framed
//! received  order 7 sent in 2 parcels: application/protobuf, 18 bytes, framed
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use apache_avro::AvroSchema;
use eventferry::codec::avro::logical::Decimal;
use eventferry::publish::{Framed, kafka::KafkaPublisher};
use eventferry::relay::{Relay, RelayHandle};
use eventferry::schema::confluent::ConfluentRegistry;
use eventferry::store::StoredSchemas;
use eventferry::store::postgres::PostgresStore;
use eventferry::{IncomingMessage, OutboxEvent, TableName, define_outbox};
use eventferry_examples::sandbox::Sandbox;
use eventferry_examples::{address, exit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "order-formats", aggregate_type = "order")]
struct OrderPlaced {
    #[outbox(aggregate_id)]
    order: i64,
    #[schemars(range(min = 1))]
    cents: i64,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema)]
enum Method {
    Card,
    Cash,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[avro(namespace = "shop")]
#[outbox(topic = "order-formats", aggregate_type = "order", format = "avro")]
struct OrderPaid {
    #[outbox(aggregate_id)]
    order: i64,
    total: Decimal<6, 2>,
    method: Method,
}

#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(
    topic = "order-formats",
    aggregate_type = "order",
    format = "protobuf",
    schema = "proto/order.proto"
)]
struct OrderSent {
    #[outbox(aggregate_id)]
    #[prost(int64, tag = "1")]
    order: i64,
    #[prost(string, repeated, tag = "2")]
    parcels: Vec<String>,
}

define_outbox! {
    /// What happens to orders: one topic, one order of events, three formats.
    type OrderEvents;

    /// One event of an order.
    #[derive(Debug)]
    enum OrderEvent { OrderPlaced, OrderPaid, OrderSent }
}

/// A relay that puts the registry's frame on payloads. It knows no event: schemas come from beside the outbox, their ids from the registry.
async fn relay(sandbox: &Sandbox, registry: ConfluentRegistry) -> Result<RelayHandle, Box<dyn Error>> {
    let schemas = StoredSchemas::new(sandbox.pool().clone(), TableName::default());
    let publisher = Framed::new(KafkaPublisher::builder(sandbox.kafka()).build()?, registry, schemas);
    Ok(Relay::builder(PostgresStore::new(sandbox.pool().clone()), publisher)
        .build()?
        .start()
        .await?)
}

async fn run(sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    let pool = sandbox.pool();
    PostgresStore::migrate(pool, &TableName::default()).await?;

    // The service: its schemas go beside the outbox when it starts; it asks no registry.
    let events = OrderEvents::new()?.register(pool).await?;
    for schema in OrderEvents::schemas().into_iter().filter_map(|version| version.registered) {
        println!("schema    {} ({:?})", schema.name, schema.kind);
    }
    let mut tx = pool.begin().await?;
    let (order, cents) = (7, 4200);
    events.enqueue(&mut tx, OrderPlaced { order, cents }).await?;
    let total = Decimal::new(cents.into());
    events
        .enqueue(
            &mut tx,
            OrderPaid {
                order,
                total,
                method: Method::Card,
            },
        )
        .await?;
    let parcels = vec!["p-1".to_owned(), "p-2".to_owned()];
    events.enqueue(&mut tx, OrderSent { order, parcels }).await?;
    tx.commit().await?;

    // In production a pipeline registers schemas and the relay only asks for ids, which is the default.
    let registry = ConfluentRegistry::builder([address("EVENTFERRY_SCHEMA_REGISTRY")?])
        .auto_register(true)
        .build()?;
    let relay = relay(sandbox, registry).await?;

    // The consumer: `event-version` says which schema a payload was written with, so no registry is asked here either.
    let events = OrderEvents::new()?;
    let consumer = sandbox.consumer()?;
    for _ in 0..3 {
        let message = tokio::time::timeout(Duration::from_mins(1), consumer.recv()).await??;
        let told = match events.decode(&message)? {
            OrderEvent::OrderPlaced(placed) => format!("order {} placed for {} cents", placed.order, placed.cents),
            OrderEvent::OrderPaid(paid) => format!("order {} paid {} by {:?}", paid.order, paid.total, paid.method),
            OrderEvent::OrderSent(sent) => format!("order {} sent in {} parcels", sent.order, sent.parcels.len()),
        };
        let format = message.header("content-type").map(String::from_utf8_lossy).unwrap_or_default();
        let bytes = message.payload().map_or(0, <[u8]>::len);
        let frame = message.header("event-schema-id").map_or("without a frame", |_| "framed");
        println!("received  {told}: {format}, {bytes} bytes, {frame}");
    }
    relay.stop().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(Sandbox::with(OrderEvents::TOPICS, run).await)
}

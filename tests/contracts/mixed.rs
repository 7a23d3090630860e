//! A set of every format, whose book is committed: a version of a library that writes other bytes, or no longer reads those that were
//! written, is found by it.

use std::collections::HashMap;
use std::time::SystemTime;

use apache_avro::AvroSchema;
use eventferry::codec::avro::logical::Decimal;
use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
pub(crate) struct OrderNoted {
    #[outbox(aggregate_id)]
    id: u64,
}

/// An order was paid, as version 1 said it.
#[derive(Debug, Deserialize, AvroSchema, OutboxEvent)]
#[avro(namespace = "shop")]
#[outbox(topic = "orders", aggregate_type = "order", name = "OrderPaid", format = "avro")]
pub(crate) struct OrderPaidV1 {
    #[outbox(aggregate_id)]
    id: i64,
    euros: i32,
    note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "shop")]
enum Means {
    Cash,
    Card,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "shop")]
struct Share {
    by: Option<Uuid>,
    cents: Decimal<9, 2>,
}

/// An order was paid.
#[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[avro(namespace = "shop")]
#[outbox(topic = "orders", aggregate_type = "order", version = 2, format = "avro", upcast_from = OrderPaidV1)]
pub(crate) struct OrderPaid {
    #[outbox(aggregate_id)]
    id: i64,
    total: Decimal<12, 2>,
    means: Means,
    shares: Vec<Share>,
    labels: HashMap<String, i64>,
    note: Option<String>,
    #[avro(with)]
    #[serde(with = "eventferry::codec::avro::logical::timestamp_millis")]
    at: SystemTime,
    #[avro(with)]
    #[serde(with = "apache_avro::serde::bytes")]
    receipt: Vec<u8>,
    rate: f64,
}

impl From<OrderPaidV1> for OrderPaid {
    fn from(old: OrderPaidV1) -> Self {
        Self {
            id: old.id,
            total: Decimal::new(i128::from(old.euros) * 100),
            means: Means::Cash,
            shares: Vec::new(),
            labels: HashMap::new(),
            note: old.note,
            at: SystemTime::UNIX_EPOCH,
            receipt: Vec::new(),
            rate: 1.0,
        }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Line {
    #[prost(string, tag = "1")]
    sku: String,
}

/// An order was placed, as version 1 said it.
#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", name = "OrderPlaced")]
#[outbox(format = "protobuf", schema = "contracts/protos/first.proto")]
pub(crate) struct OrderPlacedV1 {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(int64, tag = "2")]
    total_cents: i64,
    #[prost(message, repeated, tag = "3")]
    lines: Vec<Line>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Price {
    #[prost(int64, tag = "1")]
    pub(crate) cents: i64,
    #[prost(string, tag = "2")]
    pub(crate) currency: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum Channel {
    Unknown = 0,
    Shop = 1,
    Web = -1,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Deliver {
    #[prost(string, tag = "7")]
    To(String),
    #[prost(fixed32, tag = "8")]
    Desk(u32),
}

/// An order was placed.
#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", version = 2, upcast_from = OrderPlacedV1)]
#[outbox(format = "protobuf", schema = "contracts/protos/mixed.proto", message = "Orders.Placed")]
pub(crate) struct OrderPlaced {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    pub(crate) order_id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) price: Option<Price>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) skus: Vec<String>,
    #[prost(map = "string, sint64", tag = "4")]
    labels: HashMap<String, i64>,
    #[prost(enumeration = "Channel", tag = "5")]
    channel: i32,
    #[prost(double, optional, tag = "6")]
    rate: Option<f64>,
    #[prost(oneof = "Deliver", tags = "7, 8")]
    deliver: Option<Deliver>,
    #[prost(bytes = "vec", tag = "9")]
    receipt: Vec<u8>,
}

impl From<OrderPlacedV1> for OrderPlaced {
    fn from(old: OrderPlacedV1) -> Self {
        assert!(old.total_cents >= 0, "nobody thought of {}", old.total_cents);
        Self {
            order_id: old.order_id,
            price: Some(Price {
                cents: old.total_cents,
                currency: "EUR".to_owned(),
            }),
            skus: old.lines.into_iter().map(|line| line.sku).collect(),
            ..Self::default()
        }
    }
}

define_outbox! {
    pub(crate) type MixedEvents;
    #[derive(Debug)]
    pub(crate) enum MixedEvent { OrderNoted, OrderPaid, OrderPlaced }
}

#[test]
fn the_book_of_a_set_of_every_format_is_committed() {
    eventferry::assert_schemas!(MixedEvents, "../schemas");
}

/// What is committed is what was written: hexadecimal text of the formats' bytes, and schemas in their own languages.
#[test]
fn the_committed_book_has_every_version_in_its_format() {
    let folder = crate::project_file("schemas/mixed-event");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("`{name}`: {error}"));
    for (name, begins) in [
        ("OrderNoted.v1.json", "{"),
        ("OrderNoted.v1.payload.json", "{\n  \"id\": 1\n}"),
        ("OrderPaid.v1.avsc", "{"),
        ("OrderPaid.v1.payload.hex", "02 02 02 08 6e 6f 74 65 "),
        ("OrderPaid.v2.avsc", "{"),
        ("OrderPaid.v2.payload.hex", "02 02 01 00 02 02 "),
        ("OrderPlaced.v1.proto", "syntax = \"proto3\";"),
        ("OrderPlaced.v1.payload.hex", "0a 08 6f 72 64 65 72 5f 69 64 10 01 "),
        ("OrderPlaced.v2.proto", "syntax = \"proto3\";"),
        ("OrderPlaced.v2.payload.hex", "0a 08 6f 72 64 65 72 5f 69 64 12 0c "),
    ] {
        assert!(text(name).starts_with(begins), "{name}:\n{}", text(name));
    }
    let schemas = MixedEvents::schemas();
    let place = schemas
        .last()
        .and_then(|schema| schema.registered.as_ref())
        .map(|schema| schema.message_index.clone());
    assert_eq!(place, Some(vec![1, 1]), "a message within another, and not the first");
}

//! One event in each format, with everything nested in it.

use std::collections::{BTreeMap, HashMap};

use apache_avro::AvroSchema;
use eventferry::codec::avro::logical::Decimal;
use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub enum Kind {
    Small,
    Large,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub struct Part {
    name: String,
    count: i32,
    kind: Option<Kind>,
    rest: Option<Vec<Part>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "json", aggregate_type = "thing", aggregate_id = self.id)]
pub struct AsJson {
    id: i64,
    parts: Vec<Part>,
    named: BTreeMap<String, i64>,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[outbox(topic = "avro", aggregate_type = "thing", format = "avro", aggregate_id = self.id)]
pub struct AsAvro {
    id: i64,
    parts: Vec<Part>,
    named: HashMap<String, i64>,
    price: Decimal<20, 4>,
    #[avro(with)]
    #[serde(with = "apache_avro::serde::bytes")]
    blob: Vec<u8>,
    #[avro(with)]
    #[serde(with = "eventferry::codec::avro::logical::timestamp_micros")]
    at: std::time::SystemTime,
    nothing: Vec<()>,
}

#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = "proto", aggregate_type = "thing", aggregate_id = self.id, format = "protobuf", schema = "thing.proto")]
pub struct AsProto {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(message, repeated, tag = "2")]
    parts: Vec<ProtoPart>,
    #[prost(btree_map = "string, sint64", tag = "3")]
    named: BTreeMap<String, i64>,
    #[prost(double, tag = "4")]
    ratio: f64,
    #[prost(bool, optional, tag = "5")]
    on: Option<bool>,
    #[prost(bytes = "vec", tag = "6")]
    blob: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ProtoPart {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(sint32, tag = "2")]
    count: i32,
    #[prost(message, repeated, tag = "3")]
    rest: Vec<ProtoPart>,
}

define_outbox! {
    pub type Things;
    #[derive(Debug)]
    pub enum Thing {
        AsJson,
        AsAvro,
        AsProto,
    }
}

//! An event in each format, with all that makes memory of few bytes: lists of what is small, records of what may be left out, maps, trees.

use std::collections::{BTreeMap, HashMap};

use apache_avro::AvroSchema;
use eventferry::codec::avro::logical::Decimal;
use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub(crate) enum Kind {
    Small,
    Large,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) count: i32,
    pub(crate) kind: Option<Kind>,
    pub(crate) rest: Option<Vec<Part>>,
}

/// Eight fields that a byte or none says.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[serde(default)]
pub(crate) struct Wide {
    #[avro(default = "null")]
    a: Option<i64>,
    #[avro(default = "null")]
    b: Option<i64>,
    #[avro(default = "null")]
    c: Option<i64>,
    #[avro(default = "null")]
    d: Option<i64>,
    #[avro(default = "null")]
    e: Option<String>,
    #[avro(default = "null")]
    f: Option<String>,
    #[avro(default = "null")]
    g: Option<String>,
    #[avro(default = "null")]
    h: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Body {
    lines: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Either {
    Number(i64),
    Text(String),
    Several(Vec<i64>),
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "json", aggregate_type = "thing", aggregate_id = self.id)]
#[serde(default)]
pub(crate) struct AsJson {
    pub(crate) id: i64,
    pub(crate) parts: Vec<Part>,
    pub(crate) named: BTreeMap<String, i64>,
    pub(crate) wides: Vec<Wide>,
    pub(crate) texts: Vec<String>,
    pub(crate) body: Option<Body>,
    pub(crate) either: Vec<Either>,
    pub(crate) any: serde_json::Value,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[outbox(topic = "avro", aggregate_type = "thing", format = "avro", aggregate_id = self.id)]
pub(crate) struct AsAvro {
    pub(crate) id: i64,
    pub(crate) parts: Vec<Part>,
    pub(crate) named: HashMap<String, i64>,
    #[avro(default = "[]")]
    pub(crate) wides: Vec<Wide>,
    #[avro(default = "[]")]
    pub(crate) nothing: Vec<()>,
    #[avro(default = "[]")]
    pub(crate) numbers: Vec<i64>,
    pub(crate) price: Decimal<20, 4>,
    #[avro(with)]
    #[serde(with = "apache_avro::serde::bytes")]
    pub(crate) blob: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = "proto", aggregate_type = "thing", aggregate_id = self.id, format = "protobuf", schema = "bounds/thing.proto")]
pub(crate) struct AsProto {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) parts: Vec<ProtoPart>,
    #[prost(btree_map = "string, sint64", tag = "3")]
    pub(crate) named: BTreeMap<String, i64>,
    #[prost(sint64, repeated, tag = "4")]
    pub(crate) numbers: Vec<i64>,
    #[prost(string, repeated, tag = "5")]
    pub(crate) texts: Vec<String>,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) blob: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProtoPart {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(sint32, tag = "2")]
    pub(crate) count: i32,
    #[prost(message, repeated, tag = "3")]
    pub(crate) rest: Vec<ProtoPart>,
    #[prost(message, optional, boxed, tag = "4")]
    pub(crate) next: Option<Box<ProtoPart>>,
}

define_outbox! {
    pub(crate) type Things;
    #[derive(Debug)]
    pub(crate) enum Thing {
        AsJson,
        AsAvro,
        AsProto,
    }
}

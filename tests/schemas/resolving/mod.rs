//! Messages of other producers, read with the schema that they were written with.

mod confluent;
mod own;
mod referring;

use apache_avro::AvroSchema;
use eventferry::registry::ResolveErrorKind;
use eventferry::schema::memory::MemoryRegistry;
use eventferry::schema::{Reference, RegistryErrorKind, Schema, SchemaKind, Subject};
use eventferry::{DecodeErrorKind, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "shop")]
struct Line {
    sku: String,
    count: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[avro(namespace = "shop")]
#[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
struct AvroPlaced {
    #[outbox(aggregate_id)]
    order_id: String,
    total_cents: i64,
    #[avro(default = "null")]
    note: Option<String>,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct JsonPlaced {
    #[outbox(aggregate_id)]
    order_id: String,
    total_cents: i64,
}

/// An event of a message of `fixtures/placed.proto`.
macro_rules! proto {
    ($name:ident) => {
        #[derive(Clone, PartialEq, prost::Message, Serialize, OutboxEvent)]
        #[outbox(topic = "orders", aggregate_type = "order", aggregate_id = self.order_id, format = "protobuf", schema = "schemas/fixtures/placed.proto")]
        struct $name {
            #[prost(string, tag = "1")]
            order_id: String,
            #[prost(int64, tag = "2")]
            total_cents: i64,
        }
    };
}
proto!(ProtoFirst);
proto!(ProtoPlaced);
proto!(ProtoNested);

/// What `Kept` was before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "kept", aggregate_type = "order", name = "Kept")]
struct KeptV1 {
    #[outbox(aggregate_id)]
    id: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "kept", aggregate_type = "order", version = 2, upcast_from = KeptV1)]
struct Kept {
    #[outbox(aggregate_id)]
    id: u64,
    reason: String,
}

impl From<KeptV1> for Kept {
    fn from(old: KeptV1) -> Self {
        Self {
            id: old.id,
            reason: "unknown".to_owned(),
        }
    }
}

/// What `Held` was before.
#[derive(Clone, PartialEq, prost::Message, Serialize, OutboxEvent)]
#[outbox(topic = "held", aggregate_type = "order", aggregate_id = self.order_id, name = "Held", format = "protobuf", schema = "schemas/fixtures/held.v1.proto")]
struct HeldV1 {
    #[prost(string, tag = "1")]
    order_id: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, OutboxEvent)]
#[outbox(
    topic = "held", aggregate_type = "order", aggregate_id = self.order_id, version = 2, upcast_from = HeldV1,
    format = "protobuf", schema = "schemas/fixtures/held.v2.proto"
)]
struct Held {
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(string, tag = "2")]
    reason: String,
}

impl From<HeldV1> for Held {
    fn from(old: HeldV1) -> Self {
        Self {
            order_id: old.order_id,
            reason: "unknown".to_owned(),
        }
    }
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug, PartialEq, Serialize)]
    #[serde(untagged)]
    enum ShopEvent { AvroPlaced, JsonPlaced, ProtoFirst, ProtoPlaced, ProtoNested, Kept, Held }
}

#[tokio::test]
async fn a_schema_that_is_one_of_our_versions_is_read_as_that_version() {
    let registry = MemoryRegistry::new();
    let subject = Subject::new("kept-value");
    for schema in ShopEvents::schemas().into_iter().filter(|schema| schema.name == "Kept") {
        let mut registered = schema.registered.unwrap();
        // As somebody else's pipeline writes it.
        let value: Value = serde_json::from_str(&registered.text).unwrap();
        registered.text = value.to_string();
        assert_eq!(registry.register(&subject, &registered).get(), schema.version);
    }
    let resolver = ShopEvents::new().unwrap().resolving(registry);
    for (bytes, reason) in [
        (&b"\0\0\0\0\x01{\"id\":1}"[..], "unknown"),
        (b"\0\0\0\0\x02{\"id\":1,\"reason\":\"r\"}", "r"),
    ] {
        let found = resolver.decode(&Message::new("kept", bytes)).await.unwrap();
        let reason = reason.to_owned();
        assert_eq!(found, ShopEvent::Kept(Kept { id: 1, reason }));
    }
    // Version 2 without its reason is none.
    let error = resolver
        .decode(&Message::new("kept", b"\0\0\0\0\x02{\"id\":1}".to_vec()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ResolveErrorKind::Decode(DecodeErrorKind::Undecodable));
}

#[tokio::test]
async fn a_proto_file_that_is_one_of_our_versions_is_read_as_that_version_however_it_is_written() {
    let registry = MemoryRegistry::new();
    let subject = Subject::new("held-value");
    for schema in ShopEvents::schemas().into_iter().filter(|schema| schema.name == "Held") {
        let mut registered = schema.registered.unwrap();
        registered.text = registered
            .text
            .replace("message Held {", "// As somebody else keeps it.\n\nmessage Held\n{");
        assert_eq!(registry.register(&subject, &registered).get(), schema.version);
    }
    let resolver = ShopEvents::new().unwrap().resolving(registry);
    for (bytes, reason) in [(&b"\0\0\0\0\x01\0\x0a\x01a"[..], "unknown"), (b"\0\0\0\0\x02\0\x0a\x01a", "")] {
        let found = resolver.decode(&Message::new("held", bytes)).await.unwrap();
        let (order_id, reason) = ("a".to_owned(), reason.to_owned());
        assert_eq!(found, ShopEvent::Held(Held { order_id, reason }));
    }
}

#[tokio::test]
async fn the_event_is_named_by_the_header_else_by_the_schema_else_by_the_topic() {
    let registry = MemoryRegistry::new();
    let json = |name: &str, extra: &str| Schema::new(SchemaKind::Json, name, format!(r#"{{"title":"{name}","description":"{extra}"}}"#));
    let named = registry.register(&Subject::new("a"), &json("JsonPlaced", "1")).get();
    let full = registry.register(&Subject::new("b"), &json("com.acme.JsonPlaced", "2")).get();
    let other = registry.register(&Subject::new("c"), &json("Nobody", "3")).get();
    let resolver = ShopEvents::new().unwrap().resolving(registry);
    let framed = |topic: &str, id: u32, json: &str| {
        let mut bytes = vec![0];
        bytes.extend(id.to_be_bytes());
        bytes.extend(json.as_bytes());
        Message::new(topic, bytes)
    };
    let placed = r#"{"order_id":"o","total_cents":1}"#;
    for message in [
        framed("elsewhere", named, placed),
        framed("elsewhere", full, placed),
        framed("elsewhere", other, placed).with_header("event-type", "JsonPlaced"),
        framed("kept", other, placed).with_header("event-type", "JsonPlaced"),
    ] {
        let found = resolver.decode(&message).await.unwrap();
        assert!(matches!(found, ShopEvent::JsonPlaced(_)), "{message:?}: {found:?}");
    }
    // The only event of its topic.
    let found = resolver.decode(&framed("kept", other, r#"{"id":1,"reason":""}"#)).await.unwrap();
    assert!(matches!(found, ShopEvent::Kept(_)), "{found:?}");

    for (message, kind) in [
        (framed("orders", other, placed), DecodeErrorKind::NotOurs),
        (
            framed("orders", named, placed).with_header("event-type", "Unheard"),
            DecodeErrorKind::UnknownEvent,
        ),
        // The header says Avro's event, the frame a JSON Schema.
        (
            framed("orders", named, placed).with_header("event-type", "AvroPlaced"),
            DecodeErrorKind::ContentType,
        ),
        (framed("elsewhere", named, "{"), DecodeErrorKind::Undecodable),
        (Message::tombstone("kept"), DecodeErrorKind::Tombstone),
    ] {
        let error = resolver.decode(&message).await.unwrap_err();
        assert_eq!(error.kind(), ResolveErrorKind::Decode(kind), "{message:?}: {error}");
        assert_eq!(error.is_unknown(), kind == DecodeErrorKind::UnknownEvent);
    }
}

#[tokio::test]
async fn what_a_schema_refers_to_may_refer_to_others() {
    let registry = MemoryRegistry::new();
    let schema = |name: &str, text: &str| Schema::new(SchemaKind::Avro, name, text);
    let (kind_subject, line_subject) = (Subject::new("kind"), Subject::new("line"));
    let kind = r#"{"type":"enum","name":"Kind","namespace":"shop","symbols":["GOODS","SERVICE"]}"#;
    registry.register(&kind_subject, &schema("shop.Kind", kind));
    let mut line = schema(
        "shop.Line",
        r#"{"type":"record","name":"Line","namespace":"shop","fields":[{"name":"kind","type":"Kind"},
            {"name":"sku","type":"string"},{"name":"count","type":"int"}]}"#,
    );
    line.references = vec![Reference::new("shop.Kind", kind_subject, 1)];
    registry.register(&line_subject, &line);
    let mut placed = schema(
        "shop.AvroPlaced",
        r#"{"type":"record","name":"AvroPlaced","namespace":"shop","fields":[{"name":"order_id","type":"string"},
            {"name":"lines","type":{"type":"array","items":"Line"}},{"name":"total_cents","type":"long"}]}"#,
    );
    placed.references = vec![Reference::new("shop.Line", line_subject, 1)];
    let id = registry.register(&Subject::new("orders-value"), &placed).get();
    let resolver = ShopEvents::new().unwrap().resolving(registry);
    let mut bytes = vec![0];
    bytes.extend(id.to_be_bytes());
    // "o", one line (SERVICE, "s", 3), and 7.
    bytes.extend([2, b'o', 2, 2, 2, b's', 6, 0, 14]);
    let lines = vec![Line {
        sku: "s".to_owned(),
        count: 3,
    }];
    let expected = AvroPlaced {
        order_id: "o".to_owned(),
        total_cents: 7,
        note: None,
        lines,
    };
    assert_eq!(
        resolver.decode(&Message::new("orders", bytes)).await.unwrap(),
        ShopEvent::AvroPlaced(expected)
    );
}

#[tokio::test]
async fn our_own_and_unframed_messages_ask_no_registry_and_an_outage_is_told_from_a_bad_message() {
    let registry = MemoryRegistry::new();
    registry.fail(Some(RegistryErrorKind::Unavailable));
    let resolver = ShopEvents::new().unwrap().resolving(registry.clone());
    let own = Message::new("kept", b"\0\0\0\0\x09{\"id\":1,\"reason\":\"\"}".to_vec())
        .with_header("event-type", "Kept")
        .with_header("event-version", "2")
        .with_header("event-schema-id", "9");
    let unframed = Message::new("kept", br#"{"id":1,"reason":""}"#.to_vec());
    // Avro of ours may begin with anything, a zero too: an empty text here.
    let avro = AvroPlaced {
        order_id: String::new(),
        total_cents: 0,
        note: None,
        lines: Vec::new(),
    };
    let zeros = Message::new("orders", vec![0, 0, 0, 0])
        .with_header("event-type", "AvroPlaced")
        .with_header("event-version", "1");
    resolver.decode(&own).await.unwrap();
    resolver.decode(&unframed).await.unwrap();
    assert_eq!(resolver.decode(&zeros).await.unwrap(), ShopEvent::AvroPlaced(avro));
    assert_eq!(registry.asked(), 0);

    let theirs = Message::new("kept", b"\0\0\0\0\x01{\"id\":1,\"reason\":\"\"}".to_vec());
    let error = resolver.decode(&theirs).await.unwrap_err();
    assert_eq!(error.kind(), ResolveErrorKind::Registry(RegistryErrorKind::Unavailable));
    assert!(error.is_retryable() && error.decode_error().is_none());
    registry.fail(None);
    let error = resolver.decode(&theirs).await.unwrap_err();
    assert_eq!(error.kind(), ResolveErrorKind::Registry(RegistryErrorKind::NotFound));
    assert!(!error.is_retryable());
    // Nothing bad was kept.
    registry.register(&Subject::new("s"), &Schema::new(SchemaKind::Json, "Kept", "{}"));
    resolver.decode(&theirs).await.unwrap();
}

//! Messages of other producers, read with the schema that they were written with.
//!
//! The bytes in `fixtures/confluent_kafka.jsonl` were made by Confluent's own serializers for Python (`fixtures/interop.py` says how); where
//! `EVENTFERRY_CONFLUENT_PYTHON` names a Python that has them, they are made anew and its deserializers read ours.

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use apache_avro::AvroSchema;
use eventferry::codec::Encode;
use eventferry::registry::{EventSet, ResolveErrorKind, Resolver};
use eventferry::schema::memory::MemoryRegistry;
use eventferry::schema::{
    Reference, RegistryError, RegistryErrorKind, Schema, SchemaId, SchemaKind, SchemaRegistry, Subject, SubjectStrategy, frame,
};
use eventferry::{DecodeErrorKind, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{client, fresh, registry};

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

define_outbox! {
    type ShopEvents;
    #[derive(Debug, PartialEq, Serialize)]
    #[serde(untagged)]
    enum ShopEvent { AvroPlaced, JsonPlaced, ProtoFirst, ProtoPlaced, ProtoNested, Kept }
}

/// A line of the fixtures.
#[derive(Debug, Deserialize)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    topic: String,
    payload: String,
    kind: String,
    schema: String,
    references: Vec<CaseReference>,
    value: Value,
}

#[derive(Debug, Deserialize)]
struct CaseReference {
    name: String,
    subject: String,
    version: u32,
    schema: String,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        let digits = self.payload.as_bytes().chunks(2);
        digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).expect("as it was made"), 16).expect("as it was made"))
            .collect()
    }

    fn message(&self) -> Message {
        Message::new(&self.topic, self.bytes())
    }

    /// What was written, as far as our event has it.
    fn expected(&self) -> Value {
        let mut value = self.value.clone();
        let members = value.as_object_mut().expect("as it was made");
        members.remove("channel");
        if self.kind == "AVRO" {
            members.entry("note").or_insert(Value::Null);
        }
        value
    }
}

fn cases(lines: &str) -> Vec<Case> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("as it was made"))
        .collect()
}

fn recorded() -> Vec<Case> {
    cases(include_str!("fixtures/confluent_kafka.jsonl"))
}

/// A registry that knows the schemas of the fixtures under their ids, and counts.
#[derive(Debug, Default)]
struct Recorded {
    schemas: HashMap<SchemaId, Schema>,
    versions: HashMap<(Subject, u32), Schema>,
    asked: AtomicU32,
}

impl Recorded {
    fn new(cases: &[Case]) -> Self {
        let mut found = Self::default();
        for case in cases {
            let kind = SchemaKind::from_name(&case.kind).expect("as it was made");
            let parsed: Option<Value> = serde_json::from_str(&case.schema).ok();
            let name = |member: &str| parsed.as_ref().and_then(|p| p[member].as_str().map(str::to_owned));
            let name = name("title").or(name("name")).unwrap_or_default();
            let mut schema = Schema::new(kind, name, &case.schema);
            for reference in &case.references {
                let subject = Subject::new(&reference.subject);
                let referred = Schema::new(kind, &reference.name, &reference.schema);
                found.versions.insert((subject.clone(), reference.version), referred);
                schema.references.push(Reference::new(&reference.name, subject, reference.version));
            }
            let (id, _) = frame::take(&case.bytes()).expect("as it was made");
            found.schemas.insert(id, schema);
        }
        found
    }
}

impl SchemaRegistry for &'static Recorded {
    async fn id_of(&self, _: &Subject, _: &Schema) -> Result<SchemaId, RegistryError> {
        Err(RegistryError::new(RegistryErrorKind::NotFound, "this one is only read"))
    }

    async fn schema_of(&self, id: SchemaId) -> Result<Schema, RegistryError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let missing = || RegistryError::new(RegistryErrorKind::NotFound, format!("no id {id}"));
        self.schemas.get(&id).cloned().ok_or_else(missing)
    }

    async fn referenced(&self, reference: &Reference) -> Result<Schema, RegistryError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let place = (reference.subject.clone(), reference.version);
        let missing = || RegistryError::new(RegistryErrorKind::NotFound, "no such version");
        self.versions.get(&place).cloned().ok_or_else(missing)
    }
}

async fn all_are_read<R: SchemaRegistry>(resolver: &Resolver<ShopEvent, R>, cases: &[Case]) -> usize {
    let mut read = 0;
    for case in cases {
        let found = resolver.decode(&case.message()).await;
        if case.name == "avro, another type" {
            let error = found.expect_err("it is of another type");
            assert_eq!(error.kind(), ResolveErrorKind::Decode(DecodeErrorKind::Undecodable), "{error}");
            assert!(!error.is_retryable());
            continue;
        }
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(
            serde_json::to_value(&found).expect("as it was made"),
            case.expected(),
            "{}",
            case.name
        );
        // Three messages of one shape are told apart by their place in the file.
        let event = match case.name.as_str() {
            "protobuf, the first message" => "ProtoFirst",
            "protobuf, the second message" => "ProtoPlaced",
            "protobuf, a nested message" => "ProtoNested",
            "json" => "JsonPlaced",
            _ => "AvroPlaced",
        };
        assert_eq!(found.event_name(), event, "{}", case.name);
        read += 1;
    }
    read
}

#[tokio::test]
async fn what_confluent_s_serializers_wrote_is_read_with_the_writer_s_schema() {
    let cases = recorded();
    let registry: &'static Recorded = Box::leak(Box::new(Recorded::new(&cases)));
    let resolver = ShopEvents::new().unwrap().resolving(registry);
    assert_eq!(all_are_read(&resolver, &cases).await, 7);
    // Each schema is asked for once, the reference too.
    let asked = registry.asked.load(Ordering::Relaxed);
    assert_eq!(all_are_read(&resolver, &cases).await, 7);
    // The one that does not fit is asked for nothing more either.
    assert_eq!(registry.asked.load(Ordering::Relaxed), asked);
    assert_eq!(asked, 8);
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

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the seed belongs to the report of a run")]
async fn hostile_bytes_are_an_error_and_never_a_panic() {
    let cases = recorded();
    let registry: &'static Recorded = Box::leak(Box::new(Recorded::new(&cases)));
    let resolver = ShopEvents::new().unwrap().resolving(registry);
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for case in &cases {
        let good = case.bytes();
        for _ in 0..300 {
            let mut bytes = good.clone();
            bytes.truncate(random.usize(5..=good.len()));
            for _ in 0..random.usize(0..4) {
                let at = random.usize(0..bytes.len());
                bytes[at] = random.u8(..);
            }
            drop(resolver.decode(&Message::new(&case.topic, bytes)).await);
        }
    }
}

/// A Python with Confluent's serializers, and what it answers.
fn python(verb: &str, input: &str, url: &str) -> Option<String> {
    let Some(python) = std::env::var_os("EVENTFERRY_CONFLUENT_PYTHON") else {
        let said = writeln!(
            std::io::stderr(),
            "SKIPPED {verb} with Confluent's serializers: EVENTFERRY_CONFLUENT_PYTHON names no Python that has them"
        );
        drop(said);
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/fixtures/interop.py");
    let mut child = Command::new(python)
        .args([script, verb, url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("as it was made");
    child
        .stdin
        .take()
        .expect("as it was made")
        .write_all(input.as_bytes())
        .expect("as it was made");
    let output = child.wait_with_output().expect("as it was made");
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).expect("as it was made"))
}

#[tokio::test(flavor = "multi_thread")]
async fn confluent_s_serializers_are_read_and_their_deserializers_read_ours() {
    let Some(url) = registry() else { return };
    let Some(written) = tokio::task::block_in_place(|| python("write", "", &url)) else {
        return;
    };
    let registry = client(&url).auto_register(true).build().unwrap();
    let resolver = ShopEvents::new().unwrap().resolving(registry.clone());
    assert_eq!(all_are_read(&resolver, &cases(&written)).await, 7);

    let avro = serde_json::json!({"order_id": "ä", "total_cents": 5_000_000_000_i64, "note": null, "lines": [{"sku": "a", "count": -1}]});
    let json = serde_json::json!({"order_id": "ä", "total_cents": 5_000_000_000_i64});
    // Protobuf's JSON has 64 bits in texts.
    let proto = serde_json::json!({"order_id": "ä", "total_cents": "5000000000"});
    let proto_event = ProtoPlaced {
        order_id: "ä".to_owned(),
        total_cents: 5_000_000_000,
    };
    let avro_event: AvroPlaced = serde_json::from_value(avro.clone()).unwrap();
    let mut lines = String::new();
    for (event, bytes) in [
        ("AvroPlaced", encoded(&avro_event)),
        ("JsonPlaced", json.to_string().into_bytes()),
        ("ProtoPlaced", encoded(&proto_event)),
    ] {
        let schema = ShopEvents::schemas().into_iter().find(|schema| schema.name == event).unwrap();
        let schema = schema.registered.unwrap();
        let topic = fresh("ours");
        let subject = SubjectStrategy::TopicRecordName.subject(&topic, &schema.name);
        let id = registry.id_of(&subject, &schema).await.unwrap();
        let payload = hex(&frame::put(id, &schema, &bytes));
        let line = serde_json::json!({"kind": schema.kind.as_str(), "topic": topic, "payload": payload, "message": event});
        lines.extend([line.to_string(), "\n".to_owned()]);
    }
    let read = tokio::task::block_in_place(|| python("read", &lines, &url)).unwrap();
    let read: Vec<Value> = read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, [avro, json, proto]);
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The payload that an enqueue stores.
fn encoded<E: OutboxEvent<Format: Encode<E>>>(event: &E) -> Vec<u8> {
    E::Format::encode(event).expect("as it was made")
}

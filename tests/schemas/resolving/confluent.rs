//! Confluent's own serializers for Python: what they write is read, and their deserializers read ours.
//!
//! The bytes in `fixtures/confluent_kafka.jsonl` were made by them (`fixtures/interop.py` says how). Under `tests/run` they are made anew.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use eventferry::codec::Encode;
use eventferry::registry::{EventSet, ResolveErrorKind, Resolver};
use eventferry::schema::{
    Reference, RegistryError, RegistryErrorKind, Schema, SchemaId, SchemaKind, SchemaRegistry, Subject, SubjectStrategy, frame,
};
use eventferry::{DecodeErrorKind, Message, OutboxEvent};
use eventferry_tests::servers;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{AvroPlaced, ProtoFirst, ProtoNested, ProtoPlaced, ShopEvent, ShopEvents};
use crate::{client, fresh, registry};

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
    cases(include_str!("../fixtures/confluent_kafka.jsonl"))
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
#[expect(clippy::print_stderr, reason = "the seed belongs to the report of a run")]
async fn hostile_bytes_are_an_error_and_never_a_panic() {
    let cases = recorded();
    let registry: &'static Recorded = Box::leak(Box::new(Recorded::new(&cases)));
    let resolver = ShopEvents::new().unwrap().resolving(registry);
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let kind = |id: SchemaId| registry.schemas.get(&id).map(|schema| schema.kind);
    let mut met = HashMap::new();
    for case in &cases {
        let good = case.bytes();
        let cut = (0..good.len()).map(|end| good[..end].to_vec());
        let changed = (0..300).map(|_| {
            let mut bytes = good[..random.usize(1..=good.len())].to_vec();
            for _ in 0..random.usize(0..4) {
                let at = random.usize(0..bytes.len());
                bytes[at] = random.u8(..);
            }
            bytes
        });
        for bytes in cut.chain(changed) {
            let id = frame::take(&bytes).map(|(id, _)| id);
            let Err(error) = resolver.decode(&Message::new(&case.topic, bytes)).await else {
                *met.entry("read").or_insert(0) += 1;
                continue;
            };
            assert!(!error.is_retryable() && !error.is_unknown(), "{}: {error}", case.name);
            let what = match (id, error.kind()) {
                // The topic has several events.
                (None, ResolveErrorKind::Decode(DecodeErrorKind::NotOurs)) => "no frame",
                (Some(id), ResolveErrorKind::Registry(RegistryErrorKind::NotFound)) if kind(id).is_none() => "no schema",
                // The place before the payload is another, or none.
                (Some(id), ResolveErrorKind::Decode(DecodeErrorKind::NotOurs)) if kind(id) == Some(SchemaKind::Protobuf) => {
                    "no such message"
                }
                (Some(id), ResolveErrorKind::Decode(DecodeErrorKind::Undecodable)) if kind(id).is_some() => "broken",
                (_, kind) => panic!("{}: {kind:?}: {error}", case.name),
            };
            *met.entry(what).or_insert(0) += 1;
        }
    }
    eprintln!("{met:?}");
    for what in ["read", "no frame", "no schema", "no such message", "broken"] {
        assert!(met.contains_key(what), "{what}: {met:?}");
    }
}

/// What Confluent's serializers answer.
async fn python(python: &str, verb: &str, input: &str, url: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/fixtures/interop.py");
    let mut child = Command::new(python)
        .args([script, verb, url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("as it was made");
    let mut stdin = child.stdin.take().expect("as it was made");
    let output = tokio::time::timeout(Duration::from_mins(1), async {
        stdin.write_all(input.as_bytes()).await.expect("it reads");
        drop(stdin);
        child.wait_with_output().await.expect("it ends")
    });
    let output = output.await.expect("it ends in time");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("as it was made")
}

#[tokio::test]
async fn confluent_s_serializers_are_read_and_their_deserializers_read_ours() {
    let (Some(url), Some(interpreter)) = (registry(), servers::require("confluent-python")) else {
        return;
    };
    let written = python(&interpreter, "write", "", &url).await;
    let registry = client(&url).auto_register(true).build().unwrap();
    let resolver = ShopEvents::new().unwrap().resolving(registry.clone());
    assert_eq!(all_are_read(&resolver, &cases(&written)).await, 7);

    let avro = json!({"order_id": "ä", "total_cents": 5_000_000_000_i64, "note": null, "lines": [{"sku": "a", "count": -1}]});
    let json = json!({"order_id": "ä", "total_cents": 5_000_000_000_i64});
    // Protobuf's JSON has 64 bits in texts.
    let proto = json!({"order_id": "ä", "total_cents": "5000000000"});
    let (order_id, total_cents) = ("ä".to_owned(), 5_000_000_000);
    let first = ProtoFirst {
        order_id: order_id.clone(),
        total_cents,
    };
    let second = ProtoPlaced {
        order_id: order_id.clone(),
        total_cents,
    };
    let nested = ProtoNested { order_id, total_cents };
    let avro_event: AvroPlaced = serde_json::from_value(avro.clone()).unwrap();
    let mut lines = String::new();
    for (event, bytes) in [
        ("AvroPlaced", encoded(&avro_event)),
        ("JsonPlaced", json.to_string().into_bytes()),
        ("ProtoFirst", encoded(&first)),
        ("ProtoPlaced", encoded(&second)),
        ("ProtoNested", encoded(&nested)),
    ] {
        let schema = ShopEvents::schemas().into_iter().find(|schema| schema.name == event).unwrap();
        let schema = schema.registered.unwrap();
        let topic = fresh("ours");
        let subject = SubjectStrategy::TopicRecordName.subject(&topic, &schema.name);
        let id = registry.id_of(&subject, &schema).await.unwrap();
        let payload = hex(&frame::put(id, &schema, &bytes));
        let line = json!({"kind": schema.kind.as_str(), "topic": topic, "payload": payload, "message": event});
        lines.extend([line.to_string(), "\n".to_owned()]);
    }
    let read = python(&interpreter, "read", &lines, &url).await;
    let read: Vec<Value> = read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, [avro, json, proto.clone(), proto.clone(), proto]);
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The payload that an enqueue stores.
fn encoded<E: OutboxEvent<Format: Encode<E>>>(event: &E) -> Vec<u8> {
    E::Format::encode(event).expect("as it was made")
}

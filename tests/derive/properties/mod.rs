//! Any value encodes, is allowed and decodes to itself, in every format; what a schema forbids is refused by its place; and no bytes at all
//! make decoding panic.

mod avro;
mod floats;
mod hostile;
mod json;
mod protobuf;

use std::collections::BTreeMap;

use apache_avro::AvroSchema;
use eventferry::codec::avro::logical::Decimal;
use eventferry::registry::EventSet;
use eventferry::store::memory::MemoryStore;
use eventferry::{EnqueueErrorKind, Message, Outbox, OutboxEvent, define_outbox};
use fastrand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::formats::now;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub(crate) enum Kind {
    Small,
    Large,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub(crate) struct Part {
    #[schemars(length(max = 40))]
    name: String,
    #[schemars(range(min = -1000, max = 1000))]
    count: i32,
    kind: Option<Kind>,
    rest: Option<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "things", aggregate_type = "thing", aggregate_id = self.id)]
pub(crate) struct AsJson {
    id: i64,
    parts: Vec<Part>,
    named: BTreeMap<String, i64>,
    ratio: f64,
    on: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[outbox(topic = "things", aggregate_type = "thing", format = "avro", aggregate_id = self.id)]
pub(crate) struct AsAvro {
    id: i64,
    parts: Vec<Part>,
    #[avro(with = named)]
    named: BTreeMap<String, i64>,
    ratio: f64,
    on: bool,
    price: Decimal<20, 4>,
    request: Uuid,
    #[avro(with)]
    #[serde(with = "apache_avro::serde::bytes")]
    blob: Vec<u8>,
    letter: char,
    tiny: i8,
    ratio32: f32,
}

fn named(_: &mut std::collections::HashSet<apache_avro::schema::Name>, _: apache_avro::schema::NamespaceRef<'_>) -> apache_avro::Schema {
    apache_avro::Schema::map(apache_avro::Schema::Long).build()
}

#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = "things", aggregate_type = "thing", aggregate_id = self.id)]
#[outbox(format = "protobuf", schema = "derive/schemas/thing.proto")]
pub(crate) struct AsProto {
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
pub(crate) struct ProtoPart {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(sint32, tag = "2")]
    count: i32,
    #[prost(message, repeated, tag = "3")]
    rest: Vec<ProtoPart>,
}

define_outbox! {
    pub(crate) type ThingEvents;
    #[derive(Debug, PartialEq)]
    pub(crate) enum ThingEvent {
        Json(AsJson),
        Avro(AsAvro),
        Proto(AsProto),
    }
}

/// A generator whose seed is shown when the test fails; `EVENTFERRY_SEED` repeats one.
#[expect(clippy::print_stdout, reason = "shown where a test fails")]
pub(crate) fn rng() -> Rng {
    let seed = std::env::var("EVENTFERRY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("EVENTFERRY_SEED={seed}");
    Rng::with_seed(seed)
}

pub(crate) fn text(rng: &mut Rng) -> String {
    let length = rng.usize(..12);
    (0..length)
        .map(|_| if rng.bool() { rng.char(..) } else { rng.alphanumeric() })
        .collect()
}

pub(crate) fn integer(rng: &mut Rng) -> i64 {
    *rng.choice(&[0, 1, -1, 63, 64, -64, -65, i64::MIN, i64::MAX, rng.clone().i64(..)])
        .expect("one")
}

pub(crate) fn float(rng: &mut Rng) -> f64 {
    let float = f64::from_bits(rng.u64(..));
    if float.is_finite() { float } else { 0.5 }
}

fn parts(rng: &mut Rng, depth: usize) -> Vec<Part> {
    let count = if depth > 3 { 0 } else { rng.usize(..4) };
    (0..count)
        .map(|_| Part {
            name: text(rng),
            count: rng.i32(-1000..=1000),
            kind: *rng.choice(&[None, Some(Kind::Small), Some(Kind::Large)]).expect("one"),
            rest: rng.bool().then(|| parts(rng, depth + 1)),
        })
        .collect()
}

fn map(rng: &mut Rng) -> BTreeMap<String, i64> {
    (0..rng.usize(..4)).map(|_| (text(rng), integer(rng))).collect()
}

pub(crate) fn as_json(rng: &mut Rng) -> AsJson {
    AsJson {
        id: integer(rng),
        parts: parts(rng, 0),
        named: map(rng),
        ratio: float(rng),
        on: rng.bool(),
    }
}

pub(crate) fn as_avro(rng: &mut Rng) -> AsAvro {
    let most = 10_i128.pow(20);
    AsAvro {
        id: integer(rng),
        parts: parts(rng, 0),
        named: map(rng),
        ratio: float(rng),
        on: rng.bool(),
        price: Decimal::new(*rng.choice(&[0, most - 1, 1 - most, rng.clone().i128(1 - most..most)]).expect("one")),
        request: Uuid::from_u128(rng.u128(..)),
        blob: (0..rng.usize(..20)).map(|_| rng.u8(..)).collect(),
        letter: rng.char(..),
        tiny: rng.i8(..),
        ratio32: rng.f32(),
    }
}

fn proto_parts(parts: &[Part]) -> Vec<ProtoPart> {
    let part = |part: &Part| ProtoPart {
        name: part.name.clone(),
        count: part.count,
        rest: proto_parts(part.rest.as_deref().unwrap_or_default()),
    };
    parts.iter().map(part).collect()
}

pub(crate) fn as_proto(rng: &mut Rng) -> AsProto {
    AsProto {
        id: integer(rng),
        parts: proto_parts(&parts(rng, 0)),
        named: map(rng),
        ratio: float(rng),
        on: rng.bool().then(|| rng.bool()),
        blob: (0..rng.usize(..20)).map(|_| rng.u8(..)).collect(),
    }
}

/// An event as the message that it becomes.
pub(crate) fn message<S, E>(events: &Outbox<S>, event: E) -> Result<Message, eventferry::EnqueueError>
where
    S: EventSet,
    E: OutboxEvent,
    E::Listed: eventferry::registry::EventOf<S>,
    E::Format: eventferry::codec::Encode<E>,
{
    let store = MemoryStore::new();
    let mut tx = store.begin();
    now(events.enqueue(&mut tx, event))?;
    tx.commit();
    Ok(crate::formats::only_message(&store))
}

#[test]
fn any_value_is_allowed_and_decodes_to_itself_in_every_format() {
    let (mut rng, events) = (rng(), ThingEvents::new().unwrap());
    let checked = events.clone().checked_decode().unwrap();
    for _ in 0..300 {
        let (json, avro, proto) = (as_json(&mut rng), as_avro(&mut rng), as_proto(&mut rng));
        let sent = message(&events, json.clone()).unwrap();
        assert_eq!(checked.decode(&sent).unwrap(), ThingEvent::Json(json));
        let sent = message(&events, avro.clone()).unwrap();
        assert_eq!(checked.decode(&sent).unwrap(), ThingEvent::Avro(avro));
        let sent = message(&events, proto.clone()).unwrap();
        assert_eq!(checked.decode(&sent).unwrap(), ThingEvent::Proto(proto));
    }
}

#[test]
fn a_decimal_beyond_its_precision_is_refused_whatever_it_is() {
    let (mut rng, events) = (rng(), ThingEvents::new().unwrap());
    let most = 10_i128.pow(20);
    for _ in 0..300 {
        let beyond = *rng
            .choice(&[most, -most, i128::MAX, i128::MIN, rng.clone().i128(most..)])
            .expect("one");
        let refused = message(
            &events,
            AsAvro {
                price: Decimal::new(beyond),
                ..as_avro(&mut rng)
            },
        )
        .unwrap_err();
        assert_eq!(refused.kind(), EnqueueErrorKind::Refused);
        assert_eq!(
            (refused.violations().len(), refused.violations()[0].pointer()),
            (1, "/price"),
            "{beyond}"
        );
        assert!(!refused.to_string().contains(&beyond.to_string()), "{refused}");
    }
}

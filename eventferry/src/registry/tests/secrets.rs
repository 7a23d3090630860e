//! No error shows a value of a payload: random events against a strict schema, every value of which is recognizable.

use std::collections::BTreeMap;

use fastrand::Rng;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::store::memory::MemoryStore;
use crate::{EnqueueErrorKind, Message, OutboxEvent, define_outbox};

/// What no error may show. Texts and keys hold the first, numbers the second.
const SECRETS: [&str; 2] = ["zq", "7319"];

/// The declared shape; what is enqueued under its schema is arbitrary JSON.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[schemars(range(min = 1, max = 9))]
    count: i64,
    #[schemars(length(max = 3), regex(pattern = r"^[a-z]+$"))]
    code: Option<String>,
    #[schemars(email)]
    email: String,
    nested: Nested,
    by_key: BTreeMap<String, Nested>,
    #[schemars(length(min = 1, max = 2), extend("uniqueItems" = true))]
    items: Vec<Choice>,
    #[schemars(extend("propertyNames" = { "maxLength": 2 }, "additionalProperties" = { "const": 1 }))]
    limits: Map<String, Value>,
    #[schemars(extend("not" = { "type": "string" }, "multipleOf" = 2, "enum" = [2, 4]))]
    even: Value,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nested {
    #[schemars(extend("exclusiveMinimum" = 0))]
    price: f64,
    #[schemars(inner(length(max = 1)))]
    tags: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Choice {
    Card { number: String },
    Cash { amount: u8 },
}

/// Arbitrary JSON under the name of `Strict`.
#[derive(Debug, Serialize, OutboxEvent)]
#[outbox(crate = crate, topic = "strict", aggregate_type = "strict", aggregate_id = self.0.is_null())]
#[serde(transparent)]
struct Anything(Value);

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Reads strictly, so that serde's own errors come up as well.
        let strict = Strict::deserialize(deserializer)?;
        serde_json::to_value(strict).map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Anything {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Anything".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Strict::json_schema(generator)
    }
}

define_outbox! {
    #[outbox(crate = crate)]
    type Events;
    #[derive(Debug)]
    enum Event {
        Anything,
    }
}

fn text(rng: &mut Rng) -> String {
    format!("zq{:x}~/{}", rng.u64(..), rng.char(..))
}

fn leaf(rng: &mut Rng) -> Value {
    match rng.u8(..6) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(7_319_000_000_000_i64 + i64::from(rng.u16(..))),
        3 => json!(-7319.25 - f64::from(rng.u8(..))),
        _ => json!(text(rng)),
    }
}

fn arbitrary(rng: &mut Rng, depth: u8) -> Value {
    match if depth == 0 { 9 } else { rng.u8(..5) } {
        0 => (0..rng.u8(..4)).map(|_| arbitrary(rng, depth - 1)).collect(),
        1 => {
            let names = ["price", "tags", "kind", "number", "amount"];
            let mut members = Map::new();
            for _ in 0..rng.u8(..5) {
                let name = if rng.bool() {
                    rng.choice(names).unwrap_or_default().to_owned()
                } else {
                    text(rng)
                };
                members.insert(name, arbitrary(rng, depth - 1));
            }
            members.into()
        }
        _ => leaf(rng),
    }
}

/// Something near what is declared, with arbitrary JSON in places.
fn event(rng: &mut Rng) -> Value {
    let nested =
        |rng: &mut Rng| json!({ "price": 1.5, "tags": if rng.bool() { json!([]) } else { json!([text(rng), arbitrary(rng, 1)]) } });
    let mut value = json!({
        "count": 5, "code": "abc", "email": "a@b.example", "nested": nested(rng), "by_key": { text(rng): nested(rng) },
        "items": [{ "kind": "cash", "amount": 1 }], "limits": { "a": 1 }, "even": 2,
    });
    let names: Vec<String> = value
        .as_object()
        .map(|members| members.keys().cloned().collect())
        .unwrap_or_default();
    for _ in 0..rng.u8(1..4) {
        let name = match rng.u8(..8) {
            0 => text(rng),
            _ => rng.choice(&names).cloned().unwrap_or_default(),
        };
        match rng.u8(..6) {
            0 => drop(value.as_object_mut().and_then(|members| members.remove(&name))),
            1 => value[name] = json!({ "kind": "card", "number": text(rng), text(rng): arbitrary(rng, 2) }),
            2 => value[name] = json!([{ "kind": text(rng), "amount": 7319 }, { "kind": text(rng), "amount": 7319 }]),
            _ => value[name] = arbitrary(rng, 3),
        }
    }
    value
}

fn shows_nothing(seed: u64, what: &str, shown: &str) {
    for secret in SECRETS {
        assert!(!shown.contains(secret), "seed {seed}, {what}: {shown}");
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = sources.map(|error| format!("{error} {error:?}")).collect();
    texts.join(" ")
}

#[tokio::test]
async fn no_error_shows_a_value_of_the_payload() {
    let first = std::env::var("EVENTFERRY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1_u64);
    let (store, events) = (MemoryStore::new(), Events::new().unwrap());
    let checked = Events::new().unwrap().checked_decode().unwrap();
    let (mut refused, mut undecodable, mut rules) = (0, 0, std::collections::BTreeSet::new());
    for seed in first..first + 3_000 {
        let mut rng = Rng::with_seed(seed);
        let value = event(&mut rng);
        let mut bytes = value.to_string().into_bytes();
        if let Err(error) = events.enqueue(&mut store.begin(), Anything(value)).await {
            assert_eq!(error.kind(), EnqueueErrorKind::Refused, "seed {seed}: {error}");
            shows_nothing(seed, "enqueue", &chain(&error));
            rules.extend(error.violations().iter().map(|violation| violation.rule().to_owned()));
            refused += 1;
        }
        if rng.bool() {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(..);
            bytes.truncate(rng.usize(at..=bytes.len()));
        }
        let message = Message::new("strict", bytes).with_header("event-type", "Anything");
        for events in [&events, &checked] {
            if let Err(error) = events.decode(&message) {
                shows_nothing(seed, "decode", &chain(&error));
                undecodable += 1;
            }
        }
    }
    // The test is worth something only if it sees many kinds of errors.
    assert!(
        refused > 1_000 && undecodable > 1_000 && rules.len() > 12,
        "{refused} {undecodable} {rules:?}"
    );
}

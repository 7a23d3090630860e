//! Members that nobody declared: passed over, or refused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DecodeErrorKind, Message, OutboxEvent, define_outbox};

#[derive(Debug, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "orders", aggregate_type = "order", name = "Placed")]
struct PlacedV1 {
    #[outbox(aggregate_id)]
    id: u64,
    euros: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "orders", aggregate_type = "order", version = 2, upcast_from = PlacedV1)]
struct Placed {
    #[outbox(aggregate_id)]
    id: u64,
    #[serde(default)]
    cents: u32,
    #[serde(default)]
    by_email: BTreeMap<String, Line>,
    #[serde(default)]
    paid: Option<Paid>,
    #[serde(flatten)]
    more: More,
    #[serde(default, skip_serializing)]
    #[expect(dead_code, reason = "what older writers sent")]
    legacy: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
struct More {
    #[serde(default)]
    note: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Line {
    sku: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how")]
enum Paid {
    Cash { desk: u32 },
    Card(Line),
}

impl From<PlacedV1> for Placed {
    fn from(old: PlacedV1) -> Self {
        Self {
            id: old.id,
            cents: old.euros * 100,
            by_email: BTreeMap::new(),
            paid: None,
            more: More::default(),
            legacy: None,
        }
    }
}

define_outbox! {
    #[outbox(crate = crate)]
    type OrderEvents;
    #[derive(Debug)]
    enum OrderEvent { Placed }
}

/// Where a strict reader sees what it does not know; empty if it takes the payload, as the tolerant one always does.
fn refused(version: &str, payload: &str) -> Vec<String> {
    let message = Message::new("orders", payload)
        .with_header("event-type", "Placed")
        .with_header("event-version", version);
    let events = OrderEvents::new().expect("the schemas are right");
    assert!(
        events.decode(&message).is_ok(),
        "a reader is tolerant unless it is told not to be: {payload}"
    );
    assert!(events.decode_as::<Placed>(&message).is_ok());
    let strict = events.strict().expect("the schemas are JSON");
    match (strict.decode(&message), strict.decode_as::<Placed>(&message)) {
        (Ok(_), Ok(_)) => Vec::new(),
        (Err(error), Err(same)) => {
            assert_eq!(
                (error.kind(), same.kind()),
                (DecodeErrorKind::Refused, DecodeErrorKind::Refused),
                "{error}"
            );
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
            error.violations().iter().map(|violation| violation.pointer().to_owned()).collect()
        }
        (one, other) => panic!("{one:?} but {other:?}"),
    }
}

#[test]
fn members_that_the_reader_s_schema_has_are_taken() {
    for payload in [
        r#"{"id":1}"#,
        r#"{"id":1,"cents":5,"note":"flattened","legacy":"read and never written"}"#,
        r#"{"id":1,"by_email":{"a@b":{"sku":"x"}},"paid":{"how":"Cash","desk":1}}"#,
        r#"{"id":1,"paid":{"how":"Card","sku":"x"}}"#,
        r#"{"id":1,"paid":null}"#,
    ] {
        assert_eq!(refused("2", payload), [""; 0], "{payload}");
    }
}

#[test]
fn other_members_are_refused_and_no_name_of_theirs_is_told() {
    for (payload, pointer) in [
        (r#"{"id":1,"secret":2}"#, "/*"),
        (r#"{"id":1,"by_email":{"secret@b":{"sku":"x","secret":1}}}"#, "/by_email/*/*"),
        (r#"{"id":1,"paid":{"how":"Cash","desk":1,"secret":1}}"#, "/paid/*"),
        (r#"{"id":1,"paid":{"how":"Cash","desk":1,"sku":"of the other form"}}"#, "/paid/*"),
    ] {
        assert_eq!(refused("2", payload), [pointer], "{payload}");
    }
}

#[test]
fn a_payload_is_held_against_the_schema_of_its_own_version() {
    assert_eq!(refused("1", r#"{"id":1,"euros":5}"#), [""; 0]);
    assert_eq!(refused("1", r#"{"id":1,"euros":5,"cents":5}"#), ["/*"]);
}

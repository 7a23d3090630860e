//! Old payloads, read by today's types.

use eventferry::{DecodeErrorKind, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", name = "OrderCreated", version = 1)]
struct OrderCreatedV1 {
    #[outbox(aggregate_id)]
    id: u64,
    euros: i64,
}

#[derive(Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", name = "OrderCreated", version = 2, upcast_from = OrderCreatedV1)]
struct OrderCreatedV2 {
    #[outbox(aggregate_id)]
    id: u64,
    cents: i64,
}

impl From<OrderCreatedV1> for OrderCreatedV2 {
    fn from(old: OrderCreatedV1) -> Self {
        Self {
            id: old.id,
            cents: old.euros * 100,
        }
    }
}

/// Version 3 was never released: numbers may have gaps.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "shop.orders", aggregate_type = "order", version = 4, upcast_from = OrderCreatedV2)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: u64,
    total_cents: i64,
}

impl From<OrderCreatedV2> for OrderCreated {
    fn from(old: OrderCreatedV2) -> Self {
        Self {
            order_id: old.id,
            total_cents: old.cents,
        }
    }
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug, PartialEq)]
    enum ShopEvent {
        OrderCreated,
    }
}

fn message(version: &str, payload: &str) -> Message {
    Message::new("orders", payload)
        .with_header("event-type", "OrderCreated")
        .with_header("event-version", version)
}

/// One payload of every version that was ever released. A version of `schemas()` without one fails the test below.
const RELEASED: [(u32, &str); 3] = [
    (1, r#"{"id":1,"euros":5}"#),
    (2, r#"{"id":1,"cents":500}"#),
    (4, r#"{"order_id":1,"total_cents":500}"#),
];

#[test]
fn every_released_version_decodes_to_the_same_event() {
    let events = ShopEvents::new().unwrap();
    let versions: Vec<_> = ShopEvents::schemas().iter().map(|schema| schema.version).collect();
    assert_eq!(versions, RELEASED.map(|(version, _)| version), "the oldest first");
    for (version, payload) in RELEASED {
        let message = message(&version.to_string(), payload);
        let expected = OrderCreated {
            order_id: 1,
            total_cents: 500,
        };
        assert_eq!(
            events.decode(&message).unwrap(),
            ShopEvent::OrderCreated(expected),
            "version {version}"
        );
        assert_eq!(events.decode_as::<OrderCreated>(&message).unwrap().total_cents, 500);
    }
}

#[test]
fn a_version_nobody_knows_is_refused_and_a_newer_one_is_told_from_the_rest() {
    let events = ShopEvents::new().unwrap();
    for version in ["0", "3", "4294967296", "-1", "x", "", "1.0", " 1"] {
        let error = events.decode(&message(version, r#"{"id":1,"euros":5}"#)).unwrap_err();
        assert_eq!(error.kind(), DecodeErrorKind::UnknownVersion, "{version}");
        assert!(!error.is_newer(), "{version}");
        assert!(!error.is_unknown(), "a known event of an unknown version is not skipped in silence");
    }
    for version in ["5", "4294967295"] {
        let error = events.decode(&message(version, r#"{"id":1,"euros":5}"#)).unwrap_err();
        assert_eq!(error.kind(), DecodeErrorKind::NewerVersion, "{version}");
        assert!(error.is_newer() && !error.is_unknown());
        let text = error.to_string();
        assert!(text.contains(version) && text.contains("newer than version 4"), "{text}");
    }
    // What is asked for decides: an older type knows less.
    let error = events.decode_as::<OrderCreated>(&message("9", "{}")).unwrap_err();
    assert!(error.is_newer(), "{error}");
}

#[test]
fn without_a_version_the_payload_is_of_the_latest() {
    let events = ShopEvents::new().unwrap();
    let message = Message::new("orders", RELEASED[2].1).with_header("event-type", "OrderCreated");
    assert!(events.decode(&message).is_ok());
}

#[test]
fn each_version_has_its_own_schema_and_topic() {
    let schemas = ShopEvents::schemas();
    let topics: Vec<_> = schemas.iter().map(|schema| schema.topic).collect();
    assert_eq!(topics, ["orders", "orders", "shop.orders"]);
    assert!(schemas[0].text.contains("\"euros\"") && !schemas[0].text.contains("\"cents\""));
    assert!(schemas[2].text.contains("\"total_cents\"") && schemas[2].text.ends_with("}\n"));
    assert!(
        schemas
            .iter()
            .all(|schema| schema.name == "OrderCreated" && schema.content_type == "application/json")
    );
}

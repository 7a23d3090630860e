//! Messages as the Node eventferry writes them, and ours as it reads them.
//!
//! The fixture follows the published source of its package `core` 3.x: user headers first, then `content-type`, `message-id`,
//! `aggregate-type`, `aggregate-id` and, where there is one, `trace-id`; the payload is `JSON.stringify`, the key the aggregate id.

use eventferry::consume::trace_context;
#[cfg(feature = "postgres")]
use eventferry::store::memory::MemoryStore;
use eventferry::{DecodeErrorKind, IncomingMessage, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
#[serde(rename_all = "camelCase")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
    total_cents: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "carts", aggregate_type = "cart")]
struct CartShared {
    #[outbox(aggregate_id)]
    cart: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "carts", aggregate_type = "cart")]
struct CartEmptied {
    #[outbox(aggregate_id)]
    cart: String,
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug, PartialEq)]
    enum ShopEvent { OrderCreated, CartShared, CartEmptied }
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What a consumer of a Node producer receives.
fn from_node(topic: &str, payload: &str) -> Message {
    Message::new(topic, payload)
        .with_key("o-42")
        .with_header("tenant", "acme")
        .with_header("traceparent", TRACE)
        .with_header("content-type", "application/json")
        .with_header("message-id", "0197f3d2-5b3c-7c1e-8a52-3f8f6f1f7a10")
        .with_header("aggregate-type", "order")
        .with_header("aggregate-id", "o-42")
        .with_header("trace-id", "4bf92f3577b34da6a3ce929d0e0e4736")
}

#[test]
fn a_node_producers_message_decodes() {
    let events = ShopEvents::new().unwrap();
    let message = from_node("orders", r#"{"totalCents":500,"orderId":"o-42","note":"a field of theirs"}"#);
    let expected = OrderCreated {
        order_id: "o-42".to_owned(),
        total_cents: 500,
    };
    assert_eq!(events.decode(&message).unwrap(), ShopEvent::OrderCreated(expected));
    assert_eq!(message.message_id().unwrap().to_string(), "0197f3d2-5b3c-7c1e-8a52-3f8f6f1f7a10");
    assert_eq!(trace_context(&message).unwrap().traceparent(), TRACE);
}

#[test]
fn a_topic_of_several_events_needs_to_be_told_which() {
    let events = ShopEvents::new().unwrap();
    let message = from_node("carts", r#"{"cart":"c"}"#);
    assert_eq!(events.decode(&message).unwrap_err().kind(), DecodeErrorKind::NotOurs);
    let told = message.with_header("event-type", "CartEmptied");
    assert!(matches!(events.decode(&told).unwrap(), ShopEvent::CartEmptied(_)));
}

/// What a Node consumer reads: plain JSON, and the same headers by the same names.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_node_consumer_finds_in_our_message_what_it_reads() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = store.begin();
    let event = OrderCreated {
        order_id: "o-42".to_owned(),
        total_cents: 500,
    };
    let context = eventferry::event::TraceContext::new(TRACE).unwrap();
    let receipt = events
        .event(event)
        .header("tenant", "acme")
        .trace_context(&context)
        .enqueue(&mut tx)
        .await
        .unwrap();
    tx.commit();
    let ours = store.rows().remove(0).into_message("here");
    assert_eq!(ours.payload(), Some(&br#"{"orderId":"o-42","totalCents":500}"#[..]));
    assert_eq!(ours.key(), Some("o-42"));
    for (name, value) in from_node("orders", "").headers().iter().filter(|(name, _)| *name != "message-id") {
        assert_eq!(ours.headers().get(name), Some(value), "{name}");
    }
    assert_eq!(ours.headers().get("message-id"), Some(receipt.message_id().to_string().as_str()));
}

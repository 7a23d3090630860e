//! A set of one's own whose events are called alike and differ in size: what a lint would say of its variants is for nobody to mend.
#![deny(clippy::all)]

use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderPaid {
    #[outbox(aggregate_id)]
    order_id: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCounted {
    #[outbox(aggregate_id)]
    order_id: u64,
    counts: [u64; 32],
}

define_outbox! {
    type OrderEvents;

    #[derive(Debug)]
    enum OrderEvent {
        OrderCreated,
        OrderPaid,
        OrderCounted,
    }
}

#[test]
fn they_are_listed() {
    assert_eq!(OrderEvents::schemas().len(), 3);
    let counted = OrderCounted {
        order_id: 1,
        counts: [0; 32],
    };
    assert_eq!(counted.counts.len(), 32);
    assert!(matches!(OrderEvent::from(counted), OrderEvent::OrderCounted(event) if event.order_id == 1));
}

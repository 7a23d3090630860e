//! What the derive and `define_outbox!` make.

use eventferry::{IncomingMessage as _, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", version = 3)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: u64,
    #[outbox(header = "tenant-id")]
    tenant: Option<String>,
    #[schemars(range(min = 1))]
    total_cents: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", aggregate_id = self.id, key = self.customer.to_uppercase())]
struct OrderPaid {
    id: u64,
    customer: String,
}

define_outbox! {
    /// Everything the shop publishes.
    type ShopEvents;

    /// One event of the shop.
    #[derive(Debug, Clone, PartialEq)]
    enum ShopEvent {
        OrderCreated,
        Paid(OrderPaid),
    }
}

#[test]
fn it_decodes() {
    let events = ShopEvents::new().unwrap();
    let message =
        Message::new("orders", br#"{"order_id":1,"tenant":null,"total_cents":1}"#.to_vec()).with_header("event-type", "OrderCreated");
    assert_eq!(message.event_type(), Some("OrderCreated"));
    let ShopEvent::OrderCreated(event) = events.decode(&message).unwrap() else {
        panic!()
    };
    assert_eq!(event.order_id, 1);
    assert_eq!(ShopEvents::TOPICS, ["orders"]);
}

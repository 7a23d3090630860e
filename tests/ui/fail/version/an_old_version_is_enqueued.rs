use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", name = "OrderCreated")]
struct OrderCreatedV1 {
    #[outbox(aggregate_id)]
    id: String,
}

#[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", version = 2, upcast_from = OrderCreatedV1)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

impl From<OrderCreatedV1> for OrderCreated {
    fn from(old: OrderCreatedV1) -> Self {
        Self { order_id: old.id }
    }
}

define_outbox! {
    type ShopEvents;
    enum ShopEvent {
        OrderCreated,
    }
}

fn enqueue(events: &ShopEvents, old: OrderCreatedV1) {
    let _ = events.event(old);
}

fn main() {}

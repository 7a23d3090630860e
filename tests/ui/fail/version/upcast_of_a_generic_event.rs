use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreatedV1 {
    #[outbox(aggregate_id)]
    id: String,
}

#[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", version = 2, upcast_from = OrderCreatedV1)]
struct OrderCreated<T = ()> {
    #[outbox(aggregate_id)]
    order_id: String,
    of: T,
}

impl From<OrderCreatedV1> for OrderCreated<u8> {
    fn from(old: OrderCreatedV1) -> Self {
        Self { order_id: old.id, of: 0 }
    }
}

define_outbox! {
    type ShopEvents;
    enum ShopEvent {
        OrderCreated(OrderCreated<u8>),
    }
}

fn main() {}

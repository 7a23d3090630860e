use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated<'a> {
    #[outbox(aggregate_id)]
    order_id: &'a str,
}

define_outbox! {
    type ShopEvents;
    enum ShopEvent {
        OrderCreated(OrderCreated<'static>),
    }
}

fn main() {}

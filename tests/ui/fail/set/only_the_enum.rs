use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

define_outbox! {
    enum ShopEvent {
        OrderCreated,
    }
}

fn main() {}

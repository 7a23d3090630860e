use eventferry::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema, OutboxEvent)]
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

fn main() {}

use eventferry::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

#[derive(Serialize, Deserialize, OutboxEvent)]
#[outbox(view_of = "OrderCreated")]
struct OrderView<'a> {
    #[outbox(aggregate_id)]
    order_id: &'a str,
}

fn main() {}

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
    type ShopEvents;
    enum ShopEvent {
        OrderCreated,
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderPaid {
    #[outbox(aggregate_id)]
    order_id: String,
}

fn decode(events: &ShopEvents, message: &eventferry::Message) -> OrderPaid {
    events.decode_as(message).unwrap()
}

fn main() {}

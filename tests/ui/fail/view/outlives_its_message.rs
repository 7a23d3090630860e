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

#[derive(Deserialize, OutboxEvent)]
#[outbox(view_of = OrderCreated)]
struct OrderView<'a> {
    #[outbox(aggregate_id)]
    order_id: &'a str,
}

fn decode(events: &ShopEvents) -> OrderView<'static> {
    let message = eventferry::Message::new("orders", "{}");
    events.decode_as(&message).unwrap()
}

fn main() {}

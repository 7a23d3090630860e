use eventferry::{OutboxEvent, define_outbox};
use serde::{Deserialize, Serialize};

// Listed, and without what JSON would need: that it is not JSON is not held against it as well.
#[derive(Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", format = "avor")]
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

fn main() {}

use eventferry::define_outbox;

mod orders {
    use eventferry::OutboxEvent;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(topic = "orders", aggregate_type = "order")]
    pub struct OrderCreated {
        #[outbox(aggregate_id)]
        order_id: String,
    }
}

define_outbox! {
    type ShopEvents;
    enum ShopEvent {
        orders::OrderCreated,
    }
}

fn main() {}

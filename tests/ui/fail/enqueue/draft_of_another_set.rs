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

mod other {
    use super::OrderCreated;

    eventferry::define_outbox! {
        pub type OtherEvents;
        pub enum OtherEvent {
            OrderCreated,
        }
    }
}

async fn enqueue(events: &ShopEvents, others: &other::OtherEvents, tx: &mut eventferry::store::memory::MemoryTransaction, event: OrderCreated) {
    let _ = events.enqueue_all(tx, [others.event(event)]).await;
}

fn main() {}

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

async fn enqueue(events: &ShopEvents, tx: &mut eventferry::store::memory::MemoryStore, event: OrderCreated) {
    let _ = events.enqueue(tx, event).await;
}

fn main() {}

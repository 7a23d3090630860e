use eventferry::codec::{Checker, CodecError, Contract, Decode, Describe, Format};
use eventferry::{OutboxEvent, define_outbox};

struct Plain;

impl Format for Plain {
    const CONTENT_TYPE: &'static str = "text/plain";
}

impl Decode<'_, OrderCreated> for Plain {
    fn decode(_: &[u8]) -> Result<OrderCreated, CodecError> {
        Err(CodecError::decode("not written yet"))
    }
}

impl Describe<OrderCreated> for Plain {
    fn schema(_: Contract) -> String {
        String::new()
    }

    fn checker(_: Contract) -> Result<Checker, CodecError> {
        Ok(None)
    }
}

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", format = Plain)]
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

async fn enqueue(events: &ShopEvents, tx: &mut eventferry::store::memory::MemoryTransaction, event: OrderCreated) {
    let _ = events.enqueue(tx, event).await;
}

fn main() {}

use eventferry::codec::{CodecError, Decode, Format};
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

fn main() {}

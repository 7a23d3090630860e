use eventferry::OutboxEvent;

const TOPIC: &str = "my orders";

#[derive(OutboxEvent)]
#[outbox(topic = TOPIC, aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

fn main() {}

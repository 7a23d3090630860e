use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id, header = "message-id")]
    order_id: String,
}

fn main() {}

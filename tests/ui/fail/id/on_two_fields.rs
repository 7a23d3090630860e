use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id, key)]
    order_id: String,
    #[outbox(key)]
    customer: String,
}

fn main() {}

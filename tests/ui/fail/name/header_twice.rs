use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id, header = "x-order")]
    order_id: String,
    #[outbox(header = "x-order")]
    customer: String,
}

fn main() {}

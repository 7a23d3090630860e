use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(outbox::topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

fn main() {}

use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", header = "tenant-id")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

fn main() {}

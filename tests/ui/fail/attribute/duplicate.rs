use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", version = 2)]
#[outbox(version = 3)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

fn main() {}

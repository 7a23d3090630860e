use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", aggregate_id)]
struct OrderCreated {
    order_id: String,
}

fn main() {}

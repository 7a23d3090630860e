use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", key = customer)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: u64,
    customer: String,
}

fn main() {}

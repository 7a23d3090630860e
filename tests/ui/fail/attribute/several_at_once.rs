use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", version = "3", key = "customer", format = "xml")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: Option<String>,
    #[outbox(aggregate_id)]
    customer: String,
}

fn main() {}

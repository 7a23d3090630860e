use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", key = self.tags.iter().map(|tag| tag.len()).collect())]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
    tags: Vec<String>,
}

fn main() {}

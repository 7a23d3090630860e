use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic, aggregate_type = , version)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

fn main() {}

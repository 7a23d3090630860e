use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
union OrderCreated {
    order_id: u64,
}

fn main() {}

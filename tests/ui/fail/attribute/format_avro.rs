use eventferry::OutboxEvent;

// The feature `avro` of eventferry is off here.
#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

fn main() {}

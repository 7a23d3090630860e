use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(tpoic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
}

fn main() {}

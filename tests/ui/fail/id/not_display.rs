use eventferry::OutboxEvent;

struct OrderId(u64);

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: OrderId,
}

fn main() {}

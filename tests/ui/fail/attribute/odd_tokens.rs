use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(, "x", topic == "orders", 5 = 6, crate, name = , aggregate_type = "order", self = 1)]
struct OrderCreated {
    #[outbox()]
    #[outbox(aggregate_id, ,)]
    order_id: String,
}

fn main() {}

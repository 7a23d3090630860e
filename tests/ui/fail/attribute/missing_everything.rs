use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
struct OrderCreated {
    order_id: String,
}

fn main() {}

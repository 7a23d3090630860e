use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", aggregate_id = self.order_id.as_ref())]
struct OrderCreated {
    order_id: Option<String>,
}

fn main() {}

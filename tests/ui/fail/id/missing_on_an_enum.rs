use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
enum OrderChanged {
    Paid,
    Sent,
}

fn main() {}

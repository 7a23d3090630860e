use eventferry::OutboxEvent;

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", aggregate_id = self.id())]
enum OrderChanged {
    #[outbox(name = "Paid")]
    Paid(String),
    Sent(#[outbox(aggregate_id)] String),
}

impl OrderChanged {
    fn id(&self) -> &str {
        match self {
            Self::Paid(id) | Self::Sent(id) => id,
        }
    }
}

fn main() {}

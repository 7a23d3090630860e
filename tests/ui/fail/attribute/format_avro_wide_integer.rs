use std::collections::HashMap;

use eventferry::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: u64,
    #[serde(skip)]
    not_written: u64,
    totals: HashMap<String, Option<u128>>,
}

fn main() {}

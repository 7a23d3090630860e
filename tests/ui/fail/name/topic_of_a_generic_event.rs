use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

trait Subject {
    const TOPIC: &'static str;
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Sku;

impl Subject for Sku {
    const TOPIC: &'static str = "my skus";
}

#[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = T::TOPIC, aggregate_type = "import")]
struct Imported<T: Subject> {
    #[outbox(aggregate_id)]
    id: String,
    of: T,
}

define_outbox! {
    type Imports;
    enum Import {
        Sku(Imported<Sku>),
    }
}

fn main() {}

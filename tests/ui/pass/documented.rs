//! A public set in a crate that denies what a shared crate might deny.
#![deny(missing_docs, clippy::pedantic, clippy::exhaustive_enums, unreachable_pub)]

use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
#[non_exhaustive]
pub struct OrderCreated {
    /// Its id.
    #[outbox(aggregate_id)]
    pub order_id: u64,
}

define_outbox! {
    /// Everything.
    pub type ShopEvents;

    /// One of them.
    #[derive(Debug, Clone)]
    #[non_exhaustive]
    pub enum ShopEvent {
        OrderCreated,
    }
}

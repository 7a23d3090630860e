//! What the shop publishes. Producers and consumers depend on this crate and on nothing of each other.

use std::fmt;

use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An order's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "a plain number with a name")]
pub struct OrderId(pub u64);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An order was placed, as version 1 said it: in whole euros.
#[derive(Debug, Clone, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "shop-orders", aggregate_type = "order", name = "OrderPlaced", version = 1)]
#[expect(clippy::exhaustive_structs, reason = "a message is made by naming its fields")]
pub struct OrderPlacedV1 {
    /// Which order.
    #[outbox(aggregate_id)]
    pub order_id: OrderId,
    /// What it costs.
    pub total_euros: u32,
}

/// An order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "shop-orders", aggregate_type = "order", version = 2, upcast_from = OrderPlacedV1)]
#[expect(clippy::exhaustive_structs, reason = "a message is made by naming its fields")]
pub struct OrderPlaced {
    /// Which order.
    #[outbox(aggregate_id)]
    pub order_id: OrderId,
    /// What it costs.
    #[schemars(range(min = 1))]
    pub total_cents: u64,
    /// Which shop of the chain; also a header, so that consumers can filter without decoding.
    #[outbox(header = "tenant-id")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Where the receipt goes. Hidden wherever people look at payloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-sensitive" = true))]
    pub receipt_to: Option<String>,
}

impl From<OrderPlacedV1> for OrderPlaced {
    fn from(old: OrderPlacedV1) -> Self {
        Self {
            order_id: old.order_id,
            total_cents: u64::from(old.total_euros) * 100,
            tenant: None,
            receipt_to: None,
        }
    }
}

/// An order was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "shop-orders", aggregate_type = "order")]
#[expect(clippy::exhaustive_structs, reason = "a message is made by naming its fields")]
pub struct OrderPaid {
    /// Which order.
    #[outbox(aggregate_id)]
    pub order_id: OrderId,
}

define_outbox! {
    /// Everything the shop publishes.
    pub type ShopEvents;

    /// One event of the shop, decoded.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum ShopEvent { OrderPlaced, OrderPaid }
}

#[cfg(test)]
mod tests {
    use eventferry::Message;

    use super::*;

    #[test]
    fn the_contract_book_says_what_the_code_does() {
        eventferry::assert_schemas!(ShopEvents, "../../../schemas");
    }

    #[test]
    fn version_1_is_still_read() {
        let message = Message::new("shop-orders", r#"{"order_id":7,"total_euros":42}"#)
            .with_header("event-type", "OrderPlaced")
            .with_header("event-version", "1");
        let event = ShopEvents::new().unwrap().decode(&message).unwrap();
        let expected = OrderPlaced {
            order_id: OrderId(7),
            total_cents: 4200,
            tenant: None,
            receipt_to: None,
        };
        assert_eq!(event, ShopEvent::OrderPlaced(expected));
    }
}

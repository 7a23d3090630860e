//! States of the code of one set, from its first on.

/// A state of the code: a module with the structs of that time and the set `ShopEvent` over them.
macro_rules! code {
    ($name:ident { $($item:item)* } lists { $($event:tt)* }) => {
        pub(super) mod $name {
            #![allow(dead_code, clippy::allow_attributes, reason = "events are only described and decoded")]
            use schemars::JsonSchema;
            use serde::{Deserialize, Serialize};
            use crate::{OutboxEvent, define_outbox};
            $($item)*
            define_outbox! {
                #[outbox(crate = crate)]
                pub(crate) type ShopEvents;
                #[derive(Debug)]
                pub(crate) enum ShopEvent { $($event)* }
            }
        }
    };
}

code! { first {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub id: u64, pub total: u32, pub note: Option<String> }
} lists { OrderPlaced } }

code! { described {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced {
        /// Which order.
        #[outbox(aggregate_id)] pub id: u64,
        pub total: u32,
        pub note: Option<String>,
    }
} lists { OrderPlaced } }

code! { optional_added {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced {
        #[outbox(aggregate_id)] pub id: u64,
        pub total: u32,
        pub note: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub coupon: Option<String>,
    }
} lists { OrderPlaced } }

code! { required_added {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub id: u64, pub total: u32, pub note: Option<String>, pub currency: String }
} lists { OrderPlaced } }

code! { second {
    #[derive(Debug, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order", name = "OrderPlaced")]
    pub(crate) struct OrderPlacedV1 { #[outbox(aggregate_id)] pub id: u64, pub total: u32, pub note: Option<String> }
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order", version = 2, upcast_from = OrderPlacedV1)]
    pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub id: u64, pub total_cents: u64 }
    impl From<OrderPlacedV1> for OrderPlaced {
        fn from(old: OrderPlacedV1) -> Self { Self { id: old.id, total_cents: u64::from(old.total) * 100 } }
    }
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPaid { #[outbox(aggregate_id)] pub id: u64 }
} lists { OrderPlaced, OrderPaid } }

code! { forgotten {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order", version = 2)]
    pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub id: u64, pub total_cents: u64 }
} lists { OrderPlaced } }

code! { on_two_topics {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub id: u64, pub total: u32, pub note: Option<String> }
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "archive", aggregate_type = "order", name = "OrderPlaced")]
    pub(crate) struct Archived { #[outbox(aggregate_id)] pub id: u64 }
} lists { OrderPlaced, Archived } }

code! { alike {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub id: u64 }
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order", name = "Orderplaced")]
    pub(crate) struct Other { #[outbox(aggregate_id)] pub id: u64 }
} lists { OrderPlaced, Other } }

code! { unguessable {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced {
        #[outbox(aggregate_id)]
        #[schemars(extend("pattern" = "^(?=b)[a-z]$"))]
        pub id: String,
    }
} lists { OrderPlaced } }

code! { breaking {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced {
        #[outbox(aggregate_id)]
        #[schemars(extend("not" = { "const": "id" }))]
        pub(crate) id: String,
    }
} lists { OrderPlaced } }

code! { named_like_a_payload {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order", name = "a")]
    pub(crate) struct Plain { #[outbox(aggregate_id)] pub(crate) id: u64 }
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order", name = "a.v1.payload")]
    pub(crate) struct Payload { #[outbox(aggregate_id)] pub(crate) name: String }
} lists { Plain, Payload } }

code! { stricter {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub id: u64, #[serde(deserialize_with = "small")] pub total: u32, pub note: Option<String> }
    fn small<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        let total = u32::deserialize(from)?;
        if total > 100 { Err(serde::de::Error::custom("secret")) } else { Ok(total) }
    }
} lists { OrderPlaced } }

code! { defaulted_added {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced {
        #[outbox(aggregate_id)] pub(crate) id: u64,
        pub(crate) total: u32,
        pub(crate) note: Option<String>,
        #[serde(default)] pub(crate) coupon: String,
    }
} lists { OrderPlaced } }

code! { note_removed {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub(crate) id: u64, pub(crate) note: Option<String> }
} lists { OrderPlaced } }

code! { both_ways {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub(crate) id: u64, pub(crate) total: String, pub(crate) note: Option<String> }
} lists { OrderPlaced } }

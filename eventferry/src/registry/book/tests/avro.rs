//! A book of Avro events.

use crate::registry::EventSet;
use crate::registry::book::FindingKind as Kind;
use crate::registry::book::tests::{Folder, file_names, kinds};

/// A state of the code with one event, by the fields of its struct.
macro_rules! code {
    ($name:ident $(#[$about:meta])* { $($fields:tt)* }) => {
        mod $name {
            #![allow(dead_code, clippy::allow_attributes, reason = "events are only described and decoded")]
            use std::collections::HashMap;
            use std::time::SystemTime;
            use apache_avro::AvroSchema;
            use serde::{Deserialize, Serialize};
            use uuid::Uuid;
            use crate::codec::avro::logical::{Decimal, timestamp_millis};
            use crate::{OutboxEvent, define_outbox};

            #[derive(Debug, Serialize, Deserialize, AvroSchema)]
            pub(crate) enum Status { New, Paid, Gone }
            #[derive(Debug, Serialize, Deserialize, AvroSchema)]
            pub(crate) struct Line { pub(crate) sku: String, pub(crate) price: Decimal<6, 2> }

            $(#[$about])*
            #[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
            #[outbox(crate = crate, topic = "orders", aggregate_type = "order", format = "avro")]
            pub(crate) struct OrderPlaced { $($fields)* }
            define_outbox! {
                #[outbox(crate = crate)]
                pub(crate) type ShopEvents;
                #[derive(Debug)]
                pub(crate) enum ShopEvent { OrderPlaced }
            }
            // What a state does not use.
            fn unused(_: HashMap<u8, SystemTime>, _: Uuid, at: SystemTime) {
                drop(timestamp_millis::serialize(&at, serde_json::value::Serializer));
            }
        }
    };
}

code! { first {
    #[outbox(aggregate_id)] pub(crate) id: i64,
    pub(crate) status: Status,
    pub(crate) note: Option<String>,
    pub(crate) lines: Vec<Line>,
    pub(crate) labels: HashMap<String, i64>,
    #[avro(with)]
    #[serde(with = "timestamp_millis")]
    pub(crate) at: SystemTime,
    pub(crate) request: Uuid,
    pub(crate) ratio: f64,
} }

code! { described
/// An order came in.
{
    #[outbox(aggregate_id)] pub(crate) id: i64,
    pub(crate) status: Status,
    pub(crate) note: Option<String>,
    pub(crate) lines: Vec<Line>,
    pub(crate) labels: HashMap<String, i64>,
    #[avro(with)]
    #[serde(with = "timestamp_millis")]
    pub(crate) at: SystemTime,
    pub(crate) request: Uuid,
    pub(crate) ratio: f64,
} }

code! { shorter {
    #[outbox(aggregate_id)] pub(crate) id: i64,
    pub(crate) status: Status,
} }

#[test]
fn a_book_of_avro_events_is_written_with_payloads_as_hexadecimal_text_and_agrees() {
    let folder = Folder::new();
    let written = folder.write::<first::ShopEvent>().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        file_names(&written),
        [
            "OrderPlaced.v1.avsc",
            "OrderPlaced.v1.payload.hex",
            "OrderPlaced.v1.payload.form-2.hex",
            "OrderPlaced.v1.payload.form-3.hex",
            "OrderPlaced.v1.payload.least.hex",
        ]
    );
    assert_eq!(folder.compare::<first::ShopEvent>(), Ok(Vec::new()));
    let payload = folder.read("OrderPlaced.v1.payload.hex");
    assert!(
        payload.starts_with("02 00 02 08 6e 6f 74 65") && payload.contains("note"),
        "{payload}"
    );
    folder.put("OrderPlaced.v1.payload.hex", "02 00 02");
    let (found, text) = folder.kinds::<first::ShopEvent>();
    assert_eq!(found, [Kind::Undecodable], "{text}");
}

fn after<S: EventSet>() -> (Folder, Vec<Kind>, String) {
    let folder = Folder::new();
    folder.write::<first::ShopEvent>().unwrap_or_else(|error| panic!("{error}"));
    let (found, text) = folder.kinds::<S>();
    (folder, found, text)
}

#[test]
fn a_remark_may_change_and_no_byte_may() {
    let (folder, found, text) = after::<described::ShopEvent>();
    assert_eq!(found, [Kind::Changed], "{text}");
    assert!(text.contains("fully compatible"), "{text}");
    folder.write::<described::ShopEvent>().unwrap_or_else(|error| panic!("{error}"));

    // A reader of the shorter schema could resolve the longer one; but it is told that the writer's schema is its own.
    let (folder, found, text) = after::<shorter::ShopEvent>();
    assert_eq!(found, [Kind::NeedsVersion], "{text}");
    assert!(text.contains("keeps its canonical form"), "{text}");
    assert_eq!(kinds(folder.write::<shorter::ShopEvent>()).0, [Kind::NeedsVersion]);
}

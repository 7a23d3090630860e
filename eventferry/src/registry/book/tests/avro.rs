//! A book of Avro events.

use crate::registry::EventSet;
use crate::registry::book::tests::{Folder, file_names, kinds};
use crate::registry::book::{FindingKind as Kind, payload};
use crate::{Message, Outbox};

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

// The states of the verdicts: one field of the first is another in each.
code! { plain { #[outbox(aggregate_id)] pub(crate) id: i64, pub(crate) count: i32 } }
code! { widened { #[outbox(aggregate_id)] pub(crate) id: i64, pub(crate) count: i64 } }
code! { retyped { #[outbox(aggregate_id)] pub(crate) id: i64, pub(crate) count: String } }
code! { optional_added { #[outbox(aggregate_id)] pub(crate) id: i64, pub(crate) count: i32, pub(crate) coupon: Option<String> } }

/// What is said, whether the book may be written or not, when the code goes from one state to another.
fn said<Old: EventSet, New: EventSet>() -> String {
    let folder = Folder::new();
    folder.write::<Old>().unwrap_or_else(|error| panic!("{error}"));
    let (found, text) = folder.kinds::<New>();
    assert_eq!(found, [Kind::NeedsVersion], "{text}");
    assert_eq!(kinds(folder.write::<New>()), (found, text.clone()), "writing finds the same");
    assert_eq!(folder.compare::<Old>(), Ok(Vec::new()), "the book is as it was");
    assert!(
        text.contains("keeps its canonical form") && text.contains("`version = 2, upcast_from = ..`"),
        "{text}"
    );
    text
}

#[test]
fn what_a_change_would_mean_to_readers_is_told_though_every_change_of_bytes_needs_a_version() {
    let (lost, unread) = (
        "what was written before is not read any more",
        "older readers cannot read what is written now",
    );
    for (text, verdict, told, silent) in [
        (
            said::<plain::ShopEvent, widened::ShopEvent>(),
            "the change is backward compatible, not forward compatible",
            vec![unread],
            vec![lost],
        ),
        (
            said::<widened::ShopEvent, plain::ShopEvent>(),
            "the change is forward compatible, not backward compatible",
            vec![lost],
            vec![unread],
        ),
        (
            said::<plain::ShopEvent, optional_added::ShopEvent>(),
            "the change is fully compatible",
            vec![],
            vec![lost, unread],
        ),
        (
            said::<plain::ShopEvent, retyped::ShopEvent>(),
            "the change is not compatible",
            vec![lost, unread],
            vec![],
        ),
    ] {
        assert!(text.contains(&format!("its version did not: {verdict}\n")), "{verdict}: {text}");
        assert!(told.iter().all(|one| text.contains(one)), "{verdict}: {text}");
        assert!(!silent.iter().any(|one| text.contains(one)), "{verdict}: {text}");
        assert!(told.is_empty() || text.contains("`/count`"), "{verdict}: {text}");
        let changed = text.lines().filter(|line| line.starts_with("  + ")).count();
        assert!(changed > 0, "the changed lines are shown: {text}");
    }
}

/// The next version of `plain`, and what becomes of an event of the first one on its way.
macro_rules! second {
    ($name:ident $(#[$count:meta])* { $($upcast:tt)* }) => {
        mod $name {
            #![allow(dead_code, clippy::allow_attributes, reason = "events are only described and decoded")]
            use apache_avro::AvroSchema;
            use serde::{Deserialize, Serialize};
            use crate::{OutboxEvent, define_outbox};

            #[derive(Debug, Deserialize, AvroSchema, OutboxEvent)]
            #[outbox(crate = crate, topic = "orders", aggregate_type = "order", name = "OrderPlaced", format = "avro")]
            pub(crate) struct OrderPlacedV1 {
                #[outbox(aggregate_id)] pub(crate) id: i64,
                $(#[$count])* pub(crate) count: i32,
            }
            #[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
            #[outbox(crate = crate, topic = "orders", aggregate_type = "order", version = 2, format = "avro", upcast_from = OrderPlacedV1)]
            pub(crate) struct OrderPlaced { #[outbox(aggregate_id)] pub(crate) id: i64, pub(crate) counted: String }
            impl From<OrderPlacedV1> for OrderPlaced {
                fn from(old: OrderPlacedV1) -> Self { let OrderPlacedV1 { id, count } = old; Self { id, counted: { $($upcast)* }(count) } }
            }
            define_outbox! {
                #[outbox(crate = crate)]
                pub(crate) type ShopEvents;
                #[derive(Debug, PartialEq)]
                pub(crate) enum ShopEvent { OrderPlaced }
            }
        }
    };
}

second! { second { |count: i32| format!("{count} pieces") } }
second! { panicking { |count: i32| if count > 0 { panic!("nobody thought of {count}") } else { String::new() } } }
second! { stricter
#[serde(deserialize_with = "crate::registry::book::tests::avro::none_at_all")]
{ |count: i32| count.to_string() } }

fn none_at_all<'de, D: serde::Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    match serde::Deserialize::deserialize(from)? {
        0 => Ok(0),
        other => Err(serde::de::Error::invalid_value(serde::de::Unexpected::Signed(other), &"none")),
    }
}

fn book_of_plain() -> Folder {
    let folder = Folder::new();
    folder.write::<plain::ShopEvent>().unwrap_or_else(|error| panic!("{error}"));
    folder
}

#[test]
fn payloads_of_the_first_version_are_read_through_its_upcast() {
    let folder = book_of_plain();
    let (schema, old) = (folder.read("OrderPlaced.v1.avsc"), folder.read("OrderPlaced.v1.payload.hex"));
    assert_eq!(folder.kinds::<second::ShopEvent>().0, [Kind::Missing, Kind::NoPayload]);
    let written = folder.write::<second::ShopEvent>().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(file_names(&written), ["OrderPlaced.v2.avsc", "OrderPlaced.v2.payload.hex"]);
    assert_eq!(folder.compare::<second::ShopEvent>(), Ok(Vec::new()));
    assert_eq!(folder.read("OrderPlaced.v1.avsc"), schema, "the renamed struct is the same record");

    let message = Message::new("orders", payload::parse("hex", &old).expect("hexadecimal text"))
        .with_header("event-type", "OrderPlaced")
        .with_header("event-version", "1");
    let expected = second::OrderPlaced {
        id: 1,
        counted: "1 pieces".to_owned(),
    };
    let read = second::ShopEvents::new().and_then(Outbox::checked_decode);
    let read = read.expect("the schemas are right").decode(&message);
    assert_eq!(read.expect("it is read"), second::ShopEvent::OrderPlaced(expected));
}

#[test]
fn an_upcast_that_lost_old_payloads_is_found() {
    let folder = book_of_plain();
    folder.write::<second::ShopEvent>().unwrap_or_else(|error| panic!("{error}"));
    for (found, text) in [folder.kinds::<stricter::ShopEvent>(), folder.kinds::<panicking::ShopEvent>()] {
        assert_eq!(found, [Kind::Undecodable], "{text}");
        assert!(
            text.contains("`OrderPlaced.v1.payload.hex` no longer reads as `OrderPlaced`"),
            "{text}"
        );
        assert!(text.contains("the `From` that brings it up"), "{text}");
    }
    let (_, text) = folder.kinds::<panicking::ShopEvent>();
    assert!(text.contains("panics") && !text.contains("nobody thought"), "{text}");
}

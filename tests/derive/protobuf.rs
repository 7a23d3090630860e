//! Events as Protobuf: a type of prost's, and the file that describes it.

use std::collections::HashMap;

use eventferry::store::memory::MemoryStore;
use eventferry::{EnqueueErrorKind, Message, OutboxEvent, define_outbox};

use crate::formats::{now, only_message, refusal};

#[derive(Clone, PartialEq, prost::Message)]
struct Line {
    #[prost(string, tag = "1")]
    sku: String,
    #[prost(sint32, tag = "2")]
    count: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Status {
    Unspecified = 0,
    New = 1,
    Paid = 2,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum How {
    #[prost(string, tag = "12")]
    Card(String),
    #[prost(int32, tag = "13")]
    Cash(i32),
}

#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(
    topic = "orders",
    aggregate_type = "order",
    format = "protobuf",
    schema = "derive/schemas/order.proto"
)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(int64, tag = "2")]
    total_cents: i64,
    #[prost(enumeration = "Status", tag = "3")]
    status: i32,
    #[prost(message, repeated, tag = "4")]
    lines: Vec<Line>,
    #[prost(map = "string, uint64", tag = "5")]
    counts: HashMap<String, u64>,
    #[prost(string, optional, tag = "6")]
    note: Option<String>,
    #[prost(message, optional, tag = "7")]
    at: Option<Time>,
    #[prost(double, tag = "8")]
    ratio: f64,
    #[prost(bytes = "vec", tag = "9")]
    token: Vec<u8>,
    #[prost(fixed32, repeated, tag = "10")]
    codes: Vec<u32>,
    #[prost(bool, tag = "11")]
    gift: bool,
    #[prost(oneof = "How", tags = "12, 13")]
    how: Option<How>,
}

/// A message within a message, whose place in the file is its own.
#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(
    topic = "orders",
    aggregate_type = "order",
    format = "protobuf",
    schema = "derive/schemas/order.proto",
    message = "shop.v1.OrderCreated.Cancelled"
)]
struct OrderCancelled {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    order_id: String,
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug, PartialEq)]
    enum ShopEvent {
        OrderCreated,
        OrderCancelled,
    }
}

fn created() -> OrderCreated {
    OrderCreated {
        order_id: "7".to_owned(),
        total_cents: -500,
        status: Status::Paid.into(),
        lines: vec![
            Line {
                sku: "a".to_owned(),
                count: -2,
            },
            Line::default(),
        ],
        counts: HashMap::from([("all".to_owned(), u64::MAX)]),
        note: Some(String::new()),
        at: Some(Time { seconds: 1, nanos: 2 }),
        ratio: 0.5,
        token: vec![0, 255],
        codes: vec![1, 2],
        gift: true,
        how: Some(How::Cash(0)),
    }
}

#[test]
fn a_protobuf_event_is_enqueued_and_decoded() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = store.begin();
    now(events.enqueue(&mut tx, created())).unwrap();
    tx.commit();
    assert_eq!(store.rows()[0].content_type, "application/protobuf");
    assert_eq!(events.decode(&only_message(&store)).unwrap(), ShopEvent::OrderCreated(created()));
}

#[test]
fn the_file_is_registered_with_the_place_of_its_message() {
    let schemas = ShopEvents::schemas();
    let registered: Vec<_> = schemas.iter().map(|version| version.registered.clone().unwrap()).collect();
    assert_eq!(
        (registered[0].name.as_str(), registered[0].message_index.as_slice()),
        ("shop.v1.OrderCreated", &[1][..])
    );
    assert_eq!(
        (registered[1].name.as_str(), registered[1].message_index.as_slice()),
        ("shop.v1.OrderCreated.Cancelled", &[1, 0][..])
    );
    assert_eq!(schemas[0].text, include_str!("schemas/order.proto"));
}

#[test]
fn an_enum_without_the_number_is_refused_by_its_place() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let refused = now(events.enqueue(&mut store.begin(), OrderCreated { status: 9, ..created() })).unwrap_err();
    assert_eq!(refused.kind(), EnqueueErrorKind::Refused);
    assert_eq!(
        refused.to_string(),
        "the schema of `OrderCreated` forbids this event: `/status` must be one of the values listed in the schema"
    );
}

/// What may be added within a version: a reader that checks takes it as one that does not.
#[test]
fn a_checked_reader_passes_what_a_newer_writer_added() {
    let events = ShopEvents::new().unwrap().checked_decode().unwrap();
    let newer = OrderCreated { status: 9, ..created() };
    let mut payload = prost::Message::encode_to_vec(&newer);
    // Field 99, which the file does not have, with the number 1.
    payload.extend([0x98, 0x06, 0x01]);
    let message = Message::new("orders", payload).with_header("event-type", "OrderCreated");
    assert_eq!(events.decode(&message).unwrap(), ShopEvent::OrderCreated(newer));
}

macro_rules! misfits {
    ($($name:ident $set:ident $enum:ident { $(#[$attr:meta])* $field:ident: $ty:ty } => $refusal:literal;)*) => {
        $(
            #[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
            #[outbox(topic = "misfits", aggregate_type = "misfit", aggregate_id = prost::Message::encoded_len(self))]
            #[outbox(format = "protobuf", schema = "derive/schemas/small.proto")]
            struct $name { $(#[$attr])* $field: $ty }
            define_outbox! { type $set; #[derive(Debug)] enum $enum { $name } }
        )*

        #[test]
        fn a_type_that_the_file_does_not_fit_is_refused_when_the_set_is_made() {
            $(assert_eq!(
                refusal($set::new()),
                format!("failed to compile the schema of `{0}` version 1: `derive/schemas/small.proto` does not fit the type: {1}", stringify!($name), $refusal)
            );)*
        }
    };
}

misfits! {
    Number NumberEvents NumberEvent { #[prost(int64, tag = "3")] a: i64 } => "the type has a field 3, which `small.Number` does not declare";
    Missing MissingEvents MissingEvent { #[prost(int64, tag = "1")] a: i64 } => "field `small.Missing.b` (2) is not in the type";
    Sint64 Sint64Events Sint64Event { #[prost(sint64, tag = "1")] a: i64 } => "field `small.Sint64.a` (1) is a `sint` in the type";
    Uint64 Uint64Events Uint64Event { #[prost(uint64, tag = "1")] a: u64 } => "field `small.Uint64.a` (1) is an unsigned integer in the type";
    Uint32 Uint32Events Uint32Event { #[prost(uint32, tag = "1")] a: u32 } => "field `small.Uint32.a` (1) is an unsigned integer in the type";
    Int64 Int64Events Int64Event { #[prost(int64, tag = "1")] a: i64 } => "field `small.Int64.a` (1) is an `int`, with or without sign, in the type";
    Fixed64 Fixed64Events Fixed64Event { #[prost(fixed64, tag = "1")] a: u64 } => "field `small.Fixed64.a` (1) is a `fixed64` in the type";
    Bytes BytesEvents BytesEvent { #[prost(bytes = "vec", tag = "1")] a: Vec<u8> } => "field `small.Bytes.a` (1) is `bytes` in the type";
    Text TextEvents TextEvent { #[prost(string, tag = "1")] a: String } => "field `small.Text.a` (1) has another type in Rust";
    NoBool NoBoolEvents NoBoolEvent { #[prost(int32, tag = "1")] a: i32 } => "field `small.NoBool.a` (1) is no `bool` in the type";
    Repeated RepeatedEvents RepeatedEvent { #[prost(string, tag = "1")] a: String } => "field `small.Repeated.a` (1) is repeated, and is not in the type";
    Single SingleEvents SingleEvent { #[prost(string, repeated, tag = "1")] a: Vec<String> } => "field `small.Single.a` (1) is not repeated, and is in the type";
    Presence PresenceEvents PresenceEvent { #[prost(int32, tag = "1")] a: i32 } =>
        "field `small.Presence.a` (1) is `optional`, and the type cannot tell its default from none: make it an `Option`";
    NoMessage NoMessageEvents NoMessageEvent { #[prost(bytes = "vec", tag = "1")] a: Vec<u8> } => "field `small.NoMessage.a` (1) is no message in the type";
    Nested NestedEvents NestedEvent { #[prost(message, optional, tag = "1")] a: Option<Line> } => "the type has a field 1, which `small.Inner` does not declare";
}

macro_rules! absent {
    ($($name:ident $set:ident $enum:ident ($schema:literal, $message:literal) => $refusal:literal;)*) => {
        $(
            #[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
            #[outbox(topic = "misfits", aggregate_type = "misfit", aggregate_id = prost::Message::encoded_len(self))]
            #[outbox(format = "protobuf", schema = $schema, message = $message)]
            struct $name {}
            define_outbox! { type $set; #[derive(Debug)] enum $enum { $name } }
        )*

        #[test]
        fn a_message_that_the_file_has_not_is_told_with_those_it_has() {
            $(assert_eq!(
                refusal($set::new()),
                format!("failed to compile the schema of `{0}` version 1: {1}", stringify!($name), $refusal)
            );)*
        }
    };
}

absent! {
    Canceled CanceledEvents CanceledEvent ("derive/schemas/order.proto", "shop.v1.OrderCreated.Canceled") =>
        "`derive/schemas/order.proto` has no message `shop.v1.OrderCreated.Canceled`; it has `shop.v1.Line`, `shop.v1.OrderCreated`, `shop.v1.OrderCreated.Cancelled`. Name one with `message = \"…\"`";
    Nothing NothingEvents NothingEvent ("derive/schemas/empty.proto", "Nothing") =>
        "`derive/schemas/empty.proto` has no message `Nothing`, and no other";
}

//! What is personal is hidden in every format, and a strict reader refuses what nobody declared.

use std::collections::HashMap;

use apache_avro::AvroSchema;
use eventferry::outbox::{Payload, Record};
use eventferry::registry::MaskedPayload;
use eventferry::schema::{SchemaId, frame};
use eventferry::store::StoredRow;
use eventferry::store::memory::MemoryStore;
use eventferry::{IncomingMessage as _, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::formats::now;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[avro(namespace = "people")]
struct Address {
    /// x-sensitive
    #[schemars(extend("x-sensitive" = true))]
    street: String,
    town: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, AvroSchema)]
#[avro(namespace = "people")]
enum How {
    Bank {
        /// x-sensitive
        #[schemars(extend("x-sensitive" = true))]
        iban: String,
    },
    Desk {
        number: i64,
    },
}

macro_rules! moved {
    ($($name:ident($($attr:tt)*) derives $($derive:path),*;)*) => {
        $(
            #[derive(Debug, $($derive,)* Serialize, Deserialize, OutboxEvent)]
            #[outbox(topic = "people", aggregate_type = "person", $($attr)*)]
            struct $name {
                #[outbox(aggregate_id)]
                id: i64,
                /// Where letters go: x-sensitive, of course.
                #[schemars(extend("x-sensitive" = true))]
                email: Option<String>,
                address: Address,
                past: Vec<Address>,
                by_name: HashMap<String, Address>,
                how: How,
            }
        )*
    };
}

moved! {
    FromJson() derives JsonSchema;
    FromType(format = "avro") derives AvroSchema, JsonSchema;
    FromFile(format = "avro", schema = "derive/schemas/personal.avsc") derives JsonSchema;
}

#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = "people", aggregate_type = "person")]
#[outbox(format = "protobuf", schema = "derive/schemas/personal.proto")]
struct FromProto {
    #[outbox(aggregate_id)]
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, optional, tag = "2")]
    email: Option<String>,
    #[prost(message, optional, tag = "3")]
    address: Option<ProtoAddress>,
    #[prost(message, repeated, tag = "4")]
    past: Vec<ProtoAddress>,
    #[prost(map = "string, message", tag = "5")]
    by_name: HashMap<String, ProtoAddress>,
    #[prost(oneof = "ProtoHow", tags = "6, 7")]
    how: Option<ProtoHow>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoAddress {
    #[prost(string, tag = "1")]
    street: String,
    #[prost(string, tag = "2")]
    town: String,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum ProtoHow {
    #[prost(message, tag = "6")]
    Bank(ProtoBank),
    #[prost(message, tag = "7")]
    Desk(ProtoDesk),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoBank {
    #[prost(string, tag = "1")]
    iban: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDesk {
    #[prost(int64, tag = "1")]
    number: i64,
}

define_outbox! {
    type PeopleEvents;
    #[derive(Debug)]
    enum PeopleEvent {
        Json(FromJson),
        Type(FromType),
        File(FromFile),
        Proto(FromProto),
    }
}

fn address(town: &str) -> Address {
    Address {
        street: "secret".to_owned(),
        town: town.to_owned(),
    }
}

fn proto_address(town: &str) -> ProtoAddress {
    let Address { street, town } = address(town);
    ProtoAddress { street, town }
}

fn messages(at_desk: bool) -> Vec<Message> {
    records(at_desk).into_iter().map(|record| record.into_message("test")).collect()
}

/// An event of every format, paid by a bank or at a desk.
fn records(at_desk: bool) -> Vec<Record> {
    let events = PeopleEvents::new().expect("it is right");
    let how = || {
        if at_desk {
            return How::Desk { number: 3 };
        }
        How::Bank { iban: "secret".to_owned() }
    };
    macro_rules! moved {
        ($name:ident) => {
            events.event($name {
                id: 7,
                email: Some("secret".to_owned()),
                address: address("Ulm"),
                past: vec![address("Bonn"), address("Trier")],
                by_name: HashMap::from([("secret".to_owned(), address("Köln"))]),
                how: how(),
            })
        };
    }
    let proto = FromProto {
        id: 7,
        email: Some("secret".to_owned()),
        address: Some(proto_address("Ulm")),
        past: vec![proto_address("Bonn"), proto_address("Trier")],
        by_name: HashMap::from([("secret".to_owned(), proto_address("Köln"))]),
        how: Some(match how() {
            How::Desk { number } => ProtoHow::Desk(ProtoDesk { number }),
            How::Bank { iban } => ProtoHow::Bank(ProtoBank { iban }),
        }),
    };
    let drafts = [moved!(FromJson), moved!(FromType), moved!(FromFile), events.event(proto)];
    drafts
        .into_iter()
        .map(|draft| {
            let store = MemoryStore::new();
            let mut tx = store.begin();
            now(draft.enqueue(&mut tx)).expect("it is right");
            tx.commit();
            let [record] = <[_; 1]>::try_from(store.rows()).expect("one row");
            record
        })
        .collect()
}

#[test]
fn what_is_personal_is_hidden_in_every_format_however_deep_it_stands() {
    let events = PeopleEvents::new().unwrap();
    for at_desk in [false, true] {
        let seen: Vec<Value> = messages(at_desk)
            .iter()
            .map(|message| serde_json::from_str(&events.masked(message)).unwrap())
            .collect();
        let [from_json, from_type, from_file, from_proto] = <[Value; 4]>::try_from(seen).unwrap();
        let shared = |how: Value| {
            let address = |town: &str| json!({ "street": "***", "town": town });
            let mut all = json!({
                "id": 7, "email": "***", "address": address("Ulm"), "past": [address("Bonn"), address("Trier")],
                "by_name": { "***": address("Köln") },
            });
            all.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
            all
        };
        let paid = if at_desk {
            json!({ "number": 3 })
        } else {
            json!({ "iban": "***" })
        };
        let case = if at_desk { "Desk" } else { "Bank" };
        assert_eq!(from_json, shared(json!({ "how": { case: paid } })));
        assert_eq!(from_type, shared(json!({ "how": paid })));
        assert_eq!(from_file, shared(json!({ "how": paid })));
        assert_eq!(from_proto, shared(json!({ case.to_lowercase(): paid })));
    }
}

#[test]
fn a_derived_schema_has_the_mark_as_an_attribute() {
    let schemas = PeopleEvents::schemas();
    let text = &schemas[1].text;
    assert_eq!(text.matches(r#""x-sensitive": true"#).count(), 3, "{text}");
    assert!(text.contains("Where letters go"), "what else a remark says stays: {text}");
    assert_eq!(text.matches(r#""doc""#).count(), 1, "a line of its own goes: {text}");
    apache_avro::Schema::parse_str(text).unwrap();
}

#[test]
fn what_cannot_be_told_is_hidden_as_a_whole_in_every_format() {
    let events = PeopleEvents::new().unwrap();
    for message in messages(false) {
        let payload = message.payload().unwrap();
        let with = |payload: Vec<u8>, version: &str| {
            let name = message.event_type().unwrap();
            let message = Message::new("people", payload).with_header("event-type", name);
            events.masked(&message.with_header("event-version", version))
        };
        assert_ne!(with(payload.to_vec(), "1"), r#""***""#);
        assert_eq!(with(payload.to_vec(), "2"), r#""***""#);
        assert_eq!(with(payload[..payload.len() - 1].to_vec(), "1"), r#""***""#);
        assert_eq!(with([b"\0\0\0\0\x07", payload].concat(), "1"), r#""***""#);
    }
}

#[test]
fn a_row_of_every_format_is_shown_as_its_message_or_it_is_said_why_not() {
    let events = PeopleEvents::new().unwrap();
    for (record, schema) in records(false).into_iter().zip(PeopleEvents::schemas()) {
        let Payload::Bytes(payload) = record.payload.clone() else {
            panic!("{record:?}")
        };
        let masked = events.masked(&record.clone().into_message("test"));
        let shown = |change: &dyn Fn(&mut Record)| {
            let mut row = StoredRow::new(record.clone());
            change(&mut row.record);
            let shown = events.masked_row(&row);
            let (text, debug) = (shown.to_string(), format!("{shown:?}"));
            assert!(!text.contains("secret") && !debug.contains("Ulm"), "{text}{debug}");
            (shown, text)
        };
        let (whole, text) = shown(&|_| ());
        assert!(
            matches!(whole, MaskedPayload::Json(_)) && text == masked && text.contains("Ulm"),
            "{text}"
        );
        // A relay frames on the way; a row that somebody framed is read as well.
        let framed = frame::put(SchemaId::new(9), &schema.registered.unwrap(), &payload);
        let (_, text) = shown(&|record| {
            record.payload = Payload::Bytes(framed.clone());
            record.headers.set("event-schema-id", "9");
        });
        assert_eq!(text, masked);

        let size = payload.len();
        let (sealed, text) = shown(&|record| record.headers.set("event-key-id", "2026\u{9b}"));
        assert!(matches!(sealed, MaskedPayload::Encrypted { key_id, bytes } if key_id == "2026\u{9b}" && bytes == size));
        assert_eq!(text, format!("{size} bytes, encrypted with the key `2026\\u{{9b}}`"));
        let (_, text) = shown(&|record| record.payload = Payload::Deferred(size));
        assert_eq!(text, format!("{size} bytes, not read"));
        let (_, text) = shown(&|record| record.payload = Payload::Tombstone);
        assert_eq!(text, "none: a tombstone");
        let cut = payload[..size - 1].to_vec();
        let (unreadable, text) = shown(&|record| record.payload = Payload::Bytes(cut.clone()));
        assert!(matches!(unreadable, MaskedPayload::Unreadable(_)), "{text}");
        assert!(text.ends_with("version 1 on topic `people` is no payload of its schema"), "{text}");
        let (_, text) = shown(&|record| record.event_version = 2);
        assert!(text.contains("has version 2, which is newer"), "{text}");
        let (_, text) = shown(&|record| "Elsewhere".clone_into(&mut record.event_type));
        assert!(text.contains("is no event of"), "{text}");
    }
}

/// Bytes that a frame makes into another event of the same schema, in which what is personal stands elsewhere.
#[test]
fn a_frame_that_may_be_there_is_not_taken_for_the_beginning_of_an_event() {
    #[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
    #[outbox(topic = "frames", aggregate_type = "frame", format = "avro")]
    struct Sent {
        #[outbox(aggregate_id)]
        a: i64,
        b: i64,
        c: i64,
        d: i64,
        note: String,
        /// x-sensitive
        email: String,
    }
    define_outbox! { type FrameEvents; #[derive(Debug)] enum FrameEvent { Sent } }
    let events = FrameEvents::new().unwrap();
    // Under the id 14 the frame is four zeros, and a text of the seven bytes behind it; which are four numbers, no note, and half of an email.
    let framed = [&b"\0\0\0\0\x0e"[..], b"\0\0\0\0\0\x04s", b"\0"].concat();
    let message = Message::new("frames", framed.clone()).with_header("event-type", "Sent");
    assert!(events.decode(&message).is_ok(), "the bytes are an event as well");
    assert_eq!(events.masked(&message), r#""***""#);
    // Where the event is ours, there is no frame without a header.
    let ours = Message::new("frames", framed)
        .with_header("event-type", "Sent")
        .with_header("event-version", "1");
    assert_ne!(events.masked(&ours), r#""***""#);
}

#[cfg(feature = "schema-registry")]
mod strict {
    use eventferry::schema::memory::MemoryRegistry;
    use eventferry::schema::{Schema, SchemaKind, Subject};
    use eventferry::{Message, OutboxEvent, define_outbox};
    use serde::{Deserialize, Serialize};

    use crate::formats::now;

    #[derive(Debug, PartialEq, Serialize, Deserialize, apache_avro::AvroSchema)]
    struct Line {
        #[serde(alias = "old_sku")]
        sku: String,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, apache_avro::AvroSchema, OutboxEvent)]
    #[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
    struct Ordered {
        #[outbox(aggregate_id)]
        id: i64,
        lines: Vec<Line>,
    }

    define_outbox! {
        type OrderEvents;
        #[derive(Debug, PartialEq)]
        enum OrderEvent { Ordered }
    }

    #[test]
    fn a_strict_resolver_refuses_a_writer_whose_fields_nobody_reads() {
        let registry = MemoryRegistry::new();
        let lines = |fields: &str| {
            let line = format!(r#"{{"type":"record","name":"Line","fields":[{{"name":"old_sku","type":"string"}}{fields}]}}"#);
            format!(
                r#"{{"type":"record","name":"Ordered","fields":[{{"name":"lines","type":{{"type":"array","items":{line}}}}},{{"name":"id","type":"int"}}]}}"#
            )
        };
        let subject = Subject::new("orders-value");
        let same = registry.register(&subject, &Schema::new(SchemaKind::Avro, "Ordered", lines("")));
        let more = lines(r#",{"name":"coupon","type":["null","string"]}"#);
        let more = registry.register(&subject, &Schema::new(SchemaKind::Avro, "Ordered", more));
        // No line at all, and the order 7.
        let message = |id: u32| Message::new("orders", [&[0][..], &id.to_be_bytes(), &[0, 0x0e]].concat());
        let events = OrderEvents::new().unwrap();
        let (tolerant, strict) = (
            events.resolving(registry.clone()),
            events.strict().unwrap().resolving(registry.clone()),
        );
        let expected = OrderEvent::Ordered(Ordered { id: 7, lines: Vec::new() });
        for id in [same.get(), more.get()] {
            assert_eq!(now(tolerant.decode(&message(id))).unwrap(), expected);
        }
        assert_eq!(now(strict.decode(&message(same.get()))).unwrap(), expected);
        let refused = now(strict.decode(&message(more.get()))).unwrap_err();
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("/lines/*/coupon") && text.contains("Refused"), "{text}");
    }
}

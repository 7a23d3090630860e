//! Versions and views of events that are Avro now.

use std::borrow::Cow;

use apache_avro::AvroSchema;
use eventferry::codec::VersionError;
use eventferry::store::memory::MemoryStore;
use eventferry::{DecodeErrorKind, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{now, only_message};

#[derive(Debug, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", name = "OrderCreated")]
struct OrderCreatedV1 {
    #[outbox(aggregate_id)]
    order_id: String,
}

#[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", name = "OrderCreated", version = 2, format = "avro")]
#[outbox(upcast_from = OrderCreatedV1)]
struct OrderCreatedV2 {
    #[outbox(aggregate_id)]
    order_id: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
enum Kind {
    Shop,
    Web,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", version = 3, format = "avro", upcast_from = OrderCreatedV2)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
    kind: Kind,
    cents: i64,
}

impl From<OrderCreatedV1> for OrderCreatedV2 {
    fn from(old: OrderCreatedV1) -> Self {
        Self {
            order_id: old.order_id,
            kind: Kind::Shop,
        }
    }
}

impl From<OrderCreatedV2> for OrderCreated {
    fn from(old: OrderCreatedV2) -> Self {
        Self {
            order_id: old.order_id,
            kind: old.kind,
            cents: 0,
        }
    }
}

/// Not all of the fields, and another name: neither the record's name nor the enum is asked for.
#[derive(Debug, PartialEq, Deserialize, OutboxEvent)]
#[outbox(view_of = OrderCreated)]
struct Cents<'a> {
    #[outbox(aggregate_id)]
    order_id: Cow<'a, str>,
    cents: i64,
}

/// All of the fields, to be written without owning them.
#[derive(Debug, Serialize, OutboxEvent)]
#[outbox(view_of = OrderCreated)]
struct Borrowed<'a> {
    #[outbox(aggregate_id)]
    order_id: &'a str,
    kind: &'a Kind,
    cents: i64,
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug, PartialEq)]
    enum ShopEvent {
        OrderCreated,
    }
}

fn order(kind: Kind, cents: i64) -> OrderCreated {
    OrderCreated {
        order_id: "7".to_owned(),
        kind,
        cents,
    }
}

#[test]
fn every_version_is_read_in_the_format_it_was_written_in() {
    let events = ShopEvents::new().unwrap();
    let message = |version: &str, content_type: &str, payload: &[u8]| {
        Message::new("orders", payload)
            .with_header("event-type", "OrderCreated")
            .with_header("event-version", version)
            .with_header("content-type", content_type)
    };
    let decoded = |message: &Message| events.decode(message).map(|ShopEvent::OrderCreated(order)| order);
    assert_eq!(
        decoded(&message("1", "application/json", b"{\"order_id\":\"7\"}")).unwrap(),
        order(Kind::Shop, 0)
    );
    assert_eq!(decoded(&message("2", "avro/binary", b"\x027\x02")).unwrap(), order(Kind::Web, 0));
    assert_eq!(
        decoded(&message("3", "application/avro", b"\x027\x02\x09")).unwrap(),
        order(Kind::Web, -5)
    );
    // The writer's schema is the version's own: the same bytes are no event of another version.
    assert_eq!(
        decoded(&message("3", "avro/binary", b"\x027\x02")).unwrap_err().kind(),
        DecodeErrorKind::Undecodable
    );
    assert_eq!(
        decoded(&message("1", "avro/binary", b"\x027")).unwrap_err().kind(),
        DecodeErrorKind::ContentType,
        "{:?}",
        VersionError::ContentType("application/json")
    );
    let types: Vec<_> = ShopEvents::schemas().iter().map(|version| version.content_type).collect();
    assert_eq!(types, ["application/json", "avro/binary", "avro/binary"]);
    // A struct that became an old version keeps the record's name, or the registry would call the versions incompatible.
    let names: Vec<_> = ShopEvents::schemas()
        .into_iter()
        .map(|version| version.registered.unwrap().name)
        .collect();
    assert_eq!(names[1..], ["OrderCreated", "OrderCreated"]);
}

#[test]
fn a_view_is_written_and_read_with_the_schema_of_its_event() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = store.begin();
    let view = Borrowed {
        order_id: "7",
        kind: &Kind::Web,
        cents: 9,
    };
    now(events.enqueue(&mut tx, view)).unwrap();
    tx.commit();
    let message = only_message(&store);
    assert_eq!(events.decode(&message).unwrap(), ShopEvent::OrderCreated(order(Kind::Web, 9)));
    let cents = events.decode_as::<Cents<'_>>(&message).unwrap();
    assert_eq!(
        cents,
        Cents {
            order_id: "7".into(),
            cents: 9
        }
    );
}

/// What a type says of itself that nobody else could read, found where the derive cannot see it.
mod foreign {
    use super::*;
    use crate::formats::refusal;

    type Count = u64;

    #[derive(Debug, Serialize, Deserialize, AvroSchema)]
    struct Inner {
        count: Count,
    }

    #[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
    #[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
    struct Counted {
        #[outbox(aggregate_id)]
        id: String,
        inner: Vec<Inner>,
    }

    #[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
    #[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
    struct Lasting {
        #[outbox(aggregate_id)]
        id: String,
        lasted: Option<std::time::Duration>,
    }

    /// A default of another type than the field's: the library's derive takes any.
    #[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
    #[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
    struct Defaulted {
        #[outbox(aggregate_id)]
        id: String,
        #[avro(default = "\"three\"")]
        count: i64,
    }

    define_outbox! { type CountedEvents; #[derive(Debug)] enum CountedEvent { Counted } }
    define_outbox! { type LastingEvents; #[derive(Debug)] enum LastingEvent { Lasting } }
    define_outbox! { type DefaultedEvents; #[derive(Debug)] enum DefaultedEvent { Defaulted } }

    #[test]
    fn integers_without_a_type_in_avro_are_found_behind_an_alias() {
        let refused = refusal(CountedEvents::new());
        assert!(refused.contains("field `inner`: field `count`: Avro has no `u64`"), "{refused}");
        assert!(refused.contains("write `i64`, a `String`, or"), "{refused}");
        let refused = refusal(LastingEvents::new());
        assert!(
            refused.contains("field `lasted`: Avro has no type for `std::time::Duration`"),
            "{refused}"
        );
    }

    #[test]
    fn a_default_of_another_type_is_found() {
        let refused = refusal(DefaultedEvents::new());
        assert!(refused.contains("the schema derived from the type is wrong"), "{refused}");
    }
}

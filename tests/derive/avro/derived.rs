//! Schemas that the type says of itself.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use apache_avro::AvroSchema;
use eventferry::codec::avro::logical::Decimal;
use eventferry::store::memory::MemoryStore;
use eventferry::{EnqueueErrorKind, OutboxEvent, define_outbox};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{now, only_message};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
enum Status {
    New,
    Paid,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Line {
    sku: String,
    count: i32,
    price: Decimal<6, 2>,
}

/// An order came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[avro(namespace = "shop")]
#[outbox(topic = "orders", aggregate_type = "order", format = "avro", name = "OrderCreated")]
struct Created {
    #[outbox(aggregate_id)]
    order_id: i64,
    status: Status,
    note: Option<String>,
    lines: Vec<Line>,
    labels: HashMap<String, i64>,
    #[avro(with)]
    #[serde(with = "eventferry::codec::avro::logical::timestamp_millis")]
    at: SystemTime,
    #[avro(with)]
    #[serde(with = "eventferry::codec::avro::logical::date")]
    on: i32,
    request: Uuid,
    #[avro(with)]
    #[serde(with = "eventferry::codec::avro::logical::uuid_text")]
    session: Uuid,
    ratio: f64,
    #[serde(rename = "isGift")]
    gift: bool,
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug, PartialEq)]
    enum ShopEvent {
        Created,
    }
}

fn created() -> Created {
    Created {
        order_id: 7,
        status: Status::Paid,
        note: Some("leave it at the door".to_owned()),
        lines: vec![
            Line {
                sku: "a".to_owned(),
                count: 2,
                price: Decimal::new(-1999),
            },
            Line {
                sku: "b".to_owned(),
                count: -1,
                price: Decimal::new(0),
            },
        ],
        labels: HashMap::from([("colour".to_owned(), 3)]),
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        on: 20_000,
        request: Uuid::from_u128(1),
        session: Uuid::from_u128(2),
        ratio: 0.5,
        gift: true,
    }
}

#[test]
fn an_avro_event_is_enqueued_and_decoded() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = store.begin();
    now(events.enqueue(&mut tx, created())).unwrap();
    tx.commit();
    let message = only_message(&store);
    assert_eq!(store.rows()[0].content_type, "avro/binary");
    assert_eq!(events.decode(&message).unwrap(), ShopEvent::Created(created()));
    assert_eq!(events.decode_as::<Created>(&message).unwrap(), created());
}

#[test]
fn the_schema_is_named_after_the_event_and_others_can_read_it() {
    let [version] = <[_; 1]>::try_from(ShopEvents::schemas()).unwrap();
    let registered = version.registered.unwrap();
    assert_eq!(
        (registered.name.as_str(), version.content_type),
        ("shop.OrderCreated", "avro/binary")
    );
    assert_eq!(registered.text, version.text);
    let parsed = apache_avro::Schema::parse_str(&version.text).unwrap();
    let canonical: serde_json::Value = serde_json::from_str(&parsed.canonical_form()).unwrap();
    let field = |name: &str| {
        let fields = canonical["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap()["type"].to_string()
    };
    assert_eq!(canonical["name"], "shop.OrderCreated");
    assert_eq!(field("status"), r#"{"name":"shop.Status","symbols":["New","Paid"],"type":"enum"}"#);
    assert_eq!(field("note"), r#"["null","string"]"#);
    assert_eq!(field("isGift"), r#""boolean""#);
    assert_eq!(field("session"), r#"{"type":"string"}"#);
    for logical in ["decimal", "timestamp-millis", "date", "uuid"] {
        assert!(
            version.text.contains(&format!("\"logicalType\": \"{logical}\"")),
            "{logical}: {}",
            version.text
        );
    }
}

#[test]
fn a_decimal_with_too_many_digits_is_refused_by_its_place() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut event = created();
    event.lines[1].price = Decimal::new(1_000_000);
    let refused = now(events.enqueue(&mut store.begin(), event)).unwrap_err();
    assert_eq!(refused.kind(), EnqueueErrorKind::Refused);
    assert_eq!(
        refused.to_string(),
        "the schema of `OrderCreated` forbids this event: `/lines/1/price` must have at most 6 digits"
    );
    let mut event = created();
    event.lines[1].price = Decimal::new(-999_999);
    now(events.enqueue(&mut store.begin(), event)).unwrap();
}

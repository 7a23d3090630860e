//! Schemas that stand in a file.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use eventferry::codec::avro::logical::Decimal;
use eventferry::store::memory::MemoryStore;
use eventferry::{EnqueueErrorKind, OutboxEvent, define_outbox};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{now, only_message, refusal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Card,
    Cash,
    /// Not in the file.
    Coupon,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    sku: String,
    count: i32,
}

/// Another order than the file's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(
    topic = "payments",
    aggregate_type = "payment",
    format = "avro",
    schema = "derive/schemas/payment.avsc"
)]
struct PaymentTaken {
    tags: BTreeMap<String, String>,
    lines: Vec<Line>,
    note: Option<String>,
    #[serde(with = "apache_avro::serde::bytes")]
    token: Vec<u8>,
    method: Method,
    on: i32,
    #[serde(with = "eventferry::codec::avro::logical::timestamp_micros")]
    taken_at: SystemTime,
    amount: Decimal<6, 2>,
    #[outbox(aggregate_id)]
    #[serde(with = "eventferry::codec::avro::logical::uuid_text")]
    payment_id: Uuid,
}

define_outbox! {
    type PaymentEvents;
    #[derive(Debug, PartialEq)]
    enum PaymentEvent {
        Taken(PaymentTaken),
    }
}

fn taken() -> PaymentTaken {
    PaymentTaken {
        tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        lines: vec![Line {
            sku: "x".to_owned(),
            count: 1,
        }],
        note: None,
        token: vec![1, 2, 3, 4],
        method: Method::Cash,
        on: -1,
        taken_at: SystemTime::UNIX_EPOCH - Duration::from_micros(1),
        amount: Decimal::new(-1),
        payment_id: Uuid::from_u128(5),
    }
}

#[test]
fn an_event_of_a_file_is_enqueued_and_decoded() {
    let (store, events) = (MemoryStore::new(), PaymentEvents::new().unwrap());
    let mut tx = store.begin();
    now(events.enqueue(&mut tx, taken())).unwrap();
    tx.commit();
    assert_eq!(events.decode(&only_message(&store)).unwrap(), PaymentEvent::Taken(taken()));
    let [version] = <[_; 1]>::try_from(PaymentEvents::schemas()).unwrap();
    assert_eq!(version.text, include_str!("../schemas/payment.avsc"), "the file, byte for byte");
    assert_eq!(version.registered.unwrap().name, "shop.billing.PaymentTaken");
}

#[test]
fn what_the_file_forbids_is_refused_by_its_place() {
    let (store, events) = (MemoryStore::new(), PaymentEvents::new().unwrap());
    let refused = |change: fn(&mut PaymentTaken)| {
        let mut event = taken();
        change(&mut event);
        let refused = now(events.enqueue(&mut store.begin(), event)).unwrap_err();
        assert_eq!(refused.kind(), EnqueueErrorKind::Refused, "{refused}");
        let [violation] = refused.violations() else { panic!("{refused}") };
        (
            violation.pointer().to_owned(),
            violation.rule().to_owned(),
            violation.reason().to_owned(),
        )
    };
    let expected = |pointer: &str, rule: &str, reason: &str| (pointer.to_owned(), rule.to_owned(), reason.to_owned());
    assert_eq!(
        refused(|event| event.method = Method::Coupon),
        expected("/method", "enum", "must be one of the symbols listed in the schema")
    );
    assert_eq!(
        refused(|event| event.token.push(5)),
        expected("/token", "size", "must have exactly 4 bytes")
    );
    assert_eq!(
        refused(|event| event.amount = Decimal::new(-1_000_000)),
        expected("/amount", "precision", "must have at most 6 digits")
    );
}

macro_rules! misfits {
    ($($(#[$attr:meta])* $name:ident $set:ident $enum:ident { $($field:ident: $ty:ty),* } => $refusal:literal;)*) => {
        $(
            #[derive(Debug, Serialize, Deserialize, OutboxEvent)]
            #[outbox(topic = "misfits", aggregate_type = "misfit", aggregate_id = self.id(), format = "avro")]
            $(#[$attr])*
            struct $name { $($field: $ty),* }
            impl $name {
                fn id(&self) -> u8 { 0 }
            }
            define_outbox! { type $set; #[derive(Debug)] enum $enum { $name } }
        )*

        #[test]
        fn a_type_that_the_file_does_not_fit_is_refused_when_the_set_is_made() {
            $(assert_eq!(refusal($set::new()), concat!("failed to compile the schema of `", stringify!($name), "` version 1: ", $refusal));)*
        }
    };
}

misfits! {
    #[outbox(schema = "derive/schemas/broken.avsc")]
    Malformed MalformedEvents MalformedEvent { id: i64 } =>
        "`derive/schemas/broken.avsc` is no JSON: EOF while parsing an object at line 2 column 0";
    #[outbox(schema = "derive/schemas/malformed.avsc")]
    NoSchema NoSchemaEvents NoSchemaEvent { id: i64 } =>
        "`derive/schemas/malformed.avsc` is no Avro schema: Unknown primitive type: lnog";
    #[outbox(schema = "derive/schemas/small.avsc")]
    WrongType WrongTypeEvents WrongTypeEvent { id: String, at: Option<i64>, kind: Kind } =>
        "`derive/schemas/small.avsc` does not fit the type: it asks for a value of type `string` where the schema has `long`";
    #[outbox(schema = "derive/schemas/small.avsc")]
    Missing MissingEvents MissingEvent { id: i64, at: Option<i64>, kind: Kind, more: bool } =>
        "`derive/schemas/small.avsc` does not fit the type: missing field `more`";
    #[outbox(schema = "derive/schemas/small.avsc")]
    Lacking LackingEvents LackingEvent { id: i64, at: Option<i64> } =>
        "`derive/schemas/small.avsc` does not fit the type: the type does not write the field `kind`, which has no default";
    #[outbox(schema = "derive/schemas/small.avsc")]
    NeverNull NeverNullEvents NeverNullEvent { id: i64, at: i64, kind: Kind } =>
        "`derive/schemas/small.avsc` does not fit the type: it asks for a value of type `i64` where the schema has `null`";
    #[outbox(schema = "derive/schemas/small.avsc")]
    Symbols SymbolsEvents SymbolsEvent { id: i64, at: Option<i64>, kind: OneKind } =>
        "`derive/schemas/small.avsc` does not fit the type: unknown variant `TWO`, expected `ONE`";
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    One,
    Two,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE", rename = "Kind")]
enum OneKind {
    One,
}

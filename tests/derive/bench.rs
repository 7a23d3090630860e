//! What one event costs in each format: encoding and checking, and decoding. By hand, never in CI:
//! `cargo run --release -p eventferry-tests --bin formats-bench --features avro,protobuf`

use std::hint::black_box;
use std::time::Instant;

use apache_avro::AvroSchema;
use eventferry::codec::{Avro, Check, Contract, Decode, Describe, Encode, Json};
use eventferry::{Message, Outbox, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema, AvroSchema, prost::Message)]
struct Line {
    #[prost(string, tag = "1")]
    sku: String,
    #[prost(int64, tag = "2")]
    count: i64,
}

macro_rules! events {
    ($($name:ident($($attr:tt)*) derives $($derive:path),*;)*) => {
        $(
            #[derive(Clone, PartialEq, $($derive,)* OutboxEvent)]
            #[outbox(topic = "orders", aggregate_type = "order", $($attr)*)]
            struct $name {
                #[outbox(aggregate_id)]
                order_id: String,
                customer: String,
                cents: i64,
                note: Option<String>,
                lines: Vec<Line>,
            }
        )*
    };
}

events! {
    OrderJson() derives Debug, Serialize, Deserialize, JsonSchema;
    OrderAvro(format = "avro") derives Debug, Serialize, Deserialize, AvroSchema;
}

#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(
    topic = "orders",
    aggregate_type = "order",
    format = "protobuf",
    schema = "derive/schemas/bench.proto"
)]
struct OrderProto {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(string, tag = "2")]
    customer: String,
    #[prost(int64, tag = "3")]
    cents: i64,
    #[prost(string, optional, tag = "4")]
    note: Option<String>,
    #[prost(message, repeated, tag = "5")]
    lines: Vec<Line>,
}

define_outbox! {
    type Orders;
    #[derive(Debug)]
    enum Order {
        Json(OrderJson),
        Avro(OrderAvro),
        Proto(OrderProto),
    }
}

fn lines() -> Vec<Line> {
    let line = |at: i64| Line {
        sku: format!("sku-{at:06}"),
        count: at,
    };
    (1..=8).map(line).collect()
}

/// Nanoseconds for each of many calls: the best of seven rounds.
fn best(mut call: impl FnMut()) -> u128 {
    const CALLS: u32 = 20_000;
    let round = |call: &mut dyn FnMut()| {
        let started = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        started.elapsed().as_nanos() / u128::from(CALLS)
    };
    (0..7).map(|_| round(&mut call)).min().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "its result")]
fn measure<F, E>(name: &str, event: &E)
where
    E: PartialEq + std::fmt::Debug,
    F: Encode<E> + for<'de> Decode<'de, E> + Describe<E>,
{
    let bytes = F::encode(event).expect("it encodes");
    let check: Box<dyn Check> = F::checker(Contract::Written).expect("a schema").expect("a checker");
    assert_eq!(&F::decode(&bytes).expect("it decodes"), event);
    let compile = Instant::now();
    drop(black_box(F::checker(Contract::Written)));
    let compile = compile.elapsed().as_micros();
    let encode = best(|| drop(black_box(F::encode(black_box(event)))));
    let checked = best(|| drop(black_box(check.check(black_box(&bytes)))));
    let decode = best(|| drop(black_box(F::decode(black_box(&bytes)))));
    let size = bytes.len();
    println!(
        "{name:<9} {size:>4} bytes   encode {encode:>6} ns   check {checked:>6} ns   decode {decode:>6} ns   (checker again: {compile} us)"
    );
}

/// The same through the set: decoding, tolerant, checked and strict, and the view without what is personal.
#[expect(clippy::print_stdout, reason = "its result")]
fn through_the_set(events: &Outbox<Order>, name: &str, payload: Vec<u8>) {
    let message = Message::new("orders", payload)
        .with_header("event-type", name)
        .with_header("event-version", "1");
    let checked = events.clone().checked_decode().expect("schemas");
    let strict = events.clone().strict().expect("schemas");
    let decode = |events: &Outbox<Order>| best(|| drop(black_box(events.decode(black_box(&message)).expect("it decodes"))));
    let (tolerant, checked, strict) = (decode(events), decode(&checked), decode(&strict));
    assert_ne!(events.masked(&message), "\"***\"");
    let masked = best(|| drop(black_box(events.masked(black_box(&message)))));
    println!("{name:<11} decode {tolerant:>6} ns   checked {checked:>6} ns   strict {strict:>6} ns   masked {masked:>6} ns");
}

/// A message of another producer, with a field more and one under an older name: its schema is fetched once, and what it says is translated.
#[cfg(feature = "schema-registry")]
#[expect(clippy::print_stdout, reason = "its result")]
fn through_the_resolver(events: &Outbox<Order>, payload: &[u8]) {
    use eventferry::schema::memory::MemoryRegistry;
    use eventferry::schema::{Schema, SchemaKind, Subject};

    let ours = Orders::schemas()
        .into_iter()
        .find(|version| version.name == "OrderAvro")
        .expect("it is listed");
    let theirs = ours.text.replace("OrderAvro", "com.shop.OrderAvro");
    let registry = MemoryRegistry::new();
    let id = registry.register(
        &Subject::new("orders-value"),
        &Schema::new(SchemaKind::Avro, "com.shop.OrderAvro", theirs),
    );
    let framed = [&[0][..], &id.get().to_be_bytes(), payload].concat();
    let message = Message::new("orders", framed);
    let resolver = events.resolving(registry);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let decode = || {
        let event = runtime.block_on(resolver.decode(black_box(&message)));
        drop(black_box(event.expect("it decodes")));
    };
    println!("OrderAvro   translated from its writer's schema and decoded {:>6} ns", best(decode));
}

fn main() {
    let events = Orders::new().expect("schemas");
    let (order_id, customer, cents) = ("order-000001".to_owned(), "customer-000001".to_owned(), 123_456);
    let note = Some("leave it at the door, please".to_owned());
    let lines = lines();
    let json = OrderJson {
        order_id: order_id.clone(),
        customer: customer.clone(),
        cents,
        note: note.clone(),
        lines: lines.clone(),
    };
    measure::<Json, _>("json", &json);
    let avro = OrderAvro {
        order_id: order_id.clone(),
        customer: customer.clone(),
        cents,
        note: note.clone(),
        lines: lines.clone(),
    };
    measure::<Avro, _>("avro", &avro);
    let proto = OrderProto {
        order_id,
        customer,
        cents,
        note,
        lines,
    };
    measure::<<OrderProto as OutboxEvent>::Format, _>("protobuf", &proto);
    through_the_set(&events, "OrderJson", Json::encode(&json).expect("it encodes"));
    let payload = <Avro as Encode<OrderAvro>>::encode(&avro).expect("it encodes");
    through_the_set(&events, "OrderAvro", payload.clone());
    through_the_set(&events, "OrderProto", prost::Message::encode_to_vec(&proto));
    #[cfg(feature = "schema-registry")]
    through_the_resolver(&events, &payload);
}

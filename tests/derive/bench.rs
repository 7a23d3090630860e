//! What one event costs in each format: encoding and checking, and decoding. By hand, never in CI:
//! `cargo run --release -p eventferry-tests --bin formats-bench --features avro,protobuf`

use std::hint::black_box;
use std::time::Instant;

use apache_avro::AvroSchema;
use eventferry::codec::{Avro, Check, Contract, Decode, Describe, Encode, Json};
use eventferry::{OutboxEvent, define_outbox};
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

fn main() {
    Orders::new().expect("schemas");
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
}

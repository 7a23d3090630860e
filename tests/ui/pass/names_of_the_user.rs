//! Names that the user took from the prelude, and names that are keywords, do not meet those of the macros.
#![expect(dead_code, non_camel_case_types, reason = "names that stand in the way")]

use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug)]
struct Option;
#[derive(Debug)]
struct Result;
struct Some;
struct Position;
struct Headers;
trait From {}
trait Into {}
mod core {}
mod std {}
mod eventferry_derive {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct r#type {
    #[outbox(aggregate_id, header = "x-match")]
    r#match: std_string,
}

type std_string = ::std::string::String;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct Position2(#[outbox(aggregate_id, key, partition)] i32);

define_outbox! {
    type Events;

    #[derive(Debug)]
    enum Event {
        r#type,
        Position(Position2),
    }
}

#[test]
fn they_do_not_meet() {
    assert_eq!(<r#type as OutboxEvent>::NAME, "type");
    assert_eq!(Events::TOPICS, ["orders"]);
    assert_eq!(Position2(7).partition(), ::std::option::Option::Some(7));
}

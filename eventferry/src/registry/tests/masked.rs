//! Payloads for the eyes of people, and what they do not show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{SchemaId, frame};
use crate::store::memory::MemoryStore;
use crate::{Message, OutboxEvent, define_outbox};

#[derive(Debug, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "people", aggregate_type = "person", name = "Moved")]
struct MovedV1 {
    #[outbox(aggregate_id)]
    id: u64,
    #[schemars(extend("x-sensitive" = true))]
    street: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-sensitive" = true))]
struct Address {
    street: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "people", aggregate_type = "person", version = 2, upcast_from = MovedV1)]
struct Moved {
    #[outbox(aggregate_id)]
    id: u64,
    #[serde(rename = "to")]
    address: Option<Address>,
    past: Vec<Address>,
    street: String,
}

impl From<MovedV1> for Moved {
    fn from(old: MovedV1) -> Self {
        let address = Some(Address { street: old.street });
        Self {
            id: old.id,
            address,
            past: Vec::new(),
            street: String::new(),
        }
    }
}

define_outbox! {
    #[outbox(crate = crate)]
    type PeopleEvents;
    #[derive(Debug)]
    enum PeopleEvent { Moved }
}

fn message(version: &str, payload: &str) -> Message {
    Message::new("people", payload)
        .with_header("event-type", "Moved")
        .with_header("event-version", version)
}

#[test]
fn each_version_is_masked_by_its_own_schema() {
    let events = PeopleEvents::new().unwrap();
    let old = message("1", r#"{"id":7,"street":"secret"}"#);
    assert_eq!(events.masked(&old), r#"{"id":7,"street":"***"}"#);
    let new = message(
        "2",
        r#"{"id":7,"to":{"street":"secret"},"past":[{"street":"secret"},"secret"],"street":"high street"}"#,
    );
    assert_eq!(
        events.masked(&new),
        r#"{"id":7,"past":["***","***"],"street":"high street","to":"***"}"#
    );
}

#[test]
fn what_cannot_be_told_is_hidden_as_a_whole() {
    let events = PeopleEvents::new().unwrap();
    for hidden in [
        message("3", r#"{"id":7}"#),
        message("x", r#"{"id":7}"#),
        message("1", "secret"),
        message("1", ""),
        Message::new("people", r#"{"id":7}"#).with_header("event-type", "Elsewhere"),
        Message::new("elsewhere", r#"{"id":7}"#),
        Message::tombstone("people").with_header("event-type", "Moved"),
    ] {
        assert_eq!(events.masked(&hidden), r#""***""#, "{hidden:?}");
    }
}

#[test]
fn a_payload_is_masked_whatever_else_the_set_was_told_to_refuse() {
    let events = PeopleEvents::new().unwrap().checked_decode().unwrap().strict().unwrap();
    let refused = message("1", r#"{"id":-7,"other":"secret"}"#);
    assert!(events.decode(&refused).is_err());
    assert_eq!(events.masked(&refused), r#"{"***":"***","id":-7}"#);
}

#[test]
fn what_a_terminal_acts_upon_is_escaped_and_says_the_same() {
    let events = PeopleEvents::new().unwrap();
    let street = "a\u{1b}[2Jb\u{7f}c\u{9b}d\u{202e}e\u{2066}f\u{2029}gäß";
    let payload = serde_json::json!({ "id": 7, "to": null, "past": [], "street": street });
    let masked = events.masked(&message("2", &payload.to_string()));
    assert!(masked.contains(r#""a\u001b[2Jb\u007fc\u009bd\u202ee\u2066f\u2029gäß""#), "{masked}");
    let read: serde_json::Value = serde_json::from_str(&masked).unwrap();
    assert_eq!(read["street"], street);
}

#[test]
fn the_frame_of_a_schema_registry_is_no_part_of_the_payload() {
    let events = PeopleEvents::new().unwrap();
    let schema = PeopleEvents::schemas().swap_remove(0).registered.unwrap();
    let framed = frame::put(SchemaId::new(9), &schema, br#"{"id":7,"street":"secret"}"#);
    let message = Message::new("people", framed)
        .with_header("event-type", "Moved")
        .with_header("event-version", "1")
        .with_header("event-schema-id", "9");
    assert_eq!(events.masked(&message), r#"{"id":7,"street":"***"}"#);
}

#[tokio::test]
async fn a_row_is_masked_by_the_message_it_becomes() {
    let (store, events) = (MemoryStore::new(), PeopleEvents::new().unwrap());
    let mut tx = store.begin();
    let moved = Moved {
        id: 7,
        address: None,
        past: Vec::new(),
        street: "here".to_owned(),
    };
    events.enqueue(&mut tx, moved).await.unwrap();
    tx.commit();
    let message = store.rows()[0].clone().into_message("s");
    assert_eq!(events.masked(&message), r#"{"id":7,"past":[],"street":"here","to":"***"}"#);
}

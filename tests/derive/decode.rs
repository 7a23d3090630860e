//! Which message becomes which event, and what is said where it does not.

use eventferry::{DecodeErrorKind as Kind, IncomingMessage, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    id: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderPaid {
    #[outbox(aggregate_id)]
    id: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "pings", aggregate_type = "host")]
struct Ping {
    #[outbox(aggregate_id)]
    host: String,
}

define_outbox! {
    type ShopEvents;

    #[derive(Debug, PartialEq)]
    enum ShopEvent {
        OrderCreated,
        OrderPaid,
        Ping,
    }
}

fn created() -> Message {
    Message::new("orders", r#"{"id":1}"#).with_header("event-type", "OrderCreated")
}

/// The kind of the error; a message that decodes has none.
fn kind_of(message: &Message) -> Option<Kind> {
    ShopEvents::new().ok()?.decode(message).err().map(|error| error.kind())
}

#[test]
fn the_event_is_found_by_its_type_on_any_topic() {
    let events = ShopEvents::new().unwrap();
    for topic in ["orders", "orders.retry", "mirror.orders", "pings"] {
        let message = Message::new(topic, r#"{"id":1}"#).with_header("event-type", "OrderPaid");
        assert_eq!(
            events.decode(&message).unwrap(),
            ShopEvent::OrderPaid(OrderPaid { id: 1 }),
            "{topic}"
        );
    }
}

#[test]
fn without_a_type_the_only_event_of_the_topic_is_meant() {
    let events = ShopEvents::new().unwrap();
    assert_eq!(
        events.decode(&Message::new("pings", r#"{"host":"a"}"#)).unwrap(),
        ShopEvent::Ping(Ping { host: "a".to_owned() })
    );
    assert_eq!(
        kind_of(&Message::new("orders", r#"{"id":1}"#)),
        Some(Kind::NotOurs),
        "two events share that topic"
    );
    assert_eq!(kind_of(&Message::new("elsewhere", r#"{"id":1}"#)), Some(Kind::NotOurs));
    assert_eq!(kind_of(&Message::tombstone("elsewhere")), Some(Kind::Tombstone));
}

#[test]
fn an_unknown_event_is_what_a_consumer_skips() {
    let events = ShopEvents::new().unwrap();
    let error = events
        .decode(&Message::new("orders", "{}").with_header("event-type", "OrderLost"))
        .unwrap_err();
    assert!(error.is_unknown());
    assert_eq!((error.kind(), error.event()), (Kind::UnknownEvent, Some("OrderLost")));
    assert_eq!(
        error.to_string(),
        "the message on topic `orders` is `OrderLost`, which is no event of `ShopEvent`"
    );
    let odd = "x\n".repeat(100);
    let text = events
        .decode(&Message::new("t", "").with_header("event-type", odd))
        .unwrap_err()
        .to_string();
    assert!(
        text.len() < 300 && !text.contains('\n'),
        "what comes from outside is cut and escaped: {text}"
    );
}

#[test]
fn another_event_than_the_one_asked_for_is_said_to_be_so() {
    let error = ShopEvents::new().unwrap().decode_as::<OrderPaid>(&created()).unwrap_err();
    assert_eq!(error.kind(), Kind::OtherEvent);
    assert_eq!(
        error.to_string(),
        "the message on topic `orders` is `OrderCreated`, not `OrderPaid`"
    );
}

#[test]
fn the_media_type_is_compared_without_case_and_parameters() {
    let events = ShopEvents::new().unwrap();
    for good in ["application/json", "Application/JSON; charset=utf-8", " application/json "] {
        assert!(events.decode(&created().with_header("content-type", good)).is_ok(), "{good}");
    }
    for bad in ["application/avro", "", "json", "application/json+x"] {
        assert_eq!(
            kind_of(&created().with_header("content-type", bad)),
            Some(Kind::ContentType),
            "{bad}"
        );
    }
}

#[test]
fn a_tombstone_is_an_error_of_its_own() {
    let message = Message::tombstone("orders").with_header("event-type", "OrderCreated");
    assert_eq!(kind_of(&message), Some(Kind::Tombstone));
}

#[test]
fn what_cannot_be_read_is_placed_but_not_shown() {
    let events = ShopEvents::new().unwrap();
    for (payload, what, place) in [
        ("{\"id\":\n\"secret\"}", "it is JSON of another shape", Some((2, 8))),
        ("{\"id\":secret", "it is not well-formed JSON", Some((1, 7))),
        ("{\"id\":1", "it ends too early", Some((1, 7))),
        ("", "it ends too early", Some((1, 0))),
        ("{\"secret\":1}", "it is JSON of another shape", Some((1, 12))),
    ] {
        let message = Message::new("orders", payload).with_header("event-type", "OrderCreated");
        let error = events.decode(&message).unwrap_err();
        assert_eq!((error.kind(), error.place()), (Kind::Undecodable, place), "{payload}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(what) && !text.contains("secret"), "{text}");
    }
}

/// The message type of somebody's broker client.
struct Foreign {
    headers: Vec<(&'static str, &'static [u8])>,
}

impl IncomingMessage for Foreign {
    fn topic(&self) -> &'static str {
        "orders"
    }

    fn payload(&self) -> Option<&[u8]> {
        Some(br#"{"id":1}"#)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().rfind(|(n, _)| *n == name).map(|(_, value)| *value)
    }
}

#[test]
fn any_message_type_decodes_also_behind_a_trait_object() {
    let events = ShopEvents::new().unwrap();
    let foreign = Foreign {
        headers: vec![("event-type", b"OrderPaid"), ("event-type", b"OrderCreated")],
    };
    let object: &dyn IncomingMessage = &foreign;
    assert_eq!(events.decode(object).unwrap(), ShopEvent::OrderCreated(OrderCreated { id: 1 }));
    assert_eq!(events.decode_as::<OrderCreated>(object).unwrap().id, 1);
    assert_eq!(events.decode(&&foreign).unwrap(), ShopEvent::OrderCreated(OrderCreated { id: 1 }));
}

#[test]
fn headers_that_are_not_text_are_no_headers() {
    let events = ShopEvents::new().unwrap();
    let bytes: &[u8] = b"\xff";
    let with = |name| Foreign {
        headers: vec![
            ("event-type", if name == "event-type" { bytes } else { b"OrderCreated" }),
            (name, bytes),
        ],
    };
    assert_eq!(events.decode(&with("event-type")).unwrap_err().kind(), Kind::NotOurs);
    assert_eq!(events.decode(&with("event-version")).unwrap_err().kind(), Kind::UnknownVersion);
    assert_eq!(events.decode(&with("content-type")).unwrap_err().kind(), Kind::ContentType);
}

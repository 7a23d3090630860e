//! Events that borrow, and views that borrow from the message they are read from.

use std::borrow::Cow;

use eventferry::{DecodeErrorKind, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "carts", aggregate_type = "cart")]
struct CartShared<'a> {
    #[outbox(aggregate_id, header = "x-cart")]
    cart: Cow<'a, str>,
    #[outbox(key)]
    with: Cow<'a, str>,
}

/// A type parameter beside a lifetime, with a bound of the user's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "carts", aggregate_type = "cart")]
struct CartTagged<'a, T>
where
    T: Clone + PartialEq,
{
    #[outbox(aggregate_id)]
    cart: Cow<'a, str>,
    #[outbox(header = "x-tag")]
    tag: Option<T>,
}

#[derive(Debug, PartialEq, Deserialize, OutboxEvent)]
#[outbox(view_of = CartShared<'static>)]
struct CartView<'a> {
    #[outbox(aggregate_id)]
    cart: &'a str,
}

define_outbox! {
    type CartEvents;

    #[derive(Debug, PartialEq)]
    enum CartEvent {
        Shared(CartShared<'static>),
        Tagged(CartTagged<'static, u8>),
    }
}

fn message() -> Message {
    Message::new("carts", r#"{"cart":"c-1","with":"b"}"#).with_header("event-type", "CartShared")
}

#[test]
fn a_borrowed_event_is_listed_in_its_owned_form() {
    fn listed<E: OutboxEvent<Listed = CartShared<'static>>>(_: &E) {}
    let text = "c-1".to_owned();
    let event = CartShared {
        cart: Cow::Borrowed(&text),
        with: Cow::Borrowed("b"),
    };
    listed(&event);
    assert_eq!((event.aggregate_id(), event.headers().get("x-cart")), (text.clone(), Some("c-1")));
    let events = CartEvents::new().unwrap();
    let CartEvent::Shared(decoded) = events.decode(&message()).unwrap() else {
        panic!("another event")
    };
    assert_eq!(decoded, event);
}

#[test]
fn a_type_parameter_beside_a_lifetime_works() {
    let events = CartEvents::new().unwrap();
    let message = Message::new("carts", r#"{"cart":"c","tag":7}"#).with_header("event-type", "CartTagged");
    let CartEvent::Tagged(event) = events.decode(&message).unwrap() else {
        panic!("another event")
    };
    assert_eq!(event.headers().get("x-tag"), Some("7"));
}

#[test]
fn a_view_borrows_from_the_message() {
    let (events, message) = (CartEvents::new().unwrap(), message());
    let view: CartView<'_> = events.decode_as(&message).unwrap();
    let payload = message.payload().unwrap().as_ptr_range();
    assert!(payload.contains(&view.cart.as_ptr()), "the text is the message's own");
    assert_eq!((CartView::TOPIC, CartView::NAME, CartView::VERSION), ("carts", "CartShared", 1));
    assert_eq!(view.aggregate_id(), "c-1");
}

#[test]
fn a_borrowed_text_cannot_hold_an_escape_but_a_cow_can() {
    let events = CartEvents::new().unwrap();
    let message = Message::new("carts", r#"{"cart":"c\n1","with":"b"}"#).with_header("event-type", "CartShared");
    assert_eq!(
        events.decode_as::<CartView<'_>>(&message).unwrap_err().kind(),
        DecodeErrorKind::Undecodable
    );
    assert_eq!(events.decode_as::<CartShared<'_>>(&message).unwrap().cart, "c\n1");
}

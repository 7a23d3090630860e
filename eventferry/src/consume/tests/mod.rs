//! Handlers in the place of a broker: by themselves, and at the end of a relay.

#![expect(
    clippy::unwrap_used,
    reason = "clippy does not see that a module with features and `test` is a test"
)]

mod panics;
mod relayed;

use std::error::Error as StdError;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::consume::{Accepted, Dispatcher, HandlerContext, HandlerError, HandlerErrorKind, Handlers, Inbox};
use crate::event::{IncomingMessage, Message, MessageId, Topic, TraceContext};
use crate::outbox::Status;
use crate::publish::{PublishError, PublishErrorKind, Publisher, Scope};
use crate::relay::{Relay, RelayBuilder, RelayHandle, Stats};
use crate::store::memory::MemoryStore;
use crate::{OutboxEvent, RetryPolicy, define_outbox};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "orders", aggregate_type = "order")]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order: String,
    #[outbox(header = "tenant-id")]
    tenant: String,
}

/// Owns its data, so a handler may take it in place of the event.
#[derive(Debug, Serialize, Deserialize, OutboxEvent)]
#[outbox(crate = crate, view_of = OrderCreated)]
struct OrderOnly {
    #[outbox(aggregate_id)]
    order: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "orders", aggregate_type = "order", version = 2, upcast_from = OrderPaidV1)]
struct OrderPaid {
    #[outbox(aggregate_id)]
    order: String,
    cents: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "orders", aggregate_type = "order", name = "OrderPaid")]
struct OrderPaidV1 {
    #[outbox(aggregate_id)]
    order: String,
}

impl From<OrderPaidV1> for OrderPaid {
    fn from(old: OrderPaidV1) -> Self {
        assert!(old.order != "cursed", "code that decoding calls");
        Self {
            order: old.order,
            cents: 0,
        }
    }
}

define_outbox! {
    #[outbox(crate = crate)]
    type Events;
    #[derive(Debug)]
    enum Event { OrderCreated, OrderPaid }
}

#[derive(Debug, thiserror::Error)]
#[error("failed to charge")]
struct NotCharged(#[source] std::io::Error);

fn no_connection() -> NotCharged {
    NotCharged(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
}

fn created(order: &str) -> OrderCreated {
    OrderCreated {
        order: order.to_owned(),
        tenant: "acme".to_owned(),
    }
}

fn message(event: &str, payload: &str) -> Message {
    Message::new("orders", payload).with_header("event-type", event)
}

fn on_created<Fut>(answer: impl Fn() -> Fut + Send + Sync + 'static) -> Dispatcher<Event>
where
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let handlers = Handlers::new(Events::new().unwrap());
    handlers.on(move |_: OrderCreated, _| answer()).build().unwrap()
}

async fn refusal(dispatcher: &Dispatcher<Event>, message: &Message) -> (PublishErrorKind, String) {
    let error = dispatcher.publish(message).await.unwrap_err();
    (error.kind(), chain(&error))
}

fn chain(error: &PublishError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

const CREATED: &str = r#"{"order":"7","tenant":"4111"}"#;

async fn enqueue(store: &MemoryStore, list: impl IntoIterator<Item = OrderCreated>) -> Vec<MessageId> {
    let (mut tx, events, mut ids) = (store.begin(), Events::new().unwrap(), Vec::new());
    for event in list {
        ids.push(events.enqueue(&mut tx, event).await.unwrap().message_id());
    }
    tx.commit();
    ids
}

async fn start(relay: RelayBuilder<MemoryStore, Dispatcher<Event>>) -> RelayHandle {
    let relay = relay.poll(Duration::from_millis(1), Duration::from_millis(5));
    let at_once = RetryPolicy::fixed(Duration::ZERO);
    relay.retry(at_once).build().unwrap().start().await.unwrap()
}

async fn until(relay: &RelayHandle, condition: impl FnMut(&Stats) -> bool) -> Stats {
    let waiting = tokio::time::timeout(Duration::from_mins(1), relay.wait_for(condition)).await;
    waiting.expect("it took a minute").unwrap()
}

#[tokio::test]
async fn the_context_says_what_the_event_does_not() {
    let (store, trace) = (
        MemoryStore::new(),
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    );
    let events = Events::new().unwrap();
    let mut tx = store.begin();
    let draft = events.event(created("7")).header("colour", "red");
    let draft = draft.trace_context(&TraceContext::new(trace.clone()).unwrap());
    let id = draft.enqueue(&mut tx).await.unwrap().message_id();
    tx.commit();
    let row = store.rows().remove(0);
    let (told, position) = (Arc::new(Mutex::new(None)), row.id);
    let tell = told.clone();
    let handlers = Handlers::new(events).on(move |_: OrderOnly, ctx| {
        *tell.lock().unwrap() = Some(ctx);
        ready(Ok(()))
    });
    handlers.build().unwrap().publish(&row.into_message("here")).await.unwrap();
    let ctx = told.lock().unwrap().take().unwrap();
    assert_eq!(
        (ctx.message_id(), ctx.position(), ctx.aggregate_type(), ctx.aggregate_id()),
        (Some(id), Some(position), Some("order"), Some("7"))
    );
    assert_eq!(
        (ctx.headers().get("colour"), ctx.headers().get("tenant-id")),
        (Some("red"), Some("acme"))
    );
    assert_eq!(ctx.trace_context().unwrap().traceparent(), trace);
    assert_eq!((ctx.topic(), ctx.event_type()), ("orders", Some("OrderCreated")));
    assert_eq!((ctx.message().key(), ctx.payload().is_some()), (Some("7"), true));
    let shown = format!("{ctx:?}");
    assert!(!shown.contains("acme") && !shown.contains("red"), "{shown}");
}

#[tokio::test]
async fn each_kind_of_a_handlers_error_is_the_relays() {
    for (error, kind) in [
        (HandlerError::from(no_connection()), PublishErrorKind::Retriable),
        (HandlerError::retriable("text"), PublishErrorKind::Retriable),
        (HandlerError::rejected("text"), PublishErrorKind::Rejected),
        (HandlerError::unavailable("text"), PublishErrorKind::Unavailable(Scope::Partition)),
    ] {
        let error = Mutex::new(Some(error));
        let dispatcher = on_created(move || ready(Err(error.lock().unwrap().take().unwrap())));
        assert_eq!(refusal(&dispatcher, &message("OrderCreated", CREATED)).await.0, kind);
    }
    let error = HandlerError::rejected(no_connection());
    assert_eq!(
        format!("{error:?}"),
        r#"HandlerError { kind: Rejected, text: "failed to charge: connection refused", .. }"#
    );
    assert_eq!(
        (error.kind(), error.into_error().source().is_some()),
        (HandlerErrorKind::Rejected, true)
    );
}

#[tokio::test]
async fn an_event_without_a_handler_is_rejected_by_name_unless_others_are_ignored() {
    let none = || Handlers::new(Events::new().unwrap()).on(async |_: OrderCreated, _| Ok(()));
    let (strict, lenient) = (none().build().unwrap(), none().ignore_others().build().unwrap());
    // One that the set lists, and that would not decode; one of somebody else.
    for (event, part) in [
        (
            "OrderPaid",
            "failed to handle `OrderPaid` of topic `orders`: it has no handler; add one with `on`",
        ),
        ("Foreign", "is `Foreign`, which is no event of `Event`"),
    ] {
        let (kind, text) = refusal(&strict, &message(event, "no JSON")).await;
        assert_eq!(kind, PublishErrorKind::Rejected);
        assert!(text.contains(part), "{text}");
        assert!(lenient.publish(&message(event, "no JSON")).await.is_ok(), "{event}");
    }
    assert!(lenient.publish(&message("OrderCreated", CREATED)).await.is_ok());
    // Whose event this is cannot be told, so it is not known to be another's.
    let (kind, text) = refusal(&lenient, &Message::new("orders", "{}")).await;
    assert!(kind == PublishErrorKind::Rejected && text.contains("`event-type`"), "{text}");
    assert_eq!(
        format!("{lenient:?}"),
        r#"Dispatcher { handled: ["OrderCreated"], others: Ignored, .. }"#
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_is_rejected_with_the_place_and_without_its_values() {
    let dispatcher = on_created(|| ready(Ok(())));
    for (payload, part) in [
        (r#"{"order":"7","tenant":4111}"#, "cannot be decoded"),
        (r#"{"order":"4111"}"#, "cannot be decoded"),
    ] {
        let (kind, text) = refusal(&dispatcher, &message("OrderCreated", payload)).await;
        assert_eq!(kind, PublishErrorKind::Rejected);
        assert!(
            text.contains("`OrderCreated`") && text.contains(part) && text.contains("column"),
            "{text}"
        );
        assert!(!text.contains("4111"), "{text}");
    }
    let (kind, text) = refusal(&dispatcher, &message("OrderCreated", "{}").with_header("event-version", "9")).await;
    assert!(kind == PublishErrorKind::Rejected && text.contains("version 9"), "{text}");
}

#[test]
fn two_handlers_of_one_event_are_refused_when_the_dispatcher_is_built() {
    let handlers = Handlers::new(Events::new().unwrap())
        .on(async |_: OrderCreated, _| Ok(()))
        .on(async |_: OrderPaid, _| Ok(()))
        .on(async |_: OrderOnly, _| Ok(()));
    let error = handlers.build().unwrap_err();
    assert_eq!(error.event(), "OrderCreated");
    assert_eq!(
        error.to_string(),
        "failed to build the handlers: `OrderCreated` has two; keep one `on` for each event"
    );
}

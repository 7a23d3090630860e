mod secrets;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{MessageId, TableName, TraceContext};
use crate::outbox::{NewRecord, Payload, Record};
use crate::registry::EnqueueErrorKind;
use crate::store::memory::MemoryStore;
use crate::store::{BoxFuture, OpenTransaction, Receipt, StoreError, StoreErrorKind};
use crate::{OutboxEvent, define_outbox};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "orders", aggregate_type = "order", version = 2)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: String,
    #[outbox(header = "tenant-id")]
    tenant: Option<String>,
    #[schemars(range(min = 1))]
    total_cents: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    by_email: BTreeMap<String, Line>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Line {
    #[schemars(length(max = 3))]
    sku: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "carts", aggregate_type = "cart", order = "none")]
struct CartShared<'a> {
    #[outbox(aggregate_id, key)]
    cart: Cow<'a, str>,
}

#[derive(Serialize, Deserialize, OutboxEvent)]
#[outbox(crate = crate, view_of = OrderCreated)]
struct OrderView<'a> {
    #[outbox(aggregate_id)]
    order_id: &'a str,
    tenant: Option<&'a str>,
    total_cents: i64,
}

define_outbox! {
    #[outbox(crate = crate)]
    type ShopEvents;

    #[derive(Debug, Clone, PartialEq)]
    enum ShopEvent {
        OrderCreated,
        Cart(CartShared<'static>),
    }
}

fn order(id: &str, total_cents: i64) -> OrderCreated {
    OrderCreated {
        order_id: id.to_owned(),
        tenant: Some("acme".to_owned()),
        total_cents,
        by_email: BTreeMap::new(),
    }
}

fn bytes(record: &Record) -> &[u8] {
    match &record.payload {
        Payload::Bytes(bytes) => bytes,
        other @ (Payload::Tombstone | Payload::Deferred(_)) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_is_stored_as_it_was_checked() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut event = order("o-1", 5);
    // Declared last and first in the alphabet: bytes that were written again from a parsed value would show it.
    event.by_email.insert("a".to_owned(), Line { sku: "s".to_owned() });
    let mut tx = store.begin();
    let receipt = events.enqueue(&mut tx, event.clone()).await.unwrap();
    tx.commit();
    let rows = store.rows();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(receipt.message_id(), row.message_id);
    assert_eq!(bytes(row), serde_json::to_vec(&event).unwrap());
    assert_eq!(
        (row.topic.as_str(), row.event_type.as_str(), row.event_version),
        ("orders", "OrderCreated", 2)
    );
    assert_eq!((row.aggregate_type.as_str(), row.aggregate_id.as_str()), ("order", "o-1"));
    assert_eq!((row.key.as_deref(), row.ordered), (Some("o-1"), true));
    assert_eq!(row.headers.get("tenant-id"), Some("acme"));
    let message = row.clone().into_message("test");
    assert_eq!(events.decode(&message).unwrap(), ShopEvent::OrderCreated(event));
}

#[tokio::test]
async fn what_the_schema_forbids_is_not_written_and_the_transaction_goes_on() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = store.begin();
    let error = events.enqueue(&mut tx, order("secret-id", 0)).await.unwrap_err();
    assert_eq!(error.kind(), EnqueueErrorKind::Refused);
    assert_eq!(
        error.to_string(),
        "the schema of `OrderCreated` forbids this event: `/total_cents` must be at least 1"
    );
    assert_eq!(error.violations()[0].rule(), "minimum");
    assert!(!error.is_retryable());
    events.enqueue(&mut tx, order("o-2", 1)).await.unwrap();
    tx.commit();
    assert_eq!(store.rows().len(), 1);
}

#[tokio::test]
async fn a_pointer_shows_declared_names_and_no_map_keys() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut event = order("o-1", 1);
    let line = Line {
        sku: "too-long-secret".to_owned(),
    };
    event.by_email.insert("john@secret.example/~x".to_owned(), line);
    let error = events.enqueue(&mut store.begin(), event).await.unwrap_err();
    assert_eq!(error.violations()[0].pointer(), "/by_email/*/sku");
    let text = format!("{error} {error:?}");
    assert!(
        !text.contains("secret") && text.contains("must have at most 3 characters"),
        "{text}"
    );
}

#[tokio::test]
async fn a_batch_of_mixed_types_is_one_insert_with_receipts_in_order() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = Counting {
        inserts: Vec::new(),
        tx: store.begin(),
    };
    let id = MessageId::from_bytes([7; 16]);
    let drafts = [
        events.event(order("a", 1)),
        events.event(CartShared { cart: Cow::Borrowed("c") }).message_id(id),
        events.event(order("b", 1)).message_id(id),
    ];
    let receipts = events.enqueue_all(&mut tx, drafts).await.unwrap();
    assert_eq!(tx.inserts, [3]);
    assert!(!receipts[0].is_duplicate() && !receipts[1].is_duplicate() && receipts[2].is_duplicate());
    assert_eq!(receipts[1].message_id(), id);
    assert!(events.enqueue_all(&mut tx, []).await.unwrap().is_empty());
    assert_eq!(tx.inserts, [3], "nothing to write is no round trip");
}

#[tokio::test]
async fn one_refused_event_refuses_its_batch() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = Counting {
        inserts: Vec::new(),
        tx: store.begin(),
    };
    let error = events
        .enqueue_all(&mut tx, [events.event(order("a", 1)), events.event(order("b", 0))])
        .await
        .unwrap_err();
    assert_eq!((error.position(), error.kind()), (Some(1), EnqueueErrorKind::Refused));
    assert!(error.to_string().ends_with("(at place 1 of the batch)"), "{error}");
    assert!(tx.inserts.is_empty());
}

#[tokio::test]
async fn a_draft_says_more_of_its_delivery() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap().trace_source(|| None));
    let context = TraceContext::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .unwrap()
        .with_state("a=1")
        .unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let mut tx = store.begin();
    let draft = events
        .event(order("a", 1))
        .key("k")
        .header("x", "y\tz")
        .deliver_at(at)
        .partition(3)
        .trace_context(&context);
    draft.enqueue(&mut tx).await.unwrap();
    events.event(order("a", 1)).no_key().enqueue(&mut tx).await.unwrap();
    events.enqueue(&mut tx, CartShared { cart: Cow::Borrowed("c") }).await.unwrap();
    tx.commit();
    let rows = store.rows();
    assert_eq!(
        (rows[0].key.as_deref(), rows[0].partition, rows[0].ordered),
        (Some("k"), Some(3), false)
    );
    assert_eq!(rows[0].headers.get("x"), Some("y\tz"));
    assert_eq!(rows[0].headers.get("traceparent"), Some(context.traceparent()));
    assert_eq!(rows[0].headers.get("trace-id"), Some(context.trace_id()));
    assert_eq!(crate::consume::trace_context(&rows[0].clone().into_message("s")), Some(context));
    assert_eq!((rows[1].key.as_deref(), rows[1].headers.get("traceparent")), (None, None));
    assert!(!rows[2].ordered);
}

#[tokio::test]
async fn the_trace_source_is_asked_unless_the_draft_says_otherwise() {
    fn source() -> Option<TraceContext> {
        TraceContext::new("00-11111111111111111111111111111111-2222222222222222-00")
            .ok()?
            .with_state("s=1")
            .ok()
    }
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap().trace_source(source));
    let mut tx = store.begin();
    events.enqueue(&mut tx, order("a", 1)).await.unwrap();
    let other = TraceContext::new("00-33333333333333333333333333333333-4444444444444444-01").unwrap();
    events.event(order("a", 1)).trace_context(&other).enqueue(&mut tx).await.unwrap();
    tx.commit();
    let rows = store.rows();
    assert_eq!(rows[0].headers.get("trace-id"), Some("11111111111111111111111111111111"));
    assert_eq!(rows[0].headers.get("tracestate"), Some("s=1"));
    assert_eq!(rows[1].headers.get("trace-id"), Some("33333333333333333333333333333333"));
    assert_eq!(
        rows[1].headers.get("tracestate"),
        None,
        "a state without its parent would be somebody else's"
    );
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_without_showing_it() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = Counting {
        inserts: Vec::new(),
        tx: store.begin(),
    };
    let mut tenant = order("a", 1);
    tenant.tenant = Some("secret\r\nx: y".to_owned());
    let drafts = [
        (events.event(order("secret\0", 1)), "its aggregate id holds a NUL"),
        (events.event(tenant), "the value of header `tenant-id` holds a control"),
        (events.event(order("a", 1)).key("secret\0"), "its key holds a NUL"),
        (
            events.event(order("a", 1)).header("Message-Id", "secret"),
            "written by eventferry itself",
        ),
        (events.event(order("a", 1)).header("x", "secret\0"), "the value of header `x`"),
        (events.event(order("a", 1)).partition(u32::MAX), "its partition is above"),
    ];
    for (draft, text) in drafts {
        let error = draft.enqueue(&mut tx).await.unwrap_err();
        assert_eq!(error.kind(), EnqueueErrorKind::Invalid);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(text) && !shown.contains("secret"), "{shown}");
    }
    assert!(tx.inserts.is_empty());
}

#[tokio::test]
async fn the_first_mistake_of_a_draft_is_kept() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let draft = events.event(order("a", 0)).key("k\0").header("message-id", "x");
    assert_eq!(
        draft.enqueue(&mut store.begin()).await.unwrap_err().kind(),
        EnqueueErrorKind::Refused
    );
}

#[tokio::test]
async fn the_store_s_error_can_be_reached() {
    let events = ShopEvents::new().unwrap().table(TableName::new("sales.outbox").unwrap());
    let error = events.enqueue(&mut Failing, order("a", 1)).await.unwrap_err();
    assert_eq!(error.kind(), EnqueueErrorKind::Store);
    assert_eq!(error.store_error().unwrap().kind(), StoreErrorKind::Contention);
    assert!(error.is_retryable());
    assert_eq!(error.to_string(), "failed to enqueue `OrderCreated` into `sales.outbox`");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "deadlock in `sales.outbox`");
}

#[tokio::test]
async fn a_store_that_forgets_a_receipt_is_no_success() {
    let events = ShopEvents::new().unwrap();
    let error = events.enqueue(&mut Forgetful, order("a", 1)).await.unwrap_err();
    assert_eq!(error.kind(), EnqueueErrorKind::Store);
    assert!(events.enqueue_all(&mut Forgetful, [events.event(order("a", 1))]).await.is_err());
}

#[tokio::test]
async fn a_view_is_checked_by_the_schema_of_its_event() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let id = "o-1".to_owned();
    let view = |total_cents| OrderView {
        order_id: &id,
        tenant: None,
        total_cents,
    };
    let mut tx = store.begin();
    events.enqueue(&mut tx, view(1)).await.unwrap();
    assert_eq!(
        events.enqueue(&mut tx, view(0)).await.unwrap_err().kind(),
        EnqueueErrorKind::Refused
    );
    tx.commit();
    let message = store.rows()[0].clone().into_message("s");
    assert_eq!(events.decode_as::<OrderView<'_>>(&message).unwrap().order_id, "o-1");
    assert_eq!(events.decode_as::<OrderCreated>(&message).unwrap().order_id, "o-1");
}

#[test]
fn nothing_of_the_event_is_held_while_the_database_is_waited_for() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    #[derive(Serialize, OutboxEvent)]
    #[outbox(crate = crate, view_of = OrderCreated)]
    struct NotSend {
        #[outbox(aggregate_id)]
        order_id: String,
        total_cents: i64,
        #[serde(skip)]
        _rc: Rc<()>,
    }
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = store.begin();
    drop(is_send(events.enqueue(
        &mut tx,
        NotSend {
            order_id: "a".into(),
            _rc: Rc::new(()),
            total_cents: 1,
        },
    )));
    tx.commit();
    assert!(store.rows().is_empty(), "dropped before it was polled, an enqueue writes nothing");
    shared(&events);
}

#[test]
fn a_checked_decode_refuses_what_the_schema_of_the_version_forbids() {
    let message = crate::Message::new("orders", br#"{"order_id":"a","total_cents":0}"#.to_vec()).with_header("event-type", "OrderCreated");
    let events = ShopEvents::new().unwrap();
    assert!(
        events.decode(&message).is_ok(),
        "the writer has checked; a reader does not unless it is asked to"
    );
    let error = events.checked_decode().unwrap().decode(&message).unwrap_err();
    assert_eq!(error.kind(), crate::DecodeErrorKind::Refused);
    assert_eq!(error.violations()[0].pointer(), "/total_cents");
}

#[test]
fn a_wrong_schema_is_found_when_the_set_is_made() {
    #[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "t", aggregate_type = "a")]
    struct Bad {
        #[outbox(aggregate_id)]
        #[schemars(extend("pattern" = "("))]
        id: String,
    }
    define_outbox! {
        #[outbox(crate = crate)]
        type Bads;
        enum BadEvent { Bad }
    }
    let error = Bads::new().unwrap_err();
    assert_eq!(
        (error.event(), error.to_string().as_str()),
        ("Bad", "failed to compile the schema of `Bad` version 1")
    );
}

/// A transaction that counts its round trips.
struct Counting {
    inserts: Vec<usize>,
    tx: crate::store::memory::MemoryTransaction,
}

impl OpenTransaction for Counting {
    fn insert<'a>(&'a mut self, table: &'a TableName, records: Vec<NewRecord>) -> BoxFuture<'a, Result<Vec<Receipt>, StoreError>> {
        self.inserts.push(records.len());
        self.tx.insert(table, records)
    }
}

/// A transaction that deadlocks.
struct Failing;

impl OpenTransaction for Failing {
    fn insert<'a>(&'a mut self, table: &'a TableName, _: Vec<NewRecord>) -> BoxFuture<'a, Result<Vec<Receipt>, StoreError>> {
        Box::pin(async move { Err(StoreError::new(StoreErrorKind::Contention, format!("deadlock in `{table}`"))) })
    }
}

/// A transaction of a store that answers fewer receipts than it was given records.
struct Forgetful;

impl OpenTransaction for Forgetful {
    fn insert<'a>(&'a mut self, _: &'a TableName, _: Vec<NewRecord>) -> BoxFuture<'a, Result<Vec<Receipt>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

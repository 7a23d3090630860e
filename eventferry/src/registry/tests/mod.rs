mod checks;
mod drafts;
#[cfg(feature = "encryption")]
mod encrypted;
mod framed;
mod masked;
mod secrets;
mod strict;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{MessageId, TableName};
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

#[tokio::test]
async fn an_enqueue_dropped_half_way_can_be_repeated_with_its_message_id() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let id = MessageId::random();
    let mut tx = Slow {
        tx: store.begin(),
        inserted: false,
    };
    {
        let mut half = events.event(order("a", 1)).message_id(id).enqueue(&mut tx);
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(Pin::new(&mut half).poll(cx).is_ready())).await;
        assert!(!polled, "the store has not answered yet");
    }
    assert!(tx.inserted, "the row is in the transaction, though nobody was told");
    let again = events.event(order("a", 1)).message_id(id).enqueue(&mut tx.tx).await.unwrap();
    assert!(again.is_duplicate());
    tx.tx.commit();
    assert_eq!(store.rows().len(), 1);
}

/// A transaction that has written before it answers, as a database does.
struct Slow {
    tx: crate::store::memory::MemoryTransaction,
    inserted: bool,
}

impl OpenTransaction for Slow {
    fn insert<'a>(&'a mut self, table: &'a TableName, records: Vec<NewRecord>) -> BoxFuture<'a, Result<Vec<Receipt>, StoreError>> {
        Box::pin(async move {
            let receipts = self.tx.insert(table, records).await?;
            self.inserted = true;
            std::future::pending::<()>().await;
            Ok(receipts)
        })
    }
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

//! Events that name their schema, and messages that begin with a frame.

#![expect(clippy::unwrap_used, reason = "what the tests need to begin with is there or the test fails")]

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::event::{Message, TableName, headers};
use crate::publish::memory::MemoryPublisher;
use crate::publish::{Framed, PublishErrorKind, Publisher, Scope};
use crate::registry::DecodeErrorKind;
use crate::registry::tests::{CartShared, OrderView, ShopEvent, ShopEvents, order};
use crate::schema::{Fingerprint, RegistryError, RegistryErrorKind, Schema, SchemaId, SchemaRegistry, Subject, SubjectStrategy};
use crate::store::memory::MemoryStore;
use crate::store::{SchemaTable as _, StoredSchemas};

/// Gives ids by subject; knows nothing of `refused`.
#[derive(Default)]
struct Counting {
    asked: AtomicU32,
    refused: Option<&'static str>,
}

impl SchemaRegistry for &'static Counting {
    async fn id_of(&self, subject: &Subject, _: &Schema) -> Result<SchemaId, RegistryError> {
        let id = self.asked.fetch_add(1, Relaxed);
        if self.refused == Some(subject.as_str()) {
            return Err(RegistryError::new(
                RegistryErrorKind::Incompatible,
                format!("`{subject}` forbids it"),
            ));
        }
        Ok(SchemaId::new(id + 500))
    }

    async fn schema_of(&self, id: SchemaId) -> Result<Schema, RegistryError> {
        Err(RegistryError::new(RegistryErrorKind::NotFound, format!("no schema {id}")))
    }
}

fn framed(registry: Counting, store: &MemoryStore) -> (MemoryPublisher, impl Publisher) {
    let (broker, registry) = (MemoryPublisher::new(), &*Box::leak(Box::new(registry)));
    let schemas = StoredSchemas::new(store.clone(), TableName::default());
    (broker.clone(), Framed::new(broker, registry, schemas))
}

/// Two orders and a cart, as the relay hands them on.
async fn enqueued(store: &MemoryStore) -> (ShopEvents, Vec<Message>) {
    let events = ShopEvents::new().unwrap().register(store).await.unwrap();
    let mut tx = store.begin();
    events.enqueue(&mut tx, order("a", 1)).await.unwrap();
    events.enqueue(&mut tx, CartShared { cart: Cow::Borrowed("c") }).await.unwrap();
    let view = OrderView {
        order_id: "b",
        tenant: None,
        total_cents: 2,
    };
    events.enqueue(&mut tx, view).await.unwrap();
    tx.commit();
    let messages = store.rows().into_iter().map(|row| row.into_message("here")).collect();
    (events, messages)
}

#[tokio::test]
async fn what_is_framed_decodes_and_each_schema_is_asked_for_once() {
    let store = MemoryStore::new();
    let (events, messages) = enqueued(&store).await;
    let (broker, publisher) = framed(Counting::default(), &store);
    for message in messages.iter().chain(&messages) {
        publisher.publish(message).await.unwrap();
    }
    let orders = broker.messages("orders");
    assert_eq!(orders.len(), 4);
    for message in &orders {
        assert_eq!(message.headers().get("event-schema-id"), Some("500"));
        assert_eq!(message.headers().get("event-schema"), None, "it is of use inside only");
        assert_eq!(&message.payload().unwrap()[..5], [0, 0, 0, 1, 0xf4]);
    }
    assert_eq!(events.decode(&orders[0]).unwrap(), ShopEvent::OrderCreated(order("a", 1)));
    assert_eq!(
        events.decode_as::<OrderView<'_>>(&orders[1]).unwrap().order_id,
        "b",
        "a view names the listed event's schema"
    );
    let carts = broker.messages("carts");
    assert_eq!(carts[0].headers().get("event-schema-id"), Some("501"));
    assert!(matches!(events.decode(&carts[0]).unwrap(), ShopEvent::Cart(_)));
    let checked = events.checked_decode().unwrap();
    assert!(checked.decode(&orders[0]).is_ok(), "what is checked is what follows the frame");
}

#[tokio::test]
async fn an_event_that_names_no_schema_and_a_tombstone_travel_as_they_are() {
    let store = MemoryStore::new();
    let (_, messages) = enqueued(&store).await;
    let (broker, publisher) = framed(Counting::default(), &store);
    let tombstone = Message::tombstone("orders").with_header(headers::EVENT_SCHEMA, "0".repeat(64));
    let framed_already = messages[0].clone().with_header(headers::EVENT_SCHEMA_ID, "7");
    for message in [Message::new("orders", "{}"), tombstone, framed_already] {
        publisher.publish(&message).await.unwrap();
        assert_eq!(broker.messages("orders").last(), Some(&message));
    }
    let unregistered = ShopEvents::new().unwrap();
    let mut tx = store.begin();
    unregistered.enqueue(&mut tx, order("z", 1)).await.unwrap();
    tx.commit();
    let row = store.rows().pop().unwrap();
    assert_eq!(row.headers.get(headers::EVENT_SCHEMA), None);
    assert!(messages[0].headers().get(headers::EVENT_SCHEMA).is_some());
}

#[tokio::test]
async fn a_dead_letter_keeps_the_subject_of_its_own_topic() {
    let store = MemoryStore::new();
    let (events, messages) = enqueued(&store).await;
    let registry = Counting {
        refused: Some("letters-OrderCreated"),
        ..Counting::default()
    };
    let (broker, publisher) = framed(registry, &store);
    let mut letter = messages[0].clone().with_header(headers::DLQ_ORIGINAL_TOPIC, "orders");
    letter.topic = "letters".to_owned();
    publisher.publish(&letter).await.unwrap();
    assert!(events.decode(&broker.messages("letters")[0]).is_ok());
}

#[tokio::test]
async fn a_schema_that_is_not_to_be_had_is_nobodys_fault() {
    let store = MemoryStore::new();
    let (_, messages) = enqueued(&store).await;
    let fingerprint = messages[0].headers().get(headers::EVENT_SCHEMA).unwrap().to_owned();
    let refused = Counting {
        refused: Some("orders-OrderCreated"),
        ..Counting::default()
    };
    let elsewhere = MemoryStore::new();
    for (registry, store, says) in [
        (refused, &store, "failed to get the id of a schema of topic `orders`"),
        (Counting::default(), &elsewhere, "the service writes it by `register`"),
    ] {
        let (broker, publisher) = framed(registry, store);
        for error in [
            publisher.publish(&messages[0]).await.unwrap_err(),
            publisher.learns().unwrap().learn("orders", &fingerprint).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Topic));
            assert!(error.to_string().contains(says), "{error}");
        }
        publisher.publish(&Message::new("orders", "{}")).await.unwrap();
        assert_eq!(broker.messages("orders").len(), 1);
    }
    let (_, publisher) = framed(Counting::default(), &store);
    let error = publisher.learns().unwrap().learn("orders", "nonsense").await.unwrap_err();
    assert!(error.to_string().contains("is no fingerprint"), "{error}");
}

#[tokio::test]
async fn subjects_are_named_as_the_strategy_says() {
    let store = MemoryStore::new();
    let (_, messages) = enqueued(&store).await;
    let registry: &'static Counting = Box::leak(Box::new(Counting {
        refused: Some("orders-value"),
        ..Counting::default()
    }));
    let schemas = StoredSchemas::new(store, TableName::default());
    let publisher = Framed::new(MemoryPublisher::new(), registry, schemas).subjects(SubjectStrategy::TopicName);
    let error = publisher.publish(&messages[0]).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "`orders-value` forbids it");
}

#[tokio::test]
async fn a_message_that_says_it_is_framed_and_is_not_is_undecodable() {
    let store = MemoryStore::new();
    let (events, messages) = enqueued(&store).await;
    for payload in [&b"{}"[..], b"\0\0\0\0\x06{}", b"\0\0\0", b""] {
        let mut message = messages[0].clone().with_header(headers::EVENT_SCHEMA_ID, "7");
        message.payload = Some(payload.to_vec());
        let error = events.decode(&message).unwrap_err();
        assert_eq!(error.kind(), DecodeErrorKind::Undecodable, "{payload:?}");
        assert!(error.to_string().contains("`event-schema-id`"), "{error}");
    }
}

#[tokio::test]
async fn what_is_written_beside_the_outbox_is_what_rows_name() {
    let store = MemoryStore::new();
    let (_, messages) = enqueued(&store).await;
    let name = messages[1].headers().get(headers::EVENT_SCHEMA).unwrap();
    let fingerprint = Fingerprint::parse(name).unwrap();
    let schema = store.find_schema(&TableName::default(), &fingerprint).await.unwrap().unwrap();
    assert_eq!(schema.name, "CartShared");
    let exported = ShopEvents::schemas()
        .into_iter()
        .find(|schema| schema.name == "CartShared")
        .unwrap();
    assert_eq!(exported.text, schema.text);
    assert_eq!(exported.registered, Some(schema));
}

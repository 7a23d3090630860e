//! Payloads that only holders of a key can read.

#![expect(clippy::unwrap_used, reason = "what the tests need to begin with is there or the test fails")]

use crate::codec::AesGcmKeys;
use crate::event::{Message, headers};
use crate::registry::DecodeErrorKind;
use crate::registry::tests::{OrderView, ShopEvent, ShopEvents, order};
use crate::store::memory::MemoryStore;

async fn enqueued(events: &ShopEvents, id: &str) -> Message {
    let store = MemoryStore::new();
    let mut tx = store.begin();
    events.enqueue(&mut tx, order(id, 7)).await.unwrap();
    tx.commit();
    store.rows().remove(0).into_message("here")
}

fn with(keys: AesGcmKeys) -> ShopEvents {
    ShopEvents::new().unwrap().encrypted(keys)
}

#[tokio::test]
async fn only_who_has_the_key_reads_and_a_rotation_stops_nobody() {
    let old = with(AesGcmKeys::new("old", [1; 32]));
    let message = enqueued(&old, "a").await;
    assert_eq!(message.headers().get(headers::EVENT_KEY_ID), Some("old"));
    let bytes = message.payload().unwrap();
    assert!(!bytes.windows(4).any(|part| part == b"acme"), "the payload can be read");

    let both = with(AesGcmKeys::new("new", [2; 32]).and_opens("old", [1; 32]));
    for events in [&old, &both] {
        assert_eq!(events.decode(&message).unwrap(), ShopEvent::OrderCreated(order("a", 7)));
    }
    let later = enqueued(&both, "b").await;
    assert_eq!(later.headers().get(headers::EVENT_KEY_ID), Some("new"));
    for (events, says) in [
        (&old, "a key that is not known here"),
        (&with(AesGcmKeys::new("new", [3; 32])), "not what its key sealed"),
        (&ShopEvents::new().unwrap(), "was given no keys"),
    ] {
        let error = events.decode(&later).unwrap_err();
        assert_eq!(error.kind(), DecodeErrorKind::Encrypted);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_payload_does_not_open_under_the_headers_of_another_event() {
    let events = with(AesGcmKeys::new("k", [1; 32]));
    let (message, other) = (enqueued(&events, "a").await, enqueued(&events, "b").await);
    for (name, value) in [
        (headers::AGGREGATE_ID, other.headers().get(headers::AGGREGATE_ID).unwrap()),
        (headers::EVENT_VERSION, "1"),
        (headers::AGGREGATE_TYPE, "cart"),
    ] {
        let forged = message.clone().with_header(name, value);
        assert_eq!(events.decode(&forged).unwrap_err().kind(), DecodeErrorKind::Encrypted, "{name}");
    }
    let mut forged = message.clone();
    forged.headers.set(headers::EVENT_TYPE, "CartShared");
    forged.topic = "carts".to_owned();
    assert_eq!(events.decode(&forged).unwrap_err().kind(), DecodeErrorKind::Encrypted);
}

#[tokio::test]
async fn a_view_borrows_from_the_decrypted_message() {
    let events = with(AesGcmKeys::new("k", [1; 32]));
    let message = enqueued(&events, "a").await;
    let error = events.decode_as::<OrderView<'_>>(&message).err().unwrap();
    assert_eq!(error.kind(), DecodeErrorKind::Encrypted);
    assert!(error.to_string().contains("`Outbox::decrypted`"), "{error}");
    let decrypted = events.decrypted(&message).unwrap();
    assert_eq!(events.decode_as::<OrderView<'_>>(&decrypted).unwrap().order_id, "a");

    let plain = enqueued(&ShopEvents::new().unwrap(), "p").await;
    assert_eq!(
        events.decode(&plain).unwrap(),
        ShopEvent::OrderCreated(order("p", 7)),
        "written before"
    );
    let same = events.decrypted(&plain).unwrap();
    assert_eq!(events.decode_as::<OrderView<'_>>(&same).unwrap().order_id, "p");
}

#[tokio::test]
async fn what_is_encrypted_is_checked_first_and_names_no_schema() {
    let store = MemoryStore::new();
    let events = with(AesGcmKeys::new("k", [1; 32])).register(&store).await.unwrap();
    let mut tx = store.begin();
    assert!(events.enqueue(&mut tx, order("a", 0)).await.is_err(), "the schema forbids it");
    tx.rollback();
    let message = enqueued(&events, "a").await;
    assert_eq!(message.headers().get(headers::EVENT_SCHEMA), None);
    assert!(events.checked_decode().unwrap().decode(&message).is_ok());
}

//! A consumer's memory: each message is first once.

use crate::event::MessageId;
use crate::store::{InboxTransaction, StoreErrorKind};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{still_waits, within};

async fn accept<H: Harness>(h: &H, consumer: &str, id: MessageId) -> bool {
    let mut tx = h.begin().await;
    let first = within(tx.remember(h.table(), consumer, id)).await.unwrap();
    h.commit(tx).await;
    first
}

/// First, then never again; in the same transaction too.
pub async fn a_message_is_first_once<H: Harness>(h: &H) {
    let (one, other) = (MessageId::random(), MessageId::random());
    let mut tx = h.begin().await;
    assert!(tx.remember(h.table(), "billing", one).await.unwrap());
    assert!(!tx.remember(h.table(), "billing", one).await.unwrap());
    h.commit(tx).await;
    assert!(!accept(h, "billing", one).await);
    assert!(accept(h, "billing", other).await);
}

/// Two consumers each handle a message once.
pub async fn consumers_do_not_share_their_memory<H: Harness>(h: &H) {
    let id = MessageId::random();
    assert!(accept(h, "billing", id).await);
    assert!(accept(h, "shipping", id).await);
    assert!(!accept(h, "billing", id).await);
}

/// A message whose handling was rolled back was not handled.
pub async fn a_rollback_forgets<H: Harness>(h: &H) {
    let id = MessageId::random();
    let mut tx = h.begin().await;
    assert!(tx.remember(h.table(), "billing", id).await.unwrap());
    h.rollback(tx).await;
    assert!(accept(h, "billing", id).await);
}

/// Refused before the database is asked, so that the transaction goes on.
pub async fn a_consumer_name_with_a_nul_is_refused<H: Harness>(h: &H) {
    let id = MessageId::random();
    let mut tx = h.begin().await;
    let error = tx.remember(h.table(), "bil\0ling", id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
    assert!(tx.remember(h.table(), "billing", id).await.unwrap());
    h.commit(tx).await;
    assert!(!accept(h, "billing", id).await);
}

/// Whether the other one handled the message is known when its transaction has ended.
pub async fn an_acceptance_at_the_same_time_waits_for_the_outcome<H: Harness>(h: &H) {
    for commits in [true, false] {
        let id = MessageId::random();
        let mut open = h.begin().await;
        assert!(open.remember(h.table(), "billing", id).await.unwrap());
        let mut other = Box::pin(accept(h, "billing", id));
        assert!(still_waits(&mut other).await);
        if commits {
            h.commit(open).await;
        } else {
            h.rollback(open).await;
        }
        assert_eq!(within(other).await, !commits);
    }
}

//! A consumer's memory: each message is first once.

use std::time::Duration;

use crate::event::MessageId;
use crate::store::{InboxTransaction, Place, StoreErrorKind};
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

/// Order 42 of the topic `orders`, as the consumer `billing` reads it.
fn at(position: i64) -> Place<'static> {
    Place::new("billing", "here/1", "orders", "order", "42", position)
}

async fn advance<H: Harness>(h: &H, place: Place<'_>) -> bool {
    let mut tx = h.begin().await;
    let first = within(tx.advance(h.table(), place)).await.unwrap();
    h.commit(tx).await;
    first
}

/// What stands at or below it was handled; what is beyond it is not, however far.
pub async fn a_watermark_moves_forward_only<H: Harness>(h: &H) {
    let mut seen = Vec::new();
    for position in [5, 5, 6, 3, 6, i64::MAX, 7] {
        seen.push(advance(h, at(position)).await);
    }
    assert_eq!(seen, [true, false, true, false, false, true, false]);
    let mut tx = h.begin().await;
    for (position, first) in [(-3, true), (-3, false), (0, true), (-1, false)] {
        let mut place = at(position);
        place.aggregate_id = "43";
        assert_eq!(
            tx.advance(h.table(), place).await.unwrap(),
            first,
            "{position}, all in one transaction"
        );
    }
    h.commit(tx).await;
}

/// Another consumer, source, topic, partition or aggregate is another watermark.
pub async fn a_watermark_has_its_place<H: Harness>(h: &H) {
    assert!(advance(h, at(9)).await);
    let mut places = [at(3); 6];
    places[0].consumer = "shipping";
    places[1].source = "here/2";
    places[2].topic = "orders-2";
    places[3].aggregate_id = "43";
    places[4].aggregate_type = "invoice";
    places[5] = at(3).in_partition(Some(0));
    for place in places {
        assert!(advance(h, place).await, "{place:?}");
        assert!(!advance(h, place).await, "{place:?}");
    }
    assert!(advance(h, at(3).in_partition(Some(1))).await);
    assert!(!advance(h, at(3)).await);
}

/// What was not handled after all is handled when it comes again; what stood there before still stands.
pub async fn a_rollback_moves_a_watermark_back<H: Harness>(h: &H) {
    for position in [4, 7] {
        let mut tx = h.begin().await;
        assert!(tx.advance(h.table(), at(position - 1)).await.unwrap());
        assert!(tx.advance(h.table(), at(position)).await.unwrap());
        h.rollback(tx).await;
        assert!(advance(h, at(position)).await);
        assert!(!advance(h, at(position)).await);
    }
    assert!(!advance(h, at(4)).await);
}

/// Whether the other one came so far is known when its transaction has ended.
pub async fn a_watermark_that_is_moved_at_the_same_time_waits_for_the_outcome<H: Harness>(h: &H) {
    for (position, commits) in [(10, true), (20, false), (30, true)] {
        let mut open = h.begin().await;
        assert!(open.advance(h.table(), at(position)).await.unwrap());
        let mut other = Box::pin(advance(h, at(position)));
        assert!(still_waits(&mut other).await);
        if commits {
            h.commit(open).await;
        } else {
            h.rollback(open).await;
        }
        assert_eq!(within(other).await, !commits, "{position}");
    }
}

/// Refused before the database is asked, so that the transaction goes on.
pub async fn a_place_with_a_nul_is_refused<H: Harness>(h: &H) {
    let mut tx = h.begin().await;
    let mut places = [at(1); 5];
    places[0].consumer = "bil\0ling";
    places[1].source = "\0";
    places[2].topic = "\0";
    places[3].aggregate_type = "\0";
    places[4].aggregate_id = "\0";
    for place in places {
        let error = tx.advance(h.table(), place).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
    }
    assert!(tx.advance(h.table(), at(1)).await.unwrap());
    h.commit(tx).await;
}

/// Messages and watermarks alike; what is younger, and what another consumer remembers, stays.
pub async fn what_was_handled_long_ago_is_forgotten_in_chunks<H: Harness>(h: &H) {
    let ids: Vec<MessageId> = (0..7).map(|_| MessageId::random()).collect();
    for id in &ids[..5] {
        assert!(accept(h, "billing", *id).await);
    }
    assert!(accept(h, "shipping", ids[0]).await);
    assert!(advance(h, at(9)).await);
    h.move_clock(3600).await;
    for id in &ids[5..] {
        assert!(accept(h, "billing", *id).await);
    }
    let mut young = at(3);
    young.aggregate_id = "43";
    assert!(advance(h, young).await);
    let forget = async |limit| {
        let mut tx = h.begin().await;
        let forgotten = within(tx.forget(h.table(), "billing", Duration::from_mins(30), limit))
            .await
            .unwrap();
        h.commit(tx).await;
        forgotten
    };
    let mut chunks = Vec::new();
    for _ in 0..4 {
        chunks.push(forget(2).await);
    }
    assert_eq!(chunks, [2, 2, 2, 0], "five messages and a watermark");
    assert!(accept(h, "billing", ids[0]).await, "what is forgotten is new");
    assert!(advance(h, at(9)).await);
    for id in &ids[5..] {
        assert!(!accept(h, "billing", *id).await, "what is young is remembered");
    }
    assert!(!advance(h, young).await);
    assert!(!accept(h, "shipping", ids[0]).await);
    let mut tx = h.begin().await;
    assert_eq!(tx.forget(h.table(), "billing", Duration::MAX, 100).await.unwrap(), 0);
    h.rollback(tx).await;
}

//! Ids of one aggregate follow the order of its commits, because a second writer waits for the first.

use std::future::poll_fn;
use std::task::Poll;

use crate::store::{OpenTransaction, StoreErrorKind};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{event, insert, message_ids, put, read_all, row_of, still_waits, unordered, within};

/// Two overlapping transactions on one aggregate: the second to insert cannot commit first.
pub async fn ids_of_one_aggregate_follow_its_commits<H: Harness>(h: &H) {
    let (first, second) = (event("42"), event("42"));
    let mut slow = h.begin().await;
    let early = insert(h, &mut slow, vec![first.clone()]).await;
    let mut overlapping = Box::pin(async {
        let mut tx = h.begin().await;
        let receipts = insert(h, &mut tx, vec![event("another"), second.clone()]).await;
        h.commit(tx).await;
        receipts
    });
    assert!(
        still_waits(&mut overlapping).await,
        "a transaction committed an event of an aggregate of which an earlier event is not committed"
    );
    assert!(read_all(h).await.is_empty());
    h.commit(slow).await;
    let late = within(overlapping).await;
    assert!(
        row_of(early[0]).id < row_of(late[0]).id && row_of(late[0]).id < row_of(late[1]).id,
        "{early:?} {late:?}"
    );
    let read = read_all(h).await;
    let of_it: Vec<_> = read.iter().filter(|record| record.aggregate_id == "42").cloned().collect();
    assert_eq!(message_ids(&of_it), [first.message_id, second.message_id]);
}

/// The same for a batch: each of its aggregates keeps its place, not only the first.
pub async fn every_aggregate_of_a_batch_follows_its_commits<H: Harness>(h: &H) {
    let names = ["x", "y", "z"];
    for (place, name) in names.into_iter().enumerate() {
        let mut slow = h.begin().await;
        let early = insert(h, &mut slow, names.map(event).to_vec()).await;
        let mut overlapping = Box::pin(put(h, vec![event("another"), event(name)]));
        assert!(
            still_waits(&mut overlapping).await,
            "an event of `{name}` was committed before an earlier one"
        );
        h.commit(slow).await;
        let late = within(overlapping).await;
        assert!(row_of(early[place]).id < row_of(late[1]).id, "{early:?} {late:?}");
    }
}

/// Whether a message id is a duplicate is known when the transaction that gave it first has ended.
pub async fn a_message_id_of_an_open_transaction_waits_for_its_end<H: Harness>(h: &H) {
    for commits in [true, false] {
        let (first, mut second) = (event("1"), unordered("2"));
        second.message_id = first.message_id;
        let mut open = h.begin().await;
        insert(h, &mut open, vec![first]).await;
        let mut overlapping = Box::pin(put(h, vec![second]));
        assert!(
            still_waits(&mut overlapping).await,
            "nothing can be said of a message id before its first row is committed or gone"
        );
        if commits {
            h.commit(open).await;
        } else {
            h.rollback(open).await;
        }
        assert_eq!(within(overlapping).await[0].is_duplicate(), commits);
    }
}

/// An open transaction slows its own aggregates, nobody else (where a database lets several write at once).
pub async fn other_aggregates_do_not_wait<H: Harness>(h: &H) {
    let mut slow = h.begin().await;
    insert(h, &mut slow, vec![event("1")]).await;
    if H::CONCURRENT_WRITERS {
        let quick = within(put(h, vec![event("2"), event("3")])).await;
        assert_eq!(read_all(h).await.len(), 2);
        assert!(!quick[0].is_duplicate());
    }
    h.commit(slow).await;
    let all = read_all(h).await.len();
    assert_eq!(all, if H::CONCURRENT_WRITERS { 3 } else { 1 });
}

/// An event without a place in the order waits for nobody, not even on its own aggregate.
pub async fn unordered_events_do_not_wait<H: Harness>(h: &H) {
    let mut slow = h.begin().await;
    insert(h, &mut slow, vec![event("1")]).await;
    if H::CONCURRENT_WRITERS {
        within(put(h, vec![unordered("1")])).await;
        assert!(!read_all(h).await[0].ordered);
    }
    h.rollback(slow).await;
}

/// A deadlock is an error that says to repeat, and the other transaction goes on.
pub async fn two_transactions_that_wait_for_each_other_do_not_hang<H: Harness>(h: &H) {
    if !H::CONCURRENT_WRITERS {
        // The second cannot even begin to write: there is no deadlock to find, only a wait.
        let mut one = h.begin().await;
        insert(h, &mut one, vec![event("x")]).await;
        let mut other = Box::pin(put(h, vec![event("y"), event("x")]));
        assert!(still_waits(&mut other).await);
        insert(h, &mut one, vec![event("y")]).await;
        h.commit(one).await;
        within(other).await;
        assert_eq!(read_all(h).await.len(), 4);
        return;
    }
    let (mut one, mut other) = (h.begin().await, h.begin().await);
    insert(h, &mut one, vec![event("x")]).await;
    insert(h, &mut other, vec![event("y")]).await;
    let mut one_waits = one.insert(h.table(), vec![event("y")]);
    assert!(still_waits(&mut one_waits).await);
    let other_result = within(other.insert(h.table(), vec![event("x")])).await;
    let error = if let Err(error) = other_result {
        h.rollback(other).await;
        within(one_waits).await.unwrap();
        h.commit(one).await;
        error
    } else {
        let error = within(one_waits).await.unwrap_err();
        h.rollback(one).await;
        h.commit(other).await;
        error
    };
    assert_eq!(error.kind(), StoreErrorKind::Contention, "{error}");
    assert!(error.is_retryable());
    assert_eq!(read_all(h).await.len(), 2);
}

/// Whether a dropped enqueue wrote its event is unknown; repeated with the same message id, the event is there once.
pub async fn a_dropped_enqueue_can_be_repeated_with_its_message_id<H: Harness>(h: &H) {
    let mut ids = Vec::new();
    for n in 0..20 {
        let record = event(&n.to_string());
        ids.push(record.message_id);
        let mut tx = h.begin().await;
        let mut dropped = tx.insert(h.table(), vec![record.clone()]);
        // One poll, as in a timeout that is over at once.
        poll_fn(|cx| Poll::Ready(dropped.as_mut().poll(cx).is_ready())).await;
        drop(dropped);
        insert(h, &mut tx, vec![record]).await;
        h.commit(tx).await;
    }
    assert_eq!(message_ids(&read_all(h).await), ids);
}

/// Who gives up waiting for an aggregate and rolls back leaves nothing behind, no lock and no place in a queue.
pub async fn a_writer_that_gives_up_waiting_blocks_nobody<H: Harness>(h: &H) {
    let (first, given_up, last) = (event("42"), event("42"), event("42"));
    let mut slow = h.begin().await;
    insert(h, &mut slow, vec![first.clone()]).await;
    let mut impatient = h.begin().await;
    let mut waits = impatient.insert(h.table(), vec![given_up]);
    assert!(still_waits(&mut waits).await);
    drop(waits);
    h.commit(slow).await;
    within(h.rollback(impatient)).await;
    within(put(h, vec![last.clone()])).await;
    assert_eq!(message_ids(&read_all(h).await), [first.message_id, last.message_id]);
}

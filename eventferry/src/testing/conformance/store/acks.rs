//! A delivered event is delivered, whoever says so, and only that event.

use std::time::Duration;

use crate::outbox::{OnDead, Record, RowId, Status};
use crate::store::{Fault, Retention, Store};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{Owner, event, find, put, put_one, read_all, row_of, status};

const KEEP: Retention = Retention::Keep(Duration::from_hours(1));

/// After a restore an id may name another event; an ack of the lost one must not settle it.
pub async fn an_ack_matches_id_and_message_id<H: Harness>(h: &H) {
    put(h, vec![event("1"), event("2")]).await;
    let rows: Vec<RowId> = read_all(h).await.iter().map(Record::row).collect();
    let crossed = [
        RowId::new(rows[0].id, rows[1].message_id),
        RowId::new(rows[1].id, rows[0].message_id),
    ];
    for retention in [KEEP, Retention::Delete] {
        h.store().done(&crossed, retention).await.unwrap();
        assert_eq!(h.store().look_up(&rows).await.unwrap(), [Some(Status::Pending); 2], "{retention:?}");
    }
    assert_eq!(read_all(h).await.len(), 2);
}

/// An owner that lost its lane still tells the truth about what the broker took.
pub async fn an_ack_needs_no_lease<H: Harness>(h: &H) {
    let row = put_one(h, event("1")).await;
    h.store().done(&[row.row()], KEEP).await.unwrap();
    assert_eq!(status(h, row.row()).await, Some(Status::Done));
    assert!(find(h, row.message_id).await.is_none());
}

/// Dead or holding after an unknown outcome, and delivered after all: delivered it is.
pub async fn an_ack_of_a_dead_event_counts<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    for on_dead in [OnDead::Continue, OnDead::Hold] {
        let row = put_one(h, event("1")).await;
        owner.fail(h, &row, Fault::Rejected, on_dead).await;
        h.store().done(&[row.row()], KEEP).await.unwrap();
        assert_eq!(status(h, row.row()).await, Some(Status::Done));
    }
    assert!(read_all(h).await.is_empty());
}

/// The time of delivery is that of the first ack.
pub async fn a_second_ack_changes_nothing<H: Harness>(h: &H) {
    let row = put_one(h, event("1")).await;
    h.store().done(&[row.row()], KEEP).await.unwrap();
    h.move_clock(3600).await;
    h.store().done(&[row.row()], KEEP).await.unwrap();
    h.move_clock(10).await;
    assert_eq!(
        h.store().purge(Duration::from_mins(30), 10).await.unwrap(),
        1,
        "delivered an hour ago, not ten seconds"
    );
}

/// Acks come late and twice; a batch with some that are gone acks the others.
pub async fn an_ack_of_a_row_that_is_gone_is_no_error<H: Harness>(h: &H) {
    put(h, (0..300).map(|n| event(&n.to_string())).collect()).await;
    let rows: Vec<RowId> = read_all(h).await.iter().map(Record::row).collect();
    h.store().done(&rows[..100], Retention::Delete).await.unwrap();
    h.store().done(&rows[..200], KEEP).await.unwrap();
    h.store().done(&rows[..200], Retention::Delete).await.unwrap();
    h.store().done(&[], KEEP).await.unwrap();
    let statuses = h.store().look_up(&rows).await.unwrap();
    assert!(statuses[..200].iter().all(Option::is_none));
    assert!(statuses[200..].iter().all(|status| *status == Some(Status::Pending)));
}

/// An id that was deleted is never drawn again, or a repeated ack would delete an event that was not delivered.
pub async fn a_deleted_row_is_gone_and_its_id_stays_used<H: Harness>(h: &H) {
    let record = event("1");
    let first = row_of(put(h, vec![record.clone()]).await[0]);
    h.store().done(&[first], Retention::Delete).await.unwrap();
    assert_eq!(status(h, first).await, None);
    let again = row_of(put(h, vec![record]).await[0]);
    assert_eq!(again.message_id, first.message_id, "the message id is free again");
    assert!(again.id > first.id, "id {} after {}", again.id, first.id);
    h.store().done(&[first], Retention::Delete).await.unwrap();
    assert_eq!(status(h, again).await, Some(Status::Pending), "the repeated ack names the old row");
}

/// Only delivered rows, only old ones, only so many at a time.
pub async fn kept_rows_are_purged_in_chunks_when_they_are_old<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    put(h, (0..8).map(|n| event(&n.to_string())).collect()).await;
    let rows = read_all(h).await;
    let ids: Vec<RowId> = rows.iter().map(Record::row).collect();
    h.store().done(&ids[..5], KEEP).await.unwrap();
    owner.fail(h, &rows[6], Fault::Rejected, OnDead::Continue).await;
    owner.fail(h, &rows[7], Fault::Rejected, OnDead::Hold).await;
    h.move_clock(3600).await;
    h.store().done(&ids[5..6], KEEP).await.unwrap();
    h.move_clock(1800).await;
    let mut purged = Vec::new();
    for _ in 0..4 {
        purged.push(h.store().purge(Duration::from_hours(1), 2).await.unwrap());
    }
    assert_eq!(purged, [2, 2, 1, 0]);
    let left = h.store().look_up(&ids).await.unwrap();
    assert_eq!(left[..5], [None; 5]);
    assert_eq!(left[5..], [Some(Status::Done), Some(Status::Dead), Some(Status::DeadHolding)]);
}

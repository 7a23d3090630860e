//! What each read returns, in which order, and what stays out.

use crate::outbox::{OnDead, Record, RowId, Status};
use crate::store::{AggregateRead, Fault, LaneRead, Retention, Store, StoreErrorKind};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{
    Owner, Reader, event, ids_in_lane, lanes_from_zero, message_ids, put, put_one, read_all, refused, unordered,
};

/// By lane, then by id; each lane has a limit of its own.
pub async fn fresh_rows_come_by_lane_and_id_up_to_the_limit<H: Harness>(h: &H) {
    let (low, high) = (ids_in_lane(3, 4), ids_in_lane(40, 4));
    let mixed = high.iter().zip(&low).flat_map(|(a, b)| [event(a), event(b)]).collect();
    put(h, mixed).await;
    let limit = |lane| if lane == 3 { 2 } else { 3 };
    let mut reader = Reader::new();
    let first = reader.read_with(h, limit).await;
    let places: Vec<_> = first.fresh.iter().map(|record| (record.lane(), record.id)).collect();
    assert_eq!(places.iter().map(|(lane, _)| *lane).collect::<Vec<_>>(), [3, 3, 40, 40, 40]);
    assert!(places.is_sorted(), "{places:?}");
    let second = reader.read_with(h, limit).await;
    assert_eq!(second.fresh.iter().map(Record::lane).collect::<Vec<_>>(), [3, 3, 40]);
    assert!(reader.read(h, 10).await.fresh.is_empty());
}

/// A lane that is not named is not read, and a cursor hides what is at or below it.
pub async fn only_lanes_that_are_named_are_read<H: Harness>(h: &H) {
    let (a, b) = (ids_in_lane(7, 2), ids_in_lane(8, 1));
    put(h, vec![event(&a[0]), event(&b[0]), event(&a[1])]).await;
    let all = read_all(h).await;
    let batch = h.store().read(None, &[LaneRead::new(7, 0, 10)]).await.unwrap();
    assert_eq!(message_ids(&batch.fresh), [all[0].message_id, all[2].message_id]);
    let batch = h
        .store()
        .read(Some(&batch.snapshot), &[LaneRead::new(7, all[0].id, 10)])
        .await
        .unwrap();
    assert_eq!(message_ids(&batch.fresh), [all[2].message_id]);
    let none = h.store().read(Some(&batch.snapshot), &[]).await.unwrap();
    assert!(none.fresh.is_empty() && none.late.is_empty());
}

/// Where the rows of each aggregate lie, in lanes of their own, beyond their cursors and up to their limits; nothing of the rows themselves.
pub async fn a_look_through_a_lane_says_where_its_aggregates_lie<H: Harness>(h: &H) {
    let (a, b) = (ids_in_lane(7, 2), ids_in_lane(8, 1));
    let loose = unordered(&a[0]);
    put(
        h,
        vec![
            event(&a[0]),
            event(&b[0]),
            event(&a[1]),
            event(&a[0]),
            loose,
            event(&a[0]),
            event(&b[0]),
        ],
    )
    .await;
    let owner = Owner::of_all_lanes(h).await;
    let all = read_all(h).await;
    // A failed row counts, a settled one does not.
    owner.fail(h, &all[0], refused(10), OnDead::Continue).await;
    h.store().done(&[all[6].row()], Retention::default()).await.unwrap();
    let look = async |reads: &[LaneRead]| {
        let mut found = h.store().skim(reads).await.unwrap();
        found.sort_unstable_by_key(|group| group.first);
        let place = |id: i64| all.iter().position(|row| row.id == id).unwrap();
        let shown = found.iter().map(|group| {
            let row = &all[place(group.first)];
            assert_eq!((group.order_key, group.ordered), (row.order_key, row.ordered));
            (place(group.first), place(group.last), group.rows)
        });
        shown.collect::<Vec<_>>()
    };
    let everything = [LaneRead::new(7, 0, 100), LaneRead::new(8, 0, 100)];
    assert_eq!(look(&everything).await, [(0, 5, 3), (1, 1, 1), (2, 2, 1), (4, 4, 1)]);
    let limited = [LaneRead::new(7, all[0].id, 2), LaneRead::new(8, 0, 0)];
    assert_eq!(look(&limited).await, [(2, 2, 1), (3, 3, 1)]);
    assert_eq!(look(&[LaneRead::new(8, all[1].id, 100)]).await, []);
    assert_eq!(look(&[]).await, []);
}

/// Done, dead and scheduled rows do not take part in the order.
pub async fn settled_and_scheduled_rows_are_not_fresh<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let (done, dead, waiting) = (
        put_one(h, event("1")).await,
        put_one(h, event("1")).await,
        put_one(h, unordered("1")).await,
    );
    let pending = put_one(h, event("1")).await;
    h.store().done(&[done.row()], Retention::default()).await.unwrap();
    owner.fail(h, &dead, Fault::Rejected, OnDead::Continue).await;
    owner.fail(h, &waiting, refused(10), OnDead::Continue).await;
    let statuses = h.store().look_up(&[done.row(), dead.row(), waiting.row()]).await.unwrap();
    assert_eq!(statuses, [Some(Status::Done), Some(Status::Dead), Some(Status::Scheduled)]);
    assert_eq!(message_ids(&read_all(h).await), [pending.message_id]);
}

/// Failed and holding rows come with the pending ones: a relay that takes a lane learns from them what is parked.
pub async fn failed_and_holding_rows_are_fresh<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let (failed, holding, pending) = (
        put_one(h, event("1")).await,
        put_one(h, event("2")).await,
        put_one(h, event("3")).await,
    );
    owner.fail(h, &failed, refused(10), OnDead::Continue).await;
    owner.fail(h, &holding, Fault::Rejected, OnDead::Hold).await;
    let rows = read_all(h).await;
    assert_eq!(message_ids(&rows), [failed.message_id, holding.message_id, pending.message_id]);
    assert_eq!(
        rows.iter().map(|row| row.status).collect::<Vec<_>>(),
        [Status::Failed, Status::DeadHolding, Status::Pending]
    );
    assert_eq!(rows.iter().map(|row| row.attempts).collect::<Vec<_>>(), [1, 0, 0]);
    assert!(
        rows[0].due_in.as_secs() > 50 && rows[0].due_in.as_secs() <= 60,
        "{:?}",
        rows[0].due_in
    );
}

/// Which rows are late is a question about the last snapshot.
pub async fn a_cursor_without_its_snapshot_is_refused<H: Harness>(h: &H) {
    let error = h
        .store()
        .read(None, &[LaneRead::new(0, 0, 1), LaneRead::new(1, 5, 1)])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
    assert!(h.store().read(None, &lanes_from_zero(1)).await.is_ok());
}

/// The same outbox is the same source, and its snapshots never go back.
pub async fn a_snapshot_names_its_source_and_grows<H: Harness>(h: &H) {
    let first = h.store().read(None, &lanes_from_zero(1)).await.unwrap().snapshot;
    put_one(h, event("1")).await;
    let second = h.store().read(Some(&first), &lanes_from_zero(1)).await.unwrap().snapshot;
    assert!(!first.source.is_empty());
    assert_eq!(first.source, second.source);
    assert!(first.xmax < second.xmax, "a commit in between: {} {}", first.xmax, second.xmax);
    assert!(second.in_progress.iter().all(|tx| *tx < second.xmax));
    let third = h.store().read(Some(&second), &lanes_from_zero(1)).await.unwrap().snapshot;
    assert!(second.xmax <= third.xmax);
    assert_eq!(third.source, second.source);
}

/// Several aggregates in one call, up to the limit of each, failed rows first in line where they are.
pub async fn aggregates_are_read_by_id_beyond_what_is_known<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    put(h, (0..4).flat_map(|_| [event("a"), event("b"), event("c")]).collect()).await;
    let all = read_all(h).await;
    let of = |id: &str| all.iter().filter(|record| record.aggregate_id == id).cloned().collect::<Vec<_>>();
    let (a, b) = (of("a"), of("b"));
    owner.fail(h, &a[0], refused(10), OnDead::Continue).await;
    h.store().done(&[a[1].row()], Retention::default()).await.unwrap();
    let wanted = [
        AggregateRead::new(b[0].order_key, true, b[1].id),
        AggregateRead::new(a[0].order_key, true, 0),
    ];
    let found = h.store().read_aggregates(&wanted, 2).await.unwrap();
    let part = |key: i64| {
        found
            .iter()
            .filter(|record| record.order_key == key)
            .map(|record| record.message_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(part(a[0].order_key), [a[0].message_id, a[2].message_id]);
    assert_eq!(part(b[0].order_key), [b[2].message_id, b[3].message_id]);
    assert_eq!(found.len(), 4);
    let runs = found.chunk_by(|one, next| one.order_key == next.order_key).count();
    assert_eq!(runs, 2, "the rows of one aggregate stand together");
    assert!(h.store().read_aggregates(&[], 2).await.unwrap().is_empty());
}

/// The ordered and the unordered rows of an aggregate are two queues.
pub async fn ordered_and_unordered_rows_of_an_aggregate_are_read_apart<H: Harness>(h: &H) {
    put(h, vec![event("a"), unordered("a"), event("a"), unordered("a")]).await;
    let all = read_all(h).await;
    for ordered in [true, false] {
        let found = h
            .store()
            .read_aggregates(&[AggregateRead::new(all[0].order_key, ordered, 0)], 10)
            .await
            .unwrap();
        let expected: Vec<_> = all.iter().filter(|record| record.ordered == ordered).cloned().collect();
        assert_eq!(message_ids(&found), message_ids(&expected));
    }
}

/// One answer for each row asked for; a row is its id and its message id.
pub async fn rows_are_looked_up_in_the_order_given<H: Harness>(h: &H) {
    put(h, vec![event("1"), event("2"), event("3")]).await;
    let rows: Vec<RowId> = read_all(h).await.iter().map(Record::row).collect();
    h.store().done(&rows[1..2], Retention::default()).await.unwrap();
    let crossed = RowId::new(rows[0].id, rows[2].message_id);
    let absent = RowId::new(i64::MAX, rows[0].message_id);
    let asked = [rows[2], rows[1], crossed, absent, rows[0], rows[1]];
    let found = h.store().look_up(&asked).await.unwrap();
    let pending = Some(Status::Pending);
    let done = Some(Status::Done);
    assert_eq!(found, [pending, done, None, None, pending, done]);
    assert!(h.store().look_up(&[]).await.unwrap().is_empty());
}

//! Rows that wait for a time.

use std::time::Duration;

use crate::outbox::{OnDead, Payload, Status};
use crate::store::{DueCursor, Store};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{Owner, event, ids_in_lane, put, put_one, read_all, refused, row_of};

/// A scheduled event leaves its place in the order, and comes when it is due.
pub async fn a_scheduled_event_waits_for_its_time<H: Harness>(h: &H) {
    let now = put_one(h, event("1")).await.created_at;
    let mut record = event("1");
    record.deliver_at = Some(now + Duration::from_mins(5));
    let (id, lane) = (record.message_id, crate::outbox::lane_of(record.order_key()));
    let row = row_of(put(h, vec![record]).await[0]);
    assert!(read_all(h).await.iter().all(|record| record.message_id != id));
    let due = || async { h.store().read_due(&[(lane, DueCursor::START)], 10).await.unwrap() };
    h.move_clock(290).await;
    assert!(due().await.is_empty());
    h.move_clock(20).await;
    let due = due().await;
    assert_eq!(due.len(), 1);
    let record = &due[0].record;
    assert_eq!((record.row(), record.status, record.ordered), (row, Status::Scheduled, false));
    assert!(matches!(record.payload, Payload::Bytes(_)), "it is sent as it comes");
    assert!(
        read_all(h).await.iter().all(|record| record.message_id != id),
        "due is not the same as in order"
    );
}

/// A page begins after the last row of the page before; the earliest time comes first, whatever its id.
pub async fn due_rows_are_paged_by_time_and_id<H: Harness>(h: &H) {
    let now = put_one(h, event("clock")).await.created_at;
    let (one, other) = (ids_in_lane(20, 5), ids_in_lane(21, 5));
    let delays = [300, 100, 200, 100, 400];
    let mut records = Vec::new();
    for ids in [&one, &other] {
        for (id, delay) in ids.iter().zip(delays) {
            let mut record = event(id);
            record.deliver_at = Some(now + Duration::from_secs(delay));
            records.push(record);
        }
    }
    let rows: Vec<_> = put(h, records).await.into_iter().map(row_of).collect();
    h.move_clock(350).await;
    let mut cursors = [(20, DueCursor::START), (21, DueCursor::START)];
    let mut pages = Vec::new();
    loop {
        let page = h.store().read_due(&cursors, 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        for row in &page {
            let cursor = cursors.iter_mut().find(|(lane, _)| *lane == row.record.lane()).unwrap();
            assert!(row.at > cursor.1, "pages go forward");
            cursor.1 = row.at;
        }
        pages.push(page.iter().map(|row| row.record.row()).collect::<Vec<_>>());
    }
    let due_in_order = |ids: &[usize]| ids.iter().map(|n| rows[*n]).collect::<Vec<_>>();
    assert_eq!(pages, [due_in_order(&[1, 3, 2, 6, 8, 7]), due_in_order(&[0, 5])]);
}

/// Pending and settled rows are nobody's business here, due or not; other lanes neither.
pub async fn rows_that_are_not_due_stay_out<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let ids = ids_in_lane(30, 3);
    let pending = put_one(h, event(&ids[0])).await;
    let failed = put_one(h, event(&ids[1])).await;
    let dead = put_one(h, event(&ids[2])).await;
    owner.fail(h, &failed, refused(10), OnDead::Continue).await;
    owner.fail(h, &dead, refused(1), OnDead::Continue).await;
    h.move_clock(3600).await;
    let due = h.store().read_due(&[(30, DueCursor::START)], 10).await.unwrap();
    assert_eq!(due.iter().map(|row| row.record.row()).collect::<Vec<_>>(), [failed.row()]);
    let (due, whole) = (&due[0].record.payload, &failed.payload);
    assert!(
        matches!(due, Payload::Deferred(bytes) if *bytes == whole.len() && *bytes > 0),
        "{due:?}"
    );
    assert!(h.store().read_due(&[(29, DueCursor::START)], 10).await.unwrap().is_empty());
    assert!(h.store().read_due(&[], 10).await.unwrap().is_empty());
    assert_eq!(pending.status, Status::Pending);
}

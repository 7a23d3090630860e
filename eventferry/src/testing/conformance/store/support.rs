//! What the cases share.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::event::MessageId;
use crate::outbox::{LANES, LaneLease, NewRecord, OnDead, Record, RowId, Status, lane_of};
use crate::store::{Fault, LaneRead, OpenTransaction, ReadBatch, Receipt, RelayId, Snapshot, Store, Verdict, VerdictOutcome};
use crate::testing::conformance::store::Harness;

/// An ordered event of the aggregate `order`/`id`.
pub(super) fn event(id: &str) -> NewRecord {
    NewRecord::new(
        "orders",
        "order",
        id,
        "OrderCreated",
        Some(format!(r#"{{"order":"{id}"}}"#).into_bytes()),
    )
}

/// The same without a place in the order.
pub(super) fn unordered(id: &str) -> NewRecord {
    let mut record = event(id);
    record.ordered = false;
    record
}

/// `count` aggregate ids that fall into `lane`.
pub(super) fn ids_in_lane(lane: u8, count: usize) -> Vec<String> {
    let names = (0..).map(|n: u32| format!("in-lane-{n}"));
    names.filter(|id| lane_of(event(id).order_key()) == lane).take(count).collect()
}

/// Waits at most half a minute: a store that waits longer hangs.
pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("the store hangs: nothing came within 30 s")
}

/// Whether a future is still not ready after it had ample time.
pub(super) async fn still_waits<F: Future + Unpin>(future: &mut F) -> bool {
    tokio::time::timeout(Duration::from_millis(300), future).await.is_err()
}

pub(super) async fn put<H: Harness>(h: &H, records: Vec<NewRecord>) -> Vec<Receipt> {
    let mut tx = h.begin().await;
    let receipts = insert(h, &mut tx, records).await;
    h.commit(tx).await;
    receipts
}

pub(super) async fn insert<H: Harness>(h: &H, tx: &mut H::Transaction, records: Vec<NewRecord>) -> Vec<Receipt> {
    within(tx.insert(h.table(), records)).await.unwrap()
}

/// Writes one event in a transaction of its own and reads it back.
pub(super) async fn put_one<H: Harness>(h: &H, record: NewRecord) -> Record {
    let id = record.message_id;
    put(h, vec![record]).await;
    find(h, id).await.expect("a committed event is read")
}

pub(super) fn row_of(receipt: Receipt) -> RowId {
    match receipt {
        Receipt::Enqueued { message_id, position } => RowId::new(position, message_id),
        Receipt::Duplicate { .. } => panic!("expected a new row, got {receipt:?}"),
    }
}

pub(super) fn lanes_from_zero(limit: u32) -> Vec<LaneRead> {
    (0..LANES).map(|lane| LaneRead::new(lane, 0, limit)).collect()
}

/// Everything that can be read in order, by id.
pub(super) async fn read_all<H: Harness>(h: &H) -> Vec<Record> {
    let mut rows = h.store().read(None, &lanes_from_zero(100_000)).await.unwrap().fresh;
    rows.sort_by_key(|record| record.id);
    rows
}

pub(super) async fn find<H: Harness>(h: &H, id: MessageId) -> Option<Record> {
    read_all(h).await.into_iter().find(|record| record.message_id == id)
}

pub(super) async fn status<H: Harness>(h: &H, row: RowId) -> Option<Status> {
    h.store().look_up(&[row]).await.unwrap()[0]
}

pub(super) fn message_ids(records: &[Record]) -> Vec<MessageId> {
    records.iter().map(|record| record.message_id).collect()
}

/// A relay's memory of what it has read: a cursor for each lane, and the snapshot they belong to.
pub(super) struct Reader {
    cursors: [i64; LANES as usize],
    last: Option<Snapshot>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            cursors: [0; LANES as usize],
            last: None,
        }
    }

    /// Reads every lane, with `limit` fresh rows for each, and moves the cursors past what came.
    pub(super) async fn read<H: Harness>(&mut self, h: &H, limit: u32) -> ReadBatch {
        self.read_with(h, |_| limit).await
    }

    pub(super) async fn read_with<H: Harness>(&mut self, h: &H, limit: impl Fn(u8) -> u32) -> ReadBatch {
        let lanes: Vec<LaneRead> = (0..LANES)
            .map(|lane| LaneRead::new(lane, self.cursors[usize::from(lane)], limit(lane)))
            .collect();
        let batch = h.store().read(self.last.as_ref(), &lanes).await.unwrap();
        for record in &batch.fresh {
            let cursor = &mut self.cursors[usize::from(record.lane())];
            assert!(record.id > *cursor, "a fresh row at or below the cursor of its lane");
            *cursor = record.id;
        }
        self.last = Some(batch.snapshot.clone());
        batch
    }
}

/// Takes lanes and answers their leases.
pub(super) async fn take<H: Harness>(h: &H, relay: RelayId, limit: u8) -> Vec<LaneLease> {
    h.store()
        .take(relay, limit)
        .await
        .unwrap()
        .into_iter()
        .map(|taken| taken.lease)
        .collect()
}

/// A relay that holds all lanes.
pub(super) struct Owner {
    pub(super) id: RelayId,
    pub(super) leases: Vec<LaneLease>,
    /// Attempts that verdicts of this owner counted.
    counted: Mutex<HashMap<MessageId, u32>>,
}

impl Owner {
    pub(super) async fn of_all_lanes<H: Harness>(h: &H) -> Self {
        let id = RelayId::random();
        h.store().open(id).await.unwrap();
        let leases = take(h, id, LANES).await;
        assert_eq!(leases.len(), usize::from(LANES), "all lanes of a fresh outbox are free");
        Self {
            id,
            leases,
            counted: Mutex::default(),
        }
    }

    pub(super) fn lease(&self, lane: u8) -> LaneLease {
        *self.leases.iter().find(|lease| lease.lane == lane).unwrap()
    }

    /// A verdict on a row under the lease of its lane.
    pub(super) fn verdict(&self, record: &Record, fault: Fault, on_dead: OnDead) -> Verdict {
        let attempts = self.counted().get(&record.message_id).copied().unwrap_or(record.attempts);
        Verdict::new(
            record.row(),
            attempts,
            self.lease(record.lane()),
            fault,
            on_dead,
            "the broker said no",
        )
    }

    pub(super) async fn fail<H: Harness>(&self, h: &H, record: &Record, fault: Fault, on_dead: OnDead) -> VerdictOutcome {
        let outcomes = h.store().fail(self.id, &[self.verdict(record, fault, on_dead)]).await.unwrap();
        assert_eq!(outcomes.len(), 1, "one answer for each verdict");
        if let VerdictOutcome::Waits { attempts } = outcomes[0] {
            self.counted().insert(record.message_id, attempts);
        }
        outcomes[0]
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<MessageId, u32>> {
        self.counted.lock().unwrap()
    }
}

/// Refused, to be tried again after a minute; dead at `max_attempts`.
pub(super) fn refused(max_attempts: u32) -> Fault {
    Fault::Refused {
        delay: Duration::from_mins(1),
        max_attempts,
    }
}

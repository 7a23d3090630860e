//! Rows that become visible after a reader's cursor has passed their id.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::MessageId;
use crate::outbox::{LOCK_SLOTS, NewRecord, Record};
use crate::store::{LATE_LIMIT, LaneRead, ReadBatch, Store};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{
    Reader, event, ids_in_lane, insert, message_ids, put, put_one, read_all, row_of, unordered,
};

/// A slow transaction's rows are late in exactly one read.
pub async fn rows_that_become_visible_late_are_returned_once<H: Harness>(h: &H) {
    let ids = ids_in_lane(5, 3);
    let mut reader = Reader::new();
    assert!(reader.read(h, 10).await.late.is_empty());
    if !H::CONCURRENT_WRITERS {
        for id in &ids {
            put_one(h, event(id)).await;
            let batch = reader.read(h, 10).await;
            assert_eq!(
                (batch.late.len(), batch.fresh.len()),
                (0, 1),
                "one writer at a time: nothing is late"
            );
        }
        return;
    }
    let mut slow = h.begin().await;
    let slow_rows = insert(h, &mut slow, vec![event(&ids[0]), event(&ids[1])]).await;
    put(h, vec![event(&ids[2])]).await;
    let batch = reader.read(h, 10).await;
    assert_eq!((batch.late.len(), batch.fresh.len()), (0, 1));
    assert!(reader.read(h, 10).await.late.is_empty(), "still not committed");
    h.commit(slow).await;
    let batch = reader.read(h, 10).await;
    assert!(batch.fresh.is_empty() && !batch.late_is_full);
    assert_eq!(
        batch.late.iter().map(Record::row).collect::<Vec<_>>(),
        slow_rows.into_iter().map(row_of).collect::<Vec<_>>()
    );
    assert!(reader.read(h, 10).await.late.is_empty(), "a late row is handed on once");
}

/// A lane is named with a limit of 0, not left out: its late rows are found by this snapshot or never.
pub async fn a_lane_without_room_still_gets_its_late_rows<H: Harness>(h: &H) {
    let ids = ids_in_lane(9, 3);
    let mut reader = Reader::new();
    let mut slow = None;
    if H::CONCURRENT_WRITERS {
        let mut tx = h.begin().await;
        insert(h, &mut tx, vec![event(&ids[0])]).await;
        slow = Some(tx);
    }
    put(h, vec![event(&ids[1])]).await;
    assert_eq!(reader.read(h, 10).await.fresh.len(), 1);
    if let Some(slow) = slow {
        h.commit(slow).await;
    }
    put(h, vec![event(&ids[2])]).await;
    let batch = reader.read_with(h, |lane| u32::from(lane != 9)).await;
    assert_eq!((batch.late.len(), batch.fresh.len()), (usize::from(H::CONCURRENT_WRITERS), 0));
    let batch = reader.read(h, 10).await;
    assert_eq!(
        (batch.late.len(), batch.fresh.len()),
        (0, 1),
        "what there was no room for is still to be read"
    );
}

/// More late rows than one read returns: those with the lowest ids come, and the reader is told.
pub async fn a_full_late_part_says_so<H: Harness>(h: &H) {
    if !H::CONCURRENT_WRITERS {
        return;
    }
    let many = LATE_LIMIT as usize + 5;
    let ids = ids_in_lane(0, many + 1);
    let mut reader = Reader::new();
    reader.read(h, 1).await;
    let mut slow = h.begin().await;
    let rows = insert(h, &mut slow, ids[..many].iter().map(|id| event(id)).collect()).await;
    // So many aggregates hold every lock slot of their lane: what must not wait for them takes no lock.
    put(h, vec![unordered(&ids[many])]).await;
    let before = reader.read(h, 10).await;
    assert_eq!(before.fresh.len(), 1);
    h.commit(slow).await;
    let lane = [LaneRead::new(0, before.fresh[0].id, 10)];
    let batch = h.store().read(Some(&before.snapshot), &lane).await.unwrap();
    assert!(batch.late_is_full);
    let lowest: Vec<_> = rows.iter().take(LATE_LIMIT as usize).map(|receipt| row_of(*receipt)).collect();
    assert_eq!(batch.late.iter().map(Record::row).collect::<Vec<_>>(), lowest);
    // The way on: lower the cursor to the last late row that came, and the rest is fresh.
    let lane = [LaneRead::new(0, lowest[lowest.len() - 1].id, 10)];
    let batch = h.store().read(Some(&batch.snapshot), &lane).await.unwrap();
    assert_eq!((batch.late.len(), batch.late_is_full, batch.fresh.len()), (0, false, 6));
}

/// A row that the cursor has not passed yet comes once, as a fresh one.
pub async fn a_late_row_beyond_the_cursor_is_fresh_and_not_late<H: Harness>(h: &H) {
    let ids = ids_in_lane(3, 2);
    let first = put_one(h, event(&ids[0])).await;
    let mut reader = Reader::new();
    reader.read(h, 10).await;
    let second = put_one(h, event(&ids[1])).await;
    let batch = reader.read(h, 10).await;
    assert!(batch.late.is_empty());
    assert_eq!(message_ids(&batch.fresh), [second.message_id]);
    assert!(first.id < second.id);
}

/// Ids that were drawn and rolled back are gaps, nothing else.
pub async fn a_late_rollback_leaves_nothing<H: Harness>(h: &H) {
    if !H::CONCURRENT_WRITERS {
        return;
    }
    let mut reader = Reader::new();
    reader.read(h, 10).await;
    let mut slow = h.begin().await;
    insert(h, &mut slow, vec![event("slow")]).await;
    put(h, vec![event("quick")]).await;
    assert_eq!(reader.read(h, 10).await.fresh.len(), 1);
    h.rollback(slow).await;
    let batch = reader.read(h, 10).await;
    assert!(batch.late.is_empty() && batch.fresh.is_empty());
}

/// Writers that overlap at random, a reader with random limits: every committed event is handed on once, each aggregate's in order.
pub async fn random_writers_lose_nothing_and_invert_nothing<H: Harness>(h: &H) {
    let mut random = fastrand::Rng::with_seed(20_261_120);
    let mut free = aggregates_in_slots_of_their_own(12);
    let mut open: Vec<(H::Transaction, Vec<NewRecord>, BTreeSet<String>)> = Vec::new();
    let mut committed: BTreeMap<String, Vec<MessageId>> = BTreeMap::new();
    let mut handed_on: BTreeMap<String, Vec<MessageId>> = BTreeMap::new();
    let mut reader = Reader::new();
    let mut late = 0;
    let most = if H::CONCURRENT_WRITERS { 4 } else { 1 };
    for step in 0..400 {
        let stopping = step >= 360;
        match random.u8(0..10) {
            0..3 if open.len() < most && !stopping => open.push((h.begin().await, Vec::new(), BTreeSet::new())),
            3..7 if !open.is_empty() && !stopping => {
                let (tx, written, own) = {
                    let at = random.usize(0..open.len());
                    &mut open[at]
                };
                if own.len() < 3 && !free.is_empty() {
                    own.insert(free.swap_remove(random.usize(0..free.len())));
                }
                let own: Vec<&String> = own.iter().collect();
                if own.is_empty() {
                    continue;
                }
                let records: Vec<_> = (0..random.usize(1..4)).map(|_| event(own[random.usize(0..own.len())])).collect();
                insert(h, tx, records.clone()).await;
                written.extend(records);
            }
            7..9 if !open.is_empty() => {
                let (tx, written, own) = open.swap_remove(random.usize(0..open.len()));
                if random.u8(0..4) == 0 {
                    h.rollback(tx).await;
                } else {
                    h.commit(tx).await;
                    for record in written {
                        committed.entry(record.aggregate_id).or_default().push(record.message_id);
                    }
                }
                free.extend(own);
            }
            _ => {
                let limits: Vec<u32> = (0..64).map(|_| random.u32(0..3)).collect();
                let batch = reader.read_with(h, |lane| limits[usize::from(lane)]).await;
                late += batch.late.len();
                hand_on(&mut handed_on, batch);
            }
        }
    }
    for (tx, ..) in open {
        h.rollback(tx).await;
    }
    hand_on(&mut handed_on, reader.read(h, 100_000).await);
    assert!(
        !H::CONCURRENT_WRITERS || late > 20,
        "hardly a row was late ({late}): the writers did not overlap"
    );
    assert_eq!(handed_on, committed);
    assert_eq!(read_all(h).await.len(), committed.values().map(Vec::len).sum::<usize>());
}

fn hand_on(handed_on: &mut BTreeMap<String, Vec<MessageId>>, batch: ReadBatch) {
    assert!(!batch.late_is_full);
    for record in batch.late.into_iter().chain(batch.fresh) {
        handed_on.entry(record.aggregate_id).or_default().push(record.message_id);
    }
}

/// Aggregates of three lanes that cannot wait for each other, even where many share a lock: most rows of a slow transaction are then late.
fn aggregates_in_slots_of_their_own(count: usize) -> Vec<String> {
    let mut slots = BTreeSet::new();
    let names = (0..3).flat_map(|lane| ids_in_lane(lane, count));
    let mut apart: Vec<String> = names.filter(|id| slots.insert(event(id).order_key() & (LOCK_SLOTS - 1))).collect();
    fastrand::Rng::with_seed(3).shuffle(&mut apart);
    apart.truncate(count);
    apart
}

//! What an operator sees, and what its moves do.

use std::time::Duration;

use crate::event::{MessageId, Operator};
use crate::outbox::{Effect, LaneLease, Move, NewRecord, OnDead, Payload, Record, Status, after_move};
use crate::store::{
    DueCursor, Fault, Moved, Operate, Receipt, RelayId, Retention, RowFilter, ShowPayload, Store, StoreErrorKind, StoredRow, VerdictOutcome,
};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{Owner, event, find, put, put_one, read_all, refused, row_of, status, unordered};

fn alice() -> Operator {
    Operator::new("alice").unwrap()
}

async fn shown<H: Harness>(h: &H, id: MessageId) -> StoredRow {
    h.store().show(id, ShowPayload::Leave).await.unwrap().expect("the row is there")
}

async fn due<H: Harness>(h: &H, lane: u8) -> Vec<Record> {
    let due = h.store().read_due(&[(lane, DueCursor::START)], 100).await.unwrap();
    due.into_iter().map(|row| row.record).collect()
}

/// A row that stands at a status, ordered where it can be.
async fn standing<H: Harness>(h: &H, owner: &Owner, at: Status) -> Record {
    if at == Status::Scheduled {
        let row = put_one(h, unordered("42")).await;
        owner.fail(h, &row, refused(10), OnDead::Continue).await;
        return row;
    }
    let row = put_one(h, event("42")).await;
    match at {
        Status::Pending | Status::Scheduled => {}
        Status::Done => drop(h.store().done(&[row.row()], Retention::default()).await.unwrap()),
        Status::Failed => drop(owner.fail(h, &row, refused(10), OnDead::Hold).await),
        Status::Dead => drop(owner.fail(h, &row, refused(1), OnDead::Continue).await),
        Status::DeadHolding => drop(owner.fail(h, &row, refused(1), OnDead::Hold).await),
    }
    assert_eq!(status(h, row.row()).await, Some(at));
    row
}

/// Each move from each state; twice, since a move that was made must not be made again.
pub async fn every_move_is_what_the_table_of_moves_says<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    for code in 0..6 {
        let from = Status::from_code(code).unwrap();
        for what in Move::ALL {
            let row = standing(h, &owner, from).await;
            let answer = h.store().apply(what, row.message_id, &alice()).await.unwrap();
            let (expected, now) = match after_move(from, what) {
                Effect::To(to) => (Moved::To(to), to),
                Effect::Mark => (Moved::Asked, from),
                Effect::Refused => (Moved::NotAllowed(from), from),
            };
            assert_eq!(answer, expected, "{what:?} of a row that is {from:?}");
            assert_eq!(status(h, row.row()).await, Some(now), "{what:?} of a row that is {from:?}");
            let again = h.store().apply(what, row.message_id, &alice()).await.unwrap();
            let expected = match after_move(now, what) {
                Effect::To(to) => Moved::To(to),
                Effect::Mark => Moved::Asked,
                Effect::Refused => Moved::NotAllowed(now),
            };
            assert_eq!(again, expected, "{what:?} once more of a row that was {from:?}");
            h.store().done(&[row.row()], Retention::Delete).await.unwrap();
        }
    }
}

/// `count` dead events of aggregates of their own; every third one holds.
async fn graves<H: Harness>(h: &H, owner: &Owner, records: Vec<NewRecord>) -> Vec<Record> {
    let ids: Vec<MessageId> = put(h, records).await.iter().map(Receipt::message_id).collect();
    let rows: Vec<Record> = read_all(h).await.into_iter().filter(|row| ids.contains(&row.message_id)).collect();
    let on_dead = |n: usize| if n.is_multiple_of(3) { OnDead::Hold } else { OnDead::Continue };
    let verdicts = rows
        .iter()
        .enumerate()
        .map(|(n, row)| owner.verdict(row, Fault::Rejected, on_dead(n)));
    h.store().fail(owner.id, &verdicts.collect::<Vec<_>>()).await.unwrap();
    rows
}

/// Each page goes on after the last id of the one before; nothing that is not dead is among them.
pub async fn dead_rows_are_listed_by_id_page_by_page<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let dead = graves(h, &owner, (0..7).map(|n| event(&format!("dead-{n}"))).collect()).await;
    put_one(h, event("pending")).await;
    standing(h, &owner, Status::Failed).await;
    standing(h, &owner, Status::Scheduled).await;
    let (mut listed, mut after) = (Vec::new(), 0);
    loop {
        let page = h.store().list(&RowFilter::dead(), after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.record.id;
        assert!(page.len() <= 3);
        listed.extend(page);
    }
    let ids = |rows: &[Record]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(listed.iter().map(|row| row.record.id).collect::<Vec<_>>(), ids(&dead));
    for row in &listed {
        assert_eq!(row.last_error.as_deref(), Some("the broker said no"));
        assert!(matches!(row.record.payload, Payload::Deferred(n) if n > 0), "{row:?}");
        assert_eq!((row.available_at, row.processed_at), (None, None));
    }
    let waiting = h.store().list(&RowFilter::waiting(), 0, 100).await.unwrap();
    assert_eq!(waiting.len(), 2);
    assert!(waiting.iter().all(|row| row.available_at.is_some()));
}

/// Every part of a filter narrows the list.
pub async fn a_list_is_filtered_by_topic_aggregate_and_status<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let mut records: Vec<NewRecord> = (0..6).map(|n| event(&(n % 3).to_string())).collect();
    for record in &mut records[4..] {
        "invoices".clone_into(&mut record.topic);
    }
    graves(h, &owner, records).await;
    let count = async |filter: RowFilter| h.store().list(&filter, 0, 100).await.unwrap().len();
    assert_eq!(count(RowFilter::dead()).await, 6);
    assert_eq!(count(RowFilter::dead().topic("invoices")).await, 2);
    assert_eq!(count(RowFilter::dead().topic("nothing")).await, 0);
    assert_eq!(count(RowFilter::dead().aggregate("order", "1")).await, 2);
    assert_eq!(count(RowFilter::dead().aggregate("order", "1").topic("orders")).await, 1);
    assert_eq!(count(RowFilter::dead().aggregate("invoice", "1")).await, 0);
    assert_eq!(count(RowFilter::dead().status(Status::DeadHolding)).await, 2);
    assert_eq!(count(RowFilter::dead().status(Status::Dead)).await, 4);
    assert_eq!(count(RowFilter::waiting()).await, 0);
}

/// Pending and done rows are not an operator's business, nor is a text that no row holds.
pub async fn what_nobody_decides_about_is_not_listed<H: Harness>(h: &H) {
    for filter in [
        RowFilter::dead().status(Status::Pending),
        RowFilter::dead().status(Status::Done),
        RowFilter::dead().topic("a\0b"),
        RowFilter::dead().aggregate("order", "4\x002"),
    ] {
        let error = h.store().list(&filter, 0, 10).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid, "{filter:?}");
    }
}

/// Everything of a row but its payload, which is read on request.
pub async fn a_payload_is_shown_only_if_it_is_asked_for<H: Harness>(h: &H) {
    let mut record = event("42");
    record.headers.set("tenant-id", "7");
    let (id, payload) = (record.message_id, record.payload.clone().unwrap());
    put(h, vec![record]).await;
    let row = shown(h, id).await;
    assert_eq!(row.record.payload, Payload::Deferred(payload.len()));
    assert_eq!(
        (row.record.headers.get("tenant-id"), row.record.key.as_deref()),
        (Some("7"), Some("42"))
    );
    let row = h.store().show(id, ShowPayload::Read).await.unwrap().unwrap();
    assert_eq!(row.record.payload, Payload::Bytes(payload));
    let mut tombstone = event("43");
    tombstone.payload = None;
    let id = tombstone.message_id;
    put(h, vec![tombstone]).await;
    for payload in [ShowPayload::Read, ShowPayload::Leave] {
        assert_eq!(
            h.store().show(id, payload).await.unwrap().unwrap().record.payload,
            Payload::Tombstone
        );
    }
    assert_eq!(h.store().show(MessageId::random(), ShowPayload::Read).await.unwrap(), None);
}

/// Its successors have gone on: it is due now, by itself, with fresh attempts and the same identity.
pub async fn a_dead_event_comes_back_without_its_place<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = standing(h, &owner, Status::Dead).await;
    assert_eq!(
        h.store().requeue(row.message_id, &alice()).await.unwrap(),
        Moved::To(Status::Scheduled)
    );
    let back = due(h, row.lane()).await;
    assert_eq!(back.len(), 1);
    assert_eq!((back[0].row(), back[0].attempts, back[0].ordered), (row.row(), 0, false));
    assert_eq!(back[0].clone().into_message("s").headers().get("event-order"), Some("none"));
    // Refused again, it waits and dies by itself.
    assert_eq!(
        owner.fail(h, &back[0], refused(2), OnDead::Hold).await,
        VerdictOutcome::Waits { attempts: 1 }
    );
    assert_eq!(owner.fail(h, &back[0], refused(2), OnDead::Hold).await, VerdictOutcome::Dead);
}

/// Nothing of its aggregate has gone on: it stands before its successors again.
pub async fn a_holding_event_comes_back_in_its_place<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = standing(h, &owner, Status::DeadHolding).await;
    let successor = put_one(h, event("42")).await;
    assert_eq!(
        h.store().requeue(row.message_id, &alice()).await.unwrap(),
        Moved::To(Status::Failed)
    );
    let rows = read_all(h).await;
    assert_eq!(rows.iter().map(Record::row).collect::<Vec<_>>(), [row.row(), successor.row()]);
    assert_eq!((rows[0].status, rows[0].attempts, rows[0].ordered), (Status::Failed, 0, true));
    assert!(rows[0].due_in.is_zero());
    assert_eq!(due(h, row.lane()).await.len(), 1);
    assert_eq!(rows[0].clone().into_message("s").headers().get("event-order"), None);
}

/// It holds nobody any more, and stays for whoever decides about it.
pub async fn a_released_event_stays_dead<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = standing(h, &owner, Status::DeadHolding).await;
    assert_eq!(
        h.store().release_held(row.message_id, &alice()).await.unwrap(),
        Moved::To(Status::Dead)
    );
    assert!(find(h, row.message_id).await.is_none(), "not read in order any more");
    let dead = shown(h, row.message_id).await;
    assert_eq!((dead.record.status, dead.record.attempts), (Status::Dead, 1));
    assert!(dead.last_error.is_some());
}

/// Done by a person's decision, which can be told from a delivery.
pub async fn a_discarded_event_is_purged_like_a_delivered_one<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    for from in [Status::Dead, Status::DeadHolding] {
        let row = standing(h, &owner, from).await;
        assert_eq!(h.store().discard(row.message_id, &alice()).await.unwrap(), Moved::To(Status::Done));
        let done = shown(h, row.message_id).await;
        assert!(done.processed_at.is_some() && done.trace(Move::Discard).is_some());
        h.move_clock(100).await;
        assert_eq!(h.store().purge(Duration::from_secs(50), 10).await.unwrap(), 1);
        assert_eq!(status(h, row.row()).await, None);
    }
}

/// From outside it is only asked for; it is due then, and the owner of its lane settles it.
pub async fn a_waiting_event_is_settled_by_its_owner_when_it_is_asked_for<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    for from in [Status::Failed, Status::Scheduled] {
        let row = standing(h, &owner, from).await;
        assert!(due(h, row.lane()).await.is_empty());
        assert_eq!(h.store().discard(row.message_id, &alice()).await.unwrap(), Moved::Asked);
        let asked = due(h, row.lane()).await;
        assert!(asked.len() == 1 && asked[0].is_discard_asked(), "{asked:?}");
        assert_eq!((asked[0].status, asked[0].attempts), (from, 1));
        assert!(shown(h, row.message_id).await.discard_asked().is_some());
        assert_eq!(
            owner.fail(h, &asked[0], Fault::Discarded, OnDead::Hold).await,
            VerdictOutcome::Discarded
        );
        let done = shown(h, row.message_id).await;
        assert_eq!((done.record.status, done.record.attempts), (Status::Done, 1));
        assert_eq!(done.trace(Move::Discard).map(|trace| trace.by), Some("alice"));
        assert!(done.processed_at.is_some());
        assert_eq!(
            owner.fail(h, &asked[0], Fault::Discarded, OnDead::Hold).await,
            VerdictOutcome::Settled,
            "a verdict that is repeated finds it settled"
        );
    }
}

/// As every verdict: not under an old epoch, not by another relay, not on another event of that id.
pub async fn what_is_asked_for_is_settled_under_a_good_lease_only<H: Harness>(h: &H) {
    let old = Owner::of_all_lanes(h).await;
    let row = standing(h, &old, Status::Failed).await;
    h.store().discard(row.message_id, &alice()).await.unwrap();
    let mut verdict = old.verdict(&row, Fault::Discarded, OnDead::Continue);
    verdict.row.message_id = MessageId::random();
    assert_eq!(h.store().fail(old.id, &[verdict]).await.unwrap(), [VerdictOutcome::Settled]);
    let mut verdict = old.verdict(&row, Fault::Discarded, OnDead::Continue);
    verdict.lease = LaneLease::new(verdict.lease.lane, verdict.lease.epoch - 1);
    assert_eq!(h.store().fail(old.id, &[verdict]).await.unwrap(), [VerdictOutcome::LaneLost]);
    let mut verdict = old.verdict(&row, Fault::Discarded, OnDead::Continue);
    verdict.lease = old.lease((row.lane() + 1) % 64);
    assert_eq!(
        h.store().fail(old.id, &[verdict]).await.unwrap(),
        [VerdictOutcome::LaneLost],
        "another lane's lease"
    );
    let verdict = old.verdict(&row, Fault::Discarded, OnDead::Continue);
    assert_eq!(
        h.store().fail(RelayId::random(), &[verdict]).await.unwrap(),
        [VerdictOutcome::LaneLost],
        "another relay's"
    );
    h.store().release(old.id, &old.leases).await.unwrap();
    assert_eq!(
        old.fail(h, &row, Fault::Discarded, OnDead::Continue).await,
        VerdictOutcome::LaneLost
    );
    assert_eq!(status(h, row.row()).await, Some(Status::Failed));
}

/// What was on its way when it was asked for is delivered, and its row does not say otherwise.
pub async fn a_delivery_comes_before_the_asking<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = standing(h, &owner, Status::Failed).await;
    h.store().discard(row.message_id, &alice()).await.unwrap();
    h.store().done(&[row.row()], Retention::default()).await.unwrap();
    assert_eq!(
        owner.fail(h, &row, Fault::Discarded, OnDead::Continue).await,
        VerdictOutcome::Settled
    );
    let done = shown(h, row.message_id).await;
    assert_eq!(done.record.status, Status::Done);
    assert!(done.discard_asked().is_some() && done.trace(Move::Discard).is_none());
}

/// Asked for while its last attempt was under way, dead of that, brought back: a late verdict must not take it for asked for.
pub async fn an_event_that_was_brought_back_is_not_asked_for_any_more<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    for on_dead in [OnDead::Hold, OnDead::Continue] {
        let row = standing(h, &owner, Status::Failed).await;
        assert_eq!(h.store().discard(row.message_id, &alice()).await.unwrap(), Moved::Asked);
        owner.fail(h, &row, refused(2), on_dead).await;
        let to = if on_dead == OnDead::Hold {
            Status::Failed
        } else {
            Status::Scheduled
        };
        assert_eq!(h.store().requeue(row.message_id, &alice()).await.unwrap(), Moved::To(to));
        assert!(shown(h, row.message_id).await.discard_asked().is_none());
        assert_eq!(
            owner.fail(h, &row, Fault::Discarded, OnDead::Continue).await,
            VerdictOutcome::Waits { attempts: 0 }
        );
        assert_eq!(status(h, row.row()).await, Some(to));
        h.store().done(&[row.row()], Retention::Delete).await.unwrap();
    }
}

/// One call, rows of all kinds, one of them unknown.
pub async fn moves_answer_in_the_order_given<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let dead = graves(h, &owner, (0..6).map(|n| event(&n.to_string())).collect()).await;
    let pending = row_of(put(h, vec![event("p")]).await[0]);
    let mut ids: Vec<MessageId> = dead.iter().rev().map(|row| row.message_id).collect();
    ids.insert(2, MessageId::random());
    ids.push(pending.message_id);
    let from = [Status::Dead, Status::DeadHolding];
    let answers = h.store().apply_to(Move::Release, &ids, &from, &alice()).await.unwrap();
    let (released, refused) = (Moved::To(Status::Dead), Moved::NotAllowed(Status::Dead));
    assert_eq!(
        answers,
        [
            refused,
            refused,
            Moved::NotThere,
            released,
            refused,
            refused,
            released,
            Moved::NotAllowed(Status::Pending)
        ]
    );
    assert!(h.store().apply_to(Move::Release, &[], &from, &alice()).await.unwrap().is_empty());
}

/// More than a chunk; what the filter keeps out stays as it is.
pub async fn rows_are_moved_by_filter_in_chunks<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let mut records: Vec<NewRecord> = (0..1_200).map(|n| event(&n.to_string())).collect();
    for record in &mut records[1_100..] {
        "invoices".clone_into(&mut record.topic);
    }
    graves(h, &owner, records).await;
    let all = h
        .store()
        .apply_to_all(Move::Requeue, &RowFilter::dead().topic("orders"), &alice())
        .await
        .unwrap();
    assert_eq!((all.moved, all.asked, all.busy, all.unchanged), (1_100, 0, 0, 0));
    assert_eq!(h.store().list(&RowFilter::dead(), 0, 2_000).await.unwrap().len(), 100);
    let asked = h
        .store()
        .apply_to_all(Move::Discard, &RowFilter::waiting(), &alice())
        .await
        .unwrap();
    assert_eq!((asked.moved, asked.asked), (0, 1_100));
    let released = h.store().apply_to_all(Move::Release, &RowFilter::dead(), &alice()).await.unwrap();
    assert_eq!(released.moved + released.unchanged, 100);
    assert!(released.moved >= 33, "{released:?}");
}

/// The last of each move stays, beside the event's own headers and in their order; a name may hold what names hold.
pub async fn a_move_leaves_who_and_when<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let mut record = event("42");
    for (name, value) in [("z", "1"), ("a", "\"q\" \\ ä"), ("m", "")] {
        record.headers.set(name, value);
    }
    let row = put_one(h, record).await;
    let odd = Operator::new("o'neill \"the\" ärgerlich $.a 😀").unwrap();
    for by in [alice(), odd.clone()] {
        let now = find(h, row.message_id).await.unwrap();
        owner.fail(h, &now, Fault::Rejected, OnDead::Hold).await;
        assert_eq!(h.store().requeue(row.message_id, &by).await.unwrap(), Moved::To(Status::Failed));
    }
    let after = shown(h, row.message_id).await;
    let trace = after.trace(Move::Requeue).expect("there is a trace");
    assert_eq!(trace.by, odd.as_str());
    assert!(
        trace.at.len() >= 20 && trace.at.ends_with('Z') && trace.at.as_bytes()[10] == b'T',
        "{}",
        trace.at
    );
    assert!(after.trace(Move::Release).is_none() && after.trace(Move::Discard).is_none());
    let headers: Vec<_> = after.record.headers.iter().take(3).collect();
    assert_eq!(headers, [("z", "1"), ("a", "\"q\" \\ ä"), ("m", "")]);
    let names: Vec<_> = after.record.headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let message = after.record.into_message("s");
    assert_eq!(message.headers().get("operator-requeued"), None, "who moved a row does not travel");
}

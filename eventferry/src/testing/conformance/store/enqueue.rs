//! An event exists if and only if its transaction committed, and is what was written.

use std::time::{Duration, UNIX_EPOCH};

use crate::event::TableName;
use crate::outbox::{OnDead, Payload, Status};
use crate::store::{DEFER_ABOVE, Fault, OpenTransaction, Receipt, Retention, Store, StoreErrorKind};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{
    Owner, event, find, insert, message_ids, put, put_one, read_all, row_of, status, unordered, within,
};

/// Nobody sees an event before its transaction committed; then everybody does.
pub async fn an_event_is_there_once_its_transaction_commits<H: Harness>(h: &H) {
    let record = event("42");
    let id = record.message_id;
    let mut tx = h.begin().await;
    let receipts = insert(h, &mut tx, vec![record]).await;
    assert!(find(h, id).await.is_none(), "an event is read before its commit");
    assert_eq!(status(h, row_of(receipts[0])).await, None);
    h.commit(tx).await;
    let row = find(h, id).await.expect("a committed event is read");
    assert_eq!(row.row(), row_of(receipts[0]));
    assert_eq!(row.status, Status::Pending);
}

/// Rolled back, an event was never there.
pub async fn a_rollback_leaves_nothing<H: Harness>(h: &H) {
    let mut tx = h.begin().await;
    let receipts = insert(h, &mut tx, vec![event("1"), event("2")]).await;
    h.rollback(tx).await;
    assert!(read_all(h).await.is_empty());
    assert_eq!(status(h, row_of(receipts[0])).await, None);
}

/// A transaction that is dropped takes its events with it, and blocks nobody.
pub async fn a_dropped_transaction_leaves_nothing<H: Harness>(h: &H) {
    let mut tx = h.begin().await;
    insert(h, &mut tx, vec![event("1")]).await;
    drop(tx);
    let row = put_one(h, event("1")).await;
    assert_eq!(message_ids(&read_all(h).await), [row.message_id]);
}

/// Receipt `n` is the answer to record `n`.
pub async fn receipts_come_in_the_order_given<H: Harness>(h: &H) {
    let known = event("known");
    put(h, vec![known.clone()]).await;
    let records = vec![event("b"), known.clone(), event("a"), unordered("c")];
    let ids: Vec<_> = records.iter().map(|record| record.message_id).collect();
    let receipts = put(h, records).await;
    assert_eq!(receipts.iter().map(Receipt::message_id).collect::<Vec<_>>(), ids);
    assert_eq!(
        receipts.iter().map(Receipt::is_duplicate).collect::<Vec<_>>(),
        [false, true, false, false]
    );
}

/// Whatever the order of the aggregates' locks, ids rise in the order of the records.
pub async fn a_bulk_insert_numbers_rows_in_the_order_given<H: Harness>(h: &H) {
    let records: Vec<_> = (0..200).map(|n| event(&format!("aggregate-{}", (n * 7) % 40))).collect();
    let ids: Vec<_> = records.iter().map(|record| record.message_id).collect();
    let receipts = put(h, records).await;
    let positions: Vec<i64> = receipts.iter().map(|receipt| row_of(*receipt).id).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    assert_eq!(message_ids(&read_all(h).await), ids);
}

/// Nothing to write is nothing written.
pub async fn an_empty_batch_writes_nothing<H: Harness>(h: &H) {
    assert!(put(h, Vec::new()).await.is_empty());
    assert!(read_all(h).await.is_empty());
}

/// The second insert answers Duplicate, and the transaction goes on.
pub async fn a_message_id_twice_in_one_transaction_is_a_duplicate<H: Harness>(h: &H) {
    let (record, after) = (event("1"), event("2"));
    let id = record.message_id;
    let mut tx = h.begin().await;
    insert(h, &mut tx, vec![record.clone()]).await;
    let second = insert(h, &mut tx, vec![record]).await;
    assert_eq!(
        second,
        [Receipt::Duplicate {
            message_id: id,
            dead: false
        }]
    );
    insert(h, &mut tx, vec![after.clone()]).await;
    h.commit(tx).await;
    assert_eq!(message_ids(&read_all(h).await), [id, after.message_id]);
}

/// A message id is new once, whoever gives it and whatever else the second record says.
pub async fn a_message_id_of_a_committed_row_is_a_duplicate<H: Harness>(h: &H) {
    let first = put_one(h, event("1")).await;
    let (mut again, after) = (event("another aggregate"), event("2"));
    again.message_id = first.message_id;
    let receipts = put(h, vec![again.clone(), after.clone()]).await;
    assert_eq!(
        receipts[0],
        Receipt::Duplicate {
            message_id: first.message_id,
            dead: false
        }
    );
    assert_eq!(message_ids(&read_all(h).await), [first.message_id, after.message_id]);
    h.store().done(&[first.row()], Retention::default()).await.unwrap();
    assert!(
        put(h, vec![again]).await[0].is_duplicate(),
        "a delivered row that is kept still counts"
    );
}

/// The first of a pair in one batch is written, the second answers Duplicate.
pub async fn a_message_id_twice_in_one_batch_is_a_duplicate<H: Harness>(h: &H) {
    let (first, mut second, third) = (event("1"), event("2"), event("3"));
    second.message_id = first.message_id;
    let receipts = put(h, vec![first.clone(), second, third.clone()]).await;
    assert_eq!(receipts.iter().map(Receipt::is_duplicate).collect::<Vec<_>>(), [false, true, false]);
    let rows = read_all(h).await;
    assert_eq!(message_ids(&rows), [first.message_id, third.message_id]);
    assert_eq!(rows[0].aggregate_id, "1", "the first of the two is the one that is written");
}

/// Who repeats a dead event is told that it is dead: repeating does not revive it.
pub async fn a_duplicate_of_a_dead_row_says_so<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    for on_dead in [OnDead::Continue, OnDead::Hold] {
        let record = event("1");
        let row = put_one(h, record.clone()).await;
        owner.fail(h, &row, Fault::Rejected, on_dead).await;
        let receipts = put(h, vec![record]).await;
        assert_eq!(
            receipts,
            [Receipt::Duplicate {
                message_id: row.message_id,
                dead: true
            }]
        );
    }
}

/// What was rolled back is forgotten, so the producer may repeat its transaction with the same message ids.
pub async fn a_message_id_that_was_rolled_back_is_new<H: Harness>(h: &H) {
    let record = event("1");
    let mut tx = h.begin().await;
    insert(h, &mut tx, vec![record.clone()]).await;
    h.rollback(tx).await;
    assert!(!put(h, vec![record]).await[0].is_duplicate());
}

/// Every field comes back as it went in.
pub async fn what_is_written_is_what_is_read<H: Harness>(h: &H) {
    let mut record = event("42");
    record.ordered = false;
    record.topic = String::from("shop.orders-v1");
    record.key = Some("customer 7".to_owned());
    record.partition = Some(11);
    record.event_version = 3;
    record.content_type = String::from("application/octet-stream");
    record.payload = Some((0..=255).collect());
    record.headers.set("zeta", "last in the alphabet, first in the list");
    record.headers.set("alpha", "2");
    let written = record.clone();
    let row = put_one(h, record).await;
    assert_eq!(row.message_id, written.message_id);
    assert_eq!(row.order_key, written.order_key());
    assert!(!row.ordered);
    assert_eq!((row.status, row.attempts, row.due_in), (Status::Pending, 0, Duration::ZERO));
    assert_eq!((row.aggregate_type.as_str(), row.aggregate_id.as_str()), ("order", "42"));
    assert_eq!((row.topic.as_str(), row.key.as_deref()), ("shop.orders-v1", Some("customer 7")));
    assert_eq!(
        (row.partition, row.event_type.as_str(), row.event_version),
        (Some(11), "OrderCreated", 3)
    );
    assert!(row.payload == Payload::Bytes((0..=255).collect()), "the payload changed");
    assert_eq!(row.content_type, "application/octet-stream");
    let mut headers: Vec<_> = row.headers.iter().collect();
    headers.sort_unstable();
    assert_eq!(headers, [("alpha", "2"), ("zeta", "last in the alphabet, first in the list")]);
    assert!(
        row.created_at > UNIX_EPOCH + Duration::from_secs(1_000_000_000),
        "{:?}",
        row.created_at
    );

    let mut plain = event("43");
    plain.key = None;
    let row = put_one(h, plain).await;
    assert!(row.ordered && row.key.is_none() && row.partition.is_none() && row.headers.is_empty());
}

/// No payload and an empty payload are two things.
pub async fn a_tombstone_is_not_an_empty_payload<H: Harness>(h: &H) {
    let (mut tombstone, mut empty) = (event("1"), event("2"));
    tombstone.payload = None;
    empty.payload = Some(Vec::new());
    let (tombstone, empty) = (put_one(h, tombstone).await, put_one(h, empty).await);
    assert!(tombstone.payload == Payload::Tombstone && empty.payload == Payload::Bytes(Vec::new()));
    let store = h.store();
    assert_eq!(store.read_payload(tombstone.row()).await.unwrap(), Some(None));
    assert_eq!(store.read_payload(empty.row()).await.unwrap(), Some(Some(Vec::new())));
}

/// Quotes, control characters, every plane of Unicode, the empty text: all but NUL.
pub async fn odd_texts_survive<H: Harness>(h: &H) {
    let odd = [
        "",
        " ",
        "it's \"quoted\" \\ and; -- not SQL $1 ?",
        "line\nfeed\ttab\r\u{1}\u{7f}",
        "äöü ∑ 漢字 🦀 e\u{301} \u{202e}rtl",
        "\u{fffd}\u{feff}\u{10ffff}",
        "{\"json\":[1,null]}",
        "null",
    ];
    for text in odd {
        let mut record = event(text);
        record.aggregate_type = format!("type {text}");
        record.key = Some(text.to_owned());
        record.event_type = format!("Event {text}");
        record.headers.set("odd", text);
        record.headers.set(format!("odd {text}"), "name");
        let order_key = record.order_key();
        let row = put_one(h, record.clone()).await;
        assert_eq!((row.aggregate_id.as_str(), row.key.as_deref()), (text, Some(text)));
        assert_eq!((row.aggregate_type, row.event_type), (record.aggregate_type, record.event_type));
        assert_eq!(row.order_key, order_key);
        assert_eq!((row.headers.get("odd"), row.headers.len()), (Some(text), 2));
        assert_eq!(row.headers.get(&format!("odd {text}")), Some("name"));
    }
}

/// Five hundred headers and one of 100 kB.
pub async fn large_headers_survive<H: Harness>(h: &H) {
    let mut record = event("1");
    for n in 0..500 {
        record.headers.set(format!("header-{n}"), n.to_string());
    }
    record.headers.set("large", "x".repeat(100_000));
    let row = put_one(h, record).await;
    assert_eq!(row.headers.len(), 501);
    assert_eq!(
        (row.headers.get("header-499"), row.headers.get("large").map(str::len)),
        (Some("499"), Some(100_000))
    );
}

/// No table holds a NUL in a text; saying so costs the transaction nothing.
pub async fn a_nul_is_refused_and_the_transaction_goes_on<H: Harness>(h: &H) {
    let mut tx = h.begin().await;
    let before = event("before");
    insert(h, &mut tx, vec![before.clone()]).await;
    let mut in_header = event("x");
    in_header.headers.set("tenant-id", "secret\0value");
    for bad in [event("secret\0id"), in_header] {
        let error = within(tx.insert(h.table(), vec![event("good"), bad])).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
        assert!(
            error.to_string().contains("NUL") && !error.to_string().contains("secret"),
            "{error}"
        );
    }
    let after = event("after");
    insert(h, &mut tx, vec![after.clone()]).await;
    h.commit(tx).await;
    assert_eq!(
        message_ids(&read_all(h).await),
        [before.message_id, after.message_id],
        "a refused batch writes nothing"
    );
}

/// A payload of a megabyte does not wait in the relay's memory: it is read when its turn comes.
pub async fn a_large_payload_is_read_by_id<H: Harness>(h: &H) {
    let large: Vec<u8> = (0..1_048_576_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut at, mut above, mut megabyte) = (event("at"), event("above"), event("megabyte"));
    at.payload = Some(vec![7; DEFER_ABOVE]);
    above.payload = Some(vec![7; DEFER_ABOVE + 1]);
    megabyte.payload = Some(large.clone());
    let (at, above, megabyte) = (put_one(h, at).await, put_one(h, above).await, put_one(h, megabyte).await);
    assert!(at.payload == Payload::Bytes(vec![7; DEFER_ABOVE]));
    assert_eq!(above.payload, Payload::Deferred(DEFER_ABOVE + 1));
    assert_eq!(megabyte.payload, Payload::Deferred(1_048_576));
    let store = h.store();
    assert!(
        store.read_payload(megabyte.row()).await.unwrap() == Some(Some(large)),
        "the payload changed"
    );
    let mut other = megabyte.row();
    other.message_id = at.message_id;
    assert_eq!(
        store.read_payload(other).await.unwrap(),
        None,
        "an id that came back with another event is another row"
    );
    store.done(&[megabyte.row()], Retention::Delete).await.unwrap();
    assert_eq!(store.read_payload(megabyte.row()).await.unwrap(), None);
}

/// A wrong table name is one clear error.
pub async fn a_table_that_is_not_there_is_named<H: Harness>(h: &H) {
    let table = TableName::new("no_such_outbox").unwrap();
    let mut tx = h.begin().await;
    let error = within(tx.insert(&table, vec![event("1")])).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.to_string().contains("no_such_outbox"), "{error}");
    h.rollback(tx).await;
}

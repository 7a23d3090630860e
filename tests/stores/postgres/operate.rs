//! Operators beside writers: what is PostgreSQL's own about it.

use eventferry::event::Operator;
use eventferry::outbox::{Move, Status};
use eventferry::store::{Moved, Operate, RowFilter};
use eventferry::testing::conformance::store::Harness;
use eventferry::{MessageId, OpenTransaction};
use sqlx::Executor;

use crate::postgres::support::{Outbox, event, fresh, within};

fn alice() -> Operator {
    Operator::new("alice").unwrap()
}

async fn dead(outbox: &Outbox, count: usize) -> Vec<MessageId> {
    let records: Vec<_> = (0..count).map(|n| event(&n.to_string())).collect();
    let ids = records.iter().map(|record| record.message_id).collect();
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, records).await.unwrap();
    outbox.commit(tx).await;
    outbox.run("UPDATE outbox SET status = 4").await;
    ids
}

/// Its owner is about to record what became of it, or another operator moves it: no move waits for that, and none is lost in it.
#[tokio::test]
async fn a_row_that_somebody_writes_is_busy_and_the_others_move() {
    let outbox = fresh!("outbox");
    let ids = dead(&outbox, 3).await;
    let mut other = outbox.database.connect().await;
    other
        .execute("BEGIN; UPDATE outbox SET attempts = attempts WHERE id = (SELECT min(id) FROM outbox)")
        .await
        .unwrap();
    let answers = within(outbox.store.apply_to(Move::Requeue, &ids, &[Status::Dead], &alice()))
        .await
        .unwrap();
    let scheduled = Moved::To(Status::Scheduled);
    assert_eq!(answers, [Moved::Busy, scheduled, scheduled]);
    let all = within(outbox.store.apply_to_all(Move::Requeue, &RowFilter::dead(), &alice()))
        .await
        .unwrap();
    assert_eq!((all.moved, all.busy), (0, 1));
    other.execute("COMMIT").await.unwrap();
    assert_eq!(outbox.store.requeue(ids[0], &alice()).await.unwrap(), scheduled);
}

/// Many operators with the same wish: each row is moved by one of them.
#[tokio::test]
async fn operators_who_meet_move_each_row_once() {
    let outbox = fresh!("outbox");
    dead(&outbox, 300).await;
    let operators: Vec<Operator> = (0..8).map(|n| Operator::new(format!("operator-{n}")).unwrap()).collect();
    let filter = RowFilter::dead();
    let wishes = operators.iter().map(|by| outbox.store.apply_to_all(Move::Discard, &filter, by));
    let mut moved = 0;
    for count in within(crate::postgres::support::together(wishes)).await {
        moved += count.unwrap().moved;
    }
    assert_eq!(moved, 300);
    let left = outbox.store.list(&filter, 0, 10).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

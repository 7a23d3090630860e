//! Operators beside writers: what is PostgreSQL's own about it.

use eventferry::event::Operator;
use eventferry::outbox::{Move, Status};
use eventferry::store::postgres::PostgresStore;
use eventferry::store::{InboxTransaction, Moved, Operate, Place, RowFilter, ShowPayload};
use eventferry::testing::conformance::store::Harness;
use eventferry::{MessageId, OpenTransaction};
use sqlx::Executor;

use crate::postgres::roles::{drop_role, role};
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

#[tokio::test]
async fn an_operator_needs_no_more_than_the_documented_rights() {
    let outbox = fresh!("sales.events");
    let ids = dead(&outbox, 2).await;
    let pool = role(&outbox, &["USAGE ON SCHEMA sales", "SELECT, UPDATE ON outbox"]).await;
    let store = PostgresStore::new(pool.clone()).table(outbox.table.clone());
    assert_eq!(store.list(&RowFilter::dead(), 0, 10).await.unwrap().len(), 2);
    assert!(store.show(ids[0], ShowPayload::Read).await.unwrap().is_some());
    assert_eq!(store.requeue(ids[0], &alice()).await.unwrap(), Moved::To(Status::Scheduled));
    assert_eq!(store.discard(ids[1], &alice()).await.unwrap(), Moved::To(Status::Done));
    drop_role(&outbox, &pool).await;
}

#[tokio::test]
async fn a_consumer_by_position_needs_no_more_than_the_documented_rights() {
    let outbox = fresh!("sales.events");
    let grants = [
        "USAGE ON SCHEMA sales",
        "INSERT ON outbox_inbox",
        "INSERT, SELECT, UPDATE ON outbox_watermark",
    ];
    let pool = role(&outbox, &grants).await;
    let place = |position| Place::new("billing", "here/1", "orders", "order", "42", position);
    let mut tx = pool.begin().await.unwrap();
    assert!(tx.advance(&outbox.table, place(1)).await.unwrap());
    assert!(tx.advance(&outbox.table, place(2)).await.unwrap());
    assert!(tx.remember(&outbox.table, "billing", MessageId::random()).await.unwrap());
    tx.commit().await.unwrap();
    let user: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&pool).await.unwrap();
    let more = format!("GRANT SELECT, UPDATE, DELETE ON outbox_inbox, outbox_watermark TO {user}");
    outbox.run(&more).await;
    let mut tx = pool.begin().await.unwrap();
    let forgotten = tx.forget(&outbox.table, "billing", std::time::Duration::ZERO, 10).await.unwrap();
    assert_eq!(forgotten, 2);
    tx.commit().await.unwrap();
    drop_role(&outbox, &pool).await;
}

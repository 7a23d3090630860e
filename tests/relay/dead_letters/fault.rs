//! Only the event at fault dies, and an operator decides about it.

use std::time::Duration;

use eventferry::outbox::{OnDead, Status};
use eventferry::publish::{PublishError, PublishErrorKind};
use eventferry::store::{Moved, Operate, RowFilter, StoredRow};
use eventferry::{IncomingMessage, Message, MessageId, RetryPolicy};

use super::{Judging, alice, first_arrivals, ids, quick, row, with_a_large_one};
use crate::rig::{Ledger, Rig, soon};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_events_of_one_aggregate_only_the_one_too_large_dies() {
    let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    let (all, large) = with_a_large_one(&rig, "a", 1_000).await;
    let others = rig.fill(60, 3).await;
    let relay = rig.relay().max_attempts(3).retry(quick()).build().unwrap().start().await.unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 1_059 && stats.dead == 1))
        .await
        .unwrap();
    let (status, attempts, error) = row(&rig, large).await;
    assert_eq!(
        (status, attempts),
        (Status::Dead.code(), 0),
        "what can never be delivered costs no attempt: {error:?}"
    );
    assert!(error.unwrap().to_lowercase().contains("large"));
    let counted: i64 = sqlx::query_scalar("select count(*) from outbox where attempts > 0")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    assert_eq!(
        counted, 0,
        "neighbours in its batch are refused with it, and that is nobody's attempt"
    );
    let expected: Vec<_> = all.into_iter().filter(|id| *id != large).collect();
    let log = rig.topic.log().await;
    assert_eq!(first_arrivals(ids(&log, "a")), expected);
    for (aggregate, expected) in others.0 {
        assert_eq!(first_arrivals(ids(&log, &aggregate)), expected);
    }
    let end = relay.stop().await.unwrap();
    assert_eq!((end.dead, end.failed, end.strays), (1, 0, 0), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_decides_about_what_holds_and_the_order_stands() {
    let Some(rig) = Rig::new(2, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    rig.set_lease(1_500).await;
    let (requeued, requeued_large) = with_a_large_one(&rig, "requeued", 1_000).await;
    let (released, released_large) = with_a_large_one(&rig, "released", 40).await;
    let (discarded, discarded_large) = with_a_large_one(&rig, "discarded", 40).await;
    let healthy = rig.write((0..100).map(|n| rig.record("healthy", n)).collect()).await;
    let relay = rig
        .relay()
        .max_attempts(3)
        .retry(quick())
        .on_dead(OnDead::Hold)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("all that may go", relay.wait_for(|stats| stats.acked >= 640 && stats.dead == 3))
        .await
        .unwrap();
    let store = rig.store();
    let holding = store.list(&RowFilter::dead().status(Status::DeadHolding), 0, 10).await.unwrap();
    let listed: Vec<_> = holding.iter().map(|row| row.record.message_id).collect();
    assert_eq!(listed, [requeued_large, released_large, discarded_large]);
    let log = rig.topic.log().await;
    assert_eq!(first_arrivals(ids(&log, "requeued")), requeued[..500]);
    assert_eq!(first_arrivals(ids(&log, "released")), released[..20]);
    assert_eq!(first_arrivals(ids(&log, "discarded")), discarded[..20]);
    assert_eq!(first_arrivals(ids(&log, "healthy")), healthy);

    assert_eq!(store.release_held(released_large, &alice()).await.unwrap(), Moved::To(Status::Dead));
    assert_eq!(store.discard(discarded_large, &alice()).await.unwrap(), Moved::To(Status::Done));
    soon("their successors", relay.wait_for(|stats| stats.acked >= 640 + 38))
        .await
        .unwrap();
    let without = |all: &[MessageId], one: MessageId| -> Vec<_> { all.iter().copied().filter(|id| *id != one).collect() };
    let log = rig.topic.log().await;
    assert_eq!(first_arrivals(ids(&log, "released")), without(&released, released_large));
    assert_eq!(first_arrivals(ids(&log, "discarded")), without(&discarded, discarded_large));
    assert_eq!(first_arrivals(ids(&log, "requeued")), requeued[..500], "it is still held");

    rig.topic.set(&[("max.message.bytes", "100000")]).await;
    assert_eq!(store.requeue(requeued_large, &alice()).await.unwrap(), Moved::To(Status::Failed));
    soon("the rest", relay.wait_for(|stats| stats.acked >= 640 + 38 + 500))
        .await
        .unwrap();
    assert_eq!(
        first_arrivals(ids(&rig.topic.log().await, "requeued")),
        requeued,
        "the requeued one is in its place before its successors"
    );
    assert_eq!(row(&rig, requeued_large).await.0, Status::Done.code());
    assert_eq!(relay.stop().await.unwrap().strays, 0);
}

/// Refused fifty times and delivered at the fifty-first.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_of_attempts_an_event_is_tried_for_ever() {
    const REFUSALS: usize = 50;
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let all = rig.write((0..5).map(|n| rig.record("a", n)).collect()).await;
    let bad = all[2].to_string();
    let publisher = Judging::new(&rig, move |message: &Message, so_far| {
        (message.text_header("message-id") == Some(bad.as_str()) && so_far <= REFUSALS)
            .then(|| PublishError::new(PublishErrorKind::Retriable, "not yet"))
    });
    let relay = eventferry::relay::Relay::builder(rig.store(), publisher)
        .max_attempts(0)
        .retry(RetryPolicy::fixed(Duration::from_millis(1)))
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 5)).await.unwrap();
    let end = relay.stop().await.unwrap();
    assert_eq!((end.failed, end.dead), (REFUSALS as u64, 0));
    assert_eq!(row(&rig, all[2]).await.1, i32::try_from(REFUSALS).unwrap());
    assert_eq!(first_arrivals(ids(&rig.topic.log().await, "a")), all);
}

/// Without a dead-letter topic the table is where it stays, with what was last said, and nothing purges it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_dead_letter_topic_it_stays_in_the_table_with_its_last_error() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let mut ledger = Ledger::default();
    let all = rig.write((0..5).map(|n| rig.record("a", n)).collect()).await;
    let bad = all[2];
    ledger
        .0
        .insert("a".to_owned(), all.iter().copied().filter(|id| *id != bad).collect());
    let publisher = Judging::new(&rig, move |message: &Message, so_far| {
        (message.message_id() == Some(bad)).then(|| PublishError::new(PublishErrorKind::Retriable, format!("refusal {so_far}")))
    });
    let relay = eventferry::relay::Relay::builder(rig.store(), publisher)
        .max_attempts(4)
        .retry(quick())
        .retention(eventferry::Retention::Keep(Duration::ZERO))
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 4 && stats.dead == 1))
        .await
        .unwrap();
    let end = relay.stop().await.unwrap();
    assert_eq!(end.failed, 3, "the fourth is the one it died of");
    let dead: Vec<StoredRow> = rig.store().list(&RowFilter::dead(), 0, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].record.message_id, dead[0].record.attempts), (bad, 4));
    assert_eq!(dead[0].last_error.as_deref(), Some("refusal 4"));
    assert!(rig.compare(&ledger).await.holds());
}

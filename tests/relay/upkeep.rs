//! Retention, purge, scheduled events, draining.

use std::time::{Duration, SystemTime};

use eventferry::Retention;

use crate::rig::{Comparison, Rig, soon};

#[tokio::test(flavor = "multi_thread")]
async fn retention_delete_leaves_no_row() {
    let Some(rig) = Rig::new(2, &[]).await else { return };
    let ledger = rig.fill(1_000, 30).await;
    let relay = rig.relay().retention(Retention::Delete).build().unwrap().start().await.unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 1_000)).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from outbox")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    assert_eq!(rows, 0);
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_time_is_over_are_purged() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    rig.fill(1_000, 30).await;
    let first = rig.start().await;
    soon("all acks", first.wait_for(|stats| stats.acked >= 1_000)).await.unwrap();
    first.stop().await.unwrap();
    assert_eq!(rig.count(2).await, 1_000);
    let second = rig
        .relay()
        .retention(Retention::Keep(Duration::ZERO))
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("the purge", async {
        while rig.count(2).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_event_goes_when_its_time_comes_and_says_that_it_left_the_order() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let mut later = rig.record("a", 1);
    #[expect(clippy::disallowed_methods, reason = "a wish of the test's user, not a decision")]
    let now = SystemTime::now();
    later.deliver_at = Some(now + Duration::from_hours(1));
    let later_id = later.message_id;
    rig.write(vec![later, rig.record("a", 2)]).await;
    let relay = rig.start().await;
    soon("the first", relay.wait_for(|stats| stats.acked >= 1)).await.unwrap();
    assert_eq!(rig.topic.log().await.len(), 1, "the scheduled one waits, its successor does not");
    sqlx::query("update outbox set available_at = clock_timestamp() + interval '500 ms' where status = 1")
        .execute(&rig.db.pool)
        .await
        .unwrap();
    soon("the scheduled one", relay.wait_for(|stats| stats.acked >= 2)).await.unwrap();
    let log = rig.topic.log().await;
    let header = |n: usize, name: &str| {
        log[n]
            .headers
            .iter()
            .find(|(header, _)| header == name)
            .and_then(|(_, v)| v.clone())
            .map(|v| String::from_utf8(v).unwrap())
    };
    assert_eq!(header(1, "message-id"), Some(later_id.to_string()));
    assert_eq!(
        (header(0, "event-order"), header(1, "event-order")),
        (None, Some("none".to_owned()))
    );
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_leaves_no_duplicate() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let ledger = rig.fill(10_000, 300).await;
    let first = rig.start().await;
    soon("some acks", first.wait_for(|stats| stats.acked >= 1_000)).await.unwrap();
    let stats = first.stop().await.unwrap();
    assert_eq!(stats.known, 0, "everything in flight was waited for and recorded: {stats:?}");
    let second = rig.start().await;
    soon("the rest", second.wait_for(|after| after.acked + stats.acked >= 10_000))
        .await
        .unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    second.stop().await.unwrap();
}

//! Rows that wait, in numbers, and rows that somebody else has in hand: the others go on.

use std::time::{Duration, SystemTime};

use eventferry::RetryPolicy;
use eventferry_tests::kafka::TestTopic;
use sqlx::{AssertSqlSafe, Executor};

use crate::rig::{Comparison, Rig, soon};
use crate::server::{extend, scalar};

/// Rows by SQL: `rows` yields order key, whether ordered, status and when they are due.
async fn rows(rig: &Rig, topic: &str, rows: &str) {
    let statement = format!(
        "INSERT INTO outbox (order_key, ordered, status, available_at, aggregate_type, aggregate_id, topic, event_type)
         SELECT r.*, 'thing', 'x', '{topic}', 'Happened' FROM ({rows}) AS r"
    );
    rig.db.pool.execute(AssertSqlSafe(statement)).await.unwrap();
}

/// A hundred thousand due rows of a topic that is away, an aggregate of twenty thousand rows behind a failed one, twenty thousand delivered
/// rows to purge, and a transaction that stays open: three thousand events of others and some that are due
/// last get through, in order and uncounted.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_rows_that_cannot_go_hold_up_none_that_can() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let away = TestTopic::unborn(&rig.kafka);
    let due = "now() - interval '1 s'";
    rows(
        &rig,
        away.name(),
        &format!("SELECT (100000 + i) * 64 + i % 64, true, 3, {due} FROM generate_series(1, 50000) AS i"),
    )
    .await;
    rows(
        &rig,
        away.name(),
        &format!("SELECT (200000 + i) * 64 + i % 64, false, 1, {due} FROM generate_series(1, 50000) AS i"),
    )
    .await;
    rows(&rig, rig.topic.name(), "SELECT -7, true, 3, now() + interval '30 minutes'").await;
    rows(
        &rig,
        rig.topic.name(),
        "SELECT -7, true, 0, NULL::timestamptz FROM generate_series(1, 20000)",
    )
    .await;
    rows(
        &rig,
        rig.topic.name(),
        "SELECT 64 * i, true, 0, NULL::timestamptz FROM generate_series(1, 20000) AS i",
    )
    .await;
    rig.db
        .pool
        .execute("UPDATE outbox SET status = 2, processed_at = now() - interval '8 days' WHERE id > (SELECT max(id) - 20000 FROM outbox); ANALYZE outbox")
        .await
        .unwrap();
    let mut held = rig.db.connect().await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(); SELECT count(*) FROM outbox_meta";
    held.execute(sqlx::raw_sql(begin)).await.unwrap();
    let policy = RetryPolicy::exponential(Duration::from_millis(200), Duration::from_hours(1));
    let relay = rig.relay().retry(policy).build().unwrap().start().await.unwrap();
    let mut ledger = rig.fill(3_000, 40).await;
    // Due now, and so behind all the others that are.
    #[expect(clippy::disallowed_methods, reason = "a wish of the test's user, not a decision")]
    let now = SystemTime::now();
    for n in 0..64 {
        let mut scheduled = rig.record(&format!("scheduled {n}"), n);
        scheduled.deliver_at = Some(now);
        ledger.0.insert(scheduled.aggregate_id.clone(), rig.write(vec![scheduled]).await);
    }
    soon("3,064 acks", relay.wait_for(|stats| stats.acked >= 3_064)).await.unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    soon("the purge", async {
        while scalar(
            &rig.db.pool,
            "SELECT count(*) FROM outbox WHERE status = 2 AND processed_at < now() - interval '7 days'",
        )
        .await
            > 0
        {}
    })
    .await;
    let stats = relay.stop().await.unwrap();
    assert_eq!(
        (stats.delivered, stats.failed, stats.dead, stats.strays),
        (3_064, 0, 0, 0),
        "{stats:?}"
    );
    assert_eq!(scalar(&rig.db.pool, "SELECT sum(attempts) FROM outbox").await, 0);
    assert_eq!(
        (rig.count(0).await, rig.count(1).await, rig.count(3).await),
        (20_000, 50_000, 50_001)
    );
}

/// An operator's open transaction has one of a hundred rows locked: it is delivered, the others are recorded, and it as well in the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_operators_open_update_delays_the_record_of_its_row_only() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    rig.set_lease(3000).await;
    let mut ledger = rig.fill(100, 10).await;
    let mut operator = rig.db.connect().await;
    let update = "BEGIN; UPDATE outbox SET headers = '{\"looked-at\":\"yes\"}' WHERE id = (SELECT min(id) + 41 FROM outbox)";
    operator.execute(sqlx::raw_sql(update)).await.unwrap();
    let relay = rig.start().await;
    soon("99 recorded", async { while rig.count(2).await < 99 {} }).await;
    let all = relay.wait_for(|stats| (stats.delivered, stats.locked, stats.lanes) == (100, 1, 64));
    soon("it is known, and every lane held", all).await.unwrap();
    // More than the relay keeps in memory: what is recorded is known to be, and makes room.
    extend(&mut ledger, rig.fill(12_000, 40).await);
    soon("all but one recorded", relay.wait_for(|stats| stats.acked == 12_099))
        .await
        .unwrap();
    operator.execute("COMMIT").await.unwrap();
    soon("all recorded", relay.wait_for(|stats| stats.acked == 12_100)).await.unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    relay.stop().await.unwrap();
}

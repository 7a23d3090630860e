//! The broker is away, and whoever waits for it is killed.

use std::time::Duration;

use eventferry_tests::kafka::TestTopic;
use eventferry_tests::own_kafka::OwnKafka;
use tokio::time::{Instant, interval};

use crate::rig::{Comparison, Process, Rig, soon};

/// How often a relay is killed meanwhile, a second apart.
const KILLS: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_while_relays_are_killed_costs_no_attempt_and_no_event() {
    let Some(kafka) = OwnKafka::builder().start().await else { return };
    let topic = TestTopic::create(&kafka.brokers(), 3, &[]).await;
    let Some(rig) = Rig::with(kafka.brokers(), topic).await else {
        return;
    };
    sqlx::query("update outbox_meta set lease_ms = 2000")
        .execute(&rig.db.pool)
        .await
        .unwrap();
    let mut relays = vec![Process::start(&rig).await, Process::start(&rig).await];
    let mut ledger = rig.fill(500, 50).await;
    soon("the first", async { while rig.count(0).await > 0 {} }).await;
    kafka.stop(1).await;
    let mut every = interval(Duration::from_secs(1));
    for kill in 0..KILLS {
        every.tick().await;
        for (aggregate, ids) in rig.fill(100, 50).await.0 {
            ledger.0.entry(aggregate).or_default().extend(ids);
        }
        relays.remove(0).kill().await;
        relays.push(Process::start(&rig).await);
        let dead_or_counted: i64 = sqlx::query_scalar("select count(*) from outbox where status in (3, 4, 5) or attempts > 0")
            .fetch_one(&rig.db.pool)
            .await
            .unwrap();
        assert_eq!(dead_or_counted, 0, "after {kill} kills");
    }
    kafka.start_again(1).await;
    kafka.until_brokers(1).await;
    let back = Instant::now();
    soon("the rest", async {
        let mut tick = interval(Duration::from_millis(20));
        while rig.count(2).await < 500 + 100 * i64::from(KILLS) {
            tick.tick().await;
        }
    })
    .await;
    let attempts: i64 = sqlx::query_scalar("select coalesce(sum(attempts), 0)::int8 from outbox")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    let comparison = rig.compare(&ledger).await;
    eprintln!(
        "all delivered {:?} after the broker's return; {comparison:?}, {attempts} attempts",
        back.elapsed()
    );
    assert_eq!(attempts, 0);
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!(comparison, Comparison::CLEAN, "nothing was on its way when a relay was killed");
    for relay in relays {
        relay.stop().await;
    }
}

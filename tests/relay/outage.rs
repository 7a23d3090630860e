//! The broker is away, and whoever waits for it is killed.

use std::time::Duration;

use eventferry_tests::kafka::TestTopic;
use eventferry_tests::own_kafka::OwnKafka;
use tokio::time::{Instant, interval};

use crate::rig::{Comparison, Process, Rig, soon};

/// How long the broker is away if `EVENTFERRY_OUTAGE_SECONDS` says nothing.
const AWAY: u64 = 12;
/// How often every relay is killed meanwhile.
const EVERY: Duration = Duration::from_millis(2_500);
/// What condemns a lane: from then on its events go alone, each counted before it is sent.
const CONDEMNED: i32 = 3;

/// Lanes whose relays end again and again are read with care, where the attempt is counted before the event is sent: but not while nobody
/// could take it.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_while_relays_are_killed_costs_no_attempt_and_no_event() {
    let Some(kafka) = OwnKafka::builder().start().await else { return };
    let topic = TestTopic::create(&kafka.brokers(), 3, &[]).await;
    let Some(rig) = Rig::with(kafka.brokers(), topic).await else {
        return;
    };
    let seconds = std::env::var("EVENTFERRY_OUTAGE_SECONDS").map_or(AWAY, |seconds| seconds.parse().expect("a number"));
    rig.set_lease(1_000).await;
    let mut relays = vec![Process::start(&rig).await, Process::start(&rig).await];
    let mut ledger = rig.fill(500, 50).await;
    soon("the first", async { while rig.count(0).await > 0 {} }).await;
    kafka.stop(1).await;
    let gone = Instant::now();
    let mut every = interval(EVERY);
    let (mut kills, mut deaths) = (0, 0);
    while gone.elapsed().as_secs() < seconds || deaths < CONDEMNED {
        every.tick().await;
        for (aggregate, ids) in rig.fill(20, 20).await.0 {
            ledger.0.entry(aggregate).or_default().extend(ids);
        }
        let epochs = || sqlx::query_scalar::<_, i64>("select epoch from outbox_lane order by lane").fetch_all(&rig.db.pool);
        let before = epochs().await.unwrap();
        for relay in std::mem::take(&mut relays) {
            relay.kill().await;
            relays.push(Process::start(&rig).await);
        }
        kills += 1;
        soon("a takeover of every lane", async {
            while epochs().await.unwrap().iter().zip(&before).any(|(now, before)| now == before) {}
        })
        .await;
        deaths = sqlx::query_scalar("select max(deaths)::int4 from outbox_lane")
            .fetch_one(&rig.db.pool)
            .await
            .unwrap();
        let dead_or_counted: i64 = sqlx::query_scalar("select count(*) from outbox where status in (3, 4, 5) or attempts > 0")
            .fetch_one(&rig.db.pool)
            .await
            .unwrap();
        assert_eq!(dead_or_counted, 0, "after {kills} kills of both");
    }
    relays[0].counts("careful", 1).await;
    // Who begins now keeps its lanes, however busy the machine is.
    rig.set_lease(15_000).await;
    for relay in std::mem::take(&mut relays) {
        relay.kill().await;
        relays.push(Process::start(&rig).await);
    }
    relays[0].counts("careful", 1).await;
    let away = gone.elapsed();
    kafka.start_again(1).await;
    kafka.until_brokers(1).await;
    let back = Instant::now();
    soon("the rest", async {
        let mut tick = interval(Duration::from_millis(20));
        while rig.count(2).await < 500 + 20 * i64::from(kills) {
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
        "both relays killed {kills} times in {away:?}, {deaths} deaths of a lane; all delivered {:?} after the broker's return; \
         {comparison:?}, {attempts} attempts",
        back.elapsed()
    );
    assert_eq!(attempts, 0);
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!(comparison, Comparison::CLEAN, "nothing was on its way when a relay was killed");
    for relay in relays {
        relay.stop().await;
    }
}

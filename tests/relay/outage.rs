//! The broker is away, and whoever waits for it is killed.

use std::time::Duration;

use eventferry_tests::kafka::TestTopic;
use eventferry_tests::own_kafka::OwnKafka;
use tokio::time::{Instant, interval};

use crate::rig::{Ledger, Process, Rig, soon};

/// How long the broker is away if `EVENTFERRY_OUTAGE_SECONDS` says nothing.
const AWAY: u64 = 10;
/// How often every relay is killed meanwhile, and how often at least.
const EVERY: Duration = Duration::from_millis(2_500);
const KILLS: u32 = 4;
/// What condemns a lane: from then on its events go alone, each counted before it is sent.
const CONDEMNED: i32 = 3;
/// For longer than this after the last delivery a relay asks whether the broker is there before it counts.
const ANSWER_HOLDS: Duration = Duration::from_secs(1);

struct Crew {
    rig: Rig,
    relays: Vec<Process>,
    ledger: Ledger,
}

impl Crew {
    /// Writes something, kills both relays, and waits until others have every lane; answers the most deaths of a lane.
    async fn killed(&mut self, events: u64) -> i32 {
        for (aggregate, ids) in self.rig.fill(events, 20).await.0 {
            self.ledger.0.entry(aggregate).or_default().extend(ids);
        }
        let before = self.epochs().await;
        self.begin_anew().await;
        soon("a takeover of every lane", async {
            while self.epochs().await.iter().zip(&before).any(|(now, before)| now == before) {}
        })
        .await;
        sqlx::query_scalar("select max(deaths)::int4 from outbox_lane")
            .fetch_one(&self.rig.db.pool)
            .await
            .unwrap()
    }

    /// Kills both relays, and starts others.
    async fn begin_anew(&mut self) {
        for relay in std::mem::take(&mut self.relays) {
            relay.kill().await;
        }
        self.rig.end_leases().await;
        for _ in 0..2 {
            self.relays.push(Process::start(&self.rig).await);
        }
    }

    async fn epochs(&self) -> Vec<i64> {
        let epochs = sqlx::query_scalar("select epoch from outbox_lane order by lane");
        epochs.fetch_all(&self.rig.db.pool).await.unwrap()
    }

    async fn counted_or_dead(&self) -> i64 {
        sqlx::query_scalar("select count(*) from outbox where status in (3, 4, 5) or attempts > 0")
            .fetch_one(&self.rig.db.pool)
            .await
            .unwrap()
    }

    async fn delivered(&self, events: usize) {
        soon("deliveries", async {
            let mut tick = interval(Duration::from_millis(20));
            while self.rig.count(2).await < i64::try_from(events).unwrap() {
                tick.tick().await;
            }
        })
        .await;
    }
}

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
    let relays = vec![Process::start(&rig).await, Process::start(&rig).await];
    let ledger = rig.fill(500, 50).await;
    let mut crew = Crew { rig, relays, ledger };
    crew.delivered(500).await;
    kafka.stop(1).await;
    let gone = Instant::now();
    let mut every = interval(EVERY);
    let (mut kills, mut deaths) = (0, 0);
    while gone.elapsed().as_secs() < seconds || kills < KILLS {
        every.tick().await;
        deaths = crew.killed(if kills < KILLS { 150 } else { 5 }).await;
        kills += 1;
        assert_eq!(crew.counted_or_dead().await, 0, "after {kills} kills of both");
    }
    assert!(deaths >= CONDEMNED, "{deaths} deaths of a lane in {kills} kills");
    crew.killed(0).await;
    crew.relays[0].counts("careful", 1).await;
    let away = gone.elapsed();

    // It is back for a moment, so that relays who carry with care know the topic, and gone again in the middle of that.
    kafka.start_again(1).await;
    kafka.until_brokers(1).await;
    crew.delivered(505).await;
    kafka.kill(1).await;
    let left = crew.rig.count(0).await;
    assert!(left > 0, "nothing was left for the second outage");
    soon("the end of what was under way", async {
        let (mut tick, mut quiet) = (interval(Duration::from_millis(20)), Instant::now());
        while quiet.elapsed() < 3 * ANSWER_HOLDS {
            tick.tick().await;
            if crew.counted_or_dead().await > 0 {
                quiet = Instant::now();
            }
        }
    })
    .await;
    assert_eq!(crew.counted_or_dead().await, 0, "by relays that wait");
    crew.begin_anew().await;
    assert_eq!(crew.counted_or_dead().await, 0, "by relays that waited");
    kafka.start_again(1).await;
    kafka.until_brokers(1).await;
    let back = Instant::now();
    let all = crew.ledger.0.values().map(Vec::len).sum();
    crew.delivered(all).await;
    let comparison = crew.rig.compare(&crew.ledger).await;
    eprintln!(
        "both relays killed {kills} times in {away:?}, {deaths} deaths of a lane, {left} events left for the second outage; all delivered \
         {:?} after its end; {comparison:?}",
        back.elapsed()
    );
    assert_eq!(crew.counted_or_dead().await, 0);
    assert!(comparison.holds(), "{comparison:?}");
    // Of each relay one event goes alone, and the second end of the broker was a hard one.
    assert!(comparison.duplicates <= 2, "{comparison:?}");
    for relay in crew.relays {
        relay.stop().await;
    }
}

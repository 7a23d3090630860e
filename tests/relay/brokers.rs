//! What the brokers' side costs: one partition in trouble, and transactions.

use std::time::{Duration, Instant};

use eventferry::TableName;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::partitioner::partition_of;
use eventferry::relay::{Relay, RelayHandle};
use eventferry::store::postgres::PostgresStore;
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::own_kafka::OwnKafka;
use eventferry_tests::postgres::{self, FreshDatabase};
use sqlx::{AssertSqlSafe, Executor};

use super::floor;
use super::load::{self, Outcome, ROUNDS};

/// The client alone, in turns with and without transactions.
pub(super) async fn transactions(kafka: &str, events: u64) -> Outcome {
    for _ in 0..3 {
        floor("without transactions", KafkaPublisher::builder(kafka).build()?, kafka, events).await?;
        let publisher = KafkaPublisher::builder(kafka).transactions(Duration::from_mins(1)).build()?;
        floor("a transaction per batch", publisher, kafka, events).await?;
    }
    Ok(())
}

/// What happens to the broker of the fourth partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    NoLeader,
    FrozenLeader,
}

const AGGREGATES: u64 = 2_000;

/// How fast three of four partitions are, by what happens to the broker of the fourth; each in turns with rounds where all is well.
pub(super) async fn partitions(events: u64) -> Outcome {
    let brokers = OwnKafka::builder().nodes(2).start().await.ok_or("there is no Kafka to start")?;
    let away = |n: u64| partition_of(format!("a{n}").as_bytes(), 4) == 2;
    let others = (0..events).filter(|n| !away(n % AGGREGATES)).count() as u64;
    let turns = [Trouble::None, Trouble::NoLeader, Trouble::None, Trouble::FrozenLeader];
    let mut turns: Vec<Trouble> = turns.repeat(usize::try_from(ROUNDS)?);
    turns.push(Trouble::None);
    let mut rates = Vec::new();
    for trouble in turns {
        let topic = TestTopic::create_on(&brokers.brokers(), &[1, 1, 2, 1]).await;
        let db = filled(topic.name(), events, "500").await?;
        match trouble {
            Trouble::NoLeader => brokers.kill(2).await,
            Trouble::FrozenLeader => brokers.freeze(2).await,
            Trouble::None => {}
        }
        let publisher = KafkaPublisher::builder(brokers.brokers()).build()?;
        let relay = Relay::builder(PostgresStore::new(db.pool.clone()), publisher).build()?;
        let relay = relay.start().await?;
        // Where all is well the fourth partition's events are acked among the others'.
        let goal = if trouble == Trouble::None { events } else { others };
        rates.push((trouble, steadily(&relay, goal, others).await?));
        match trouble {
            Trouble::NoLeader => brokers.start_again(2).await,
            Trouble::FrozenLeader => brokers.thaw(2).await,
            Trouble::None => {}
        }
        let back = Instant::now();
        relay.wait_for(|stats| stats.acked >= events).await?;
        let (_, rate) = rates[rates.len() - 1];
        let rest = back.elapsed();
        load::say(&format!(
            "{trouble:?}: the others {rate:.0} a second; the rest {rest:.1?} after the broker is back"
        ))?;
        relay.stop().await?;
        brokers.until_brokers(2).await;
    }
    for trouble in [Trouble::NoLeader, Trouble::FrozenLeader] {
        compare(&format!("{trouble:?}"), &rates, &trouble)?;
    }
    Ok(())
}

/// How fast the others are while one event in a hundred is more than the topic takes; in turns with a topic that takes them all.
pub(super) async fn refused(kafka: &str, events: u64) -> Outcome {
    let mut turns = [false, true].repeat(usize::try_from(ROUNDS)?);
    turns.push(false);
    let (large, others) = (events / 100, events - events / 100);
    let mut rates = Vec::new();
    for refuses in turns {
        let limit = if refuses { "32768" } else { "1048588" };
        let topic = TestTopic::create(kafka, 4, &[("max.message.bytes", limit)]).await;
        let db = filled(topic.name(), events, "CASE WHEN i % 100 = 37 THEN 40000 ELSE 500 END").await?;
        // Smaller than the topic's limit, or it would refuse every batch.
        let publisher = KafkaPublisher::builder(kafka).set("batch.size", "16384").build()?;
        let relay = Relay::builder(PostgresStore::new(db.pool.clone()), publisher).build()?;
        let relay = relay.start().await?;
        let goal = if refuses { others } else { events };
        let rate = steadily(&relay, goal, others).await?;
        rates.push((refuses, rate));
        relay.wait_for(|stats| stats.acked + stats.dead >= events).await?;
        let stats = relay.stop().await?;
        load::say(&format!(
            "{} of {large} refused: the others {rate:.0} a second, {} sessions rebuilt",
            stats.dead, stats.sessions_rebuilt
        ))?;
    }
    compare("one in a hundred refused", &rates, &true)
}

/// The rate of `counted` of the `goal` events, without the first tenth, in which everything warms up.
async fn steadily(relay: &RelayHandle, goal: u64, counted: u64) -> Outcome<f64> {
    relay.wait_for(|stats| stats.acked >= goal / 10).await?;
    let (start, before) = (Instant::now(), relay.stats().acked);
    relay.wait_for(|stats| stats.acked >= goal).await?;
    let took = start.elapsed().as_secs_f64();
    let float = |n: u64| u32::try_from(n).map(f64::from);
    Ok(float(counted)? * float(goal.saturating_sub(before))? / float(goal)? / took)
}

/// Each rate of one kind beside the two before and after it.
fn compare<K: PartialEq>(label: &str, rates: &[(K, f64)], kind: &K) -> Outcome {
    let mut kept: Vec<f64> = rates
        .windows(3)
        .filter(|three| three[1].0 == *kind)
        .map(|three| 200.0 * three[1].1 / (three[0].1 + three[2].1))
        .collect();
    load::say(&format!("{label}: the others keep {} % of their rate", load::spread(&mut kept)))
}

/// A database with events of 2,000 aggregates and payloads of `bytes`, an SQL expression.
async fn filled(topic: &str, events: u64, bytes: &str) -> Outcome<FreshDatabase> {
    let db = postgres::fresh().await.ok_or("EVENTFERRY_PG_URL is not set")?;
    PostgresStore::migrate(&db.pool, &TableName::default()).await?;
    let statement = format!(
        "INSERT INTO outbox (order_key, aggregate_type, aggregate_id, key, topic, event_type, payload)
         SELECT hashint8extended(i % {AGGREGATES}, 0), 'thing', 'a' || i % {AGGREGATES}, 'a' || i % {AGGREGATES}, '{topic}', 'Happened',
             convert_to(repeat('x', {bytes}), 'UTF8')
         FROM generate_series(0, {events} - 1) AS i"
    );
    db.pool.execute(AssertSqlSafe(statement)).await?;
    db.pool.execute("VACUUM ANALYZE outbox").await?;
    Ok(db)
}

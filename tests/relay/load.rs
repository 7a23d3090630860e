//! What a loaded table costs: measured beside the same thing on an empty one, in the same run.

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eventferry::outbox::NewRecord;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::{Relay, RelayBuilder, RelayHandle};
use eventferry::store::postgres::PostgresStore;
use eventferry::{MessageId, OpenTransaction, Retention, RetryPolicy, TableName};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::own_postgres::OwnPostgres;
use eventferry_tests::postgres::{self, FreshDatabase};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A server with the settings of one that is used in earnest, an outbox, a topic.
struct Bench {
    db: FreshDatabase,
    kafka: String,
    topic: TestTopic,
    server: OwnPostgres,
}

impl Bench {
    async fn new(kafka: &str) -> Outcome<Self> {
        let server = OwnPostgres::start(&[
            ("shared_buffers", "512MB"),
            ("max_wal_size", "8GB"),
            ("log_min_duration_statement", "200"),
        ])
        .await
        .ok_or("EVENTFERRY_PG_BIN is not set")?;
        let db = postgres::fresh_on(&server).await;
        PostgresStore::migrate(&db.pool, &TableName::default()).await?;
        let topic = TestTopic::create(kafka, 12, &[]).await;
        Ok(Self {
            db,
            kafka: kafka.to_owned(),
            topic,
            server,
        })
    }

    fn relay(&self) -> Outcome<RelayBuilder<PostgresStore, KafkaPublisher>> {
        // A policy that allows for the waits the tables below are filled with.
        let retry = RetryPolicy::exponential(Duration::from_millis(200), Duration::from_hours(10));
        let publisher = KafkaPublisher::builder(&self.kafka).build()?;
        Ok(Relay::builder(PostgresStore::new(self.db.pool.clone()), publisher).retry(retry))
    }

    async fn start(&self) -> Outcome<RelayHandle> {
        Ok(self.relay()?.build()?.start().await?)
    }

    /// Rows by SQL: `rows` yields order key, status and when they are due.
    async fn rows(&self, topic: &str, rows: &str) -> Outcome {
        let statement = format!(
            "INSERT INTO outbox (order_key, status, available_at, aggregate_type, aggregate_id, key, topic, event_type, payload)
             SELECT r.*, 'thing', 'x', r.order_key, '{topic}', 'Happened', decode(repeat('78', 200), 'hex')
             FROM ({rows}) AS r (order_key, status, available_at)"
        );
        self.db.pool.execute(AssertSqlSafe(statement)).await?;
        Ok(())
    }

    /// Ready events over 10,000 aggregates.
    async fn backlog(&self, events: u64) -> Outcome {
        let rows = format!("SELECT (i % 10000) * 64 + i % 64, 0, NULL::timestamptz FROM generate_series(1, {events}) AS i");
        self.rows(self.topic.name(), &rows).await
    }

    /// One event in each lane, behind all that waits there; answers how long the relay takes to deliver them all, counted from `start`.
    async fn reach_every_lane(&self, relay: &RelayHandle, start: Instant) -> Outcome<Duration> {
        let before = relay.stats().acked;
        let rows = "SELECT 500000 * 64 + i, 0, NULL::timestamptz FROM generate_series(0, 63) AS i";
        self.rows(self.topic.name(), rows).await?;
        relay.wait_for(|stats| stats.acked >= before + 64).await?;
        Ok(start.elapsed())
    }

    async fn analyze(&self) -> Outcome {
        self.db.pool.execute("VACUUM ANALYZE outbox").await?;
        Ok(())
    }

    /// A transaction that keeps every dead row alive, and is in every snapshot.
    async fn held_open(&self) -> Outcome<PgConnection> {
        let mut connection = self.db.connect().await;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id(); SELECT count(*) FROM outbox_meta";
        connection.execute(sqlx::raw_sql(begin)).await?;
        Ok(connection)
    }
}

/// How often what is compared is measured, in turns.
pub(crate) const ROUNDS: u64 = 5;

/// The one in the middle, and the smallest and largest.
pub(crate) fn spread(values: &mut [f64]) -> String {
    values.sort_unstable_by(f64::total_cmp);
    match &*values {
        [] => "nothing".to_owned(),
        [low, .., high] => format!("{:.1} ({low:.1} to {high:.1}, {} rounds)", values[values.len() / 2], values.len()),
        [only] => format!("{only:.1}"),
    }
}

pub(crate) fn say(line: &str) -> Outcome {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

/// Latency of one healthy aggregate from its commit to a consumer, in turns: on an empty table, and beside a million rows of a topic that is
/// away, 100,000 failed rows, and one parked aggregate of a million rows, while a transaction is held open. And how long lanes stand when a
/// relay takes them over.
pub(crate) async fn latency(kafka: &str, seconds: u64) -> Outcome {
    let (idle, loaded) = (Bench::new(kafka).await?, Bench::new(kafka).await?);
    let away = TestTopic::unborn(kafka);
    let later = "now() + interval '5 hours'";
    let failed = format!("SELECT (100000 + i) * 64 + i % 64, 3, {later} FROM generate_series(1, 100000) AS i");
    let parked = "SELECT 7, 0, NULL::timestamptz FROM generate_series(1, 1000000)";
    loaded.rows(away.name(), &million("0")).await?;
    loaded.rows(loaded.topic.name(), &failed).await?;
    loaded.rows(loaded.topic.name(), &format!("SELECT 7, 3, {later}")).await?;
    loaded.rows(loaded.topic.name(), parked).await?;
    loaded.analyze().await?;
    let held = loaded.held_open().await?;
    for _ in 0..ROUNDS {
        for (bench, label) in [(&idle, "an empty table"), (&loaded, "all that waits")] {
            let start = Instant::now();
            let relay = bench.start().await?;
            let took = bench.reach_every_lane(&relay, start).await?;
            relay.stop().await?;
            say(&format!(
                "from the start of a relay until each lane has delivered, {label}: {took:.1?}"
            ))?;
        }
    }
    let relays = (idle.start().await?, loaded.start().await?);
    let mut differences = Vec::new();
    for _ in 0..ROUNDS {
        let alone = measure(&idle, "idle", seconds / ROUNDS).await?;
        let beside = measure(&loaded, "loaded", seconds / ROUNDS).await?;
        differences.push(beside.as_secs_f64() * 1000.0 - alone.as_secs_f64() * 1000.0);
    }
    drop(held);
    say(&format!(
        "p99 beside all that waits, less p99 on an empty table: {} ms",
        spread(&mut differences)
    ))?;
    relays.0.stop().await?;
    say(&format!("{:?}", relays.1.stop().await?))
}

/// A million rows over 10,000 aggregates.
fn million(from: &str) -> String {
    format!("SELECT (i % 10000 + {from}) * 64 + i % 64, 0, NULL::timestamptz FROM generate_series(1, 1000000) AS i")
}

/// An event every 10 ms; prints the distribution of latencies, and answers the p99. What comes first is only to warm all of it up.
async fn measure(bench: &Bench, label: &str, seconds: u64) -> Outcome<Duration> {
    const WARM_UP: usize = 200;
    let arrived: Arc<Mutex<HashMap<MessageId, Instant>>> = Arc::default();
    let over = Arc::new(AtomicBool::new(false));
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let consumer = std::thread::spawn({
        let (kafka, topic, arrived, over) = (bench.kafka.clone(), bench.topic.name().to_owned(), arrived.clone(), over.clone());
        move || consume(&kafka, &topic, &arrived, &over, ready)
    });
    is_ready.await?;
    let mut sent = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..WARM_UP as u64 + seconds * 100 {
        tick.tick().await;
        let record = NewRecord::new(bench.topic.name(), "thing", "healthy", "Happened", Some(vec![b'x'; 200]));
        let id = record.message_id;
        let mut tx = bench.db.pool.begin().await?;
        tx.insert(&TableName::default(), vec![record]).await?;
        tx.commit().await?;
        sent.push((id, Instant::now()));
    }
    let patience = Instant::now() + Duration::from_mins(5);
    loop {
        tick.tick().await;
        let all = arrived.lock().map_err(|_| "the consumer failed")?.len() >= sent.len();
        if all || Instant::now() > patience {
            break;
        }
    }
    over.store(true, Relaxed);
    consumer.join().map_err(|_| "the consumer failed")?;
    let arrived = arrived.lock().map_err(|_| "the consumer failed")?;
    let mut took: Vec<Duration> = sent[WARM_UP..]
        .iter()
        .filter_map(|(id, at)| arrived.get(id).map(|then| then.saturating_duration_since(*at)))
        .collect();
    took.sort_unstable();
    let at = |share: usize| {
        took.get((took.len() * share / 1000).min(took.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    say(&format!(
        "{label}: {} of {} events, p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, longest {:.1?}",
        took.len(),
        sent.len() - WARM_UP,
        at(500),
        at(990),
        at(999),
        at(1000)
    ))?;
    Ok(at(990))
}

fn consume(
    kafka: &str,
    topic: &str,
    arrived: &Mutex<HashMap<MessageId, Instant>>,
    over: &AtomicBool,
    ready: tokio::sync::oneshot::Sender<()>,
) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", "eventferry-bench")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "1")
        .create()
        .expect("a consumer can be made");
    let mut all = TopicPartitionList::new();
    for partition in 0..12 {
        let (_, end) = consumer
            .fetch_watermarks(topic, partition, Duration::from_secs(10))
            .expect("answers");
        all.add_partition_offset(topic, partition, Offset::Offset(end))
            .expect("a partition has an offset");
    }
    consumer.assign(&all).expect("partitions can be assigned");
    consumer.poll(Duration::from_millis(500));
    if ready.send(()).is_err() {
        return;
    }
    while !over.load(Relaxed) {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let now = Instant::now();
        let id = message
            .headers()
            .and_then(|headers| headers.iter().find(|h| h.key == "message-id")?.value);
        let id = id.and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse().ok());
        if let Some(id) = id {
            arrived.lock().expect("the other side does not panic").insert(id, now);
        }
    }
}

/// How fast a backlog goes: alone, beside a transaction held open, beside 100,000 failed rows and a million that wait for a topic.
pub(crate) async fn held(kafka: &str, events: u64) -> Outcome {
    for retention in [Retention::default(), Retention::Delete] {
        let bench = Bench::new(kafka).await?;
        drain(&bench, &format!("{retention:?}, alone"), events, retention).await?;
        drain(&bench, "alone, again", events, retention).await?;
        let held = bench.held_open().await?;
        drain(&bench, "a transaction held open", events, retention).await?;
        drain(&bench, "the same one, still open", events, retention).await?;
        drop(held);
        drain(&bench, "without it", events, retention).await?;
        let failed = "SELECT (100000 + i) * 64 + i % 64, 3, now() + interval '5 hours' FROM generate_series(1, 100000) AS i";
        bench.rows(bench.topic.name(), failed).await?;
        drain(&bench, "beside 100,000 failed rows", events, retention).await?;
        bench.rows(TestTopic::unborn(kafka).name(), &million("300000")).await?;
        for _ in 0..ROUNDS {
            drain(&bench, "and beside a million rows of a topic that is away", events, retention).await?;
        }
    }
    Ok(())
}

/// The backlog comes at once, to a relay that has passed all that waits.
async fn drain(bench: &Bench, label: &str, events: u64, retention: Retention) -> Outcome {
    bench.analyze().await?;
    let start = Instant::now();
    let relay = bench.relay()?.retention(retention).build()?.start().await?;
    let passed = bench.reach_every_lane(&relay, start).await?;
    bench.backlog(events).await?;
    let start = Instant::now();
    relay.wait_for(|stats| stats.acked >= 64 + events).await?;
    let time = start.elapsed();
    let stats = relay.stop().await?;
    let rate = u128::from(events) * 1_000_000 / time.as_micros().max(1);
    say(&format!(
        "{label}: each lane delivers after {passed:.1?}; {events} events in {:.2} s, {rate} a second; strays {}",
        time.as_secs_f64(),
        stats.strays
    ))
}

/// Purges a million delivered rows while events flow.
pub(crate) async fn purge(kafka: &str) -> Outcome {
    let bench = Bench::new(kafka).await?;
    bench.rows(bench.topic.name(), &million("0")).await?;
    bench
        .db
        .pool
        .execute("UPDATE outbox SET status = 2, processed_at = now() - interval '8 days'")
        .await?;
    bench.analyze().await?;
    let before = bench.server.log().len();
    let start = Instant::now();
    let relay = bench.start().await?;
    measure(&bench, "while a million rows are purged", 20).await?;
    let left = || {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox WHERE status = 2 AND processed_at < now() - interval '7 days'")
            .fetch_one(&bench.db.pool)
    };
    while left().await? > 0 {
        if start.elapsed() > Duration::from_mins(5) {
            return Err("the purge does not end".into());
        }
    }
    say(&format!(
        "nothing left to purge after {:.1} s at most",
        start.elapsed().as_secs_f64()
    ))?;
    measure(&bench, "after it", 10).await?;
    relay.stop().await?;
    let log = bench.server.log().split_off(before);
    let slow: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("duration:") && !line.contains("count(*)"))
        .collect();
    say(&format!("{} statements above 200 ms", slow.len()))?;
    for line in &slow {
        say(&line.chars().take(200).collect::<String>())?;
    }
    if slow.is_empty() {
        Ok(())
    } else {
        Err("a statement took longer than 200 ms".into())
    }
}

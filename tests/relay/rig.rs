//! One outbox, one topic, writers with a ledger of their own, and the comparison of that ledger with the log.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use eventferry::consume::Inbox;
use eventferry::outbox::NewRecord;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::{Relay, RelayBuilder, RelayHandle};
use eventferry::store::memory::MemoryStore;
use eventferry::store::postgres::PostgresStore;
use eventferry::{IncomingMessage, Message, MessageId, OpenTransaction, TableName};
use eventferry_tests::kafka::{Logged, TestTopic};
use eventferry_tests::own_postgres::OwnPostgres;
use eventferry_tests::postgres::FreshDatabase;
use eventferry_tests::{postgres, servers};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

/// Nothing a test waits for takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Rig {
    pub(crate) db: FreshDatabase,
    pub(crate) topic: TestTopic,
    pub(crate) kafka: String,
}

impl Rig {
    /// A migrated outbox and a topic; `None`, said aloud, where a server is missing.
    pub(crate) async fn new(partitions: i32, settings: &[(&str, &str)]) -> Option<Self> {
        let kafka = servers::require("kafka")?;
        let db = postgres::fresh().await?;
        let topic = TestTopic::create(&kafka, partitions, settings).await;
        Some(Self::of(db, kafka, topic).await)
    }

    /// The same on brokers, and with a topic, that the test has already.
    pub(crate) async fn with(kafka: String, topic: TestTopic) -> Option<Self> {
        Some(Self::of(postgres::fresh().await?, kafka, topic).await)
    }

    /// The same on a PostgreSQL of the test's own; `None`, said aloud, where there is no Kafka.
    pub(crate) async fn on(server: &OwnPostgres, partitions: i32) -> Option<Self> {
        let kafka = servers::require("kafka")?;
        let topic = TestTopic::create(&kafka, partitions, &[]).await;
        Some(Self::of(postgres::fresh_on(server).await, kafka, topic).await)
    }

    async fn of(db: FreshDatabase, kafka: String, topic: TestTopic) -> Self {
        PostgresStore::migrate(&db.pool, &TableName::default()).await.expect("migrates");
        sqlx::query("create table counters (id text primary key, n bigint not null)")
            .execute(&db.pool)
            .await
            .expect("creates");
        Self { db, topic, kafka }
    }

    pub(crate) fn store(&self) -> PostgresStore {
        PostgresStore::new(self.db.pool.clone())
    }

    pub(crate) fn publisher(&self) -> KafkaPublisher {
        KafkaPublisher::builder(&self.kafka).build().expect("builds")
    }

    pub(crate) fn relay(&self) -> RelayBuilder<PostgresStore, KafkaPublisher> {
        Relay::builder(self.store(), self.publisher())
    }

    pub(crate) async fn start(&self) -> RelayHandle {
        self.relay().build().expect("valid").start().await.expect("starts")
    }

    pub(crate) fn record(&self, aggregate: &str, n: u64) -> NewRecord {
        NewRecord::new(
            self.topic.name(),
            "thing",
            aggregate,
            "Happened",
            Some(format!("{{\"n\":{n}}}").into_bytes()),
        )
    }

    /// Writes events in one transaction and answers their ids.
    pub(crate) async fn write(&self, records: Vec<NewRecord>) -> Vec<MessageId> {
        let ids = records.iter().map(|record| record.message_id).collect();
        let mut tx = self.db.pool.begin().await.expect("begins");
        tx.insert(&TableName::default(), records).await.expect("inserts");
        tx.commit().await.expect("commits");
        ids
    }

    /// Writes `count` events over `aggregates` aggregates, 500 a transaction; answers the ledger.
    pub(crate) async fn fill(&self, count: u64, aggregates: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for start in (0..count).step_by(500) {
            let batch: Vec<_> = (start..(start + 500).min(count))
                .map(|n| (format!("a{}", n % aggregates), n))
                .collect();
            let records: Vec<_> = batch.iter().map(|(aggregate, n)| self.record(aggregate, *n)).collect();
            let ids = self.write(records).await;
            for ((aggregate, _), id) in batch.into_iter().zip(ids) {
                ledger.0.entry(aggregate).or_default().push(id);
            }
        }
        ledger
    }

    /// Sets how long a lease lasts, for relays that start from now on.
    pub(crate) async fn set_lease(&self, milliseconds: i32) {
        sqlx::query("update outbox_meta set lease_ms = $1")
            .bind(milliseconds)
            .execute(&self.db.pool)
            .await
            .expect("updates");
    }

    /// Frees what relays that have ended left in their hands, as if their leases had ended. Leases as short as a test would like are lost by
    /// relays on a slow machine.
    pub(crate) async fn end_leases(&self) {
        sqlx::raw_sql("delete from outbox_relay; update outbox_lane set leased_until = 'epoch' where owner is not null")
            .execute(&self.db.pool)
            .await
            .expect("updates");
    }

    /// Locks the last rows until its answer is rolled back: they are delivered and cannot be recorded. However slow the machine, what happens
    /// meanwhile happens in the middle.
    pub(crate) async fn lock_last(&self, rows: i64) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let mut locked = self.db.pool.begin().await.expect("begins");
        sqlx::query("select 1 from outbox where id > (select max(id) from outbox) - $1 for update")
            .bind(rows)
            .execute(&mut *locked)
            .await
            .expect("locks");
        locked
    }

    /// How many rows there are, by status.
    pub(crate) async fn count(&self, status: i16) -> i64 {
        sqlx::query_scalar("select count(*) from outbox where status = $1")
            .bind(status)
            .fetch_one(&self.db.pool)
            .await
            .expect("counts")
    }

    /// Compares the ledger with what stands in the topic.
    pub(crate) async fn compare(&self, ledger: &Ledger) -> Comparison {
        ledger.compare(&self.topic.log().await)
    }
}

/// What committed, in the order of commits, by aggregate.
#[derive(Debug, Default)]
pub(crate) struct Ledger(pub(crate) BTreeMap<String, Vec<MessageId>>);

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) lost: usize,
    pub(crate) phantom: usize,
    pub(crate) out_of_order: usize,
    pub(crate) duplicates: usize,
}

impl Comparison {
    pub(crate) const CLEAN: Self = Self {
        lost: 0,
        phantom: 0,
        out_of_order: 0,
        duplicates: 0,
    };

    /// Nothing lost, nothing made up, every first delivery in its place.
    pub(crate) fn holds(&self) -> bool {
        (self.lost, self.phantom, self.out_of_order) == (0, 0, 0)
    }
}

impl Ledger {
    /// How many events of this ledger a consumer that remembers positions takes for redeliveries though it has never seen them.
    pub(crate) async fn swallowed(&self, log: &[Logged]) -> usize {
        let (store, inbox) = (MemoryStore::new(), Inbox::new("tests").by_position());
        let (mut seen, mut swallowed) = (HashSet::new(), 0);
        for record in log {
            let mut message = Message::new("t", "");
            for (name, value) in &record.headers {
                let value = String::from_utf8(value.clone().expect("has a value")).expect("is text");
                message = message.with_header(name.as_str(), value);
            }
            let new = seen.insert(message.header("message-id").expect("has an id").to_owned());
            let mut tx = store.begin();
            let accepted = inbox.accept(&mut tx, &message).await.expect("accepts");
            tx.commit();
            swallowed += usize::from(new && !accepted.is_first());
        }
        swallowed
    }

    pub(crate) fn compare(&self, log: &[Logged]) -> Comparison {
        let mut comparison = Comparison::default();
        let mut first: HashMap<&str, Vec<MessageId>> = HashMap::new();
        let mut seen = HashSet::new();
        let committed: HashSet<MessageId> = self.0.values().flatten().copied().collect();
        for record in log {
            let header = |name: &str| {
                let value = record
                    .headers
                    .iter()
                    .find(|(n, _)| n == name)
                    .and_then(|(_, v)| v.as_deref())
                    .expect("has the header");
                std::str::from_utf8(value).expect("is text")
            };
            let id: MessageId = header("message-id").parse().expect("is an id");
            if !committed.contains(&id) {
                comparison.phantom += 1;
            } else if seen.insert(id) {
                first.entry(header("aggregate-id")).or_default().push(id);
            } else {
                comparison.duplicates += 1;
            }
        }
        for (aggregate, ids) in &self.0 {
            let arrived = first.remove(aggregate.as_str()).unwrap_or_default();
            comparison.lost += ids.len() - arrived.len();
            // Of what arrived, every event that stands behind one that committed later is out of its place.
            let place: HashMap<_, _> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
            comparison.out_of_order += arrived.windows(2).filter(|pair| place[&pair[0]] > place[&pair[1]]).count();
        }
        comparison
    }
}

/// Fails the test if something takes longer than anything should.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen within {PATIENCE:?}"))
}

/// A database in a file, gone at the end.
pub(crate) struct File(PathBuf);

impl File {
    pub(crate) fn new() -> Self {
        let parent = std::env::var_os("EVENTFERRY_RUN").map_or_else(std::env::temp_dir, PathBuf::from);
        Self(parent.join(format!("relay-{}.db", uuid::Uuid::new_v4().simple())))
    }

    /// As `relay-process` takes it.
    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.0.display())
    }

    pub(crate) async fn pool(&self) -> sqlx::SqlitePool {
        let options = SqliteConnectOptions::new().filename(&self.0).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(20));
        SqlitePoolOptions::new().connect_with(options).await.unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = self.0.clone().into_os_string();
            file.push(suffix);
            std::fs::remove_file(file).ok();
        }
    }
}

/// A relay in a process of its own, which can be killed.
pub(crate) struct Process {
    child: Child,
    /// Its end is the wish to stop; waiting for a child would close it.
    stdin: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Process {
    pub(crate) async fn start(rig: &Rig) -> Self {
        Self::start_with(rig, &[]).await
    }

    /// With options of `relay-process`.
    pub(crate) async fn start_with(rig: &Rig, options: &[&str]) -> Self {
        Self::start_between(rig.db.options.to_url_lossy().as_str(), &rig.kafka, options).await
    }

    /// Between a database and a broker that are reached in another way than the rig's own.
    pub(crate) async fn start_between(database: &str, kafka: &str, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_relay-process"))
            .arg(database)
            .arg(kafka)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("spawns");
        let stdin = child.stdin.take();
        let mut printed = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (heard, lines) = mpsc::unbounded_channel();
        // Read at all times: a process whose output nobody takes stands still when the pipe is full.
        tokio::spawn(async move {
            while let Ok(Some(line)) = printed.next_line().await {
                if heard.send(line).is_err() {
                    return;
                }
            }
        });
        let mut process = Self { child, stdin, lines };
        process.until("started", |line| line == "started").await;
        process
    }

    /// Reads what the relay prints until a line is as wanted.
    pub(crate) async fn until(&mut self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        soon(what, async {
            loop {
                let line = self.lines.recv().await.unwrap_or_else(|| panic!("the relay ended before: {what}"));
                if wanted(&line) {
                    return line;
                }
            }
        })
        .await
    }

    /// Reads until a counter, such as `known`, is at least so high.
    pub(crate) async fn counts(&mut self, counter: &str, at_least: u64) {
        self.until(counter, |line| {
            line.split_once(' ')
                .is_some_and(|(name, n)| name == counter && n.parse::<u64>().is_ok_and(|n| n >= at_least))
        })
        .await;
    }

    /// Waits until so many events are recorded as delivered by this process.
    pub(crate) async fn acked(&mut self, count: u64) {
        self.until("acks", |line| {
            line.strip_prefix("acked ")
                .and_then(|n| n.parse::<u64>().ok())
                .is_some_and(|n| n >= count)
        })
        .await;
    }

    /// Waits until it has ended by itself, and takes it away.
    pub(crate) async fn ends(process: &mut Option<Self>) {
        if let Some(running) = process {
            let status = running.child.wait().await.expect("waits");
            assert!(!status.success(), "{status}");
        }
        *process = None;
    }

    /// Sends a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("is running").to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().await.expect("kills");
        assert!(status.success(), "kill -s {name} {pid}: {status}");
    }

    /// SIGKILL: no destructor runs.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("kills");
    }

    /// Closes its stdin, which it takes as the wish to stop.
    pub(crate) async fn stop(mut self) {
        drop(self.stdin.take());
        let status = soon("the end of the relay", self.child.wait()).await.expect("waits");
        assert!(status.success(), "{status}");
    }
}

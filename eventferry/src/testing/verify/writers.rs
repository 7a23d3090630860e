//! Writers that carry out a plan, whatever happens to their database.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::event::{MessageId, TableName, Topic};
use crate::outbox::NewRecord;
use crate::store::{OpenTransaction, StoreError, StoreErrorKind};
use crate::testing::verify::books::{Books, BooksError, Entry};
use crate::testing::verify::workload::{End, Step, Transaction, Workload};

/// The type of every aggregate that a verification writes to.
const AGGREGATE_TYPE: &str = "verified";
/// A transaction that takes longer has lost its connection in a way that nobody tells it.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a writer waits after its database failed it.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Writers at work on a [`Workload`].
///
/// # Examples
/// The whole line in memory: writers, a relay, a log, the comparison.
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use eventferry::publish::memory::MemoryPublisher;
/// use eventferry::relay::Relay;
/// use eventferry::store::memory::MemoryStore;
/// use eventferry::testing::verify::{Arrivals, Books, Checker, MemoryBooks, Workload, Writers};
/// use eventferry::{TableName, Topic};
///
/// let (store, broker) = (MemoryStore::new(), MemoryPublisher::new());
/// let books = MemoryBooks::new(store.clone());
/// let relay = Relay::builder(store, broker.clone()).build()?.start().await?;
///
/// let writers = Writers::start(&Workload::new(7), &books, &TableName::default(), &Topic::new("orders")?);
/// relay.wait_for(|stats| stats.acked >= 200).await?;
/// let written = writers.stop().await;
/// let journal = books.read().await?;
/// relay.wait_for(|stats| stats.acked as usize >= journal.len()).await?;
///
/// let mut arrivals = Arrivals::new();
/// let now = std::time::SystemTime::now(); // a real log has a time for each message
/// for (place, message) in (0..).zip(broker.messages("orders")) {
///     arrivals.arrive(&message, now, (0, place));
/// }
/// let report = Checker::new().check(&journal, &arrivals);
/// assert!(report.holds(), "{written}\n{report}");
/// # Ok(()) }
/// # tokio::runtime::Runtime::new()?.block_on(run())?;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "dropping the writers stops them in the middle"]
#[derive(Debug)]
pub struct Writers {
    stop: watch::Sender<bool>,
    counts: Arc<Counts>,
    tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    events: AtomicU64,
    committed: AtomicU64,
    rolled_back: AtomicU64,
    repeated: AtomicU64,
    failed: AtomicU64,
}

/// What writers believe they have done. The journal knows better: of the failed ones some may have committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Events of transactions whose commit was confirmed.
    pub events: u64,
    /// Transactions whose commit was confirmed.
    pub committed: u64,
    /// Transactions that were rolled back or dropped as planned.
    pub rolled_back: u64,
    /// How often a transaction was told that another was in its way (a deadlock, a busy file), and was repeated.
    pub repeated: u64,
    /// Transactions that ended in an error, with an outcome the writer may not know.
    pub failed: u64,
}

impl Writers {
    /// Starts them. They go on until they are stopped; an error of the database ends a transaction and no writer.
    pub fn start<B: Books>(workload: &Workload, books: &B, table: &TableName, topic: &Topic) -> Self {
        let stop = watch::Sender::new(false);
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        for number in 0..workload.writers {
            let writer = Writer {
                books: books.clone(),
                workload: workload.clone(),
                table: table.clone(),
                topic: topic.clone(),
                counts: Arc::clone(&counts),
                rng: fastrand::Rng::with_seed(!workload.seed ^ u64::from(number)),
            };
            tasks.spawn(writer.run(number, stop.subscribe()));
        }
        Self { stop, counts, tasks }
    }

    /// What they have done so far.
    pub fn written(&self) -> Written {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Written {
            events: read(&self.counts.events),
            committed: read(&self.counts.committed),
            rolled_back: read(&self.counts.rolled_back),
            repeated: read(&self.counts.repeated),
            failed: read(&self.counts.failed),
        }
    }

    /// Lets each writer end its transaction, and waits for that.
    ///
    /// # Panics
    /// If a writer did.
    ///
    /// # Cancel safety
    /// Dropping the future stops the writers in the middle of their transactions.
    pub async fn stop(mut self) -> Written {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
        self.written()
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events in {} transactions; {} rolled back, {} repeated, {} failed",
            self.events, self.committed, self.rolled_back, self.repeated, self.failed
        )
    }
}

struct Writer<B> {
    books: B,
    workload: Workload,
    table: TableName,
    topic: Topic,
    counts: Arc<Counts>,
    rng: fastrand::Rng,
}

impl<B: Books> Writer<B> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a writer that pauses between transactions waits for nothing but time"
    )]
    async fn run(mut self, number: u32, stop: watch::Receiver<bool>) {
        for planned in self.workload.transactions(number) {
            if *stop.borrow() {
                return;
            }
            let mut outcome = self.attempt(&planned).await;
            while outcome.as_ref().is_err_and(in_the_way) && !*stop.borrow() {
                self.counts.repeated.fetch_add(1, Ordering::Relaxed);
                sleep(self.workload.short(&mut self.rng)).await;
                outcome = self.attempt(&planned).await;
            }
            match (outcome, planned.end) {
                (Ok(events), End::Commit) => {
                    self.counts.events.fetch_add(events, Ordering::Relaxed);
                    self.counts.committed.fetch_add(1, Ordering::Relaxed);
                }
                (Ok(_), End::Rollback | End::Drop) => drop(self.counts.rolled_back.fetch_add(1, Ordering::Relaxed)),
                // Stopped before it was repeated: nothing failed, and nothing was written.
                (Err(error), _) if in_the_way(&error) => return,
                (Err(error), _) => {
                    self.counts.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(error = error.as_ref() as &dyn std::error::Error, "a transaction failed");
                    sleep(AFTER_FAILURE).await;
                }
            }
            sleep(self.workload.short(&mut self.rng)).await;
        }
    }

    async fn attempt(&mut self, planned: &Transaction) -> Result<u64, BooksError> {
        match timeout(LONGEST, self.carry_out(planned)).await {
            Ok(outcome) => outcome,
            Err(elapsed) => Err(elapsed.into()),
        }
    }

    /// One transaction; answers how many events it left in the table.
    #[expect(clippy::disallowed_methods, reason = "a transaction that lingers waits for nothing but time")]
    async fn carry_out(&mut self, planned: &Transaction) -> Result<u64, BooksError> {
        let mut transaction = self.books.begin().await?;
        let mut events = 0;
        for step in &planned.steps {
            match step {
                Step::Enqueue(aggregates) => {
                    self.enqueue(&mut transaction, aggregates).await?;
                    events += aggregates.len() as u64;
                }
                Step::Attempt { aggregates, kept } => {
                    if self.books.savepoint(&mut transaction).await? {
                        self.enqueue(&mut transaction, aggregates).await?;
                        self.books.end_savepoint(&mut transaction, *kept).await?;
                        events += if *kept { aggregates.len() as u64 } else { 0 };
                    }
                }
                Step::Pause(pause) => sleep(*pause).await,
            }
        }
        match planned.end {
            End::Commit => self.books.commit(transaction).await?,
            End::Rollback => self.books.rollback(transaction).await?,
            End::Drop => drop(transaction),
        }
        Ok(events)
    }

    async fn enqueue(&mut self, transaction: &mut B::Transaction, aggregates: &[u32]) -> Result<(), BooksError> {
        let mut entries = Vec::with_capacity(aggregates.len());
        let mut records = Vec::with_capacity(aggregates.len());
        for number in aggregates {
            let entry = Entry {
                aggregate: format!("a{number}"),
                message_id: MessageId::random(),
            };
            let payload = format!("{{\"filler\":\"{}\"}}", "x".repeat(self.workload.payload));
            let mut record = NewRecord::new(
                self.topic.as_str(),
                AGGREGATE_TYPE,
                &entry.aggregate,
                "Happened",
                Some(payload.into_bytes()),
            );
            record.message_id = entry.message_id;
            records.push(record);
            entries.push(entry);
        }
        transaction.insert(&self.table, records).await?;
        self.books.enter(transaction, &entries).await
    }
}

/// Whether the transaction was told to repeat, having written nothing.
fn in_the_way(error: &BooksError) -> bool {
    error
        .downcast_ref::<StoreError>()
        .is_some_and(|error| error.kind() == StoreErrorKind::Contention)
}

//! What writers do, by seed. Pure: the same seed always plans the same transactions.

use std::time::Duration;

/// What the writers of a verification do.
///
/// Transactions overlap on shared aggregates, write to several aggregates, write many events at once, roll back as a whole or to a savepoint, and
/// linger between the enqueue and the commit. What is planned depends on the seed alone; how the transactions interleave does not.
///
/// # Examples
/// ```
/// use eventferry::testing::verify::Workload;
///
/// let workload = Workload::new(7).writers(4).aggregates(10);
/// let plan: Vec<_> = workload.transactions(0).take(100).collect();
/// assert_eq!(plan, workload.transactions(0).take(100).collect::<Vec<_>>());
/// assert_ne!(plan, workload.transactions(1).take(100).collect::<Vec<_>>(), "each writer has its own");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a workload does nothing until `Writers` run it"]
pub struct Workload {
    pub(super) seed: u64,
    pub(super) writers: u32,
    pub(super) aggregates: u32,
    pub(super) bulk: usize,
    pub(super) payload: usize,
    pub(super) pause: Duration,
}

/// One transaction of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// How it ends.
    pub end: End,
}

/// One step of a planned transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// One insert of an event for each of these aggregates, in this order.
    Enqueue(Vec<u32>),
    /// The same after a savepoint, which is then released or rolled back to.
    Attempt {
        /// The aggregates.
        aggregates: Vec<u32>,
        /// Whether the events stay.
        kept: bool,
    },
    /// Time in which other transactions overlap this one.
    Pause(Duration),
}

/// How a planned transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It commits.
    Commit,
    /// It rolls back.
    Rollback,
    /// It is dropped without either.
    Drop,
}

impl Workload {
    /// Eight writers on 24 aggregates, bulks of up to 150 events, 60 bytes a payload.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            writers: 8,
            aggregates: 24,
            bulk: 150,
            payload: 60,
            pause: Duration::from_millis(40),
        }
    }

    /// How many write at once.
    pub fn writers(mut self, writers: u32) -> Self {
        self.writers = writers;
        self
    }

    /// How many aggregates they share; at least one.
    pub fn aggregates(mut self, aggregates: u32) -> Self {
        self.aggregates = aggregates.max(1);
        self
    }

    /// The most events one insert writes; at least one.
    pub fn bulk(mut self, events: usize) -> Self {
        self.bulk = events.max(1);
        self
    }

    /// How many bytes a payload has, at the least.
    pub fn payload(mut self, bytes: usize) -> Self {
        self.payload = bytes;
        self
    }

    /// The longest pause within a transaction, and between two of a writer.
    pub fn pause(mut self, longest: Duration) -> Self {
        self.pause = longest;
        self
    }

    /// What one writer does, without end.
    pub fn transactions(&self, writer: u32) -> impl Iterator<Item = Transaction> + Send + use<> {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ (u64::from(writer) << 32));
        let plan = self.clone();
        std::iter::repeat_with(move || plan.transaction(&mut rng))
    }

    fn transaction(&self, rng: &mut fastrand::Rng) -> Transaction {
        // Few with several inserts: two of those deadlock when they meet in opposite order, as anybody's would.
        let steps = match rng.u8(..100) {
            0..3 => 0,
            3..80 => 1,
            80..95 => 2,
            _ => 3,
        };
        let mut planned = Vec::new();
        for _ in 0..steps {
            planned.push(match rng.u8(..100) {
                0..15 => Step::Attempt {
                    aggregates: self.pick(rng, 4),
                    kept: rng.bool(),
                },
                15..19 => Step::Enqueue(self.pick(rng, self.bulk)),
                _ => Step::Enqueue(self.pick(rng, 3)),
            });
            if rng.u8(..100) < 30 {
                planned.push(Step::Pause(self.short(rng)));
            }
        }
        let end = match rng.u8(..100) {
            0..8 => End::Rollback,
            8..12 => End::Drop,
            _ => End::Commit,
        };
        Transaction { steps: planned, end }
    }

    fn pick(&self, rng: &mut fastrand::Rng, most: usize) -> Vec<u32> {
        (0..rng.usize(1..=most)).map(|_| rng.u32(..self.aggregates)).collect()
    }

    pub(super) fn short(&self, rng: &mut fastrand::Rng) -> Duration {
        self.pause.mul_f64(rng.f64())
    }
}

//! What a run is made of: its sizes, its settings, and what may go wrong in it. Everything else follows from the seed.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::outbox::OnDead;
use crate::store::Retention;

/// Something that may go wrong. Each has dice of its own, so that sparing one throw leaves the others as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fault {
    /// A statement never reaches the database.
    StatementLost,
    /// A statement takes effect; its answer is lost.
    AnswerLost,
    /// A statement is reported as failed and takes effect later.
    EffectLate,
    /// What a process that is gone or asleep had sent is lost on its way.
    Ghost,
    /// A publish of one event by itself is refused.
    Refused,
    /// A batch of a session is refused.
    BatchRefused,
    /// A broker refuses a batch that it takes when it is repeated.
    #[cfg(feature = "kafka")]
    BatchDelayed,
    /// The connection breaks; that ends a session of those that do not repeat by themselves.
    SessionBreaks,
    /// A publish of one event by itself finds nobody.
    Unreachable,
    /// It gets no answer in time, and arrives nevertheless.
    ArrivesLate,
    /// A topic cannot be looked up.
    NotDescribed,
    /// A session cannot be opened.
    NotOpened,
    /// The dead-letter topic refuses.
    LetterRefused,
    /// A process is killed, and started again.
    Kill,
    /// A process is stopped, and goes on.
    Pause,
    /// A lane is freed behind its owner's back.
    Steal,
    /// Somebody else takes a group's transactional id.
    Fence,
    /// The database's clock is set forward or back.
    ClockStep,
    /// An older copy of the database takes over.
    FailOver,
    /// A partition answers nobody for a while.
    Stall,
    /// A topic is not there for a while.
    TopicAway,
    /// A relay is asked to stop, and another one starts.
    Restart,
    /// Somebody has the row of a delivered event locked.
    RowLocked,
}

/// One throw of one fault's dice.
pub(super) type Throw = (Fault, u32);

/// How events travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broker {
    /// One at a time.
    Plain,
    /// By sessions that keep the prefix rule and nothing more.
    Sessions,
    /// By simulated idempotent clients, whose session keeps the warm rule or not.
    #[cfg(feature = "kafka")]
    Kafka {
        rule: crate::publish::kafka::WarmRule,
        /// After this long without a record a partition is cold again.
        idle: Duration,
        /// After this long the broker forgets a producer.
        expiry: Duration,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) writers: usize,
    /// How many transactions are begun, at most.
    pub(super) transactions: u32,
    pub(super) aggregates: u64,
    pub(super) relays: usize,
    pub(super) write_for: Duration,
    /// How often a transaction stays open for long.
    pub(super) slow: f64,
    pub(super) unordered: f64,
    pub(super) scheduled: f64,
    pub(super) deferred: f64,
    /// A topic for each aggregate, instead of one for each event.
    pub(super) one_topic: bool,

    pub(super) broker: Broker,
    /// Into how many groups the lanes are divided, each with a session that fences the one before; 1 fences nobody.
    pub(super) groups: u8,
    pub(super) window: usize,
    pub(super) plain_limit: usize,
    pub(super) lease: Duration,
    pub(super) poll: Duration,
    pub(super) full_pass: Duration,
    pub(super) max_attempts: u32,
    pub(super) on_dead: OnDead,
    pub(super) dead_letter: bool,
    pub(super) retention: Retention,
    /// How many late rows one read returns at most.
    pub(super) late_limit: usize,
    /// Facts gather for this long before the core is told.
    pub(super) gather: Duration,
    /// An operator looks after dead rows.
    pub(super) operator: bool,

    /// The share of events that are refused for ever.
    pub(super) poison: f64,
    /// The share of events that end the process which hands them over.
    pub(super) deadly: f64,
    /// At most so many of them do: the first that are handed over.
    pub(super) deadly_most: usize,
    /// How often each of the others strikes: by throw, or in all for what befalls the whole world.
    pub(super) rates: Vec<(Fault, f64)>,
    /// What no stall concerns arrives so soon after its commit.
    pub(super) patience: Option<Duration>,
    /// Faults end here.
    pub(super) faults_for: Duration,
    /// Throws that do not count, whatever they show.
    pub(super) spared: BTreeSet<Throw>,
}

impl Plan {
    /// A world in which nothing goes wrong.
    pub(super) fn quiet(seed: u64) -> Self {
        Self {
            seed,
            writers: 6,
            transactions: u32::MAX,
            aggregates: 16,
            relays: 3,
            write_for: Duration::from_secs(1),
            slow: 0.05,
            unordered: 0.1,
            scheduled: 0.03,
            deferred: 0.01,
            one_topic: false,
            broker: Broker::Sessions,
            groups: 1,
            window: 64,
            plain_limit: 8,
            lease: Duration::from_millis(1_500),
            poll: Duration::from_millis(10),
            full_pass: Duration::from_secs(8),
            max_attempts: 3,
            on_dead: OnDead::Continue,
            dead_letter: false,
            retention: Retention::Delete,
            late_limit: 1_000,
            gather: Duration::ZERO,
            operator: false,
            poison: 0.0,
            deadly: 0.0,
            deadly_most: usize::MAX,
            rates: Vec::new(),
            patience: None,
            faults_for: Duration::from_millis(2_500),
            spared: BTreeSet::new(),
        }
    }

    pub(super) fn with(mut self, fault: Fault, rate: f64) -> Self {
        self.rates.push((fault, rate));
        self
    }

    pub(super) fn rate(&self, fault: Fault) -> f64 {
        self.rates.iter().filter(|(of, _)| *of == fault).map(|(_, rate)| *rate).sum()
    }

    /// A world in which some events end the process that hands them over, and nothing else does.
    pub(super) fn deadly(seed: u64) -> Self {
        let mut plan = Self::any(seed);
        plan.deadly = [0.003, 0.01, 0.03][usize::try_from(seed % 3).unwrap_or(0)];
        plan.deadly_most = [1, 1, 2, 5][usize::try_from(seed / 3 % 4).unwrap_or(0)];
        plan.lease = plan.lease.min(Duration::from_millis(1_500));
        let kept = [
            Fault::Refused,
            Fault::BatchRefused,
            Fault::SessionBreaks,
            Fault::Unreachable,
            Fault::ArrivesLate,
            Fault::NotDescribed,
            Fault::NotOpened,
            Fault::LetterRefused,
            Fault::Stall,
            Fault::TopicAway,
        ];
        plan.rates.retain(|(fault, _)| kept.contains(fault));
        plan
    }

    /// Whether a relay ends for no other reason than an event.
    pub(super) fn only_events_kill(&self) -> bool {
        let other = [
            Fault::Kill,
            Fault::Pause,
            Fault::Steal,
            Fault::ClockStep,
            Fault::FailOver,
            Fault::Restart,
            Fault::Fence,
            Fault::StatementLost,
            Fault::AnswerLost,
            Fault::EffectLate,
            Fault::Ghost,
        ];
        other.iter().all(|fault| self.rate(*fault) == 0.0)
    }

    /// A world on simulated Kafka, with partitions that go cold and brokers that forget.
    #[cfg(feature = "kafka")]
    pub(super) fn kafka(seed: u64) -> Self {
        let mut plan = Self::any(seed);
        plan.broker = Broker::Kafka {
            rule: crate::publish::kafka::WarmRule::Kept,
            idle: Duration::from_millis(100),
            expiry: Duration::from_millis(400),
        };
        plan.groups = 1;
        let kept = [
            Fault::Kill,
            Fault::Pause,
            Fault::Ghost,
            Fault::NotDescribed,
            Fault::NotOpened,
            Fault::AnswerLost,
        ];
        plan.rates.retain(|(fault, _)| kept.contains(fault));
        plan.with(Fault::BatchDelayed, 0.1)
            .with(Fault::BatchRefused, 0.01)
            .with(Fault::SessionBreaks, 0.05)
    }

    /// A world of its own for each seed: sizes and settings from the whole range, some faults often, some rarely, most not at all.
    pub(super) fn any(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(mix(seed, 1, 1));
        let mut plan = Self::quiet(seed);
        plan.writers = rng.usize(1..=8);
        plan.aggregates = [1, 2, 4, 8, 16, 24][rng.usize(..6)];
        plan.relays = rng.usize(1..=4);
        plan.write_for = Duration::from_millis(rng.u64(300..1_500));
        plan.faults_for = plan.write_for + Duration::from_millis(rng.u64(500..2_500));
        plan.slow = [0.0, 0.05, 0.2][rng.usize(..3)];
        plan.unordered = [0.0, 0.1, 0.5][rng.usize(..3)];
        plan.scheduled = [0.0, 0.05, 0.2][rng.usize(..3)];
        plan.deferred = [0.0, 0.0, 0.05][rng.usize(..3)];
        plan.one_topic = rng.bool();
        plan.broker = if rng.u8(..4) == 0 { Broker::Plain } else { Broker::Sessions };
        plan.groups = if plan.broker == Broker::Sessions {
            [1, 1, 8][rng.usize(..3)]
        } else {
            1
        };
        plan.window = [8, 24, 64, 1_000][rng.usize(..4)];
        plan.plain_limit = [1, 4, 32][rng.usize(..3)];
        plan.lease = Duration::from_millis([600, 1_500, 3_000][rng.usize(..3)]);
        plan.poll = Duration::from_millis([5, 20, 50][rng.usize(..3)]);
        plan.full_pass = Duration::from_millis([300, 2_000, 8_000][rng.usize(..3)]);
        plan.max_attempts = [1, 2, 3, 5][rng.usize(..4)];
        plan.on_dead = if rng.bool() { OnDead::Continue } else { OnDead::Hold };
        plan.dead_letter = rng.u8(..3) == 0;
        plan.retention = if rng.bool() {
            Retention::Delete
        } else {
            Retention::Keep(Duration::from_hours(1))
        };
        plan.late_limit = [1, 3, 1_000][rng.usize(..3)];
        plan.gather = Duration::from_millis([0, 2, 20][rng.usize(..3)]);
        plan.operator = plan.on_dead == OnDead::Hold || rng.bool();
        plan.poison = [0.0, 0.01, 0.05][rng.usize(..3)];
        for (fault, often) in [
            (Fault::StatementLost, 0.05),
            (Fault::AnswerLost, 0.05),
            (Fault::EffectLate, 0.05),
            (Fault::Ghost, 0.5),
            (Fault::Refused, 0.1),
            (Fault::BatchRefused, 0.02),
            (Fault::SessionBreaks, 0.02),
            (Fault::Unreachable, 0.05),
            (Fault::ArrivesLate, 0.05),
            (Fault::NotDescribed, 0.2),
            (Fault::NotOpened, 0.3),
            (Fault::LetterRefused, 0.3),
            (Fault::Kill, 4.0),
            (Fault::Pause, 4.0),
            (Fault::Steal, 12.0),
            (Fault::Fence, 1.0),
            (Fault::ClockStep, 3.0),
            (Fault::FailOver, 1.0),
            (Fault::Stall, 2.0),
            (Fault::TopicAway, 1.0),
            (Fault::Restart, 2.0),
            (Fault::RowLocked, 0.2),
        ] {
            let rate = match rng.u8(..4) {
                0 => often,
                1 if often < 1.0 => often / 4.0,
                _ => continue,
            };
            plan.rates.push((fault, rate));
        }
        plan
    }
}

/// One number out of three, evenly spread.
pub(super) fn mix(seed: u64, kind: u64, number: u64) -> u64 {
    let mut z = seed ^ kind.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03);
    for _ in 0..2 {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    z
}

//! What is broken when, by seed. Pure: a schedule can be printed, and planned again from its seed.

use std::fmt;
use std::time::Duration;

use crate::testing::proxy::Way;

/// The longest calm between two faults.
const CALM: Duration = Duration::from_secs(4);

/// Something that breaks, in a setup with several relays in processes of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// SIGKILL to a relay, which is started again.
    KillRelay,
    /// SIGSTOP to a relay until its lease is over, then SIGCONT.
    FreezeRelay,
    /// The wall clock of the relays' host goes an hour forward, and is set back.
    StepClock,
    /// The database is stopped in an orderly way and started.
    RestartDatabase,
    /// SIGKILL to the whole database, which recovers from its log.
    KillDatabase,
    /// The broker is stopped in an orderly way and started.
    RestartBroker,
    /// SIGKILL to the broker.
    KillBroker,
    /// Every connection of a line is closed, and refused for a while.
    Cut(Link),
    /// Each byte on a line is late.
    Slow(Link),
    /// A line carries nothing, and its connections stay open.
    Stall(Link, Way),
    /// Somebody takes lanes from their owner by hand.
    StealLanes,
    /// The database has no connection left for anybody new.
    ExhaustConnections,
    /// Somebody keeps the database file from being written: a transaction that began to write and does not end.
    HoldFile,
}

/// What the outbox is in, which decides what can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Database {
    /// A server that everybody connects to.
    Server,
    /// A file that every process opens by itself.
    File,
}

/// The lines that can be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Link {
    /// From the writers to the database.
    WritersDatabase,
    /// From the relays to the database.
    RelaysDatabase,
    /// From the relays to the broker.
    RelaysBroker,
}

/// One fault of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Act {
    /// When it begins.
    pub at: Duration,
    /// How long it lasts; zero if it is over at once.
    pub lasts: Duration,
    /// What breaks.
    pub fault: Fault,
    /// Which relay it concerns, and the source of small choices of whoever carries it out.
    pub which: u32,
}

/// A turn of a schedule, as it is to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Turn {
    /// Break it.
    Begin,
    /// Mend it.
    End,
}

/// Faults over a length of time.
///
/// Faults may overlap, except those of one thing (the same line, the database, the broker), and of several relays one is always spared.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use eventferry::testing::verify::{Fault, Schedule};
///
/// let minute = Duration::from_secs(60);
/// let plan = Schedule::plan(7, minute, Duration::from_secs(3), 3, Fault::ALL);
/// assert_eq!(plan, Schedule::plan(7, minute, Duration::from_secs(3), 3, Fault::ALL));
/// assert!(plan.acts().iter().all(|act| act.at + act.lasts < minute));
/// println!("{plan}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    seed: u64,
    acts: Vec<Act>,
}

impl Fault {
    /// Every fault.
    pub const ALL: &[Self] = &[
        Self::KillRelay,
        Self::FreezeRelay,
        Self::StepClock,
        Self::RestartDatabase,
        Self::KillDatabase,
        Self::RestartBroker,
        Self::KillBroker,
        Self::Cut(Link::WritersDatabase),
        Self::Cut(Link::RelaysDatabase),
        Self::Cut(Link::RelaysBroker),
        Self::Slow(Link::WritersDatabase),
        Self::Slow(Link::RelaysDatabase),
        Self::Slow(Link::RelaysBroker),
        Self::Stall(Link::WritersDatabase, Way::Both),
        Self::Stall(Link::RelaysDatabase, Way::Up),
        Self::Stall(Link::RelaysDatabase, Way::Down),
        Self::Stall(Link::RelaysDatabase, Way::Both),
        Self::Stall(Link::RelaysBroker, Way::Up),
        Self::Stall(Link::RelaysBroker, Way::Down),
        Self::Stall(Link::RelaysBroker, Way::Both),
        Self::StealLanes,
        Self::ExhaustConnections,
        Self::HoldFile,
    ];

    /// The faults that can befall a setup with such a database. A file has no process to end, no line to cut and no connections to use up; a
    /// server's tables are not kept from being written by one open transaction.
    ///
    /// # Examples
    /// ```
    /// use eventferry::testing::verify::{Database, Fault};
    ///
    /// assert!(!Fault::of(Database::File).contains(&Fault::KillDatabase));
    /// assert!(!Fault::of(Database::Server).contains(&Fault::HoldFile));
    /// ```
    pub fn of(database: Database) -> Vec<Self> {
        Self::ALL.iter().copied().filter(|fault| fault.befalls(database)).collect()
    }

    fn befalls(self, database: Database) -> bool {
        match self {
            Self::KillRelay | Self::FreezeRelay | Self::StepClock | Self::RestartBroker | Self::KillBroker | Self::StealLanes => true,
            Self::RestartDatabase | Self::KillDatabase | Self::ExhaustConnections => database == Database::Server,
            Self::Cut(link) | Self::Slow(link) | Self::Stall(link, _) => database == Database::Server || link == Link::RelaysBroker,
            Self::HoldFile => database == Database::File,
        }
    }

    /// The faults whose name begins so: `kill` names three, `stall-relays-broker-down` one.
    ///
    /// # Examples
    /// ```
    /// use eventferry::testing::verify::Fault;
    ///
    /// assert_eq!(Fault::named("kill").len(), 3);
    /// assert_eq!(Fault::named("stall-relays-broker-down").len(), 1);
    /// assert!(Fault::named("flood").is_empty());
    /// ```
    pub fn named(prefix: &str) -> Vec<Self> {
        let named = Self::ALL.iter().filter(|fault| fault.to_string().starts_with(prefix));
        named.copied().collect()
    }

    fn lasts(self, lease: Duration, rng: &mut fastrand::Rng) -> Duration {
        let between = |low: f64, high: f64, rng: &mut fastrand::Rng| Duration::from_secs_f64(low + (high - low) * rng.f64());
        match self {
            Self::KillRelay => between(0.1, 2.0, rng),
            Self::FreezeRelay => lease + between(0.5, 4.0, rng),
            Self::StepClock | Self::Slow(_) | Self::ExhaustConnections => between(2.0, 6.0, rng),
            Self::RestartDatabase | Self::KillDatabase | Self::RestartBroker | Self::KillBroker => between(0.1, 3.0, rng),
            Self::Cut(_) if rng.bool() => Duration::ZERO,
            Self::Cut(_) => between(0.1, 4.0, rng),
            Self::Stall(..) | Self::HoldFile => between(0.5, 2.0, rng).max(lease.mul_f64(2.0 * rng.f64())),
            Self::StealLanes => Duration::ZERO,
        }
    }

    /// Whether one relay is gone while it lasts.
    fn of_one_relay(self) -> bool {
        match self {
            Self::KillRelay | Self::FreezeRelay => true,
            Self::StepClock
            | Self::RestartDatabase
            | Self::KillDatabase
            | Self::RestartBroker
            | Self::KillBroker
            | Self::Cut(_)
            | Self::Slow(_)
            | Self::Stall(..)
            | Self::StealLanes
            | Self::ExhaustConnections
            | Self::HoldFile => false,
        }
    }

    /// Whether both concern one thing, so that they cannot be carried out at once.
    fn collides(self, other: Self) -> bool {
        let thing = |fault: Self| match fault {
            Self::KillRelay | Self::FreezeRelay => None,
            Self::StepClock => Some((0, None)),
            // A database that is down, or that nobody can write to, has no lanes to steal and no connections to use up.
            Self::RestartDatabase | Self::KillDatabase | Self::StealLanes | Self::ExhaustConnections | Self::HoldFile => Some((1, None)),
            Self::RestartBroker | Self::KillBroker => Some((2, None)),
            Self::Cut(link) | Self::Slow(link) | Self::Stall(link, _) => Some((3, Some(link))),
        };
        thing(self).is_some() && thing(self) == thing(other)
    }
}

impl Schedule {
    /// Plans faults of the kinds given for a setup of so many relays with that lease. All of them are mended within `length`.
    pub fn plan(seed: u64, length: Duration, lease: Duration, relays: u32, faults: &[Fault]) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut acts: Vec<Act> = Vec::new();
        let mut at = CALM.mul_f64(0.25);
        // Each kind once before one comes again.
        let mut left = Vec::new();
        while !faults.is_empty() {
            if left.is_empty() {
                left.extend_from_slice(faults);
                rng.shuffle(&mut left);
            }
            let Some(fault) = left.pop() else { break };
            let lasts = fault.lasts(lease, &mut rng);
            let which = rng.u32(..relays.max(1) * 4);
            if at + lasts >= length {
                break;
            }
            let relay = |which: u32| which % relays.max(1);
            let during: Vec<&Act> = acts.iter().filter(|act| act.at + act.lasts >= at).collect();
            let gone = during.iter().filter(|act| act.fault.of_one_relay());
            let spared = (relays as usize).saturating_sub(1).max(1);
            let taken = during.iter().any(|act| act.fault.collides(fault))
                || fault.of_one_relay() && (gone.clone().count() >= spared || gone.clone().any(|act| relay(act.which) == relay(which)));
            if taken {
                at = during.iter().map(|act| act.at + act.lasts).max().unwrap_or(at) + Duration::from_millis(100);
                left.push(fault);
                continue;
            }
            acts.push(Act { at, lasts, fault, which });
            let overlap = rng.u8(..100) < 30;
            at += CALM.mul_f64(rng.f64()) + if overlap { lasts.mul_f64(rng.f64()) } else { lasts };
        }
        Self { seed, acts }
    }

    /// What happens, by its beginning.
    pub fn acts(&self) -> &[Act] {
        &self.acts
    }

    /// Every beginning and end, in order of time: when, the number of the act, and which of the two.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use eventferry::testing::verify::{Fault, Schedule, Turn};
    ///
    /// let plan = Schedule::plan(7, Duration::from_secs(60), Duration::from_secs(3), 3, Fault::ALL);
    /// let turns = plan.turns();
    /// assert_eq!(turns.len(), plan.acts().len() * 2, "each begins and ends");
    /// assert!(turns.is_sorted_by_key(|(at, _, _)| *at) && turns[0].2 == Turn::Begin);
    /// ```
    pub fn turns(&self) -> Vec<(Duration, usize, Turn)> {
        let mut turns = Vec::with_capacity(2 * self.acts.len());
        for (number, act) in self.acts.iter().enumerate() {
            turns.push((act.at, number, Turn::Begin));
            turns.push((act.at + act.lasts, number, Turn::End));
        }
        turns.sort_by_key(|(at, number, turn)| (*at, *number, *turn == Turn::End));
        turns
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {} faults", self.seed, self.acts.len())?;
        for act in &self.acts {
            write!(f, "\n  {act}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>8.3} s  {:<28} for {:.3} s  #{}",
            self.at.as_secs_f64(),
            self.fault.to_string(),
            self.lasts.as_secs_f64(),
            self.which
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillRelay => f.write_str("kill-relay"),
            Self::FreezeRelay => f.write_str("freeze-relay"),
            Self::StepClock => f.write_str("step-clock"),
            Self::RestartDatabase => f.write_str("restart-database"),
            Self::KillDatabase => f.write_str("kill-database"),
            Self::RestartBroker => f.write_str("restart-broker"),
            Self::KillBroker => f.write_str("kill-broker"),
            Self::Cut(link) => write!(f, "cut-{link}"),
            Self::Slow(link) => write!(f, "slow-{link}"),
            Self::Stall(link, Way::Up) => write!(f, "stall-{link}-up"),
            Self::Stall(link, Way::Down) => write!(f, "stall-{link}-down"),
            Self::Stall(link, Way::Both) => write!(f, "stall-{link}-both"),
            Self::StealLanes => f.write_str("steal-lanes"),
            Self::ExhaustConnections => f.write_str("exhaust-connections"),
            Self::HoldFile => f.write_str("hold-file"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WritersDatabase => "writers-database",
            Self::RelaysDatabase => "relays-database",
            Self::RelaysBroker => "relays-broker",
        })
    }
}

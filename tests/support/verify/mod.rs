//! One run of the verifier: writers, PostgreSQL or SQLite, relays in processes of their own, Kafka, and faults between all of them.

mod crew;
mod database;
mod stage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use eventferry::testing::verify::{
    Books, Checker, Database, Fault, Link, PostgresBooks, Report, Schedule, SqliteBooks, Turn, Workload, Writers, Written,
};
use eventferry::{TableName, Topic};
use tokio::time::{Instant, interval, sleep_until};

use crate::standstills::Standstills;
use crate::verify::database::Home;
use crate::verify::stage::Stage;

/// How long everything may take to be delivered after the last fault, and how long no row at all.
const DRAIN: Duration = Duration::from_mins(10);
const PATIENCE: Duration = Duration::from_mins(1);
/// How much longer than planned a fault may take before everything after it is put off.
const SLACK: Duration = Duration::from_secs(1);

/// What is to be verified.
#[derive(Debug, Clone)]
#[must_use = "nothing runs until `run` is called"]
pub struct Verification {
    seed: u64,
    length: Duration,
    lease: Duration,
    relays: u32,
    database: Database,
    faults: Vec<Fault>,
    relay_program: PathBuf,
    relay_options: Vec<String>,
    workload: Workload,
}

/// What came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The faults as planned.
    pub schedule: Schedule,
    /// The comparison.
    pub report: Report,
    /// What the writers believe.
    pub written: Written,
    /// Rows that were still waiting when the patience was over.
    pub unsettled: i64,
    /// Attempts counted; nothing in a verification is an event's own fault.
    pub attempts: i64,
    /// Whether a fault, or the machine, let leases end: an event that was on its way alone when its relay ended keeps its attempt, and is delivered.
    pub attempts_excused: bool,
    /// Dead rows.
    pub dead: i64,
    /// Rows that relays found only by their pass from the start.
    pub strays: u64,
    /// Starts of relays.
    pub starts: u64,
    /// The rows that waited just before something was killed or stopped, where the database could still say.
    pub under_way: Vec<(Fault, i64)>,
    /// How often this process stood still for more than a second: what waited meanwhile waited for the machine.
    pub standstills: usize,
}

impl Verification {
    /// A run of so many seconds by this seed on PostgreSQL with relays from this program (`relay-process`): three of them, a lease of 3 s, no
    /// faults.
    pub fn new(seed: u64, length: Duration, relay_program: PathBuf) -> Self {
        Self {
            seed,
            length,
            lease: Duration::from_secs(3),
            relays: 3,
            database: Database::Server,
            faults: Vec::new(),
            relay_program,
            relay_options: Vec::new(),
            workload: Workload::new(seed),
        }
    }

    /// Whether the outbox is on a PostgreSQL or in an SQLite file.
    pub fn database(mut self, database: Database) -> Self {
        self.database = database;
        self
    }

    /// Which faults may happen. Those that cannot befall the database are left out.
    pub fn faults(mut self, faults: &[Fault]) -> Self {
        self.faults = faults.to_vec();
        self
    }

    /// How many relays; at least one.
    pub fn relays(mut self, relays: u32) -> Self {
        self.relays = relays.max(1);
        self
    }

    /// More arguments for each relay.
    pub fn relay_options(mut self, options: &[&str]) -> Self {
        self.relay_options = options.iter().map(|option| (*option).to_owned()).collect();
        self
    }

    /// Other writers.
    pub fn workload(mut self, workload: Workload) -> Self {
        self.workload = workload;
        self
    }

    /// The longest time an aggregate may stand still after everything is mended: a lease, a heartbeat, and 5 s.
    pub fn patience(&self) -> Duration {
        self.lease + self.lease / 3 + Duration::from_secs(5)
    }

    /// Runs it; `None`, said aloud, where the servers' programs are missing. `say` hears how it goes.
    ///
    /// # Panics
    /// If a server or a relay does not do what it was told: what was to be verified is then not known.
    pub async fn run(&self, mut say: impl FnMut(&str)) -> Option<Outcome> {
        let wanted = self.only_what_can_happen();
        let schedule = Schedule::plan(self.seed, self.length, self.lease, self.relays, &wanted.faults);
        say(&schedule.to_string());
        let stage = Stage::open(&wanted).await?;
        let outcome = match stage.home() {
            Home::Postgres(server) => {
                let books = PostgresBooks::open(server.writers_pool()).await;
                wanted.run_with(schedule, stage, books.expect("the journal can be made"), say).await
            }
            Home::Sqlite(file) => {
                let books = SqliteBooks::open(file.writers_pool()).await;
                wanted.run_with(schedule, stage, books.expect("the journal can be made"), say).await
            }
        };
        Some(outcome)
    }

    fn only_what_can_happen(&self) -> Self {
        let possible = Fault::of(self.database);
        let mut wanted = self.clone();
        wanted.faults.retain(|fault| possible.contains(fault));
        wanted
    }

    async fn run_with<B: Books>(&self, schedule: Schedule, mut stage: Stage, books: B, mut say: impl FnMut(&str)) -> Outcome {
        let topic = Topic::new(stage.topic()).expect("a topic of ours is valid");
        say("everything is up");
        let standstills = Standstills::watch();
        let writers = Writers::start(&self.workload, &books, &TableName::default(), &topic);
        let (checker, under_way) = self.play(&schedule, &mut stage, &writers, &mut say).await;
        let written = writers.stop().await;
        let unsettled = drained(&stage, &mut say).await;
        let strays = stage.end_relays().await;
        let (attempts, dead) = stage.home().attempts_and_dead().await;
        let journal = books.read().await.expect("the journal can be read");
        let standstills = standstills.end();
        let stood_still = |checker: Checker, (from, to): &(SystemTime, SystemTime)| checker.disturbed(*from, *to);
        let report = standstills
            .iter()
            .fold(checker, stood_still)
            .check(&journal, &stage.arrivals().await);
        Outcome {
            schedule,
            report,
            written,
            unsettled,
            attempts,
            attempts_excused: !standstills.is_empty() || self.faults.iter().any(|fault| ends_leases(*fault)),
            dead,
            strays,
            starts: stage.starts(),
            under_way,
            standstills: standstills.len(),
        }
    }

    /// A checker that knows of no fault yet.
    fn checker(&self) -> Checker {
        Checker::new().patience(self.patience())
    }

    /// Whether somebody else carries on: then it counts from the moment at which one was lost, not from its return. A process that is
    /// stopped in the middle of writing to a file keeps everybody else from it.
    fn others_carry_on(&self, fault: Fault) -> bool {
        let held = fault == Fault::FreezeRelay && self.database == Database::File;
        let one = matches!(fault, Fault::KillRelay | Fault::FreezeRelay | Fault::StealLanes);
        one && !held && self.relays > 1
    }

    /// Carries out the schedule, and answers a checker that knows what was broken when, and how many rows waited for what was killed.
    async fn play(
        &self,
        schedule: &Schedule,
        stage: &mut Stage,
        writers: &Writers,
        say: &mut impl FnMut(&str),
    ) -> (Checker, Vec<(Fault, i64)>) {
        // Moved on by whatever takes longer than planned, so that what comes later keeps its length.
        let mut begin = Instant::now();
        let mut tick = interval(Duration::from_secs(5));
        tick.tick().await;
        let mut checker = self.checker();
        let mut broken = vec![SystemTime::UNIX_EPOCH; schedule.acts().len()];
        let mut turns = schedule.turns().into_iter().peekable();
        let mut under_way = Vec::new();
        loop {
            let next = turns.peek().map_or(self.length, |(at, _, _)| *at);
            tokio::select! {
                biased;
                () = sleep_until(begin + next) => {}
                _ = tick.tick() => {
                    let (elapsed, waiting) = (begin.elapsed().as_secs(), stage.home().waiting().await);
                    say(&format!("{elapsed:>5} s  {}; {} rows wait", writers.written(), waiting.map_or("?".to_owned(), |n| n.to_string())));
                    continue;
                }
            }
            let Some((_, number, turn)) = turns.next() else {
                return (checker, under_way);
            };
            let act = schedule.acts()[number];
            if turn == Turn::Begin {
                if ends_processes(act.fault)
                    && let Some(rows) = caught_at_work(stage).await
                {
                    under_way.push((act.fault, rows));
                }
                broken[number] = wall_clock();
                stage.begin(act).await;
                continue;
            }
            stage.end(act).await;
            let whole = if self.others_carry_on(act.fault) {
                broken[number]
            } else {
                wall_clock()
            };
            checker = checker.disturbed(broken[number], whole);
            let (now, took) = (begin.elapsed(), begin.elapsed().saturating_sub(act.at));
            begin += took.saturating_sub(act.lasts + SLACK);
            say(&format!(
                "{:>9.3} s  {} is over after {:.1} s",
                now.as_secs_f64(),
                act.fault,
                took.as_secs_f64()
            ));
        }
    }
}

/// How many rows wait where something is about to be ended: some, if there are any within three seconds, so that it has work under way.
async fn caught_at_work(stage: &Stage) -> Option<i64> {
    let mut tick = interval(Duration::from_millis(2));
    let (mut rows, begin) = (None, Instant::now());
    while rows.is_none_or(|rows| rows == 0) && begin.elapsed() < Duration::from_secs(3) {
        tick.tick().await;
        rows = stage.home().waiting().await.or(rows);
    }
    rows
}

/// Waits until no row waits, for as long as there are ever fewer of them; answers how many are left.
async fn drained(stage: &Stage, say: &mut impl FnMut(&str)) -> i64 {
    let mut tick = interval(Duration::from_millis(100));
    let begin = Instant::now();
    let (mut fewest, mut since) = (i64::MAX, begin);
    while fewest > 0 && since.elapsed() < PATIENCE && begin.elapsed() < DRAIN {
        tick.tick().await;
        if let Some(waiting) = stage.home().waiting().await
            && waiting < fewest
        {
            (fewest, since) = (waiting, Instant::now());
        }
    }
    say(&format!("drained for {:.1} s; {fewest} rows wait", begin.elapsed().as_secs_f64()));
    fewest
}

/// Whether somebody's process ends by it.
fn ends_processes(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::KillRelay | Fault::KillDatabase | Fault::KillBroker | Fault::RestartDatabase | Fault::RestartBroker
    )
}

/// Whether a relay may lose its lanes by it.
fn ends_leases(fault: Fault) -> bool {
    !matches!(
        fault,
        Fault::RestartBroker
            | Fault::KillBroker
            | Fault::StepClock
            | Fault::Cut(Link::WritersDatabase | Link::RelaysBroker)
            | Fault::Slow(Link::WritersDatabase | Link::RelaysBroker)
            | Fault::Stall(Link::WritersDatabase | Link::RelaysBroker, _)
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "faults have times that are compared with those of commits and arrivals on the same host"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

impl Outcome {
    /// Whether every promise held.
    pub fn holds(&self) -> bool {
        self.report.holds() && (self.unsettled, self.dead, self.strays) == (0, 0, 0) && (self.attempts == 0 || self.attempts_excused)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.report)?;
        write!(
            f,
            "writers: {}\nrelays started {} times; {} rows unsettled, {} attempts, {} dead, {} strays; the machine stood still {} times",
            self.written, self.starts, self.unsettled, self.attempts, self.dead, self.strays, self.standstills
        )?;
        if !self.holds() {
            write!(f, "\n{}", self.schedule)?;
        }
        Ok(())
    }
}

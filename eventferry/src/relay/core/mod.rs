//! Every decision of the relay, as one pure state machine: facts in, commands out. No clock, no I/O, no async.
//!
//! What it knows of the table is a cache that may be thrown away at any time: starting every lane from cursor 0 is always right.
//! The invariant of reading: every unsettled row that was visible in `snapshot` with an id up to its lane's cursor has been handed on to
//! its queue, or its queue has dropped it and remembers a floor below it.

mod alone;
mod care;
mod discard;
mod due;
mod fault;
mod lane;
mod lease;
mod outage;
mod queue;
mod read;
mod send;
mod session;
mod settle;
mod shed;
#[cfg(test)]
mod sim;
mod skim;
mod stats;
mod terms;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use lane::{DueAt, Known, Lane};
use outage::TopicState;
use queue::Queue;
use rustc_hash::FxHashMap;

pub(crate) use queue::QueueKey;
use send::{Flight, Route, RouteState};
use session::{Fence, Slot};
use settle::Locked;
pub use stats::Stats;
pub(crate) use terms::{
    Cause, Command, DeadLetter, Fact, HandOver, LeaseCommand, Loaded, Notice, PublishCommand, ReadCommand, Way, WriteCommand,
};

use crate::event::MessageId;
use crate::outbox::{LANES, OnDead, RetryPolicy, RowId};
use crate::store::{Snapshot, Verdict};

/// Time since the relay started, on its own monotonic clock.
pub(crate) type Now = Duration;

/// What the core is told once.
#[derive(Debug, Clone)]
pub(crate) struct CoreConfig {
    pub(crate) window: usize,
    pub(crate) window_bytes: usize,
    pub(crate) ack_batch: usize,
    pub(crate) ack_delay: Duration,
    pub(crate) lease: Duration,
    pub(crate) drain: Duration,
    pub(crate) poll_min: Duration,
    pub(crate) poll_max: Duration,
    /// How often each lane is read again from the start, as a check on all of this.
    pub(crate) full_pass: Duration,
    pub(crate) plain_limit: usize,
    pub(crate) pipelined: bool,
    /// Whether the publisher must know an event's schema before it can deliver it.
    pub(crate) learns: bool,
    /// Into how many groups the lanes are divided, each with a session of its own; 1 unless the broker fences.
    pub(crate) groups: u8,
    /// Whether a group that somebody else fenced may be taken again.
    pub(crate) recover_from_fence: bool,
    pub(crate) policy: Policy,
    pub(crate) topics: std::collections::HashMap<String, Policy>,
    pub(crate) dead_letter: Option<String>,
    pub(crate) seed: u64,
}

/// How failures of a topic's events are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) max_attempts: u32,
    pub(crate) retry: RetryPolicy,
    pub(crate) on_dead: OnDead,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says whether one call is under way")]
pub(crate) struct Core {
    config: CoreConfig,
    now: Now,
    rng: fastrand::Rng,
    commands: Vec<Command>,
    stats: Stats,
    /// The last row that only a pass from the start found.
    stray: Option<MessageId>,

    lanes: Vec<Lane>,
    live_relays: u32,
    lease_call_out: bool,
    next_beat: Now,
    next_renew: Now,
    next_take: Now,
    /// The last lease call failed; after that, lanes are left alone for a while.
    lease_trouble: bool,
    take_not_before: Now,

    snapshot: Option<Snapshot>,
    source: Arc<str>,
    reads_issued: u64,
    reads_out: BTreeSet<u64>,
    main_read: Option<read::MainRead>,
    skim_read: Option<skim::SkimRead>,
    /// A main read was answered since the last look.
    skim_next: bool,
    aggregate_read: Option<read::AggregatesRead>,
    due_read: Option<due::DueRead>,
    /// A read failed, so the next may be answered by another server: until a main read says which, nothing else is read or believed.
    unsure: bool,
    /// Somebody said that there are new rows while a read was under way.
    woken: bool,
    next_read: Now,
    reads_failed: u32,
    last_work: Now,
    poll: Duration,
    next_due: Now,
    /// When the pages of due rows start over, if all of them were read, and how many rows these were.
    due_again: Option<Now>,
    due_rows: u32,
    waiting_rows: bool,

    queues: FxHashMap<QueueKey, Queue>,
    known: FxHashMap<RowId, Known>,
    settled: VecDeque<(u64, RowId)>,
    /// How many of the known rows are only remembered against such reads.
    past: usize,
    /// Payloads in memory, queued and in flight, and those in flight alone.
    bytes: usize,
    flight_bytes: usize,
    ready: VecDeque<QueueKey>,
    wake: VecDeque<QueueKey>,
    held: Vec<QueueKey>,
    next_held: Now,
    timers: BinaryHeap<Reverse<(Now, QueueKey)>>,
    next_shed: Now,
    shed_every: Duration,
    shed_routes: Vec<Route>,

    tokens: u64,
    flights: FxHashMap<u64, Flight>,
    hand_overs: Vec<HandOver>,
    topics: Vec<TopicState>,
    topic_index: FxHashMap<Arc<str>, u32>,
    /// Where the schemas that events of a topic name stand in `topics`; by schema, then by topic.
    schema_index: FxHashMap<Arc<str>, Vec<(u32, u32)>>,
    routes: FxHashMap<Route, RouteState>,
    starved: Vec<Route>,
    plain_in_flight: usize,
    plain_waiting: VecDeque<QueueKey>,
    alone: alone::Alone,
    sessions: Vec<Slot>,
    session_numbers: u64,
    away_until: Option<Now>,
    away_backoff: Duration,
    away_told: bool,
    away_waiting: Vec<QueueKey>,
    /// After an outage one event goes first.
    probing: bool,
    last_refresh: Now,
    last_delivery: Now,

    /// Delivered rows with their lanes, and those whose ack is on its way.
    acks: Vec<(RowId, u8)>,
    acking: Vec<(RowId, u8)>,
    ack_since: Option<Now>,
    ack_out: bool,
    next_ack: Now,
    locked: Locked,
    verdicts: Vec<Verdict>,
    judging: FxHashMap<RowId, QueueKey>,
    judge_out: bool,
    judge_most: usize,
    next_judge: Now,

    stopping: Option<Now>,
    closed: bool,
}

impl Core {
    pub(crate) fn new(config: CoreConfig) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(config.seed),
            now: Now::ZERO,
            commands: Vec::new(),
            stats: Stats::default(),
            stray: None,
            lanes: vec![Lane::default(); usize::from(LANES)],
            live_relays: 1,
            lease_call_out: false,
            next_beat: Now::ZERO,
            next_renew: Now::ZERO,
            next_take: Now::MAX,
            lease_trouble: false,
            take_not_before: Now::ZERO,
            snapshot: None,
            source: Arc::from(""),
            reads_issued: 0,
            reads_out: BTreeSet::new(),
            main_read: None,
            skim_read: None,
            skim_next: false,
            aggregate_read: None,
            due_read: None,
            unsure: false,
            woken: false,
            next_read: Now::ZERO,
            reads_failed: 0,
            last_work: Now::ZERO,
            poll: config.poll_min,
            next_due: Now::ZERO,
            due_again: None,
            due_rows: 0,
            waiting_rows: false,
            queues: FxHashMap::default(),
            known: FxHashMap::default(),
            settled: VecDeque::new(),
            past: 0,
            bytes: 0,
            flight_bytes: 0,
            ready: VecDeque::new(),
            wake: VecDeque::new(),
            held: Vec::new(),
            next_held: Now::ZERO,
            timers: BinaryHeap::new(),
            next_shed: Now::ZERO,
            shed_every: shed::SHED_MIN,
            shed_routes: Vec::new(),
            tokens: 0,
            flights: FxHashMap::default(),
            hand_overs: Vec::new(),
            topics: Vec::new(),
            topic_index: FxHashMap::default(),
            schema_index: FxHashMap::default(),
            routes: FxHashMap::default(),
            starved: Vec::new(),
            plain_in_flight: 0,
            plain_waiting: VecDeque::new(),
            alone: alone::Alone::default(),
            sessions: (0..config.groups.max(1)).map(|_| Slot::default()).collect(),
            session_numbers: 0,
            away_until: None,
            away_backoff: outage::AWAY_MIN,
            away_told: false,
            away_waiting: Vec::new(),
            probing: false,
            last_refresh: Now::ZERO,
            last_delivery: Now::ZERO,
            acks: Vec::new(),
            acking: Vec::new(),
            ack_since: None,
            ack_out: false,
            next_ack: Now::ZERO,
            locked: Locked::default(),
            verdicts: Vec::new(),
            judging: FxHashMap::default(),
            judge_out: false,
            judge_most: settle::VERDICTS_MAX,
            next_judge: Now::ZERO,
            stopping: None,
            closed: false,
            config,
        }
    }

    /// Takes in what happened and answers what to do, in this order.
    pub(crate) fn turn(&mut self, now: Now, facts: impl IntoIterator<Item = Fact>) -> Vec<Command> {
        self.now = self.now.max(now);
        self.lapse();
        for fact in facts {
            self.learn(fact);
        }
        self.tend_leases();
        self.tend_outages();
        self.tend_shed();
        self.tend_care();
        self.pump_ready();
        self.tend_reading();
        self.tend_settling();
        if !self.hand_overs.is_empty() {
            self.commands
                .push(Command::Publish(PublishCommand::HandOver(std::mem::take(&mut self.hand_overs))));
        }
        self.forget_settled();
        std::mem::take(&mut self.commands)
    }

    fn learn(&mut self, fact: Fact) {
        match fact {
            Fact::Renewed { asked_at, held, answer } => self.on_renewed(asked_at, &held, &answer),
            Fact::Taken { asked_at, lanes } => self.on_taken(asked_at, &lanes),
            Fact::LeaseCallFailed => {
                self.lease_call_out = false;
                self.lease_trouble = true;
                self.next_renew = self.next_renew.min(self.now + lease::RENEW_AGAIN);
            }
            Fact::Read { number, batch } => self.on_read(number, batch),
            Fact::Skimmed { number, found } => self.on_skimmed(number, found),
            Fact::Aggregates { number, rows } => self.on_aggregates(number, rows),
            Fact::Due { number, rows } => self.on_due(number, rows),
            Fact::Loaded { row, key, payload } => self.on_loaded(row, key, payload),
            Fact::Described { topic, partitions } => self.on_described(&topic, partitions),
            Fact::Learned { topic, schema, problem } => self.on_learned(&topic, &schema, problem),
            Fact::SessionOpened { session } => self.on_session_opened(session),
            Fact::SessionOver { session, cause } => self.on_session_over(session, cause.as_ref()),
            Fact::Delivered(tokens) => self.on_delivered(&tokens),
            Fact::Refused {
                token,
                kind,
                error,
                message,
            } => self.on_refused(token, kind, error, *message),
            Fact::Probed { number, presence } => self.on_probed(number, presence),
            Fact::Acked { locked } => self.on_acked(locked),
            Fact::Judged { verdicts, outcomes } => self.on_judged(verdicts, outcomes),
            Fact::Wake => {
                self.woken = self.main_read.is_some() || self.skim_read.is_some();
                self.next_read = self.now;
            }
            Fact::Stop => {
                if self.stopping.is_none() {
                    self.stopping = Some(self.now + self.config.drain);
                }
            }
        }
    }

    /// When the core wants to be asked again even if nothing happens.
    pub(crate) fn next_turn(&self) -> Now {
        let mut next = self
            .lease_turn()
            .min(self.outage_turn())
            .min(self.shed_turn())
            .min(self.reading_turn())
            .min(self.settling_turn());
        if self.closed {
            next = Now::MAX;
        }
        next.max(self.now)
    }

    pub(crate) fn stats(&self) -> Stats {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Stats {
            lanes: count(self.lanes.iter().filter(|lane| lane.lease.is_some()).count()),
            careful: count(self.lanes.iter().filter(|lane| lane.lease.is_some() && lane.careful).count()),
            groups_fenced: count(self.sessions.iter().filter(|slot| slot.fence != Fence::No).count()),
            broker_away: self.away_told,
            topics_away: count(self.topics.iter().filter(|topic| topic.told && topic.schema.is_none()).count()),
            schemas_away: count(self.topics.iter().filter(|topic| topic.told && topic.schema.is_some()).count()),
            known: self.in_memory() as u64,
            ..self.stats
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Rows read, in flight or waiting for their ack or verdict.
    fn in_memory(&self) -> usize {
        self.known.len() - self.past
    }

    fn lane(&self, lane: u8) -> &Lane {
        &self.lanes[usize::from(lane % LANES)]
    }

    fn lane_mut(&mut self, lane: u8) -> &mut Lane {
        &mut self.lanes[usize::from(lane % LANES)]
    }

    fn policy(&self, topic: &str) -> Policy {
        self.config.topics.get(topic).copied().unwrap_or(self.config.policy)
    }

    /// Whether a row that read number `number` returned needs nothing more.
    fn knows(&self, row: RowId, number: u64) -> bool {
        match self.known.get(&row) {
            Some(Known::Settled(issued)) => number <= *issued,
            Some(Known::Queued | Known::InFlight | Known::Delivered | Known::Judging) => true,
            None => false,
        }
    }

    fn mark(&mut self, row: RowId, known: Known) {
        if let Some(Known::Settled(_)) = self.known.insert(row, known) {
            self.past -= 1;
        }
    }

    /// Remembers that a row has been answered for, for as long as a read that began before may still return it as it was.
    fn settle(&mut self, row: RowId) {
        self.clear_of_suspicion(row);
        self.mark(row, Known::Settled(self.reads_issued));
        self.past += 1;
        self.settled.push_back((self.reads_issued, row));
    }

    fn forget_settled(&mut self) {
        let oldest_out = self.reads_out.first().copied().unwrap_or(u64::MAX);
        while let Some((issued, row)) = self.settled.front().copied() {
            if oldest_out <= issued {
                break;
            }
            self.settled.pop_front();
            if self.known.get(&row) == Some(&Known::Settled(issued)) {
                self.known.remove(&row);
                self.past -= 1;
            }
        }
    }
}

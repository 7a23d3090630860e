//! Time, processes and what befalls them in one simulated run.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::broker::{Place, SessionId, SimSession};
use super::event::{Event, Scheduled};
use super::plan::{Fault, Plan, Throw, mix};
use super::relays::SimRelay;
use super::trace::Trace;
use super::verdict::{Breach, Oracle, Violation};
use super::writer::{Deed, Desk, Writer, now_or_never};
use crate::event::MessageId;
use crate::outbox::RowId;
use crate::relay::core::{Fact, Now};
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::store::memory::rehearsal::Copy;

/// Everything must have settled so long after the last fault.
pub(super) const SETTLE_FOR: Duration = Duration::from_mins(2);

/// The database's clock, some microseconds after the beginning.
pub(super) fn database_time(micros: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(500_000) + Duration::from_micros(micros)
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) violations: Vec<Violation>,
    /// Throws that struck.
    pub(super) struck: Vec<Throw>,
    pub(super) committed: usize,
    pub(super) duplicates: usize,
    pub(super) deaths: usize,
    pub(super) letters: usize,
    pub(super) late: usize,
    /// How often an event ended the process, and the most that one of them did.
    pub(super) ends: u32,
    pub(super) most_ends: u32,
    /// The most lanes that were read with care at once.
    pub(super) careful: u32,
    /// Events that carry an attempt counted for what another event did.
    pub(super) blamed: usize,
    /// How much happened until it was over, or a promise was broken.
    pub(super) steps: u64,
    /// When it was over.
    pub(super) ended: Now,
    pub(super) trace: Vec<String>,
}

pub(super) struct World {
    pub(super) now: Now,
    pub(super) plan: Rc<Plan>,
    pub(super) rng: fastrand::Rng,
    pub(super) store: MemoryStore,
    pub(super) oracle: Oracle,
    pub(super) relays: Vec<SimRelay>,
    pub(super) sessions: BTreeMap<SessionId, SimSession>,
    /// Which process knows which schema of which topic.
    pub(super) learned: BTreeSet<(usize, u64, String, String)>,
    /// Who has a group's transactional id.
    pub(super) seats: BTreeMap<u8, SessionId>,
    #[cfg(feature = "kafka")]
    pub(super) kafka: super::kafka::Kafka,
    pub(super) stalled: BTreeMap<Place, Now>,
    pub(super) away_until: Now,
    /// Refused until an operator mended them.
    pub(super) mended: HashSet<MessageId>,
    pub(super) copy: Option<(Copy, usize)>,
    pub(super) late: usize,
    /// How often each event ended the process.
    pub(super) ends: BTreeMap<MessageId, u32>,
    pub(super) careful: u32,
    pub(super) trace: Trace,
    hand: Arc<AtomicU64>,
    desk: Desk,
    writers: Vec<Writer>,
    heap: BinaryHeap<Scheduled>,
    scheduled: u64,
    throws: BTreeMap<Fault, u32>,
    /// Rows that somebody has locked, until when.
    pub(super) locks: HashMap<RowId, Now>,
    struck: Vec<Throw>,
    clock: i64,
    clock_max: i64,
    generation: u64,
}

impl World {
    pub(super) fn new(plan: &Plan) -> Self {
        let plan = Rc::new(plan.clone());
        let hand = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&hand);
        let store = MemoryStore::with_clock_and_lease(plan.lease, move || database_time(clock.load(Relaxed)));
        store.limit_late(plan.late_limit);
        let desk = Desk {
            store: store.clone(),
            hand: Arc::clone(&hand),
            plan: Rc::clone(&plan),
            deeds: Rc::new(RefCell::new(Vec::new())),
            begun: Rc::new(RefCell::new(0)),
        };
        let mut world = Self {
            now: Now::ZERO,
            rng: fastrand::Rng::with_seed(mix(plan.seed, 2, 0)),
            store,
            oracle: Oracle::default(),
            relays: Vec::new(),
            sessions: BTreeMap::new(),
            learned: BTreeSet::new(),
            seats: BTreeMap::new(),
            #[cfg(feature = "kafka")]
            kafka: super::kafka::Kafka::default(),
            stalled: BTreeMap::new(),
            away_until: Now::ZERO,
            mended: HashSet::new(),
            copy: None,
            late: 0,
            ends: BTreeMap::new(),
            careful: 0,
            trace: Trace::default(),
            hand,
            desk,
            writers: Vec::new(),
            heap: BinaryHeap::new(),
            scheduled: 0,
            throws: BTreeMap::new(),
            locks: HashMap::new(),
            struck: Vec::new(),
            clock: 0,
            clock_max: 0,
            generation: 0,
            plan,
        };
        world.hire_writers();
        for relay in 0..world.plan.relays {
            let fresh = world.relay(0);
            world.relays.push(fresh);
            world.relays[relay].up = false;
            let at = if relay == 0 { Now::ZERO } else { world.ms(0..500) };
            world.at(at, Event::Start(relay));
        }
        if world.plan.operator {
            world.after(100..400, Event::Operator);
        }
        world.schedule_faults();
        world
    }

    /// Watches one aggregate, and tells of it afterwards.
    pub(super) fn watching(mut self, aggregate: u64) -> Self {
        self.trace = Trace::of(aggregate);
        self
    }

    /// What befalls whole processes and servers, each by dice of its own.
    fn schedule_faults(&mut self) {
        let plan = Rc::clone(&self.plan);
        let span = u64::try_from(plan.faults_for.as_micros()).expect("a short run");
        for (fault, rate) in plan.rates.iter().filter(|(_, rate)| *rate >= 1.0) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
            for number in 0..*rate as u32 {
                if plan.spared.contains(&(*fault, number)) {
                    continue;
                }
                let mut dice = fastrand::Rng::with_seed(mix(plan.seed, 100 + *fault as u64, u64::from(number)));
                let at = Duration::from_micros(dice.u64(span / 16..span));
                let relay = dice.usize(..plan.relays);
                let until = (at + Duration::from_micros(dice.u64(span / 16..span))).min(plan.faults_for);
                let event = match *fault {
                    Fault::Kill => Event::Kill(relay),
                    Fault::Pause => Event::Pause(relay),
                    Fault::Restart => Event::Restart(relay),
                    Fault::Steal => Event::Steal(dice.u8(..64)),
                    Fault::Fence => Event::Fence(dice.u8(..plan.groups)),
                    Fault::ClockStep => Event::ClockStep(dice.i64(-3_600_000_000..=3_600_000_000)),
                    Fault::FailOver => {
                        let lag = Duration::from_micros(dice.u64(0..600_000)).min(at);
                        self.at(at.saturating_sub(lag), Event::Photograph);
                        Event::FailOver
                    }
                    Fault::Stall => {
                        let place = if dice.bool() { ("main", dice.i32(0..3)) } else { ("other", -1) };
                        Event::Stall { place, until }
                    }
                    Fault::TopicAway => Event::TopicAway(until),
                    Fault::StatementLost
                    | Fault::AnswerLost
                    | Fault::EffectLate
                    | Fault::Ghost
                    | Fault::Refused
                    | Fault::BatchRefused
                    | Fault::SessionBreaks
                    | Fault::Unreachable
                    | Fault::ArrivesLate
                    | Fault::NotDescribed
                    | Fault::NotOpened
                    | Fault::LetterRefused
                    | Fault::RowLocked => continue,
                    #[cfg(feature = "kafka")]
                    Fault::BatchDelayed => continue,
                };
                self.struck.push((*fault, number));
                self.at(at, event);
            }
        }
    }

    fn hire_writers(&mut self) {
        self.generation += 1;
        for writer in 0..self.plan.writers {
            let seed = mix(self.plan.seed, 3 + self.generation, writer as u64);
            let desk = self.desk.clone();
            self.writers.push(Box::pin(desk.write(fastrand::Rng::with_seed(seed))));
            if self.generation == 1 {
                self.at(Now::from_millis(writer as u64), Event::Write(writer));
            }
        }
    }

    pub(super) fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(self.rng.u64(range.start * 1000..range.end * 1000))
    }

    pub(super) fn at(&mut self, at: Now, event: Event) {
        self.scheduled += 1;
        let number = self.scheduled;
        self.heap.push(Scheduled { at, number, event });
    }

    pub(super) fn after(&mut self, range: std::ops::Range<u64>, event: Event) {
        let at = self.now + self.ms(range);
        self.at(at, event);
    }

    /// Throws a fault's dice.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        let rate = self.plan.rate(fault);
        if rate == 0.0 || self.now >= self.plan.faults_for {
            return false;
        }
        let throw = self.throws.entry(fault).or_default();
        let number = *throw;
        *throw += 1;
        let dice = f64::from(u32::try_from(mix(self.plan.seed, 200 + fault as u64, u64::from(number)) >> 32).unwrap_or(0));
        let strikes = dice < rate * f64::from(u32::MAX) && !self.plan.spared.contains(&(fault, number));
        if strikes {
            self.struck.push((fault, number));
            self.trace.note(self.now, || format!("fault {fault:?} {number}"));
        }
        strikes
    }

    /// Runs until everything has settled or a promise is broken.
    pub(super) fn run(mut self) -> Outcome {
        let quiet = self.plan.faults_for.max(self.plan.write_for);
        let (mut steps, mut over) = (0, false);
        while let Some(Scheduled { at, event, .. }) = self.heap.pop() {
            self.now = at;
            self.set_hand();
            steps += 1;
            self.step(event);
            if !self.oracle.violations.is_empty() {
                over = true;
            } else if at > quiet && steps % 32 == 0 {
                over = self.writers.is_empty() && !self.store.has_unsettled();
            }
            if at > quiet + SETTLE_FOR {
                let text = format!(
                    "{} rows are still unsettled",
                    self.store.rows().iter().filter(|row| !row.status.is_settled()).count()
                );
                let stuck = self
                    .store
                    .rows()
                    .into_iter()
                    .find(|row| !row.status.is_settled())
                    .map(|row| row.message_id);
                self.oracle.breach(Breach::Stuck, stuck, text);
                over = true;
            }
            if over {
                break;
            }
        }
        if self.oracle.violations.is_empty() {
            self.oracle.close();
            self.check_patience();
        }
        Outcome {
            violations: self.oracle.violations.iter().take(5).cloned().collect(),
            struck: self.struck,
            committed: self.oracle.events.len(),
            duplicates: self.oracle.duplicates,
            deaths: self.oracle.deaths,
            letters: self.oracle.letters,
            late: self.late,
            ends: self.ends.values().sum(),
            most_ends: self.ends.values().max().copied().unwrap_or(0),
            careful: self.careful,
            blamed: self
                .oracle
                .events
                .iter()
                .filter(|(id, event)| {
                    let blamed = |(_, attempts)| attempts > event.refusals;
                    !event.dead && !self.ends.contains_key(id) && self.store.standing(**id).is_some_and(blamed)
                })
                .count(),
            steps,
            ended: self.now,
            trace: self.trace.lines(),
        }
    }

    /// What goes elsewhere does not wait for a partition or topic that stalls.
    fn check_patience(&mut self) {
        let Some(patience) = self.plan.patience else { return };
        let concerned = |event: &super::verdict::Event| {
            let topic = if event.aggregate % 4 == 3 { "other" } else { "main" };
            let stalled = |partition| self.stalled.contains_key(&(topic, partition));
            event.partition.is_some_and(|partition| !stalled(partition) && !stalled(-1))
        };
        if let Some((waited, id)) = self.oracle.longest(concerned)
            && waited > patience
        {
            let text = format!("{id} waited {waited:?} though its partition answers");
            self.oracle.breach(Breach::Neighbour, Some(id), text);
        }
    }

    fn set_hand(&self) {
        // The whole of a run lies after the earliest step back.
        let micros = i64::try_from(self.now.as_micros()).expect("a short run") + self.clock + 36_000_000_000;
        self.hand.store(u64::try_from(micros).expect("after the beginning"), Relaxed);
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Write(writer) => self.write(writer),
            Event::Start(relay) => {
                let life = self.relays[relay].life + 1;
                self.relays[relay] = self.relay(life);
                self.trace.note(self.now, || format!("relay {relay}.{life} starts"));
                now_or_never(self.store.open(self.relays[relay].id)).expect("opens");
                self.wish(relay, self.now);
            }
            Event::Kill(relay) if self.relays[relay].up => {
                self.relays[relay].up = false;
                self.trace.note(self.now, || format!("relay {relay} is killed"));
                self.after(50..800, Event::Start(relay));
            }
            Event::Pause(relay) => {
                let pause = self.ms(100..3_000);
                self.relays[relay].paused_until = self.now + pause;
                self.trace.note(self.now, || format!("relay {relay} is stopped for {pause:?}"));
            }
            Event::Restart(relay) if self.relays[relay].up => {
                self.trace.note(self.now, || format!("relay {relay} is asked to stop"));
                let life = self.relays[relay].life;
                self.answer_at(self.now, relay, life, vec![Fact::Stop]);
            }
            Event::Turn { relay, life } if self.is_up(relay, life) && self.relays[relay].next_turn == self.now => self.turn(relay, life),
            Event::Answer { relay, life, facts } if self.is_up(relay, life) => {
                self.relays[relay].inbox.extend(facts);
                let gather = self.plan.gather;
                self.wish(relay, self.now + gather);
            }
            Event::Kill(_) | Event::Restart(_) | Event::Turn { .. } | Event::Answer { .. } => {}
            Event::Effect {
                relay,
                life,
                id,
                stage,
                asked_at,
                command,
            } => self.effect(relay, life, id, stage, asked_at, command),
            Event::Late(id, command) => {
                self.execute(id, Now::ZERO, command);
            }
            Event::Answered { relay, life, stage, fact } => {
                if self.is_up(relay, life) {
                    self.answer_at(self.now, relay, life, fact.into_iter().collect());
                    self.next_statement(relay, stage);
                }
            }
            Event::Deliver(session, place) => self.deliver(session, place),
            Event::Plain {
                relay,
                life,
                token,
                message,
                letter,
                heard,
            } => self.plain_arrives(relay, life, token, message, letter, heard),
            #[cfg(feature = "kafka")]
            Event::Kafka(step) => self.kafka_step(step),
            Event::Steal(lane) => {
                self.trace
                    .lane(self.now, lane, || format!("lane {lane} is freed behind its owner's back"));
                self.store.steal(lane);
            }
            Event::Fence(group) => self.fence(group, None),
            Event::ClockStep(micros) => {
                self.clock = (self.clock + micros).clamp(-7_200_000_000, 7_200_000_000);
                self.clock_max = self.clock_max.max(self.clock);
                // The last word is forward: what was put off by an hour is not waited for.
                let back = self.plan.faults_for;
                if self.now < back {
                    self.at(back, Event::ClockStep(0));
                } else {
                    self.clock = self.clock_max;
                }
                let clock = self.clock;
                self.trace.note(self.now, || format!("the database's clock is {clock} us off"));
            }
            Event::Photograph => self.copy = Some((self.store.copy(), self.oracle.events.len())),
            Event::FailOver => self.fail_over(),
            Event::Stall { place, until } => {
                self.trace.note(self.now, || format!("{place:?} stalls until {until:?}"));
                self.stalled.insert(place, until);
            }
            Event::TopicAway(until) => {
                self.trace.note(self.now, || format!("the other topic is away until {until:?}"));
                self.away_until = until;
            }
            Event::Operator => self.operate(),
        }
    }

    /// An older copy takes over; whoever had a transaction open has lost it.
    fn fail_over(&mut self) {
        let Some((copy, place)) = self.copy.take() else { return };
        self.trace.note(self.now, || "an older copy of the database takes over".to_owned());
        self.writers.clear();
        self.drain_deeds();
        self.store.fail_over(copy);
        self.store.limit_late(self.plan.late_limit);
        let store = self.store.clone();
        self.oracle.fail_over(place, |id| store.standing(id));
        for relay in &mut self.relays {
            relay.stages.iter_mut().for_each(|stage| stage.cut = true);
        }
        if self.now < self.plan.write_for {
            self.hire_writers();
        }
    }

    fn write(&mut self, writer: usize) {
        if self.now >= self.plan.write_for {
            self.writers.clear(); // what is open rolls back
            return;
        }
        let Some(future) = self.writers.get_mut(writer) else { return };
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        self.drain_deeds();
        self.after(1..14, Event::Write(writer));
    }

    fn drain_deeds(&mut self) {
        for deed in std::mem::take(&mut *self.desk.deeds.borrow_mut()) {
            self.trace.deed(self.now, &deed);
            if let Deed::Committed(written) = deed {
                self.oracle.commit(written, self.now);
            }
        }
    }
}

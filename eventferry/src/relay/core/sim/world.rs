//! Time, writers, relays and faults of one simulated run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, UNIX_EPOCH};

use super::broker::{Broker, SimSession};
use super::writer::{now_or_never, write};
use crate::event::{Message, MessageId};
use crate::outbox::{OnDead, RetryPolicy};
use crate::relay::core::{Command, Core, CoreConfig, Fact, LeaseCommand, Loaded, Now, Policy, ReadCommand, WriteCommand};
use crate::store::memory::MemoryStore;
use crate::store::{RelayId, Retention, Store, StoreError};

pub(super) const AGGREGATES: u64 = 24;
const RELAYS: usize = 3;
const WRITERS: usize = 8;
const WRITE_FOR: Duration = Duration::from_secs(4);
/// Faults end here, and everything must settle in the time after it.
const FAULTS_FOR: Duration = Duration::from_secs(9);
const SETTLE_FOR: Duration = Duration::from_mins(2);
const LEASE: Duration = Duration::from_secs(3);

/// What may go wrong, and how often.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each switches one fault")]
pub(super) struct Faults {
    pub(super) refuse: f64,
    pub(super) poison: f64,
    pub(super) store: f64,
    pub(super) broker: f64,
    pub(super) topic_away: bool,
    pub(super) kill: bool,
    pub(super) pause: bool,
    pub(super) plain_only: bool,
    /// Passes from the start all the time; otherwise only when everything should be quiet.
    pub(super) passes: bool,
}

impl Faults {
    pub(super) const NONE: Self = Self {
        refuse: 0.0,
        poison: 0.0,
        store: 0.0,
        broker: 0.0,
        topic_away: false,
        kill: false,
        pause: false,
        plain_only: false,
        passes: false,
    };
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) violations: Vec<String>,
    pub(super) committed: usize,
    pub(super) duplicates: usize,
    pub(super) dead: usize,
    pub(super) late: usize,
}

/// What committed, in order, by aggregate.
pub(super) type Ledger = Arc<Mutex<Vec<(MessageId, u64, bool)>>>;
type Writer = Pin<Box<dyn Future<Output = ()>>>;

pub(super) enum Event {
    Write(usize),
    Turn {
        relay: usize,
        life: u64,
    },
    /// A command's effect takes place.
    Effect {
        relay: usize,
        life: u64,
        command: Command,
    },
    /// An answer arrives.
    Answer {
        relay: usize,
        life: u64,
        facts: Vec<Fact>,
    },
    /// The broker takes the next message of a session's partition.
    Deliver {
        relay: usize,
        life: u64,
        session: u64,
        queue: (String, i32),
    },
    PlainArrives {
        relay: usize,
        life: u64,
        token: u64,
        message: Message,
    },
    Kill(usize),
    Start(usize),
    Pause(usize),
}

pub(super) struct SimRelay {
    pub(super) core: Core,
    pub(super) id: RelayId,
    pub(super) life: u64,
    pub(super) started: Now,
    pub(super) up: bool,
    pub(super) paused_until: Now,
    /// When each stage is free again: read, write, lease.
    pub(super) busy: [Now; 3],
    pub(super) session: Option<SimSession>,
    pub(super) next_turn: Now,
    /// Which connection it reads on: another one after each failed read.
    pub(super) connection: u64,
}

pub(super) struct World {
    pub(super) now: Now,
    pub(super) hand: Arc<AtomicU64>,
    pub(super) rng: fastrand::Rng,
    pub(super) faults: Faults,
    pub(super) store: MemoryStore,
    pub(super) broker: Broker,
    pub(super) ledger: Ledger,
    pub(super) poisoned: HashSet<MessageId>,
    pub(super) writers: Vec<Writer>,
    pub(super) relays: Vec<SimRelay>,
    pub(super) heap: BinaryHeap<Reverse<(Now, u64)>>,
    pub(super) events: HashMap<u64, Event>,
    pub(super) next_event: u64,
    pub(super) late: usize,
    pub(super) strays: u64,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let hand = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&hand);
        let store = MemoryStore::with_clock_and_lease(LEASE, move || {
            UNIX_EPOCH + Duration::from_hours(500_000) + Duration::from_micros(clock.load(Relaxed))
        });
        let ledger = Ledger::default();
        let writers = (0..WRITERS)
            .map(|_| Box::pin(write(store.clone(), ledger.clone(), rng.fork())) as Writer)
            .collect();
        let mut world = Self {
            now: Now::ZERO,
            hand,
            rng,
            faults,
            store,
            broker: Broker::default(),
            ledger,
            poisoned: HashSet::new(),
            writers,
            relays: Vec::new(),
            heap: BinaryHeap::new(),
            events: HashMap::new(),
            next_event: 0,
            late: 0,
            strays: 0,
        };
        for relay in 0..RELAYS {
            let fresh = world.relay(0);
            world.relays.push(fresh);
            world.relays[relay].up = false;
            let at = world.ms(0..1_500);
            world.at(at, Event::Start(relay));
        }
        for writer in 0..WRITERS {
            world.at(Now::from_millis(writer as u64), Event::Write(writer));
        }
        if faults.kill || faults.pause {
            for _ in 0..8 {
                let (at, relay) = (world.ms(300..9_000), world.rng.usize(..RELAYS));
                let kill = faults.kill && (!faults.pause || world.rng.bool());
                world.at(at, if kill { Event::Kill(relay) } else { Event::Pause(relay) });
            }
        }
        world
    }

    fn relay(&mut self, life: u64) -> SimRelay {
        let config = CoreConfig {
            window: 64,
            window_bytes: 1 << 20,
            ack_batch: 10,
            ack_delay: Duration::from_millis(20),
            lease: LEASE,
            drain: Duration::from_secs(2),
            poll_min: Duration::from_millis(5),
            poll_max: Duration::from_millis(200),
            full_pass: Duration::from_millis(if self.faults.passes { 300 } else { 8_000 }),
            plain_limit: 8,
            pipelined: !self.faults.plain_only,
            groups: 1,
            recover_from_fence: false,
            policy: Policy {
                max_attempts: 3,
                retry: RetryPolicy::exponential(Duration::from_millis(200), Duration::from_secs(2)),
                on_dead: OnDead::Continue,
            },
            topics: HashMap::new(),
            dead_letter: None,
            seed: self.rng.u64(..),
        };
        let started = self.now;
        SimRelay {
            core: Core::new(config),
            id: RelayId::random(),
            life,
            started,
            up: true,
            paused_until: Now::ZERO,
            busy: [Now::ZERO; 3],
            session: None,
            next_turn: Now::MAX,
            connection: 1,
        }
    }

    pub(super) fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(self.rng.u64(range.start * 1000..range.end * 1000))
    }

    pub(super) fn at(&mut self, at: Now, event: Event) {
        self.next_event += 1;
        self.heap.push(Reverse((at, self.next_event)));
        self.events.insert(self.next_event, event);
    }

    pub(super) fn after(&mut self, range: std::ops::Range<u64>, event: Event) {
        let at = self.now + self.ms(range);
        self.at(at, event);
    }

    pub(super) fn run(mut self) -> Outcome {
        let end = WRITE_FOR + SETTLE_FOR;
        while let Some(Reverse((at, number))) = self.heap.pop() {
            let event = self.events.remove(&number).expect("each event is scheduled once");
            self.now = at;
            self.hand.store(u64::try_from(at.as_micros()).expect("a short run"), Relaxed);
            if at > end || (at > FAULTS_FOR && self.writers.is_empty() && self.all_settled()) {
                break;
            }
            self.step(event);
        }
        self.judge()
    }

    fn all_settled(&self) -> bool {
        self.heap.len().is_multiple_of(16) && self.store.rows().iter().all(|row| row.status.is_settled())
    }

    /// Whether this moment is one in which faults may still happen.
    pub(super) fn unlucky(&mut self, chance: f64) -> bool {
        self.now < FAULTS_FOR && self.rng.f64() < chance
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Write(writer) => self.write(writer),
            Event::Start(relay) => {
                let life = self.relays[relay].life + 1;
                self.relays[relay] = self.relay(life);
                now_or_never(self.store.open(self.relays[relay].id)).expect("opens");
                self.turn(relay, life, Vec::new());
            }
            Event::Kill(relay) => {
                self.relays[relay].up = false;
                // A new process gets a new core; what the old one handed over may still arrive.
                self.after(100..1_500, Event::Start(relay));
            }
            Event::Pause(relay) => {
                let pause = self.ms(200..6_000);
                self.relays[relay].paused_until = self.now + pause;
            }
            // Only the earliest turn that was asked for counts; an older wish has been overtaken.
            Event::Turn { relay, life } if self.is_up(relay, life) && self.relays[relay].next_turn == self.now => match self.awake(relay) {
                None => {
                    self.relays[relay].next_turn = Now::MAX;
                    self.turn(relay, life, Vec::new());
                }
                Some(later) => {
                    self.relays[relay].next_turn = later;
                    self.at(later, Event::Turn { relay, life });
                }
            },
            Event::Answer { relay, life, facts } if self.is_up(relay, life) => match self.awake(relay) {
                None => self.turn(relay, life, facts),
                Some(later) => self.at(later, Event::Answer { relay, life, facts }),
            },
            Event::Effect { relay, life, command } if self.is_up(relay, life) => match self.awake(relay) {
                None => self.effect(relay, life, command),
                Some(later) => self.at(later, Event::Effect { relay, life, command }),
            },
            Event::Turn { .. } | Event::Answer { .. } | Event::Effect { .. } => {}
            Event::Deliver {
                relay,
                life,
                session,
                queue,
            } => self.deliver(relay, life, session, &queue),
            Event::PlainArrives {
                relay,
                life,
                token,
                message,
            } => self.plain_arrives(relay, life, token, message),
        }
    }

    fn is_up(&self, relay: usize, life: u64) -> bool {
        self.relays[relay].up && self.relays[relay].life == life
    }

    fn awake(&self, relay: usize) -> Option<Now> {
        let until = self.relays[relay].paused_until;
        (until > self.now).then_some(until)
    }

    fn write(&mut self, writer: usize) {
        if self.now >= WRITE_FOR {
            self.writers.clear(); // what is open rolls back
            return;
        }
        assert!(
            self.writers[writer]
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        self.after(1..14, Event::Write(writer));
    }

    fn turn(&mut self, relay: usize, life: u64, facts: Vec<Fact>) {
        let sim = &mut self.relays[relay];
        let before = sim.core.stats().strays;
        for fact in &facts {
            if let Fact::Read { batch: Some(batch), .. } = fact {
                self.late += batch.late.len();
            }
        }
        let commands = sim.core.turn(self.now.saturating_sub(sim.started), facts);
        self.strays += sim.core.stats().strays - before;
        let next = sim
            .core
            .next_turn()
            .saturating_add(sim.started)
            .max(self.now + Duration::from_micros(100));
        let sooner = next < sim.next_turn;
        if sooner {
            sim.next_turn = next;
            self.at(next, Event::Turn { relay, life });
        }
        for command in commands {
            self.dispatch(relay, life, command);
        }
    }

    /// Commands of one stage take effect one after the other.
    fn dispatch(&mut self, relay: usize, life: u64, command: Command) {
        let stage = match &command {
            Command::Read(_) => 0,
            Command::Write(_) => 1,
            Command::Lease(_) => 2,
            Command::Publish(_) => return self.publish(relay, life, command),
            Command::Tell(_) => return,
        };
        let delay = self.ms(0..15);
        let at = self.relays[relay].busy[stage].max(self.now) + delay;
        self.relays[relay].busy[stage] = at;
        self.at(at, Event::Effect { relay, life, command });
    }

    fn answer(&mut self, relay: usize, life: u64, stage: usize, fact: Fact) {
        let delay = self.ms(0..15);
        let at = self.now + delay;
        self.relays[relay].busy[stage] = self.relays[relay].busy[stage].max(at);
        self.at(
            at,
            Event::Answer {
                relay,
                life,
                facts: vec![fact],
            },
        );
    }

    /// A database call: it may fail before it does anything, or after.
    fn ask<T>(&mut self, call: impl FnOnce(&MemoryStore) -> Result<T, StoreError>) -> Option<T> {
        let chance = self.faults.store;
        if self.unlucky(chance / 2.0) {
            return None;
        }
        let answer = call(&self.store).expect("the memory store does not fail");
        if self.unlucky(chance / 2.0) { None } else { Some(answer) }
    }

    fn effect(&mut self, relay: usize, life: u64, command: Command) {
        let (id, asked_at) = (self.relays[relay].id, self.now.saturating_sub(self.relays[relay].started));
        let (stage, fact) = match command {
            Command::Lease(LeaseCommand::Renew(held)) => {
                let answer = self.ask(|store| now_or_never(store.renew(id, &held)));
                (
                    2,
                    answer.map_or(Fact::LeaseCallFailed, |answer| Fact::Renewed { asked_at, held, answer }),
                )
            }
            Command::Lease(LeaseCommand::Take(limit)) => {
                let lanes = self.ask(|store| now_or_never(store.take(id, limit)));
                (2, lanes.map_or(Fact::LeaseCallFailed, |lanes| Fact::Taken { asked_at, lanes }))
            }
            Command::Lease(LeaseCommand::TakeGroups { groups, size, limit }) => {
                let lanes = self.ask(|store| now_or_never(store.take_groups(id, &groups, size, limit)));
                (2, lanes.map_or(Fact::LeaseCallFailed, |lanes| Fact::Taken { asked_at, lanes }))
            }
            Command::Lease(LeaseCommand::Release(lanes)) => {
                self.ask(|store| now_or_never(store.release(id, &lanes)));
                return;
            }
            Command::Lease(LeaseCommand::Forgive(lanes)) => {
                self.ask(|store| now_or_never(store.forgive(id, &lanes)));
                return;
            }
            Command::Lease(LeaseCommand::Close) => {
                self.ask(|store| now_or_never(store.close(id)));
                return;
            }
            Command::Read(ReadCommand::Lanes { number, snapshot, lanes }) => {
                let mut batch = self.ask(|store| now_or_never(store.read(snapshot.as_ref(), &lanes)));
                match &mut batch {
                    Some(batch) => batch.snapshot.connection = self.relays[relay].connection,
                    None => self.relays[relay].connection += 1,
                }
                (0, Fact::Read { number, batch })
            }
            Command::Read(ReadCommand::Aggregates { number, wanted, limit }) => {
                let rows = self.ask(|store| now_or_never(store.read_aggregates(&wanted, limit)));
                (0, Fact::Aggregates { number, rows })
            }
            Command::Read(ReadCommand::Due { number, lanes, limit }) => {
                let rows = self.ask(|store| now_or_never(store.read_due(&lanes, limit)));
                (0, Fact::Due { number, rows })
            }
            Command::Read(ReadCommand::Payload { row, key }) => {
                let payload = self.ask(|store| now_or_never(store.read_payload(row)));
                (
                    0,
                    Fact::Loaded {
                        row,
                        key,
                        payload: payload.map_or(Loaded::Failed, |p| p.map_or(Loaded::Gone, Loaded::Payload)),
                    },
                )
            }
            Command::Write(WriteCommand::Ack(rows)) => {
                let ok = self.ask(|store| now_or_never(store.done(&rows, Retention::Delete))).is_some();
                (1, Fact::Acked { ok })
            }
            Command::Write(WriteCommand::Judge(verdicts)) => {
                let outcomes = self.ask(|store| now_or_never(store.fail(id, &verdicts)));
                (1, Fact::Judged { verdicts, outcomes })
            }
            Command::Publish(_) | Command::Tell(_) => return,
        };
        self.answer(relay, life, stage, fact);
    }
}

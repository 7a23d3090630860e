//! Time, writers, relays and faults of one simulated run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use super::broker::{Broker, SimSession};
use crate::event::{Message, MessageId, TableName};
use crate::outbox::{NewRecord, OnDead, RetryPolicy, Status};
use crate::publish::{PublishErrorKind, Scope};
use crate::relay::core::{
    Cause, Command, Core, CoreConfig, Fact, HandOver, LeaseCommand, Loaded, Now, Policy, PublishCommand, ReadCommand, Way, WriteCommand,
};
use crate::store::memory::MemoryStore;
use crate::store::{OpenTransaction, RelayId, Retention, Store, StoreError};

const AGGREGATES: u64 = 24;
const RELAYS: usize = 3;
const WRITERS: usize = 8;
const PARTITIONS: u32 = 3;
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
type Ledger = Arc<Mutex<Vec<(MessageId, u64, bool)>>>;
type Writer = Pin<Box<dyn Future<Output = ()>>>;

enum Event {
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

struct SimRelay {
    core: Core,
    id: RelayId,
    life: u64,
    started: Now,
    up: bool,
    paused_until: Now,
    /// When each stage is free again: read, write, lease.
    busy: [Now; 3],
    session: Option<SimSession>,
    next_turn: Now,
    /// Which connection it reads on: another one after each failed read.
    connection: u64,
}

pub(super) struct World {
    now: Now,
    hand: Arc<AtomicU64>,
    rng: fastrand::Rng,
    faults: Faults,
    store: MemoryStore,
    broker: Broker,
    ledger: Ledger,
    poisoned: HashSet<MessageId>,
    writers: Vec<Writer>,
    relays: Vec<SimRelay>,
    heap: BinaryHeap<Reverse<(Now, u64)>>,
    events: HashMap<u64, Event>,
    next_event: u64,
    late: usize,
    strays: u64,
}

/// Pending as often as it was told to.
struct Pause(u32);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        Poll::Pending
    }
}

fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store answers a relay at once"),
    }
}

fn record(rng: &mut fastrand::Rng, aggregate: u64, ordered: bool) -> NewRecord {
    let topic = if rng.f64() < 0.8 { "main" } else { "other" };
    let mut new = NewRecord::new(topic, "thing", &aggregate.to_string(), "E", Some(vec![7; rng.usize(..20)]));
    new.message_id = MessageId::from_bytes(rng.u128(..).to_be_bytes());
    new.ordered = ordered;
    new
}

/// Writes transactions that overlap with those of the others, now and then slow, now and then rolled back.
async fn write(store: MemoryStore, ledger: Ledger, mut rng: fastrand::Rng) {
    loop {
        let mut tx = store.begin();
        let mut written = Vec::new();
        let mut ok = true;
        for _ in 0..rng.u32(1..3) {
            let mut batch = Vec::new();
            for _ in 0..rng.u32(1..4) {
                let aggregate = rng.u64(..AGGREGATES);
                let ordered = rng.f64() < 0.9;
                batch.push((aggregate, record(&mut rng, aggregate, ordered)));
            }
            let rows: Vec<_> = batch
                .iter()
                .map(|(aggregate, new)| (new.message_id, *aggregate, new.ordered))
                .collect();
            let records = batch.into_iter().map(|(_, new)| new).collect();
            if tx.insert(&TableName::default(), records).await.is_err() {
                ok = false; // a deadlock with another writer
                break;
            }
            written.extend(rows);
            Pause(rng.u32(..3)).await;
        }
        if rng.f64() < 0.05 {
            Pause(rng.u32(20..200)).await;
        }
        if ok && rng.f64() < 0.9 {
            tx.commit();
            ledger.lock().expect("one thread").extend(written);
        } else {
            tx.rollback();
        }
        Pause(rng.u32(1..8)).await;
    }
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

    fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(self.rng.u64(range.start * 1000..range.end * 1000))
    }

    fn at(&mut self, at: Now, event: Event) {
        self.next_event += 1;
        self.heap.push(Reverse((at, self.next_event)));
        self.events.insert(self.next_event, event);
    }

    fn after(&mut self, range: std::ops::Range<u64>, event: Event) {
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
    fn unlucky(&mut self, chance: f64) -> bool {
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
            Command::Lease(LeaseCommand::Release(lanes)) => {
                self.ask(|store| now_or_never(store.release(id, &lanes)));
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

    fn publish(&mut self, relay: usize, life: u64, command: Command) {
        let Command::Publish(command) = command else { return };
        let fact = match command {
            PublishCommand::Describe(topic) => {
                let away = self.faults.topic_away && &*topic == "other" && self.now > Now::from_secs(1) && self.now < Now::from_secs(5);
                let chance = self.faults.broker;
                let partitions = if self.unlucky(chance) {
                    Err(PublishErrorKind::Unavailable(Scope::Publisher))
                } else if away {
                    Err(PublishErrorKind::Unavailable(Scope::Topic))
                } else {
                    Ok(PARTITIONS)
                };
                Fact::Described { topic, partitions }
            }
            PublishCommand::OpenSession(session) => {
                self.relays[relay].session = Some(SimSession {
                    number: session,
                    ..SimSession::default()
                });
                Fact::SessionOpened { session }
            }
            PublishCommand::CloseSession(session) => return self.end_session(relay, life, session, None, None),
            PublishCommand::HandOver(batch) => {
                for HandOver { token, way } in batch {
                    self.hand_over(relay, life, token, way);
                }
                return;
            }
        };
        self.after(
            0..30,
            Event::Answer {
                relay,
                life,
                facts: vec![fact],
            },
        );
    }

    fn hand_over(&mut self, relay: usize, life: u64, token: u64, way: Way) {
        match way {
            Way::Pipelined { partition, record, source } => {
                let message = record.into_message(&source);
                let Some(session) = &mut self.relays[relay].session else { return };
                if session.broken {
                    return;
                }
                let (number, queue) = (session.number, (message.topic().to_owned(), partition));
                session.queues.entry(queue.clone()).or_default().push_back((token, message));
                self.after(
                    1..60,
                    Event::Deliver {
                        relay,
                        life,
                        session: number,
                        queue,
                    },
                );
            }
            Way::Plain { record, source } => {
                let message = record.into_message(&source);
                self.after(
                    1..40,
                    Event::PlainArrives {
                        relay,
                        life,
                        token,
                        message,
                    },
                );
            }
            Way::DeadLetter { .. } => panic!("no dead-letter topic is configured"),
        }
    }

    /// The broker takes the head of one partition's queue: delivered, refused, or the connection breaks before or after it was written.
    fn deliver(&mut self, relay: usize, life: u64, number: u64, queue: &(String, i32)) {
        let sim = &mut self.relays[relay];
        if sim.life != life {
            return; // the process is gone, and what it had not sent with it
        }
        let alive = sim.up;
        let Some(session) = sim.session.as_mut().filter(|session| session.number == number && !session.broken) else {
            return;
        };
        let Some((token, message)) = session.queues.get_mut(queue).and_then(std::collections::VecDeque::pop_front) else {
            return;
        };
        if !alive && self.rng.f64() < 0.5 {
            // Of what a killed process had sent, a prefix arrives.
            if let Some(session) = &mut self.relays[relay].session {
                session.queues.remove(queue);
            }
            return;
        }
        if self.is_poisoned(&message) || self.unlucky(self.faults.refuse) {
            return self.end_session(
                relay,
                life,
                number,
                Some(queue),
                Some(Cause {
                    token: Some(token),
                    kind: PublishErrorKind::Retriable,
                }),
            );
        }
        let breaks = self.unlucky(self.faults.broker / 4.0);
        if breaks && self.rng.bool() {
            return self.end_session(
                relay,
                life,
                number,
                Some(queue),
                Some(Cause {
                    token: None,
                    kind: PublishErrorKind::Unavailable(Scope::Publisher),
                }),
            );
        }
        let how = format!("{:?} relay {relay}.{life} session {number} token {token}", self.now);
        self.broker.append(&message, how);
        if breaks {
            return self.end_session(
                relay,
                life,
                number,
                Some(queue),
                Some(Cause {
                    token: None,
                    kind: PublishErrorKind::Unavailable(Scope::Publisher),
                }),
            );
        }
        self.after(
            0..10,
            Event::Answer {
                relay,
                life,
                facts: vec![Fact::Delivered(vec![token])],
            },
        );
    }

    /// Of each partition a prefix still arrives, and a prefix of that is confirmed; a delivery is always told before the end is.
    fn end_session(&mut self, relay: usize, life: u64, number: u64, stopped: Option<&(String, i32)>, cause: Option<Cause>) {
        let Some(session) = self.relays[relay]
            .session
            .as_mut()
            .filter(|session| session.number == number && !session.broken)
        else {
            return;
        };
        session.broken = true;
        let queues = std::mem::take(&mut session.queues);
        let mut confirmed = Vec::new();
        for (key, queue) in queues {
            if stopped == Some(&key) {
                continue;
            }
            let arrive = self.rng.usize(..=queue.len());
            let confirm = self.rng.usize(..=arrive);
            for (n, (token, message)) in queue.into_iter().enumerate().take(arrive) {
                if self.is_poisoned(&message) {
                    break;
                }
                let how = format!("{:?} relay {relay}.{life} end of session {number} token {token}", self.now);
                self.broker.append(&message, how);
                if n < confirm {
                    confirmed.push(token);
                }
            }
        }
        // Deliveries whose answers are under way come first: the end takes longer than any of them.
        self.after(
            11..40,
            Event::Answer {
                relay,
                life,
                facts: vec![Fact::Delivered(confirmed), Fact::SessionOver { session: number, cause }],
            },
        );
    }

    fn plain_arrives(&mut self, relay: usize, life: u64, token: u64, message: Message) {
        let refused = |kind, message| Fact::Refused {
            token,
            kind,
            error: "refused".into(),
            message: Box::new(message),
        };
        let chance = self.faults.broker;
        let fact = if self.is_poisoned(&message) {
            refused(PublishErrorKind::Retriable, message)
        } else if self.unlucky(self.faults.refuse) {
            refused(
                if self.rng.bool() {
                    PublishErrorKind::Retriable
                } else {
                    PublishErrorKind::Throttled
                },
                message,
            )
        } else if self.unlucky(chance / 2.0) {
            let scope = [Scope::Publisher, Scope::Topic, Scope::Partition][self.rng.usize(..3)];
            refused(PublishErrorKind::Unavailable(scope), message)
        } else {
            let how = format!("{:?} relay {relay}.{life} plain token {token}", self.now);
            self.broker.append(&message, how);
            if self.unlucky(chance / 2.0) {
                refused(PublishErrorKind::Unavailable(Scope::Partition), message)
            } else {
                Fact::Delivered(vec![token])
            }
        };
        self.after(
            0..20,
            Event::Answer {
                relay,
                life,
                facts: vec![fact],
            },
        );
    }

    fn is_poisoned(&mut self, message: &Message) -> bool {
        use crate::event::IncomingMessage;
        let Some(id) = message.message_id() else { return false };
        // Decided once for each event, by its own id, so that every relay agrees.
        let share = f64::from(u16::from_be_bytes([id.as_bytes()[0], id.as_bytes()[1]])) / f64::from(u16::MAX);
        share < self.faults.poison && {
            self.poisoned.insert(id);
            true
        }
    }

    fn judge(self) -> Outcome {
        let mut outcome = Outcome {
            late: self.late,
            ..Outcome::default()
        };
        let ledger = self.ledger.lock().expect("one thread").clone();
        outcome.committed = ledger.len();
        let committed: HashSet<MessageId> = ledger.iter().map(|(id, ..)| *id).collect();
        let mut first = HashMap::new();
        for (place, arrival) in self.broker.log.iter().enumerate() {
            if !committed.contains(&arrival.message_id) {
                outcome.violations.push(format!("phantom {}", arrival.message_id));
            }
            match first.entry(arrival.message_id) {
                std::collections::hash_map::Entry::Vacant(slot) => {
                    slot.insert(place);
                }
                std::collections::hash_map::Entry::Occupied(_) => outcome.duplicates += 1,
            }
        }
        let mut last: BTreeMap<u64, (usize, MessageId)> = BTreeMap::new();
        for (id, aggregate, ordered) in &ledger {
            let status = self.store.status_of(*id);
            match first.get(id) {
                Some(place) if *ordered => {
                    if let Some((before, other)) = last.insert(*aggregate, (*place, *id))
                        && before > *place
                    {
                        let history = self
                            .broker
                            .log
                            .iter()
                            .filter(|arrival| arrival.message_id == *id || arrival.message_id == other);
                        let history: Vec<_> = history.map(|arrival| (arrival.message_id, &arrival.how)).collect();
                        outcome.violations.push(format!("{history:#?}"));
                        outcome.violations.push(format!(
                            "aggregate {aggregate}: {id} was first delivered before its predecessor {other}"
                        ));
                    }
                }
                Some(_) => {}
                None if status == Some(Status::Dead) => outcome.dead += 1,
                None => outcome
                    .violations
                    .push(format!("lost {id} of aggregate {aggregate}, ordered {ordered}, {status:?}")),
            }
            if status.is_some_and(|status| !status.is_settled()) {
                outcome
                    .violations
                    .push(format!("{id} of aggregate {aggregate} is still {status:?}"));
            }
        }
        if self.strays != 0 {
            outcome
                .violations
                .push(format!("{} rows were found only by the pass from the start", self.strays));
        }
        outcome.violations.truncate(10);
        outcome
    }
}

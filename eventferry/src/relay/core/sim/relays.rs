//! The relays of a simulated world: cores, each with three connections to its database.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::event::Event;
use super::plan::Broker;
use super::verdict::Breach;
use super::world::World;
use crate::event::MessageId;
use crate::outbox::RetryPolicy;
use crate::relay::core::{Command, Core, CoreConfig, Fact, Now, Policy};
use crate::store::RelayId;

/// One connection: statements one after the other.
#[derive(Debug, Default)]
pub(super) struct Stage {
    waiting: VecDeque<(Now, Command)>,
    busy: bool,
    /// It was to a database that is gone.
    pub(super) cut: bool,
}

pub(super) struct SimRelay {
    pub(super) core: Core,
    pub(super) id: RelayId,
    pub(super) life: u64,
    pub(super) started: Now,
    pub(super) up: bool,
    pub(super) paused_until: Now,
    pub(super) inbox: Vec<Fact>,
    /// Read, write, lease.
    pub(super) stages: [Stage; 3],
    pub(super) next_turn: Now,
    /// Which connection it reads on: another one after each failed read.
    pub(super) connection: u64,
}

impl World {
    pub(super) fn relay(&mut self, life: u64) -> SimRelay {
        let plan = Rc::clone(&self.plan);
        let config = CoreConfig {
            window: plan.window,
            window_bytes: 1 << 18,
            ack_batch: 10,
            ack_delay: Duration::from_millis(20),
            lease: plan.lease,
            drain: plan.lease / 2,
            poll_min: plan.poll,
            poll_max: Duration::from_millis(200),
            full_pass: plan.full_pass,
            plain_limit: plan.plain_limit,
            pipelined: plan.broker != Broker::Plain,
            learns: true,
            groups: plan.groups,
            recover_from_fence: true,
            policy: Policy {
                max_attempts: plan.max_attempts,
                retry: RetryPolicy::exponential(Duration::from_millis(100), Duration::from_secs(1)),
                on_dead: plan.on_dead,
            },
            topics: std::collections::HashMap::new(),
            dead_letter: plan.dead_letter.then(|| "dlq".to_owned()),
            seed: self.rng.u64(..),
        };
        SimRelay {
            core: Core::new(config),
            id: RelayId::random(),
            life,
            started: self.now,
            up: true,
            paused_until: Now::ZERO,
            inbox: Vec::new(),
            stages: std::array::from_fn(|_| Stage::default()),
            next_turn: Now::MAX,
            connection: 1,
        }
    }

    pub(super) fn is_up(&self, relay: usize, life: u64) -> bool {
        self.relays[relay].up && self.relays[relay].life == life
    }

    /// An event ends the process that handed it over.
    pub(super) fn end_by(&mut self, relay: usize, message_id: MessageId) {
        *self.ends.entry(message_id).or_default() += 1;
        self.relays[relay].up = false;
        self.trace.event(self.now, message_id, || format!("ends relay {relay}"));
        self.after(50..800, Event::Start(relay));
    }

    /// Asks for a turn; of several wishes the earliest counts.
    pub(super) fn wish(&mut self, relay: usize, at: Now) {
        let at = at.max(self.now);
        if at < self.relays[relay].next_turn {
            self.relays[relay].next_turn = at;
            let life = self.relays[relay].life;
            self.at(at, Event::Turn { relay, life });
        }
    }

    pub(super) fn turn(&mut self, relay: usize, life: u64) {
        let sim = &mut self.relays[relay];
        sim.next_turn = Now::MAX;
        if sim.paused_until > self.now {
            let until = sim.paused_until;
            return self.wish(relay, until);
        }
        let facts = std::mem::take(&mut sim.inbox);
        for fact in &facts {
            if let Fact::Read { batch: Some(batch), .. } = fact {
                self.late += batch.late.len();
            }
            self.trace.fact(self.now, relay, life, fact);
        }
        let strays = sim.core.stats().strays;
        let commands = sim.core.turn(self.now.saturating_sub(sim.started), facts);
        if sim.core.stats().strays != strays {
            let stray = sim.core.stray;
            let text = format!("relay {relay}.{life} found {stray:?} only by the pass from the start");
            self.oracle.breach(Breach::Stray, stray, text);
        }
        let (closed, next) = (sim.core.is_closed(), sim.core.next_turn().saturating_add(sim.started));
        self.careful = self.careful.max(self.relays[relay].core.stats().careful);
        for command in commands {
            self.trace.command(self.now, relay, life, &command);
            self.dispatch(relay, life, command);
            if !self.is_up(relay, life) {
                return;
            }
        }
        if closed {
            self.relays[relay].up = false;
            self.after(10..300, Event::Start(relay));
        } else {
            self.wish(relay, next.max(self.now + Duration::from_micros(100)));
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
        let sim = &mut self.relays[relay];
        let asked_at = self.now.saturating_sub(sim.started);
        sim.stages[stage].waiting.push_back((asked_at, command));
        if !sim.stages[stage].busy {
            self.next_statement(relay, stage);
        }
    }

    /// A stage sends its next statement; an answer to the one before has come.
    pub(super) fn next_statement(&mut self, relay: usize, stage: usize) {
        let sim = &mut self.relays[relay];
        let Some((asked_at, command)) = sim.stages[stage].waiting.pop_front() else {
            sim.stages[stage].busy = false;
            return;
        };
        sim.stages[stage].busy = true;
        let (life, id) = (sim.life, sim.id);
        self.after(
            0..15,
            Event::Effect {
                relay,
                life,
                id,
                stage,
                asked_at,
                command,
            },
        );
    }

    pub(super) fn answer_at(&mut self, at: Now, relay: usize, life: u64, facts: Vec<Fact>) {
        self.at(at, Event::Answer { relay, life, facts });
    }
}

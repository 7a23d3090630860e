//! May the next event of an aggregate go now, and on which route? And what the publisher's answers mean.

use std::collections::VecDeque;
use std::time::Duration;

use super::alone::Reason;
use super::outage::{Partitions, add_schema, add_topic};
use super::queue::{Gate, QueueKey, Why};
use super::shed::SHED_MIN;
use super::{Command, Core, HandOver, Known, Now, Policy, ReadCommand, Way};
use crate::event::headers::EVENT_SCHEMA;
use crate::mutant::{Mutant, mutant};
use crate::outbox::{LaneLease, Payload, Record, RowId};
use crate::publish::partitioner::partition_of;

/// How long a topic stays on the plain route after one of its events was refused.
pub(super) const PLAIN_FOR: Duration = Duration::from_secs(10);
/// A route may always hold this many events, however full the window is.
const ROUTE_MIN: usize = 16;

/// Where an event goes: a partition through the session, or by one call. The number is the topic's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Route {
    Plain(u32),
    Pipelined(u32, i32),
}

#[derive(Debug, Default)]
pub(super) struct RouteState {
    in_flight: usize,
    bytes: usize,
    waiting: VecDeque<QueueKey>,
    pub(super) progress: Now,
    /// Queues that were dropped because nothing moved here, and when one of them is tried again.
    pub(super) shed: Vec<QueueKey>,
    pub(super) try_at: Now,
    pub(super) backoff: Duration,
}

/// One event handed over and not yet answered.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) row: RowId,
    pub(super) key: QueueKey,
    pub(super) lease: LaneLease,
    pub(super) route: Route,
    /// The session it was handed to.
    pub(super) session: u64,
    pub(super) attempts: u32,
    /// How often the server had changed when it was read.
    pub(super) resets: u64,
    /// Its payload, which is in memory until the flight lands.
    pub(super) bytes: usize,
    /// A dead letter, and what its original was refused with.
    pub(super) letter: Option<Letter>,
}

impl Flight {
    /// A row on its way by one call.
    pub(super) fn plain(record: &Record, key: QueueKey, lease: LaneLease, route: Route, resets: u64) -> Self {
        Self {
            row: record.row(),
            key,
            lease,
            route,
            session: 0,
            attempts: record.attempts,
            resets,
            bytes: record.payload.len(),
            letter: None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Letter {
    pub(super) reason: String,
    pub(super) policy: Policy,
    /// It can never be delivered: that counts no attempt.
    pub(super) rejected: bool,
    /// The attempt that was the last was counted before it was made.
    pub(super) counted: bool,
}

impl Core {
    pub(super) fn enqueue_ready(&mut self, key: QueueKey) {
        if let Some(queue) = self.queues.get_mut(&key)
            && !queue.waiting
        {
            queue.waiting = true;
            self.ready.push_back(key);
        }
    }

    pub(super) fn pump_ready(&mut self) {
        self.feed_starved();
        loop {
            while let Some(key) = self.ready.pop_front() {
                if let Some(queue) = self.queues.get_mut(&key) {
                    queue.waiting = false;
                    self.pump(key);
                    self.tidy(key);
                }
            }
            // A queue that was called may have had no use for its place: the next one gets it.
            let places = self.plain_places().min(self.plain_waiting.len());
            self.ready.extend(self.plain_waiting.drain(..places));
            self.feed_starved();
            if self.ready.is_empty() {
                break;
            }
        }
        self.shed();
    }

    fn plain_places(&self) -> usize {
        let limit = match (self.alone.wants_quiet(), self.probing) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => self.config.plain_limit,
        };
        limit.saturating_sub(self.plain_in_flight)
    }

    /// Hands over as many rows of a queue as may go, or puts it into the list of what it waits for.
    fn pump(&mut self, key: QueueKey) {
        loop {
            let Some(queue) = self.queues.get_mut(&key) else { return };
            let lane = &self.lanes[usize::from(queue.lane % crate::outbox::LANES)];
            let (Some(row), Some(lease)) = (queue.rows.front(), lane.lease) else {
                return;
            };
            let alone = self.alone.reason(lane.careful, row.row());
            if queue.loading || lane.draining.is_some() || self.now >= lane.valid_until {
                return;
            }
            if row.is_discard_asked() {
                if !self.discard_front(key, lease) {
                    return; // the answers of those in flight bring it back
                }
                continue;
            }
            if self.away_until.is_some() {
                queue.waiting = true;
                self.away_waiting.push(key);
                return;
            }
            let topic = add_topic(&mut self.topics, &mut self.topic_index, &row.topic, self.config.pipelined);
            let named = if self.config.learns && !mutant(Mutant::SchemaIgnored) {
                row.headers.get(EVENT_SCHEMA)
            } else {
                None
            };
            let schema = named.map(|schema| add_schema(&mut self.topics, &mut self.schema_index, topic, schema));
            for needed in [Some(topic), schema].into_iter().flatten() {
                let state = &mut self.topics[needed as usize];
                match state.partitions {
                    Partitions::Known(_) => {}
                    Partitions::Unasked | Partitions::Asked => {
                        if state.partitions == Partitions::Unasked {
                            state.partitions = Partitions::Asked;
                            self.commands.push(state.ask());
                        }
                        queue.waiting = true;
                        state.waiting.push(key);
                        return;
                    }
                    Partitions::Away { .. } => {
                        let floor = row.id - 1;
                        state.shut.push(key);
                        self.shut(key, floor, Why::Topic);
                        return;
                    }
                }
            }
            let state = &self.topics[topic as usize];
            let count = match state.partitions {
                Partitions::Known(count) => count,
                Partitions::Unasked | Partitions::Asked | Partitions::Away { .. } => return,
            };
            let unsuspicious = row.attempts == 0 && alone.is_none() && row.payload.len() <= state.largest && state.plain_until <= self.now;
            let route = match partition(row, count) {
                Some(partition) if self.config.pipelined && unsuspicious => Route::Pipelined(topic, partition),
                Some(_) | None => Route::Plain(topic),
            };
            if key.ordered
                && queue.in_flight > 0
                && (matches!(route, Route::Plain(_)) || queue.route != Some(route))
                && !mutant(Mutant::RouteChanged)
            {
                return; // the answers of those in flight bring it back
            }
            queue.wants = Some(route);
            if let Payload::Deferred(_) = row.payload {
                queue.loading = true;
                let row = row.row();
                self.commands.push(Command::Read(ReadCommand::Payload { row, key }));
                return;
            }
            if let Some(reason) = alone {
                return self.go_alone(key, lease, topic, reason);
            }
            if !self.has_place(key, route) {
                return;
            }
            self.hand_over(key, lease, route);
        }
    }

    /// How many more events one route may hold: of what is left, by events and by bytes, as much as it has already, so that several which
    /// stall leave some to the others.
    pub(super) fn places_on(&self, route: Route) -> usize {
        let (held, bytes) = self.routes.get(&route).map_or((0, 0), |state| (state.in_flight, state.bytes));
        if bytes > 0 && bytes >= self.config.window_bytes.saturating_sub(self.flight_bytes) {
            return 0;
        }
        let free = match route {
            Route::Pipelined(..) => self.unbound().max(ROUTE_MIN),
            Route::Plain(_) => self.plain_places().max(1),
        };
        free.saturating_sub(held)
    }

    /// Whether a route takes one more now; if not, the queue is put where it will be called from.
    fn has_place(&mut self, key: QueueKey, route: Route) -> bool {
        let (places, plain_places) = (self.places_on(route), self.plain_places());
        let Some(queue) = self.queues.get_mut(&key) else { return false };
        match route {
            Route::Pipelined(..) => {
                let lane = queue.lane;
                if !self.has_session(lane, key) {
                    self.wait_in_list(key);
                    return false;
                }
            }
            Route::Plain(_) if plain_places == 0 => {
                queue.waiting = true;
                self.plain_waiting.push_back(key);
                return false;
            }
            Route::Plain(_) => {}
        }
        if places == 0 {
            self.wait_in_list(key);
            let state = self.routes.entry(route).or_default();
            if state.waiting.is_empty() {
                self.starved.push(route);
            }
            state.waiting.push_back(key);
            return false;
        }
        true
    }

    fn wait_in_list(&mut self, key: QueueKey) {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.waiting = true;
        }
    }

    fn hand_over(&mut self, key: QueueKey, lease: LaneLease, route: Route) {
        let Some(queue) = self.queues.get_mut(&key) else { return };
        let Some(record) = queue.rows.pop_front() else { return };
        queue.in_flight += 1;
        queue.route = Some(route);
        let bytes = record.payload.len();
        self.mark(record.row(), Known::InFlight);
        let source = self.source.clone();
        let (row, attempts) = (record.row(), record.attempts);
        let session = self.sessions[self.group_of(lease.lane)].number;
        let way = match route {
            Route::Pipelined(_, partition) => Way::Pipelined {
                session,
                partition,
                record,
                source,
            },
            Route::Plain(_) => Way::Plain { record, source },
        };
        self.lane_mut(lease.lane).open += 1;
        self.launch(
            Flight {
                row,
                key,
                lease,
                route,
                session,
                attempts,
                resets: self.stats.resets,
                bytes,
                letter: None,
            },
            way,
        );
    }

    pub(super) fn launch(&mut self, flight: Flight, way: Way) {
        self.tokens += 1;
        let state = self.routes.entry(flight.route).or_default();
        if state.in_flight == 0 {
            state.progress = self.now;
        }
        if self.flights.is_empty() {
            self.last_delivery = self.now;
        }
        state.in_flight += 1;
        state.bytes += flight.bytes;
        self.flight_bytes += flight.bytes;
        if let Route::Plain(_) = flight.route {
            self.plain_in_flight += 1;
        }
        self.flights.insert(self.tokens, flight);
        self.hand_overs.push(HandOver { token: self.tokens, way });
    }

    /// Calls queues that waited for a place on their route, as many as there are places now.
    fn feed_starved(&mut self) {
        for route in std::mem::take(&mut self.starved) {
            let places = self.places_on(route);
            let Some(state) = self.routes.get_mut(&route) else { continue };
            let places = places.min(state.waiting.len());
            self.ready.extend(state.waiting.drain(..places));
            if !state.waiting.is_empty() {
                self.starved.push(route);
            }
        }
    }

    /// Takes a flight off its route.
    pub(super) fn land(&mut self, token: u64) -> Option<Flight> {
        let flight = self.flights.remove(&token)?;
        self.bytes -= flight.bytes;
        self.flight_bytes -= flight.bytes;
        if let Some(state) = self.routes.get_mut(&flight.route) {
            state.in_flight -= 1;
            state.bytes -= flight.bytes;
        }
        if let Route::Plain(_) = flight.route {
            self.plain_in_flight -= 1;
            if self.plain_in_flight == 0 && self.alone.wants_quiet() {
                self.next_alone();
            }
        }
        Some(flight)
    }

    /// Takes a flight out of its queue: it is no longer in flight, whatever became of it.
    pub(super) fn leave_queue(&mut self, flight: &Flight) {
        if let Some(queue) = self.queues.get_mut(&flight.key) {
            queue.in_flight -= 1;
            if queue.in_flight == 0 {
                queue.route = None;
                if let Gate::Shut { why: Why::Route, .. } = queue.gate {
                    self.wake(flight.key);
                    return;
                }
            }
            if !queue.rows.is_empty() && !queue.waiting {
                queue.waiting = true;
                self.ready.push_back(flight.key);
            }
        }
    }

    pub(super) fn close_row(&mut self, lane: u8) {
        let lane = self.lane_mut(lane);
        lane.open = lane.open.saturating_sub(1);
    }

    pub(super) fn on_delivered(&mut self, tokens: &[u64]) {
        if tokens.is_empty() {
            return;
        }
        let now = self.now;
        self.publisher_back();
        self.last_delivery = now;
        self.alone.answered = Some(now);
        self.shed_every = SHED_MIN;
        for token in tokens {
            let Some(mut flight) = self.land(*token) else { continue };
            let alone = self.land_alone(*token);
            self.route_moves(flight.route);
            let (Route::Plain(topic) | Route::Pipelined(topic, _)) = flight.route;
            self.topic_back(topic);
            if let Route::Plain(_) = flight.route {
                let largest = &mut self.topics[topic as usize].largest;
                *largest = (*largest).max(flight.bytes);
            }
            if let Some(letter) = flight.letter.take() {
                let Letter {
                    reason,
                    policy,
                    rejected,
                    counted,
                } = letter;
                if rejected {
                    self.judge_dead(flight.row, flight.key, flight.lease, &policy, reason);
                } else {
                    // The table counts this attempt, and finds that it was the last.
                    self.judge_refused(&flight, flight.attempts + 1, counted, &policy, reason);
                }
                continue;
            }
            self.stats.delivered += 1;
            self.clear_of_suspicion(flight.row);
            self.mark(flight.row, Known::Delivered);
            if alone == Some(Reason::Crash) {
                self.delivered_alone(&flight);
            } else {
                self.acks.push((flight.row, flight.lease.lane));
            }
            self.leave_queue(&flight);
            if let Some(queue) = self.queues.get_mut(&flight.key) {
                queue.progress = now;
            }
            self.tidy(flight.key);
        }
        self.ack_since.get_or_insert(now);
    }
}

/// The partition of an event, if it can be told: the one it names, or its key's.
fn partition(row: &Record, count: u32) -> Option<i32> {
    match (row.partition, &row.key) {
        (Some(named), _) => (named >= 0 && named.unsigned_abs() < count).then_some(named),
        (None, Some(key)) if count > 0 => Some(partition_of(key.as_bytes(), count)),
        (None, _) => None,
    }
}

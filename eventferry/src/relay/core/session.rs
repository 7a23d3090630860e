//! Sessions, one for each group of lanes, their ends, and what goes back into the table's care.
//!
//! Most brokers have one group. A broker that fences by transactional id has several, so that relays can share the lanes and yet no two of
//! them ever use one id: then a session lives no longer than the leases of its group.

use super::queue::{Gate, QueueKey, Why};
use super::send::{Flight, PLAIN_FOR, Route};
use super::{Cause, Command, Core, Lane, LeaseCommand, Notice, Now, PublishCommand};
use crate::outbox::{LANES, LaneLease, RowId};
use crate::publish::{PublishErrorKind, Scope};

/// How long a topic stays on the plain route after one of its partitions stopped a session.
const PLAIN_AFTER_STALL: Now = Now::from_mins(1);
/// After this many fences of a group within [`FENCES_WITHIN`] it is given up even by a relay that may recover.
const FENCES: u8 = 3;
const FENCES_WITHIN: Now = Now::from_mins(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SessionState {
    #[default]
    Closed,
    Opening,
    Open,
    Closing,
}

/// The session of one group of lanes.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) state: SessionState,
    pub(super) number: u64,
    pub(super) waiting: Vec<QueueKey>,
    pub(super) fence: Fence,
    fences: u8,
    last_fence: Now,
}

/// Whether somebody else has the group's transactional id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fence {
    #[default]
    No,
    /// Since then; whether by the lanes' new owner, a heartbeat will tell.
    Doubt(Now),
    /// Not by an owner of the lanes: they are not taken again before then, or never.
    Barred(Option<Now>),
}

impl Core {
    /// The group of a lane.
    pub(super) fn group_of(&self, lane: u8) -> usize {
        usize::from(lane % LANES) / (usize::from(LANES) / self.sessions.len())
    }

    /// Whether the lane's session takes events; if not, the queue waits for it.
    pub(super) fn has_session(&mut self, lane: u8, key: QueueKey) -> bool {
        let group = self.group_of(lane);
        let slot = &mut self.sessions[group];
        if slot.state == SessionState::Open && slot.fence == Fence::No {
            return true;
        }
        slot.waiting.push(key);
        if slot.state == SessionState::Closed && slot.fence == Fence::No {
            self.session_numbers += 1;
            (slot.state, slot.number) = (SessionState::Opening, self.session_numbers);
            let group = u8::try_from(group).unwrap_or(0);
            self.commands.push(Command::Publish(PublishCommand::OpenSession {
                session: self.session_numbers,
                group,
            }));
        }
        false
    }

    /// Closes a session that is open, or about to be.
    pub(super) fn close_session(&mut self, group: usize) {
        let slot = &mut self.sessions[group];
        if let SessionState::Open | SessionState::Opening = slot.state {
            slot.state = SessionState::Closing;
            self.commands.push(Command::Publish(PublishCommand::CloseSession(slot.number)));
        }
    }

    /// Lanes went: with several groups, what is open for theirs must not outlive the leases.
    pub(super) fn close_sessions_of(&mut self, lost: &[bool; LANES as usize]) {
        if self.sessions.len() == 1 {
            return;
        }
        for lane in 0..LANES {
            if lost[usize::from(lane)] {
                self.close_session(self.group_of(lane));
            }
        }
    }

    /// After a heartbeat that was asked for at this time: a fence by the lanes' new owner is none; any other one is somebody else's.
    pub(super) fn look_at_fences(&mut self, asked_at: Now, looked: bool) {
        for group in 0..self.sessions.len() {
            let slot = &self.sessions[group];
            match slot.fence {
                Fence::Doubt(since) if looked && asked_at >= since => self.judge_fence(group),
                Fence::Barred(Some(until)) if self.now >= until => self.lift_fence(group),
                Fence::No | Fence::Doubt(_) | Fence::Barred(_) => {}
            }
        }
    }

    fn lift_fence(&mut self, group: usize) {
        let slot = &mut self.sessions[group];
        slot.fence = Fence::No;
        self.ready.extend(slot.waiting.drain(..));
    }

    fn judge_fence(&mut self, group: usize) {
        let ours = |lane: &&Lane| lane.lease.is_some_and(|lease| self.group_of(lease.lane) == group);
        let held: Vec<LaneLease> = self.lanes.iter().filter(ours).filter_map(|lane| lane.lease).collect();
        if held.is_empty() {
            return self.lift_fence(group);
        }
        let now = self.now;
        let slot = &mut self.sessions[group];
        slot.fences = if now > slot.last_fence + FENCES_WITHIN {
            1
        } else {
            slot.fences + 1
        };
        slot.last_fence = now;
        let for_good = !self.config.recover_from_fence || slot.fences >= FENCES;
        slot.fence = Fence::Barred((!for_good).then_some(now + self.config.lease));
        self.commands.push(Command::Tell(Notice::Fenced {
            group: u8::try_from(group).unwrap_or(0),
            for_good,
        }));
        self.lose(|lane| lane.lease.is_some_and(|lease| held.contains(&lease)));
        self.commands.push(Command::Lease(LeaseCommand::Release(held)));
    }

    /// An event that is not delivered goes back into the table's care: its queue will read it again.
    pub(super) fn put_back(&mut self, flight: &Flight, why: Why) {
        let floor = self.floor_of(flight);
        self.put_row_back(flight.row, flight.key, flight.lease.lane, floor, why);
    }

    /// From where its aggregate is read again if it does not arrive. An id of another server says nothing about this one's.
    pub(super) fn floor_of(&self, flight: &Flight) -> i64 {
        if flight.resets == self.stats.resets { flight.row.id - 1 } else { 0 }
    }

    pub(super) fn put_row_back(&mut self, row: RowId, key: QueueKey, lane: u8, floor: i64, why: Why) {
        self.known.remove(&row);
        self.close_row(lane);
        if self.may_send(lane) {
            self.read_back(key, lane, floor, why);
        } else {
            self.tidy(key);
        }
    }

    /// Has a row of a lane that is ours read again.
    pub(super) fn read_back(&mut self, key: QueueKey, lane: u8, floor: i64, why: Why) {
        if key.ordered || self.queues.get(&key).is_none_or(|queue| queue.gate == Gate::Open) {
            self.read_again(key, lane, floor);
            if why != Why::Wake
                && let Some(queue) = self.queues.get_mut(&key)
                && let Gate::Shut { why: now, .. } = &mut queue.gate
            {
                *now = why;
            }
        } else if let Some(queue) = self.queues.get_mut(&key) {
            let below = floor;
            match &mut queue.gate {
                Gate::Open => {}
                Gate::Shut { floor, .. } => *floor = (*floor).min(below),
                Gate::Reading { dropped, .. } => *dropped = Some(dropped.map_or(below, |lowest| lowest.min(below))),
            }
        }
    }

    pub(super) fn on_session_opened(&mut self, session: u64) {
        let slot = self.sessions.iter_mut().find(|slot| slot.number == session);
        if let Some(slot) = slot.filter(|slot| slot.state == SessionState::Opening) {
            slot.state = SessionState::Open;
            self.ready.extend(slot.waiting.drain(..));
        }
    }

    /// Every delivery of the session has been told: what is still in flight on it goes on at each aggregate's first unsettled row.
    pub(super) fn on_session_over(&mut self, session: u64, cause: Option<&Cause>) {
        let Some(group) = self.sessions.iter().position(|slot| slot.number == session) else {
            return;
        };
        let slot = &mut self.sessions[group];
        if slot.state != SessionState::Opening {
            self.stats.sessions_rebuilt += 1;
        }
        slot.state = SessionState::Closed;
        if let Some(cause) = cause {
            let topic = cause
                .token
                .and_then(|token| self.flights.get(&token))
                .map(|flight| match flight.route {
                    Route::Plain(topic) | Route::Pipelined(topic, _) => topic,
                });
            match (cause.kind, topic) {
                (PublishErrorKind::Retriable | PublishErrorKind::Rejected, Some(topic)) => {
                    self.topics[topic as usize].plain_until = self.now + PLAIN_FOR;
                }
                (PublishErrorKind::Unavailable(Scope::Partition), Some(topic)) => {
                    // One partition stopped the whole session: its topic's events go one by one until it may be there again.
                    self.topics[topic as usize].plain_until = self.now + PLAIN_AFTER_STALL;
                }
                (PublishErrorKind::Unavailable(Scope::Topic), Some(topic)) => {
                    // Metadata may show a topic that may not be written: it is tried without a session until that ends, or it would end every one.
                    self.topics[topic as usize].plain_until = self.now + PLAIN_FOR;
                    self.topic_away(topic);
                }
                (PublishErrorKind::Fenced, _) if self.sessions.len() > 1 => {
                    if let Fence::No = self.sessions[group].fence {
                        self.sessions[group].fence = Fence::Doubt(self.now);
                    }
                    self.next_renew = self.now;
                }
                // The last word of the session was that its event is delivered.
                (PublishErrorKind::Retriable | PublishErrorKind::Rejected, None) if cause.token.is_some() => {}
                (_, _) => self.publisher_away(),
            }
        }
        let lost_connection = cause.is_some_and(|cause| cause.kind == PublishErrorKind::Unavailable(Scope::Publisher));
        let mut lost: Vec<u64> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.session == session && matches!(flight.route, Route::Pipelined(..)))
            .map(|(token, _)| *token)
            .collect();
        lost.sort_unstable();
        for token in lost {
            if let Some(flight) = self.land(token) {
                if lost_connection {
                    self.on_lost(&flight);
                }
                self.leave_queue(&flight);
                self.put_back(&flight, Why::Wake);
            }
        }
        self.routes_are_new();
        if self.sessions[group].fence == Fence::No {
            self.ready.extend(self.sessions[group].waiting.drain(..));
        }
    }
}

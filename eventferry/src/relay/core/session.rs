//! The end of a session, and what goes back into the table's care.

use super::queue::{Gate, QueueKey, Why};
use super::send::{Flight, PLAIN_FOR, Route};
use super::{Cause, Core};
use crate::outbox::RowId;
use crate::publish::{PublishErrorKind, Scope};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionState {
    Closed,
    Opening,
    Open,
    Closing,
}

impl Core {
    /// An event that is not delivered goes back into the table's care: its queue will read it again.
    pub(super) fn put_back(&mut self, flight: &Flight, why: Why) {
        self.put_row_back(flight.row, flight.key, flight.lease.lane, why);
    }

    pub(super) fn put_row_back(&mut self, row: RowId, key: QueueKey, lane: u8, why: Why) {
        self.known.remove(&row);
        self.close_row(lane);
        if !self.may_send(lane) {
            self.tidy(key);
            return;
        }
        if key.ordered || self.queues.get(&key).is_none_or(|queue| queue.gate == Gate::Open) {
            self.read_again(key, lane, row.id - 1);
            if why != Why::Wake
                && let Some(queue) = self.queues.get_mut(&key)
                && let Gate::Shut { why: now, .. } = &mut queue.gate
            {
                *now = why;
            }
        } else if let Some(queue) = self.queues.get_mut(&key) {
            let below = row.id - 1;
            match &mut queue.gate {
                Gate::Open => {}
                Gate::Shut { floor, .. } => *floor = (*floor).min(below),
                Gate::Reading { dropped, .. } => *dropped = Some(dropped.map_or(below, |lowest| lowest.min(below))),
            }
        }
    }

    pub(super) fn on_session_opened(&mut self, session: u64) {
        if session == self.session_number && self.session == SessionState::Opening {
            self.session = SessionState::Open;
            self.ready.extend(self.session_waiting.drain(..));
        }
    }

    /// Every delivery of the session has been told: what is still in flight on it goes on at each aggregate's first unsettled row.
    pub(super) fn on_session_over(&mut self, session: u64, cause: Option<&Cause>) {
        if session != self.session_number {
            return;
        }
        if self.session != SessionState::Opening {
            self.stats.sessions_rebuilt += 1;
        }
        self.session = SessionState::Closed;
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
                (PublishErrorKind::Unavailable(Scope::Topic), Some(topic)) => self.topic_away(topic),
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
        self.ready.extend(self.session_waiting.drain(..));
    }
}

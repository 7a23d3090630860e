//! An event that did not arrive: whose fault it is, and what becomes of it.

use super::alone::Reason;
use super::outage::{AWAY_MAX, add_topic};
use super::queue::Why;
use super::send::{Flight, Letter, PLAIN_FOR, Route};
use super::{Core, DeadLetter, Known, Way};
use crate::event::Message;
use crate::publish::{PublishErrorKind, Scope};

impl Core {
    /// A plain publish failed: whose fault is it?
    pub(super) fn on_refused(&mut self, token: u64, kind: PublishErrorKind, error: String, message: Message) {
        let Some(flight) = self.land(token) else { return };
        if let Some(letter) = &flight.letter {
            if kind == PublishErrorKind::Rejected {
                // No letter of it can ever be delivered: it is dead in the table, where somebody can decide about it.
                let error = format!("{}; the dead-letter topic can never take it: {error}", letter.reason);
                if letter.rejected {
                    self.judge_dead(flight.row, flight.key, flight.lease, &letter.policy, error);
                } else {
                    self.judge_refused(&flight, flight.attempts + 1, letter.counted, &letter.policy, error);
                }
                return;
            }
            // The dead-letter topic did not take it: the row waits, and is tried again from the start.
            let error = format!("{}; dead-letter topic: {error}", letter.reason);
            self.judge_wait(&flight, letter.counted, &letter.policy, error);
            return;
        }
        let alone = self.land_alone(token);
        if (alone, kind) == (Some(Reason::Suspect), PublishErrorKind::Unavailable(Scope::Publisher)) {
            return self.lost_alone(flight, message);
        }
        self.leave_queue(&flight);
        if let Route::Plain(topic) = flight.route
            && matches!(kind, PublishErrorKind::Retriable | PublishErrorKind::Rejected)
        {
            // It was refused by a broker that is there.
            self.publisher_back();
            self.topics[topic as usize].refused(kind, flight.bytes, self.now);
            if self.lane(flight.lease.lane).lease == Some(flight.lease) {
                return self.on_fault(&flight, kind, error, message, alone == Some(Reason::Crash));
            }
        }
        if alone == Some(Reason::Crash) && self.lane(flight.lease.lane).lease == Some(flight.lease) {
            let policy = self.policy(&message.topic);
            self.excuse(&flight, &policy, error);
        } else {
            self.put_back(&flight, Why::Timer);
        }
        let wait = if kind == PublishErrorKind::Unavailable(Scope::Partition) {
            AWAY_MAX
        } else {
            self.away_backoff
        };
        self.timer(wait, flight.key);
        match kind {
            PublishErrorKind::Unavailable(Scope::Publisher) if alone.is_none() => {
                self.on_lost(&flight);
                self.publisher_away();
            }
            PublishErrorKind::Unavailable(Scope::Topic) => {
                let (Route::Plain(topic) | Route::Pipelined(topic, _)) = flight.route;
                self.topics[topic as usize].plain_until = self.now + PLAIN_FOR;
                self.topic_away(topic);
            }
            PublishErrorKind::Unavailable(Scope::Publisher) | PublishErrorKind::Throttled | PublishErrorKind::Fenced => {
                self.publisher_away();
            }
            PublishErrorKind::Unavailable(Scope::Partition) | PublishErrorKind::Retriable | PublishErrorKind::Rejected => {}
        }
    }

    /// The event itself was refused on the plain route, under a lease that is still ours.
    pub(super) fn on_fault(&mut self, flight: &Flight, kind: PublishErrorKind, error: String, message: Message, counted: bool) {
        if flight.key.ordered {
            let floor = self.floor_of(flight);
            self.shut(flight.key, floor, Why::Verdict);
        }
        self.mark(flight.row, Known::Judging);
        if counted {
            self.settled_alone();
        }
        let policy = self.policy(&message.topic);
        let attempts = flight.attempts + 1;
        let dies = kind == PublishErrorKind::Rejected || (policy.max_attempts != 0 && attempts >= policy.max_attempts);
        let class = if kind == PublishErrorKind::Rejected {
            "rejected"
        } else {
            "retriable"
        };
        let (row, key, lease) = (flight.row, flight.key, flight.lease);
        match self.config.dead_letter.clone() {
            Some(topic) if dies => {
                let route = Route::Plain(add_topic(&mut self.topics, &mut self.topic_index, &topic, self.config.pipelined));
                if self.places_on(route) == 0 {
                    // Letters take no more plain calls than the events of any other topic.
                    let error = format!("{error}; dead-letter topic `{topic}`: it does not keep up");
                    return self.judge_wait(flight, counted, &policy, error);
                }
                let way = Way::DeadLetter {
                    letter: Box::new(DeadLetter {
                        topic,
                        message,
                        reason: error.clone(),
                        class,
                        attempts,
                    }),
                };
                let letter = Some(Letter {
                    reason: error,
                    policy,
                    rejected: kind == PublishErrorKind::Rejected,
                    counted,
                });
                self.launch(
                    Flight {
                        row,
                        key,
                        lease,
                        route,
                        session: flight.session,
                        attempts: flight.attempts,
                        resets: flight.resets,
                        bytes: 0,
                        letter,
                    },
                    way,
                );
            }
            Some(_) | None if kind == PublishErrorKind::Rejected => self.judge_dead(row, key, lease, &policy, error),
            Some(_) | None => self.judge_refused(flight, attempts, counted, &policy, error),
        }
    }
}

//! Events that go alone, because they may be what ends the process, or the connection.
//!
//! *Crash*: relays ended again and again with a lane in their hands. Its events go one at a time, each counted before it is sent and only
//! while the broker answers, so that the one which does it dies of its attempts and no other is counted.
//!
//! *Suspect*: a connection was lost with the event in flight, again and again, and each time the broker answered a question without events
//! right after. It goes alone; lost once more, with the broker there before and after, it was the event.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::care::{Care, DEATHS};
use super::queue::{QueueKey, Why};
use super::send::{Flight, Route};
use super::{Command, Core, Known, Now, PublishCommand, Way};
use crate::event::Message;
use crate::outbox::{LaneLease, Record, RowId};
use crate::publish::{Presence, PublishErrorKind};
use crate::store::{Fault, Verdict, VerdictOutcome};

/// An event that was in flight at this many losses goes alone.
const LOSSES: u8 = 3;
const ANSWER_HOLDS: Now = Now::from_secs(1);
const BEGUN: &str =
    "sent alone, because relays ended again and again with this lane in their hands; no answer was recorded: the process ended";
const LOST: &str = "the connection was lost each time this event was sent, and the broker answered before and after";

/// What is known of those that go alone.
#[derive(Debug, Default)]
pub(super) struct Alone {
    one: Option<One>,
    waiting: VecDeque<QueueKey>,
    /// A suspect waits for the plain calls under way to end.
    crowded: bool,
    /// While some lane is read with care.
    pub(super) care: Option<Care>,
    pub(super) told: bool,
    /// Delivered, and their counted attempt not yet taken back.
    delivered: FxHashSet<RowId>,
    /// When the broker last took an event: for a while that is as good as an answer.
    pub(super) answered: Option<Now>,
    probes: u64,
    /// Asked after a loss.
    probe: Option<u64>,
    lost: Vec<(RowId, u32)>,
    losses: FxHashMap<RowId, u8>,
}

/// The one that goes alone now.
#[derive(Debug)]
struct One {
    row: RowId,
    reason: Reason,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Crash,
    Suspect,
}

#[derive(Debug)]
enum Stage {
    /// Is the broker there?
    Before {
        probe: u64,
        flight: Flight,
        record: Record,
    },
    /// Its attempt is being committed.
    Counting {
        flight: Flight,
        record: Record,
    },
    Sent {
        token: u64,
    },
    /// Its connection was lost: is the broker there?
    After {
        probe: u64,
        flight: Flight,
        message: Message,
    },
}

impl Alone {
    /// Why an event must go alone, if it must.
    pub(super) fn reason(&self, careful_lane: bool, row: RowId) -> Option<Reason> {
        if careful_lane {
            Some(Reason::Crash)
        } else if !self.losses.is_empty() && self.losses.get(&row).is_some_and(|losses| *losses >= LOSSES) {
            Some(Reason::Suspect)
        } else {
            None
        }
    }

    /// Whether a suspect is on its way, or waits until nothing else is: a loss must then be nobody else's.
    pub(super) fn wants_quiet(&self) -> bool {
        self.crowded || self.one.as_ref().is_some_and(|one| one.reason == Reason::Suspect)
    }

    /// Whether there is no reason for care any more: the event was found, or enough of them went well.
    pub(super) fn has_cared_enough(&self, now: Now) -> bool {
        let enough = |care: &Care| care.found || care.left == 0 || now >= care.until;
        self.care.as_ref().is_none_or(enough)
    }

    /// Whether an event carries an attempt that was counted before it was made, and is not answered for yet: what goes beside it could end
    /// the process with it.
    pub(super) fn has_counted(&self) -> bool {
        !self.delivered.is_empty() || self.one.as_ref().is_some_and(|one| one.reason == Reason::Crash)
    }

    /// An answer to a question without events is awaited before an outage is over.
    pub(super) fn is_asked(&self) -> bool {
        self.probe.is_some()
    }
}

impl Core {
    /// The first row of a queue goes alone, now or when the one before it has.
    pub(super) fn go_alone(&mut self, key: QueueKey, lease: LaneLease, topic: u32, reason: Reason) {
        let crowded = reason == Reason::Suspect && self.plain_in_flight > 0;
        let enough = reason == Reason::Crash && self.alone.has_cared_enough(self.now);
        let Some(queue) = self.queues.get_mut(&key) else { return };
        if self.alone.one.is_some() || crowded || enough {
            self.alone.crowded |= crowded;
            queue.waiting = true;
            self.alone.waiting.push_back(key);
            return;
        }
        let Some(record) = queue.rows.pop_front() else { return };
        let route = Route::Plain(topic);
        queue.in_flight += 1;
        queue.route = Some(route);
        self.mark(record.row(), Known::InFlight);
        self.lane_mut(lease.lane).open += 1;
        let flight = Flight::plain(&record, key, lease, route, self.stats.resets);
        if reason == Reason::Crash && self.alone.answered.is_some_and(|at| self.now < at + ANSWER_HOLDS) {
            return self.before_alone(reason, flight, record, Presence::There);
        }
        let probe = self.ask_for_presence(topic);
        self.alone.one = Some(One {
            row: record.row(),
            reason,
            stage: Stage::Before { probe, flight, record },
        });
    }

    fn ask_for_presence(&mut self, topic: u32) -> u64 {
        self.alone.probes += 1;
        let (number, topic) = (self.alone.probes, self.topics[topic as usize].name.clone());
        self.commands.push(Command::Publish(PublishCommand::Probe { number, topic }));
        number
    }

    pub(super) fn on_probed(&mut self, number: u64, presence: Presence) {
        if self.alone.probe == Some(number) {
            self.alone.probe = None;
            return self.after_loss(presence);
        }
        let asked = |one: &One| matches!(&one.stage, Stage::Before { probe, .. } | Stage::After { probe, .. } if *probe == number);
        let Some(one) = self.alone.one.take_if(|one| asked(one)) else {
            return;
        };
        match one.stage {
            Stage::Before { flight, record, .. } => self.before_alone(one.reason, flight, record, presence),
            Stage::After { flight, message, .. } => {
                if presence == Presence::There && self.lane(flight.lease.lane).lease == Some(flight.lease) {
                    self.leave_queue(&flight);
                    self.on_fault(&flight, PublishErrorKind::Retriable, LOST.to_owned(), message, false);
                } else {
                    self.give_back_alone(&flight);
                    if presence != Presence::There {
                        self.publisher_away();
                    }
                }
                self.next_alone();
            }
            Stage::Counting { .. } | Stage::Sent { .. } => {}
        }
    }

    fn before_alone(&mut self, reason: Reason, flight: Flight, record: Record, presence: Presence) {
        if presence == Presence::Away || !self.may_send(flight.lease.lane) {
            self.bytes -= flight.bytes;
            self.give_back_alone(&flight);
            if presence == Presence::Away {
                self.publisher_away();
            }
            return self.next_alone();
        }
        let row = record.row();
        let stage = match reason {
            Reason::Crash => {
                let policy = self.policy(&record.topic);
                // With a dead-letter topic an event is dead once that has it. What ends the process would end it as a letter, too: it dies
                // without one, but only after the lane's relays ended as often again as it has attempts.
                let letters = self.config.dead_letter.is_some();
                let enough = self.lane(flight.lease.lane).deaths >= DEATHS.saturating_add(policy.max_attempts);
                // A kill from outside in the middle of an attempt leaves it counted: what condemned the lane is the least that condemns an event.
                let max_attempts = match policy.max_attempts {
                    0 => 0,
                    _ if letters && !enough => 0,
                    max => max.max(DEATHS),
                };
                let fault = Fault::Begun { max_attempts };
                self.verdicts
                    .push(Verdict::new(row, flight.attempts, flight.lease, fault, policy.on_dead, BEGUN));
                Stage::Counting { flight, record }
            }
            Reason::Suspect => self.send_alone(flight, record),
        };
        self.alone.one = Some(One { row, reason, stage });
    }

    fn send_alone(&mut self, flight: Flight, record: Record) -> Stage {
        let source = self.source.clone();
        self.launch(flight, Way::Plain { record, source });
        Stage::Sent { token: self.tokens }
    }

    /// The attempt is committed, or the row turned out to need none.
    pub(super) fn on_begun(&mut self, verdict: &Verdict, outcome: VerdictOutcome) {
        let counting = |one: &mut One| one.row == verdict.row && matches!(one.stage, Stage::Counting { .. });
        let Some(One {
            row,
            reason,
            stage: Stage::Counting { mut flight, record },
        }) = self.alone.one.take_if(counting)
        else {
            return;
        };
        match outcome {
            VerdictOutcome::Waits { attempts } if self.may_send(flight.lease.lane) => {
                // What is counted already is not counted again.
                flight.attempts = attempts.saturating_sub(1);
                let stage = self.send_alone(flight, record);
                self.alone.one = Some(One { row, reason, stage });
                return;
            }
            VerdictOutcome::Waits { attempts } if self.lane(flight.lease.lane).lease == Some(flight.lease) => {
                // The lane is being handed back: what was not sent is not counted.
                flight.attempts = attempts.saturating_sub(1);
                self.bytes -= flight.bytes;
                self.leave_queue(&flight);
                let policy = self.policy(&record.topic);
                self.excuse(&flight, &policy, String::new());
            }
            VerdictOutcome::Waits { .. } | VerdictOutcome::LaneLost => {
                self.bytes -= flight.bytes;
                self.give_back_alone(&flight);
                if outcome == VerdictOutcome::LaneLost {
                    self.stats.fenced += 1;
                    let lease = verdict.lease;
                    self.lose(|lane| lane.lease == Some(lease));
                }
            }
            VerdictOutcome::Locked if self.lane(flight.lease.lane).lease == Some(flight.lease) => {
                // The others need not wait for whoever holds it. An attempt that an earlier statement may have counted, whose answer was lost,
                // is taken back when it can be; then the event has its turn again.
                self.bytes -= flight.bytes;
                self.leave_queue(&flight);
                let policy = self.policy(&record.topic);
                self.excuse(&flight, &policy, String::new());
                if let Some(excuse) = self.verdicts.pop() {
                    self.locked.keep(excuse);
                }
            }
            VerdictOutcome::Locked => {
                self.bytes -= flight.bytes;
                self.give_back_alone(&flight);
            }
            VerdictOutcome::Dead | VerdictOutcome::Settled | VerdictOutcome::Discarded | VerdictOutcome::Holds => {
                if let VerdictOutcome::Dead | VerdictOutcome::Holds = outcome {
                    // Found: there is no reason for care any more.
                    if let Some(care) = &mut self.alone.care {
                        care.found = true;
                    }
                }
                self.bytes -= flight.bytes;
                self.stats.dead += u64::from(matches!(outcome, VerdictOutcome::Dead | VerdictOutcome::Holds));
                self.close_row(flight.lease.lane);
                self.leave_queue(&flight);
                self.settle(flight.row);
                let why = if outcome == VerdictOutcome::Holds { Why::Held } else { Why::Wake };
                let floor = self.floor_of(&flight);
                self.shut(flight.key, floor, why);
                self.tidy(flight.key);
            }
        }
        self.next_alone();
    }

    /// If this flight was the one that went alone: why. The next one may go.
    pub(super) fn land_alone(&mut self, token: u64) -> Option<Reason> {
        let one = self
            .alone
            .one
            .take_if(|one| matches!(one.stage, Stage::Sent { token: sent } if sent == token))?;
        self.next_alone();
        Some(one.reason)
    }

    /// One more event of a careful lane proved harmless to the process.
    pub(super) fn settled_alone(&mut self) {
        if let Some(care) = &mut self.alone.care {
            care.left = care.left.saturating_sub(1);
        }
    }

    /// What was counted before the send is taken back before the delivery is recorded: it was no refusal.
    pub(super) fn delivered_alone(&mut self, flight: &Flight) {
        self.settled_alone();
        self.alone.delivered.insert(flight.row);
        let (lease, on_dead) = (flight.lease, self.config.policy.on_dead);
        self.verdicts.push(Verdict::new(
            flight.row,
            flight.attempts + 1,
            lease,
            Fault::Excused,
            on_dead,
            String::new(),
        ));
    }

    /// Whether this answer was about an event that was delivered: then it only remains to record that. Where somebody else has the row locked,
    /// the attempt stays: care must not go on for as long.
    pub(super) fn record_delivered_alone(&mut self, verdict: &Verdict) -> bool {
        let delivered = verdict.fault == Fault::Excused && self.alone.delivered.remove(&verdict.row);
        if delivered {
            self.acks.push((verdict.row, verdict.lease.lane));
            self.ack_since.get_or_insert(self.now);
        }
        delivered
    }

    /// A suspect's connection was lost once more: it was the event, if the broker is there.
    pub(super) fn lost_alone(&mut self, flight: Flight, message: Message) {
        let (Route::Plain(topic) | Route::Pipelined(topic, _)) = flight.route;
        let probe = self.ask_for_presence(topic);
        self.alone.one = Some(One {
            row: flight.row,
            reason: Reason::Suspect,
            stage: Stage::After { probe, flight, message },
        });
    }

    fn give_back_alone(&mut self, flight: &Flight) {
        self.leave_queue(flight);
        self.put_back(flight, Why::Timer);
        self.timer(self.away_backoff, flight.key);
    }

    pub(super) fn next_alone(&mut self) {
        self.alone.crowded = false;
        self.ready.extend(self.alone.waiting.drain(..));
        self.ready.extend(self.plain_waiting.drain(..));
    }

    /// A connection was lost with these in flight.
    pub(super) fn on_lost(&mut self, flight: &Flight) {
        let (Route::Plain(topic) | Route::Pipelined(topic, _)) = flight.route;
        if self.alone.probe.is_none() {
            self.alone.lost.push((flight.row, topic));
        }
    }

    /// Whether the end of an outage waits for an answer to a question without events.
    pub(super) fn doubts_outage(&mut self) -> bool {
        if let (None, Some((_, topic))) = (self.alone.probe, self.alone.lost.first().copied()) {
            self.alone.probe = Some(self.ask_for_presence(topic));
        }
        self.alone.probe.is_some()
    }

    fn after_loss(&mut self, presence: Presence) {
        let lost = std::mem::take(&mut self.alone.lost);
        match presence {
            Presence::There => {
                for (row, _) in lost {
                    let losses = self.alone.losses.entry(row).or_default();
                    *losses = losses.saturating_add(1);
                }
                // What is no longer in this relay's hands is never cleared; the suspicion starts over rather than grow for ever.
                if self.alone.losses.len() > self.config.window * 4 {
                    self.alone.losses.clear();
                }
            }
            Presence::Away => self.still_away(),
            Presence::Unknown => {}
        }
    }

    /// It arrived: whatever was lost, it was not this one's doing.
    pub(super) fn clear_of_suspicion(&mut self, row: RowId) {
        if !self.alone.losses.is_empty() {
            self.alone.losses.remove(&row);
        }
    }
}

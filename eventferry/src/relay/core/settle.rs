//! Acks and verdicts on their way into the table.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashSet;

use super::queue::{Gate, QueueKey, RETRY_LATEST, Why};
use super::send::Flight;
use super::{Command, Core, Known, Notice, Now, Policy, WriteCommand};
use crate::mutant::{Mutant, mutant};
use crate::outbox::{LaneLease, RowId, lane_of};
use crate::store::{Fault, Verdict, VerdictOutcome};

const RETRY_WRITE: Duration = Duration::from_millis(250);
/// Each statement that names a locked row takes as long as a store waits for locks: seldom enough that the others keep most of the time.
const TRY_LOCKED_AGAIN: Duration = Duration::from_secs(1);
/// Verdicts of one statement, at most.
pub(super) const VERDICTS_MAX: usize = 1000;
/// What is stored of an error's text, at most.
const ERROR_MAX: usize = 2000;

/// Rows that cannot be written, because somebody else has them locked.
#[derive(Debug, Default)]
pub(super) struct Locked {
    delivered: VecDeque<(RowId, u8)>,
    verdicts: Vec<Verdict>,
    /// Those that are named again and have no answer yet.
    named: FxHashSet<RowId>,
    /// When some of them are named again: once those that are have their answers.
    acks_again: Option<Now>,
    verdicts_again: Option<Now>,
    told: bool,
}

impl Locked {
    pub(super) fn len(&self) -> usize {
        self.delivered.len() + self.verdicts.len() + self.named.len()
    }

    /// Keeps a verdict until its row is named again.
    pub(super) fn keep(&mut self, verdict: Verdict) {
        self.verdicts.push(verdict);
    }

    fn one(&self) -> i64 {
        let delivered = self.delivered.front().map(|(row, _)| row.id);
        delivered.or(self.verdicts.first().map(|verdict| verdict.row.id)).unwrap_or(0)
    }
}

impl Core {
    pub(super) fn tend_settling(&mut self) {
        let now = self.now;
        if !self.ack_out && self.locked.acks_again.is_some_and(|again| now >= again) {
            self.locked.acks_again = None;
            self.ack_since.get_or_insert(now);
            // In front and no more than one ack takes, so that the next answer is about them, and the others have their turn after it.
            let some = self.locked.delivered.len().min(self.acks_most());
            self.locked
                .named
                .extend(self.locked.delivered.iter().take(some).map(|(row, _)| *row));
            self.acks.splice(0..0, self.locked.delivered.drain(..some));
        }
        if !self.judge_out && self.locked.verdicts_again.is_some_and(|again| now >= again) {
            self.locked.verdicts_again = None;
            let some = self.locked.verdicts.len().min(VERDICTS_MAX);
            self.locked
                .named
                .extend(self.locked.verdicts[..some].iter().map(|verdict| verdict.row));
            self.verdicts.splice(0..0, self.locked.verdicts.drain(..some));
        }
        if !self.ack_out && !self.acks.is_empty() && now >= self.next_ack {
            let due = self.ack_since.is_none_or(|since| now >= since + self.config.ack_delay);
            if due || self.acks.len() >= self.config.ack_batch || self.stopping.is_some() {
                let rest = self.acks.split_off(self.acks.len().min(self.acks_most()));
                self.acking = std::mem::replace(&mut self.acks, rest);
                self.ack_since = (!self.acks.is_empty()).then_some(now);
                self.ack_out = true;
                self.commands
                    .push(Command::Write(WriteCommand::Ack(self.acking.iter().map(|(row, _)| *row).collect())));
            }
        }
        if !self.judge_out && !self.verdicts.is_empty() && now >= self.next_judge {
            let rest = self.verdicts.split_off(self.verdicts.len().min(self.judge_most));
            let batch = std::mem::replace(&mut self.verdicts, rest);
            self.judge_out = true;
            self.commands.push(Command::Write(WriteCommand::Judge(batch)));
        }
    }

    /// Acks of one statement, at most.
    fn acks_most(&self) -> usize {
        self.config.ack_batch.max(1) * 4
    }

    pub(super) fn settling_turn(&self) -> Now {
        let ack = (!self.ack_out && !self.acks.is_empty()).then(|| {
            self.ack_since
                .map_or(Now::ZERO, |since| since + self.config.ack_delay)
                .max(self.next_ack)
        });
        let judge = (!self.judge_out && !self.verdicts.is_empty()).then_some(self.next_judge);
        let locked_acks = self.locked.acks_again.filter(|_| !self.ack_out);
        let locked_verdicts = self.locked.verdicts_again.filter(|_| !self.judge_out);
        let turns = [ack, judge, locked_acks, locked_verdicts];
        turns.into_iter().flatten().min().unwrap_or(Now::MAX)
    }

    pub(super) fn on_acked(&mut self, locked: Option<Vec<RowId>>) {
        self.ack_out = false;
        let rows = std::mem::take(&mut self.acking);
        let Some(locked) = locked else {
            self.next_ack = self.now + RETRY_WRITE;
            self.ack_since.get_or_insert(self.now);
            self.acks.splice(0..0, rows);
            return;
        };
        let locked: FxHashSet<RowId> = locked.into_iter().collect();
        for (row, lane) in rows {
            self.locked.named.remove(&row);
            if locked.contains(&row) && !mutant(Mutant::LockedSettled) {
                self.locked.delivered.push_back((row, lane));
                continue;
            }
            self.stats.acked += 1;
            self.close_row(lane);
            self.settle(row);
        }
        self.note_locked();
    }

    fn note_locked(&mut self) {
        let (rows, again) = (self.locked.len(), self.now + TRY_LOCKED_AGAIN);
        if !self.locked.delivered.is_empty() {
            self.locked.acks_again.get_or_insert(again);
        }
        if !self.locked.verdicts.is_empty() {
            self.locked.verdicts_again.get_or_insert(again);
        }
        self.stats.locked = rows as u64;
        if (rows > 0) != self.locked.told {
            self.locked.told = rows > 0;
            let one = self.locked.one();
            let notice = if rows > 0 { Notice::Locked { rows, one } } else { Notice::Unlocked };
            self.commands.push(Command::Tell(notice));
        }
    }

    /// `counted` says that this attempt was counted before it was made.
    pub(super) fn judge_refused(&mut self, flight: &Flight, attempts: u32, counted: bool, policy: &Policy, error: String) {
        let (delay, max_attempts) = (policy.retry.delay(attempts, self.rng.f64()), policy.max_attempts);
        let fault = if counted {
            Fault::RefusedAlone { delay, max_attempts }
        } else {
            Fault::Refused { delay, max_attempts }
        };
        let known = flight.attempts + u32::from(counted);
        self.judge((flight.row, known), flight.key, flight.lease, fault, policy, error);
    }

    /// An attempt that was counted before it was made was not the event's to lose: it is taken back.
    pub(super) fn excuse(&mut self, flight: &Flight, policy: &Policy, error: String) {
        if flight.key.ordered {
            let floor = self.floor_of(flight);
            self.shut(flight.key, floor, Why::Verdict);
        }
        self.mark(flight.row, Known::Judging);
        self.judge(
            (flight.row, flight.attempts + 1),
            flight.key,
            flight.lease,
            Fault::Excused,
            policy,
            error,
        );
    }

    pub(super) fn judge_dead(&mut self, row: RowId, key: QueueKey, lease: LaneLease, policy: &Policy, error: String) {
        // A death is not counted, so it cannot be counted twice.
        self.judge((row, 0), key, lease, Fault::Rejected, policy, error);
    }

    /// The dead-letter topic is away: the row waits however many attempts it had.
    pub(super) fn judge_wait(&mut self, flight: &Flight, counted: bool, policy: &Policy, error: String) {
        let for_ever = Policy {
            max_attempts: 0,
            ..*policy
        };
        self.judge_refused(flight, policy.max_attempts.max(1), counted, &for_ever, error);
    }

    /// The row comes with the attempts it is known to have.
    pub(super) fn judge(
        &mut self,
        (row, attempts): (RowId, u32),
        key: QueueKey,
        lease: LaneLease,
        fault: Fault,
        policy: &Policy,
        error: String,
    ) {
        self.judging.insert(row, key);
        let mut error = error;
        if error.len() > ERROR_MAX {
            error.truncate(error.floor_char_boundary(ERROR_MAX));
        }
        self.verdicts.push(Verdict::new(row, attempts, lease, fault, policy.on_dead, error));
    }

    pub(super) fn on_judged(&mut self, verdicts: Vec<Verdict>, outcomes: Option<Vec<VerdictOutcome>>) {
        self.judge_out = false;
        let Some(outcomes) = outcomes else {
            // One row that somebody has locked must not keep the others from their verdicts: behind them, and fewer at a time.
            self.next_judge = self.now + RETRY_WRITE;
            self.judge_most = (verdicts.len() / 2).max(1);
            self.verdicts.extend(verdicts);
            return;
        };
        self.judge_most = (self.judge_most * 2).min(VERDICTS_MAX);
        for (verdict, outcome) in verdicts.into_iter().zip(outcomes) {
            self.locked.named.remove(&verdict.row);
            if let Fault::Begun { .. } = verdict.fault {
                self.on_begun(&verdict, outcome);
                continue;
            }
            if self.record_delivered_alone(&verdict) {
                continue;
            }
            if outcome == VerdictOutcome::Locked {
                self.locked.keep(verdict);
                continue;
            }
            let Some(key) = self.judging.remove(&verdict.row) else { continue };
            if let (Fault::Excused, VerdictOutcome::Waits { .. }) = (verdict.fault, outcome) {
                self.put_row_back(verdict.row, key, verdict.lease.lane, verdict.row.id - 1, Why::Timer);
                self.timer(self.away_backoff, key);
                // Where the lane went meanwhile nothing was read back, and the queue must not stay shut for this verdict.
                self.after_verdict(key, Why::Timer);
                continue;
            }
            self.close_row(verdict.lease.lane);
            self.settle(verdict.row);
            let why = match outcome {
                // Nobody asks to discard it any more: it is read again as what it is.
                VerdictOutcome::Waits { .. } if verdict.fault == Fault::Discarded => Why::Wake,
                VerdictOutcome::Waits { attempts } => {
                    // With another count it is another server's row, or an operator's: it may wait to be sent, and no queue was shut for it.
                    let counted = verdict.attempts + u32::from(matches!(verdict.fault, Fault::Refused { .. }));
                    if !key.ordered && attempts != counted && self.may_send(verdict.lease.lane) {
                        self.read_back(key, verdict.lease.lane, verdict.row.id - 1, Why::Wake);
                    }
                    self.stats.failed += 1;
                    self.waiting_rows = true;
                    if let Fault::Refused { delay, .. } | Fault::RefusedAlone { delay, .. } = verdict.fault {
                        self.timer(delay + RETRY_LATEST, key);
                    }
                    Why::Retry
                }
                VerdictOutcome::Holds => {
                    self.stats.dead += 1;
                    Why::Held
                }
                VerdictOutcome::Dead => {
                    self.stats.dead += 1;
                    Why::Wake
                }
                // (What is locked was kept back above.)
                VerdictOutcome::Settled | VerdictOutcome::Locked => Why::Wake,
                VerdictOutcome::Discarded => {
                    self.stats.discarded += 1;
                    Why::Wake
                }
                VerdictOutcome::LaneLost if mutant(Mutant::ZeroRowsSettled) => {
                    self.mark(verdict.row, Known::Delivered);
                    Why::Wake
                }
                VerdictOutcome::LaneLost => {
                    self.stats.fenced += 1;
                    let lease = verdict.lease;
                    self.lose(|lane| lane.lease == Some(lease));
                    // The lane may be ours again, and read past this row while it was being judged: no queue was shut for an unordered one.
                    if !key.ordered && self.may_send(lease.lane) {
                        self.read_back(key, lease.lane, verdict.row.id - 1, Why::Wake);
                    }
                    Why::Wake
                }
            };
            self.after_verdict(key, why);
        }
        self.note_locked();
    }

    fn after_verdict(&mut self, key: QueueKey, after: Why) {
        let held = self.may_send(lane_of(key.order_key));
        let Some(queue) = self.queues.get_mut(&key) else { return };
        let Gate::Shut {
            why: why @ Why::Verdict, ..
        } = &mut queue.gate
        else {
            return;
        };
        if !held {
            queue.gate = Gate::Open;
            self.tidy(key);
            return;
        }
        *why = after;
        match after {
            Why::Wake => self.wake.push_back(key),
            Why::Held => self.held.push(key),
            Why::Verdict | Why::Retry | Why::Topic | Why::Route | Why::Timer | Why::Page => {}
        }
    }
}

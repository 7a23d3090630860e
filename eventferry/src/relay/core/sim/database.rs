//! Statements and what becomes of them: they may be lost before they take effect, or after, or take effect late.

use std::collections::HashSet;
use std::time::Duration;

use super::event::Event;
use super::plan::Fault;
use super::verdict::Breach;
use super::world::World;
use super::writer::now_or_never;
use crate::outbox::{RowId, Status};
use crate::relay::core::{Command, Fact, LeaseCommand, Loaded, Now, ReadCommand, WriteCommand};
use crate::store::memory::rehearsal::Move;
use crate::store::{Fault as StoreFault, RelayId, Store, Verdict, VerdictOutcome};

/// How long somebody keeps a row locked: longer than it takes to be named again.
const LOCKED_FOR: Now = Now::from_millis(1_700);

/// What a relay is told of a statement that failed, as far as it hears of it at all.
fn failed(command: &Command) -> Option<Fact> {
    Some(match command {
        Command::Lease(LeaseCommand::Renew(..) | LeaseCommand::Take(_) | LeaseCommand::TakeGroups { .. }) => Fact::LeaseCallFailed,
        Command::Read(ReadCommand::Lanes { number, .. }) => Fact::Read {
            number: *number,
            batch: None,
        },
        Command::Read(ReadCommand::Skim { number, .. }) => Fact::Skimmed {
            number: *number,
            found: None,
        },
        Command::Read(ReadCommand::Aggregates { number, .. }) => Fact::Aggregates {
            number: *number,
            rows: None,
        },
        Command::Read(ReadCommand::Due { number, .. }) => Fact::Due {
            number: *number,
            rows: None,
        },
        Command::Read(ReadCommand::Payload { row, key }) => Fact::Loaded {
            row: *row,
            key: *key,
            payload: Loaded::Failed,
        },
        Command::Write(WriteCommand::Ack(_)) => Fact::Acked { locked: None },
        Command::Write(WriteCommand::Judge(verdicts)) => Fact::Judged {
            verdicts: verdicts.clone(),
            outcomes: None,
        },
        Command::Lease(LeaseCommand::Release(_) | LeaseCommand::Forgive(_) | LeaseCommand::Close)
        | Command::Publish(_)
        | Command::Tell(_) => return None,
    })
}

impl World {
    pub(super) fn effect(&mut self, relay: usize, life: u64, id: RelayId, stage: usize, asked_at: Now, command: Command) {
        if !self.is_up(relay, life) {
            // What a killed process had sent takes effect all the same, unless it was lost on its way.
            if !self.strikes(Fault::Ghost) {
                self.execute(id, asked_at, command);
            }
            return;
        }
        // Reads go through one connection, so the first to another server fails; the others may come from a pool.
        let cut = std::mem::take(&mut self.relays[relay].stages[stage].cut) && (stage == 0 || self.rng.bool());
        let fact = if cut || self.strikes(Fault::StatementLost) {
            failed(&command)
        } else if self.strikes(Fault::AnswerLost) {
            let fact = failed(&command);
            self.execute(id, asked_at, command);
            fact
        } else if !matches!(command, Command::Read(_)) && self.strikes(Fault::EffectLate) {
            let fact = failed(&command);
            self.after(20..900, Event::Late(id, command));
            fact
        } else {
            self.execute(id, asked_at, command)
        };
        if let Some(
            Fact::Read { batch: None, .. }
            | Fact::Skimmed { found: None, .. }
            | Fact::Aggregates { rows: None, .. }
            | Fact::Due { rows: None, .. },
        ) = &fact
        {
            self.relays[relay].connection += 1;
        }
        let fact = match fact {
            Some(Fact::Read {
                number,
                batch: Some(mut batch),
            }) => {
                batch.snapshot.connection = self.relays[relay].connection;
                Some(Fact::Read {
                    number,
                    batch: Some(batch),
                })
            }
            other => other,
        };
        self.after(0..15, Event::Answered { relay, life, stage, fact });
    }

    /// Carries a statement out.
    pub(super) fn execute(&mut self, id: RelayId, asked_at: Now, command: Command) -> Option<Fact> {
        const NEVER: &str = "the memory store does not fail";
        let store = self.store.clone();
        Some(match command {
            Command::Lease(LeaseCommand::Renew(held, doing)) => {
                let answer = now_or_never(store.renew(id, &held, doing)).expect(NEVER);
                Fact::Renewed { asked_at, held, answer }
            }
            Command::Lease(LeaseCommand::Take(limit)) => {
                let lanes = now_or_never(store.take(id, limit)).expect(NEVER);
                Fact::Taken { asked_at, lanes }
            }
            Command::Lease(LeaseCommand::TakeGroups { groups, size, limit }) => {
                let lanes = now_or_never(store.take_groups(id, &groups, size, limit)).expect(NEVER);
                Fact::Taken { asked_at, lanes }
            }
            Command::Lease(LeaseCommand::Release(lanes)) => {
                now_or_never(store.release(id, &lanes)).expect(NEVER);
                return None;
            }
            Command::Lease(LeaseCommand::Forgive(lanes)) => {
                now_or_never(store.forgive(id, &lanes)).expect(NEVER);
                return None;
            }
            Command::Lease(LeaseCommand::Close) => {
                now_or_never(store.close(id)).expect(NEVER);
                return None;
            }
            Command::Read(ReadCommand::Lanes { number, snapshot, lanes }) => {
                let batch = now_or_never(store.read(snapshot.as_ref(), &lanes)).expect(NEVER);
                Fact::Read {
                    number,
                    batch: Some(batch),
                }
            }
            Command::Read(ReadCommand::Skim { number, lanes }) => {
                let found = now_or_never(store.skim(&lanes)).expect(NEVER);
                Fact::Skimmed {
                    number,
                    found: Some(found),
                }
            }
            Command::Read(ReadCommand::Aggregates { number, wanted, limit }) => {
                let rows = now_or_never(store.read_aggregates(&wanted, limit)).expect(NEVER);
                Fact::Aggregates { number, rows: Some(rows) }
            }
            Command::Read(ReadCommand::Due { number, lanes, limit }) => {
                let rows = now_or_never(store.read_due(&lanes, limit)).expect(NEVER);
                Fact::Due { number, rows: Some(rows) }
            }
            Command::Read(ReadCommand::Payload { row, key }) => {
                let payload = now_or_never(store.read_payload(row)).expect(NEVER);
                let payload = payload.map_or(Loaded::Gone, Loaded::Payload);
                Fact::Loaded { row, key, payload }
            }
            Command::Write(WriteCommand::Ack(rows)) => {
                let (locked, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| self.is_locked(*row));
                for row in &rows {
                    if let Some(message_id) = store.message_at(row.id)
                        && message_id == row.message_id
                    {
                        self.oracle.acked(message_id);
                    }
                }
                now_or_never(store.done(&rows, self.plan.retention)).expect(NEVER);
                Fact::Acked { locked: Some(locked) }
            }
            Command::Write(WriteCommand::Judge(verdicts)) => {
                let mut outcomes = Vec::new();
                let rows: HashSet<_> = verdicts.iter().map(|verdict| verdict.row).collect();
                assert_eq!(rows.len(), verdicts.len(), "one call names a row at most once");
                for verdict in &verdicts {
                    if self.is_locked(verdict.row) {
                        outcomes.push(VerdictOutcome::Locked);
                        continue;
                    }
                    let before = store.standing(verdict.row.message_id);
                    let told = now_or_never(store.fail(id, std::slice::from_ref(verdict))).expect(NEVER);
                    self.judged(id, verdict, before, told[0]);
                    outcomes.extend(told);
                }
                Fact::Judged {
                    verdicts,
                    outcomes: Some(outcomes),
                }
            }
            Command::Publish(_) | Command::Tell(_) => return None,
        })
    }

    /// Whether somebody else has a row locked, as he does for a while.
    fn is_locked(&mut self, row: RowId) -> bool {
        if self.locks.get(&row).is_some_and(|until| self.now < *until) {
            return true;
        }
        let struck = self.strikes(Fault::RowLocked);
        if struck {
            self.locks.insert(row, self.now + LOCKED_FOR);
        }
        struck
    }

    /// What a verdict did is held against what it may do.
    fn judged(&mut self, id: RelayId, verdict: &Verdict, before: Option<(Status, u32)>, outcome: VerdictOutcome) {
        let message_id = verdict.row.message_id;
        let after = self.store.standing(message_id);
        if before == after {
            return;
        }
        if self.store.owner(verdict.lease.lane) != (Some(id), verdict.lease.epoch) {
            let text = format!("{message_id} was judged by a relay whose lane had another owner");
            self.oracle.breach(Breach::StaleVerdict, Some(message_id), text);
        }
        if let Some(event) = self.oracle.events.get_mut(&message_id) {
            match verdict.fault {
                StoreFault::Begun { .. } => event.begun += 1,
                StoreFault::Excused => event.begun = event.begun.saturating_sub(1),
                StoreFault::Refused { .. } | StoreFault::RefusedAlone { .. } | StoreFault::Rejected | StoreFault::Discarded => {}
            }
        }
        if let Some((_, attempts)) = after {
            self.oracle.counted(message_id, attempts);
        }
        if let VerdictOutcome::Dead | VerdictOutcome::Holds = outcome {
            let holding = outcome == VerdictOutcome::Holds;
            if matches!(verdict.fault, StoreFault::Begun { .. }) && self.plan.only_events_kill() && !self.deadly(message_id) {
                let text = format!("{message_id} died of attempts that others ended");
                self.oracle.breach(Breach::Innocent, Some(message_id), text);
            }
            self.trace.event(self.now, message_id, || "died".to_owned());
            // By Begun an event dies of its attempts without a letter.
            let letters = self.plan.dead_letter && !matches!(verdict.fault, StoreFault::Begun { .. });
            self.oracle.died(message_id, holding, letters);
        }
    }

    /// An operator looks at what is dead, and does something about it.
    pub(super) fn operate(&mut self) {
        let quiet = self.now >= self.plan.faults_for;
        let mut dead = self.store.dead();
        dead.sort_unstable_by_key(|(id, _)| *id);
        for (message_id, status) in dead {
            if self.rng.bool() || (quiet && status == Status::Dead) {
                continue;
            }
            let moves = [Move::Requeue, Move::Discard, Move::Release];
            let action = moves[self.rng.usize(..if status == Status::DeadHolding { 3 } else { 2 })];
            self.trace.event(self.now, message_id, || format!("operator: {action:?}"));
            self.store.operate(message_id, action);
            let Some(event) = self.oracle.events.get_mut(&message_id) else {
                continue;
            };
            match action {
                Move::Requeue => {
                    event.dead = false;
                    if quiet || self.rng.bool() {
                        self.mended.insert(message_id);
                    }
                }
                Move::Release => event.left = true,
                Move::Discard => {
                    event.left = true;
                    event.discarded = true;
                }
            }
        }
        self.after(50..400, Event::Operator);
    }

    /// Whether an event is refused for good, and how: decided once, by its own id, so that every relay agrees.
    pub(super) fn poison(&self, message_id: crate::event::MessageId) -> Option<crate::publish::PublishErrorKind> {
        let bytes = message_id.as_bytes();
        let share = f64::from(u16::from_be_bytes([bytes[0], bytes[1]])) / f64::from(u16::MAX);
        (share < self.plan.poison && !self.mended.contains(&message_id)).then_some(if bytes[2].is_multiple_of(4) {
            crate::publish::PublishErrorKind::Rejected
        } else {
            crate::publish::PublishErrorKind::Retriable
        })
    }

    /// Whether handing an event over is the end of the process; decided as for poison.
    pub(super) fn deadly(&self, message_id: crate::event::MessageId) -> bool {
        let bytes = message_id.as_bytes();
        let share = f64::from(u16::from_be_bytes([bytes[4], bytes[5]])) / f64::from(u16::MAX);
        let among_the_first = self.ends.len() < self.plan.deadly_most || self.ends.contains_key(&message_id);
        share < self.plan.deadly && among_the_first && !self.mended.contains(&message_id)
    }

    /// When what goes to a place can arrive at the earliest.
    pub(super) fn stall(&self, topic: &str, partition: i32) -> Option<Now> {
        let until = |place: (&'static str, i32)| self.stalled.get(&place).copied();
        let name = if topic == "main" { "main" } else { "other" };
        let until = until((name, partition)).max(until((name, -1)))?;
        (until > self.now).then(|| until + Duration::from_millis(1))
    }
}

//! Lanes full of rows that cannot go: they are looked through, not read.
//!
//! A topic that is away, or an aggregate that waits, may have a million rows, and after a takeover all of them lie before the first row
//! that can go. To drop a row it need not be read: its aggregate and its id are enough, and of many rows of one aggregate the lowest id.

use super::queue::{Gate, QueueKey, Why};
use super::read::RETRY_READ;
use super::{Command, Core, ReadCommand};
use crate::mutant::{Mutant, mutant};
use crate::outbox::{LaneLease, lane_of};
use crate::store::{LaneRead, Skimmed};

/// Rows of one look, at most; as long as a main read takes, the others wait for it.
const SKIM_MAX: usize = 20_000;
/// Lanes are looked through while of so many rows all but one at most are left in the table: each other one costs a read of its aggregate.
const SHARE: u32 = 8;

/// Whether nearly all of these rows are left in the table.
pub(super) fn nearly_all(left: u32, rows: u32) -> bool {
    left * SHARE >= rows * (SHARE - 1)
}

/// The look under way: leases, cursors and limits it was asked for.
#[derive(Debug)]
pub(super) struct SkimRead {
    number: u64,
    lanes: Vec<(LaneLease, LaneRead)>,
}

impl SkimRead {
    pub(super) fn disown(&mut self, lane: u8) {
        self.lanes.retain(|(lease, _)| lease.lane != lane);
    }
}

impl Core {
    /// Whether a look is what comes next. It never overlaps with a main read: a lane's cursor is bound to the snapshot of the last one, so
    /// rows that the look cannot see must still be late to the next.
    pub(super) fn wants_skim(&self) -> bool {
        !self.unsure && self.snapshot.is_some() && (self.skim_next || self.room() < self.room_wanted()) && {
            self.sending_lanes().any(|lease| self.lane(lease.lane).skimming)
        }
    }

    pub(super) fn issue_skim(&mut self) {
        let held: Vec<LaneLease> = self.sending_lanes().filter(|lease| self.lane(lease.lane).skimming).collect();
        let rows = SKIM_MAX.min(self.config.window * 2) / held.len().max(1);
        let limit = u32::try_from(rows.max(1)).unwrap_or(u32::MAX);
        let lanes = held.into_iter().map(|lease| {
            let read = LaneRead::new(lease.lane, self.lane(lease.lane).cursor, limit);
            (lease, read)
        });
        let lanes: Vec<(LaneLease, LaneRead)> = lanes.collect();
        let number = self.begin_read();
        let wanted = lanes.iter().map(|(_, read)| *read).collect();
        self.skim_read = Some(SkimRead { number, lanes });
        self.skim_next = false;
        self.commands.push(Command::Read(ReadCommand::Skim { number, lanes: wanted }));
    }

    pub(super) fn on_skimmed(&mut self, number: u64, found: Option<Vec<Skimmed>>) {
        self.reads_out.remove(&number);
        let found = self.believed(found);
        if self.skim_read.as_ref().is_none_or(|read| read.number != number) {
            return;
        }
        let Some(read) = self.skim_read.take() else { return };
        let Some(found) = found else {
            self.next_read = self.now + RETRY_READ;
            return;
        };
        let mut passed = [(0, 0, 0); crate::outbox::LANES as usize];
        for (lease, asked) in &read.lanes {
            let lane = self.lane(lease.lane);
            if lane.lease == Some(*lease) && lane.draining.is_none() {
                passed[usize::from(lease.lane)].2 = asked.limit;
            }
        }
        let mut rows = 0;
        for group in found {
            let (count, left, limit) = &mut passed[usize::from(lane_of(group.order_key))];
            if *limit == 0 {
                continue;
            }
            *count += group.rows;
            rows += group.rows as usize;
            if self.leave(&group) {
                *left += group.rows;
            }
            let lane = self.lane_mut(lane_of(group.order_key));
            lane.cursor = lane.cursor.max(group.last);
        }
        for (lease, _) in &read.lanes {
            let (count, left, limit) = passed[usize::from(lease.lane)];
            if limit > 0 {
                self.lane_mut(lease.lane).skimming = count >= limit && nearly_all(left, count);
                self.lane_was_read(lease.lane, count, limit);
            }
        }
        self.plan_next_read(rows);
    }

    /// Leaves rows in the table. False if their queue was open: then it is read again from there.
    fn leave(&mut self, group: &Skimmed) -> bool {
        let key = QueueKey {
            order_key: group.order_key,
            ordered: group.ordered,
        };
        let below = group.first - 1;
        if mutant(Mutant::SkimForgets) {
            return true;
        }
        let queue = self.queues.get_mut(&key);
        let Some(queue) = queue.filter(|queue| queue.gate != Gate::Open || !queue.rows.is_empty()) else {
            self.read_again(key, lane_of(group.order_key), below);
            return false;
        };
        match &mut queue.gate {
            Gate::Shut { floor, .. } => *floor = (*floor).min(below),
            Gate::Reading { dropped, .. } => *dropped = Some(dropped.map_or(below, |lowest| lowest.min(below))),
            Gate::Open => {
                // What it has may go; the rest follows as its next page.
                queue.gate = Gate::Shut {
                    floor: below,
                    why: Why::Page,
                };
                self.tidy(key);
                return false;
            }
        }
        true
    }
}

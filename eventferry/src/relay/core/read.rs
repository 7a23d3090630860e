//! What is read, when, and how much; and what becomes of the rows.

use std::sync::Arc;
use std::time::Duration;

use super::care::CAREFUL_ROWS;
use super::queue::{Admitted, Gate, Queue, QueueKey, Why};
use super::skim::nearly_all;
use super::{Command, Core, DueAt, Now, ReadCommand};
use crate::mutant::{Mutant, mutant};
use crate::outbox::{LaneLease, Record};
use crate::store::{AggregateRead, LaneRead, ReadBatch};

/// A lane asks for this many rows until it turns out to hold more.
pub(super) const APPETITE_MIN: u32 = 32;
/// Rows of one main read, at most.
const READ_MAX: usize = 4096;
const APPETITE_MAX: u32 = 4096;
/// Aggregates of one read, at most, and rows of each.
const AGGREGATES_MAX: usize = 256;
const PAGE: usize = 1024;
pub(super) const RETRY_READ: Duration = Duration::from_millis(250);
/// A pass of a lane from the start may take this part of the time.
const PASS_SHARE: u32 = 200;
/// Main reads that fail one after the other until every lane is begun anew.
const READS_FAILED: u32 = 3;
/// How long polling stays quick after the last row.
const QUICK_FOR: Duration = Duration::from_secs(1);

/// The main read under way: lanes and leases it was asked for. A reset takes it away, and its answer is then ignored.
#[derive(Debug)]
pub(super) struct MainRead {
    number: u64,
    lanes: Vec<(LaneLease, u32)>,
}

#[derive(Debug)]
pub(super) struct AggregatesRead {
    number: u64,
    keys: Vec<QueueKey>,
    limit: usize,
}

impl Core {
    pub(super) fn tend_reading(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        if self.aggregate_read.is_none() && !self.unsure && !self.wake.is_empty() && self.now >= self.next_aggregates() {
            self.issue_aggregates();
        }
        if self.main_read.is_none() && self.skim_read.is_none() {
            if self.wants_skim() {
                self.issue_skim();
            } else if self.now >= self.next_read && self.room() >= self.room_wanted() {
                self.issue_main_read();
            }
        }
        if self.due_read.is_none() && !self.unsure && self.now >= self.next_due && self.room() >= self.room_wanted() {
            self.issue_due_read();
        }
    }

    pub(super) fn reading_turn(&self) -> Now {
        if self.stopping.is_some() {
            return Now::MAX;
        }
        let mut next = Now::MAX;
        if self.main_read.is_none() && self.skim_read.is_none() {
            if self.wants_skim() {
                next = Now::ZERO;
            } else if self.room() >= self.room_wanted() {
                next = next.min(self.next_read);
            }
        }
        if self.due_read.is_none() && !self.unsure && self.room() >= self.room_wanted() {
            next = next.min(self.next_due);
        }
        if self.aggregate_read.is_none() && !self.unsure && !self.wake.is_empty() {
            next = next.min(self.next_aggregates());
        }
        next
    }

    fn next_aggregates(&self) -> Now {
        if self.room() > 0 {
            Now::ZERO
        } else {
            self.now + Duration::from_millis(20)
        }
    }

    /// Places left in the window, by events and by bytes.
    pub(super) fn room(&self) -> usize {
        let events = self.config.window.saturating_sub(self.in_memory());
        let bytes = self.config.window_bytes.saturating_sub(self.bytes);
        events.min(bytes / self.typical_bytes())
    }

    fn typical_bytes(&self) -> usize {
        (self.bytes / self.in_memory().max(1)).max(64)
    }

    /// Reading for a few free places would cost a statement for each handful of events. What is in flight frees no place until the broker
    /// says so, and partitions that stall may keep most of the window: the measure is what is left of it.
    pub(super) fn room_wanted(&self) -> usize {
        let bytes = self.config.window_bytes.saturating_sub(self.flight_bytes);
        (self.unbound().min(bytes / self.typical_bytes()) / 8).max(1)
    }

    /// Places of the window that nothing in flight takes, and nothing that somebody else has locked.
    pub(super) fn unbound(&self) -> usize {
        self.config.window.saturating_sub(self.flights.len() + self.locked.len())
    }

    /// Rows of a lane that a read under way brings are no longer this lease's.
    pub(super) fn disown_read(&mut self, lane: u8) {
        if let Some(read) = &mut self.main_read {
            read.lanes.retain(|(lease, _)| lease.lane != lane);
        }
        if let Some(read) = &mut self.skim_read {
            read.disown(lane);
        }
    }

    pub(super) fn begin_read(&mut self) -> u64 {
        self.reads_issued += 1;
        self.reads_out.insert(self.reads_issued);
        self.reads_issued
    }

    fn issue_main_read(&mut self) {
        let (now, full_pass) = (self.now, self.config.full_pass);
        let mut room = self.room().min(READ_MAX);
        let mut held: Vec<LaneLease> = self.sending_lanes().collect();
        if held.is_empty() {
            self.next_read = now + self.config.poll_max;
            return;
        }
        // The lanes take turns at being first, so that a busy one cannot leave the others without room for ever.
        let turn = usize::try_from(self.reads_issued).unwrap_or(0) % held.len();
        held.rotate_left(turn);
        let each = (room / held.len()).max(1);
        let careful = self.careful_rows();
        // Of a lane whose events go one at a time there is no use for many.
        let most = |l: &LaneLease| match careful {
            Some(rows) if self.lane(l.lane).careful => CAREFUL_ROWS.saturating_sub(rows[usize::from(l.lane % crate::outbox::LANES)]),
            _ if self.lane(l.lane).skimming => 0,
            _ => self.lane(l.lane).appetite as usize,
        };
        let mut limits: Vec<usize> = held.iter().map(|l| each.min(most(l)).min(room)).collect();
        room -= limits.iter().sum::<usize>().min(room);
        for (lease, limit) in held.iter().zip(&mut limits) {
            let more = most(lease).saturating_sub(*limit).min(room);
            *limit += more;
            room -= more;
        }
        let mut lanes = Vec::with_capacity(held.len());
        let mut asked = Vec::with_capacity(held.len());
        for (lease, limit) in held.into_iter().zip(limits) {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let lane = self.lane_mut(lease.lane);
            if now >= lane.full_pass_at {
                lane.full_pass_at = now + full_pass;
                lane.pass = Some((now, lane.cursor));
                lane.passing = lane.cursor;
                lane.cursor = 0;
            }
            lanes.push(LaneRead::new(lease.lane, lane.cursor, limit));
            asked.push((lease, limit));
        }
        lanes.truncate(lanes.len() - usize::from(mutant(Mutant::LaneLeftOut)));
        let number = self.begin_read();
        self.main_read = Some(MainRead { number, lanes: asked });
        self.commands.push(Command::Read(ReadCommand::Lanes {
            number,
            snapshot: self.snapshot.clone(),
            lanes,
        }));
    }

    pub(super) fn on_read(&mut self, number: u64, batch: Option<ReadBatch>) {
        self.reads_out.remove(&number);
        self.unsure = batch.is_none();
        if self.main_read.as_ref().is_none_or(|read| read.number != number) {
            return;
        }
        let Some(read) = self.main_read.take() else { return };
        let Some(batch) = batch else {
            self.reads_failed += 1;
            // A late part that cannot be read in time would be asked for again for ever: without a last snapshot there is none.
            if self.reads_failed >= READS_FAILED && self.snapshot.is_some() {
                self.reset();
            }
            self.next_read = self.now + RETRY_READ;
            return;
        };
        self.reads_failed = 0;
        if let Some(last) = &self.snapshot
            && (last.source != batch.snapshot.source || last.connection != batch.snapshot.connection || batch.snapshot.xmax < last.xmax)
        {
            self.reset();
            return;
        }
        if *self.source != *batch.snapshot.source {
            self.source = Arc::from(batch.snapshot.source.as_str());
        }
        // Where a transaction may have ended during a pass from the start, a row that the pass finds may simply be late.
        let nothing_new = self
            .snapshot
            .as_ref()
            .is_some_and(|last| last.in_progress.is_empty() && last.xmax == batch.snapshot.xmax);
        if !nothing_new {
            self.lanes.iter_mut().for_each(|lane| lane.passing = 0);
        }
        self.snapshot = Some(batch.snapshot);
        let ours = |core: &Self, lane: u8| {
            let lane = core.lane(lane);
            lane.draining.is_none() && lane.lease.is_some_and(|now| read.lanes.iter().any(|(asked, _)| *asked == now))
        };
        let ours: Vec<bool> = (0..crate::outbox::LANES).map(|lane| ours(self, lane)).collect();
        let mut found = batch.late.len();
        let last_late = batch.late.last().map(|row| row.id);
        for row in batch.late {
            if ours[usize::from(row.lane())] {
                self.admit(row, number);
            }
        }
        if let (true, Some(last)) = (batch.late_is_full, last_late) {
            // Late rows beyond the last one are still unread: they, and the fresh ones with them, are read by cursor next time.
            for (lease, _) in &read.lanes {
                let lane = self.lane_mut(lease.lane);
                lane.cursor = lane.cursor.min(last);
            }
        } else {
            found += batch.fresh.len();
            let mut counts = [0u32; crate::outbox::LANES as usize];
            let mut left = [0u32; crate::outbox::LANES as usize];
            for row in batch.fresh {
                let lane = row.lane();
                if !ours[usize::from(lane)] {
                    continue;
                }
                counts[usize::from(lane)] += 1;
                let (id, message_id) = (row.id, row.message_id);
                self.lane_mut(lane).cursor = id;
                match self.admit(row, number) {
                    Admitted::Queued if id <= self.lane(lane).passing => {
                        self.stats.strays += 1;
                        self.stray = Some(message_id);
                    }
                    Admitted::Left => left[usize::from(lane)] += 1,
                    Admitted::Queued | Admitted::Known => {}
                }
            }
            for (lease, limit) in &read.lanes {
                let (count, left) = (counts[usize::from(lease.lane)], left[usize::from(lease.lane)]);
                let lane = self.lane_mut(lease.lane);
                if *limit > 0 {
                    lane.skimming = !lane.careful && count >= *limit && nearly_all(left, count);
                }
                lane.appetite = if *limit > 0 && count >= *limit {
                    (lane.appetite * 2).min(APPETITE_MAX)
                } else {
                    lane.appetite.max(APPETITE_MIN * 2) / 2
                };
                self.lane_was_read(lease.lane, count, *limit);
            }
            self.skim_next = true;
        }
        self.plan_next_read(found);
    }

    /// So many rows of a lane were found, of at most so many.
    pub(super) fn lane_was_read(&mut self, number: u8, count: u32, limit: u32) {
        let (now, full_pass) = (self.now, self.config.full_pass);
        let lane = self.lane_mut(number);
        lane.caught_up = count < limit;
        if count < limit || lane.cursor > lane.passing {
            lane.passing = 0;
        }
        if let Some((began, to)) = lane.pass
            && (count < limit || lane.cursor >= to)
        {
            lane.pass = None;
            lane.full_pass_at = next_pass(number, began, to, now, full_pass);
        }
    }

    pub(super) fn plan_next_read(&mut self, found: usize) {
        if std::mem::take(&mut self.woken) || found > 0 {
            self.last_work = self.now;
            self.poll = self.config.poll_min;
            self.next_read = self.now;
        } else if self.now < self.last_work + QUICK_FOR {
            self.next_read = self.now + self.config.poll_min;
        } else {
            self.next_read = self.now + self.poll;
            self.poll = (self.poll * 2).min(self.config.poll_max);
        }
    }

    /// Another server or connection answered, or none does: nothing that is remembered of the table can be relied on.
    fn reset(&mut self) {
        self.stats.resets += 1;
        self.snapshot = None;
        self.drop_queues(|_| true);
        self.skim_read = None;
        self.aggregate_read = None;
        self.due_read = None;
        for lane in &mut self.lanes {
            lane.cursor = 0;
            (lane.pass, lane.passing, lane.skimming) = (None, 0, false);
            lane.due = DueAt::default();
        }
        self.next_read = self.now;
    }

    /// What a read beside the main one found, unless it may be another server's word.
    pub(super) fn believed<T>(&mut self, rows: Option<T>) -> Option<T> {
        self.unsure |= rows.is_none();
        rows.filter(|_| !self.unsure)
    }

    fn issue_aggregates(&mut self) {
        let room = self.room();
        if room == 0 {
            return;
        }
        let count = self.wake.len().min(AGGREGATES_MAX).min(room);
        let limit = (room / count).clamp(1, PAGE);
        let number = self.begin_read();
        let (mut keys, mut wanted) = (Vec::with_capacity(count), Vec::with_capacity(count));
        while keys.len() < count {
            let Some(key) = self.wake.pop_front() else { break };
            let Some(queue) = self.queues.get_mut(&key) else { continue };
            let Gate::Shut { floor, why: Why::Wake } = queue.gate else {
                continue;
            };
            if keys.contains(&key) {
                continue;
            }
            if self.lanes[usize::from(queue.lane % crate::outbox::LANES)].lease.is_none() {
                // Its rows are another owner's, and would be taken for known when the lane comes back.
                queue.gate = Gate::Open;
                self.tidy(key);
                continue;
            }
            queue.gate = Gate::Reading {
                floor,
                number,
                dropped: None,
            };
            wanted.push(AggregateRead::new(key.order_key, key.ordered, floor));
            keys.push(key);
        }
        if keys.is_empty() {
            self.reads_out.remove(&number);
            return;
        }
        self.aggregate_read = Some(AggregatesRead { number, keys, limit });
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.commands.push(Command::Read(ReadCommand::Aggregates { number, wanted, limit }));
    }

    pub(super) fn on_aggregates(&mut self, number: u64, rows: Option<Vec<Record>>) {
        self.reads_out.remove(&number);
        let rows = self.believed(rows);
        if self.aggregate_read.as_ref().is_none_or(|read| read.number != number) {
            return;
        }
        let Some(read) = self.aggregate_read.take() else { return };
        let failed = rows.is_none();
        let mut rows = rows.unwrap_or_default().into_iter().peekable();
        for key in read.keys {
            let mut page = Vec::new();
            while let Some(row) = rows.next_if(|row| QueueKey::of(row) == key) {
                page.push(row);
            }
            self.take_page(key, number, page, read.limit, failed);
        }
    }

    fn take_page(&mut self, key: QueueKey, number: u64, page: Vec<Record>, limit: usize, failed: bool) {
        let Some(queue) = self.queues.get_mut(&key) else { return };
        let Gate::Reading {
            floor,
            number: expected,
            dropped,
        } = queue.gate
        else {
            return;
        };
        if expected != number {
            return;
        }
        let dropped = dropped.filter(|_| !mutant(Mutant::StaleReadOpens));
        if failed {
            let floor = dropped.map_or(floor, |lowest| floor.min(lowest));
            queue.gate = Gate::Shut { floor, why: Why::Timer };
            self.timer(RETRY_READ, key);
            return;
        }
        let short = page.len() < limit;
        let last = page.last().map_or(floor, |row| row.id);
        // Rows that came into sight while this read was under way may be missing from it.
        let next = dropped.map_or(last, |lowest| last.min(lowest));
        queue.gate = Gate::Open;
        for row in page {
            if !self.knows(row.row(), number) && !self.place(row) {
                if let Some(Queue {
                    gate: Gate::Shut { floor, .. },
                    ..
                }) = self.queues.get_mut(&key)
                {
                    *floor = (*floor).min(next);
                }
                return;
            }
        }
        let Some(queue) = self.queues.get_mut(&key) else { return };
        if !short {
            queue.gate = Gate::Shut {
                floor: next,
                why: Why::Page,
            };
        } else if dropped.is_some() {
            queue.gate = Gate::Shut {
                floor: next,
                why: Why::Wake,
            };
            self.wake.push_back(key);
        }
        self.tidy(key);
    }
}

/// When a lane is passed from the start again. While it is, what is new in it waits; so lanes that were begun together are not passed
/// together, and one in which millions of rows wait is passed less often.
pub(super) fn next_pass(lane: u8, began: Now, to: i64, now: Now, full_pass: Duration) -> Now {
    let apart = if to == i64::MAX {
        full_pass * u32::from(lane) / u32::from(crate::outbox::LANES)
    } else {
        Duration::ZERO
    };
    now + full_pass.max(now.saturating_sub(began) * PASS_SHARE) + apart
}

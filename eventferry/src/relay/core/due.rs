//! Rows that wait for a time, an operator or their payload.

use std::time::Duration;

use super::queue::{Gate, QueueKey, Why};
use super::read::RETRY_READ;
use super::{Command, Core, DueAt, Loaded, ReadCommand};
use crate::outbox::{LANES, LaneLease, Payload, RowId};
use crate::store::{DueCursor, DueRow};

const DUE_PAGE: u32 = 64;
const DUE_SOON: Duration = Duration::from_millis(100);
const DUE_IDLE: Duration = Duration::from_millis(500);
/// Rows that are due and cannot go are met again after a pause of this much for each of them, and at the latest with the next renewal.
const DUE_PAUSE: Duration = Duration::from_micros(50);

#[derive(Debug)]
pub(super) struct DueRead {
    number: u64,
    lanes: Vec<LaneLease>,
}

impl Core {
    pub(super) fn issue_due_read(&mut self) {
        if self.due_again.is_some_and(|again| self.now >= again) {
            (self.due_again, self.due_rows) = (None, 0);
            self.lanes.iter_mut().for_each(|lane| lane.due = DueAt::default());
        }
        let leases: Vec<LaneLease> = self.sending_lanes().collect();
        let lanes: Vec<(u8, DueCursor)> = leases.iter().map(|lease| (lease.lane, self.lane(lease.lane).due.0)).collect();
        self.next_due = self.now + DUE_IDLE;
        if lanes.is_empty() {
            return;
        }
        let number = self.begin_read();
        self.due_read = Some(DueRead { number, lanes: leases });
        self.commands.push(Command::Read(ReadCommand::Due {
            number,
            lanes,
            limit: DUE_PAGE,
        }));
    }

    pub(super) fn on_due(&mut self, number: u64, rows: Option<Vec<DueRow>>) {
        self.reads_out.remove(&number);
        let rows = self.believed(rows);
        if self.due_read.as_ref().is_none_or(|read| read.number != number) {
            return;
        }
        let Some(read) = self.due_read.take() else { return };
        let believed = rows.is_some();
        let rows = rows.unwrap_or_default();
        let mut counts = [0u32; LANES as usize];
        for row in &rows {
            counts[usize::from(row.record.lane())] += 1;
        }
        // Pages go on where the last one ended: what becomes due is behind it. They start over only after all of them came back short, so
        // that rows which cannot go now are met again, and hide none behind them, and yet are not read all the time.
        let mut more = false;
        for lease in &read.lanes {
            let short = counts[usize::from(lease.lane % LANES)] < DUE_PAGE;
            more |= !short;
            let lane = self.lane_mut(lease.lane);
            lane.due_seen |= believed && short && lane.lease == Some(*lease);
        }
        self.due_rows = self.due_rows.saturating_add(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        if !more && self.due_again.is_none() {
            self.due_again = Some(self.now + (DUE_PAUSE * self.due_rows).min(self.config.lease / 3));
        }
        let soon = if more { self.config.poll_min } else { DUE_SOON };
        self.next_due = self.now
            + if more || self.waiting_rows || self.due_rows > 0 {
                soon
            } else {
                DUE_IDLE
            };
        for DueRow { record, at } in rows {
            let lane = self.lane_mut(record.lane());
            if lane.lease.is_none() || lane.draining.is_some() {
                continue;
            }
            lane.due = DueAt(lane.due.0.max(at));
            if self.knows(record.row(), number) {
                self.hear_of_discard(record);
                continue;
            }
            let key = QueueKey::of(&record);
            if !record.ordered {
                self.admit(record, number);
                continue;
            }
            match self.queues.get(&key).map(|queue| queue.gate) {
                // A row that held its aggregate was brought back.
                Some(Gate::Shut {
                    why: Why::Retry | Why::Held,
                    ..
                }) => self.wake(key),
                // It need not be sent any more, so whatever it waits for does not matter.
                Some(Gate::Shut { why, .. }) if record.is_discard_asked() && why != Why::Verdict => self.wake(key),
                Some(Gate::Shut { .. } | Gate::Reading { .. }) => {}
                Some(Gate::Open) | None => self.read_again(key, record.lane(), record.id - 1),
            }
        }
    }

    /// A heartbeat: what is held is looked at again.
    pub(super) fn look_again(&mut self) {
        self.waiting_rows = self
            .queues
            .values()
            .any(|queue| matches!(queue.gate, Gate::Shut { why: Why::Retry, .. }));
        if self.now >= self.next_held {
            self.next_held = self.now + self.config.lease / 3;
            for key in std::mem::take(&mut self.held) {
                if let Some(queue) = self.queues.get(&key)
                    && matches!(queue.gate, Gate::Shut { why: Why::Held, .. })
                {
                    self.wake(key);
                }
            }
        }
    }

    pub(super) fn on_loaded(&mut self, row: RowId, key: QueueKey, payload: Loaded) {
        self.unsure |= matches!(payload, Loaded::Failed);
        let Some(queue) = self.queues.get_mut(&key) else { return };
        // An unordered row may have been put in front meanwhile.
        let Some(place) = queue.rows.iter().position(|waiting| waiting.row() == row) else {
            return;
        };
        queue.loading = false;
        match payload {
            Loaded::Payload(bytes) => {
                let waiting = &mut queue.rows[place];
                let before = waiting.payload.len();
                waiting.payload = bytes.map_or(Payload::Tombstone, Payload::Bytes);
                self.bytes = self.bytes - before + waiting.payload.len();
                self.enqueue_ready(key);
            }
            Loaded::Gone => {
                if let Some(gone) = queue.rows.remove(place) {
                    self.bytes -= gone.payload.len();
                    self.settle(gone.row());
                }
                self.enqueue_ready(key);
            }
            Loaded::Failed => {
                self.shut(key, row.id - 1, Why::Timer);
                self.timer(RETRY_READ, key);
            }
        }
    }
}

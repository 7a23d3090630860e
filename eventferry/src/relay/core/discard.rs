//! Rows that wait, and that an operator asked to discard.

use super::queue::{QueueKey, Why};
use super::{Core, Known};
use crate::outbox::{LaneLease, Record};
use crate::store::Fault;

impl Core {
    /// Settles the first row of a queue, which an operator asked to discard; false if it must wait for what is in flight before it.
    ///
    /// Its successors wait until the verdict is committed: until then the row is not settled, and another owner may send it.
    pub(super) fn discard_front(&mut self, key: QueueKey, lease: LaneLease) -> bool {
        let Some(queue) = self.queues.get_mut(&key) else { return false };
        if key.ordered && queue.in_flight > 0 {
            return false;
        }
        let Some(record) = queue.rows.pop_front() else { return false };
        self.bytes -= record.payload.len();
        let row = record.row();
        if key.ordered {
            self.shut(key, row.id - 1, Why::Verdict);
        }
        self.mark(row, Known::Judging);
        self.lane_mut(lease.lane).open += 1;
        let policy = self.policy(&record.topic);
        self.judge((row, record.attempts), key, lease, Fault::Discarded, &policy, String::new());
        true
    }

    /// A row that is asked for was read again: where it still waits to be sent, it need not be.
    pub(super) fn hear_of_discard(&mut self, record: Record) {
        if !record.is_discard_asked() {
            return;
        }
        let (key, row) = (QueueKey::of(&record), record.row());
        let Some(queue) = self.queues.get_mut(&key) else { return };
        let Some(waiting) = queue.rows.iter_mut().find(|waiting| waiting.row() == row) else {
            return;
        };
        (waiting.headers, waiting.status) = (record.headers, record.status);
        self.enqueue_ready(key);
    }
}

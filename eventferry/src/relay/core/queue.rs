//! One aggregate's rows on their way: what is kept in memory of them, and what is left in the table.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::send::Route;
use super::{Core, Known, Now};
use crate::mutant::{Mutant, mutant};
use crate::outbox::{Record, Status};

/// The ordered rows of an aggregate, or its unordered ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueKey {
    pub(crate) order_key: i64,
    pub(crate) ordered: bool,
}

impl QueueKey {
    pub(super) fn of(row: &Record) -> Self {
        Self {
            order_key: row.order_key,
            ordered: row.ordered,
        }
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) lane: u8,
    /// Read and not handed over, by id.
    pub(super) rows: VecDeque<Record>,
    pub(super) in_flight: u32,
    /// The route of those in flight.
    pub(super) route: Option<Route>,
    /// The route its next row waits for.
    pub(super) wants: Option<Route>,
    pub(super) gate: Gate,
    /// Whether the key stands in a list of those waiting to be pumped.
    pub(super) waiting: bool,
    /// Whether the payload of the first row is being read.
    pub(super) loading: bool,
    pub(super) progress: Now,
}

impl Queue {
    fn new(lane: u8, now: Now) -> Self {
        Self {
            lane,
            rows: VecDeque::new(),
            in_flight: 0,
            route: None,
            wants: None,
            gate: Gate::Open,
            waiting: false,
            loading: false,
            progress: now,
        }
    }
}

/// What became of a row that a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    Queued,
    /// It was there already, or has been answered for.
    Known,
    /// Its queue is shut: it is left in the table.
    Left,
}

/// Whether rows found by the main read enter the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// They do.
    Open,
    /// They are dropped. All unsettled rows beyond `floor` are to be read again, when `why` is over.
    Shut { floor: i64, why: Why },
    /// They are dropped while the queue's own read is under way; `dropped` is just below the lowest of them.
    Reading { floor: i64, number: u64, dropped: Option<i64> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// A verdict is being committed.
    Verdict,
    /// The first unsettled row failed; it waits for its time.
    Retry,
    /// The first unsettled row is dead and holds the aggregate.
    Held,
    /// The topic of the first unsettled row is away.
    Topic,
    /// The route its next row waits for makes no progress; it is woken when that does.
    Route,
    /// A timer will wake it.
    Timer,
    /// It stands in the list of those to be read.
    Wake,
    /// There is more in the table than one page.
    Page,
}

/// The page of due rows wakes an aggregate when its failed row is due. If somebody else has settled that row, this long after does.
pub(super) const RETRY_LATEST: Duration = Duration::from_secs(1);

/// A queue with fewer rows than this and more in the table asks for its next page.
const PAGE_LOW: usize = 256;

impl Core {
    /// Takes in a row that read number `number` found, unless it is known or its queue is shut.
    pub(super) fn admit(&mut self, row: Record, number: u64) -> Admitted {
        if self.knows(row.row(), number) {
            return Admitted::Known;
        }
        let now = self.now;
        let queue = self.queues.entry(QueueKey::of(&row)).or_insert_with(|| Queue::new(row.lane(), now));
        let queued = match &mut queue.gate {
            Gate::Open => self.place(row),
            Gate::Shut { .. } if mutant(Mutant::ParkedIgnored) => self.place(row),
            Gate::Shut { .. } if mutant(Mutant::FloorKept) => false,
            Gate::Shut { floor, .. } => {
                *floor = (*floor).min(row.id - 1);
                false
            }
            Gate::Reading { dropped, .. } => {
                *dropped = Some(dropped.map_or(row.id - 1, |lowest| lowest.min(row.id - 1)));
                false
            }
        };
        if queued { Admitted::Queued } else { Admitted::Left }
    }

    /// A row that waits longer than its policy can ask for waits because the database's clock was set back: it is due.
    fn longest_wait(&self, topic: &str) -> Duration {
        self.policy(topic).retry.ceiling(u32::MAX)
    }

    /// Puts a row into its queue, or shuts the queue if the row says so. False if it shut it.
    pub(super) fn place(&mut self, row: Record) -> bool {
        let key = QueueKey::of(&row);
        if row.ordered && row.status == Status::DeadHolding {
            self.shut(key, row.id - 1, Why::Held);
            return false;
        }
        if row.ordered && row.status == Status::Failed && !row.due_in.is_zero() && row.due_in <= self.longest_wait(&row.topic) {
            self.shut(key, row.id - 1, Why::Retry);
            self.timer(row.due_in + RETRY_LATEST, key);
            return false;
        }
        self.mark(row.row(), Known::Queued);
        self.bytes += row.payload.len();
        let now = self.now;
        if let Some(queue) = self.queues.get_mut(&key) {
            if queue.rows.is_empty() {
                queue.progress = now;
            }
            let at = match queue.rows.back() {
                Some(last) if last.id > row.id => queue.rows.partition_point(|r| r.id < row.id),
                Some(_) | None => queue.rows.len(),
            };
            queue.rows.insert(at, row);
            if !queue.waiting {
                queue.waiting = true;
                self.ready.push_back(key);
            }
        }
        true
    }

    /// Drops what a queue holds and shuts it: everything beyond `floor` will be read again.
    pub(super) fn shut(&mut self, key: QueueKey, floor: i64, why: Why) {
        let Some(queue) = self.queues.get_mut(&key) else { return };
        let mut floor = match queue.gate {
            Gate::Open => floor,
            Gate::Shut { floor: before, .. } => floor.min(before),
            Gate::Reading {
                floor: before, dropped, ..
            } => floor.min(before).min(dropped.unwrap_or(before)),
        };
        if let Some(first) = queue.rows.front() {
            floor = floor.min(first.id - 1);
        }
        queue.gate = Gate::Shut { floor, why };
        queue.loading = false;
        for row in queue.rows.drain(..) {
            self.known.remove(&row.row());
            self.bytes -= row.payload.len();
        }
        match why {
            Why::Wake => self.wake.push_back(key),
            Why::Held => self.held.push(key),
            Why::Retry => self.waiting_rows = true,
            Why::Verdict | Why::Topic | Why::Route | Why::Timer | Why::Page => {}
        }
    }

    /// Lets a shut queue be read again from its floor.
    pub(super) fn wake(&mut self, key: QueueKey) {
        if let Some(queue) = self.queues.get_mut(&key)
            && let Gate::Shut { why, .. } = &mut queue.gate
            && *why != Why::Wake
        {
            *why = Why::Wake;
            self.wake.push_back(key);
        }
    }

    /// Shuts a queue, making one where there is none, so that it is read from its first unsettled row.
    pub(super) fn read_again(&mut self, key: QueueKey, lane: u8, floor: i64) {
        let now = self.now;
        self.queues.entry(key).or_insert_with(|| Queue::new(lane, now));
        self.shut(key, floor, Why::Wake);
    }

    /// After a row of it went: asks for the next page when it runs low, and forgets a queue that holds nothing.
    pub(super) fn tidy(&mut self, key: QueueKey) {
        let Entry::Occupied(slot) = self.queues.entry(key) else { return };
        let queue = slot.get();
        match queue.gate {
            Gate::Open if queue.rows.is_empty() && queue.in_flight == 0 && !queue.waiting => {
                slot.remove();
            }
            Gate::Shut { why: Why::Page, .. } if queue.rows.len() < PAGE_LOW => self.wake(key),
            Gate::Open | Gate::Shut { .. } | Gate::Reading { .. } => {}
        }
    }

    /// Drops everything queued for the lanes that `gone` names; what is in flight stays known.
    pub(super) fn drop_queues(&mut self, gone: impl Fn(u8) -> bool) {
        let (known, bytes) = (&mut self.known, &mut self.bytes);
        self.queues.retain(|_, queue| {
            if !gone(queue.lane) {
                return true;
            }
            for row in queue.rows.drain(..) {
                known.remove(&row.row());
                *bytes -= row.payload.len();
            }
            queue.loading = false;
            // The floor of another owner's time is not ours to keep; a verdict under way is still awaited.
            queue.gate = match queue.gate {
                Gate::Shut { why: Why::Verdict, .. } => Gate::Shut {
                    floor: 0,
                    why: Why::Verdict,
                },
                Gate::Open | Gate::Shut { .. } | Gate::Reading { .. } => Gate::Open,
            };
            queue.in_flight > 0 || queue.gate != Gate::Open
        });
    }
}

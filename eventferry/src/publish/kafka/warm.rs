//! The warm rule: what may be in flight on one partition of one session.
//!
//! An idempotent producer's sequence numbers keep a later batch out after an earlier one was refused, but only on a partition whose log
//! already holds something of this producer: on any other the broker takes whichever sequence number comes first. So a partition starts
//! cold, with one record in flight until its ack, and everything after it waits here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::event::Message;
use crate::mutant::{Mutant, mutant};

/// An event that waits inside the session.
pub(crate) type Waiting = (u64, Message);

/// Whether the warm rule is kept. It always is, outside the test that shows what happens without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WarmRule {
    Kept,
    Broken,
}

/// One partition's part of a session. Pure: times come from outside.
#[derive(Debug)]
pub(crate) struct Flow {
    warm: bool,
    /// Cooled with records in flight: their acks say nothing about the partition that will be written next.
    cooling: bool,
    in_flight: usize,
    last_ack: Option<Instant>,
    waiting: VecDeque<Waiting>,
}

impl Flow {
    pub(crate) fn new(rule: WarmRule) -> Self {
        Self {
            warm: rule == WarmRule::Broken || mutant(Mutant::NoWarmRule),
            cooling: false,
            in_flight: 0,
            last_ack: None,
            waiting: VecDeque::new(),
        }
    }

    /// Whether one more record may go to the client now. A partition that was idle for longer than `idle` is cold again.
    pub(crate) fn open(&mut self, now: Instant, idle: Duration) -> bool {
        if self.in_flight > 0 {
            return self.warm;
        }
        if self.last_ack.is_some_and(|at| now.saturating_duration_since(at) >= idle) {
            self.warm = mutant(Mutant::NoWarmRule);
            self.last_ack = None;
        }
        true
    }

    /// Whether nothing waits, so that a record may go out without overtaking one.
    pub(crate) fn is_clear(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts a record behind all that wait.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// Takes the record that waits longest.
    pub(crate) fn next(&mut self) -> Option<Waiting> {
        self.waiting.pop_front()
    }

    /// Puts back a record that [`next`](Self::next) gave and the client had no room for.
    pub(crate) fn put_back(&mut self, waiting: Waiting) {
        self.waiting.push_front(waiting);
    }

    /// A record went to the client.
    pub(crate) fn sent(&mut self) {
        self.in_flight += 1;
    }

    /// A record is in the log: the partition is warm.
    pub(crate) fn acked(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.last_ack = Some(now);
        if self.cooling {
            self.cooling = self.in_flight > 0;
        } else {
            self.warm = true;
        }
    }

    /// The partition may be another one than before: once nothing is in flight, it begins again with one record.
    pub(crate) fn cool(&mut self) {
        self.warm = false;
        self.cooling = self.in_flight > 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_mins(1);

    fn fresh() -> (Flow, Instant) {
        (Flow::new(WarmRule::Kept), Instant::now())
    }

    #[test]
    fn a_cold_partition_has_one_record_in_flight_until_its_ack() {
        let (mut flow, now) = fresh();
        assert!(flow.open(now, IDLE));
        flow.sent();
        assert!(!flow.open(now, IDLE));
        flow.acked(now);
        for _ in 0..3 {
            assert!(flow.open(now, IDLE));
            flow.sent();
        }
    }

    #[test]
    fn an_idle_partition_is_cold_again() {
        let (mut flow, start) = fresh();
        flow.sent();
        flow.acked(start);
        let almost = start + IDLE.saturating_sub(Duration::from_millis(1));
        assert!(flow.open(almost, IDLE));
        flow.sent();
        assert!(flow.open(almost, IDLE), "still warm");
        flow.acked(almost);
        assert!(flow.open(almost + IDLE, IDLE));
        flow.sent();
        assert!(!flow.open(almost + IDLE, IDLE), "cold: one at a time");
    }

    #[test]
    fn records_in_flight_keep_a_partition_from_being_idle() {
        let (mut flow, start) = fresh();
        flow.sent();
        flow.acked(start);
        flow.sent();
        assert!(
            flow.open(start + IDLE * 5, IDLE),
            "an answer is still out, so the client knows its sequence"
        );
    }

    #[test]
    fn a_cooled_partition_waits_for_all_that_is_in_flight() {
        let (mut flow, now) = fresh();
        flow.sent();
        flow.acked(now);
        flow.sent();
        flow.sent();
        flow.cool();
        assert!(!flow.open(now, IDLE));
        flow.acked(now);
        assert!(!flow.open(now, IDLE), "an old record's ack warms nothing");
        flow.acked(now);
        assert!(flow.open(now, IDLE));
        flow.sent();
        assert!(!flow.open(now, IDLE), "one at a time");
        flow.acked(now);
        flow.sent();
        assert!(flow.open(now, IDLE), "warm");
    }

    #[test]
    fn records_leave_in_the_order_they_came() {
        let (mut flow, _) = fresh();
        for token in 0..3 {
            flow.wait((token, Message::tombstone("t")));
        }
        let first = flow.next().unwrap();
        assert_eq!(first.0, 0);
        flow.put_back(first);
        assert_eq!(std::iter::from_fn(|| flow.next()).map(|w| w.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(flow.is_clear());
    }
}

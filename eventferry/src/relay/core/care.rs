//! Lanes that are read with care, because relays ended again and again with them in their hands: when that begins, and when it ends.

use super::queue::{Gate, Queue, Why};
use super::{Command, Core, LeaseCommand, Notice, Now};
use crate::outbox::LANES;

/// A lane whose owners ended this often in a row is read with care.
pub(super) const DEATHS: u32 = 3;
/// After this long with the same owner a lane is well, whatever is left of it.
pub(super) const WELL_AFTER: Now = Now::from_mins(1);
/// After this many events that went well alone, or this long, the others go together again: where each event takes its time, or more come
/// than can go alone, care would never end.
const CAREFUL_EVENTS: usize = 1_000;
const CARE_ENDS_AFTER: Now = Now::from_mins(1);
/// Rows of a careful lane that wait in memory, at most.
pub(super) const CAREFUL_ROWS: usize = 16;

/// How long care goes on.
#[derive(Debug)]
pub(super) struct Care {
    /// Events to go until every lane is well.
    pub(super) left: usize,
    pub(super) until: Now,
    /// The event that did it is dead.
    pub(super) found: bool,
}

impl Core {
    /// Called when a lane is taken.
    pub(super) fn note_deaths(&mut self, deaths: u32) -> bool {
        let careful = deaths >= DEATHS;
        if careful {
            // A lane that comes to others is read with the care that is under way, or lanes that move would prolong it for ever.
            let (left, until) = (self.config.window.min(CAREFUL_EVENTS), self.now + CARE_ENDS_AFTER);
            self.alone.care.get_or_insert(Care { left, until, found: false });
        }
        careful
    }

    /// Ends care as soon as there is no more reason for it.
    pub(super) fn tend_care(&mut self) {
        if self.alone.care.is_some() && self.alone.has_cared_enough(self.now) && !self.alone.has_counted() {
            self.tend_careful();
        }
    }

    /// Finds lanes that are well again, and says so.
    pub(super) fn tend_careful(&mut self) {
        let now = self.now;
        let busy = self.lanes_with_more_to_send();
        let enough = self.alone.has_cared_enough(now) && !self.alone.has_counted();
        let found = enough && self.alone.care.as_ref().is_some_and(|care| care.found);
        let mut well = Vec::new();
        let mut careful = 0;
        for (lane, busy) in self.lanes.iter_mut().zip(busy) {
            let Some(lease) = lane.lease else { continue };
            if lane.deaths == 0 {
                continue;
            }
            // Its owner lives, and all that it could send is sent. Due rows are read by themselves, and later: one of them may be the event.
            let sent = lane.caught_up && lane.due_seen && !busy && lane.open == 0;
            if sent || lane.careful && found {
                (lane.careful, lane.well_at) = (false, now);
            } else if lane.careful && enough {
                // Nothing was found: one more death within the minute is careful again.
                (lane.careful, lane.well_at) = (false, now + WELL_AFTER);
            }
            careful += usize::from(lane.careful);
            if !lane.careful && now >= lane.well_at {
                lane.deaths = 0;
                well.push(lease);
            }
        }
        if (careful > 0) != self.alone.told {
            self.alone.told = careful > 0;
            let notice = if careful > 0 {
                Notice::Careful { lanes: careful }
            } else {
                Notice::Carefree
            };
            self.commands.push(Command::Tell(notice));
        }
        if careful == 0 && self.alone.care.take().is_some() {
            self.next_alone();
        }
        if !well.is_empty() {
            self.commands.push(Command::Lease(LeaseCommand::Forgive(well)));
        }
    }

    /// Of lanes whose owners ended with them in their hands.
    fn lanes_with_more_to_send(&self) -> [bool; LANES as usize] {
        let mut busy = [false; LANES as usize];
        if self.lanes.iter().all(|lane| lane.deaths == 0) {
            return busy;
        }
        // What waits for a time, an operator or its topic may do so for ever.
        let waits = |queue: &Queue| {
            let at_rest = matches!(
                queue.gate,
                Gate::Shut {
                    why: Why::Held | Why::Retry | Why::Topic,
                    ..
                }
            );
            at_rest && queue.in_flight == 0
        };
        for queue in self.queues.values().filter(|queue| !waits(queue)) {
            busy[usize::from(queue.lane % LANES)] = true;
        }
        busy
    }

    /// How many rows of each careful lane are in memory.
    pub(super) fn careful_rows(&self) -> Option<[usize; LANES as usize]> {
        if !self.lanes.iter().any(|lane| lane.careful) {
            return None;
        }
        let mut rows = [0; LANES as usize];
        for queue in self.queues.values() {
            rows[usize::from(queue.lane % LANES)] += queue.rows.len();
        }
        Some(rows)
    }
}

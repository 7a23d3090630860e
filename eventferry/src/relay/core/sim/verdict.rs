//! What a run is judged by, while it runs: the theorem, its premises, and who may count what.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::writer::Written;
use crate::event::MessageId;
use crate::outbox::Status;
use crate::relay::core::Now;

/// How a promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Breach {
    /// Committed and settled, or never settled, without having arrived or died.
    Lost,
    /// Arrived without having been committed.
    Phantom,
    /// First delivered after a successor.
    Order,
    /// Settled by nobody in the time it should take.
    Stuck,
    /// Found only by the pass from the start.
    Stray,
    /// A verdict changed a row of a lane that had another owner.
    StaleVerdict,
    /// More attempts were counted than the broker refused.
    Attempts,
    /// Died before the dead-letter topic had it.
    Letter,
    /// Waited for a partition that is not its own.
    Neighbour,
    /// Handed over before the publisher knew its schema.
    Unlearned,
    /// Died of what another event did.
    Innocent,
}

#[derive(Debug, Clone)]
pub(super) struct Violation {
    pub(super) breach: Breach,
    pub(super) aggregate: Option<u64>,
    pub(super) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.breach, self.text)
    }
}

/// What is known of one committed event.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that may have happened to it")]
pub(super) struct Event {
    pub(super) aggregate: u64,
    pub(super) ordered: bool,
    /// Its place among all commits.
    pub(super) place: usize,
    pub(super) partition: Option<i32>,
    pub(super) committed: Now,
    pub(super) arrived: Option<Now>,
    /// The database that had it is gone.
    pub(super) gone: bool,
    /// It died once, or an operator took it out: it has no place in the order any more.
    pub(super) left: bool,
    pub(super) dead: bool,
    pub(super) discarded: bool,
    /// How often the broker refused it by itself.
    pub(super) refusals: u32,
    /// Attempts counted before they were made, and not taken back.
    pub(super) begun: u32,
    pub(super) lettered: bool,
}

#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) events: HashMap<MessageId, Event>,
    /// The last event of each aggregate that arrived for the first time.
    newest: BTreeMap<u64, (usize, MessageId)>,
    pub(super) violations: Vec<Violation>,
    pub(super) duplicates: usize,
    pub(super) deaths: usize,
    pub(super) letters: usize,
}

impl Oracle {
    pub(super) fn breach(&mut self, breach: Breach, message_id: Option<MessageId>, text: String) {
        let aggregate = message_id.and_then(|id| self.events.get(&id)).map(|event| event.aggregate);
        self.violations.push(Violation { breach, aggregate, text });
    }

    pub(super) fn commit(&mut self, written: Vec<Written>, now: Now) {
        for row in written {
            let place = self.events.len();
            let event = Event {
                aggregate: row.aggregate,
                ordered: row.ordered,
                place,
                partition: row.partition,
                committed: now,
                arrived: None,
                gone: false,
                left: false,
                dead: false,
                discarded: false,
                refusals: 0,
                begun: 0,
                lettered: false,
            };
            self.events.insert(row.message_id, event);
        }
    }

    /// An older database took over: what was committed after `place` is not in it, and rows stand where they stood.
    pub(super) fn fail_over(&mut self, place: usize, standing: impl Fn(MessageId) -> Option<(Status, u32)>) {
        for (id, event) in &mut self.events {
            event.gone |= event.place >= place;
            if let Some((status, attempts)) = standing(*id) {
                event.begun = event.begun.max(attempts.saturating_sub(event.refusals));
                event.dead = matches!(status, Status::Dead | Status::DeadHolding);
                event.discarded &= status.is_settled();
            }
        }
    }

    pub(super) fn arrive(&mut self, message_id: MessageId, now: Now) {
        let Some(event) = self.events.get_mut(&message_id) else {
            return self.breach(Breach::Phantom, None, format!("{message_id} arrived and was never committed"));
        };
        if event.arrived.replace(now).is_some() {
            self.duplicates += 1;
            return;
        }
        if !event.ordered || event.left || event.gone {
            return;
        }
        let (aggregate, place) = (event.aggregate, event.place);
        match self.newest.entry(aggregate) {
            Entry::Vacant(slot) => {
                slot.insert((place, message_id));
            }
            Entry::Occupied(mut slot) if slot.get().0 < place => {
                slot.insert((place, message_id));
            }
            Entry::Occupied(slot) => {
                let (_, newer) = *slot.get();
                let text = format!("{message_id} of aggregate {aggregate} first arrived after its successor {newer}");
                self.breach(Breach::Order, Some(message_id), text);
            }
        }
    }

    pub(super) fn refused(&mut self, message_id: MessageId) {
        if let Some(event) = self.events.get_mut(&message_id) {
            event.refusals += 1;
        }
    }

    pub(super) fn lettered(&mut self, message_id: MessageId) {
        if let Some(event) = self.events.get_mut(&message_id) {
            event.lettered = true;
            self.letters += 1;
        }
    }

    /// A row is recorded as delivered.
    pub(super) fn acked(&mut self, message_id: MessageId) {
        if let Some(event) = self.events.get(&message_id)
            && event.arrived.is_none()
            && !event.discarded
        {
            let text = format!(
                "{message_id} of aggregate {} is recorded as delivered and never arrived",
                event.aggregate
            );
            self.breach(Breach::Lost, Some(message_id), text);
        }
    }

    /// A row died, holding its aggregate or not.
    pub(super) fn died(&mut self, message_id: MessageId, holding: bool, letters: bool) {
        let Some(event) = self.events.get_mut(&message_id) else { return };
        event.dead = true;
        event.left |= !holding;
        self.deaths += 1;
        if letters && !event.lettered {
            let text = format!("{message_id} died before the dead-letter topic had it");
            self.breach(Breach::Letter, Some(message_id), text);
        }
    }

    pub(super) fn counted(&mut self, message_id: MessageId, attempts: u32) {
        if let Some(event) = self.events.get(&message_id)
            && attempts > event.refusals + event.begun
        {
            let text = format!("{message_id} has {attempts} attempts and was refused {} times", event.refusals);
            self.breach(Breach::Attempts, Some(message_id), text);
        }
    }

    /// When it is over: what should have arrived and did not.
    pub(super) fn close(&mut self) {
        let lost = |event: &&Event| event.arrived.is_none() && !event.gone && !event.dead && !event.discarded;
        let mut lost: Vec<_> = self
            .events
            .iter()
            .filter(|(_, event)| lost(event))
            .map(|(id, event)| (event.place, *id, event.aggregate))
            .collect();
        lost.sort_unstable();
        for (_, id, aggregate) in lost {
            self.breach(Breach::Lost, Some(id), format!("{id} of aggregate {aggregate} never arrived"));
        }
    }

    /// Of the events that nothing held up: the longest time from the commit to the arrival.
    pub(super) fn longest(&self, concerned: impl Fn(&Event) -> bool) -> Option<(Now, MessageId)> {
        let waits = self.events.iter().filter(|(_, event)| concerned(event));
        waits
            .filter_map(|(id, event)| Some((event.arrived?.saturating_sub(event.committed), *id)))
            .max()
    }
}

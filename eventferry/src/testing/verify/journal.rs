//! Both sides of the comparison: what committed, and what arrived.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::event::{IncomingMessage, MessageId};

/// What committed, by aggregate, in the order of commits.
///
/// The database says so and nobody else: a client whose `COMMIT` was not answered does not know. [`Books`](crate::testing::verify::Books)
/// reads one from the store under test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    pub(super) aggregates: BTreeMap<String, Vec<Committed>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) id: MessageId,
    pub(super) at: SystemTime,
}

impl Journal {
    /// A journal without an event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next event of its aggregate, and when it committed, or a time shortly before.
    pub fn commit(&mut self, aggregate: &str, id: MessageId, at: SystemTime) {
        let committed = Committed { id, at };
        match self.aggregates.get_mut(aggregate) {
            Some(events) => events.push(committed),
            None => drop(self.aggregates.insert(aggregate.to_owned(), vec![committed])),
        }
    }

    /// How many events committed.
    pub fn len(&self) -> usize {
        self.aggregates.values().map(Vec::len).sum()
    }

    /// Whether nothing committed.
    pub fn is_empty(&self) -> bool {
        self.aggregates.is_empty()
    }
}

/// What a consumer saw, by aggregate, in the order of arrival.
///
/// Only the order within an aggregate counts, so the partitions of a topic may be added one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrivals {
    pub(super) aggregates: BTreeMap<String, Vec<Arrived>>,
    pub(super) strangers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) id: MessageId,
    pub(super) at: SystemTime,
    pub(super) place: (i32, i64),
}

impl Arrivals {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next message, when it arrived, and where it stands: its partition and offset, or what is like them.
    ///
    /// The best time is the broker's (Kafka: `message.timestamp.type=LogAppendTime`): what a consumer waits for is then not counted.
    /// A message without `message-id` or `aggregate-id` is nothing that committed, and counts as a phantom.
    pub fn arrive(&mut self, message: &impl IncomingMessage, at: SystemTime, place: (i32, i64)) {
        match (message.aggregate_id(), message.message_id()) {
            (Some(aggregate), Some(id)) => self.event(aggregate, id, at, place),
            _ => self.strangers += 1,
        }
    }

    /// The same from the parts that matter.
    pub fn event(&mut self, aggregate: &str, id: MessageId, at: SystemTime, place: (i32, i64)) {
        let arrived = Arrived { id, at, place };
        match self.aggregates.get_mut(aggregate) {
            Some(events) => events.push(arrived),
            None => drop(self.aggregates.insert(aggregate.to_owned(), vec![arrived])),
        }
    }

    /// How many messages were seen, each as often as it came.
    pub fn len(&self) -> usize {
        self.strangers + self.aggregates.values().map(Vec::len).sum::<usize>()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

//! What consumers remember.

use std::collections::{BTreeSet, HashMap};

use crate::event::MessageId;
use crate::outbox::order_key;
use crate::store::Place;
use crate::store::memory::state::{Attempt, End, Tx};

/// Consumer, source, topic, partition, order key.
type MarkKey = (String, String, String, Option<i32>, i64);

#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    messages: HashMap<(String, MessageId), Handled>,
    marks: HashMap<MarkKey, Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Handled {
    tx: Tx,
    at: i64,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    position: i64,
    at: i64,
    tx: Tx,
    /// What stood here before this transaction, if anything did.
    before: Option<(i64, i64)>,
}

impl Inbox {
    /// Remembers a handled message; false if it is remembered already.
    pub(super) fn remember(&mut self, open: &BTreeSet<Tx>, tx: Tx, consumer: &str, message_id: MessageId, at: i64) -> Attempt<bool> {
        let key = (consumer.to_owned(), message_id);
        match self.messages.get(&key) {
            None => {
                self.messages.insert(key, Handled { tx, at });
                Attempt::Ready(true)
            }
            Some(other) if other.tx != tx && open.contains(&other.tx) => Attempt::Behind(other.tx),
            Some(_) => Attempt::Ready(false),
        }
    }

    /// Moves a watermark forward; false if it stands there already, or beyond.
    pub(super) fn advance(&mut self, open: &BTreeSet<Tx>, tx: Tx, place: &Place<'_>, at: i64) -> Attempt<bool> {
        let key = (
            place.consumer.to_owned(),
            place.source.to_owned(),
            place.topic.to_owned(),
            place.partition,
            order_key(place.aggregate_type, place.aggregate_id),
        );
        let position = place.position;
        let Some(mark) = self.marks.get_mut(&key) else {
            let before = None;
            self.marks.insert(key, Mark { position, at, tx, before });
            return Attempt::Ready(true);
        };
        if mark.tx != tx && open.contains(&mark.tx) {
            return Attempt::Behind(mark.tx);
        }
        if mark.position >= position {
            return Attempt::Ready(false);
        }
        let before = if mark.tx == tx {
            mark.before
        } else {
            Some((mark.position, mark.at))
        };
        *mark = Mark { position, at, tx, before };
        Attempt::Ready(true)
    }

    /// Undoes what a transaction did, if it was rolled back.
    pub(super) fn end(&mut self, tx: Tx, end: End) {
        if end == End::Committed {
            return;
        }
        self.messages.retain(|_, handled| handled.tx != tx);
        self.marks.retain(|_, mark| match mark.before {
            _ if mark.tx != tx => true,
            None => false,
            Some((position, at)) => {
                let before = None;
                *mark = Mark {
                    position,
                    at,
                    tx: 0,
                    before,
                };
                true
            }
        });
    }

    /// Forgets what a consumer handled before a time, messages first.
    pub(super) fn forget(&mut self, open: &BTreeSet<Tx>, tx: Tx, consumer: &str, before: i64, limit: usize) -> u64 {
        let free = |holder: Tx| holder == tx || !open.contains(&holder);
        let messages = self.messages.iter();
        let messages = messages.filter(|(key, handled)| key.0 == consumer && handled.at < before && free(handled.tx));
        let messages: Vec<_> = messages.map(|(key, _)| key.clone()).take(limit).collect();
        let marks = self.marks.iter();
        let marks = marks.filter(|(key, mark)| key.0 == consumer && mark.at < before && free(mark.tx));
        let marks: Vec<_> = marks.map(|(key, _)| key.clone()).take(limit - messages.len()).collect();
        for key in &messages {
            self.messages.remove(key);
        }
        for key in &marks {
            self.marks.remove(key);
        }
        (messages.len() + marks.len()) as u64
    }
}

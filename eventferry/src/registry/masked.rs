//! Payloads for the eyes of people.

use std::collections::HashMap;

use crate::codec::{Contract, MASK};
use crate::event::IncomingMessage;
use crate::registry::outbox::declared;
use crate::registry::{EventSet, Outbox};
use crate::schema::SchemaKind;

impl<S: EventSet> Outbox<S> {
    /// The payload of a message as JSON for people to look at, without what is personal.
    ///
    /// `"***"` stands for every value under a part of the schema with `x-sensitive` (`#[schemars(extend("x-sensitive" = true))]` on a field or
    /// a type), whatever its kind, and for everything that the schema of the message's version does not declare: members and map keys that it
    /// does not name, values of another kind than it says, and whatever stands where it allows anything. Where an event has several forms,
    /// what is personal in one is hidden in all. A message that cannot be read at all, a tombstone, an event or version that the set does not
    /// know, and a format other than JSON are `"***"` as a whole.
    ///
    /// A row of an outbox is shown by the message it becomes ([`Record::into_message`](crate::outbox::Record::into_message)).
    #[cfg_attr(feature = "derive", doc = include_str!("examples/masked.md"))]
    pub fn masked<M: IncomingMessage + ?Sized>(&self, message: &M) -> String {
        self.shown(message).unwrap_or_else(|| format!("\"{MASK}\""))
    }

    fn shown<M: IncomingMessage + ?Sized>(&self, message: &M) -> Option<String> {
        let index = self.find(message).ok()?;
        // Neither checked nor strict: a payload that breaks the rules is the one that somebody wants to look at.
        let (version, wire) = Self::version_and_wire(index, message).ok()?;
        let masks = self
            .shared
            .masks
            .get_or_init(|| declared::<S>(Contract::Written).unwrap_or_else(|_| HashMap::new()));
        Some(masks.get(&(index, version))?.masked(wire.event(Some(SchemaKind::Json)).ok()?))
    }
}

//! Payloads for the eyes of people.

use std::collections::HashMap;

use crate::codec::{Contract, MASK};
use crate::event::{IncomingMessage, headers};
use crate::registry::outbox::views;
use crate::registry::{EventSet, Outbox};
use crate::schema::SchemaKind;

impl<S: EventSet> Outbox<S> {
    /// The payload of a message as JSON for people to look at, without what is personal.
    ///
    /// `"***"` stands for every value that the schema of the message's version marks, whatever its kind and wherever it stands:
    ///
    /// * JSON: `#[schemars(extend("x-sensitive" = true))]` on a field or a type;
    /// * Avro: the attribute `"x-sensitive": true` of a field or a type in a file; with a derived schema the word `x-sensitive` in the
    ///   documentation of the field or the type;
    /// * Protobuf: the option `[debug_redact = true]` of a field, or an option `x_sensitive` that the file declares itself.
    ///
    /// It also stands for everything that the schema does not declare: members, fields and map keys that it does not name, values of another
    /// kind than it says, numbers that an enum has not, and whatever stands where it allows anything. Where a JSON event has several forms,
    /// what is personal in one is hidden in all. A message that cannot be read at all, a tombstone, an event or version that the set does
    /// not know, a schema with a mark that cannot be understood, and a format of your own are `"***"` as a whole.
    ///
    /// Bytes are shown as hexadecimal text, decimals and uuids as text, times and dates as the numbers they are written as.
    ///
    /// A row of an outbox is shown by the message it becomes ([`Record::into_message`](crate::outbox::Record::into_message)).
    #[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/masked.md"))]
    pub fn masked<M: IncomingMessage + ?Sized>(&self, message: &M) -> String {
        self.shown(message).unwrap_or_else(|| format!("\"{MASK}\""))
    }

    fn shown<M: IncomingMessage + ?Sized>(&self, message: &M) -> Option<String> {
        let index = self.find(message).ok()?;
        // Neither checked nor strict: a payload that breaks the rules is the one that somebody wants to look at.
        let (version, wire) = Self::version_and_wire(index, message).ok()?;
        let masks = self.shared.masks.get_or_init(|| {
            let seen = views::<S>(Contract::Written).filter_map(|(at, view)| Some((at, view.ok()?)));
            seen.collect::<HashMap<_, _>>()
        });
        let (view, kind) = masks.get(&(index, version))?;
        let bytes = wire.event(*kind).ok()?;
        // A frame that no header of ours tells of could be read as the first fields of an Avro event, and what is personal as another field.
        let may_be_framed = *kind == Some(SchemaKind::Avro) && !wire.framed && message.header(headers::EVENT_VERSION).is_none();
        if may_be_framed && bytes.first() == Some(&0) {
            return None;
        }
        Some(view.masked(bytes)?.to_string())
    }
}

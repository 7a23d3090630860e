//! Payloads for the eyes of people.

use std::collections::HashMap;
use std::fmt;

use crate::codec::{Contract, MASK, VersionError};
use crate::event::{IncomingMessage, headers};
use crate::outbox::Payload;
use crate::registry::decode::{describe, shown};
use crate::registry::outbox::views;
use crate::registry::{DecodeError, DecodeErrorKind, EventSet, Outbox};
use crate::schema::SchemaKind;
use crate::store::StoredRow;

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
    /// It is for terminals too: control characters, and those that change the direction of text, are escaped as JSON escapes them.
    ///
    /// A row of an outbox is shown by [`masked_row`](Self::masked_row), which says why where there is nothing to be seen.
    #[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/masked.md"))]
    pub fn masked<M: IncomingMessage + ?Sized>(&self, message: &M) -> String {
        self.view(message).unwrap_or_else(|_| format!("\"{MASK}\""))
    }

    /// The payload of a row as [`masked`](Self::masked) shows that of a message, or why there is nothing to be seen: a line for an operator's
    /// command.
    ///
    /// What is encrypted stays closed, whatever keys the set has: [`decrypted`](Self::decrypted) opens the message that the row becomes
    /// ([`Record::into_message`](crate::outbox::Record::into_message)), and `masked` shows that.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/masked_row.md"))]
    pub fn masked_row(&self, row: &StoredRow) -> MaskedPayload {
        let (record, bytes) = (&row.record, row.record.payload.len());
        let key_id = record.headers.get(headers::EVENT_KEY_ID);
        match (&record.payload, key_id) {
            (Payload::Tombstone, _) => MaskedPayload::Tombstone,
            (Payload::Bytes(_) | Payload::Deferred(_), Some(key_id)) => MaskedPayload::Encrypted {
                key_id: key_id.to_owned(),
                bytes,
            },
            (Payload::Deferred(_), None) => MaskedPayload::NotRead { bytes },
            (Payload::Bytes(_), None) => match self.view(&record.clone().into_message("")) {
                Ok(json) => MaskedPayload::Json(json),
                Err(why) => MaskedPayload::Unreadable(why),
            },
        }
    }

    fn view<M: IncomingMessage + ?Sized>(&self, message: &M) -> Result<String, DecodeError> {
        let index = self.find(message)?;
        // Neither checked nor strict: a payload that breaks the rules is the one that somebody wants to look at.
        let (version, wire) = Self::version_and_wire(index, message)?;
        let masks = self.shared.masks.get_or_init(|| {
            let seen = views::<S>(Contract::Written).filter_map(|(at, view)| Some((at, view.ok()?)));
            seen.collect::<HashMap<_, _>>()
        });
        let entry = &S::ENTRIES[index];
        let refuse = |error| describe((entry.name, entry.version), version, message, error);
        let hide = |why: &str| {
            let what = format!("`{}` version {version} on topic `{}` {why}", entry.name, shown(message.topic()));
            DecodeError::new(DecodeErrorKind::Undecodable, Some(entry.name), what)
        };
        let Some((view, kind)) = masks.get(&(index, version)) else {
            let mut versions = Vec::new();
            (entry.history)(&mut versions);
            return Err(if versions.iter().any(|known| known.number == version) {
                hide("has a schema that does not tell what is personal")
            } else {
                refuse(VersionError::Unknown)
            });
        };
        let bytes = wire.event(*kind).map_err(|error| refuse(VersionError::Codec(error)))?;
        // A frame that no header of ours tells of could be read as the first fields of an Avro event, and what is personal as another field.
        let may_be_framed = *kind == Some(SchemaKind::Avro) && !wire.framed && message.header(headers::EVENT_VERSION).is_none();
        if may_be_framed && bytes.first() == Some(&0) {
            return Err(hide("has no header with its version, and may begin with a frame"));
        }
        let masked = view.masked(bytes).ok_or_else(|| hide("is no payload of its schema"))?;
        Ok(for_terminals(masked.to_string()))
    }
}

/// JSON without characters that a terminal acts upon; it says the same. Those below the space are escaped already.
fn for_terminals(json: String) -> String {
    let acts = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !json.contains(acts) {
        return json;
    }
    let plain = |c: char| {
        if acts(c) {
            format!("\\u{:04x}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    json.chars().map(plain).collect()
}

/// What [`Outbox::masked_row`] shows of a payload.
///
/// `Display` is one line for people. Neither that nor `Debug` has a byte of the payload in it that was not masked as JSON; `Debug` has none.
#[non_exhaustive]
pub enum MaskedPayload {
    /// The payload as JSON, without what is personal and what no schema declares.
    Json(String),
    /// There is none: the event is a tombstone.
    Tombstone,
    /// It was not read with the row: see [`ShowPayload::Read`](crate::store::ShowPayload::Read).
    NotRead {
        /// How long it is.
        bytes: usize,
    },
    /// Only holders of a key can read it.
    Encrypted {
        /// What the key is known by, as the row says it.
        key_id: String,
        /// How long the encrypted form is.
        bytes: usize,
    },
    /// It cannot be told what it is: another set's event, a version that is not known, bytes that are no payload of the schema.
    Unreadable(DecodeError),
}

impl fmt::Display for MaskedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(json) => f.write_str(json),
            Self::Tombstone => f.write_str("none: a tombstone"),
            Self::NotRead { bytes } => write!(f, "{bytes} bytes, not read"),
            Self::Encrypted { key_id, bytes } => write!(f, "{bytes} bytes, encrypted with the key `{}`", shown(key_id)),
            Self::Unreadable(why) => write!(f, "not shown: {why}"),
        }
    }
}

impl fmt::Debug for MaskedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(json) => write!(f, "Json({} bytes)", json.len()),
            Self::Tombstone | Self::NotRead { .. } | Self::Encrypted { .. } | Self::Unreadable(_) => write!(f, "MaskedPayload({self})"),
        }
    }
}

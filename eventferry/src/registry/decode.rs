//! Reading messages as typed events.

use std::fmt;

use crate::codec::{self, CodecErrorKind, VersionError, Versions, Wire};
use crate::event::{IncomingMessage, OutboxEvent, headers};
use crate::registry::{DecodeError, DecodeErrorKind, EventOf, EventSet, Outbox};
use crate::schema::{SchemaId, frame};

impl<S: EventSet> Outbox<S> {
    /// Reads a message as one of the set's events.
    ///
    /// The event is found by the header `event-type`; the topic decides only between events of one name, so messages of dead-letter,
    /// retry and mirrored topics decode as well. A message without that header is read as the only event its topic has in the set. A
    /// payload of an earlier version is brought up to the event's own; without the header `event-version` it is read as the latest.
    ///
    /// # Errors
    /// By [`DecodeError::kind`]; [`DecodeError::is_unknown`] is what a consumer of a shared topic skips.
    #[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/decode.md"))]
    pub fn decode<M: IncomingMessage + ?Sized>(&self, message: &M) -> Result<S, DecodeError> {
        match self.opened(message)? {
            Some(decrypted) => self.decode_plain(&decrypted),
            None => self.decode_plain(message),
        }
    }

    fn decode_plain<M: IncomingMessage + ?Sized>(&self, message: &M) -> Result<S, DecodeError> {
        let index = self.find(message)?;
        let entry = &S::ENTRIES[index];
        let (version, wire) = self.parts(index, message)?;
        (entry.decode)(version, wire).map_err(|e| describe((entry.name, entry.version), version, message, e))
    }

    /// Reads a message as one certain event, or as a view of it, borrowing from the message where the type does.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`DecodeErrorKind::OtherEvent`] if it is another event of the set.
    #[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/decode_as.md"))]
    pub fn decode_as<'m, E>(&self, message: &'m (impl IncomingMessage + ?Sized)) -> Result<E, DecodeError>
    where
        E: Versions<'m>,
        E::Listed: EventOf<S>,
    {
        let index = self.find(message)?;
        if index != <E::Listed as EventOf<S>>::INDEX {
            let (found, wanted) = (S::ENTRIES[index].name, <E as OutboxEvent>::NAME);
            let what = format!("the message on topic `{}` is `{found}`, not `{wanted}`", shown(message.topic()));
            return Err(DecodeError::new(DecodeErrorKind::OtherEvent, Some(found), what));
        }
        let (version, wire) = self.parts(index, message)?;
        E::decode_version(version, wire).map_err(|e| describe((E::NAME, E::VERSION), version, message, e))
    }

    /// The message with its payload decrypted: what [`decode_as`](Self::decode_as) borrows from where messages are encrypted. One that is not
    /// stays as it is.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Encrypted`], and as [`decode`](Self::decode) for a message that is no event of the set.
    #[cfg_attr(all(feature = "derive", feature = "json-schema", feature = "encryption"), doc = include_str!("examples/decrypted.md"))]
    pub fn decrypted<'m, M: IncomingMessage + ?Sized>(&self, message: &'m M) -> Result<Decrypted<'m, M>, DecodeError> {
        Ok(self.opened(message)?.unwrap_or_else(|| Decrypted {
            message,
            payload: message.payload().map(<[u8]>::to_vec),
        }))
    }

    /// The message decrypted; none if it is not encrypted.
    fn opened<'m, M: IncomingMessage + ?Sized>(&self, message: &'m M) -> Result<Option<Decrypted<'m, M>>, DecodeError> {
        let Some(key_id) = message.header(headers::EVENT_KEY_ID) else {
            return Ok(None);
        };
        let entry = &S::ENTRIES[self.find(message)?];
        let Some(sealed) = message.payload() else {
            return Ok(Some(Decrypted { message, payload: None }));
        };
        let refuse = |why: &dyn fmt::Display| {
            let what = format!("`{}` on topic `{}` is encrypted{why}", entry.name, shown(message.topic()));
            DecodeError::new(DecodeErrorKind::Encrypted, Some(entry.name), what)
        };
        let cipher = self.cipher.as_deref();
        let cipher = cipher.ok_or_else(|| refuse(&", and the set was given no keys: see `Outbox::encrypted`"))?;
        let version = message.event_version().unwrap_or(entry.version);
        let (aggregate_type, aggregate_id) = (
            message.aggregate_type().unwrap_or_default(),
            message.aggregate_id().unwrap_or_default(),
        );
        let context = codec::context(entry.name, version, aggregate_type, aggregate_id);
        let key_id = std::str::from_utf8(key_id).unwrap_or_default();
        let payload = cipher
            .open(key_id, &context, sealed)
            .map_err(|error| refuse(&format_args!(": {error}")))?;
        let payload = Some(payload);
        Ok(Some(Decrypted { message, payload }))
    }

    /// The place in the set of the event that a message says it is.
    pub(crate) fn find<M: IncomingMessage + ?Sized>(&self, message: &M) -> Result<usize, DecodeError> {
        // A dead letter says which topic it was meant for.
        let topic = message.text_header(headers::DLQ_ORIGINAL_TOPIC).unwrap_or(message.topic());
        let on_topic = |index: &&usize| S::ENTRIES[**index].topic == topic;
        if let Some(name) = message.event_type() {
            let found = self.shared.by_name.get(name).map(Vec::as_slice);
            let refuse = |kind, why: &str| {
                let what = format!("the message on topic `{}` is `{}`, {why} `{}`", shown(topic), shown(name), S::NAME);
                Err(DecodeError::new(kind, Some(name), what))
            };
            return match found {
                None | Some([]) => refuse(DecodeErrorKind::UnknownEvent, "which is no event of"),
                Some([one]) => Ok(*one),
                Some(several) => match several.iter().find(on_topic) {
                    Some(one) => Ok(*one),
                    None => refuse(DecodeErrorKind::Ambiguous, "the name of several events, on other topics, of"),
                },
            };
        }
        let mut candidates = (0..S::ENTRIES.len()).filter(|index| S::ENTRIES[*index].topic == topic);
        match (candidates.next(), candidates.next()) {
            (Some(only), None) => Ok(only),
            (Some(_) | None, _) if message.payload().is_none() => Err(tombstone(None, topic)),
            (found, _) => {
                let why = match found {
                    None => "the set has no event for that topic",
                    Some(_) => "the set has several events for that topic",
                };
                let what = format!(
                    "the message on topic `{}` has no readable header `{}`, and {why}: `{}`",
                    shown(topic),
                    headers::EVENT_TYPE,
                    S::NAME
                );
                Err(DecodeError::new(DecodeErrorKind::NotOurs, None, what))
            }
        }
    }

    /// Version and payload, checked against the version's schema where that is switched on.
    fn parts<'m, M: IncomingMessage + ?Sized>(&self, index: usize, message: &'m M) -> Result<(u32, Wire<'m>), DecodeError> {
        let (version, wire) = Self::version_and_wire(index, message)?;
        self.check(index, version, wire, message)?;
        Ok((version, wire))
    }

    fn check<M: IncomingMessage + ?Sized>(&self, index: usize, version: u32, wire: Wire<'_>, message: &M) -> Result<(), DecodeError> {
        let entry = &S::ENTRIES[index];
        let checks = [&self.on_read, &self.strict].into_iter().flatten();
        for (check, kind) in checks.filter_map(|checks| checks.get(&(index, version))) {
            wire.event(*kind)
                .and_then(|event| check.check(event))
                .map_err(|e| describe((entry.name, entry.version), version, message, VersionError::Codec(e)))?;
        }
        Ok(())
    }

    /// Reads what is known to be a version of an event, checked where that is switched on.
    #[cfg(feature = "schema-registry")]
    pub(super) fn decode_version<M: IncomingMessage + ?Sized>(
        &self,
        index: usize,
        version: u32,
        wire: Wire<'_>,
        message: &M,
    ) -> Result<S, DecodeError> {
        self.check(index, version, wire, message)?;
        let entry = &S::ENTRIES[index];
        (entry.decode)(version, wire).map_err(|e| describe((entry.name, entry.version), version, message, e))
    }

    /// Version and payload, as they came.
    pub(super) fn version_and_wire<M: IncomingMessage + ?Sized>(index: usize, message: &M) -> Result<(u32, Wire<'_>), DecodeError> {
        let entry = &S::ENTRIES[index];
        let version = match message.header(headers::EVENT_VERSION) {
            None => entry.version,
            Some(_) => message.event_version().ok_or_else(|| {
                let what = format!(
                    "the header `{}` of `{}` on topic `{}` is not a version number",
                    headers::EVENT_VERSION,
                    entry.name,
                    shown(message.topic())
                );
                DecodeError::new(DecodeErrorKind::UnknownVersion, Some(entry.name), what)
            })?,
        };
        let content_type = message.header(headers::CONTENT_TYPE);
        // A media type that is not even text is another media type.
        let content_type = content_type.map(|value| std::str::from_utf8(value).unwrap_or_default());
        if message.header(headers::EVENT_KEY_ID).is_some() {
            let what = format!(
                "`{}` on topic `{}` is encrypted: decode what `Outbox::decrypted` makes of it",
                entry.name,
                shown(message.topic())
            );
            return Err(DecodeError::new(DecodeErrorKind::Encrypted, Some(entry.name), what));
        }
        let payload = message.payload().ok_or_else(|| tombstone(Some(entry.name), message.topic()))?;
        Ok((version, unframed(entry.name, message, Wire::plain(content_type, payload))?))
    }
}

/// A message whose payload was decrypted.
///
/// # Examples
/// [`Outbox::decrypted`] shows a view that borrows from one.
pub struct Decrypted<'m, M: ?Sized> {
    message: &'m M,
    payload: Option<Vec<u8>>,
}

impl<M: IncomingMessage + ?Sized> IncomingMessage for Decrypted<'_, M> {
    fn topic(&self) -> &str {
        self.message.topic()
    }

    fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    fn log_partition(&self) -> Option<i32> {
        self.message.log_partition()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        if name == headers::EVENT_KEY_ID {
            None
        } else {
            self.message.header(name)
        }
    }
}

impl<M: ?Sized> fmt::Debug for Decrypted<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decrypted")
            .field("payload_bytes", &self.payload.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// What follows a schema registry's frame, where the message says that there is one. Which schema it was written with is known already: the
/// one of its version.
fn unframed<'m, M: IncomingMessage + ?Sized>(event: &str, message: &'m M, plain: Wire<'m>) -> Result<Wire<'m>, DecodeError> {
    let Some(id) = message.header(headers::EVENT_SCHEMA_ID) else {
        return Ok(plain);
    };
    let said = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()).map(SchemaId::new);
    match frame::take(plain.bytes) {
        Some((id, bytes)) if Some(id) == said => Ok(Wire {
            framed: true,
            bytes,
            ..plain
        }),
        Some(_) | None => {
            let what = format!(
                "`{event}` on topic `{}` has a header `{}` and no frame of that schema",
                shown(message.topic()),
                headers::EVENT_SCHEMA_ID
            );
            Err(DecodeError::new(DecodeErrorKind::Undecodable, Some(event), what))
        }
    }
}

fn tombstone(event: Option<&str>, topic: &str) -> DecodeError {
    let name = event.unwrap_or("the message");
    let what = format!("`{name}` on topic `{}` has no payload", shown(topic));
    DecodeError::new(DecodeErrorKind::Tombstone, event, what)
}

/// The error of an event, given by its name and its latest version.
pub(super) fn describe<M: IncomingMessage + ?Sized>(
    (event, latest): (&str, u32),
    version: u32,
    message: &M,
    error: VersionError,
) -> DecodeError {
    let topic = shown(message.topic());
    let refuse = |kind, what: String| DecodeError::new(kind, Some(event), what);
    match error {
        VersionError::Unknown if version > latest => refuse(
            DecodeErrorKind::NewerVersion,
            format!("`{event}` on topic `{topic}` has version {version}, which is newer than version {latest}, the latest known here"),
        ),
        VersionError::Unknown => refuse(
            DecodeErrorKind::UnknownVersion,
            format!("`{event}` on topic `{topic}` has version {version}, which is not among those known here up to {latest}"),
        ),
        VersionError::ContentType(ours) => refuse(
            DecodeErrorKind::ContentType,
            format!("`{event}` on topic `{topic}` says another `content-type` than `{ours}`"),
        ),
        VersionError::Codec(codec) => {
            let (kind, what) = match codec.kind() {
                CodecErrorKind::Refused => (DecodeErrorKind::Refused, "is forbidden by its schema"),
                CodecErrorKind::Decode | CodecErrorKind::Encode | CodecErrorKind::Schema => {
                    (DecodeErrorKind::Undecodable, "cannot be decoded")
                }
            };
            refuse(kind, format!("`{event}` version {version} on topic `{topic}` {what}")).with_codec(codec)
        }
    }
}

/// A name that came from outside, fit for a log line.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

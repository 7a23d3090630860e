//! `Outbox<S>`: a set of events, ready to use.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
use std::sync::OnceLock;

#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
use crate::codec::View;
use crate::codec::{Check, Checker, Contract, EventSchema, PayloadCipher, Version};
use crate::event::{TableName, TraceContext};
use crate::registry::{EventSet, SchemaError};
use crate::schema::{Fingerprint, Schema, SchemaKind};
use crate::store::{SchemaTable, StoreError};

/// A set of events, ready to enqueue and to decode.
///
/// Cheap to clone, and meant to be made once and handed around. A producer checks every event against its schema before it is stored; a
/// consumer finds the event by the message's headers and reads every version it knows.
#[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/outbox.md"))]
pub struct Outbox<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) table: Arc<TableName>,
    pub(super) trace_source: Option<fn() -> Option<TraceContext>>,
    pub(super) on_read: Option<Arc<ReadChecks>>,
    pub(super) strict: Option<Arc<ReadChecks>>,
    /// What each event's schema is known by, by the place of the event in the set; none until they are written beside the outbox.
    pub(super) fingerprints: Option<Arc<[Option<Fingerprint>]>>,
    pub(super) cipher: Option<Arc<dyn PayloadCipher>>,
    set: PhantomData<fn() -> S>,
}

/// The place of an event in the set, and a version of it.
pub(super) type Place = (usize, u32);

pub(super) type ReadChecks = HashMap<Place, ReadCheck>;

/// The checker of a version, and the kind of its schema.
pub(super) type ReadCheck = (Box<dyn Check>, Option<SchemaKind>);

/// What does not change once it is compiled.
pub(super) struct Shared {
    /// By the place of the event in the set; none where the format has no checker.
    pub(super) checkers: Vec<Checker>,
    /// Places of the events of a name; more than one where the topic tells them apart.
    pub(super) by_name: HashMap<&'static str, Vec<usize>>,
    /// What each version's schema declares, once somebody asks for a masked payload.
    #[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
    pub(super) masks: OnceLock<HashMap<Place, (View, Option<SchemaKind>)>>,
}

impl<S: EventSet> Outbox<S> {
    /// The topics of the listed events, each once: what a consumer subscribes to.
    #[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/topics.md"))]
    pub const TOPICS: &'static [&'static str] = S::TOPICS;

    /// Prepares the set: compiles each event's schema once. Events go to the table `outbox`; see [`table`](Self::table).
    ///
    /// # Errors
    /// [`SchemaError`] naming the event whose schema is wrong, such as one with a pattern that is no regular expression.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/new_set.md"))]
    pub fn new() -> Result<Self, SchemaError> {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        let mut checkers = Vec::with_capacity(S::ENTRIES.len());
        for (index, entry) in S::ENTRIES.iter().enumerate() {
            by_name.entry(entry.name).or_default().push(index);
            let checker = (entry.checker)(Contract::Written).map_err(|e| SchemaError::new(entry.name, entry.version, e))?;
            checkers.push(checker);
        }
        Ok(Self {
            shared: Arc::new(Shared {
                checkers,
                by_name,
                #[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
                masks: OnceLock::new(),
            }),
            table: Arc::new(TableName::default()),
            trace_source: None,
            on_read: None,
            strict: None,
            fingerprints: None,
            cipher: None,
            set: PhantomData,
        })
    }

    /// The table that events are written to, in place of `outbox`.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/table.md"))]
    #[must_use = "the set is returned, not changed in place"]
    pub fn table(mut self, table: TableName) -> Self {
        self.table = Arc::new(table);
        self
    }

    /// The table that events are written to.
    pub fn table_name(&self) -> &TableName {
        &self.table
    }

    /// Where the trace context of an event comes from, unless its draft says otherwise.
    ///
    /// `source` is called once for each event, on the thread and in the task that enqueues it, so it can read whatever the service's
    /// tracing library keeps there. Where it answers `None` the event carries no context.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/trace_source.md"))]
    #[must_use = "the set is returned, not changed in place"]
    pub fn trace_source(mut self, source: fn() -> Option<TraceContext>) -> Self {
        self.trace_source = Some(source);
        self
    }

    /// Checks what is decoded as well, each payload against the schema of its own version.
    ///
    /// Off unless switched on, because the writer has checked already and it costs: in JSON it makes decoding four times as long, in Protobuf
    /// eight times, in Avro a third longer. Switch it on where others write to the topic.
    ///
    /// # Errors
    /// [`SchemaError`] naming the event and the version whose schema is wrong.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/checked_decode.md"))]
    #[cfg(any(feature = "json-schema", feature = "avro", feature = "protobuf"))]
    pub fn checked_decode(mut self) -> Result<Self, SchemaError> {
        let mut checkers = HashMap::new();
        for (index, entry) in S::ENTRIES.iter().enumerate() {
            let mut versions = Vec::new();
            (entry.history)(&mut versions);
            for version in versions {
                let checker = (version.checker)(Contract::Read).map_err(|e| SchemaError::new(version.name, version.number, e))?;
                if let Some(checker) = checker {
                    checkers.insert((index, version.number), (checker, version.kind));
                }
            }
        }
        self.on_read = Some(Arc::new(checkers));
        Ok(self)
    }

    /// Refuses payloads with anything that the schema of their version does not declare.
    ///
    /// Off unless switched on: a reader then takes what it knows and passes over the rest, which is what lets a writer add a member before
    /// its readers know of it. Switch it on where a member that nobody reads means a mistake, such as at the door of a system of record; and
    /// know that such a reader has to be deployed before every writer.
    ///
    /// * JSON: members that the schema does not declare are refused. It costs several times what decoding does, more than
    ///   [`checked_decode`](Self::checked_decode): a payload is parsed a second time, and the schema is walked through beside every member.
    /// * Protobuf: fields that the file does not declare, and numbers that an enum of it has not. It costs a walk through the bytes.
    /// * Avro: a payload of an event's own version has nothing else in it, or it is no such payload. A message of another producer is read
    ///   with its writer's schema: `Resolver` refuses it where that schema has fields which the event's has not, by whatever name.
    ///
    /// Only what is there is looked at, not values; for those there is [`checked_decode`](Self::checked_decode), and both may be on.
    ///
    /// # Errors
    /// [`SchemaError`] naming the event and the version whose schema cannot be read.
    #[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/strict.md"))]
    #[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
    pub fn strict(mut self) -> Result<Self, SchemaError> {
        let mut checks = ReadChecks::new();
        for (at, view) in views::<S>(Contract::Read) {
            let (view, kind) = view?;
            if let Some(check) = view.strict() {
                checks.insert(at, (check, kind));
            }
        }
        self.strict = Some(Arc::new(checks));
        Ok(self)
    }

    /// Encrypts every event's payload on its way into the outbox, and decrypts what was encrypted when it is decoded.
    ///
    /// The payload is encrypted after it was checked; what the broker, the relay and the table's readers see is the encrypted form. Keys,
    /// aggregate ids and headers stay as they are: keep what nobody may see out of them. An encrypted event names no schema
    /// ([`register`](Self::register)) and travels without a frame. Messages that are not encrypted are decoded as ever, so that consumers can
    /// get their keys before producers begin.
    #[cfg_attr(all(feature = "derive", feature = "json-schema", feature = "encryption"), doc = include_str!("examples/encrypted.md"))]
    #[must_use = "the set is returned, not changed in place"]
    pub fn encrypted(mut self, cipher: impl PayloadCipher) -> Self {
        self.cipher = Some(Arc::new(cipher));
        self
    }

    /// Writes the schemas of the listed events beside the outbox, and from then on events name theirs: for relays that put a schema
    /// registry's frame on payloads ([`Framed`](crate::publish::Framed)).
    ///
    /// A producer calls it once at its start, after [`table`](Self::table). Every instance may: what is there already stays as it is. Events
    /// of a format that no schema registry knows name none and travel without a frame.
    ///
    /// # Errors
    /// [`StoreErrorKind::Misconfigured`](crate::StoreErrorKind::Misconfigured) if the outbox is not there, or of a version before 2;
    /// [`StoreErrorKind::Unavailable`](crate::StoreErrorKind::Unavailable) if the database cannot be reached.
    ///
    /// # Cancel safety
    /// Cancel safe: the schemas are written or not, in a transaction of their own.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/register.md"))]
    pub async fn register(mut self, database: &impl SchemaTable) -> Result<Self, StoreError> {
        let schemas: Vec<Option<Schema>> = S::ENTRIES.iter().map(|entry| (entry.registered)()).collect();
        let known: Vec<Schema> = schemas.iter().flatten().cloned().collect();
        database.put_schemas(&self.table, &known).await?;
        self.fingerprints = Some(schemas.iter().map(|schema| schema.as_ref().map(Schema::fingerprint)).collect());
        Ok(self)
    }

    /// The schema of every listed event and of every version before it, in the order of the enum, the oldest version first.
    ///
    /// [`assert_schemas!`](crate::assert_schemas) compares them with committed files, so that a schema that changed without its version is
    /// found before it is released.
    #[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/schemas.md"))]
    pub fn schemas() -> Vec<EventSchema> {
        let mut versions = Vec::new();
        for entry in S::ENTRIES {
            (entry.history)(&mut versions);
        }
        versions.iter().map(Version::export).collect()
    }
}

/// What the schema of each version declares, and its kind. Versions of formats of one's own are left out.
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
pub(super) fn views<S: EventSet>(contract: Contract) -> impl Iterator<Item = (Place, Result<(View, Option<SchemaKind>), SchemaError>)> {
    S::ENTRIES.iter().enumerate().flat_map(move |(index, entry)| {
        let mut versions = Vec::new();
        (entry.history)(&mut versions);
        versions.into_iter().filter_map(move |version| {
            let view = View::of(&version, contract).transpose()?;
            let view = view.map_err(|e| SchemaError::new(version.name, version.number, e));
            Some(((index, version.number), view.map(|view| (view, version.kind))))
        })
    })
}

impl<S> Clone for Outbox<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            table: Arc::clone(&self.table),
            trace_source: self.trace_source,
            on_read: self.on_read.clone(),
            strict: self.strict.clone(),
            fingerprints: self.fingerprints.clone(),
            cipher: self.cipher.clone(),
            set: PhantomData,
        }
    }
}

impl<S: EventSet> fmt::Debug for Outbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("set", &S::NAME)
            .field("events", &S::ENTRIES.len())
            .field("table", &self.table)
            .field("checked_decode", &self.on_read.is_some())
            .field("strict", &self.strict.is_some())
            .field("registered", &self.fingerprints.is_some())
            .field("encrypted", &self.cipher.is_some())
            .finish_non_exhaustive()
    }
}

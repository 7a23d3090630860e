//! One version of one event: what it is called in the book, its payloads, and how they are read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::codec::{CodecError, Contract, EventSchema, Version};
use crate::event::{Message, headers};
use crate::registry::book::{example, names};
use crate::registry::{Entry, EventSet, Outbox};
use crate::schema::SchemaKind;

/// One version of one event of the set.
pub(super) struct Page<S: 'static> {
    pub(super) entry: &'static Entry<S>,
    pub(super) schema: EventSchema,
    pub(super) version: Version,
    /// What the files of all its versions begin with.
    pub(super) event: String,
    /// What its own files begin with.
    pub(super) stem: String,
}

impl<S: EventSet> Page<S> {
    /// Reads a payload of this version as a consumer does, checked against the version's schema.
    pub(super) fn decode(&self, bytes: &[u8], events: &Outbox<S>) -> Result<(), String> {
        let message = Message::new(self.entry.topic(), bytes)
            .with_header(headers::EVENT_TYPE, self.entry.name())
            .with_header(headers::EVENT_VERSION, self.schema.version.to_string())
            .with_header(headers::CONTENT_TYPE, self.schema.content_type);
        // A `From` that panics would end the look at the book without a word about which payload it was.
        let event = catch_unwind(AssertUnwindSafe(|| events.decode(&message)))
            .map_err(|_| "the code that reads it panics, as is told above".to_owned())?
            .map_err(|e| e.to_string())?;
        match event.event_name() {
            name if name == self.entry.name() => Ok(()),
            other => Err(format!("it reads as `{other}`")),
        }
    }
}

impl<S> Page<S> {
    pub(super) fn title(&self) -> String {
        format!("`{}` version {}", self.schema.name, self.schema.version)
    }

    pub(super) fn kind(&self) -> Option<SchemaKind> {
        self.schema.registered.as_ref().map(|schema| schema.kind)
    }

    pub(super) fn extension(&self) -> &'static str {
        self.kind().map_or("txt", SchemaKind::extension)
    }

    /// Payloads of this version made from its schema, each with what its file's name has more than the first's; each passes the check that
    /// a writer's events pass.
    pub(super) fn examples(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        let schema = self
            .schema
            .registered
            .as_ref()
            .ok_or("the format is of no kind that is known here")?;
        let examples = example::all(schema)?;
        let checker = (self.version.checker)(Contract::Written).map_err(|e| e.to_string())?;
        let passes = |bytes: &[u8]| -> Result<(), CodecError> { checker.as_ref().map_or(Ok(()), |checker| checker.check(bytes)) };
        let mut kept = Vec::new();
        for (at, (label, bytes)) in examples.into_iter().enumerate() {
            match passes(&bytes) {
                Ok(()) => kept.push((label, bytes)),
                // The others are a bonus.
                Err(why) if at == 0 => return Err(format!("one that was made breaks it, {why}")),
                Err(_) => {}
            }
        }
        Ok(kept)
    }
}

/// Every version of every event, in the order of the enum, the oldest first.
pub(super) fn pages<S: EventSet>() -> Vec<Page<S>> {
    let mut pages = Vec::new();
    for entry in S::ENTRIES {
        let is_named_so = S::ENTRIES.iter().filter(|other| other.name() == entry.name()).count();
        let event = names::event(entry.name(), (is_named_so > 1).then(|| entry.topic()));
        let mut versions = Vec::new();
        (entry.history)(&mut versions);
        pages.extend(versions.into_iter().map(|version| Page {
            entry,
            schema: version.export(),
            stem: names::version(&event, version.number),
            event: event.clone(),
            version,
        }));
    }
    pages
}

pub(super) fn needs_version<S>(page: &Page<S>) -> String {
    let (name, version, latest) = (page.entry.name(), page.schema.version, page.entry.version());
    if version < latest {
        return format!(
            "version {version} of `{name}` is published and never changes again: bring the old type back to what the book says"
        );
    }
    format!(
        "keep the old struct under another name with `name = \"{name}\", version = {version}`, and give the new one `version = {}, \
         upcast_from = ..`; or take the change back",
        version + 1
    )
}

pub(super) fn belongs(file: &str, stem: &str) -> bool {
    let is_schema = file
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|rest| !rest.contains('.'));
    is_schema || is_payload(file, stem)
}

pub(super) fn is_payload(file: &str, stem: &str) -> bool {
    file.strip_prefix(stem).is_some_and(|rest| rest.starts_with(".payload."))
}

//! Messages of other producers: read with the schema that they were written with.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::codec::{CodecError, VersionError, Wire};
use crate::event::{IncomingMessage, headers};
use crate::registry::decode::{describe, shown};
use crate::registry::{DecodeError, DecodeErrorKind, EventSet, Outbox, ResolveError};
use crate::schema::{Reference, RegistryError, Schema, SchemaId, SchemaKind, SchemaRegistry, frame, name};

/// The most schemas of others that are kept ready. Past that all of them are made ready again as they are met.
const KEPT: usize = 1000;

/// Reads messages that others wrote with a schema registry's serializers (Confluent's wire format), beside our own.
///
/// A message of ours, which says its version, is decoded as by [`Outbox::decode`], and so is one without a frame: neither asks the registry. For any
/// other the writer's schema is fetched by the id in its frame, once for each id. If it is the schema of one of the event's versions, the message is
/// read as that version. Otherwise it is read as the latest: an Avro payload is brought from the writer's schema to ours, as Avro's
/// rules of resolution say; JSON and Protobuf are read as they stand.
///
/// Which event it is says the header `event-type`, else the name of the writer's schema (with its namespace, or without it), else the topic, if it has only
/// one event in the set.
///
/// # Examples
/// ```
/// # #[cfg(all(feature = "derive", feature = "json-schema"))]
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use eventferry::schema::memory::MemoryRegistry;
/// use eventferry::schema::{Schema, SchemaKind, Subject};
/// use eventferry::{Message, OutboxEvent, define_outbox};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
/// #[outbox(topic = "orders", aggregate_type = "order")]
/// pub struct OrderCreated {
///     #[outbox(aggregate_id)]
///     pub order_id: u64,
/// }
///
/// define_outbox! {
///     pub type ShopEvents;
///     #[derive(Debug, PartialEq)]
///     pub enum ShopEvent { OrderCreated }
/// }
///
/// let registry = MemoryRegistry::new(); // in production a `ConfluentRegistry`
/// # let theirs = Schema::new(SchemaKind::Json, "com.shop.OrderCreated", r#"{"title":"com.shop.OrderCreated"}"#);
/// # assert_eq!(registry.register(&Subject::new("orders-value"), &theirs).get(), 1);
/// let resolver = ShopEvents::new()?.resolving(registry);
///
/// // A Java service wrote this with schema 1, without any header of ours.
/// let message = Message::new("orders", b"\0\0\0\0\x01{\"order_id\":7}".to_vec());
/// let event = resolver.decode(&message).await?;
/// assert_eq!(event, ShopEvent::OrderCreated(OrderCreated { order_id: 7 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Resolver<S, R> {
    events: Outbox<S>,
    registry: R,
    /// By the place of the event in the set: each version with its schema, the oldest first.
    ours: Vec<Vec<(u32, Schema)>>,
    writers: RwLock<HashMap<SchemaId, Arc<Writer>>>,
}

/// A schema of somebody's.
struct Writer {
    schema: Schema,
    /// By the place of the event in the set.
    readings: RwLock<HashMap<usize, Arc<Reading>>>,
}

/// How payloads of a schema become an event.
enum Reading {
    /// They are this version's.
    Version(u32),
    /// They are translated to the latest version first.
    #[cfg(feature = "avro")]
    Translated(Box<crate::codec::avro::Foreign>),
}

impl<S: EventSet> Outbox<S> {
    /// Reads messages of other producers as well, with the schemas of a registry.
    ///
    /// Nothing is asked here; each schema is asked for when a message names it first.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/resolving.md"))]
    pub fn resolving<R: SchemaRegistry>(&self, registry: R) -> Resolver<S, R> {
        let ours = S::ENTRIES.iter().map(|entry| {
            let mut versions = Vec::new();
            (entry.history)(&mut versions);
            let known = versions
                .iter()
                .filter_map(|version| Some((version.number, (version.registered)()?)));
            known.collect()
        });
        Resolver {
            events: self.clone(),
            registry,
            ours: ours.collect(),
            writers: RwLock::default(),
        }
    }
}

impl<S: EventSet, R: SchemaRegistry> Resolver<S, R> {
    /// Reads a message as one of the set's events.
    ///
    /// # Errors
    /// By [`ResolveError::kind`]: what the registry could not do, or what [`Outbox::decode`] says of a message.
    ///
    /// # Cancel safety
    /// Cancel safe.
    #[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/resolver_decode.md"))]
    pub async fn decode<M: IncomingMessage + Sync + ?Sized>(&self, message: &M) -> Result<S, ResolveError> {
        let says_its_version = message
            .header(headers::EVENT_SCHEMA_ID)
            .or(message.header(headers::EVENT_VERSION))
            .is_some();
        let framed = if says_its_version {
            None
        } else {
            message.payload().and_then(frame::take)
        };
        let Some((id, bytes)) = framed else {
            return Ok(self.events.decode(message)?);
        };
        let writer = self.writer(id).await?;
        let index = self.find(message, &writer.schema, bytes)?;
        let wire = Wire {
            content_type: None,
            framed: true,
            bytes,
        };
        match &*self.reading(&writer, index, message).await? {
            Reading::Version(version) => Ok(self.events.decode_version(index, *version, wire, message)?),
            #[cfg(feature = "avro")]
            Reading::Translated(foreign) => {
                let entry = &S::ENTRIES[index];
                let refuse = |error| describe((entry.name, entry.version), entry.version, message, VersionError::Codec(error));
                if self.events.strict.is_some() {
                    foreign.undeclared().map_err(refuse)?;
                }
                let ours = foreign.translate(bytes).map_err(refuse)?;
                Ok(self
                    .events
                    .decode_version(index, entry.version, Wire::plain(None, &ours), message)?)
            }
        }
    }

    async fn writer(&self, id: SchemaId) -> Result<Arc<Writer>, RegistryError> {
        if let Some(known) = self.writers.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(known));
        }
        let writer = Arc::new(Writer {
            schema: self.registry.schema_of(id).await?,
            readings: RwLock::default(),
        });
        let mut writers = self.writers.write().unwrap_or_else(PoisonError::into_inner);
        if writers.len() >= KEPT {
            writers.clear();
        }
        Ok(Arc::clone(writers.entry(id).or_insert(writer)))
    }

    /// The place in the set of the event that a message is.
    fn find<M: IncomingMessage + ?Sized>(&self, message: &M, writer: &Schema, bytes: &[u8]) -> Result<usize, DecodeError> {
        if message.event_type().is_some() {
            return self.events.find(message);
        }
        let named = match writer.kind {
            SchemaKind::Json | SchemaKind::Avro => Some(writer.name.clone()),
            SchemaKind::Protobuf => frame::take_message_index(bytes).and_then(|(index, _)| name::message(&writer.text, &index)),
        };
        let topic = message.text_header(headers::DLQ_ORIGINAL_TOPIC).unwrap_or(message.topic());
        match named.and_then(|named| self.by_name(&named, topic)) {
            Some(index) => Ok(index),
            None => self.events.find(message),
        }
    }

    /// The event of a schema's name: by the whole of it, else by its last part; where several have it, the one of the topic.
    fn by_name(&self, named: &str, topic: &str) -> Option<usize> {
        let simple = |name: &str| name.rsplit('.').next().map(str::to_owned).unwrap_or_default();
        let whole = |index: &usize| self.ours[*index].iter().any(|(_, schema)| schema.name == named);
        let last = |index: &usize| {
            let last = simple(named);
            S::ENTRIES[*index].name == last || self.ours[*index].iter().any(|(_, schema)| simple(&schema.name) == last)
        };
        if named.is_empty() {
            return None;
        }
        let all = 0..S::ENTRIES.len();
        let mut found: Vec<usize> = all.clone().filter(whole).collect();
        if found.is_empty() {
            found = all.filter(last).collect();
        }
        if found.len() > 1 {
            found.retain(|index| S::ENTRIES[*index].topic == topic);
        }
        match found.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    async fn reading<M: IncomingMessage + Sync + ?Sized>(
        &self,
        writer: &Writer,
        index: usize,
        message: &M,
    ) -> Result<Arc<Reading>, ResolveError> {
        if let Some(known) = writer.readings.read().unwrap_or_else(PoisonError::into_inner).get(&index) {
            return Ok(Arc::clone(known));
        }
        let entry = &S::ENTRIES[index];
        let latest = self.ours[index].last().map(|(_, schema)| schema);
        let Some(latest) = latest.filter(|latest| latest.kind == writer.schema.kind) else {
            let what = format!(
                "`{}` on topic `{}` was written with a schema of the kind {}, which is not the event's",
                entry.name,
                shown(message.topic()),
                writer.schema.kind.as_str()
            );
            return Err(DecodeError::new(DecodeErrorKind::ContentType, Some(entry.name), what).into());
        };
        let ours = self.ours[index].iter().rev().find(|(_, schema)| same(schema, &writer.schema));
        let reading = match (ours, writer.schema.kind) {
            (Some((version, _)), _) => Reading::Version(*version),
            (None, SchemaKind::Avro) => {
                let reading = self.brought(&writer.schema, latest, entry.version).await?;
                reading.map_err(|error| describe((entry.name, entry.version), entry.version, message, VersionError::Codec(error)))?
            }
            (None, SchemaKind::Json | SchemaKind::Protobuf) => Reading::Version(entry.version),
        };
        let mut readings = writer.readings.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(readings.entry(index).or_insert_with(|| Arc::new(reading))))
    }

    /// How Avro of the writer's becomes our latest version. What is written as ours would be is read as it stands: translated, it would be decoded twice,
    /// for what comes out of it are the bytes of our own that the event's format reads.
    #[cfg(feature = "avro")]
    async fn brought(&self, writer: &Schema, reader: &Schema, version: u32) -> Result<Result<Reading, CodecError>, RegistryError> {
        /// A schema that refers to more than this is not read.
        const MOST: usize = 100;
        let mut texts: Vec<String> = Vec::new();
        let mut todo = writer.references.clone();
        let mut seen = Vec::new();
        while let Some(reference) = todo.pop() {
            let place = (reference.subject.clone(), reference.version);
            if seen.contains(&place) {
                continue;
            }
            if seen.len() == MOST {
                return Ok(Err(CodecError::schema("its schema refers to more than 100 others")));
            }
            seen.push(place);
            let schema = self.registry.referenced(&reference).await.map_err(|error| {
                let text = format!("failed to follow the reference `{}` of its schema", reference.name);
                RegistryError::new(error.kind(), text).with_source(error)
            })?;
            todo.extend(schema.references);
            texts.push(schema.text);
        }
        let foreign = crate::codec::avro::Foreign::between(&writer.text, &texts, &reader.text);
        Ok(foreign.map(|foreign| match foreign {
            Some(foreign) => Reading::Translated(Box::new(foreign)),
            None => Reading::Version(version),
        }))
    }

    #[cfg(not(feature = "avro"))]
    #[expect(clippy::unused_async, reason = "with Avro it waits for references")]
    async fn brought(&self, _: &Schema, _: &Schema, _: u32) -> Result<Result<Reading, CodecError>, RegistryError> {
        Ok(Err(CodecError::schema("it needs the feature `avro` of eventferry")))
    }
}

/// Whether two schemas of a kind say the same, however they are written.
fn same(a: &Schema, b: &Schema) -> bool {
    // Some clients register Google's own files too, and refer to them. What is in them is known without that.
    let is_told = |reference: &&Reference| a.kind != SchemaKind::Protobuf || !reference.name.starts_with("google/protobuf/");
    if !a.references.iter().filter(is_told).eq(b.references.iter().filter(is_told)) {
        return false;
    }
    if a.text == b.text {
        return true;
    }
    let parsed = |schema: &Schema| serde_json::from_str::<serde_json::Value>(&schema.text).ok();
    match a.kind {
        SchemaKind::Json | SchemaKind::Avro => parsed(a).is_some_and(|a| parsed(b) == Some(a)),
        #[cfg(feature = "protobuf")]
        SchemaKind::Protobuf => crate::codec::protobuf::are_alike(&a.text, &b.text),
        #[cfg(not(feature = "protobuf"))]
        SchemaKind::Protobuf => false,
    }
}

impl<S: EventSet, R: fmt::Debug> fmt::Debug for Resolver<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("events", &self.events)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

//! A schema registry's frame on payloads, on the way to any publisher.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use crate::event::{Message, headers};
use crate::publish::rewritten::{Rewrite, RewrittenSession, gone};
use crate::publish::{BoxFuture, Delivery, Learns, Pipelined, Presence, PublishError, PublishErrorKind, Publisher, Scope, Seat, Session};
use crate::schema::{Fingerprint, Schema, SchemaId, SchemaRegistry, SchemaSource, SubjectStrategy, frame};

/// Puts the frame of a schema registry (Confluent's wire format) on the payloads of events that name their schema, and hands them on.
///
/// Nothing is decoded: an event names its schema by a fingerprint, the schema itself was written beside the outbox by the service
/// ([`Outbox::register`](crate::Outbox::register)), and the registry says its id. Events that name no schema, and tombstones, travel as they
/// are. On the wire the header [`event-schema-id`](headers::EVENT_SCHEMA_ID) stands in place of the fingerprint.
///
/// While the schema of an event is not to be had (nobody wrote it yet, the registry is away or refuses it), the event waits in its place and
/// nothing is counted; events of other schemas go on. An id is asked for once and kept as long as the publisher lives.
///
/// # Examples
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use eventferry::publish::{Framed, memory::MemoryPublisher};
/// use eventferry::schema::{RegistryError, Schema, SchemaId, SchemaKind, SchemaRegistry, Subject};
/// use eventferry::store::{SchemaTable, StoredSchemas, memory::MemoryStore};
/// use eventferry::{Message, Publisher, TableName};
///
/// struct Seven; // a registry that gives every schema the id 7
///
/// impl SchemaRegistry for Seven {
///     async fn id_of(&self, _: &Subject, _: &Schema) -> Result<SchemaId, RegistryError> {
///         Ok(SchemaId::new(7))
///     }
///     async fn schema_of(&self, _: SchemaId) -> Result<Schema, RegistryError> {
///         # unreachable!();
///         // ...
///     }
/// }
///
/// let store = MemoryStore::new();
/// let schema = Schema::new(SchemaKind::Json, "Ping", "{}");
/// store.put_schemas(&TableName::default(), &[schema.clone()]).await?;
///
/// let broker = MemoryPublisher::new();
/// let publisher = Framed::new(broker.clone(), Seven, StoredSchemas::new(store, TableName::default()));
/// publisher.publish(&Message::new("pings", "{}").with_header("event-schema", schema.fingerprint().as_str())).await?;
///
/// let message = &broker.messages("pings")[0];
/// assert_eq!(message.payload(), Some(&b"\0\0\0\0\x07{}"[..]));
/// assert_eq!(message.headers().get("event-schema-id"), Some("7"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Framed<P, R, S> {
    publisher: P,
    registry: R,
    source: S,
    strategy: SubjectStrategy,
    ids: Arc<Ids>,
}

/// The ids that are known: by schema, then by topic.
#[derive(Default)]
struct Ids(RwLock<HashMap<String, Vec<OfTopic>>>);

type OfTopic = (String, Arc<Known>);

struct Known {
    schema: Schema,
    id: SchemaId,
}

impl<P, R, S> Framed<P, R, S> {
    /// Frames what `publisher` is given: schemas out of `source`, their ids from `registry`, subjects by
    /// [`SubjectStrategy::TopicRecordName`].
    pub fn new(publisher: P, registry: R, source: S) -> Self {
        Self {
            publisher,
            registry,
            source,
            strategy: SubjectStrategy::default(),
            ids: Arc::default(),
        }
    }

    /// Names subjects another way.
    ///
    /// # Examples
    /// ```
    /// use eventferry::TableName;
    /// use eventferry::publish::{Framed, memory::MemoryPublisher};
    /// use eventferry::schema::{SubjectStrategy, memory::MemoryRegistry};
    /// use eventferry::store::{StoredSchemas, memory::MemoryStore};
    ///
    /// let schemas = StoredSchemas::new(MemoryStore::new(), TableName::default());
    /// let publisher = Framed::new(MemoryPublisher::new(), MemoryRegistry::new(), schemas).subjects(SubjectStrategy::TopicName);
    /// # let _ = &publisher;
    /// assert_eq!(SubjectStrategy::TopicName.subject("orders", "OrderCreated").as_str(), "orders-value");
    /// ```
    #[must_use = "the publisher is returned, not changed in place"]
    pub fn subjects(mut self, strategy: SubjectStrategy) -> Self {
        self.strategy = strategy;
        self
    }
}

impl<P, R: SchemaRegistry, S: SchemaSource> Framed<P, R, S> {
    /// The id of a schema on a topic, asked for if it is not known yet.
    async fn id_of(&self, topic: &str, schema: &str) -> Result<Arc<Known>, PublishError> {
        if let Some(known) = self.ids.get(topic, schema) {
            return Ok(known);
        }
        let waits = |why: String| PublishError::new(PublishErrorKind::Unavailable(Scope::Topic), why);
        let fingerprint = Fingerprint::parse(schema).ok_or_else(|| {
            let name = headers::EVENT_SCHEMA;
            waits(format!("an event of topic `{topic}` has a header `{name}` that is no fingerprint"))
        })?;
        let found = self.source.find(&fingerprint).await.map_err(|error| {
            let text = format!("failed to look up the schema {fingerprint} of an event of topic `{topic}`");
            waits(text).with_source(error)
        })?;
        let schema = found.ok_or_else(|| {
            waits(format!(
                "the schema {fingerprint} of an event of topic `{topic}` is not beside the outbox: the service writes it by `register`"
            ))
        })?;
        let subject = self.strategy.subject(topic, &schema.name);
        let id = self.registry.id_of(&subject, &schema).await.map_err(|error| {
            let text = format!("failed to get the id of a schema of topic `{topic}`");
            waits(text).with_source(error)
        })?;
        Ok(self.ids.put(topic, &fingerprint, Known { schema, id }))
    }
}

impl Ids {
    fn get(&self, topic: &str, schema: &str) -> Option<Arc<Known>> {
        let ids = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, known) = ids.get(schema)?.iter().find(|(of, _)| of == topic)?;
        Some(Arc::clone(known))
    }

    fn put(&self, topic: &str, schema: &Fingerprint, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        let mut ids = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of_schema = ids.entry(schema.as_str().to_owned()).or_default();
        if of_schema.iter().all(|(of, _)| of != topic) {
            of_schema.push((topic.to_owned(), Arc::clone(&known)));
        }
        known
    }
}

/// What has to be framed of a message: the topic and the schema it names. None if it travels as it is, such as one that says it has a frame.
fn named(message: &Message) -> Option<(&str, &str)> {
    let schema = message.headers.get(headers::EVENT_SCHEMA)?;
    message.payload.as_ref()?;
    if message.headers.get(headers::EVENT_SCHEMA_ID).is_some() {
        return None;
    }
    // A dead letter keeps the subject of the topic it was meant for.
    let topic = message.headers.get(headers::DLQ_ORIGINAL_TOPIC).unwrap_or(&message.topic);
    Some((topic, schema))
}

/// Says which schema by its id; answers how the message named it.
fn name_by_id(message: &mut Message, known: &Known) -> Option<String> {
    let id = known.id.to_string();
    message.headers.exchange(headers::EVENT_SCHEMA, headers::EVENT_SCHEMA_ID, id)
}

/// A message with its frame. Its payload, which may be large, is copied once and not twice.
fn framed(message: &Message, known: &Known) -> Message {
    let mut framed = Message {
        topic: message.topic.clone(),
        key: message.key.clone(),
        partition: message.partition,
        payload: message.payload().map(|payload| frame::put(known.id, &known.schema, payload)),
        headers: message.headers.clone(),
    };
    name_by_id(&mut framed, known);
    framed
}

impl<P: Publisher, R: SchemaRegistry, S: SchemaSource> Publisher for Framed<P, R, S> {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        let Some((topic, schema)) = named(message) else {
            return self.publisher.publish(message).await;
        };
        let known = self.id_of(topic, schema).await?;
        self.publisher.publish(&framed(message, &known)).await
    }

    fn probe(&self) -> impl Future<Output = Presence> + Send {
        self.publisher.probe()
    }

    fn pipelined(&self) -> Option<&dyn Pipelined> {
        self.publisher.pipelined().map(|_| self as &dyn Pipelined)
    }

    fn learns(&self) -> Option<&dyn Learns> {
        Some(self)
    }
}

impl<P: Publisher, R: SchemaRegistry, S: SchemaSource> Learns for Framed<P, R, S> {
    fn learn<'a>(&'a self, topic: &'a str, schema: &'a str) -> BoxFuture<'a, Result<(), PublishError>> {
        Box::pin(async move { self.id_of(topic, schema).await.map(drop) })
    }
}

impl<P: Publisher, R: SchemaRegistry, S: SchemaSource> Pipelined for Framed<P, R, S> {
    fn open<'a>(&'a self, seat: Seat<'a>) -> BoxFuture<'a, Result<Box<dyn Session>, PublishError>> {
        Box::pin(async move {
            let pipelined = self.publisher.pipelined().ok_or_else(gone)?;
            Ok(RewrittenSession::boxed(
                pipelined.open(seat).await?,
                KnownIds(Arc::clone(&self.ids)),
            ))
        })
    }

    fn groups(&self) -> u8 {
        self.publisher.pipelined().map_or(1, Pipelined::groups)
    }

    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, PublishError>> {
        match self.publisher.pipelined() {
            Some(pipelined) => pipelined.partitions(topic),
            None => Box::pin(async { Err(gone()) }),
        }
    }
}

/// Every id is known before an event is handed over: the relay asked for it ([`Learns`]).
struct KnownIds(Arc<Ids>);

impl Rewrite for KnownIds {
    type Undo = Option<Unframed>;

    fn rewrite(&self, message: &mut Message) -> Result<Option<Unframed>, PublishError> {
        let Some((topic, schema)) = named(message) else {
            return Ok(None);
        };
        let known = self.0.get(topic, schema).ok_or_else(|| {
            let text = format!("failed to hand over an event of topic `{topic}`: the id of its schema was not asked for");
            PublishError::new(PublishErrorKind::Unavailable(Scope::Topic), text)
        })?;
        let Some(payload) = message.payload.take() else {
            return Ok(None);
        };
        message.payload = Some(frame::put(known.id, &known.schema, &payload));
        let schema = name_by_id(message, &known).unwrap_or_default();
        Ok(Some(Unframed { payload, schema }))
    }

    fn undo(message: &mut Message, undo: Option<Unframed>) {
        if let Some(Unframed { payload, schema }) = undo {
            message.payload = Some(payload);
            message.headers.exchange(headers::EVENT_SCHEMA_ID, headers::EVENT_SCHEMA, schema);
        }
    }
}

/// What a message had before it got its frame.
struct Unframed {
    payload: Vec<u8>,
    /// The fingerprint.
    schema: String,
}

impl<P: fmt::Debug, R, S> fmt::Debug for Framed<P, R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framed")
            .field("publisher", &self.publisher)
            .field("subjects", &self.strategy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SchemaKind;

    #[test]
    fn a_frame_that_is_taken_off_again_leaves_nothing() {
        let schema = Schema::new(SchemaKind::Json, "Ping", "{}");
        let fingerprint = schema.fingerprint();
        let ids = KnownIds(Arc::default());
        let known = Known {
            schema,
            id: SchemaId::new(7),
        };
        ids.0.put("pings", &fingerprint, known);
        let given = Message::new("pings", "{}")
            .with_header("first", "1")
            .with_header(headers::EVENT_SCHEMA, fingerprint.as_str())
            .with_header("last", "2");
        let mut message = given.clone();
        let Ok(undo) = ids.rewrite(&mut message) else {
            panic!("the id is known")
        };
        assert_eq!(message.payload(), Some(&b"\0\0\0\0\x07{}"[..]));
        let all: Vec<_> = message.headers().iter().collect();
        assert_eq!(all, [("first", "1"), (headers::EVENT_SCHEMA_ID, "7"), ("last", "2")]);
        // On the plain route it looks the same.
        assert_eq!(framed(&given, &ids.0.get("pings", fingerprint.as_str()).unwrap()), message);
        KnownIds::undo(&mut message, undo);
        assert_eq!(message, given);

        let elsewhere = given.clone();
        let mut message = Message {
            topic: "others".to_owned(),
            ..elsewhere
        };
        let error = ids.rewrite(&mut message).err().unwrap();
        assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Topic), "an id is of a topic");
        assert_eq!(message.payload(), given.payload(), "what cannot be changed stays as it was");
    }
}

//! Schemas as a registry sees them: their texts, subjects and ids, and the frame that an id travels in.
//!
//! A service writes the schemas of its events beside its outbox; the relay asks a [`SchemaRegistry`] for their ids and puts them in front of
//! the payloads, without decoding one. Nothing here knows an event's type.

#[cfg(feature = "schema-registry")]
pub mod confluent;
mod error;
pub mod evolution;
pub mod frame;
#[cfg(feature = "protobuf")]
pub(crate) mod google;
mod id;
pub mod memory;
#[cfg(feature = "schema-registry")]
pub(crate) mod name;

use std::future::Future;

pub use error::{RegistryError, RegistryErrorKind};
pub use id::{Fingerprint, SchemaId, Subject, SubjectStrategy};

/// The language a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the three that schema registries know")]
pub enum SchemaKind {
    /// JSON Schema.
    Json,
    /// Apache Avro.
    Avro,
    /// Protocol Buffers: the text of a `.proto` file.
    Protobuf,
}

impl SchemaKind {
    /// The name that registries use: `JSON`, `AVRO` or `PROTOBUF`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Avro => "AVRO",
            Self::Protobuf => "PROTOBUF",
        }
    }

    /// The kind of a name, as [`as_str`](Self::as_str) spells it; none for any other text.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Json, Self::Avro, Self::Protobuf]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    /// The ending of a file that holds such a schema: `json`, `avsc` or `proto`.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Avro => "avsc",
            Self::Protobuf => "proto",
        }
    }
}

/// A schema, as it is given to a registry.
///
/// # Examples
/// ```
/// use eventferry::schema::{Schema, SchemaKind};
///
/// let schema = Schema::new(SchemaKind::Avro, "shop.OrderPaid", r#"{"type":"record","name":"shop.OrderPaid","fields":[]}"#);
/// assert_eq!((schema.kind.as_str(), schema.kind.extension()), ("AVRO", "avsc"));
/// assert_ne!(schema.fingerprint(), Schema::new(SchemaKind::Avro, "shop.OrderPaid", "{}").fingerprint());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schema {
    /// The language of the text.
    pub kind: SchemaKind,
    /// The schema itself.
    pub text: String,
    /// The name of what it describes: an Avro record's or a Protobuf message's full name, a JSON Schema's title.
    pub name: String,
    /// Which message of a `.proto` file it is: the positions that lead to it, outermost first. Empty for other kinds.
    pub message_index: Vec<u32>,
    /// Other schemas of the registry that the text names.
    pub references: Vec<Reference>,
}

impl Schema {
    /// A schema that stands alone; for Protobuf the first message of its file.
    pub fn new(kind: SchemaKind, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            name: name.into(),
            message_index: if kind == SchemaKind::Protobuf { vec![0] } else { Vec::new() },
            references: Vec::new(),
        }
    }

    /// What the schema is known by without a registry: equal for equal schemas, different for different ones.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }
}

/// Another schema of a registry that a schema names.
///
/// # Examples
/// ```
/// use eventferry::schema::{Reference, Schema, SchemaKind, Subject};
///
/// let mut order = Schema::new(SchemaKind::Protobuf, "shop.OrderPaid", r#"import "money.proto";"#);
/// order.references.push(Reference::new("money.proto", Subject::new("money"), 2));
/// assert_eq!((order.references[0].name.as_str(), order.references[0].version), ("money.proto", 2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference {
    /// The name that the schema uses for it: an Avro full name, a Protobuf import path, a JSON `$ref`.
    pub name: String,
    /// The subject it is registered under.
    pub subject: Subject,
    /// The version of the subject, from 1.
    pub version: u32,
}

impl Reference {
    /// A reference to a version of a subject.
    pub fn new(name: impl Into<String>, subject: Subject, version: u32) -> Self {
        Self {
            name: name.into(),
            subject,
            version,
        }
    }
}

/// A schema registry: schemas to ids, and back.
pub trait SchemaRegistry: Send + Sync + 'static {
    /// The id of a schema under a subject, registering it there where the registry's client was told to.
    ///
    /// # Errors
    /// By [`RegistryError::kind`]: [`NotFound`](RegistryErrorKind::NotFound) if it is not registered and may not be registered from here,
    /// [`Incompatible`](RegistryErrorKind::Incompatible) if the subject's compatibility level forbids it.
    ///
    /// # Cancel safety
    /// Cancel safe: the schema is then registered or not, and asking again answers the same id.
    fn id_of(&self, subject: &Subject, schema: &Schema) -> impl Future<Output = Result<SchemaId, RegistryError>> + Send;

    /// The schema of an id.
    ///
    /// # Errors
    /// [`NotFound`](RegistryErrorKind::NotFound) if the registry has no such id.
    ///
    /// # Cancel safety
    /// Cancel safe.
    fn schema_of(&self, id: SchemaId) -> impl Future<Output = Result<Schema, RegistryError>> + Send;

    /// The schema that another one refers to. A registry without references needs no answer to this.
    ///
    /// # Errors
    /// [`NotFound`](RegistryErrorKind::NotFound) if the registry has no such subject or version, which is also what happens here unless the
    /// registry says otherwise.
    ///
    /// # Cancel safety
    /// Cancel safe.
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use eventferry::schema::{Reference, RegistryErrorKind, SchemaRegistry, Subject, memory::MemoryRegistry};
    ///
    /// let nowhere = Reference::new("money.proto", Subject::new("money"), 2);
    /// let error = MemoryRegistry::new().referenced(&nowhere).await.unwrap_err();
    /// assert_eq!(error.kind(), RegistryErrorKind::NotFound);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn referenced(&self, reference: &Reference) -> impl Future<Output = Result<Schema, RegistryError>> + Send {
        let text = format!(
            "failed to follow the reference `{}`: this registry has no references",
            reference.name
        );
        async { Err(RegistryError::new(RegistryErrorKind::NotFound, text)) }
    }
}

/// Where the schemas are that services wrote beside their outbox.
pub trait SchemaSource: Send + Sync + 'static {
    /// The schema of a fingerprint; none where nobody wrote it (yet).
    ///
    /// # Errors
    /// [`RegistryErrorKind::Unavailable`] if the place cannot be asked now; [`RegistryErrorKind::Invalid`] if what is there cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe.
    fn find(&self, fingerprint: &Fingerprint) -> impl Future<Output = Result<Option<Schema>, RegistryError>> + Send;
}

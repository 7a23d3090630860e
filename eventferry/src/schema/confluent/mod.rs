//! A schema registry that speaks Confluent's REST API: Confluent's own, and those that follow it, such as Apicurio, Karapace and Redpanda's.
//!
//! A schema is looked up by its text: as it stands, and, where that finds nothing, with the registry's normalization, so that the same schema
//! written with other white space or another order of its properties is found. Nothing is registered from here unless that is switched on
//! ([`auto_register`](ConfluentRegistryBuilder::auto_register)).
//!
//! Answers are kept: a schema's id and an id's schema do not change. Whoever asks for what somebody else is asking for at that moment gets the
//! same answer, so a hundred askers cost one request.

mod answer;
mod api;
mod cache;
mod client;
mod config;
mod endpoint;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;

use crate::schema::{Fingerprint, Reference, RegistryError, RegistryErrorKind, Schema, SchemaId, SchemaRegistry, Subject};

pub use config::ConfluentRegistryBuilder;

use answer::{Answer, Failure};
use api::Code;
use cache::Cache;
use client::Client;

/// A client of a schema registry with Confluent's REST API.
///
/// Cheap to clone; clones share connections and what was learned. Needs a Tokio runtime when it is asked.
///
/// # Examples
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use eventferry::schema::confluent::ConfluentRegistry;
/// use eventferry::schema::{Schema, SchemaKind, SchemaRegistry, SubjectStrategy};
///
/// let registry = ConfluentRegistry::builder(["https://registry-1:8081", "https://registry-2:8081"])
///     .basic_auth("orders", std::env::var("REGISTRY_PASSWORD")?)
///     .ca_pem(std::fs::read("company-ca.pem")?)
///     .build()?;
/// let schema = Schema::new(SchemaKind::Json, "OrderCreated", std::fs::read_to_string("schemas/order_created.v1.json")?);
/// let subject = SubjectStrategy::TopicRecordName.subject("orders", "OrderCreated");
/// println!("{}", registry.id_of(&subject, &schema).await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ConfluentRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    auto_register: bool,
    ids: Cache<(Subject, Fingerprint), SchemaId>,
    schemas: Cache<SchemaId, Arc<Schema>>,
    versions: Cache<(Subject, u32), Arc<Schema>>,
}

impl ConfluentRegistry {
    /// Starts the configuration of a client. Several URLs are those of one registry: the next one is asked where one is away.
    ///
    /// A URL may hold credentials (`https://user:password@host:8081`) and a path before that of the API (`http://host:8080/apis/ccompat/v7`).
    /// `Debug`, errors and logs show URLs without credentials.
    pub fn builder<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> ConfluentRegistryBuilder {
        ConfluentRegistryBuilder::new(urls.into_iter().map(Into::into).collect())
    }

    fn new(client: Client, auto_register: bool, capacity: usize, refusals: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                client,
                auto_register,
                ids: Cache::new(capacity, refusals),
                schemas: Cache::new(capacity, refusals),
                versions: Cache::new(capacity, refusals),
            }),
        }
    }
}

impl Inner {
    /// The id of a schema that is registered, or may be registered from here.
    async fn id_of(&self, subject: &Subject, schema: &Schema) -> Result<SchemaId, Failure> {
        let what = format!("look up {} under subject `{subject}`", api::shown(schema));
        let mut missing = None;
        // Confluent's registry keeps a schema as it was registered, normalized or not, and finds it in that form only.
        for normalize in [false, true] {
            let answer = self.post(api::subject_path(subject), normalize, schema, &what).await?;
            match answer.code() {
                Code::Good => return answer.id(&what),
                Code::NoSubject => {
                    missing = Some(answer);
                    break;
                }
                Code::NoSchema => missing = Some(answer),
                Code::Incompatible | Code::Other => return Err(answer.failure(&what)),
            }
        }
        if self.auto_register {
            return self.register(subject, schema).await;
        }
        let said = missing.map_or_else(String::new, |answer| answer.said());
        let command = api::register_command(self.client.shown(), subject, schema);
        Err(Failure::new(
            RegistryErrorKind::NotFound,
            format!("failed to {what}: it is not registered there ({said}); register it: {command}"),
        ))
    }

    async fn register(&self, subject: &Subject, schema: &Schema) -> Result<SchemaId, Failure> {
        let what = format!("register {} under subject `{subject}`", api::shown(schema));
        // As it stands, so that whoever looks the committed text up finds it, whether or not they ask for normalization.
        let answer = self.post(api::versions_path(subject), false, schema, &what).await?;
        match answer.code() {
            Code::Good => answer.id(&what),
            Code::Incompatible => {
                let level = self.level(subject).await;
                let level = level.map_or_else(
                    || "its compatibility level".to_owned(),
                    |level| format!("its compatibility level {level}"),
                );
                Err(Failure::new(
                    RegistryErrorKind::Incompatible,
                    format!("failed to {what}: {level} forbids it ({})", answer.said()),
                ))
            }
            Code::NoSubject | Code::NoSchema | Code::Other => Err(answer.failure(&what)),
        }
    }

    /// The level in force for a subject, as far as the registry tells.
    async fn level(&self, subject: &Subject) -> Option<String> {
        // Where a subject has no level of its own, Confluent's registry answers with the one of all, an older one that there is none, and
        // Apicurio `NONE`, though a registration was just refused.
        for path in [api::level_path(Some(subject)), api::level_path(None)] {
            let answer = self.client.call(&Method::GET, &path, None, "ask for the compatibility level").await;
            if let Some(level) = answer.ok().and_then(|answer| answer.level())
                && level != "NONE"
            {
                return Some(level);
            }
        }
        None
    }

    async fn fetch(&self, path: &str, what: &str) -> Result<Arc<Schema>, Failure> {
        let answer = self.client.call(&Method::GET, path, None, what).await?;
        match answer.code() {
            Code::Good => answer.schema(what).map(Arc::new),
            Code::NoSubject | Code::NoSchema => Err(Failure::new(
                RegistryErrorKind::NotFound,
                format!("failed to {what}: the registry has none ({})", answer.said()),
            )),
            Code::Incompatible | Code::Other => Err(answer.failure(what)),
        }
    }

    async fn post(&self, mut path: String, normalize: bool, schema: &Schema, what: &str) -> Result<Answer, Failure> {
        if normalize {
            path.push_str("?normalize=true");
        }
        self.client.call(&Method::POST, &path, Some(api::body(schema)), what).await
    }
}

impl SchemaRegistry for ConfluentRegistry {
    async fn id_of(&self, subject: &Subject, schema: &Schema) -> Result<SchemaId, RegistryError> {
        let key = (subject.clone(), schema.fingerprint());
        let id = self.inner.ids.get(&key, || self.inner.id_of(subject, schema)).await;
        id.map_err(RegistryError::from)
    }

    async fn schema_of(&self, id: SchemaId) -> Result<Schema, RegistryError> {
        let (path, what) = (api::id_path(id), format!("fetch the schema of id {id}"));
        let schema = self.inner.schemas.get(&id, || self.inner.fetch(&path, &what)).await;
        schema.map(Arc::unwrap_or_clone).map_err(RegistryError::from)
    }

    async fn referenced(&self, reference: &Reference) -> Result<Schema, RegistryError> {
        let (subject, version) = (&reference.subject, reference.version);
        let what = format!("fetch version {version} of subject `{subject}`");
        let path = api::version_path(subject, version);
        let key = (subject.clone(), version);
        let schema = self.inner.versions.get(&key, || self.inner.fetch(&path, &what)).await;
        schema.map(Arc::unwrap_or_clone).map_err(RegistryError::from)
    }
}

impl fmt::Debug for ConfluentRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfluentRegistry")
            .field("urls", &self.inner.client.urls())
            .field("auto_register", &self.inner.auto_register)
            .finish_non_exhaustive()
    }
}

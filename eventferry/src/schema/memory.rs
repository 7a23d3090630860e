//! A schema registry in memory: for tests, examples and services that keep everything in one process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::schema::{Reference, RegistryError, RegistryErrorKind, Schema, SchemaId, SchemaRegistry, Subject};

/// A schema registry that lives as long as the value and its clones.
///
/// Ids count from 1, and the same text with the same references has the same id under every subject, as in a real registry: two messages of
/// one `.proto` file share an id. It knows no compatibility: whatever is registered is accepted.
///
/// # Examples
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use eventferry::schema::memory::MemoryRegistry;
/// use eventferry::schema::{RegistryErrorKind, Schema, SchemaKind, SchemaRegistry, SubjectStrategy};
///
/// let registry = MemoryRegistry::new();
/// let schema = Schema::new(SchemaKind::Json, "OrderCreated", "{}");
/// let subject = SubjectStrategy::TopicRecordName.subject("orders", "OrderCreated");
///
/// let unknown = registry.id_of(&subject, &schema).await.unwrap_err();
/// assert_eq!(unknown.kind(), RegistryErrorKind::NotFound);
///
/// let id = registry.register(&subject, &schema);
/// assert_eq!(registry.id_of(&subject, &schema).await?, id);
/// assert_eq!(registry.schema_of(id).await?, schema);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryRegistry {
    state: Arc<Mutex<State>>,
    auto_register: bool,
}

#[derive(Default)]
struct State {
    /// In the order of their ids, which count from 1.
    schemas: Vec<Schema>,
    /// The versions of each subject, oldest first: places in `schemas`.
    subjects: HashMap<Subject, Vec<usize>>,
    failure: Option<RegistryErrorKind>,
    asked: u64,
}

impl MemoryRegistry {
    /// A registry without schemas.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether asking for the id of a schema that is not there registers it; off by default.
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use eventferry::schema::{Schema, SchemaKind, SchemaRegistry, Subject, memory::MemoryRegistry};
    ///
    /// let registry = MemoryRegistry::new().auto_register(true);
    /// let schema = Schema::new(SchemaKind::Json, "OrderPaid", "{}");
    /// let id = registry.id_of(&Subject::new("orders-OrderPaid"), &schema).await?;
    /// assert_eq!((id.get(), registry.asked()), (1, 1));
    /// # Ok::<(), eventferry::schema::RegistryError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the registry is returned, not changed in place"]
    pub fn auto_register(mut self, auto_register: bool) -> Self {
        self.auto_register = auto_register;
        self
    }

    /// Registers a schema under a subject, unless it is there already, and returns its id.
    pub fn register(&self, subject: &Subject, schema: &Schema) -> SchemaId {
        self.state().register(subject, schema)
    }

    /// From now on every question fails with this kind; none for answering again.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # use eventferry::schema::{RegistryErrorKind, SchemaId, SchemaRegistry, memory::MemoryRegistry};
    /// let registry = MemoryRegistry::new();
    /// registry.fail(Some(RegistryErrorKind::Unavailable));
    /// let error = registry.schema_of(SchemaId::new(1)).await.unwrap_err();
    /// assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fail(&self, kind: Option<RegistryErrorKind>) {
        self.state().failure = kind;
    }

    /// How many questions were asked so far, those that failed included.
    pub fn asked(&self) -> u64 {
        self.state().asked
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask(&mut self, what: &str) -> Result<(), RegistryError> {
        self.asked += 1;
        match self.failure {
            None => Ok(()),
            Some(kind) => Err(RegistryError::new(
                kind,
                format!("failed to {what}: the registry in memory was told to fail"),
            )),
        }
    }

    fn register(&mut self, subject: &Subject, schema: &Schema) -> SchemaId {
        let place = self.schemas.iter().position(|known| same(known, schema)).unwrap_or_else(|| {
            self.schemas.push(schema.clone());
            self.schemas.len() - 1
        });
        let versions = self.subjects.entry(subject.clone()).or_default();
        if !versions.contains(&place) {
            versions.push(place);
        }
        id_at(place)
    }
}

/// Whether a registry would call them the same; it knows no message of a file and no name.
fn same(a: &Schema, b: &Schema) -> bool {
    (a.kind, &a.text, &a.references) == (b.kind, &b.text, &b.references)
}

fn id_at(place: usize) -> SchemaId {
    SchemaId::new(u32::try_from(place).map_or(u32::MAX, |place| place + 1))
}

impl SchemaRegistry for MemoryRegistry {
    async fn id_of(&self, subject: &Subject, schema: &Schema) -> Result<SchemaId, RegistryError> {
        let mut state = self.state();
        state.ask(&format!("look up `{}` under subject `{subject}`", schema.name))?;
        if self.auto_register {
            return Ok(state.register(subject, schema));
        }
        let versions = state.subjects.get(subject).map_or(&[][..], Vec::as_slice);
        match versions
            .iter()
            .find(|place| state.schemas.get(**place).is_some_and(|known| same(known, schema)))
        {
            Some(place) => Ok(id_at(*place)),
            None => Err(RegistryError::new(
                RegistryErrorKind::NotFound,
                format!(
                    "`{}` is not registered under subject `{subject}` of the registry in memory",
                    schema.name
                ),
            )),
        }
    }

    async fn schema_of(&self, id: SchemaId) -> Result<Schema, RegistryError> {
        let mut state = self.state();
        state.ask(&format!("fetch the schema of id {id}"))?;
        let place = usize::try_from(id.get()).ok().and_then(|id| id.checked_sub(1));
        place.and_then(|place| state.schemas.get(place)).cloned().ok_or_else(|| {
            RegistryError::new(
                RegistryErrorKind::NotFound,
                format!("the registry in memory has no schema of id {id}"),
            )
        })
    }

    async fn referenced(&self, reference: &Reference) -> Result<Schema, RegistryError> {
        let (subject, version) = (&reference.subject, reference.version);
        let mut state = self.state();
        state.ask(&format!("fetch version {version} of subject `{subject}`"))?;
        let place = usize::try_from(version).ok().and_then(|version| version.checked_sub(1));
        let place = place.and_then(|place| state.subjects.get(subject)?.get(place).copied());
        place.and_then(|place| state.schemas.get(place)).cloned().ok_or_else(|| {
            RegistryError::new(
                RegistryErrorKind::NotFound,
                format!("the registry in memory has no version {version} of subject `{subject}`"),
            )
        })
    }
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryRegistry")
            .field("schemas", &state.schemas.len())
            .field("subjects", &state.subjects.len())
            .field("auto_register", &self.auto_register)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SchemaKind;

    fn schema(text: &str) -> Schema {
        Schema::new(SchemaKind::Avro, "a", text)
    }

    #[test]
    fn ids_count_from_one_and_belong_to_the_schema() {
        let registry = MemoryRegistry::new();
        let (a, b) = (Subject::new("a"), Subject::new("b"));
        assert_eq!(registry.register(&a, &schema("1")).get(), 1);
        assert_eq!(registry.register(&a, &schema("2")).get(), 2);
        let mut other = schema("1");
        other.name = "b".to_owned();
        assert_eq!(registry.register(&b, &other).get(), 1);
        assert_eq!(registry.clone().register(&a, &schema("3")).get(), 3);
    }

    #[tokio::test]
    async fn a_schema_belongs_to_the_subjects_it_was_registered_under() {
        let registry = MemoryRegistry::new();
        let (a, b) = (Subject::new("a"), Subject::new("b"));
        registry.register(&a, &schema("1"));
        assert_eq!(registry.id_of(&a, &schema("1")).await.unwrap().get(), 1);
        let error = registry.id_of(&b, &schema("1")).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::NotFound);
        assert_eq!(
            registry.id_of(&a, &schema("2")).await.unwrap_err().kind(),
            RegistryErrorKind::NotFound
        );
        for unknown in [0, 2, u32::MAX] {
            let error = registry.schema_of(SchemaId::new(unknown)).await.unwrap_err();
            assert_eq!(error.kind(), RegistryErrorKind::NotFound, "{unknown}");
        }
    }

    #[tokio::test]
    async fn references_are_followed_by_subject_and_version() {
        let registry = MemoryRegistry::new();
        let subject = Subject::new("a");
        registry.register(&subject, &schema("1"));
        registry.register(&subject, &schema("2"));
        let version = |version| Reference::new("r", subject.clone(), version);
        assert_eq!(registry.referenced(&version(2)).await.unwrap(), schema("2"));
        for missing in [version(0), version(3), Reference::new("r", Subject::new("b"), 1)] {
            let error = registry.referenced(&missing).await.unwrap_err();
            assert_eq!(error.kind(), RegistryErrorKind::NotFound, "{missing:?}");
        }
    }

    #[tokio::test]
    async fn it_registers_and_fails_as_it_is_told() {
        let registry = MemoryRegistry::new().auto_register(true);
        let subject = Subject::new("a");
        registry.fail(Some(RegistryErrorKind::Unauthorized));
        assert_eq!(
            registry.id_of(&subject, &schema("1")).await.unwrap_err().kind(),
            RegistryErrorKind::Unauthorized
        );
        registry.fail(None);
        assert_eq!(registry.id_of(&subject, &schema("1")).await.unwrap().get(), 1);
        assert_eq!(registry.asked(), 2);
    }
}

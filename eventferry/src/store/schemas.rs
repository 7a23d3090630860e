//! The schemas of events, beside their outbox: services write them at their start, relays that frame payloads read them.

use crate::event::TableName;
use crate::schema::{Fingerprint, RegistryError, RegistryErrorKind, Schema, SchemaSource};
use crate::store::{BoxFuture, StoreError, StoreErrorKind};

/// A database that holds the schemas of events beside their outbox.
///
/// Implemented for pools of sqlx (`PgPool`, `SqlitePool`) and for [`MemoryStore`](crate::store::memory::MemoryStore).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not hold the schemas of events",
    label = "pass the pool that the outbox's database is reached by",
    note = "`sqlx::PgPool` and `sqlx::SqlitePool` of sqlx 0.9 are accepted when eventferry's feature `postgres` or `sqlite` is on"
)]
pub trait SchemaTable: Send + Sync {
    /// Writes schemas, in a transaction of its own; those that are there already stay as they are.
    ///
    /// # Errors
    /// [`StoreErrorKind::Misconfigured`] if the table is not there; [`StoreErrorKind::Unavailable`] if the database cannot be reached;
    /// [`StoreErrorKind::Invalid`] if a text holds a NUL. Nothing was written then.
    ///
    /// # Cancel safety
    /// Cancel safe: all of them are written or none, and writing them again changes nothing.
    fn put_schemas<'a>(&'a self, table: &'a TableName, schemas: &'a [Schema]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The schema of a fingerprint; none where nobody wrote it (yet).
    ///
    /// # Errors
    /// As for [`put_schemas`](Self::put_schemas); [`StoreErrorKind::Invalid`] if what is there is not what the fingerprint says.
    ///
    /// # Cancel safety
    /// Cancel safe.
    fn find_schema<'a>(&'a self, table: &'a TableName, fingerprint: &'a Fingerprint) -> BoxFuture<'a, Result<Option<Schema>, StoreError>>;
}

/// The schemas beside one outbox, for a publisher that frames payloads.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use eventferry::TableName;
/// use eventferry::schema::{Schema, SchemaKind, SchemaSource};
/// use eventferry::store::memory::MemoryStore;
/// use eventferry::store::{SchemaTable, StoredSchemas};
///
/// let store = MemoryStore::new();
/// let schema = Schema::new(SchemaKind::Json, "Ping", "{}");
/// store.put_schemas(&TableName::default(), &[schema.clone()]).await?;
///
/// let schemas = StoredSchemas::new(store, TableName::default());
/// assert_eq!(schemas.find(&schema.fingerprint()).await?, Some(schema));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct StoredSchemas<T> {
    database: T,
    table: TableName,
}

impl<T: SchemaTable> StoredSchemas<T> {
    /// The schemas beside the outbox `table`.
    pub fn new(database: T, table: TableName) -> Self {
        Self { database, table }
    }
}

impl<T: SchemaTable + 'static> SchemaSource for StoredSchemas<T> {
    async fn find(&self, fingerprint: &Fingerprint) -> Result<Option<Schema>, RegistryError> {
        self.database.find_schema(&self.table, fingerprint).await.map_err(|error| {
            let kind = match error.kind() {
                StoreErrorKind::Invalid => RegistryErrorKind::Invalid,
                StoreErrorKind::Unavailable | StoreErrorKind::Contention | StoreErrorKind::Misconfigured | StoreErrorKind::Database => {
                    RegistryErrorKind::Unavailable
                }
            };
            let text = format!("failed to read schema {fingerprint} of the outbox `{}`", self.table);
            RegistryError::new(kind, text).with_source(error)
        })
    }
}

/// Refuses what no database text can hold, before the database is asked.
pub(crate) fn check_schemas(schemas: &[Schema]) -> Result<(), StoreError> {
    for schema in schemas {
        let mut texts = [&schema.name, &schema.text].into_iter();
        if texts.any(|text| text.contains('\0')) {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                format!(
                    "cannot write the schema `{}`: it holds a NUL character, which no database text can",
                    schema.name.escape_debug()
                ),
            ));
        }
    }
    Ok(())
}

/// Refuses a row that is not what its fingerprint says: payloads would travel under an id that is not theirs.
#[cfg(feature = "_sql")]
pub(crate) fn check_found(table: &TableName, fingerprint: &Fingerprint, schema: Option<Schema>) -> Result<Schema, StoreError> {
    schema.filter(|schema| schema.fingerprint() == *fingerprint).ok_or_else(|| {
        StoreError::new(
            StoreErrorKind::Invalid,
            format!(
                "the schema {fingerprint} beside the outbox `{table}` was changed: delete its row and start the service that writes it"
            ),
        )
    })
}

/// A schema as a row holds it.
#[cfg(feature = "_sql")]
pub(crate) mod row {
    use serde::{Deserialize, Serialize};

    use crate::schema::{Reference, Schema, SchemaKind, Subject};

    #[derive(Serialize, Deserialize)]
    struct Refers {
        name: String,
        subject: String,
        version: u32,
    }

    /// The positions of a message in its file, as `0.1`; empty where there are none.
    pub(crate) fn message_index(schema: &Schema) -> String {
        let positions: Vec<_> = schema.message_index.iter().map(ToString::to_string).collect();
        positions.join(".")
    }

    /// The references as a JSON array.
    pub(crate) fn references(schema: &Schema) -> String {
        let references = schema.references.iter().map(|one| Refers {
            name: one.name.clone(),
            subject: one.subject.as_str().to_owned(),
            version: one.version,
        });
        // Texts and numbers cannot fail to be written.
        serde_json::to_string(&references.collect::<Vec<_>>()).unwrap_or_default()
    }

    /// The schema of a row's columns; none if they do not hold one.
    pub(crate) fn schema(kind: &str, name: String, message_index: &str, references: &str, text: String) -> Option<Schema> {
        let mut schema = Schema::new(SchemaKind::from_name(kind)?, name, text);
        let positions = message_index.split('.').filter(|position| !position.is_empty());
        schema.message_index = positions.map(|position| position.parse().ok()).collect::<Option<_>>()?;
        let references: Vec<Refers> = serde_json::from_str(references).ok()?;
        schema.references = references
            .into_iter()
            .map(|one| Reference::new(one.name, Subject::new(one.subject), one.version))
            .collect();
        Some(schema)
    }
}

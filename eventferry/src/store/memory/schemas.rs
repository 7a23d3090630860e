//! The schemas of events.

use crate::event::TableName;
use crate::schema::{Fingerprint, Schema};
use crate::store::memory::MemoryStore;
use crate::store::schemas::check_schemas;
use crate::store::{BoxFuture, SchemaTable, StoreError};

impl SchemaTable for MemoryStore {
    fn put_schemas<'a>(&'a self, table: &'a TableName, schemas: &'a [Schema]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.check_table(table)?;
            check_schemas(schemas)?;
            let mut state = self.state();
            for schema in schemas {
                state.schemas.entry(schema.fingerprint()).or_insert_with(|| schema.clone());
            }
            Ok(())
        })
    }

    fn find_schema<'a>(&'a self, table: &'a TableName, fingerprint: &'a Fingerprint) -> BoxFuture<'a, Result<Option<Schema>, StoreError>> {
        Box::pin(async move {
            self.check_table(table)?;
            Ok(self.state().schemas.get(fingerprint).cloned())
        })
    }
}

//! Schemas beside the outbox: what is written is found, and stays.

use crate::event::TableName;
use crate::schema::{Reference, Schema, SchemaKind, Subject};
use crate::store::{SchemaTable, StoreErrorKind};
use crate::testing::conformance::store::Harness;

fn every_kind() -> [Schema; 3] {
    let mut json = Schema::new(SchemaKind::Json, "Größe", "{\n  \"title\": \"Größe 'x' \\\\\"\n}\n");
    json.references = vec![Reference::new("https://example.com/money", Subject::new("money"), 3)];
    let mut proto = Schema::new(SchemaKind::Protobuf, "shop.Order.Line", "syntax = \"proto3\";");
    proto.message_index = vec![1, 0, 300];
    [json, Schema::new(SchemaKind::Avro, "shop.Order", "\"long\""), proto]
}

/// Every part of a schema comes back.
pub async fn a_schema_that_was_written_is_found<H: Harness>(h: &H) {
    let schemas = every_kind();
    h.schemas().put_schemas(h.table(), &schemas).await.unwrap();
    for schema in schemas {
        let found = h.schemas().find_schema(h.table(), &schema.fingerprint()).await.unwrap();
        assert_eq!(found, Some(schema));
    }
    let unknown = Schema::new(SchemaKind::Avro, "shop.Order", "\"int\"").fingerprint();
    assert_eq!(h.schemas().find_schema(h.table(), &unknown).await.unwrap(), None);
}

/// Every instance of a service writes the same schemas at its start, and none at all is no mistake.
pub async fn schemas_are_written_by_several_at_once<H: Harness>(h: &H) {
    let [a, b, c] = every_kind();
    let (one, other) = ([a.clone(), b.clone(), c.clone(), b.clone()], [c, b.clone(), a]);
    let (table, schemas) = (h.table(), h.schemas());
    let (first, second) = tokio::join!(schemas.put_schemas(table, &one), schemas.put_schemas(table, &other));
    first.unwrap();
    second.unwrap();
    schemas.put_schemas(table, &[]).await.unwrap();
    assert_eq!(schemas.find_schema(table, &b.fingerprint()).await.unwrap(), Some(b));
}

/// What no database text can hold is refused, and nothing beside it is written.
pub async fn a_schema_with_a_nul_is_refused<H: Harness>(h: &H) {
    let [good, ..] = every_kind();
    let bad = Schema::new(SchemaKind::Json, "bad", "{\"\0\"}");
    let error = h.schemas().put_schemas(h.table(), &[good.clone(), bad]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
    assert_eq!(h.schemas().find_schema(h.table(), &good.fingerprint()).await.unwrap(), None);
}

/// An outbox that is not there is named.
pub async fn schemas_of_a_table_that_is_not_there_are_an_error<H: Harness>(h: &H) {
    let missing = TableName::new("no_such_outbox").unwrap();
    let [schema, ..] = every_kind();
    let error = h.schemas().put_schemas(&missing, std::slice::from_ref(&schema)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.to_string().contains("no_such_outbox"), "{error}");
    let error = h.schemas().find_schema(&missing, &schema.fingerprint()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
}

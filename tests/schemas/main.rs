//! The client of a schema registry against a real one, and against answers that a real one does not give on demand.

mod answers;
mod away;
mod evolution;
mod references;
mod registering;
mod resolving;
mod secured;
mod versions;

use eventferry::schema::confluent::{ConfluentRegistry, ConfluentRegistryBuilder};
use eventferry::schema::{RegistryError, Schema, SchemaKind, Subject};
use eventferry_tests::registry_front::{Answer, ask};
use eventferry_tests::servers;

/// The shared registry's base URL.
fn registry() -> Option<String> {
    servers::require("schema-registry")
}

fn client(url: &str) -> ConfluentRegistryBuilder {
    ConfluentRegistry::builder([url])
}

/// A name that no other test uses.
fn fresh(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4().simple())
}

fn subject() -> Subject {
    Subject::new(fresh("orders"))
}

/// A schema of each kind that nobody else registers, so that what a test sees is its own.
fn schemas() -> [Schema; 3] {
    let unique = fresh("n").replace('-', "_");
    [
        Schema::new(
            SchemaKind::Json,
            unique.clone(),
            format!(r#"{{"title":"{unique}","type":"object","properties":{{"total":{{"type":"integer"}}}},"required":["total"]}}"#),
        ),
        Schema::new(
            SchemaKind::Avro,
            format!("shop.{unique}"),
            format!(r#"{{"type":"record","name":"{unique}","namespace":"shop","fields":[{{"name":"total","type":"long"}}]}}"#),
        ),
        Schema::new(
            SchemaKind::Protobuf,
            format!("shop.{unique}"),
            format!("syntax = \"proto3\";\npackage shop;\nmessage {unique} {{\n  int64 total = 1;\n}}\n"),
        ),
    ]
}

fn avro() -> Schema {
    let [_, avro, _] = schemas();
    avro
}

/// Registers a schema under a subject without any of our code.
async fn register(url: &str, subject: &Subject, schema: &Schema) -> u32 {
    let references: Vec<_> = schema
        .references
        .iter()
        .map(|r| serde_json::json!({"name": r.name, "subject": r.subject.as_str(), "version": r.version}))
        .collect();
    let body = serde_json::json!({"schema": schema.text, "schemaType": schema.kind.as_str(), "references": references}).to_string();
    let Answer { status, body, .. } = ask(url, "POST", &format!("/subjects/{subject}/versions"), Some(&body))
        .await
        .expect("the registry answers");
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    body["id"].as_u64().and_then(|id| u32::try_from(id).ok()).expect("an id")
}

/// An error with its causes, as a log shows it.
fn chain(error: &RegistryError) -> String {
    let (mut text, mut cause) = (error.to_string(), std::error::Error::source(error));
    while let Some(error) = cause {
        text.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    text
}

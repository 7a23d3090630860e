//! A new version of an event, and a registry that guards its subject: what `docs/schema-registry.md` says of it.

use eventferry::schema::{RegistryErrorKind, Schema, SchemaKind, SchemaRegistry, SubjectStrategy};

use crate::{client, fresh, registry, schemas};

#[tokio::test]
async fn a_version_with_a_name_of_its_own_has_a_subject_of_its_own() {
    let Some(url) = registry() else { return };
    let registry = client(&url).auto_register(true).build().unwrap();
    let strategy = SubjectStrategy::TopicRecordName;
    for first in schemas() {
        let topic = fresh("orders");
        let id = registry.id_of(&strategy.subject(&topic, &first.name), &first).await.unwrap();
        let mut second = first.clone();
        second.text = match first.kind {
            SchemaKind::Json => first.text.replace("integer", "string"),
            SchemaKind::Avro => first.text.replace("\"long\"", "\"string\""),
            SchemaKind::Protobuf => first.text.replace("int64", "string"),
        };
        let error = registry.id_of(&strategy.subject(&topic, &second.name), &second).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Incompatible, "{error}");
        let short = first.name.rsplit('.').next().unwrap();
        second.text = second.text.replace(short, &format!("{short}V2"));
        second.name = format!("{}V2", first.name);
        let other = registry.id_of(&strategy.subject(&topic, &second.name), &second).await.unwrap();
        assert_ne!(other, id);
    }
}

/// What the registry of the tests answers: the page is to be corrected when it learns to do better.
#[tokio::test]
async fn a_second_schema_of_the_newer_draft_is_taken_under_another_title_only() {
    let Some(url) = registry() else { return };
    let registry = client(&url).auto_register(true).retries(0).build().unwrap();
    let topic = fresh("orders");
    let derived = |title: &str, members: &str| {
        let text = format!(
            r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"{title}","type":"object","properties":{{{members}}}}}"#
        );
        Schema::new(SchemaKind::Json, title, text)
    };
    let id = async |schema: Schema| {
        let subject = SubjectStrategy::TopicRecordName.subject(&topic, &schema.name);
        registry.id_of(&subject, &schema).await
    };
    id(derived("Placed", r#""id":{"type":"string"}"#)).await.unwrap();
    let more = r#""id":{"type":"string"},"cents":{"type":"integer"}"#;
    let error = id(derived("Placed", more)).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("could not determine version"), "{error}");
    id(derived("PlacedV2", more)).await.unwrap();
}

//! Look-up, registration and ids, against a real registry.

use std::sync::Arc;
use std::time::Duration;

use eventferry::schema::{Reference, RegistryErrorKind, Schema, SchemaId, SchemaKind, SchemaRegistry, Subject, SubjectStrategy};
use eventferry_tests::registry_front::{Front, ask};

use crate::{avro, client, fresh, register, registry, schemas, subject};

#[tokio::test]
async fn schemas_of_all_kinds_have_one_id_whoever_asks_and_the_id_leads_back() {
    let Some(url) = registry() else { return };
    for schema in schemas() {
        let subject = subject();
        let id = client(&url)
            .auto_register(true)
            .build()
            .unwrap()
            .id_of(&subject, &schema)
            .await
            .unwrap();
        let other = client(&url).build().unwrap();
        assert_eq!(other.id_of(&subject, &schema).await.unwrap(), id, "{:?}", schema.kind);
        assert_eq!(register(&url, &subject, &schema).await, id.get(), "{:?}", schema.kind);
        assert_eq!(other.schema_of(id).await.unwrap(), schema);
    }
}

#[tokio::test]
async fn what_was_registered_with_other_white_space_is_found() {
    let Some(url) = registry() else { return };
    for schema in schemas() {
        let subject = subject();
        let mut other = schema.clone();
        other.text = match schema.kind {
            SchemaKind::Json | SchemaKind::Avro => {
                let value: serde_json::Value = serde_json::from_str(&schema.text).unwrap();
                serde_json::to_string_pretty(&value).unwrap()
            }
            SchemaKind::Protobuf => schema.text.replace('\n', "\n\n"),
        };
        assert_ne!(other.text, schema.text);
        let id = register(&url, &subject, &other).await;
        let found = client(&url).build().unwrap().id_of(&subject, &schema).await.unwrap();
        assert_eq!(found.get(), id, "{:?}", schema.kind);
        // Nor is a second version made of it where registering is allowed.
        let found = client(&url)
            .auto_register(true)
            .build()
            .unwrap()
            .id_of(&subject, &schema)
            .await
            .unwrap();
        assert_eq!(found.get(), id, "{:?}", schema.kind);
        let versions = ask(&url, "GET", &format!("/subjects/{subject}/versions"), None).await.unwrap();
        assert_eq!(versions.body, "[1]");
    }
}

#[tokio::test]
async fn subjects_are_named_by_the_strategy_and_may_hold_any_character() {
    let Some(url) = registry() else { return };
    let registry = client(&url).auto_register(true).build().unwrap();
    let (schema, topic) = (avro(), fresh("orders"));
    for strategy in [
        SubjectStrategy::TopicName,
        SubjectStrategy::RecordName,
        SubjectStrategy::TopicRecordName,
    ] {
        registry.id_of(&strategy.subject(&topic, &schema.name), &schema).await.unwrap();
    }
    let odd = Subject::new(format!("{topic}/a b?c#d%ä+e"));
    registry.id_of(&odd, &schema).await.unwrap();
    for name in [
        format!("{topic}-value"),
        schema.name.clone(),
        format!("{topic}-{}", schema.name),
        format!("{topic}%2Fa%20b%3Fc%23d%25%C3%A4%2Be"),
    ] {
        let versions = ask(&url, "GET", &format!("/subjects/{name}/versions"), None).await.unwrap();
        assert_eq!((versions.status, versions.body.as_str()), (200, "[1]"), "{name}");
    }
}

#[tokio::test]
async fn a_schema_is_registered_and_found_with_its_references() {
    let Some(url) = registry() else { return };
    let registry = client(&url).auto_register(true).build().unwrap();
    let (inner, inner_subject) = (avro(), subject());
    registry.id_of(&inner_subject, &inner).await.unwrap();
    let outer = fresh("Outer").replace('-', "_");
    let mut schema = Schema::new(
        SchemaKind::Avro,
        outer.clone(),
        format!(
            r#"{{"type":"record","name":"{outer}","fields":[{{"name":"inner","type":"{}"}}]}}"#,
            inner.name
        ),
    );
    schema.references = vec![Reference::new(&inner.name, inner_subject, 1)];
    let subject = subject();
    let id = registry.id_of(&subject, &schema).await.unwrap();
    let other = client(&url).build().unwrap();
    assert_eq!(other.id_of(&subject, &schema).await.unwrap(), id);
    assert_eq!(other.schema_of(id).await.unwrap(), schema);
    assert_eq!(other.referenced(&schema.references[0]).await.unwrap(), inner);
    let missing = Reference::new("x", schema.references[0].subject.clone(), 9);
    let error = other.referenced(&missing).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("version 9 of subject"), "{error}");
}

#[tokio::test]
async fn nothing_is_registered_unless_allowed_and_the_error_says_how_to_do_it() {
    let Some(url) = registry() else { return };
    let front = Front::start(Some(&url)).await;
    let registry = client(&front.url()).refusal_ttl(Duration::ZERO).build().unwrap();
    let (subject, schema) = (subject(), avro());
    // First the subject is missing, then the schema.
    for (expected, asked) in [("40401", 1), ("40403", 2)] {
        let before = front.asked().len();
        let error = registry.id_of(&subject, &schema).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::NotFound);
        let text = error.to_string();
        for part in [
            format!("the Avro schema `{}`", schema.name),
            format!("subject `{subject}`"),
            expected.to_owned(),
            "jq -Rs".to_owned(),
            format!("{}/subjects/{subject}/versions", front.url()),
        ] {
            assert!(text.contains(&part), "`{part}` is not in: {text}");
        }
        assert_eq!(front.asked().len() - before, asked, "{:?}", front.asked());
        register(&url, &subject, &avro_like(&schema)).await;
    }
    assert!(front.asked().iter().all(|what| !what.ends_with("/versions")), "{:?}", front.asked());
    // Somebody registers it: it is found, without a restart.
    let id = register(&url, &subject, &schema).await;
    assert_eq!(registry.id_of(&subject, &schema).await.unwrap().get(), id);
}

/// Another version of a schema, with which it is compatible in both directions.
fn avro_like(schema: &Schema) -> Schema {
    let mut other = schema.clone();
    other.text = schema.text.replace(
        r#""fields":["#,
        r#""fields":[{"name":"note","type":["null","string"],"default":null},"#,
    );
    assert_ne!(other.text, schema.text);
    other
}

#[tokio::test]
async fn what_the_level_forbids_is_incompatible_and_the_error_names_subject_and_level() {
    let Some(url) = registry() else { return };
    let registry = client(&url).auto_register(true).build().unwrap();
    for schema in schemas() {
        let subject = subject();
        registry.id_of(&subject, &schema).await.unwrap();
        let mut other = schema.clone();
        other.text = match schema.kind {
            SchemaKind::Json => schema.text.replace("integer", "string"),
            SchemaKind::Avro => schema.text.replace("\"long\"", "\"string\""),
            SchemaKind::Protobuf => schema.text.replace("int64", "string"),
        };
        let error = registry.id_of(&subject, &other).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Incompatible, "{error}");
        let text = error.to_string();
        for part in [&format!("subject `{subject}`"), "level BACKWARD", "error 409", "ncompatible"] {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        assert!(text.chars().count() < 900, "{} characters: {text}", text.chars().count());
        // A level of the subject's own is the one that is named.
        let body = r#"{"compatibility":"FULL_TRANSITIVE"}"#;
        ask(&url, "PUT", &format!("/config/{subject}"), Some(body)).await.unwrap();
        let error = client(&url)
            .auto_register(true)
            .build()
            .unwrap()
            .id_of(&subject, &other)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("level FULL_TRANSITIVE"), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_id_is_not_found_and_a_broken_schema_is_invalid() {
    let Some(url) = registry() else { return };
    let registry = client(&url).auto_register(true).build().unwrap();
    let error = registry.schema_of(SchemaId::new(2_000_000_000)).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::NotFound);
    assert!(
        error.to_string().contains("id 2000000000") && error.to_string().contains("40403"),
        "{error}"
    );

    for kind in [SchemaKind::Json, SchemaKind::Avro, SchemaKind::Protobuf] {
        let schema = Schema::new(kind, "Broken", "{\"type\": nonsense");
        let error = registry.id_of(&subject(), &schema).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Invalid, "{error}");
        assert!(
            error.to_string().contains("`Broken`") && error.to_string().contains("42201"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_believed_for_a_while_and_an_answer_for_good() {
    let Some(url) = registry() else { return };
    let front = Front::start(Some(&url)).await;
    let (subject, schema) = (subject(), avro());
    let registry = client(&front.url()).refusal_ttl(Duration::from_hours(1)).build().unwrap();
    for _ in 0..3 {
        let error = registry.id_of(&subject, &schema).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::NotFound);
    }
    assert_eq!(front.asked().len(), 1, "{:?}", front.asked());
    let id = register(&url, &subject, &schema).await;
    let registry = client(&front.url()).build().unwrap();
    for _ in 0..3 {
        assert_eq!(registry.clone().id_of(&subject, &schema).await.unwrap().get(), id);
        assert_eq!(registry.schema_of(SchemaId::new(id)).await.unwrap().text, schema.text);
    }
    assert_eq!(front.asked().len(), 3, "{:?}", front.asked());
}

#[tokio::test]
async fn a_hundred_askers_cost_one_request() {
    let Some(url) = registry() else { return };
    let front = Front::start(Some(&url)).await;
    let (subject, schema) = (Arc::new(subject()), Arc::new(avro()));
    let id = register(&url, &subject, &schema).await;
    let registry = client(&front.url()).build().unwrap();

    front.hold();
    let (mut ids, mut texts) = (tokio::task::JoinSet::new(), tokio::task::JoinSet::new());
    for _ in 0..100 {
        let (of_id, of_schema) = (registry.clone(), registry.clone());
        let (subject, schema) = (Arc::clone(&subject), Arc::clone(&schema));
        ids.spawn(async move { of_id.id_of(&subject, &schema).await });
        texts.spawn(async move { of_schema.schema_of(SchemaId::new(id)).await });
    }
    // On this runtime of one thread all of them have asked before the server's task has seen two requests.
    tokio::time::timeout(Duration::from_secs(20), async {
        while front.asked().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    front.release();
    for found in ids.join_all().await {
        assert_eq!(found.unwrap().get(), id);
    }
    for found in texts.join_all().await {
        assert_eq!(found.unwrap().text, schema.text);
    }
    let mut asked = front.asked();
    asked.sort();
    assert_eq!(asked, [format!("GET /schemas/ids/{id}"), format!("POST /subjects/{subject}")]);
}

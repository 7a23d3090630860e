//! Answers written after Confluent's published API reference, where the registry of these tests gives others: not a proof against Confluent's
//! own server, but against what it says of itself.

use eventferry::schema::{Reference, RegistryErrorKind, SchemaId, SchemaKind, SchemaRegistry, Subject};
use eventferry_tests::registry_front::{Answer, Front};

use crate::{avro, client, subject};

const NO_SUBJECT: &str = r#"{"error_code":40401,"message":"Subject 'orders-value' not found."}"#;
const NO_SCHEMA: &str = r#"{"error_code":40403,"message":"Schema not found"}"#;

#[tokio::test]
async fn a_schema_registered_normalized_is_found_by_a_second_look() {
    let front = Front::start(None).await;
    front.answer(Answer::new(404, NO_SCHEMA));
    front.answer(Answer::new(
        200,
        r#"{"subject":"s","id":100001,"version":3,"schema":"{}","guid":"x","ts":1,"deleted":false}"#,
    ));
    let registry = client(&front.url()).auto_register(true).build().unwrap();
    let subject = Subject::new("orders-value");
    assert_eq!(registry.id_of(&subject, &avro()).await.unwrap().get(), 100_001);
    assert_eq!(
        front.asked(),
        ["POST /subjects/orders-value", "POST /subjects/orders-value?normalize=true"]
    );
}

#[tokio::test]
async fn a_new_schema_is_registered_as_it_stands() {
    let front = Front::start(None).await;
    for answer in [
        Answer::new(404, NO_SCHEMA),
        Answer::new(404, NO_SCHEMA),
        Answer::new(200, r#"{"id":1}"#),
    ] {
        front.answer(answer);
    }
    let registry = client(&front.url()).auto_register(true).build().unwrap();
    let schema = avro();
    assert_eq!(registry.id_of(&Subject::new("s"), &schema).await.unwrap().get(), 1);
    let seen = front.seen();
    assert_eq!(seen[2].what, "POST /subjects/s/versions");
    let body: serde_json::Value = serde_json::from_str(&seen[2].body).unwrap();
    assert_eq!(body, serde_json::json!({"schema": schema.text}));
    let header = |name: &str| seen[2].headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    assert_eq!(header("content-type"), Some("application/vnd.schemaregistry.v1+json"));
    assert!(header("accept").is_some_and(|accepted| accepted.starts_with("application/vnd.schemaregistry.v1+json")));
}

#[tokio::test]
async fn an_incompatible_schema_names_the_level_wherever_it_is_set() {
    const REFUSED: &str = r#"{"error_code":409,"message":"Schema being registered is incompatible with an earlier schema for subject \"orders-value\", details: [{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'x' at path '/fields/1' in the new schema has no default value and is missing in the old schema'}]"}"#;
    let own = Answer::new(200, r#"{"compatibilityLevel":"FULL"}"#);
    let none = Answer::new(
        404,
        r#"{"error_code":40408,"message":"Subject 's' does not have subject-level compatibility configured"}"#,
    );
    let global = Answer::new(
        200,
        r#"{"compatibilityLevel":"BACKWARD_TRANSITIVE","alias":null,"normalize":false}"#,
    );
    let unknown = Answer::new(403, r#"{"error_code":40301,"message":"User is denied operation Read on Config"}"#);
    for (levels, expected) in [
        (vec![own], "level FULL forbids"),
        (vec![none, global], "level BACKWARD_TRANSITIVE forbids"),
        (vec![unknown.clone(), unknown], "compatibility level forbids"),
    ] {
        let front = Front::start(None).await;
        front.answer(Answer::new(404, NO_SUBJECT));
        front.answer(Answer::new(409, REFUSED));
        for level in levels {
            front.answer(level);
        }
        let registry = client(&front.url()).auto_register(true).build().unwrap();
        let error = registry.id_of(&Subject::new("s"), &avro()).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Incompatible);
        for part in [expected, "subject `s`", "READER_FIELD_MISSING_DEFAULT_VALUE"] {
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
    }
}

#[tokio::test]
async fn a_schema_by_its_id_says_its_kind_and_its_references() {
    let front = Front::start(None).await;
    front.answer(Answer::new(
        200,
        r#"{"schema":"{\"type\":\"record\",\"name\":\"A\",\"fields\":[]}","guid":"3f"}"#,
    ));
    front.answer(Answer::new(
        200,
        r#"{"schemaType":"PROTOBUF","schema":"syntax = \"proto3\";\nimport \"b.proto\";\nmessage A { B b = 1; }","references":[{"name":"b.proto","subject":"b","version":2}],"maxId":9}"#,
    ));
    front.answer(Answer::new(404, NO_SCHEMA));
    let registry = client(&front.url()).build().unwrap();
    let plain = registry.schema_of(SchemaId::new(1)).await.unwrap();
    assert_eq!((plain.kind, plain.name.as_str()), (SchemaKind::Avro, "A"));
    let proto = registry.schema_of(SchemaId::new(2)).await.unwrap();
    assert_eq!((proto.kind, proto.name.as_str()), (SchemaKind::Protobuf, "A"));
    assert_eq!(proto.references, [Reference::new("b.proto", Subject::new("b"), 2)]);
    let error = registry.schema_of(SchemaId::new(3)).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::NotFound);
    assert_eq!(front.asked(), ["GET /schemas/ids/1", "GET /schemas/ids/2", "GET /schemas/ids/3"]);
}

#[tokio::test]
async fn what_is_remembered_is_remembered_of_that_subject_schema_and_version() {
    let front = Front::start(None).await;
    for id in 1..=3 {
        front.answer(Answer::new(200, format!(r#"{{"id":{id}}}"#)));
    }
    let registry = client(&front.url()).build().unwrap();
    let ((a, b), (first, second)) = ((Subject::new("a"), Subject::new("b")), (avro(), avro()));
    let mut referring = first.clone();
    referring.references = vec![Reference::new("x", Subject::new("x"), 1)];
    for _ in 0..2 {
        assert_eq!(registry.id_of(&a, &first).await.unwrap().get(), 1);
        assert_eq!(registry.id_of(&b, &first).await.unwrap().get(), 2);
        assert_eq!(registry.id_of(&a, &second).await.unwrap().get(), 3);
    }
    front.answer(Answer::new(200, r#"{"id":4}"#));
    assert_eq!(registry.id_of(&a, &referring).await.unwrap().get(), 4);
    assert_eq!(front.asked().len(), 4);
    for name in ["One", "Two", "Three"] {
        let schema = format!(r#"{{"schema":"{{\"type\":\"record\",\"name\":\"{name}\",\"fields\":[]}}"}}"#);
        front.answer(Answer::new(200, schema));
    }
    for _ in 0..2 {
        for (subject, version, name) in [(&a, 1, "One"), (&a, 2, "Two"), (&b, 1, "Three")] {
            let found = registry.referenced(&Reference::new("x", subject.clone(), version)).await.unwrap();
            assert_eq!(found.name, name);
        }
    }
    assert_eq!(
        front.asked()[4..],
        [
            "GET /subjects/a/versions/1",
            "GET /subjects/a/versions/2",
            "GET /subjects/b/versions/1"
        ]
    );
}

#[tokio::test]
async fn what_a_read_only_registry_forbids_is_said() {
    let front = Front::start(None).await;
    front.answer(Answer::new(404, NO_SUBJECT));
    front.answer(Answer::new(
        422,
        r#"{"error_code":42205,"message":"Subject s is in read-only mode"}"#,
    ));
    let registry = client(&front.url()).auto_register(true).build().unwrap();
    let error = registry.id_of(&Subject::new("s"), &avro()).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Invalid);
    assert!(error.to_string().contains("read-only mode"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_credentials_stay_where_they_are_meant() {
    let (front, elsewhere) = (Front::start(None).await, Front::start(None).await);
    front.answer(Answer::new(307, "").with_header("location", &elsewhere.url()));
    let registry = client(&front.url()).basic_auth("orders", "hunter2").build().unwrap();
    let error = registry.id_of(&subject(), &avro()).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Invalid);
    assert!(error.to_string().contains("redirects"), "{error}");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    let front = Front::start(None).await;
    front.answer(Answer::new(200, "x".repeat(5 * 1024 * 1024)));
    let registry = client(&front.url()).build().unwrap();
    let error = registry.schema_of(SchemaId::new(1)).await.unwrap_err();
    assert!(error.to_string().contains("longer than 4 MiB"), "{error}");
    assert_eq!(front.asked().len(), 1);
}

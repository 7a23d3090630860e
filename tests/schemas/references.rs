//! Schemas that refer to others, of each kind and against a real registry: registered, found, and led back to.

use std::time::Duration;

use eventferry::schema::{Reference, RegistryErrorKind, Schema, SchemaKind, SchemaRegistry, Subject};
use eventferry_tests::registry_front::{Answer, Front, ask};

use crate::{client, fresh, register, registry, subject};

/// A schema that stands alone and one of the same kind that refers to it, and how.
pub(crate) struct Pair {
    pub(crate) inner: Schema,
    pub(crate) outer: Schema,
}

impl Pair {
    /// The first is registered, without any code of ours, and the second refers to it there.
    pub(crate) async fn register_inner(&mut self, url: &str) -> Subject {
        let subject = subject();
        register(url, &subject, &self.inner).await;
        self.outer.references[0].subject = subject.clone();
        subject
    }
}

/// A pair of each kind, and for JSON one for each way to name the other.
pub(crate) fn pairs() -> Vec<Pair> {
    let unique = fresh("n").replace('-', "_");
    let pair = |kind, inner: (String, String), outer: (String, String), name: &str| {
        let mut outer = Schema::new(kind, outer.0, outer.1);
        outer.references = vec![Reference::new(name, Subject::new("not registered"), 1)];
        Pair {
            inner: Schema::new(kind, inner.0, inner.1),
            outer,
        }
    };
    let json = |id: &str, reference: &str| {
        let inner = format!(
            r#"{{"$schema":"http://json-schema.org/draft-07/schema#",{id}"title":"Money_{unique}","type":"object","properties":{{"cents":{{"type":"integer"}}}},"definitions":{{"Cents":{{"type":"integer"}}}}}}"#
        );
        let outer = format!(
            r#"{{"$schema":"http://json-schema.org/draft-07/schema#","title":"Placed_{unique}","type":"object","properties":{{"total":{{"$ref":"{reference}"}}}}}}"#
        );
        ((format!("Money_{unique}"), inner), (format!("Placed_{unique}"), outer))
    };
    let address = format!("https://example.com/{unique}/money.json");
    let (by_address, of_address) = json(&format!(r#""$id":"{address}","#), &address);
    let (by_name, of_name) = json("", "money.json");
    let (by_part, of_part) = json("", "money.json#/definitions/Cents");
    vec![
        pair(SchemaKind::Json, by_address, of_address, &address),
        pair(SchemaKind::Json, by_name, of_name, "money.json"),
        pair(SchemaKind::Json, by_part, of_part, "money.json"),
        pair(
            SchemaKind::Avro,
            (
                format!("shop.Money_{unique}"),
                format!(r#"{{"type":"record","name":"Money_{unique}","namespace":"shop","fields":[{{"name":"cents","type":"long"}}]}}"#),
            ),
            (
                format!("shop.Placed_{unique}"),
                format!(
                    r#"{{"type":"record","name":"Placed_{unique}","namespace":"shop","fields":[{{"name":"total","type":"shop.Money_{unique}"}}]}}"#
                ),
            ),
            &format!("shop.Money_{unique}"),
        ),
        pair(
            SchemaKind::Protobuf,
            (
                format!("shop.Money_{unique}"),
                format!("syntax = \"proto3\";\npackage shop;\n\nmessage Money_{unique} {{\n  int64 cents = 1;\n}}\n"),
            ),
            (
                format!("shop.Placed_{unique}"),
                format!(
                    "syntax = \"proto3\";\npackage shop;\n\nimport \"google/protobuf/timestamp.proto\";\nimport \"shop/money.proto\";\n\n\
                     message Placed_{unique} {{\n  Money_{unique} total = 1;\n  google.protobuf.Timestamp at = 2;\n}}\n"
                ),
            ),
            "shop/money.proto",
        ),
    ]
}

#[tokio::test]
async fn a_schema_of_any_kind_is_registered_and_found_with_its_references() {
    let Some(url) = registry() else { return };
    for mut pair in pairs() {
        let inner_subject = pair.register_inner(&url).await;
        let Pair { inner, outer } = &pair;
        let (what, subject) = (outer.kind, subject());
        let id = client(&url)
            .auto_register(true)
            .build()
            .unwrap()
            .id_of(&subject, outer)
            .await
            .unwrap_or_else(|error| panic!("{what:?} {}: {error}", outer.text));
        let front = Front::start(Some(&url)).await;
        let other = client(&front.url()).build().unwrap();
        // Whoever may not register finds it: the same text with the same references, at the first look.
        assert_eq!(other.id_of(&subject, outer).await.unwrap(), id, "{what:?}");
        assert_eq!(front.asked(), [format!("POST /subjects/{subject}")], "{what:?}");
        // As does whoever registers it by other means.
        assert_eq!(register(&url, &subject, outer).await, id.get(), "{what:?}");
        // The id leads to the text and to what it refers to, and that to the other text.
        assert_eq!(other.schema_of(id).await.unwrap(), *outer, "{what:?}");
        assert_eq!(other.referenced(&outer.references[0]).await.unwrap(), *inner, "{what:?}");
        assert_eq!(
            front.asked()[1..],
            [
                format!("GET /schemas/ids/{id}"),
                format!("GET /subjects/{inner_subject}/versions/1")
            ],
            "{what:?}"
        );
    }
}

#[tokio::test]
async fn the_same_text_with_other_references_is_another_schema() {
    let Some(url) = registry() else { return };
    for mut pair in pairs() {
        pair.register_inner(&url).await;
        let (what, subject) = (pair.outer.kind, subject());
        register(&url, &subject, &pair.outer).await;
        let mut other = pair.outer.clone();
        pair.register_inner(&url).await;
        other.references.clone_from(&pair.outer.references);
        let found = client(&url).build().unwrap().id_of(&subject, &other).await;
        let error = found.expect_err(&format!("{what:?}"));
        assert_eq!(error.kind(), RegistryErrorKind::NotFound, "{what:?}: {error}");
        // The command for whoever may register it has the references.
        assert!(
            error.to_string().contains(other.references[0].subject.as_str()),
            "{what:?}: {error}"
        );
    }
}

#[tokio::test]
async fn what_is_referred_to_must_be_there() {
    let Some(url) = registry() else { return };
    let registry = client(&url).auto_register(true).retries(0).build().unwrap();
    for pair in pairs() {
        let (what, missing) = (pair.outer.kind, pair.outer.references[0].clone());
        let subject = subject();
        let error = registry.id_of(&subject, &pair.outer).await.expect_err(&format!("{what:?}"));
        assert_eq!(error.kind(), RegistryErrorKind::Invalid, "{what:?}: {error}");
        for part in [
            &format!(
                "`{}`, which refers to `{}` (version 1 of subject `not registered`), under",
                pair.outer.name, missing.name
            ),
            &format!("subject `{subject}`"),
            "42201",
        ] {
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
        let error = registry.referenced(&missing).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::NotFound, "{what:?}: {error}");
        assert!(error.to_string().contains("version 1 of subject `not registered`"), "{error}");
    }
}

/// What the registry of the tests answers: the page is to be corrected when it learns to do better.
#[tokio::test]
async fn a_name_that_no_reference_explains_is_refused_in_avro_only() {
    let Some(url) = registry() else { return };
    let registry = client(&url).auto_register(true).retries(0).build().unwrap();
    for mut pair in pairs() {
        pair.outer.references.clear();
        let found = registry.id_of(&subject(), &pair.outer).await;
        let refused = found.err().map(|error| error.kind());
        let expected = (pair.outer.kind == SchemaKind::Avro).then_some(RegistryErrorKind::Invalid);
        assert_eq!(refused, expected, "{:?}", pair.outer.kind);
    }
}

#[tokio::test]
async fn a_file_that_imports_google_s_needs_no_reference() {
    let Some(url) = registry() else { return };
    let unique = fresh("n").replace('-', "_");
    let text = format!(
        "syntax = \"proto3\";\npackage shop;\n\nimport \"google/protobuf/timestamp.proto\";\nimport \"google/protobuf/wrappers.proto\";\n\n\
         message {unique} {{\n  google.protobuf.Timestamp at = 1;\n  google.protobuf.StringValue note = 2;\n}}\n"
    );
    let (subject, schema) = (subject(), Schema::new(SchemaKind::Protobuf, format!("shop.{unique}"), text));
    let id = client(&url)
        .auto_register(true)
        .build()
        .unwrap()
        .id_of(&subject, &schema)
        .await
        .unwrap();
    let other = client(&url).build().unwrap();
    assert_eq!(other.id_of(&subject, &schema).await.unwrap(), id);
    assert_eq!(other.schema_of(id).await.unwrap(), schema);
    // And found with other white space.
    let mut looser = schema.clone();
    looser.text = schema.text.replace('\n', "\n\n");
    assert_eq!(other.id_of(&subject, &looser).await.unwrap(), id);
}

#[tokio::test]
async fn a_reference_is_kept_apart_from_an_outage() {
    let Some(url) = registry() else { return };
    let front = Front::start(Some(&url)).await;
    let registry = client(&front.url()).retries(0).refusal_ttl(Duration::ZERO).build().unwrap();
    let mut pair = pairs().remove(0);
    pair.register_inner(&url).await;
    front.answer(Answer::new(503, ""));
    let error = registry.referenced(&pair.outer.references[0]).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable, "{error}");
    // Deleted, and registered again: nothing was remembered of either.
    let path = format!("/subjects/{}", pair.outer.references[0].subject);
    assert_eq!(registry.referenced(&pair.outer.references[0]).await.unwrap(), pair.inner);
    ask(&url, "DELETE", &path, None).await.unwrap();
    let error = client(&url)
        .build()
        .unwrap()
        .referenced(&pair.outer.references[0])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::NotFound, "{error}");
    // What was read once is kept: it does not change.
    assert_eq!(registry.referenced(&pair.outer.references[0]).await.unwrap(), pair.inner);
}

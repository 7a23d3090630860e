//! Messages whose writer's schema refers to others, read with the schemas that a real registry gives out.

use eventferry::DecodeErrorKind;
use eventferry::Message;
use eventferry::registry::ResolveErrorKind;
use eventferry::schema::memory::MemoryRegistry;
use eventferry::schema::{Reference, RegistryError, RegistryErrorKind, Schema, SchemaKind, Subject, frame};
use eventferry_tests::registry_front::{Answer, Front};
use prost::Message as _;

use super::{AvroPlaced, Held, JsonPlaced, Line, ProtoPlaced, ShopEvent, ShopEvents};
use crate::{chain, client, fresh, register, registry, subject};

/// What a service of another language writes: a schema that names a second one, that second one, and a payload.
struct Theirs {
    inner: Schema,
    outer: Schema,
    payload: Vec<u8>,
    expected: ShopEvent,
    /// Whether the second one is needed to read the payload.
    needs_inner: bool,
}

/// The message as its writer has it: a field that ours has not, of a type of another file.
#[derive(Clone, PartialEq, prost::Message)]
struct TheirPlaced {
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(int64, tag = "2")]
    total_cents: i64,
    #[prost(message, optional, tag = "3")]
    customer: Option<TheirCustomer>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TheirCustomer {
    #[prost(string, tag = "1")]
    name: String,
}

fn theirs() -> [Theirs; 3] {
    let unique = fresh("n").replace('-', "_");
    let refers = |kind, name: &str, text: String, reference: &str| {
        let mut schema = Schema::new(kind, name, text);
        schema.references = vec![Reference::new(reference, subject(), 1)];
        schema
    };
    let address = format!("https://example.com/{unique}/customer.json");
    let line = format!(
        r#"{{"type":"record","name":"Line","namespace":"shop","doc":"{unique}","fields":[{{"name":"count","type":"int"}},{{"name":"sku","type":"string"}}]}}"#
    );
    let (order_id, total_cents) = ("o".to_owned(), 7);
    [
        Theirs {
            inner: Schema::new(
                SchemaKind::Json,
                "Customer",
                format!(
                    r#"{{"$schema":"http://json-schema.org/draft-07/schema#","$id":"{address}","title":"Customer","type":"object","properties":{{"name":{{"type":"string"}}}}}}"#
                ),
            ),
            outer: refers(
                SchemaKind::Json,
                "com.acme.JsonPlaced",
                format!(
                    r#"{{"$schema":"http://json-schema.org/draft-07/schema#","title":"com.acme.JsonPlaced","type":"object","properties":{{"order_id":{{"type":"string"}},"total_cents":{{"type":"integer"}},"customer":{{"$ref":"{address}"}}}}}}"#
                ),
                &address,
            ),
            payload: br#"{"order_id":"o","total_cents":7,"customer":{"name":"n"}}"#.to_vec(),
            expected: ShopEvent::JsonPlaced(JsonPlaced {
                order_id: order_id.clone(),
                total_cents,
            }),
            needs_inner: false,
        },
        Theirs {
            inner: Schema::new(SchemaKind::Avro, "shop.Line", line),
            outer: refers(
                SchemaKind::Avro,
                "shop.AvroPlaced",
                r#"{"type":"record","name":"AvroPlaced","namespace":"shop","fields":[{"name":"lines","type":{"type":"array","items":"shop.Line"}},{"name":"order_id","type":"string"},{"name":"total_cents","type":"int"}]}"#
                    .to_owned(),
                "shop.Line",
            ),
            // One line, 3 of "s", and then "o" and 7.
            payload: vec![2, 6, 2, b's', 0, 2, b'o', 14],
            expected: ShopEvent::AvroPlaced(AvroPlaced {
                order_id: order_id.clone(),
                total_cents,
                note: None,
                lines: vec![Line {
                    sku: "s".to_owned(),
                    count: 3,
                }],
            }),
            needs_inner: true,
        },
        Theirs {
            inner: Schema::new(
                SchemaKind::Protobuf,
                format!("acme.Customer_{unique}"),
                format!("syntax = \"proto3\";\npackage acme;\n\nmessage Customer_{unique} {{\n  string name = 1;\n}}\n"),
            ),
            outer: refers(
                SchemaKind::Protobuf,
                "acme.ProtoPlaced",
                format!(
                    "syntax = \"proto3\";\npackage acme;\n\nimport \"acme/customer.proto\";\n\nmessage ProtoPlaced {{\n  string order_id = 1;\n  \
                     int64 total_cents = 2;\n  Customer_{unique} customer = 3;\n}}\n"
                ),
                "acme/customer.proto",
            ),
            payload: TheirPlaced {
                order_id: order_id.clone(),
                total_cents,
                customer: Some(TheirCustomer { name: "n".to_owned() }),
            }
            .encode_to_vec(),
            expected: ShopEvent::ProtoPlaced(ProtoPlaced { order_id, total_cents }),
            needs_inner: false,
        },
    ]
}

/// Registers both without any code of ours, and frames the payload as their serializers do.
async fn written(url: &str, theirs: &Theirs) -> (u32, Message) {
    register(url, &theirs.outer.references[0].subject, &theirs.inner).await;
    let id = register(url, &Subject::new(fresh("orders")), &theirs.outer).await;
    let payload = frame::put(eventferry::schema::SchemaId::new(id), &theirs.outer, &theirs.payload);
    (id, Message::new("orders", payload))
}

#[tokio::test]
async fn a_schema_that_refers_to_others_is_read_and_asked_for_what_it_needs_once() {
    let Some(url) = registry() else { return };
    for theirs in theirs() {
        let (id, message) = written(&url, &theirs).await;
        let front = Front::start(Some(&url)).await;
        let resolver = ShopEvents::new().unwrap().resolving(client(&front.url()).build().unwrap());
        for _ in 0..2 {
            assert_eq!(resolver.decode(&message).await.unwrap(), theirs.expected);
        }
        let mut expected = vec![format!("GET /schemas/ids/{id}")];
        if theirs.needs_inner {
            expected.push(format!("GET /subjects/{}/versions/1", theirs.outer.references[0].subject));
        }
        assert_eq!(front.asked(), expected);
    }
}

/// Some clients register Google's files as well, and refer to them.
#[tokio::test]
async fn a_file_of_ours_is_ours_though_its_imports_of_google_s_are_references() {
    let registry = MemoryRegistry::new();
    let resolver = ShopEvents::new().unwrap().resolving(registry.clone());
    let first = ShopEvents::schemas().into_iter().find(|schema| schema.name == "Held").unwrap();
    let first = first.registered.unwrap();
    for (import, reason) in [
        ("google/protobuf/timestamp.proto", "unknown"),
        // What else is in it is not known, so it may be anybody's: read as our latest version.
        ("shop/other.proto", ""),
    ] {
        let mut theirs = first.clone();
        theirs.text = first.text.replace("message Held", &format!("import \"{import}\";\nmessage Held"));
        theirs.references = vec![Reference::new(import, Subject::new(import), 1)];
        let id = registry.register(&Subject::new("held-value"), &theirs);
        let message = Message::new("held", frame::put(id, &theirs, b"\x0a\x01a"));
        let (order_id, reason) = ("a".to_owned(), reason.to_owned());
        assert_eq!(
            resolver.decode(&message).await.unwrap(),
            ShopEvent::Held(Held { order_id, reason }),
            "{import}"
        );
    }
}

#[tokio::test]
async fn a_reference_that_is_away_or_gone_is_told_from_a_bad_message() {
    let Some(url) = registry() else { return };
    let [_, theirs, _] = theirs();
    let (id, message) = written(&url, &theirs).await;
    let front = Front::start(Some(&url)).await;
    let registry = client(&front.url())
        .retries(0)
        .refusal_ttl(std::time::Duration::ZERO)
        .build()
        .unwrap();
    let resolver = ShopEvents::new().unwrap().resolving(registry);
    let schema = serde_json::json!({"schema": theirs.outer.text, "references": [
        {"name": "shop.Line", "subject": theirs.outer.references[0].subject.as_str(), "version": 1}]});
    front.answer(Answer::new(200, schema.to_string()));
    front.answer(Answer::new(503, ""));
    let error = resolver.decode(&message).await.unwrap_err();
    assert_eq!(error.kind(), ResolveErrorKind::Registry(RegistryErrorKind::Unavailable), "{error}");
    assert!(error.is_retryable());
    front.answer(Answer::new(404, r#"{"error_code":40402,"message":"Version 1 not found."}"#));
    let error = resolver.decode(&message).await.unwrap_err();
    assert_eq!(error.kind(), ResolveErrorKind::Registry(RegistryErrorKind::NotFound), "{error}");
    let registry_error = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<RegistryError>());
    let text = chain(registry_error.expect("the registry's"));
    let subject = &theirs.outer.references[0].subject;
    for part in [
        "follow the reference `shop.Line`",
        &format!("version 1 of subject `{subject}`"),
        "error 40402",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    // Something else is registered there: the name stays unexplained, and the message is kept for its writer.
    front.answer(Answer::new(200, r#"{"schema":"\"string\"","version":1}"#));
    let error = resolver.decode(&message).await.unwrap_err();
    assert_eq!(error.kind(), ResolveErrorKind::Decode(DecodeErrorKind::Undecodable), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(front.asked().len(), 4, "{id}: {:?}", front.asked());
}

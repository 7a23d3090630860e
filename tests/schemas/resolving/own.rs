//! A format of one's own whose schemas refer to others: a version is known by its references as well as by its text.

use eventferry::codec::{Checker, CodecError, Contract, Decode, Describe, Encode, Format};
use eventferry::schema::memory::MemoryRegistry;
use eventferry::schema::{Reference, Schema, SchemaKind, Subject, frame};
use eventferry::{Message, OutboxEvent, define_outbox};

/// A text, whose schema is at this version of another.
macro_rules! version {
    ($format:ident, $event:ident, $version:literal) => {
        #[derive(Debug)]
        struct $format;

        impl Format for $format {
            const CONTENT_TYPE: &'static str = "text/plain";
            const KIND: Option<SchemaKind> = Some(SchemaKind::Json);
        }

        impl Encode<$event> for $format {
            fn encode(event: &$event) -> Result<Vec<u8>, CodecError> {
                Ok(event.id.clone().into_bytes())
            }
        }

        impl Decode<'_, $event> for $format {
            fn decode(bytes: &[u8]) -> Result<$event, CodecError> {
                let id = String::from_utf8(bytes.to_vec()).map_err(|_| CodecError::decode("it is not UTF-8"))?;
                Ok($event { id })
            }
        }

        impl Describe<$event> for $format {
            fn schema(_: Contract) -> String {
                r#"{"$ref":"id.json"}"#.to_owned()
            }

            fn checker(_: Contract) -> Result<Checker, CodecError> {
                Ok(None)
            }

            fn registered() -> Option<Schema> {
                let mut schema = Schema::new(SchemaKind::Json, "Referring", r#"{"$ref":"id.json"}"#);
                schema.references = vec![Reference::new("id.json", Subject::new("id"), $version)];
                Some(schema)
            }
        }
    };
}
version!(First, ReferringV1, 1);
version!(Second, Referring, 2);

#[derive(Debug, Clone, PartialEq, OutboxEvent)]
#[outbox(topic = "referring", aggregate_type = "thing", name = "Referring", format = First)]
struct ReferringV1 {
    #[outbox(aggregate_id)]
    id: String,
}

#[derive(Debug, Clone, PartialEq, OutboxEvent)]
#[outbox(topic = "referring", aggregate_type = "thing", version = 2, upcast_from = ReferringV1, format = Second)]
struct Referring {
    #[outbox(aggregate_id)]
    id: String,
}

impl From<ReferringV1> for Referring {
    fn from(old: ReferringV1) -> Self {
        Self {
            id: format!("was {}", old.id),
        }
    }
}

define_outbox! {
    type OwnEvents;
    #[derive(Debug, PartialEq)]
    enum OwnEvent { Referring }
}

#[tokio::test]
async fn a_version_is_known_by_its_references_too() {
    let registry = MemoryRegistry::new();
    let resolver = OwnEvents::new().unwrap().resolving(registry.clone());
    let mut schemas: Vec<_> = OwnEvents::schemas()
        .into_iter()
        .map(|version| version.registered.unwrap())
        .collect();
    schemas.sort_by_key(|schema| schema.references[0].version);
    assert_eq!(schemas[0].text, schemas[1].text);
    for (schema, expected) in schemas.iter().zip(["was a", "a"]) {
        let id = registry.register(&Subject::new("referring-value"), schema);
        let message = Message::new("referring", frame::put(id, schema, b"a"));
        let id = expected.to_owned();
        assert_eq!(resolver.decode(&message).await.unwrap(), OwnEvent::Referring(Referring { id }));
    }
}

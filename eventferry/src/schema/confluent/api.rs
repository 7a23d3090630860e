//! The paths and bodies of the REST API.

use hyper::body::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::schema::{Reference, Schema, SchemaId, SchemaKind, Subject};

/// What a path's segment may hold as it is (RFC 3986, unreserved); everything else is encoded, a slash above all.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What an answer means, by its status and its `error_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Good,
    NoSubject,
    NoSchema,
    Incompatible,
    Other,
}

impl Code {
    pub(super) fn of(status: u16, error_code: Option<u32>) -> Self {
        match (status, error_code) {
            (200..=299, _) => Self::Good,
            (_, Some(40401)) => Self::NoSubject,
            (_, Some(40402 | 40403)) => Self::NoSchema,
            (409, _) => Self::Incompatible,
            _ => Self::Other,
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    schema: &'a str,
    // Left out for Avro, which is what a registry takes it for that knows nothing else.
    #[serde(rename = "schemaType", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<ReferenceBody>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ReferenceBody {
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) version: u32,
}

/// The answer to a look-up or a registration.
#[derive(Deserialize)]
pub(super) struct IdBody {
    pub(super) id: u32,
}

/// A schema by its id or its version.
#[derive(Deserialize)]
pub(super) struct SchemaBody {
    pub(super) schema: String,
    #[serde(rename = "schemaType")]
    pub(super) kind: Option<String>,
    pub(super) references: Option<Vec<ReferenceBody>>,
}

#[derive(Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error_code: u32,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Deserialize)]
pub(super) struct LevelBody {
    #[serde(rename = "compatibilityLevel")]
    pub(super) level: String,
}

pub(super) fn body(schema: &Schema) -> Bytes {
    let body = Body {
        schema: &schema.text,
        kind: (schema.kind != SchemaKind::Avro).then(|| schema.kind.as_str()),
        references: references(schema),
    };
    // Texts and numbers only: it cannot fail.
    Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
}

fn references(schema: &Schema) -> Vec<ReferenceBody> {
    let body = schema.references.iter().map(|reference| ReferenceBody {
        name: reference.name.clone(),
        subject: reference.subject.as_str().to_owned(),
        version: reference.version,
    });
    body.collect()
}

pub(super) fn subject_path(subject: &Subject) -> String {
    format!("/subjects/{}", segment(subject))
}

pub(super) fn versions_path(subject: &Subject) -> String {
    format!("/subjects/{}/versions", segment(subject))
}

pub(super) fn id_path(id: SchemaId) -> String {
    format!("/schemas/ids/{id}")
}

pub(super) fn version_path(subject: &Subject, version: u32) -> String {
    format!("{}/{version}", versions_path(subject))
}

/// Of a subject, or of all that have no level of their own.
pub(super) fn level_path(subject: Option<&Subject>) -> String {
    match subject {
        Some(subject) => format!("/config/{}?defaultToGlobal=true", segment(subject)),
        None => "/config".to_owned(),
    }
}

fn segment(subject: &Subject) -> String {
    utf8_percent_encode(subject.as_str(), SEGMENT).to_string()
}

/// What is asked about, for an error's text.
pub(super) fn shown(schema: &Schema) -> String {
    let kind = match schema.kind {
        SchemaKind::Json => "the JSON Schema",
        SchemaKind::Avro => "the Avro schema",
        SchemaKind::Protobuf => "the Protobuf schema",
    };
    let refers = |reference: &Reference| {
        let Reference { name, subject, version } = reference;
        format!("`{name}` (version {version} of subject `{subject}`)")
    };
    match schema.references.as_slice() {
        [] => format!("{kind} `{}`", schema.name),
        // Registries say that one is missing, and not which.
        some => {
            let all: Vec<_> = some.iter().map(refers).collect();
            format!("{kind} `{}`, which refers to {},", schema.name, all.join(" and "))
        }
    }
}

/// What somebody types who may register schemas, from a file that holds the text.
pub(super) fn register_command(base: &str, subject: &Subject, schema: &Schema) -> String {
    let references = references(schema);
    let references = if references.is_empty() {
        String::new()
    } else {
        format!(", references: {}", serde_json::to_string(&references).unwrap_or_default())
    };
    // A quote would end the shell's text.
    let program = format!("{{schema: ., schemaType: \"{}\"{references}}}", schema.kind.as_str()).replace('\'', "'\\''");
    format!(
        "jq -Rs '{program}' SCHEMA.{} | curl -sS -H 'Content-Type: application/vnd.schemaregistry.v1+json' --data @- '{base}{}'",
        schema.kind.extension(),
        versions_path(subject)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_segment_whatever_it_holds() {
        let path = |subject: &str| subject_path(&Subject::new(subject));
        assert_eq!(path("orders-shop.Order_1~"), "/subjects/orders-shop.Order_1~");
        assert_eq!(path("a/b?c#d e%ä:"), "/subjects/a%2Fb%3Fc%23d%20e%25%C3%A4%3A");
        assert_eq!(path("../config"), "/subjects/..%2Fconfig");
    }

    #[test]
    fn the_body_is_what_the_api_asks_for() {
        let avro = Schema::new(SchemaKind::Avro, "a", "\"string\"");
        assert_eq!(body(&avro), r#"{"schema":"\"string\""}"#);
        let mut json = Schema::new(SchemaKind::Json, "a", "{}");
        json.references = vec![Reference::new("b.json", Subject::new("b"), 3)];
        assert_eq!(
            body(&json),
            r#"{"schema":"{}","schemaType":"JSON","references":[{"name":"b.json","subject":"b","version":3}]}"#
        );
    }

    #[test]
    fn the_command_registers_under_the_subject_with_its_references() {
        let mut schema = Schema::new(SchemaKind::Protobuf, "a", "");
        schema.references = vec![Reference::new("it's.proto", Subject::new("b"), 3)];
        let command = register_command("http://h:1/x", &Subject::new("a b"), &schema);
        assert_eq!(
            command,
            "jq -Rs '{schema: ., schemaType: \"PROTOBUF\", references: [{\"name\":\"it'\\''s.proto\",\"subject\":\"b\",\"version\":3}]}' \
             SCHEMA.proto | curl -sS -H 'Content-Type: application/vnd.schemaregistry.v1+json' --data @- \
             'http://h:1/x/subjects/a%20b/versions'"
        );
    }

    #[test]
    fn codes_are_told_apart() {
        assert_eq!(Code::of(200, None), Code::Good);
        assert_eq!(Code::of(404, Some(40401)), Code::NoSubject);
        assert_eq!(Code::of(404, Some(40403)), Code::NoSchema);
        // A 404 without a code comes from no registry.
        assert_eq!(Code::of(404, None), Code::Other);
        assert_eq!(Code::of(409, Some(409)), Code::Incompatible);
        assert_eq!(Code::of(422, Some(42201)), Code::Other);
    }
}

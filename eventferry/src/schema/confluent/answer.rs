//! What a registry answered, and what that is to whoever asked.

use std::error::Error as StdError;
use std::sync::Arc;

use hyper::body::Bytes;
use serde::de::DeserializeOwned;

use crate::schema::confluent::api::{Code, ErrorBody, IdBody, LevelBody, SchemaBody};
use crate::schema::{Reference, RegistryError, RegistryErrorKind, Schema, SchemaId, SchemaKind, Subject, name};

/// The most characters of a registry's own message that an error repeats.
const MESSAGE: usize = 500;

/// A [`RegistryError`] that several askers can be given.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    kind: RegistryErrorKind,
    text: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Failure {
    pub(super) fn new(kind: RegistryErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            source: None,
        }
    }

    pub(super) fn with_source(mut self, source: Option<Arc<dyn StdError + Send + Sync>>) -> Self {
        self.source = source;
        self
    }

    pub(super) fn kind(&self) -> RegistryErrorKind {
        self.kind
    }
}

impl From<Failure> for RegistryError {
    fn from(failure: Failure) -> Self {
        let error = Self::new(failure.kind, failure.text);
        match failure.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

/// An answer that is not to be asked for again.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    body: Bytes,
    error: Option<(u32, String)>,
}

impl Answer {
    pub(super) fn new(status: u16, body: Bytes) -> Self {
        let error = if (200..=299).contains(&status) {
            None
        } else {
            serde_json::from_slice::<ErrorBody>(&body)
                .ok()
                .map(|body| (body.error_code, printable(&body.message)))
        };
        Self { status, body, error }
    }

    pub(super) fn code(&self) -> Code {
        Code::of(self.status, self.error.as_ref().map(|(code, _)| *code))
    }

    /// The registry's own words.
    pub(super) fn said(&self) -> String {
        match &self.error {
            Some((code, message)) if message.is_empty() => format!("error {code}"),
            Some((code, message)) => format!("error {code}: {message}"),
            None => format!("status {}", self.status),
        }
    }

    /// The failure of an answer that is neither good nor of a kind that has a text of its own.
    pub(super) fn failure(&self, what: &str) -> Failure {
        let said = self.said();
        let (kind, why) = match self.status {
            401 => (RegistryErrorKind::Unauthorized, "the registry wants other credentials"),
            403 => (RegistryErrorKind::Unauthorized, "the registry forbids it to these credentials"),
            300..=399 => (RegistryErrorKind::Invalid, "it redirects, which is not followed; is the URL right?"),
            _ if self.error.is_none() => (
                RegistryErrorKind::Invalid,
                "the answer is not one of a schema registry; is the URL right, its path included?",
            ),
            _ => (RegistryErrorKind::Invalid, "the registry refuses it"),
        };
        Failure::new(kind, format!("failed to {what}: {why} ({said})"))
    }

    pub(super) fn id(&self, what: &str) -> Result<SchemaId, Failure> {
        self.parse::<IdBody>(what).map(|body| SchemaId::new(body.id))
    }

    pub(super) fn level(&self) -> Option<String> {
        let body: LevelBody = serde_json::from_slice(&self.body).ok()?;
        Some(printable(&body.level))
    }

    pub(super) fn schema(&self, what: &str) -> Result<Schema, Failure> {
        let body: SchemaBody = self.parse(what)?;
        let kind = match body.kind.as_deref() {
            None => SchemaKind::Avro,
            Some(name) => SchemaKind::from_name(name).ok_or_else(|| {
                let name = printable(name);
                Failure::new(
                    RegistryErrorKind::Invalid,
                    format!("failed to {what}: it is of the kind `{name}`, which is not known here"),
                )
            })?,
        };
        let mut schema = Schema::new(kind, name::of(kind, &body.schema), body.schema);
        schema.references = body
            .references
            .unwrap_or_default()
            .into_iter()
            .map(|reference| Reference::new(reference.name, Subject::new(reference.subject), reference.version))
            .collect();
        Ok(schema)
    }

    fn parse<T: DeserializeOwned>(&self, what: &str) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|_| {
            Failure::new(
                RegistryErrorKind::Invalid,
                format!("failed to {what}: the answer is not one of a schema registry; is the URL right, its path included?"),
            )
        })
    }
}

/// Text from outside, on one line and cut.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (at, c) in text.trim().chars().enumerate() {
        if at == MESSAGE {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer::new(status, Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_message_is_cut_and_stays_on_its_line() {
        let long = Bytes::from(format!(r#"{{"error_code":42201,"message":"a\nb {}"}}"#, "x".repeat(10_000)));
        let said = Answer::new(422, long).said();
        assert!(said.starts_with("error 42201: a\\nb xxx") && said.ends_with("x…"), "{said}");
        assert!(said.chars().count() < MESSAGE + 30, "{}", said.len());
    }

    #[test]
    fn kinds_follow_the_status() {
        let kind = |status, body| answer(status, body).failure("f").kind();
        assert_eq!(kind(401, "{}"), RegistryErrorKind::Unauthorized);
        assert_eq!(kind(403, r#"{"error_code":40301,"message":"m"}"#), RegistryErrorKind::Unauthorized);
        assert_eq!(kind(422, r#"{"error_code":42201,"message":"m"}"#), RegistryErrorKind::Invalid);
        assert_eq!(kind(302, ""), RegistryErrorKind::Invalid);
    }

    #[test]
    fn what_no_registry_says_asks_for_the_url() {
        for (status, body) in [(404, "<html>not here</html>"), (200, "<html>welcome</html>"), (200, r#"{"id":-1}"#)] {
            let answer = answer(status, body);
            let failure = if status == 200 {
                answer.id("f").unwrap_err()
            } else {
                answer.failure("f")
            };
            assert_eq!(failure.kind(), RegistryErrorKind::Invalid, "{body}");
            assert!(failure.text.contains("is the URL right"), "{}", failure.text);
            assert!(!failure.text.contains("html"), "{}", failure.text);
        }
    }

    #[test]
    fn a_schema_without_a_kind_is_avro_and_an_unknown_kind_is_named() {
        let schema = answer(200, r#"{"schema":"{\"type\":\"record\",\"name\":\"R\"}"}"#)
            .schema("f")
            .unwrap();
        assert_eq!((schema.kind, schema.name.as_str()), (SchemaKind::Avro, "R"));
        let failure = answer(200, r#"{"schema":"","schemaType":"XSD"}"#).schema("f").unwrap_err();
        assert!(failure.text.contains("`XSD`"), "{}", failure.text);
    }
}

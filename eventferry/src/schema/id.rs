//! What schemas are known by: fingerprints, subjects, ids.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::schema::Schema;

/// What a schema is known by without a registry: the SHA-256 of its kind, name, place in its file, references and text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn of(schema: &Schema) -> Self {
        let mut hash = Sha256::new();
        // Every part carries its length, so that no two schemas run together into the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(schema.kind.as_str().as_bytes());
        part(schema.name.as_bytes());
        part(
            &schema
                .message_index
                .iter()
                .flat_map(|index| index.to_be_bytes())
                .collect::<Vec<_>>(),
        );
        for reference in &schema.references {
            part(reference.name.as_bytes());
            part(reference.subject.as_str().as_bytes());
            part(&reference.version.to_be_bytes());
        }
        part(schema.text.as_bytes());
        let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
        let text = hash.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect();
        Self(text)
    }

    /// The fingerprint of a text: 64 lower-case hexadecimal digits; none for any other text.
    ///
    /// # Examples
    /// ```
    /// use eventferry::schema::{Fingerprint, Schema, SchemaKind};
    ///
    /// let fingerprint = Schema::new(SchemaKind::Json, "OrderPaid", "{}").fingerprint();
    /// assert_eq!(Fingerprint::parse(fingerprint.as_str()), Some(fingerprint));
    /// assert_eq!(Fingerprint::parse("42"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Self(text.to_owned()))
    }

    /// 64 lower-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a registry calls a schema, unique in the whole registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(u32);

impl SchemaId {
    /// An id that a registry gave.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name that versions of a schema are registered under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(String);

impl Subject {
    /// A subject by its name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the subject of an event's schema is named, as Confluent's serializers name it for the value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "the three that serializers know")]
pub enum SubjectStrategy {
    /// `<topic>-value`: one schema for each topic, which therefore carries one event.
    TopicName,
    /// The schema's own name: the same event may travel on several topics.
    RecordName,
    /// `<topic>-<name>`: several events on a topic, each compatible with itself only. What a topic of several events needs.
    #[default]
    TopicRecordName,
}

impl SubjectStrategy {
    /// The subject of a schema's name on a topic.
    ///
    /// # Examples
    /// ```
    /// use eventferry::schema::SubjectStrategy;
    ///
    /// assert_eq!(SubjectStrategy::TopicName.subject("orders", "shop.OrderCreated").as_str(), "orders-value");
    /// assert_eq!(SubjectStrategy::TopicRecordName.subject("orders", "shop.OrderCreated").as_str(), "orders-shop.OrderCreated");
    /// ```
    pub fn subject(self, topic: &str, name: &str) -> Subject {
        Subject(match self {
            Self::TopicName => format!("{topic}-value"),
            Self::RecordName => name.to_owned(),
            Self::TopicRecordName => format!("{topic}-{name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Reference, SchemaKind};

    #[test]
    fn every_part_of_a_schema_changes_its_fingerprint() {
        let base = Schema::new(SchemaKind::Json, "a", "{}");
        let mut others = vec![base.clone(); 5];
        others[0].kind = SchemaKind::Avro;
        others[1].name = "b".to_owned();
        others[2].text = "{} ".to_owned();
        others[3].message_index = vec![0];
        others[4].references = vec![Reference::new("r", Subject::new("s"), 1)];
        for other in &others {
            assert_ne!(other.fingerprint(), base.fingerprint(), "{other:?}");
        }
        assert_eq!(base.clone().fingerprint(), base.fingerprint());
        assert_eq!(Fingerprint::parse(base.fingerprint().as_str()), Some(base.fingerprint()));
        assert_eq!(Fingerprint::parse("00"), None);
        assert_eq!(Fingerprint::parse(&"Z".repeat(64)), None);
    }
}

//! A schema, parsed once: what writes, what reads, and what walks.

use std::fmt;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::codec::avro::explain::explain;
use crate::codec::avro::shape::Shape;
use crate::codec::avro::walk::{Broken, walk};
use crate::codec::avro::{Root, shape};
use crate::codec::kept::Kept;
use crate::codec::shown::SENSITIVE;
use crate::codec::{CodecError, Violation};

/// A compiled Avro schema.
pub struct Compiled {
    schema: &'static Schema,
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
    shape: Shape,
    name: String,
    text: String,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(super) static KEPT: Kept<Compiled> = Kept::new();

impl Compiled {
    /// The schema that a type says of itself.
    pub(super) fn derived(make: fn() -> Schema, event: &str) -> Result<Self, CodecError> {
        let schema = make();
        shape::refuse_foreign(&schema)?;
        let mut json = serde_json::to_value(&schema).map_err(|_| CodecError::schema("the type's schema has no form as JSON"))?;
        // Only Rust's parts know the type by this name, and a struct is renamed when it becomes an old version.
        let name = rename(&mut json, event);
        mark(&mut json);
        json.sort_all_objects();
        let text = format!("{json:#}\n");
        // What is derived is never parsed, so a wrong default in it would first be found by a reader in another language.
        Schema::parse_str(&text).map_err(|e| CodecError::schema(format!("the schema derived from the type is wrong: {e}")))?;
        Self::new(schema, name, text)
    }

    /// The schema of a file.
    pub(super) fn parsed(text: &str, path: &str) -> Result<Self, CodecError> {
        // Asked first, because it says the line.
        let json = serde_json::from_str::<serde::de::IgnoredAny>(text);
        json.map_err(|e| CodecError::schema(format!("`{path}` is no JSON: {e}")))?;
        let schema = Schema::parse_str(text).map_err(|e| CodecError::schema(format!("`{path}` is no Avro schema: {e}")))?;
        let name = schema.name().map_or_else(String::new, |name| name.fullname(None));
        if name.is_empty() {
            return Err(CodecError::schema(format!(
                "the schema in `{path}` has no name: an event is a record"
            )));
        }
        Self::new(schema, name, text.to_owned())
    }

    fn new(schema: Schema, name: String, text: String) -> Result<Self, CodecError> {
        let schema: &'static Schema = Box::leak(Box::new(schema));
        let wrong = |e: apache_avro::Error| CodecError::schema(format!("the schema is wrong: {e}"));
        // Said here and not left to the library's setting, which is one for the whole process and is another crate's to change.
        let writer = GenericDatumWriter::builder(schema).human_readable(false).build().map_err(wrong)?;
        let reader = GenericDatumReader::builder(schema).human_readable(false).build().map_err(wrong)?;
        let shape = Shape::of(schema)?;
        Ok(Self {
            schema,
            writer,
            reader,
            shape,
            name,
            text,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn schema(&self) -> &'static Schema {
        self.schema
    }

    pub(super) fn writer(&self) -> &GenericDatumWriter<'static> {
        &self.writer
    }

    pub(super) fn reader(&self) -> &GenericDatumReader<'static> {
        &self.reader
    }

    pub(super) fn encode<E: Serialize + ?Sized>(&self, event: &E) -> Result<Vec<u8>, CodecError> {
        // The library's own text is dropped: it may quote the value. Where it failed is looked for only then.
        self.writer.write_ser_to_vec(&event).map_err(|_| explain(event, self.schema))
    }

    pub(super) fn decode<E: DeserializeOwned>(&self, mut bytes: &[u8]) -> Result<E, CodecError> {
        // Lengths are believed by the library before it has seen what they promise, so they are looked at first.
        match walk(&self.shape, bytes) {
            Ok(()) | Err(Broken::Rules(_)) => {}
            Err(Broken::Bytes(reason)) => return Err(CodecError::decode(reason)),
        }
        let end = bytes;
        let read = self.reader.read_deser::<Root<E>>(&mut bytes).map(|Root(event)| event);
        // The library cannot pass over an enum that the type does not ask for, as a view may not. By way of a value it can.
        read.or_else(|_| self.by_value(end))
            .map_err(|()| CodecError::decode("it is Avro of another shape"))
    }

    /// Reads bytes that were walked, by way of a value: slower, and less exact in what it takes for what.
    pub(super) fn by_value<E: DeserializeOwned>(&self, mut bytes: &[u8]) -> Result<E, ()> {
        let value = self.reader.read_value(&mut bytes).map_err(|_| ())?;
        apache_avro::from_value(&value).map_err(|_| ())
    }

    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), CodecError> {
        walk(&self.shape, bytes).map_err(|broken| match broken {
            Broken::Bytes(reason) => CodecError::decode(reason),
            Broken::Rules(violations) => CodecError::refused(violations.into_iter().map(Violation::from).collect()),
        })
    }
}

/// Gives the record the event's name, where that can be a name in Avro, and returns its full name.
fn rename(root: &mut Json, event: &str) -> String {
    let can_be_a_name = !event.starts_with(|c: char| c.is_ascii_digit()) && event.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let Some(members) = root.as_object_mut() else {
        return event.to_owned();
    };
    let namespace = members
        .get("namespace")
        .and_then(Json::as_str)
        .map(|n| format!("{n}."))
        .unwrap_or_default();
    let Some(old) = members.get("name").and_then(Json::as_str).map(str::to_owned) else {
        return event.to_owned();
    };
    let new = if can_be_a_name { event } else { old.as_str() };
    let (from, to) = (format!("{namespace}{old}"), format!("{namespace}{new}"));
    members.insert("name".to_owned(), Json::from(new));
    refer(root, &from, &to);
    to
}

/// Makes an attribute of what documentation says is personal: `apache_avro`'s derive writes no attributes of its user's.
fn mark(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(mark),
        Json::Object(members) => {
            let doc = members.get("doc").and_then(Json::as_str).unwrap_or_default();
            if doc.contains(SENSITIVE) {
                // A line of its own has said all that it has to say.
                let lines: Vec<&str> = doc.lines().filter(|line| line.trim() != SENSITIVE).collect();
                let doc = lines.join("\n").trim().to_owned();
                if doc.is_empty() {
                    members.remove("doc");
                } else {
                    members.insert("doc".to_owned(), doc.into());
                }
                members.insert(SENSITIVE.to_owned(), true.into());
            }
            let parts = members.iter_mut().filter(|(name, _)| *name != "default");
            parts.for_each(|(_, part)| mark(part));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Follows a new name where a schema names the record it stands in.
fn refer(schema: &mut Json, from: &str, to: &str) {
    match schema {
        Json::String(name) if name == from => to.clone_into(name),
        Json::Array(branches) => branches.iter_mut().for_each(|branch| refer(branch, from, to)),
        Json::Object(members) => {
            for part in ["type", "items", "values"] {
                if let Some(part) = members.get_mut(part) {
                    refer(part, from, to);
                }
            }
            if let Some(Json::Array(fields)) = members.get_mut("fields") {
                for field in fields {
                    refer(field, from, to);
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

//! The text of a `.proto` file, with the names in it resolved.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::DescriptorPool;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto};

use crate::schema::google;

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar(Type),
    /// A message or an enum of this file, by its full name.
    Message(String),
    Enum(String),
    Group(String),
    /// A message of Google's that is imported, by its full name: it is the same for everybody.
    Known(String),
    /// A type of another file that is imported, whose name is all that is known of it.
    Imported(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// At most one, and a value that is the type's default is not written.
    Implicit,
    /// At most one.
    Optional,
    Required,
    Repeated,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: i32,
    pub(super) kind: Kind,
    pub(super) count: Count,
    pub(super) oneof: Option<String>,
    pub(super) default: Option<String>,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) fields: Vec<Field>,
    pub(super) is_map_entry: bool,
    /// First and last number of each reserved range, both inclusive.
    reserved: Vec<(i32, i32)>,
}

impl Message {
    pub(super) fn field(&self, number: i32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    pub(super) fn reserves(&self, number: i32) -> bool {
        self.reserved.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    fn check(&self, name: &str) -> Result<(), String> {
        let mut numbers = BTreeSet::new();
        for field in &self.fields {
            if !numbers.insert(field.number) {
                return Err(format!("two fields of `{name}` have the number {}", field.number));
            }
            if self.reserves(field.number) {
                return Err(format!("the field `{}` of `{name}` has a reserved number", field.name));
            }
        }
        Ok(())
    }
}

/// A file.
#[derive(Debug)]
pub(super) struct File {
    messages: BTreeMap<String, Message>,
    /// The names and numbers of each enum, in their order.
    enums: BTreeMap<String, Vec<(String, i32)>>,
    /// The full names of the messages, nested ones below their own: what a message's place in the file leads to.
    places: Vec<Place>,
    is_open: bool,
}

#[derive(Debug)]
struct Place {
    name: String,
    inner: Vec<Place>,
}

impl File {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file = protox_parse::parse("schema.proto", text).map_err(|e| format!("{e:?}"))?;
        let is_open = match file.syntax() {
            "" | "proto2" => false,
            "proto3" => true,
            other => return Err(format!("the syntax `{other}` is not known")),
        };
        let pool = google::pool();
        let mut found = Found {
            known: (!file.dependency.is_empty()).then_some(&pool),
            has_others: file.dependency.iter().any(|import| pool.get_file_by_name(import).is_none()),
            is_open,
            ..Found::default()
        };
        let package = file.package().to_owned();
        for one in &file.enum_type {
            found.enums.insert(joined(&package, one.name()), one);
        }
        let places = file.message_type.iter().map(|one| found.collect(&package, one)).collect();
        let messages = found
            .messages
            .iter()
            .map(|(name, one)| Ok((name.clone(), found.message(name, one)?)));
        let messages = messages.collect::<Result<BTreeMap<_, _>, String>>()?;
        for (name, message) in &messages {
            message.check(name)?;
        }
        let values = |one: &EnumDescriptorProto| one.value.iter().map(|value| (value.name().to_owned(), value.number())).collect();
        Ok(Self {
            messages,
            enums: found.enums.iter().map(|(name, one)| (name.clone(), values(one))).collect(),
            places,
            is_open,
        })
    }

    /// Whether enums keep numbers that they do not name, and fields without a label say nothing of their presence: `proto3`.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn message(&self, name: &str) -> Option<&Message> {
        self.messages.get(name)
    }

    pub(super) fn values(&self, name: &str) -> &[(String, i32)] {
        self.enums.get(name).map_or(&[], Vec::as_slice)
    }

    /// The full name of the message at a place.
    pub(super) fn message_at(&self, index: &[u32]) -> Option<String> {
        let (mut here, mut found) = (&self.places, None);
        for position in index {
            let place = here.get(usize::try_from(*position).ok()?)?;
            (here, found) = (&place.inner, Some(place));
        }
        found.map(|place| place.name.clone())
    }
}

/// What a file defines, before names are resolved.
#[derive(Default)]
struct Found<'a> {
    messages: BTreeMap<String, &'a DescriptorProto>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
    /// Google's own files, if the file imports any.
    known: Option<&'a DescriptorPool>,
    /// Whether it imports files of which nothing is known here.
    has_others: bool,
    is_open: bool,
}

impl<'a> Found<'a> {
    fn collect(&mut self, scope: &str, message: &'a DescriptorProto) -> Place {
        let name = joined(scope, message.name());
        self.messages.insert(name.clone(), message);
        for one in &message.enum_type {
            self.enums.insert(joined(&name, one.name()), one);
        }
        let mut inner = Vec::new();
        for one in &message.nested_type {
            let place = self.collect(&name, one);
            // The text does not have the message that a map's entries are, and places count what the text has.
            if !is_map_entry(one) {
                inner.push(place);
            }
        }
        Place { name, inner }
    }

    fn message(&self, name: &str, message: &DescriptorProto) -> Result<Message, String> {
        let fields = message.field.iter().map(|field| {
            let mut oneof = None;
            if !field.proto3_optional() {
                let index = field.oneof_index.and_then(|index| usize::try_from(index).ok());
                oneof = index
                    .and_then(|index| message.oneof_decl.get(index))
                    .map(|one| one.name().to_owned());
            }
            Ok(Field {
                name: field.name().to_owned(),
                number: field.number(),
                kind: self.kind(name, field)?,
                count: self.count(field, oneof.is_some()),
                oneof,
                default: field.default_value.clone(),
            })
        });
        Ok(Message {
            fields: fields.collect::<Result<_, String>>()?,
            is_map_entry: is_map_entry(message),
            // The end of a range is not part of it.
            reserved: message
                .reserved_range
                .iter()
                .map(|range| (range.start(), range.end() - 1))
                .collect(),
        })
    }

    fn count(&self, field: &FieldDescriptorProto, is_choice: bool) -> Count {
        match field.label() {
            Label::Repeated => Count::Repeated,
            Label::Required => Count::Required,
            Label::Optional if !self.is_open || is_choice || field.proto3_optional() => Count::Optional,
            Label::Optional => Count::Implicit,
        }
    }

    fn kind(&self, scope: &str, field: &FieldDescriptorProto) -> Result<Kind, String> {
        let Some(name) = field.type_name.as_deref() else {
            return Ok(Kind::Scalar(field.r#type()));
        };
        let is_group = field.r#type == Some(Type::Group as i32);
        let resolve = |full: String| {
            if self.messages.contains_key(&full) {
                Some(if is_group { Kind::Group(full) } else { Kind::Message(full) })
            } else if self.enums.contains_key(&full) {
                Some(Kind::Enum(full))
            } else if self.known?.get_message_by_name(&full).is_some() {
                Some(Kind::Known(full))
            } else {
                self.known?.get_enum_by_name(&full).map(|_| Kind::Imported(full))
            }
        };
        if let Some(absolute) = name.strip_prefix('.') {
            return resolve(absolute.to_owned()).map_or_else(|| self.imported(absolute), Ok);
        }
        // From the innermost scope outwards.
        let mut scope = scope;
        loop {
            if let Some(kind) = resolve(joined(scope, name)) {
                return Ok(kind);
            }
            if scope.is_empty() {
                return self.imported(name);
            }
            scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
    }

    fn imported(&self, name: &str) -> Result<Kind, String> {
        if self.has_others {
            Ok(Kind::Imported(name.to_owned()))
        } else if self.known.is_some() {
            Err(format!("the type `{name}` is neither in the file nor in one that it imports"))
        } else {
            Err(format!("the type `{name}` is not in the file, and the file imports none"))
        }
    }
}

fn joined(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_no_place_in_the_file() {
        let file = File::parse("syntax = \"proto3\"; message A { map<string, int64> m = 1; message B {} }").unwrap();
        assert_eq!(file.message_at(&[0, 0]).as_deref(), Some("A.B"));
        assert_eq!(file.message_at(&[0, 1]), None);
        assert!(file.message("A.MEntry").is_some_and(|entry| entry.is_map_entry));
    }

    #[test]
    fn a_type_is_found_in_the_file_in_google_s_and_else_taken_for_one_that_is_imported() {
        let kind = |import: &str, name: &str| -> Result<Kind, String> {
            let import = if import.is_empty() {
                String::new()
            } else {
                format!("import \"{import}\";")
            };
            let file = File::parse(&format!(
                "syntax = \"proto3\"; package google; {import} message A {{ {name} a = 1; }}"
            ))?;
            Ok(file.message("google.A").unwrap().fields[0].kind.clone())
        };
        let timestamp = || Ok(Kind::Known("google.protobuf.Timestamp".to_owned()));
        for name in ["google.protobuf.Timestamp", ".google.protobuf.Timestamp", "protobuf.Timestamp"] {
            assert_eq!(kind("google/protobuf/timestamp.proto", name), timestamp(), "{name}");
        }
        // Of a number it is told which one it is, and not that it is a message.
        let null = "google.protobuf.NullValue".to_owned();
        assert_eq!(kind("google/protobuf/struct.proto", &null), Ok(Kind::Imported(null)));
        assert_eq!(kind("money.proto", "Money"), Ok(Kind::Imported("Money".to_owned())));
        for (import, name, why) in [
            (
                "google/protobuf/timestamp.proto",
                "Mony",
                "neither in the file nor in one that it imports",
            ),
            ("", "Mony", "the file imports none"),
            ("", "google.protobuf.Timestamp", "the file imports none"),
        ] {
            let error = kind(import, name).unwrap_err();
            assert!(error.contains(why) && error.contains(&format!("`{name}`")), "{error}");
        }
    }
}

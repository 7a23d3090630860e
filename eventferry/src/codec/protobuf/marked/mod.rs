//! Shows a payload as JSON, without what its file marks as personal.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};
use serde_json::{Map, Value as Json};

use crate::codec::protobuf::Parsed;
use crate::codec::shown;

/// The option of Protobuf's own, on fields and on the values of enums: not to be shown.
const REDACT: &str = "debug_redact";
/// What the name of an option begins with that a file declares for itself: for fields, messages, choices, enums and their values. It may go on,
/// because options of one scope have names of their own.
const SENSITIVE: &str = "x_sensitive";

/// Messages of Google's in which anything may stand.
const OPEN: [&str; 4] = [
    "google.protobuf.Any",
    "google.protobuf.Struct",
    "google.protobuf.Value",
    "google.protobuf.ListValue",
];

/// A message with what its file marks.
pub(crate) struct Marked {
    message: MessageDescriptor,
    /// Full names of fields, messages, enums and their values.
    personal: HashSet<String>,
}

impl Marked {
    pub(crate) fn new(parsed: &Parsed) -> Self {
        let mut personal = HashSet::new();
        learn(parsed.message(), &mut personal, &mut HashSet::new());
        Self {
            message: parsed.message().clone(),
            personal,
        }
    }

    /// Whether a field, or whatever is of its type, is personal.
    pub(crate) fn is_personal(&self, field: &FieldDescriptor) -> bool {
        self.personal.contains(field.full_name()) || self.is_type_personal(&field.kind())
    }

    /// Whether a message is personal wherever it stands.
    pub(crate) fn is_message_personal(&self, message: &MessageDescriptor) -> bool {
        self.personal.contains(message.full_name())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "other types have no names, and so no options")]
    fn is_type_personal(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Message(entry) if entry.is_map_entry() => self.is_type_personal(&entry.map_entry_value_field().kind()),
            Kind::Message(message) => self.is_message_personal(message),
            Kind::Enum(symbols) => self.personal.contains(symbols.full_name()),
            _ => false,
        }
    }

    /// The payload as JSON; none if it is no message of the file.
    pub(crate) fn masked(&self, bytes: &[u8]) -> Option<Json> {
        let message = DynamicMessage::decode(self.message.clone(), bytes).ok()?;
        Some(self.shown(&message))
    }

    fn shown(&self, message: &DynamicMessage) -> Json {
        let descriptor = message.descriptor();
        if OPEN.contains(&descriptor.full_name()) || self.is_message_personal(&descriptor) {
            return shown::hidden();
        }
        let mut all = Map::new();
        for (field, value) in message.fields() {
            let shown = if self.is_personal(&field) {
                shown::hidden()
            } else {
                self.field(&field, value)
            };
            all.insert(field.name().to_owned(), shown);
        }
        // What the file does not declare, and what it declares beside the message.
        for _ in 0..message.unknown_fields().count() + message.extensions().count() {
            all.insert(shown::unnamed(&all), shown::hidden());
        }
        all.into()
    }

    fn field(&self, field: &FieldDescriptor, value: &Value) -> Json {
        match (value, field.kind()) {
            (Value::List(items), kind) => items.iter().map(|item| self.value(&kind, item)).collect(),
            (Value::Map(members), Kind::Message(entry)) => {
                let kind = entry.map_entry_value_field().kind();
                let mut values: Vec<_> = members.values().map(|value| self.value(&kind, value)).collect();
                // What a map's keys are is nowhere declared. Its values are put in an order so that a payload always looks the same.
                values.sort_by_cached_key(Json::to_string);
                let mut all = Map::new();
                for value in values {
                    all.insert(shown::unnamed(&all), value);
                }
                all.into()
            }
            (value, kind) => self.value(&kind, value),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only an enum has numbers with names")]
    fn value(&self, kind: &Kind, value: &Value) -> Json {
        match value {
            Value::Bool(value) => (*value).into(),
            Value::I32(value) => (*value).into(),
            Value::I64(value) => (*value).into(),
            Value::U32(value) => (*value).into(),
            Value::U64(value) => (*value).into(),
            Value::F32(value) => shown::float(value),
            Value::F64(value) => shown::float(value),
            Value::String(value) => value.as_str().into(),
            Value::Bytes(value) => shown::bytes(value),
            Value::EnumNumber(number) => match kind {
                Kind::Enum(symbols) => self.symbol(symbols, *number),
                _ => shown::hidden(),
            },
            Value::Message(message) => self.shown(message),
            // Neither stands within the other.
            Value::List(_) | Value::Map(_) => shown::hidden(),
        }
    }

    /// A number that the enum has not is a value that nobody declared.
    fn symbol(&self, symbols: &EnumDescriptor, number: i32) -> Json {
        match symbols.get_value(number) {
            Some(symbol) if !self.personal.contains(symbol.full_name()) => symbol.name().into(),
            Some(_) | None => shown::hidden(),
        }
    }
}

/// Adds what a message and the types of its fields mark.
fn learn(message: &MessageDescriptor, personal: &mut HashSet<String>, seen: &mut HashSet<String>) {
    if !seen.insert(message.full_name().to_owned()) {
        return;
    }
    if marks(&message.options()) {
        personal.insert(message.full_name().to_owned());
    }
    for field in message.fields() {
        if marks(&field.options()) || field.containing_oneof().is_some_and(|choice| marks(&choice.options())) {
            personal.insert(field.full_name().to_owned());
        }
        if let Kind::Message(inner) = field.kind() {
            learn(&inner, personal, seen);
        }
        if let Kind::Enum(symbols) = field.kind() {
            if marks(&symbols.options()) {
                personal.insert(symbols.full_name().to_owned());
            }
            let hidden = symbols.values().filter(|symbol| marks(&symbol.options()));
            personal.extend(hidden.map(|symbol| symbol.full_name().to_owned()));
        }
    }
}

/// Whether options mark what they stand on.
fn marks(options: &DynamicMessage) -> bool {
    let redacts = options.get_field_by_name(REDACT);
    let is_no = |value: &Value| value.as_bool() == Some(false);
    redacts.is_some_and(|value| value.as_bool() == Some(true))
        || options
            .extensions()
            .any(|(option, value)| option.name().starts_with(SENSITIVE) && !is_no(value))
}

//! Fields of a `.proto` file.

use prost_reflect::{Cardinality, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};

use crate::codec::protobuf::{Marked, Parsed};
use crate::registry::documents::catalogue::{DEEPEST, Listed, Member, joined};
use crate::registry::documents::words::{cell, code};
use crate::schema::Schema;

/// None if the schema is no such file.
pub(super) fn members(schema: &Schema) -> Option<Listed> {
    let parsed = Parsed::of(schema).ok()?;
    let message = parsed.message();
    let mut catalogue = Catalogue {
        marked: Marked::new(&parsed),
        members: Vec::new(),
        within: Vec::new(),
    };
    let personal = catalogue.marked.is_message_personal(message);
    catalogue.message(message, "", personal, 0);
    Some(Listed {
        description: comment(&message.parent_file(), message.path()),
        members: catalogue.members,
    })
}

struct Catalogue {
    marked: Marked,
    members: Vec<Member>,
    /// The messages that are being listed.
    within: Vec<String>,
}

impl Catalogue {
    fn message(&mut self, message: &MessageDescriptor, path: &str, personal: bool, depth: usize) {
        let name = message.full_name();
        // Google's messages are known by their names.
        if depth == DEEPEST || name.starts_with("google.protobuf.") || self.within.iter().any(|around| around == name) {
            return;
        }
        self.within.push(name.to_owned());
        for field in message.fields() {
            self.field(&field, path, personal, depth);
        }
        self.within.pop();
    }

    fn field(&mut self, field: &FieldDescriptor, path: &str, personal: bool, depth: usize) {
        let personal = personal || self.marked.is_personal(field);
        let path = joined(path, field.name());
        let mut value = field.kind();
        let (mut kind, mut inner) = (words(&value), path.clone());
        if let (true, Kind::Message(entry)) = (field.is_map(), &field.kind()) {
            value = entry.map_entry_value_field().kind();
            kind = format!("map of {} to {}", words(&entry.map_entry_key_field().kind()), words(&value));
            inner = joined(&path, "*");
        } else if field.is_list() {
            kind = format!("repeated {kind}");
            inner = format!("{path}[]");
        }
        let mut rules = vec![format!("field {}", field.number())];
        if let Kind::Enum(symbols) = &value {
            let symbols: Vec<_> = symbols.values().map(|symbol| code(symbol.name())).collect();
            rules.push(format!("one of {}", symbols.join(", ")));
        }
        if let Some(choice) = field.containing_oneof().filter(|choice| !choice.is_synthetic()) {
            rules.push(format!("one at most of {}", code(choice.name())));
        }
        self.members.push(Member {
            path,
            kind,
            // Without presence its absence means its default, so that a reader always has a value.
            always: field.cardinality() == Cardinality::Required || !(field.supports_presence() || field.is_list() || field.is_map()),
            rules: rules.join(", "),
            personal,
            description: comment(&field.parent_message().parent_file(), field.path()),
        });
        if let Kind::Message(message) = value {
            self.message(&message, &inner, personal, depth + 1);
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others are called as the language calls them")]
fn words(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => format!("message {}", cell(message.name())),
        Kind::Enum(symbols) => format!("enum {}", cell(symbols.name())),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

/// What stands before a declaration, and behind it.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let file = file.file_descriptor_proto();
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let found = locations.filter(|location| location.path == path);
    let texts = found.flat_map(|location| [&location.leading_comments, &location.trailing_comments]);
    texts.flatten().map(|text| text.trim()).collect::<Vec<_>>().join(" ")
}

//! A `.proto` file, parsed, and messages held against it.

use std::fmt::Debug;

use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};

use crate::codec::kept::Kept;
use crate::codec::protobuf::strict::undeclared;
use crate::codec::{CodecError, Contract, Violation};
use crate::schema::{Schema, google};

/// The most violations that one error tells of.
pub(super) const MOST: usize = 16;

pub(super) static KEPT: Kept<Parsed> = Kept::new();

/// A message of a parsed `.proto` file.
#[derive(Debug)]
pub struct Parsed(MessageDescriptor);

impl Parsed {
    pub(super) fn new(text: &str, path: &str, message: &str) -> Result<Self, CodecError> {
        // `Debug` of both errors has the line and the column besides.
        let wrong = |what: &dyn Debug| CodecError::schema(format!("`{path}` is no `.proto` file: {what:?}"));
        let file = protox_parse::parse(path, text).map_err(|e| wrong(&e))?;
        let mut pool = google::pool();
        if let Some(missing) = file.dependency.iter().find(|import| pool.get_file_by_name(import).is_none()) {
            return Err(not_imported(path, missing));
        }
        let package = file.package().to_owned();
        pool.add_file_descriptor_proto(file).map_err(|e| wrong(&e))?;
        let found = pool
            .get_message_by_name(message)
            .or_else(|| pool.get_message_by_name(&format!("{package}.{message}")))
            .filter(|found| found.parent_file().name() == path);
        found.map(Self).ok_or_else(|| {
            let file = pool.get_file_by_name(path);
            let mut names = Vec::new();
            if let Some(file) = file {
                name_all(file.messages(), &mut names);
            }
            CodecError::schema(if names.is_empty() {
                format!("`{path}` has no message `{message}`, and no other")
            } else {
                let names = names.join(", ");
                format!("`{path}` has no message `{message}`; it has {names}. Name one with `message = \"…\"`")
            })
        })
    }

    /// The message that a schema names.
    pub(crate) fn of(schema: &Schema) -> Result<Self, CodecError> {
        Self::new(&schema.text, "schema.proto", &schema.name)
    }

    pub(crate) fn message(&self) -> &MessageDescriptor {
        &self.0
    }

    pub(super) fn name(&self) -> &str {
        self.0.full_name()
    }

    /// The positions that lead to the message in its file, outermost first.
    ///
    /// Positions in the text: the messages that the compiler makes of maps have none, or readers that parse the text would find another.
    pub(super) fn index(&self) -> Vec<u32> {
        let mut index = Vec::new();
        let mut here = Some(self.0.clone());
        while let Some(message) = here {
            let parent = message.parent_message();
            let siblings: Vec<_> = match &parent {
                Some(parent) => parent.child_messages().collect(),
                None => message.parent_file().messages().collect(),
            };
            let before = siblings.iter().take_while(|sibling| **sibling != message);
            let place = before.filter(|sibling| !sibling.is_map_entry()).count();
            index.push(u32::try_from(place).unwrap_or(u32::MAX));
            here = parent;
        }
        index.reverse();
        index
    }

    /// Refuses what a writer may not put there, or what a reader cannot take. A reader passes what a newer writer of the same version added:
    /// fields and cases that its own file does not have.
    pub(super) fn check(&self, bytes: &[u8], contract: Contract) -> Result<(), CodecError> {
        let wrong = || CodecError::decode("it is no such Protobuf message");
        let message = DynamicMessage::decode(self.0.clone(), bytes).map_err(|_| wrong())?;
        let mut found = Vec::new();
        missing(&message, "", &mut found);
        if contract == Contract::Written {
            undeclared(&self.0, bytes, "", 0, &mut found).ok_or_else(wrong)?;
        }
        if found.is_empty() {
            return Ok(());
        }
        found.truncate(MOST);
        Err(CodecError::refused(found))
    }
}

/// Only what is in the schema's own text reaches a registry and those who read with it.
fn not_imported(path: &str, missing: &str) -> CodecError {
    CodecError::schema(if missing.starts_with("google/protobuf/") {
        let known = google::FILES.map(|name| format!("`{name}`")).join(", ");
        format!("`{path}` imports `{missing}`, which Google's files have not; below `google/protobuf/` they are {known}")
    } else {
        format!(
            "`{path}` imports `{missing}`: a schema is one file, and only Google's own (`google/protobuf/…`) can be imported. \
             Put what it uses of `{missing}` into `{path}`"
        )
    })
}

/// The messages of a file that can be named, those within others included.
fn name_all(messages: impl Iterator<Item = MessageDescriptor>, names: &mut Vec<String>) {
    for message in messages.filter(|message| !message.is_map_entry()) {
        names.push(format!("`{}`", message.full_name()));
        name_all(message.child_messages(), names);
    }
}

/// Adds what has to be there and is not.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "lists and maps have values in them, all others are values"
)]
fn missing(message: &DynamicMessage, at: &str, found: &mut Vec<Violation>) {
    if found.len() >= MOST {
        return;
    }
    for field in message
        .descriptor()
        .fields()
        .filter(|field| field.is_required() && !message.has_field(field))
    {
        found.push(Violation::new(format!("{at}/{}", field.name()), "required", "must be there"));
    }
    for (field, value) in message.fields() {
        let at = format!("{at}/{}", field.name());
        match value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Value::Message(inner) = item {
                        missing(inner, &format!("{at}/{index}"), found);
                    }
                }
            }
            Value::Map(members) => {
                for member in members.values() {
                    if let Value::Message(inner) = member {
                        missing(inner, &format!("{at}/*"), found);
                    }
                }
            }
            Value::Message(inner) => missing(inner, &at, found),
            _ => {}
        }
    }
}

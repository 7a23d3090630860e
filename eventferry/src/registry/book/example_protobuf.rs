//! Payloads made from a `.proto` file, as Protobuf writes them: always the same ones for the same file.

use std::collections::HashMap;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use crate::registry::book::example::Form;
use crate::schema::Schema;

/// How deep a message that contains itself is followed.
const DEEPEST: usize = 8;

/// A `.proto` file, and the message of it that is made.
pub(super) struct File {
    file: FileDescriptorProto,
    index: Vec<u32>,
}

impl File {
    pub(super) fn parse(schema: &Schema) -> Result<Self, String> {
        let file = protox_parse::parse("schema.proto", &schema.text).map_err(|e| e.to_string())?;
        Ok(Self {
            file,
            index: schema.message_index.clone(),
        })
    }

    /// A message in one of its forms, and how many forms it saw; none where it has no end or is not understood.
    pub(super) fn one(&self, form: Form) -> Option<(Vec<u8>, usize)> {
        let mut maker = Maker {
            messages: HashMap::new(),
            enums: HashMap::new(),
            form,
            forms: 1,
        };
        let package = self.file.package();
        for one in &self.file.enum_type {
            maker.enums.insert(joined(package, one.name()), one);
        }
        for one in &self.file.message_type {
            maker.learn(package, one);
        }
        let (mut here, mut name) = (&self.file.message_type, package.to_owned());
        let mut found = None;
        for at in &self.index {
            // The text does not have the message that a map's entries are, and places count what the text has.
            let written = here
                .iter()
                .filter(|one| !one.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry));
            let message = written.into_iter().nth(usize::try_from(*at).ok()?)?;
            name = joined(&name, message.name());
            here = &message.nested_type;
            found = Some(message);
        }
        let mut bytes = Vec::new();
        maker.message(found?, &name, 0, &mut bytes)?;
        Some((bytes, maker.forms))
    }
}

struct Maker<'a> {
    messages: HashMap<String, &'a DescriptorProto>,
    enums: HashMap<String, &'a EnumDescriptorProto>,
    form: Form,
    /// The most forms that were seen at one place.
    forms: usize,
}

impl<'a> Maker<'a> {
    fn learn(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = joined(scope, message.name());
        for one in &message.enum_type {
            self.enums.insert(joined(&name, one.name()), one);
        }
        for one in &message.nested_type {
            self.learn(&name, one);
        }
        self.messages.insert(name, message);
    }

    fn choose(&mut self, several: usize) -> Option<usize> {
        self.forms = self.forms.max(several);
        (several > 0).then(|| self.form.turn.min(several - 1))
    }

    fn message(&mut self, message: &'a DescriptorProto, scope: &str, depth: usize, to: &mut Vec<u8>) -> Option<()> {
        // Of each choice the member that it is the turn of.
        let mut chosen = HashMap::new();
        for choice in 0..message.oneof_decl.len() {
            let index = i32::try_from(choice).ok()?;
            let members = || message.field.iter().filter(move |field| is_choice(field, index));
            if let Some(at) = self.choose(members().count()) {
                chosen.insert(index, members().nth(at)?.number());
            }
        }
        let is_entry = message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry);
        for field in &message.field {
            let is_required = field.label() == Label::Required;
            let choice = field.oneof_index.filter(|_| !field.proto3_optional());
            let is_left_out = match choice {
                Some(choice) => self.form.least || chosen.get(&choice) != Some(&field.number()),
                None => self.form.least && !is_required && !is_entry,
            };
            if is_left_out {
                continue;
            }
            let mut bytes = Vec::new();
            match self.field(field, scope, depth, &mut bytes) {
                Some(()) => to.append(&mut bytes),
                None if is_required => return None,
                None => {}
            }
        }
        Some(())
    }

    /// One value of a field; none for what the file does not define.
    fn field(&mut self, field: &FieldDescriptorProto, scope: &str, depth: usize, to: &mut Vec<u8>) -> Option<()> {
        let number = u64::try_from(field.number()).ok()?;
        let tag = |wire: u64, to: &mut Vec<u8>| varint(number << 3 | wire, to);
        if let Some(name) = &field.type_name {
            let full = self.resolved(name, scope)?;
            if let Some(one) = self.enums.get(&full).copied() {
                let at = self.choose(one.value.len())?;
                tag(0, to);
                varint(i64::from(one.value[at].number()).cast_unsigned(), to);
                return Some(());
            }
            let message = self
                .messages
                .get(&full)
                .copied()
                .filter(|_| depth < DEEPEST && field.r#type != Some(Type::Group as i32))?;
            let mut inner = Vec::new();
            self.message(message, &full, depth + 1, &mut inner)?;
            tag(2, to);
            text(&inner, to);
            return Some(());
        }
        match field.r#type() {
            Type::Double => {
                tag(1, to);
                to.extend(1.5_f64.to_le_bytes());
            }
            Type::Float => {
                tag(5, to);
                to.extend(1.5_f32.to_le_bytes());
            }
            Type::Fixed64 | Type::Sfixed64 => {
                tag(1, to);
                to.extend(1_u64.to_le_bytes());
            }
            Type::Fixed32 | Type::Sfixed32 => {
                tag(5, to);
                to.extend(1_u32.to_le_bytes());
            }
            Type::Int64 | Type::Uint64 | Type::Int32 | Type::Uint32 | Type::Bool => {
                tag(0, to);
                varint(1, to);
            }
            // One, with the sign in the lowest bit.
            Type::Sint32 | Type::Sint64 => {
                tag(0, to);
                varint(2, to);
            }
            Type::String | Type::Bytes => {
                tag(2, to);
                text(field.name().as_bytes(), to);
            }
            Type::Group | Type::Message | Type::Enum => return None,
        }
        Some(())
    }

    /// The full name of a type that a message names, from the innermost scope outwards.
    fn resolved(&self, name: &str, mut scope: &str) -> Option<String> {
        let known = |full: &String| self.messages.contains_key(full) || self.enums.contains_key(full);
        if let Some(absolute) = name.strip_prefix('.') {
            return Some(absolute.to_owned()).filter(known);
        }
        loop {
            let full = joined(scope, name);
            if known(&full) {
                return Some(full);
            }
            if scope.is_empty() {
                return None;
            }
            scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
    }
}

fn is_choice(field: &FieldDescriptorProto, index: i32) -> bool {
    field.oneof_index == Some(index) && !field.proto3_optional()
}

fn joined(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

fn varint(mut number: u64, to: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return to.push(low & 0x7f);
        }
        to.push(low | 0x80);
    }
}

fn text(bytes: &[u8], to: &mut Vec<u8>) {
    varint(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SchemaKind;

    fn made(text: &str, turn: usize, least: bool) -> Vec<u8> {
        let file = File::parse(&Schema::new(SchemaKind::Protobuf, "M", text)).unwrap();
        file.one(Form { turn, least }).unwrap().0
    }

    #[test]
    fn messages_are_as_protobuf_writes_them() {
        let file = r#"syntax = "proto3"; package a.b;
            message M {
                enum E { ZERO = 0; MINUS = -1; }
                message Inner { optional string s = 1; M again = 2; }
                int32 n = 1; sint64 z = 2; fixed32 f = 3; double d = 4; bool y = 5; E e = 6; repeated Inner i = 7;
                map<string, a.b.M.E> m = 8;
                oneof choice { string left = 20; bytes right = 21; }
            }"#;
        let full = made(file, 0, false);
        assert!(
            full.starts_with(b"\x08\x01\x10\x02\x1d\x01\0\0\0\x21\0\0\0\0\0\0\xf8\x3f\x28\x01\x30\x00\x3a"),
            "{full:02x?}"
        );
        assert!(full.ends_with(b"\xa2\x01\x04left"), "{full:02x?}");
        let other = made(file, 1, false);
        assert!(other.ends_with(b"\xaa\x01\x05right"), "{other:02x?}");
        assert!(
            other
                .windows(11)
                .any(|bytes| bytes == b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            "{other:02x?}"
        );
        assert_eq!(made(file, 0, true), b"");
        let required = r#"syntax = "proto2"; message M { required string s = 1; optional int32 n = 2; }"#;
        assert_eq!(made(required, 0, true), b"\x0a\x01s");
    }
}

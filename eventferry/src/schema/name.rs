//! The name of what a schema describes, read from its text: a registry does not tell it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::schema::SchemaKind;

/// An Avro record's full name, a JSON Schema's title, the full name of the first message of a `.proto` file; empty where there is none.
pub(crate) fn of(kind: SchemaKind, text: &str) -> String {
    let name = match kind {
        SchemaKind::Json => json(text),
        SchemaKind::Avro => avro(text),
        SchemaKind::Protobuf => message(text, &[0]),
    };
    name.unwrap_or_default()
}

fn json(text: &str) -> Option<String> {
    let schema: Value = serde_json::from_str(text).ok()?;
    Some(schema.get("title")?.as_str()?.to_owned())
}

fn avro(text: &str) -> Option<String> {
    let schema: Value = serde_json::from_str(text).ok()?;
    let name = schema.get("name")?.as_str()?;
    match schema.get("namespace").and_then(Value::as_str) {
        // A name with a dot is full already.
        Some(space) if !space.is_empty() && !name.contains('.') => Some(format!("{space}.{name}")),
        _ => Some(name.to_owned()),
    }
}

/// The full name of the message of a `.proto` file that these positions lead to, outermost first; none if there is no such message.
///
/// In place of a text there may be a compiled file (a `FileDescriptorProto`) in base 64: some clients register that, and some registries give it
/// out as they got it.
pub(crate) fn message(text: &str, index: &[u32]) -> Option<String> {
    match STANDARD.decode(text.trim()) {
        Ok(compiled) if !compiled.is_empty() => compiled_message(&compiled, index),
        Ok(_) | Err(_) => written_message(text, index),
    }
}

/// Of a `FileDescriptorProto`: 2 is the package, 4 a message; of a message 1 is the name, 3 a message within.
fn compiled_message(mut file: &[u8], index: &[u32]) -> Option<String> {
    let part = |bytes, number, place: u32| {
        fields(bytes)
            .filter(|(found, _)| *found == number)
            .nth(usize::try_from(place).ok()?)
    };
    let mut names = Vec::new();
    if let Some((_, package)) = part(file, 2, 0) {
        names.push(std::str::from_utf8(package).ok()?);
    }
    let mut number = 4;
    for place in index {
        (_, file) = part(file, number, *place)?;
        names.push(std::str::from_utf8(part(file, 1, 0)?.1).ok()?);
        number = 3;
    }
    (number == 3).then(|| names.join("."))
}

/// The numbers and bytes of an encoded message's fields that have a length; it ends where it cannot be read any more.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let tag = varint(&mut bytes)?;
            match tag & 7 {
                0 => drop(varint(&mut bytes)?),
                1 => bytes = bytes.get(8..)?,
                5 => bytes = bytes.get(4..)?,
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    let (found, rest) = bytes.split_at_checked(length)?;
                    bytes = rest;
                    return Some((tag >> 3, found));
                }
                _ => return None,
            }
        }
    })
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn written_message(text: &str, index: &[u32]) -> Option<String> {
    let mut words = words(text).into_iter();
    let (mut package, mut names) = (None, Vec::new());
    let (mut left, mut index) = (*index.first()?, index);
    let mut starts = true;
    while let Some(word) = words.next() {
        match word {
            "package" if starts && names.is_empty() => package = words.next(),
            // Only at the start of a statement: a field may be called so.
            "message" if starts && left > 0 => left -= 1,
            "message" if starts => {
                names.push(words.next()?);
                index = &index[1..];
                let Some(inner) = index.first() else {
                    return Some(package.into_iter().chain(names).collect::<Vec<_>>().join("."));
                };
                left = *inner;
                // Into its body.
                words.next().filter(|word| *word == "{")?;
                starts = true;
                continue;
            }
            // The body of whatever is not looked into.
            "{" => {
                let mut depth = 1_u32;
                while depth > 0 {
                    match words.next()? {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                }
                starts = true;
                continue;
            }
            // The end of the body that was looked into.
            "}" => return None,
            _ => {}
        }
        starts = word == ";";
    }
    None
}

/// The words, braces and semicolons of a `.proto` file, without comments and texts.
fn words(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if matches!(c, '"' | '\'') {
            text_length(rest, c)
        } else if matches!(c, '{' | '}' | ';') {
            found.push(&rest[..1]);
            1
        } else if c.is_alphanumeric() || c == '_' {
            let length = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
                .unwrap_or(rest.len());
            found.push(&rest[..length]);
            length
        } else {
            c.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

fn text_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_text() {
        let avro = |text| of(SchemaKind::Avro, text);
        assert_eq!(avro(r#"{"type":"record","name":"A","namespace":"shop","fields":[]}"#), "shop.A");
        assert_eq!(avro(r#"{"type":"record","name":"shop.A","namespace":"other"}"#), "shop.A");
        assert_eq!(avro(r#"{"type":"record","name":"A","namespace":""}"#), "A");
        assert_eq!(avro(r#""string""#), "");
        assert_eq!(of(SchemaKind::Json, r#"{"title":"A","type":"object"}"#), "A");
        assert_eq!(of(SchemaKind::Json, "true"), "");
        assert_eq!(of(SchemaKind::Json, "{"), "");
    }

    #[test]
    fn messages_of_a_file_are_found_by_their_place() {
        let text = r#"
            syntax = "proto3"; // message No {}
            /* message No {} */
            package shop.v1;
            option java_package = "message \" No { ";
            enum E { message = 0; }
            extend google.protobuf.FieldOptions { string message = 50000; }
            message Order {
                message Line { int32 n = 1; message Price { int64 cents = 1; } }
                string message = 1;
                oneof what { string a = 2; Line line = 3; }
                map<string, Line> lines = 4;
                message Note {}
            }
            service S { rpc Get(Order) returns (Order) { option x = 1; } }
            message Second {}"#;
        let named = |index: &[u32]| message(text, index);
        for (index, name) in [
            (&[0][..], "shop.v1.Order"),
            (&[1], "shop.v1.Second"),
            (&[0, 0], "shop.v1.Order.Line"),
            (&[0, 0, 0], "shop.v1.Order.Line.Price"),
            (&[0, 1], "shop.v1.Order.Note"),
        ] {
            assert_eq!(named(index).as_deref(), Some(name), "{index:?}");
        }
        for index in [&[][..], &[2], &[0, 2], &[1, 0], &[0, 0, 0, 0], &[u32::MAX]] {
            assert_eq!(named(index), None, "{index:?}");
        }
        assert_eq!(of(SchemaKind::Protobuf, "message A{}"), "A");
        for text in ["", "syntax = \"proto3", "enum E {", "message", "package", "/*", "}{", "ä"] {
            assert_eq!(of(SchemaKind::Protobuf, text), "", "{text}");
        }
    }

    #[test]
    fn messages_of_a_compiled_file_are_found_by_their_place() {
        // shop.Other { x }, shop.ProtoPlaced { order_id, total_cents }, shop.Wrapper { ProtoNested { .. } }, as protobuf for Python wrote it.
        let compiled = "CgxwbGFjZWQucHJvdG8SBHNob3AiFQoFT3RoZXISDAoBeBgBIAEoCVIBeCJLCgtQcm90b1BsYWNlZBIaCghvcmRlcl9pZBgBIAEoCVIIb3JkZXJfaWQSIAoLdG90\
                        YWxfY2VudHMYAiABKANSC3RvdGFsX2NlbnRzIlYKB1dyYXBwZXIaSwoLUHJvdG9OZXN0ZWQSGgoIb3JkZXJfaWQYASABKAlSCG9yZGVyX2lkEiAKC3RvdGFsX2NlbnRzGAIgASgDUgt0\
                        b3RhbF9jZW50c2IGcHJvdG8z";
        assert_eq!(message(compiled, &[0]).as_deref(), Some("shop.Other"));
        assert_eq!(message(compiled, &[1]).as_deref(), Some("shop.ProtoPlaced"));
        assert_eq!(message(compiled, &[2, 0]).as_deref(), Some("shop.Wrapper.ProtoNested"));
        for index in [&[][..], &[3], &[1, 0], &[2, 0, 0], &[u32::MAX]] {
            assert_eq!(message(compiled, index), None, "{index:?}");
        }
        // Cut anywhere, and with any byte changed, it is a name or none.
        let bytes = STANDARD.decode(compiled).unwrap();
        for at in 0..bytes.len() {
            drop(compiled_message(&bytes[..at], &[2, 0]));
            let mut other = bytes.clone();
            other[at] ^= 0xff;
            drop(compiled_message(&other, &[2, 0]));
        }
    }
}

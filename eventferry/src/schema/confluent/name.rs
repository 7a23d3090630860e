//! The name of what a schema describes, read from its text: a registry does not tell it.

use serde_json::Value;

use crate::schema::SchemaKind;

/// An Avro record's full name, a JSON Schema's title, the full name of the first message of a `.proto` file; empty where there is none.
pub(super) fn of(kind: SchemaKind, text: &str) -> String {
    let name = match kind {
        SchemaKind::Json => json(text),
        SchemaKind::Avro => avro(text),
        SchemaKind::Protobuf => protobuf(text),
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

fn protobuf(text: &str) -> Option<String> {
    let (mut package, mut words) = (None, words(text).into_iter());
    while let Some(word) = words.next() {
        match word {
            "package" => package = words.next(),
            "message" => {
                let name = words.next()?;
                return Some(package.map_or_else(|| name.to_owned(), |package| format!("{package}.{name}")));
            }
            // Whatever has a body of its own before the first message: an enum, an extension, an option.
            "{" => {
                let mut depth = 1_u32;
                while depth > 0 {
                    match words.next()? {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// The words and braces of a `.proto` file, without comments and texts.
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
        } else if matches!(c, '{' | '}') {
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
    fn the_first_message_of_a_file_is_found_behind_everything_else() {
        let text = r#"
            syntax = "proto3"; // message No {}
            /* message No {} */
            package shop.v1;
            option java_package = "message \" No { ";
            enum E { message = 0; }
            extend google.protobuf.FieldOptions { string message = 50000; }
            message Order { message Inner {} }
            message Second {}"#;
        assert_eq!(of(SchemaKind::Protobuf, text), "shop.v1.Order");
        assert_eq!(of(SchemaKind::Protobuf, "message A{}"), "A");
        for text in ["", "syntax = \"proto3", "enum E {", "message", "package", "/*", "}{", "ä"] {
            assert_eq!(of(SchemaKind::Protobuf, text), "", "{text}");
        }
    }
}

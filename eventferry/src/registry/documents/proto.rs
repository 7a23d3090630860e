//! `.proto` files as AsyncAPI's tools read them.

use crate::schema::Schema;

/// What AsyncAPI's parser takes for the message that is meant, in a comment before it.
#[cfg(feature = "protobuf")]
const MARK: &str = "// @RootNode";

/// The text with the event's message marked: where several messages are used by no other, AsyncAPI's parser takes none that is not.
#[cfg(feature = "protobuf")]
pub(super) fn marked(schema: &Schema) -> String {
    let Some(at) = line(schema) else { return schema.text.clone() };
    let mut lines: Vec<&str> = schema.text.split('\n').collect();
    let message = lines.get(at).copied().unwrap_or_default();
    let indented = message.len() - message.trim_start().len();
    let mark = format!("{}{MARK}", &message[..indented]);
    lines.insert(at, &mark);
    lines.join("\n")
}

/// What is read here needs the parser that comes with the format.
#[cfg(not(feature = "protobuf"))]
pub(super) fn marked(schema: &Schema) -> String {
    schema.text.clone()
}

/// The line that the event's message begins with; none where it is the only message, or does not begin a line.
#[cfg(feature = "protobuf")]
fn line(schema: &Schema) -> Option<usize> {
    /// The numbers of messages in a file, and in a message, as positions in source texts are told.
    const IN_FILE: i32 = 4;
    const IN_MESSAGE: i32 = 3;

    let file = protox_parse::parse("schema.proto", &schema.text).ok()?;
    if matches!(file.message_type.as_slice(), [only] if only.nested_type.is_empty()) {
        return None;
    }
    let (mut here, mut path, mut field) = (&file.message_type, Vec::new(), IN_FILE);
    for at in &schema.message_index {
        // The text does not have the message that a map's entries are, and places count what the text has.
        let mut written = here
            .iter()
            .enumerate()
            .filter(|(_, one)| !one.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry));
        let (number, message) = written.nth(usize::try_from(*at).ok()?)?;
        path.extend([field, i32::try_from(number).ok()?]);
        (here, field) = (&message.nested_type, IN_MESSAGE);
    }
    let places = file.source_code_info?.location;
    let span = &places.iter().find(|place| place.path == path)?.span;
    let (line, column) = (usize::try_from(*span.first()?).ok()?, usize::try_from(*span.get(1)?).ok()?);
    let begins = schema.text.split('\n').nth(line)?.get(..column)?;
    begins.trim().is_empty().then_some(line)
}

#[cfg(all(test, feature = "protobuf"))]
mod tests {
    use super::*;
    use crate::schema::SchemaKind;

    const TEXT: &str = "syntax = \"proto3\";\nmessage A {\n  map<string, int32> m = 1;\n  message C {}\n\n  // D it is.\n  message D {}\n}\nmessage B {}\n";

    fn marked_at(text: &str, index: &[u32]) -> String {
        let mut schema = Schema::new(SchemaKind::Protobuf, "M", text);
        schema.message_index = index.to_vec();
        marked(&schema)
    }

    #[test]
    fn the_event_s_message_is_marked_wherever_it_stands() {
        for (index, before) in [
            (&[0][..], "message A"),
            (&[1], "message B"),
            (&[0, 0], "  message C"),
            (&[0, 1], "  message D"),
        ] {
            let indent = &before[..before.len() - before.trim_start().len()];
            let expected = TEXT.replace(before, &format!("{indent}{MARK}\n{before}"));
            assert_ne!(expected, TEXT);
            assert_eq!(marked_at(TEXT, index), expected, "{index:?}");
        }
    }

    #[test]
    fn a_text_stays_as_it_is_where_there_is_nothing_to_choose_or_to_find() {
        for (text, index) in [
            ("syntax = \"proto3\";\nmessage A { int32 a = 1; }", &[0][..]),
            ("syntax = \"proto3\"; message A {} message B {}", &[1]),
            (TEXT, &[7]),
            ("no file", &[0]),
        ] {
            assert_eq!(marked_at(text, index), text);
        }
    }
}

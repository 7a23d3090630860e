//! A set as a catalogue in Markdown.

mod avro;
mod json;
#[cfg(feature = "protobuf")]
mod protobuf;

use crate::codec::EventSchema;
use crate::registry::documents::DocumentInfo;
use crate::registry::documents::words::{cell, code, line, row};
use crate::registry::{EventSet, Outbox};
use crate::schema::SchemaKind;

/// How deep members of members are listed.
const DEEPEST: usize = 8;

pub(super) fn document<S: EventSet>(info: &DocumentInfo) -> String {
    let mut text = format!("# {}\n\nVersion {}.", line(&info.title), line(&info.version));
    if let Some(description) = &info.description {
        text.extend([" ", description.trim()]);
    }
    text.push_str("\n\n| event | topic | latest version | earlier versions | content type |\n|---|---|---|---|---|\n");
    let schemas = Outbox::<S>::schemas();
    let of = |name: &str, topic: &str, latest: u32| {
        let is_latest = |schema: &&EventSchema| schema.name == name && schema.topic == topic && schema.version == latest;
        schemas.iter().find(is_latest)
    };
    for entry in S::ENTRIES {
        let mut versions = Vec::new();
        (entry.history)(&mut versions);
        let earlier: Vec<_> = versions
            .iter()
            .filter(|one| one.number != entry.version())
            .map(|one| one.number.to_string())
            .collect();
        let content_type = versions.last().map_or("", |version| version.content_type);
        let cells = [
            cell(entry.name()),
            code(entry.topic()),
            entry.version().to_string(),
            earlier.join(", "),
            code(content_type),
        ];
        text.push_str(&row(&cells));
    }
    for topic in S::TOPICS {
        text.extend(["\n## Topic ", &code(topic), "\n"]);
        for entry in S::ENTRIES.iter().filter(|entry| entry.topic() == *topic) {
            text.extend(["\n### ", &cell(entry.name()), "\n\n"]);
            if let Some(schema) = of(entry.name(), topic, entry.version()) {
                event(&mut text, schema);
            }
        }
    }
    text
}

/// What an event says, and what its payload holds.
fn event(text: &mut String, schema: &EventSchema) {
    let kind = schema.registered.as_ref().map(|schema| schema.kind);
    let listed = match (kind, &schema.registered) {
        (Some(SchemaKind::Json), _) => json::members(&schema.text),
        (Some(SchemaKind::Avro), _) => avro::members(&schema.text),
        #[cfg(feature = "protobuf")]
        (Some(SchemaKind::Protobuf), Some(schema)) => protobuf::members(schema),
        _ => None,
    };
    let Some(listed) = listed else {
        let language = kind.map_or("text", SchemaKind::extension);
        // As many ticks as end no line of the schema.
        text.extend(["````", language, "\n", schema.text.trim_end(), "\n````\n"]);
        return;
    };
    if !listed.description.trim().is_empty() {
        text.extend([listed.description.trim(), "\n\n"]);
    }
    text.push_str("| member | kind | always there | rules | personal | what it says |\n|---|---|---|---|---|---|\n");
    for member in &listed.members {
        text.push_str(&member.row());
    }
}

/// What a schema says of a payload.
#[derive(Default)]
struct Listed {
    description: String,
    members: Vec<Member>,
}

/// What a schema says of a member, in words.
struct Member {
    path: String,
    kind: String,
    always: bool,
    rules: String,
    personal: bool,
    description: String,
}

impl Member {
    fn row(&self) -> String {
        let yes = |is: bool| if is { "yes" } else { "" };
        let cells = [
            code(&self.path),
            self.kind.clone(),
            yes(self.always).to_owned(),
            self.rules.clone(),
            if self.personal { "**personal**".to_owned() } else { String::new() },
            cell(&self.description),
        ];
        row(&cells)
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

//! A set as a catalogue in Markdown.

use serde_json::{Map, Value};

use crate::codec::EventSchema;
use crate::registry::documents::DocumentInfo;
use crate::registry::documents::words::{cell, code, kind, line, row, rules};
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
    let parsed = (kind == Some(SchemaKind::Json))
        .then(|| serde_json::from_str::<Value>(&schema.text).ok())
        .flatten();
    let Some(root) = parsed else {
        let language = kind.map_or("text", SchemaKind::extension);
        // As many ticks as end no line of the schema.
        text.extend(["````", language, "\n", schema.text.trim_end(), "\n````\n"]);
        return;
    };
    if let Some(description) = root.get("description").and_then(Value::as_str) {
        text.extend([description.trim(), "\n\n"]);
    }
    text.push_str("| member | kind | always there | rules | personal | what it says |\n|---|---|---|---|---|---|\n");
    let mut catalogue = Catalogue {
        root: &root,
        rows: String::new(),
        within: Vec::new(),
    };
    catalogue.value(
        &root,
        &Place {
            path: String::new(),
            always: true,
            personal: false,
        },
        0,
    );
    text.push_str(&catalogue.rows);
}

/// Where in a payload a schema stands.
struct Place {
    path: String,
    always: bool,
    personal: bool,
}

struct Catalogue<'a> {
    root: &'a Value,
    rows: String,
    /// The references that are being followed.
    within: Vec<&'a str>,
}

impl<'a> Catalogue<'a> {
    /// A row for the schema, unless it is the payload as a whole, and rows for what it holds.
    fn value(&mut self, schema: &'a Value, place: &Place, depth: usize) {
        let mut parts = self.parts(schema);
        let personal = place.personal
            || parts
                .all
                .iter()
                .any(|part| part.get("x-sensitive").is_some_and(|mark| *mark == true));
        let forms: Vec<&Value> = parts.forms.iter().copied().filter(|form| !is_null(form)).collect();
        let only = if let [only] = forms[..] { Some(only) } else { None };
        let mut seen = parts.all.clone();
        if let Some(only) = only {
            let more = self.parts(only);
            seen.extend(more.all);
            parts.references.extend(more.references);
            parts.is_within |= more.is_within;
        }
        let personal = personal || seen.iter().any(|part| part.get("x-sensitive").is_some_and(|mark| *mark == true));
        if !place.path.is_empty() {
            let description = parts.all.iter().chain(&seen).find_map(|part| part.get("description")?.as_str());
            let can_be_null = parts.forms.len() > forms.len();
            self.row(
                place,
                &kind(&seen, forms.len(), can_be_null),
                &rules(&seen),
                personal,
                description.unwrap_or(""),
            );
        }
        if depth == DEEPEST || parts.is_within {
            return;
        }
        let opened = parts.references.len();
        self.within.extend(parts.references);
        for part in &seen {
            self.members(part, &place.path, personal, depth);
        }
        if only.is_none() {
            for (at, form) in forms.iter().enumerate().filter(|(_, form)| !is_constant(form)) {
                let path = format!("{} (form {})", place.path, at + 1).trim_start().to_owned();
                self.value(
                    form,
                    &Place {
                        path,
                        always: false,
                        personal,
                    },
                    depth + 1,
                );
            }
        }
        self.within.truncate(self.within.len() - opened);
    }

    fn members(&mut self, part: &'a Map<String, Value>, path: &str, personal: bool, depth: usize) {
        let required = |name: &str| {
            part.get("required")
                .and_then(Value::as_array)
                .is_some_and(|all| all.iter().any(|one| one == name))
        };
        for (name, schema) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let place = Place {
                path: joined(path, name),
                always: required(name),
                personal,
            };
            self.value(schema, &place, depth + 1);
        }
        let named = part
            .get("patternProperties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::values);
        let other = part.get("additionalProperties").filter(|schema| schema.is_object());
        for schema in named.chain(other) {
            self.value(
                schema,
                &Place {
                    path: joined(path, "*"),
                    always: false,
                    personal,
                },
                depth + 1,
            );
        }
        for (at, schema) in part.get("prefixItems").and_then(Value::as_array).into_iter().flatten().enumerate() {
            self.value(
                schema,
                &Place {
                    path: format!("{path}[{at}]"),
                    always: true,
                    personal,
                },
                depth + 1,
            );
        }
        if let Some(schema) = part.get("items").filter(|schema| schema.is_object()) {
            let place = Place {
                path: format!("{path}[]"),
                always: false,
                personal,
            };
            self.value(schema, &place, depth + 1);
        }
    }

    fn row(&mut self, place: &Place, kind: &str, rules: &str, personal: bool, description: &str) {
        let yes = |is: bool| if is { "yes" } else { "" };
        let cells = [
            code(&place.path),
            kind.to_owned(),
            yes(place.always).to_owned(),
            rules.to_owned(),
            if personal { "**personal**".to_owned() } else { String::new() },
            cell(description),
        ];
        self.rows.push_str(&row(&cells));
    }

    /// A schema with what it refers to and is made of, and the forms it leaves to choose from.
    fn parts(&self, schema: &'a Value) -> Parts<'a> {
        let mut found = Parts {
            all: Vec::new(),
            forms: Vec::new(),
            references: Vec::new(),
            is_within: false,
        };
        self.collect(schema, &mut found);
        found
    }

    fn collect(&self, schema: &'a Value, found: &mut Parts<'a>) {
        let Value::Object(members) = schema else { return };
        if found.all.iter().any(|known| std::ptr::eq(*known, members)) {
            return;
        }
        found.all.push(members);
        if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
            found.is_within |= self.within.contains(&reference);
            found.references.push(reference);
            if let Some(target) = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) {
                self.collect(target, found);
            }
        }
        for part in members.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.collect(part, found);
        }
        for keyword in ["oneOf", "anyOf"] {
            found
                .forms
                .extend(members.get(keyword).and_then(Value::as_array).into_iter().flatten());
        }
    }
}

struct Parts<'a> {
    all: Vec<&'a Map<String, Value>>,
    forms: Vec<&'a Value>,
    references: Vec<&'a str>,
    /// Whether it refers to what it stands in.
    is_within: bool,
}

fn is_null(form: &Value) -> bool {
    form.get("type").is_some_and(|kind| kind == "null")
}

fn is_constant(form: &Value) -> bool {
    form.get("const").is_some()
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

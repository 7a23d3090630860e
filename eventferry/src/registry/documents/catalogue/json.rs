//! Members of a JSON Schema.

use serde_json::{Map, Value};

use crate::codec::is_sensitive;
use crate::registry::documents::catalogue::{DEEPEST, Listed, Member, joined};
use crate::registry::documents::words::{kind, rules};

/// None if the schema is no JSON.
pub(super) fn members(text: &str) -> Option<Listed> {
    let root: Value = serde_json::from_str(text).ok()?;
    let mut catalogue = Catalogue {
        root: &root,
        members: Vec::new(),
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
    let description = root.get("description").and_then(Value::as_str).unwrap_or_default();
    Some(Listed {
        description: description.to_owned(),
        members: catalogue.members,
    })
}

/// Where in a payload a schema stands.
struct Place {
    path: String,
    always: bool,
    personal: bool,
}

struct Catalogue<'a> {
    root: &'a Value,
    members: Vec<Member>,
    /// The references that are being followed.
    within: Vec<&'a str>,
}

impl<'a> Catalogue<'a> {
    /// A row for the schema, unless it is the payload as a whole, and rows for what it holds.
    fn value(&mut self, schema: &'a Value, place: &Place, depth: usize) {
        let mut parts = self.parts(schema);
        let personal = place.personal || parts.all.iter().any(|part| is_sensitive(part));
        let forms: Vec<&Value> = parts.forms.iter().copied().filter(|form| !is_null(form)).collect();
        let only = if let [only] = forms[..] { Some(only) } else { None };
        let mut seen = parts.all.clone();
        if let Some(only) = only {
            let more = self.parts(only);
            seen.extend(more.all);
            parts.references.extend(more.references);
            parts.is_within |= more.is_within;
        }
        let personal = personal || seen.iter().any(|part| is_sensitive(part));
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
        self.members.push(Member {
            path: place.path.clone(),
            kind: kind.to_owned(),
            always: place.always,
            rules: rules.to_owned(),
            personal,
            description: description.to_owned(),
        });
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

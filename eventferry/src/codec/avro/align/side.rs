//! A schema whose types are found by their names.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

/// One of the two schemas.
pub(super) struct Side<'a> {
    root: &'a Json,
    /// Where the types with names are defined.
    named: HashMap<String, Place>,
}

/// A place in a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// A JSON pointer.
    pub(super) at: String,
    /// The namespace of the names that stand there without one.
    namespace: String,
}

impl Place {
    /// A part of what stands there.
    pub(super) fn part(&self, name: &str) -> Self {
        Self {
            at: format!("{}/{name}", self.at),
            namespace: self.namespace.clone(),
        }
    }
}

impl<'a> Side<'a> {
    pub(super) fn new(root: &'a Json) -> Self {
        let mut side = Self {
            root,
            named: HashMap::new(),
        };
        side.learn(root, Self::root());
        side
    }

    pub(super) fn root() -> Place {
        let (at, namespace) = (String::new(), String::new());
        Place { at, namespace }
    }

    fn learn(&mut self, schema: &Json, mut place: Place) {
        match schema {
            Json::Array(branches) => {
                for (index, branch) in branches.iter().enumerate() {
                    self.learn(branch, place.part(&index.to_string()));
                }
            }
            Json::Object(members) => {
                if let Some(name) = defined(members, &place.namespace) {
                    place.namespace = namespace_of(&name);
                    self.named.entry(name).or_insert_with(|| place.clone());
                }
                for part in ["type", "items", "values"] {
                    if let Some(inner) = members.get(part) {
                        self.learn(inner, place.part(part));
                    }
                }
                let fields = members.get("fields").and_then(Json::as_array).into_iter().flatten();
                for (index, field) in fields.enumerate() {
                    if let Some(inner) = field.get("type") {
                        self.learn(inner, place.part("fields").part(&index.to_string()).part("type"));
                    }
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    /// The type that is meant by what stands at a place: behind a name, and within an object of its own (`{"type": {"type": "array", ..}}`).
    pub(super) fn resolve(&self, mut place: Place) -> (Place, &'a Json) {
        loop {
            let schema = self.root.pointer(&place.at).unwrap_or(&Json::Null);
            let name = match schema {
                Json::String(name) => name,
                Json::Object(members) => match members.get("type") {
                    Some(Json::Object(_) | Json::Array(_)) => {
                        place = place.part("type");
                        continue;
                    }
                    Some(Json::String(name)) if !is_complex(name) => name,
                    _ => {
                        if let Some(name) = defined(members, &place.namespace) {
                            place.namespace = namespace_of(&name);
                        }
                        return (place, schema);
                    }
                },
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => return (place, schema),
            };
            match self.named.get(&full(name, &place.namespace)).or_else(|| self.named.get(name)) {
                // A definition is a complex type, so that this has an end.
                Some(found) => place = found.clone(),
                None => return (place, schema),
            }
        }
    }

    /// The branch of a union that a type of the other side's is read as: one of its name or an alias, else one of its kind.
    pub(super) fn like(&self, wrote: &Json, branches: &[Place]) -> Option<Place> {
        let simple = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let names = |schema: &Json| {
            let aliases = schema["aliases"].as_array().into_iter().flatten();
            let all = aliases.chain([&schema["name"]]).filter_map(Json::as_str).map(simple);
            all.collect::<Vec<_>>()
        };
        let kind = |schema: &'_ Json| schema.as_str().or(schema["type"].as_str()).unwrap_or_default().to_owned();
        let resolved: Vec<_> = branches.iter().map(|branch| self.resolve(branch.clone())).collect();
        let same_kind = || resolved.iter().filter(|(_, schema)| kind(schema) == kind(wrote));
        let wanted = wrote["name"].as_str().map(simple);
        let by_name = wanted.and_then(|wanted| same_kind().find(|(_, schema)| names(schema).contains(&wanted)));
        by_name.or_else(|| same_kind().next()).map(|(place, _)| place.clone())
    }
}

/// The full name that a type is defined by.
fn defined(members: &Map<String, Json>, namespace: &str) -> Option<String> {
    let kind = members.get("type")?.as_str()?;
    if !matches!(kind, "record" | "error" | "enum" | "fixed") {
        return None;
    }
    let namespace = members.get("namespace").and_then(Json::as_str).unwrap_or(namespace);
    Some(full(members.get("name")?.as_str()?, namespace))
}

fn full(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.contains('.') {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn namespace_of(name: &str) -> String {
    name.rsplit_once('.')
        .map_or_else(String::new, |(namespace, _)| namespace.to_owned())
}

fn is_complex(name: &str) -> bool {
    matches!(
        name,
        "record"
            | "error"
            | "enum"
            | "fixed"
            | "array"
            | "map"
            | "null"
            | "boolean"
            | "int"
            | "long"
            | "float"
            | "double"
            | "bytes"
            | "string"
    )
}

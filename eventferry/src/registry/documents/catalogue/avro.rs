//! Members of an Avro schema.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::codec::is_sensitive;
use crate::registry::book::example_avro::{full, named};
use crate::registry::documents::catalogue::{DEEPEST, Listed, Member, joined};
use crate::registry::documents::words::code;

/// None if the schema is no JSON.
pub(super) fn members(text: &str) -> Option<Listed> {
    let root: Value = serde_json::from_str(text).ok()?;
    let mut catalogue = Catalogue {
        named: HashMap::new(),
        listed: Listed::default(),
        within: Vec::new(),
    };
    catalogue.learn(&root, "");
    let whole = catalogue.resolve(&root, "");
    catalogue.parts(&whole, "", whole.personal, 0);
    whole.doc.clone_into(&mut catalogue.listed.description);
    Some(catalogue.listed)
}

/// A type, with what its name leads to and what stands around it.
struct Type<'a> {
    /// The members of its schema; none for a name that nobody defines, or for a type without attributes.
    members: Option<&'a Map<String, Value>>,
    /// `record`, `string` and so on; empty for a union.
    base: &'a str,
    /// Its name without a namespace, and in full.
    name: Option<(String, String)>,
    branches: Vec<&'a Value>,
    namespace: String,
    personal: bool,
    doc: &'a str,
}

struct Catalogue<'a> {
    /// Types by their full names, with the namespace of the names within.
    named: HashMap<String, (&'a Map<String, Value>, String)>,
    listed: Listed,
    /// The records that are being listed.
    within: Vec<String>,
}

impl<'a> Catalogue<'a> {
    fn learn(&mut self, schema: &'a Value, namespace: &str) {
        match schema {
            Value::Array(branches) => branches.iter().for_each(|branch| self.learn(branch, namespace)),
            Value::Object(members) => {
                let mut within = namespace.to_owned();
                if let Some((name, inner)) = named(members, namespace) {
                    self.named.insert(name, (members, inner.clone()));
                    within = inner;
                }
                let fields = members.get("fields").and_then(Value::as_array).into_iter().flatten();
                let inner = fields.filter_map(|field| field.get("type"));
                let parts = ["type", "items", "values"].iter().filter_map(|part| members.get(*part));
                inner.chain(parts).for_each(|inner| self.learn(inner, &within));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn resolve(&self, schema: &'a Value, namespace: &str) -> Type<'a> {
        let mut found = Type {
            members: None,
            base: "",
            name: None,
            branches: Vec::new(),
            namespace: namespace.to_owned(),
            personal: false,
            doc: "",
        };
        let mut schema = schema;
        loop {
            schema = match schema {
                Value::Array(branches) => {
                    found.branches = branches.iter().collect();
                    return found;
                }
                Value::Object(members) => {
                    found.personal |= is_sensitive(members);
                    found.doc = members.get("doc").and_then(Value::as_str).unwrap_or(found.doc);
                    found.members = Some(members);
                    if let Some((name, within)) = named(members, &found.namespace) {
                        found.name = Some((simple(&name), name));
                        found.namespace = within;
                    }
                    match members.get("type") {
                        Some(Value::String(base)) if found.name.is_some() || !self.is_name(base, &found.namespace) => {
                            found.base = base;
                            return found;
                        }
                        Some(inner) => inner,
                        None => return found,
                    }
                }
                Value::String(name) => {
                    let known = self.named.get(&full(name, &found.namespace)).or_else(|| self.named.get(name));
                    let Some((members, within)) = known else {
                        found.base = name;
                        return found;
                    };
                    found.personal |= is_sensitive(members);
                    found.doc = members.get("doc").and_then(Value::as_str).unwrap_or(found.doc);
                    found.name = named(members, &found.namespace).map(|_| (simple(name), full(name, within)));
                    found.members = Some(members);
                    found.namespace.clone_from(within);
                    found.base = members.get("type").and_then(Value::as_str).unwrap_or_default();
                    return found;
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => return found,
            };
        }
    }

    fn is_name(&self, text: &str, namespace: &str) -> bool {
        self.named.contains_key(&full(text, namespace)) || self.named.contains_key(text)
    }

    /// The members of what stands at a path.
    fn parts(&mut self, of: &Type<'a>, path: &str, personal: bool, depth: usize) {
        if depth == DEEPEST {
            return;
        }
        let part = |name: &str| of.members.and_then(|members| members.get(name));
        match of.base {
            "record" | "error" => {
                let name = of.name.clone().map(|(_, full)| full).unwrap_or_default();
                if self.within.contains(&name) {
                    return;
                }
                self.within.push(name);
                let fields = part("fields").and_then(Value::as_array).into_iter().flatten();
                for field in fields.filter_map(Value::as_object) {
                    let (Some(name), Some(schema)) = (field.get("name").and_then(Value::as_str), field.get("type")) else {
                        continue;
                    };
                    let doc = field.get("doc").and_then(Value::as_str);
                    let rules = field.get("default").map(|value| format!("by default {}", code(&value.to_string())));
                    let personal = personal || is_sensitive(field);
                    let place = (joined(path, name), true, rules.unwrap_or_default());
                    self.member(schema, &of.namespace, place, personal, doc, depth + 1);
                }
                self.within.pop();
            }
            "array" | "map" => {
                let (part, path) = if of.base == "array" {
                    (part("items"), format!("{path}[]"))
                } else {
                    (part("values"), joined(path, "*"))
                };
                if let Some(schema) = part {
                    self.member(schema, &of.namespace, (path, false, String::new()), personal, None, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// A member with what it holds. The place is its path, whether it is always there, and what the field says of it.
    fn member(
        &mut self,
        schema: &'a Value,
        namespace: &str,
        (path, always, more): (String, bool, String),
        personal: bool,
        doc: Option<&str>,
        depth: usize,
    ) {
        let of = self.resolve(schema, namespace);
        let branches: Vec<Type<'a>> = of.branches.iter().map(|branch| self.resolve(branch, namespace)).collect();
        let forms: Vec<&Type<'a>> = branches.iter().filter(|branch| branch.base != "null").collect();
        let null = if forms.len() < branches.len() { " or null" } else { "" };
        let seen = match forms[..] {
            [] => Some(&of),
            [only] => Some(only),
            _ => None,
        };
        let personal = personal || of.personal || seen.is_some_and(|seen| seen.personal);
        let kind = seen.map_or_else(|| format!("one of {} forms", forms.len()), kind);
        let mut rules: Vec<String> = seen.map(rules).into_iter().flatten().collect();
        rules.extend(Some(more).filter(|more| !more.is_empty()));
        let doc = doc.or(seen.map(|seen| seen.doc)).unwrap_or_default();
        self.listed.members.push(Member {
            path: path.clone(),
            kind: format!("{kind}{null}"),
            always,
            rules: rules.join(", "),
            personal,
            description: doc.to_owned(),
        });
        if let Some(seen) = seen {
            return self.parts(seen, &path, personal, depth);
        }
        for (at, form) in forms.into_iter().enumerate() {
            let path = format!("{path} (form {})", at + 1);
            let personal = personal || form.personal;
            self.listed.members.push(Member {
                path: path.clone(),
                kind: self::kind(form),
                always: false,
                rules: self::rules(form).join(", "),
                personal,
                description: form.doc.to_owned(),
            });
            self.parts(form, &path, personal, depth + 1);
        }
    }
}

fn simple(name: &str) -> String {
    name.rsplit('.').next().unwrap_or_default().to_owned()
}

/// What a type is called, with the meaning that is put on it.
fn kind(of: &Type<'_>) -> String {
    let logical = of.members.and_then(|members| members.get("logicalType")?.as_str());
    match (&of.name, logical) {
        (_, Some(logical)) => format!("{} ({logical})", of.base),
        (Some((name, _)), None) => format!("{} {name}", of.base),
        (None, None) => of.base.to_owned(),
    }
}

/// What values have to keep to, in words.
fn rules(of: &Type<'_>) -> Vec<String> {
    let part = |name: &str| of.members.and_then(|members| members.get(name));
    let mut all = Vec::new();
    if let Some(symbols) = part("symbols").and_then(Value::as_array) {
        let symbols: Vec<_> = symbols.iter().filter_map(Value::as_str).map(code).collect();
        all.push(format!("one of {}", symbols.join(", ")));
    }
    if let Some(size) = part("size") {
        all.push(format!("{size} bytes"));
    }
    if let (Some(precision), "decimal") = (part("precision"), part("logicalType").and_then(Value::as_str).unwrap_or_default()) {
        let scale = part("scale").and_then(Value::as_u64).unwrap_or(0);
        all.push(format!("digits at most {precision}, {scale} of them behind the point"));
    }
    all
}

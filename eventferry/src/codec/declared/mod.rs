//! What a JSON Schema declares about a payload, member by member: what is not declared, and what is personal.
//!
//! This is no checker. It asks which parts of the schema speak of a value, through references and alternatives, and what they say of its
//! members; so it costs a second parse and a walk, and needs no compiled schema.

mod mask;
mod strict;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::codec::CodecError;

/// A JSON Schema, to be asked what it declares.
pub(crate) struct Declared {
    root: Value,
}

/// The parts of a schema that speak of one value.
type Parts<'a> = Vec<&'a Map<String, Value>>;

/// What a schema says of a member of an object.
struct Member<'a> {
    parts: Parts<'a>,
    /// Whether the schema names it, and does not merely allow names like it.
    is_named: bool,
}

/// Which alternatives are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alternatives {
    /// Those that the value can be at all, judged by its kind, its constants and the members that have to be there.
    Fitting,
    /// All of them.
    All,
}

impl Declared {
    pub(crate) fn new(schema: &str) -> Result<Self, CodecError> {
        let root = serde_json::from_str(schema).map_err(|_| CodecError::schema("it is no JSON"))?;
        Ok(Self { root })
    }

    /// The parts of the schema that speak of the payload as a whole.
    fn whole(&self, value: &Value, which: Alternatives) -> Parts<'_> {
        let mut parts = Vec::new();
        self.expand(&self.root, value, which, &mut parts);
        parts
    }

    /// Adds a schema and everything that it refers to.
    fn expand<'a>(&'a self, schema: &'a Value, value: &Value, which: Alternatives, into: &mut Parts<'a>) {
        let Value::Object(members) = schema else {
            // `true` says as little as a schema without keywords does; `false` allows nothing.
            if schema == &Value::Bool(true) {
                into.push(nothing());
            }
            return;
        };
        if into.iter().any(|known| std::ptr::eq(*known, members)) {
            return;
        }
        into.push(members);
        if let Some(target) = self.target(members) {
            self.expand(target, value, which, into);
        }
        for keyword in ["then", "else"] {
            if let Some(more) = members.get(keyword) {
                self.expand(more, value, which, into);
            }
        }
        for more in list(members, "allOf") {
            self.expand(more, value, which, into);
        }
        for more in members
            .get("dependentSchemas")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::values)
        {
            self.expand(more, value, which, into);
        }
        for keyword in ["oneOf", "anyOf"] {
            let fitting = |more: &&Value| which == Alternatives::All || self.can_be(more, value, 0);
            let any = list(members, keyword).any(|more| fitting(&more));
            for more in list(members, keyword).filter(|more| !any || fitting(more)) {
                self.expand(more, value, which, into);
            }
        }
    }

    /// What a reference leads to. Only the schema's own parts are there to be found.
    fn target<'a>(&'a self, schema: &Map<String, Value>) -> Option<&'a Value> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    /// Whether a value can be what an alternative describes, as far as its kind, constants and required members tell.
    fn can_be(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let Value::Object(members) = schema else {
            return schema != &Value::Bool(false);
        };
        if depth > 16 {
            return true;
        }
        let refers = self.target(members).is_none_or(|target| self.can_be(target, value, depth + 1));
        let kind = kinds(members).is_none_or(|mut kinds| kinds.any(|kind| is_of(kind, value)));
        let constant = members.get("const").is_none_or(|constant| constant == value);
        let listed = members
            .get("enum")
            .and_then(Value::as_array)
            .is_none_or(|values| values.contains(value));
        let all = list(members, "allOf").all(|more| self.can_be(more, value, depth + 1));
        refers && kind && constant && listed && all && self.members_can_be(members, value, depth)
    }

    fn members_can_be(&self, schema: &Map<String, Value>, value: &Value, depth: usize) -> bool {
        let Value::Object(object) = value else { return true };
        let is_there = list(schema, "required")
            .filter_map(Value::as_str)
            .all(|name| object.contains_key(name));
        let mut constants = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, schema)| {
                let tag = schema.get("const").is_some() || schema.get("enum").is_some();
                Some((schema, object.get(name)?)).filter(|_| tag)
            });
        is_there && constants.all(|(schema, value)| self.can_be(schema, value, depth + 1))
    }

    /// What the schema says of a member; none where nothing allows for it.
    fn member<'a>(&'a self, parts: &Parts<'a>, name: &str, value: &Value, which: Alternatives) -> Option<Member<'a>> {
        let (mut named, mut allowed, mut is_named, mut is_allowed) = (Vec::new(), Vec::new(), false, false);
        for part in parts {
            if let Some(schema) = part.get("properties").and_then(|all| all.get(name)) {
                is_named = true;
                self.expand(schema, value, which, &mut named);
                continue;
            }
            let patterns = part
                .get("patternProperties")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(Map::values);
            let others = ["additionalProperties", "unevaluatedProperties"]
                .iter()
                .filter_map(|keyword| part.get(*keyword));
            for schema in patterns.chain(others).filter(|schema| **schema != Value::Bool(false)) {
                is_allowed = true;
                self.expand(schema, value, which, &mut allowed);
            }
            if says_nothing(part) {
                is_allowed = true;
                allowed.push(nothing());
            }
        }
        named.append(&mut allowed);
        (is_named || is_allowed).then_some(Member { parts: named, is_named })
    }

    /// What the schema says of an item of a list.
    fn item<'a>(&'a self, parts: &Parts<'a>, at: usize, value: &Value, which: Alternatives) -> Parts<'a> {
        let mut found = Vec::new();
        for part in parts {
            let place = part.get("prefixItems").and_then(|places| places.get(at));
            match place.or_else(|| part.get("items")) {
                Some(schema) => self.expand(schema, value, which, &mut found),
                None => found.push(nothing()),
            }
        }
        found
    }
}

/// A schema without keywords.
fn nothing() -> &'static Map<String, Value> {
    static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    &NOTHING
}

/// Whether a part leaves everything open: it has remarks only.
fn says_nothing(part: &Map<String, Value>) -> bool {
    const REMARKS: [&str; 10] = [
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$comment",
        "$schema",
        "$defs",
    ];
    part.keys()
        .all(|keyword| REMARKS.contains(&keyword.as_str()) || keyword.starts_with("x-"))
}

fn list<'a>(schema: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

/// The kinds of values a part names; none where it names none.
fn kinds(part: &Map<String, Value>) -> Option<impl Iterator<Item = &str>> {
    let kind = part.get("type")?;
    let several = kind.as_array().into_iter().flatten().filter_map(Value::as_str);
    Some(kind.as_str().into_iter().chain(several))
}

/// Whether a value is of a kind.
fn is_of(kind: &str, value: &Value) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) => {
            let is_whole = number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.fract() == 0.0);
            kind == "number" || (kind == "integer" && is_whole)
        }
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    }
}

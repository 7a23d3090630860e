//! Every way to break a value that its JSON Schema forbids, made of the schema itself; and a small reading of the language, of no other's
//! making than the test's, that says which of them it does forbid.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A value that is changed at one place.
#[derive(Debug)]
pub(super) struct Mutation {
    /// The keyword that forbids it.
    pub(super) rule: &'static str,
    /// The place, as a pointer into the value.
    pub(super) place: String,
    /// The pointer that an error must show.
    pub(super) pointer: String,
    /// What stands there then.
    pub(super) value: Value,
}

pub(super) struct Mutations<'a> {
    root: &'a Value,
    declared: BTreeSet<&'a str>,
    made: Vec<Mutation>,
}

/// A place in a value.
#[derive(Clone, Copy)]
struct Place<'p> {
    raw: &'p str,
    shown: &'p str,
    /// Where this is an object that is one of several forms: what stands for it in an error that cannot tell which form was meant.
    form: Option<&'p str>,
}

fn typed(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

fn is_of(value: &Value, types: &[&str]) -> bool {
    let is = typed(value);
    types.is_empty() || types.contains(&is) || (is == "integer" && types.contains(&"number"))
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(name) => root.pointer(name.trim_start_matches('#')).expect("a definition"),
        None => schema,
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[a-z]+$" => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase()),
        r"^\d+$" => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
        other => panic!("`{other}` is no pattern of these types"),
    }
}

/// What a member's name asks of its value: the schemas of that name, or what is said of all others.
fn of_member<'a>(schema: &'a Value, name: &str) -> Vec<&'a Value> {
    let own = schema.get("properties").and_then(|all| all.get(name));
    let patterns = schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    let patterns = patterns.filter(|(pattern, _)| matches(pattern, name)).map(|(_, schema)| schema);
    let named: Vec<_> = own.into_iter().chain(patterns).collect();
    if named.is_empty() {
        schema.get("additionalProperties").into_iter().collect()
    } else {
        named
    }
}

fn of_item(schema: &Value, index: usize) -> Option<&Value> {
    schema
        .get("prefixItems")
        .and_then(|all| all.get(index))
        .or_else(|| schema.get("items"))
}

/// Whether a schema allows a value.
pub(super) fn allows(root: &Value, schema: &Value, value: &Value) -> bool {
    let Value::Object(rules) = schema else {
        return schema != &json!(false);
    };
    rules.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$ref" => allows(root, resolved(root, schema), value),
        "anyOf" => rule.as_array().expect("schemas").iter().any(|one| allows(root, one, value)),
        "oneOf" => {
            rule.as_array()
                .expect("schemas")
                .iter()
                .filter(|one| allows(root, one, value))
                .count()
                == 1
        }
        "type" => is_of(value, &types(schema)),
        "enum" => rule.as_array().expect("values").contains(value),
        "const" => rule == value,
        _ => match value {
            Value::Number(number) => allows_number(keyword, rule, number.as_f64().expect("a number")),
            Value::String(text) => allows_text(keyword, rule, text),
            Value::Array(items) => allows_items(root, schema, keyword, rule, items),
            Value::Object(members) => allows_members(root, schema, keyword, rule, members),
            Value::Null | Value::Bool(_) => true,
        },
    })
}

fn allows_number(keyword: &str, rule: &Value, number: f64) -> bool {
    let limit = rule.as_f64().unwrap_or(f64::NAN);
    match keyword {
        "minimum" => number >= limit,
        "maximum" => number <= limit,
        "exclusiveMinimum" => number > limit,
        "exclusiveMaximum" => number < limit,
        "multipleOf" => (number / limit).fract() == 0.0,
        _ => true,
    }
}

fn allows_text(keyword: &str, rule: &Value, text: &str) -> bool {
    let length = text.chars().count() as u64;
    match keyword {
        "minLength" => Some(length) >= rule.as_u64(),
        "maxLength" => Some(length) <= rule.as_u64(),
        "pattern" => matches(rule.as_str().expect("a pattern"), text),
        "format" => match rule.as_str() {
            Some("uuid") => Uuid::parse_str(text).is_ok(),
            Some("date-time") => text.len() >= 20 && text.ends_with('Z') && text.contains('T'),
            _ => true,
        },
        _ => true,
    }
}

fn allows_items(root: &Value, schema: &Value, keyword: &str, rule: &Value, items: &[Value]) -> bool {
    match keyword {
        "minItems" => Some(items.len() as u64) >= rule.as_u64(),
        "maxItems" => Some(items.len() as u64) <= rule.as_u64(),
        "uniqueItems" => (1..items.len()).all(|at| !items[..at].contains(&items[at])),
        "items" | "prefixItems" => items
            .iter()
            .enumerate()
            .all(|(index, item)| of_item(schema, index).is_none_or(|one| allows(root, one, item))),
        _ => true,
    }
}

fn allows_members(root: &Value, schema: &Value, keyword: &str, rule: &Value, members: &Map<String, Value>) -> bool {
    match keyword {
        "required" => rule
            .as_array()
            .expect("names")
            .iter()
            .all(|name| members.contains_key(name.as_str().expect("a name"))),
        "properties" | "patternProperties" | "additionalProperties" => members
            .iter()
            .all(|(name, member)| of_member(schema, name).into_iter().all(|one| allows(root, one, member))),
        _ => true,
    }
}

fn collect_declared<'a>(schema: &'a Value, into: &mut BTreeSet<&'a str>) {
    if let Some(Value::Object(properties)) = schema.get("properties") {
        into.extend(properties.keys().map(String::as_str));
    }
    match schema {
        Value::Object(members) => members.values().for_each(|one| collect_declared(one, into)),
        Value::Array(items) => items.iter().for_each(|one| collect_declared(one, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl<'a> Mutations<'a> {
    /// Of a value that the schema allows.
    pub(super) fn of(schema: &'a Value, value: &Value) -> Vec<Mutation> {
        let mut declared = BTreeSet::new();
        collect_declared(schema, &mut declared);
        let mut mutations = Self {
            root: schema,
            declared,
            made: Vec::new(),
        };
        let place = Place {
            raw: "",
            shown: "",
            form: None,
        };
        mutations.visit(schema, value, place);
        mutations.made
    }

    fn add(&mut self, rule: &'static str, at: Place<'_>, value: Value) {
        self.made.push(Mutation {
            rule,
            place: at.raw.to_owned(),
            pointer: at.shown.to_owned(),
            value,
        });
    }

    fn visit(&mut self, schema: &'a Value, value: &Value, at: Place<'_>) {
        if schema.get("$ref").is_some() {
            self.visit(resolved(self.root, schema), value, at);
        }
        let others = [
            json!({"of": "another type"}),
            json!([1]),
            json!("text"),
            json!(true),
            json!(null),
            json!(0.5),
        ];
        for keyword in ["anyOf", "oneOf"] {
            let Some(Value::Array(forms)) = schema.get(keyword) else { continue };
            let allowed = |value: &Value| forms.iter().any(|form| allows(self.root, form, value));
            for other in others.iter().filter(|other| !allowed(other)).cloned().collect::<Vec<_>>() {
                self.add(keyword, at, other);
            }
            let form = forms
                .iter()
                .find(|form| allows(self.root, form, value))
                .expect("the value is of a form");
            self.visit(
                form,
                value,
                Place {
                    form: Some(at.shown),
                    ..at
                },
            );
        }
        let wanted = types(schema);
        for other in others.iter().filter(|other| !is_of(other, &wanted)) {
            self.add("type", at, other.clone());
        }
        for keyword in ["enum", "const"] {
            if schema.get(keyword).is_some() {
                self.add(keyword, at, json!("of no such case"));
            }
        }
        match value {
            Value::Number(_) => self.number(schema, at),
            Value::String(_) => self.text(schema, at),
            Value::Array(items) => self.items(schema, items, at),
            Value::Object(members) => self.members(schema, members, at),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn number(&mut self, schema: &Value, at: Place<'_>) {
        for (rule, step) in [
            ("minimum", -1.0),
            ("maximum", 1.0),
            ("exclusiveMinimum", 0.0),
            ("exclusiveMaximum", 0.0),
            ("multipleOf", 0.125),
        ] {
            if let Some(limit) = schema.get(rule).and_then(Value::as_f64) {
                self.add(rule, at, json!(limit + step));
            }
        }
    }

    fn text(&mut self, schema: &Value, at: Place<'_>) {
        let count = |rule: &str| {
            schema
                .get(rule)
                .and_then(Value::as_u64)
                .and_then(|count| usize::try_from(count).ok())
        };
        if let Some(least) = count("minLength") {
            self.add("minLength", at, json!("x".repeat(least - 1)));
        }
        if let Some(most) = count("maxLength") {
            self.add("maxLength", at, json!("ä".repeat(most + 1)));
        }
        if schema.get("pattern").is_some() {
            self.add("pattern", at, json!("ABC"));
        }
        if schema.get("format").is_some_and(|format| format == "date-time" || format == "uuid") {
            self.add("format", at, json!("yesterday"));
        }
    }

    fn items(&mut self, schema: &'a Value, items: &[Value], at: Place<'_>) {
        let count = |rule: &str| {
            schema
                .get(rule)
                .and_then(Value::as_u64)
                .and_then(|count| usize::try_from(count).ok())
        };
        if let Some(least) = count("minItems") {
            self.add("minItems", at, json!(items[..least - 1]));
        }
        if let Some(most) = count("maxItems") {
            self.add("maxItems", at, items.iter().cycle().take(most + 1).cloned().collect());
        }
        if let (Some(true), Some(first)) = (schema.get("uniqueItems").and_then(Value::as_bool), items.first()) {
            let twice = items.iter().chain([first]).cloned();
            self.add("uniqueItems", at, twice.collect());
        }
        for (index, item) in items.iter().enumerate() {
            if let Some(of_item) = of_item(schema, index) {
                self.inside(of_item, item, at, &index.to_string(), true);
            }
        }
    }

    fn members(&mut self, schema: &'a Value, members: &Map<String, Value>, at: Place<'_>) {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut less = members.clone();
            less.remove(required);
            self.add("required", at, Value::Object(less));
        }
        // A name that is not declared, nor of a pattern, with a value that nothing but the schema of all others forbids.
        if let Some(others) = schema.get("additionalProperties") {
            let name = "of no such name";
            let wrong = [json!(1), json!(0.5), json!({"of": "another type"})];
            let wrong = wrong.into_iter().find(|one| !allows(self.root, others, one));
            let rule = if others.is_boolean() {
                "additionalProperties"
            } else {
                "values of a map"
            };
            if let Some(wrong) = wrong {
                let mut more = members.clone();
                more.insert(name.to_owned(), wrong);
                let pointer = if rule == "additionalProperties" {
                    at.shown.to_owned()
                } else {
                    format!("{}/*", at.shown)
                };
                self.add(rule, Place { shown: &pointer, ..at }, Value::Object(more));
            }
        }
        for (name, member) in members {
            let is_declared = self.declared.contains(name.as_str());
            for of_member in of_member(schema, name) {
                self.inside(of_member, member, at, name, is_declared);
            }
        }
    }

    fn inside(&mut self, schema: &'a Value, value: &Value, at: Place<'_>, name: &str, is_shown: bool) {
        let raw = format!("{}/{}", at.raw, name.replace('~', "~0").replace('/', "~1"));
        let mut shown = format!("{}/{}", at.shown, if is_shown { name } else { "*" });
        // A tag that is none says nothing about which form was meant.
        if let (Some(form), true) = (at.form, schema.get("const").is_some()) {
            form.clone_into(&mut shown);
        }
        let inner = Place {
            raw: &raw,
            shown: &shown,
            form: None,
        };
        self.visit(schema, value, inner);
    }
}

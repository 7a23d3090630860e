//! Whatever is called compatible for JSON Schema is: random schemas, random changes, random values, and a validator that knows nothing of us.

use eventferry::schema::evolution::compare;
use eventferry::schema::{Schema, SchemaKind};
use fastrand::Rng;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::evolution::seeds;

const NAMES: [&str; 5] = ["a", "b", "c", "kind", "z"];
const TEXTS: [&str; 8] = ["", "a", "b", "ab", "ba", "abc", "x", "y"];
const PATTERNS: [&str; 3] = ["^a", "b$", "^x"];

struct Maker<'r> {
    rng: &'r mut Rng,
    /// Whether schemas may be combined; without it, what a writer declares is plain to see.
    combines: bool,
}

impl Maker<'_> {
    fn text(&mut self) -> &'static str {
        TEXTS[self.rng.usize(..TEXTS.len())]
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    fn schema(&mut self, depth: usize) -> Value {
        if depth > 0 && self.chance(12) {
            return json!({"$ref": if self.rng.bool() { "#/$defs/One" } else { "#/$defs/Two" }});
        }
        let kinds = if depth == 0 { 5 } else { 9 };
        match self.rng.u8(..kinds) {
            0 => self.number("integer"),
            1 => self.number("number"),
            2 => self.string(),
            3 => {
                let values: Vec<_> = (0..self.rng.usize(1..4)).map(|_| json!(self.text())).collect();
                if values.len() == 1 {
                    json!({"const": values[0]})
                } else {
                    json!({"enum": values})
                }
            }
            4 => {
                let types = ["string", "integer", "number", "null", "boolean", "array", "object"];
                let two: Vec<_> = (0..2).map(|_| types[self.rng.usize(..types.len())]).collect();
                match self.rng.u8(..4) {
                    0 => json!(true),
                    1 => json!({"type": two[0]}),
                    _ if two[0] == two[1] => json!({"type": two[0]}),
                    _ => json!({"type": two}),
                }
            }
            5 if self.combines => self.combined(depth - 1),
            6 => self.array(depth - 1),
            _ => self.object(depth - 1),
        }
    }

    fn number(&mut self, kind: &str) -> Value {
        let mut schema = json!({"type": kind});
        for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
            if self.chance(20) {
                let limit = self.rng.i64(-2..6);
                schema[keyword] = if self.chance(20) { json!(0.5) } else { json!(limit) };
            }
        }
        if self.chance(10) {
            schema["multipleOf"] = json!(self.rng.u8(1..5));
        }
        if self.chance(15) {
            schema["format"] = json!(["int32", "int64", "uint8"][self.rng.usize(..3)]);
        }
        schema
    }

    fn string(&mut self) -> Value {
        let mut schema = json!({"type": "string"});
        for keyword in ["minLength", "maxLength"] {
            if self.chance(25) {
                schema[keyword] = json!(self.rng.u8(..4));
            }
        }
        if self.chance(15) {
            schema["pattern"] = json!(PATTERNS[self.rng.usize(..PATTERNS.len())]);
        }
        schema
    }

    fn array(&mut self, depth: usize) -> Value {
        let mut schema = json!({"type": "array"});
        if self.chance(80) {
            schema["items"] = self.schema(depth);
        }
        if self.chance(15) {
            schema["prefixItems"] = json!([self.schema(depth)]);
        }
        for keyword in ["minItems", "maxItems"] {
            if self.chance(20) {
                schema[keyword] = json!(self.rng.u8(..3));
            }
        }
        if self.chance(10) {
            schema["uniqueItems"] = json!(self.rng.bool());
        }
        if self.chance(8) {
            schema["contains"] = self.schema(0);
        }
        schema
    }

    fn object(&mut self, depth: usize) -> Value {
        let mut schema = json!({"type": "object", "properties": {}});
        for name in NAMES {
            if self.chance(40) {
                schema["properties"][name] = if name == "kind" {
                    json!({"const": self.text()})
                } else {
                    self.schema(depth)
                };
            }
        }
        let required: Vec<_> = NAMES.into_iter().filter(|_| self.chance(20)).collect();
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        match self.rng.u8(..6) {
            0 | 1 => schema["additionalProperties"] = json!(false),
            2 => schema["additionalProperties"] = self.schema(0),
            _ => {}
        }
        if self.combines && self.chance(8) {
            schema["patternProperties"] = json!({PATTERNS[self.rng.usize(..PATTERNS.len())]: self.schema(0)});
        }
        if self.combines && self.chance(8) {
            schema["propertyNames"] = json!({"maxLength": self.rng.u8(..5)});
        }
        if self.chance(6) {
            schema[if self.rng.bool() { "minProperties" } else { "maxProperties" }] = json!(self.rng.u8(..3));
        }
        if self.combines && self.chance(6) {
            schema["dependentRequired"] = json!({"a": ["b"]});
        }
        if self.combines && self.chance(6) {
            schema["unevaluatedProperties"] = json!(false);
        }
        schema
    }

    fn combined(&mut self, depth: usize) -> Value {
        let two = [self.schema(depth), self.schema(depth)];
        match self.rng.u8(..7) {
            0 | 1 => json!({"anyOf": two}),
            2 | 3 => json!({"oneOf": two}),
            4 => json!({"allOf": two}),
            5 => json!({"type": "string", "not": two[0]}),
            _ => json!({"if": two[0], "then": two[1], "else": self.schema(0)}),
        }
    }

    fn document(&mut self) -> Value {
        let mut root = self.object(2);
        root["$defs"] = json!({"One": self.schema(1), "Two": self.object(1)});
        // A reference that leads nowhere but to itself is no schema.
        for name in ["One", "Two"] {
            if root["$defs"][name].get("$ref").is_some() {
                root["$defs"][name] = json!({"type": "integer"});
            }
        }
        root
    }

    /// Changes a thing or two somewhere in a schema.
    fn changed(&mut self, schema: &Value, percent: u8) -> Value {
        let Value::Object(members) = schema else { return schema.clone() };
        let mut new = Map::new();
        for (keyword, value) in members {
            if self.chance(percent / 2) && keyword != "$defs" && keyword != "properties" {
                continue;
            }
            let value = match (keyword.as_str(), value) {
                ("properties" | "$defs", Value::Object(inner)) => {
                    let mut all = Map::new();
                    for (name, inner) in inner {
                        if keyword == "$defs" || !self.chance(percent / 2) {
                            all.insert(name.clone(), self.changed(inner, percent));
                        }
                    }
                    if keyword == "properties" && self.chance(percent) {
                        let name = NAMES[self.rng.usize(..NAMES.len())];
                        let added = self.schema(0);
                        all.insert(name.to_owned(), added);
                    }
                    Value::Object(all)
                }
                ("items" | "additionalProperties" | "not" | "if" | "then" | "else" | "contains", _) => self.changed(value, percent),
                ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(items)) => {
                    let mut items: Vec<_> = items.iter().map(|one| self.changed(one, percent)).collect();
                    if self.chance(percent) {
                        items.push(self.schema(0));
                    }
                    Value::Array(items)
                }
                ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum", _) if self.chance(percent) => json!(self.rng.i64(-2..6)),
                ("minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties", _) if self.chance(percent) => {
                    json!(self.rng.u8(..4))
                }
                ("multipleOf", _) if self.chance(percent) => json!(self.rng.u8(1..5)),
                ("type", Value::String(name)) if self.chance(percent) => match name.as_str() {
                    "integer" => json!("number"),
                    "string" => json!(["string", "null"]),
                    _ => value.clone(),
                },
                ("enum", Value::Array(values)) if self.chance(percent) => {
                    let mut values = values.clone();
                    values.push(json!(self.text()));
                    json!(values)
                }
                ("required", Value::Array(names)) if self.chance(percent) => {
                    let mut names = names.clone();
                    names.push(json!(NAMES[self.rng.usize(..NAMES.len())]));
                    names.sort_by_key(ToString::to_string);
                    names.dedup();
                    json!(names)
                }
                _ => value.clone(),
            };
            new.insert(keyword.clone(), value);
        }
        if self.combines && self.chance(percent / 3) && !new.contains_key("$defs") {
            return json!({"anyOf": [new, {"type": "null"}]});
        }
        Value::Object(new)
    }

    /// A value that a schema may well allow.
    fn value(&mut self, schema: &Value, root: &Value, depth: usize) -> Value {
        let Some(members) = schema.as_object().filter(|_| depth > 0 && !self.chance(4)) else {
            return self.any();
        };
        if let Some(target) = members.get("$ref").and_then(Value::as_str) {
            return self.value(root.pointer(&target[1..]).expect("a definition"), root, depth - 1);
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            if let Some(branches) = members.get(keyword).and_then(Value::as_array) {
                let at = self.rng.usize(..branches.len());
                return self.value(&branches[at], root, depth - 1);
            }
        }
        if let Some(then) = members.get("then") {
            let branch = if self.rng.bool() {
                then
            } else {
                members.get("else").unwrap_or(then)
            };
            return self.value(branch, root, depth - 1);
        }
        if let Some(constant) = members.get("const") {
            return constant.clone();
        }
        if let Some(values) = members.get("enum").and_then(Value::as_array) {
            return values[self.rng.usize(..values.len())].clone();
        }
        let name = match members.get("type") {
            Some(Value::Array(names)) => names[self.rng.usize(..names.len())].as_str().map(str::to_owned),
            other => other.and_then(Value::as_str).map(str::to_owned),
        };
        match name.as_deref() {
            Some("integer") => json!(self.rng.i64(-3..8)),
            Some("number") => json!(f64::from(self.rng.i32(-6..16)) / 2.0),
            Some("string") => json!(self.text()),
            Some("null") => Value::Null,
            Some("boolean") => json!(self.rng.bool()),
            Some("array") => {
                let items = members.get("items").cloned().unwrap_or(Value::Bool(true));
                let count = self.rng.usize(..4);
                let first = members.get("prefixItems").and_then(|prefix| prefix.get(0)).cloned();
                let values = (0..count).map(|at| {
                    let schema = first.as_ref().filter(|_| at == 0).unwrap_or(&items);
                    self.value(schema, root, depth - 1)
                });
                Value::Array(values.collect())
            }
            Some("object") => {
                let mut all = Map::new();
                let required = members.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
                for name in NAMES {
                    let declared = members.get("properties").and_then(|all| all.get(name));
                    let others = members.get("additionalProperties");
                    let chance = match declared {
                        _ if required.contains(&json!(name)) => 95,
                        Some(_) => 60,
                        None => 25,
                    };
                    if self.chance(chance) {
                        let value = self.value(declared.or(others).unwrap_or(&Value::Bool(true)), root, depth - 1);
                        all.insert(name.to_owned(), value);
                    }
                }
                Value::Object(all)
            }
            _ => self.any(),
        }
    }

    fn any(&mut self) -> Value {
        match self.rng.u8(..7) {
            0 => Value::Null,
            1 => json!(self.rng.bool()),
            2 => json!(self.rng.i64(-3..8)),
            3 => json!(0.5),
            4 => json!([self.text()]),
            5 => json!({NAMES[self.rng.usize(..NAMES.len())]: self.text()}),
            _ => json!(self.text()),
        }
    }
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap_or_else(|e| panic!("{e}: {schema}"))
}

/// The same schema for writers that write what it declares: closed wherever it names members and does not say what others are.
fn as_declared(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let mut new: Map<_, _> = members.iter().map(|(name, value)| (name.clone(), as_declared(value))).collect();
            let names_some = members
                .get("properties")
                .and_then(Value::as_object)
                .is_some_and(|all| !all.is_empty());
            if names_some && members.get("type") == Some(&json!("object")) && !members.contains_key("additionalProperties") {
                new.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            Value::Object(new)
        }
        Value::Array(items) => Value::Array(items.iter().map(as_declared).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

#[derive(Default)]
struct Figures {
    compatible: usize,
    values: usize,
    refuted: usize,
    broken: usize,
}

/// Looks for a value that one schema allows and the other does not; panics where it was said that there is none.
fn check(maker: &mut Maker<'_>, [wrote, reads]: [&Value; 2], is_compatible: bool, what: &str, figures: &mut Figures) {
    let validators = [validator(wrote), validator(reads)];
    let mut is_refuted = false;
    for _ in 0..40 {
        let source = if maker.chance(70) { wrote } else { reads };
        let value = maker.value(source, source, 7);
        if !validators[0].is_valid(&value) {
            continue;
        }
        figures.values += 1;
        let is_read = validators[1].is_valid(&value);
        assert!(
            is_read || !is_compatible,
            "{what}: {value} is written and not read\nwriter {wrote}\nreader {reads}"
        );
        is_refuted |= !is_read;
    }
    if is_compatible {
        figures.compatible += 1;
    } else {
        figures.broken += 1;
        figures.refuted += usize::from(is_refuted);
    }
}

fn run(combines: bool, count: u64) -> Figures {
    let mut figures = Figures::default();
    for seed in seeds(count) {
        let mut rng = Rng::with_seed(seed);
        let mut maker = Maker { rng: &mut rng, combines };
        let old = maker.document();
        let percent = [4, 8, 20][maker.rng.usize(..3)];
        let new = maker.changed(&old, percent);
        let [a, b] = [&old, &new].map(|text| Schema::new(SchemaKind::Json, "Random", text.to_string()));
        let evolution = compare(&a, &b).expect("schemas");
        if evolution.is_same() {
            continue;
        }
        check(
            &mut maker,
            [&old, &new],
            evolution.is_backward(),
            &format!("seed {seed}, backward"),
            &mut figures,
        );
        check(
            &mut maker,
            [&new, &old],
            evolution.is_forward(),
            &format!("seed {seed}, forward"),
            &mut figures,
        );
        if !combines {
            let declared = evolution.as_declared();
            let what = format!("seed {seed}, declared");
            check(&mut maker, [&as_declared(&old), &new], declared.is_backward(), &what, &mut figures);
            check(&mut maker, [&as_declared(&new), &old], declared.is_forward(), &what, &mut figures);
        }
    }
    figures
}

#[test]
fn what_is_called_compatible_never_meets_a_value_that_is_written_and_not_read() {
    for combines in [false, true] {
        let figures = run(combines, 400);
        eprintln!(
            "json, combined {combines}: {} directions compatible, {} not, {} of those refuted by a value; {} values",
            figures.compatible, figures.broken, figures.refuted, figures.values
        );
        // Otherwise the test would say nothing.
        assert!(figures.compatible > 100 && figures.values > 5_000, "too few were compatible");
        assert!(figures.refuted * 10 > figures.broken * 4, "too much is called broken that is not");
    }
}

//! Payloads made from a JSON Schema.

use serde_json::{Map, Number, Value, json};

use crate::registry::book::example::Form;
use crate::registry::book::pattern;

/// How deep a schema that contains itself is followed.
const DEEPEST: usize = 24;

/// A payload in one of its forms, and how many forms were seen; none where it has no end or is not understood.
pub(super) fn one(root: &Value, form: Form) -> Option<(Vec<u8>, usize)> {
    let mut maker = Maker::new(root, form);
    let mut value = maker.value(root, "text", 0)?;
    // One order, whatever features of `serde_json` a build happens to have on.
    value.sort_all_objects();
    Some((format!("{value:#}\n").into_bytes(), maker.forms))
}

/// The fullest payload that a schema describes.
pub(super) fn value(schema: &Value) -> Option<Value> {
    Maker::new(schema, Form { turn: 0, least: false }).value(schema, "text", 0)
}

struct Maker<'a> {
    root: &'a Value,
    form: Form,
    /// The most forms that were seen at one place.
    forms: usize,
    /// The references that are being followed.
    within: Vec<String>,
}

impl<'a> Maker<'a> {
    fn new(root: &'a Value, form: Form) -> Self {
        Self {
            root,
            form,
            forms: 1,
            within: Vec::new(),
        }
    }

    /// A value that a schema describes; `name` is what a text says. None where nothing fits, or what fits has no end.
    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        let schema = match schema {
            Value::Bool(true) => return Some(Value::String(name.to_owned())),
            Value::Object(schema) => schema,
            Value::Null | Value::Bool(false) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
        };
        if let Some(value) = schema.get("const") {
            return Some(value.clone());
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            let several: Vec<_> = values.iter().filter(|value| !value.is_null()).collect();
            return self
                .choose(several.len())
                .map(|at| several[at].clone())
                .or_else(|| values.first().cloned());
        }
        if let Some(value) = schema.get("examples").and_then(Value::as_array).and_then(|all| all.first()) {
            return Some(value.clone());
        }
        let mut whole = None;
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            whole = Some(self.referred(reference, name, depth)?);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            whole = Some(merged(whole, self.value(part, name, depth + 1)?));
        }
        for several in ["oneOf", "anyOf"] {
            if let Some(Value::Array(forms)) = schema.get(several) {
                whole = Some(merged(whole, self.one_of(forms, name, depth)?));
            }
        }
        let own = self.own(schema, name, depth);
        match (whole, own) {
            (Some(whole), Some(own)) => Some(merged(Some(whole), own)),
            (whole, own) => whole.or(own),
        }
    }

    /// The form that it is the turn of; where that one has no end, the first that has.
    fn one_of(&mut self, forms: &[Value], name: &str, depth: usize) -> Option<Value> {
        let is_null = |form: &&Value| form.get("type").is_some_and(|kind| kind == "null");
        let (nulls, several): (Vec<_>, Vec<_>) = forms.iter().partition(is_null);
        if self.form.least && !nulls.is_empty() {
            return Some(Value::Null);
        }
        let at = self.choose(several.len());
        let chosen = at.and_then(|at| self.value(several[at], name, depth + 1));
        chosen
            .or_else(|| several.iter().find_map(|form| self.value(form, name, depth + 1)))
            .or_else(|| (!nulls.is_empty()).then_some(Value::Null))
    }

    fn choose(&mut self, several: usize) -> Option<usize> {
        self.forms = self.forms.max(several);
        (several > 0).then(|| self.form.turn.min(several - 1))
    }

    /// A schema within itself is followed once more, and then has to do without.
    fn referred(&mut self, reference: &str, name: &str, depth: usize) -> Option<Value> {
        if self.within.iter().filter(|open| *open == reference).count() > 1 {
            return None;
        }
        let root = self.root;
        let schema = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer))?;
        self.within.push(reference.to_owned());
        let value = self.value(schema, name, depth + 1);
        self.within.pop();
        value
    }

    /// What the schema itself says, without what it refers to.
    fn own(&mut self, schema: &Map<String, Value>, name: &str, depth: usize) -> Option<Value> {
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(kinds)) if self.form.least && kinds.iter().any(|kind| kind == "null") => "null",
            Some(Value::Array(kinds)) => kinds
                .iter()
                .filter_map(Value::as_str)
                .find(|kind| *kind != "null")
                .unwrap_or("null"),
            _ if schema.contains_key("properties") => "object",
            _ if ["$ref", "allOf", "oneOf", "anyOf"].iter().any(|other| schema.contains_key(*other)) => return None,
            _ => "string",
        };
        match kind {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "string" => self.text(schema, name).map(Value::String),
            "integer" => integer(schema),
            "number" => number(schema),
            "boolean" => Some(Value::Bool(true)),
            "null" => Some(Value::Null),
            _ => None,
        }
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Option<Value> {
        let mut members = Map::new();
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let is_required = required.contains(&name.as_str());
            if self.form.least && !is_required {
                continue;
            }
            match self.value(member, name, depth + 1) {
                Some(value) => drop(members.insert(name.clone(), value)),
                None if is_required => return None,
                None => {}
            }
        }
        let fewest = schema.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
        let wanted = if self.form.least { fewest } else { fewest.max(1) };
        let by_pattern = schema
            .get("patternProperties")
            .and_then(Value::as_object)
            .and_then(|all| all.iter().next());
        let more = by_pattern.map(|(pattern, schema)| (pattern::matching(pattern, false), schema));
        let more = more.or_else(|| Some((None, schema.get("additionalProperties").filter(|more| more.is_object())?)));
        if let Some((key, more)) = more {
            let keys = schema.get("propertyNames").cloned();
            for number in 1..=wanted.min(16) {
                if members.len() as u64 >= wanted && !members.is_empty() && schema.contains_key("properties") && number > 1 {
                    break;
                }
                let named = keys.as_ref().and_then(|keys| self.value(keys, "key", depth + 1));
                let key = match (&key, named) {
                    (Some(key), _) => key.clone(),
                    (None, Some(Value::String(key))) if number == 1 => key,
                    _ => format!("key-{number}"),
                };
                let Some(value) = self.value(more, &key, depth + 1) else { break };
                members.entry(key).or_insert(value);
            }
        }
        Some(Value::Object(members))
    }

    fn array(&mut self, schema: &Map<String, Value>, name: &str, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        for place in schema.get("prefixItems").and_then(Value::as_array).into_iter().flatten() {
            items.push(self.value(place, name, depth + 1)?);
        }
        let fewest = usize::try_from(schema.get("minItems").and_then(Value::as_u64).unwrap_or(0)).ok()?;
        let most = schema.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let wanted = if self.form.least || most == 0 { fewest } else { fewest.max(1) }.min(64);
        let is_unique = schema.get("uniqueItems").is_some_and(|unique| *unique == true);
        let of = schema.get("items").filter(|of| of.is_object());
        while items.len() < wanted {
            let Some(mut item) = of.and_then(|of| self.value(of, name, depth + 1)) else {
                break;
            };
            if is_unique && items.contains(&item) {
                item = another(&item, items.len())?;
            }
            items.push(item);
        }
        (items.len() >= fewest).then_some(Value::Array(items))
    }

    fn text(&self, schema: &Map<String, Value>, name: &str) -> Option<String> {
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
            return pattern::matching(pattern, self.form.least);
        }
        let known = schema.get("format").and_then(Value::as_str).and_then(formatted);
        if let Some(known) = known {
            return Some(known.to_owned());
        }
        let limit = |keyword| {
            schema
                .get(keyword)
                .and_then(Value::as_u64)
                .and_then(|limit| usize::try_from(limit).ok())
        };
        let (fewest, most) = (limit("minLength").unwrap_or(0), limit("maxLength").unwrap_or(usize::MAX));
        let mut text: String = name.chars().take(most).collect();
        let missing = fewest.saturating_sub(text.chars().count());
        if missing > 100_000 {
            return None;
        }
        text.extend(std::iter::repeat_n('x', missing));
        Some(text)
    }
}

/// A text in a format that JSON Schema names.
fn formatted(format: &str) -> Option<&'static str> {
    Some(match format {
        "date-time" => "2026-01-02T03:04:05Z",
        "date" => "2026-01-02",
        "time" => "03:04:05Z",
        "duration" => "P1DT2H",
        "uuid" => "01890a5d-ac96-774b-bcce-b302099a8057",
        "email" | "idn-email" => "somebody@example.com",
        "hostname" | "idn-hostname" => "example.com",
        "ipv4" | "ip" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "iri" | "url" => "https://example.com/a",
        "uri-reference" | "iri-reference" | "json-pointer" => "/a",
        "regex" => "a",
        _ => return None,
    })
}

fn integer(schema: &Map<String, Value>) -> Option<Value> {
    let limit = |keyword| {
        let value: &Value = schema.get(keyword)?;
        let whole = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
        // A limit that schemars writes as a number with a point.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a limit beyond the range saturates, and the check finds what does not fit"
        )]
        whole.or_else(|| value.as_f64().map(|float| float as i128))
    };
    let least = limit("minimum")
        .into_iter()
        .chain(limit("exclusiveMinimum").map(|limit| limit + 1))
        .max();
    let most = limit("maximum")
        .into_iter()
        .chain(limit("exclusiveMaximum").map(|limit| limit - 1))
        .min();
    let step = limit("multipleOf").filter(|step| *step > 0).unwrap_or(1);
    let wanted = least.unwrap_or(1).max(1).min(most.unwrap_or(i128::MAX));
    let up = (wanted + step - 1).div_euclid(step) * step;
    let value = if most.is_some_and(|most| up > most) {
        wanted.div_euclid(step) * step
    } else {
        up
    };
    i64::try_from(value)
        .map(Number::from)
        .or_else(|_| u64::try_from(value).map(Number::from))
        .ok()
        .map(Value::Number)
}

fn number(schema: &Map<String, Value>) -> Option<Value> {
    let limit = |keyword| schema.get(keyword).and_then(Value::as_f64);
    if let Some(step) = limit("multipleOf") {
        let least = limit("minimum").or(limit("exclusiveMinimum")).unwrap_or(0.0);
        return Number::from_f64((least / step).floor().mul_add(step, step)).map(Value::Number);
    }
    let least = limit("minimum").or(limit("exclusiveMinimum"));
    let most = limit("maximum").or(limit("exclusiveMaximum"));
    let value = match (least, most) {
        (Some(least), Some(most)) => f64::midpoint(least, most),
        (Some(least), None) => (least + 0.5).max(1.5),
        (None, Some(most)) => (most - 0.5).min(1.5),
        (None, None) => 1.5,
    };
    Number::from_f64(value).map(Value::Number)
}

/// Objects side by side become one; of anything else the later stays.
fn merged(whole: Option<Value>, part: Value) -> Value {
    match (whole, part) {
        (Some(Value::Object(mut whole)), Value::Object(part)) => {
            for (name, value) in part {
                let value = merged(whole.remove(&name), value);
                whole.insert(name, value);
            }
            Value::Object(whole)
        }
        (Some(Value::Object(whole)), Value::Null) => Value::Object(whole),
        (_, part) => part,
    }
}

/// The same value, a little different.
fn another(value: &Value, number: usize) -> Option<Value> {
    match value {
        Value::Number(known) => Some(json!(known.as_i64()?.checked_add(i64::try_from(number).ok()?)?)),
        Value::String(text) => Some(json!(format!("{text}-{number}"))),
        Value::Bool(known) => Some(json!(!known)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

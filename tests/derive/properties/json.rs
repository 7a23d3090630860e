//! Mutations that a JSON Schema forbids, made of the schema itself.

use eventferry::{EnqueueErrorKind, OutboxEvent, define_outbox};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AsJson, as_json, message, rng};

/// Any JSON at all, under the schema of [`AsJson`].
#[derive(Debug, Serialize, Deserialize, OutboxEvent)]
#[serde(transparent)]
#[outbox(topic = "things", aggregate_type = "thing", aggregate_id = self.0["id"])]
struct Anything(Value);

impl JsonSchema for Anything {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        AsJson::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        AsJson::json_schema(generator)
    }
}

define_outbox! {
    type AnyEvents;
    #[derive(Debug)]
    enum AnyEvent {
        Anything,
    }
}

/// Every way to break a value that the schema forbids, with the place at which it must be reported.
fn broken(root: &Value, schema: &Value, value: &Value, at: &str, into: &mut Vec<(String, String, Value)>) {
    if let Some(Value::String(name)) = schema.get("$ref") {
        let schema = root.pointer(name.trim_start_matches('#')).expect("a definition");
        return broken(root, schema, value, at, into);
    }
    let raw = at.to_owned();
    let mut with = |value: Value| into.push((raw.clone(), at.to_owned(), value));
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    if !types.is_empty() && !types.contains(&"object") {
        with(json!({"of": "another type"}));
    }
    if !types.is_empty() && !types.contains(&"array") {
        with(json!([1]));
    }
    for (limit, step) in [("minimum", -1), ("maximum", 1)] {
        if let Some(limit) = schema.get(limit).and_then(Value::as_i64) {
            with(json!(limit + step));
        }
    }
    if let Some(most) = schema.get("maxLength").and_then(Value::as_u64) {
        with(json!("x".repeat(usize::try_from(most).expect("short") + 1)));
    }
    if schema.get("enum").is_some() {
        with(json!("of no such case"));
    }
    match value {
        Value::Object(members) if schema.get("properties").is_some() => {
            for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let mut less = members.clone();
                less.remove(required);
                with(Value::Object(less));
            }
            for (name, member) in members {
                broken(root, &schema["properties"][name], member, &format!("{at}/{name}"), into);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                broken(root, &schema["items"], item, &format!("{at}/{index}"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {}
    }
}

#[test]
fn any_mutation_that_a_json_schema_forbids_is_refused_at_its_place() {
    let (mut rng, events) = (rng(), AnyEvents::new().unwrap());
    let schema: Value = serde_json::from_str(&AnyEvents::schemas()[0].text).unwrap();
    let mut tried = 0;
    for _ in 0..10 {
        let good = serde_json::to_value(as_json(&mut rng)).unwrap();
        message(&events, Anything(good.clone())).unwrap();
        let mut mutations = Vec::new();
        broken(&schema, &schema, &good, "", &mut mutations);
        for (place, pointer, value) in mutations {
            let mut bad = good.clone();
            *bad.pointer_mut(&place).unwrap() = value.clone();
            let refused = message(&events, Anything(bad)).expect_err(&format!("{pointer}: {value}"));
            assert_eq!(refused.kind(), EnqueueErrorKind::Refused);
            assert!(
                refused.violations().iter().any(|one| one.pointer() == pointer),
                "{pointer}: {value}: {refused}"
            );
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} mutations");
}

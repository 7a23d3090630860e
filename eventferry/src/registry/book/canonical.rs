//! What of an Avro schema decides how bytes are read: its parsing canonical form, and what logical types make of the bytes.

use serde_json::{Map, Value};

use crate::registry::book::example_avro::{full, named};

/// The canonical form of a schema; none where the text is no JSON.
///
/// Beyond the specification's form it keeps what a logical type says: a decimal of another scale is another number.
pub(super) fn form(text: &str) -> Option<Value> {
    Some(schema(&serde_json::from_str(text).ok()?, ""))
}

fn schema(value: &Value, namespace: &str) -> Value {
    match value {
        Value::Array(several) => several.iter().map(|one| schema(one, namespace)).collect(),
        Value::Object(members) => complex(members, namespace),
        Value::String(name) if !is_plain(name) => Value::String(full(name, namespace)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn complex(members: &Map<String, Value>, namespace: &str) -> Value {
    let mut out = Map::new();
    let mut within = namespace.to_owned();
    if let Some((name, inner)) = named(members, namespace) {
        out.insert("name".to_owned(), Value::String(name));
        within = inner;
    }
    for keyword in ["type", "items", "values"] {
        if let Some(inner) = members.get(keyword) {
            out.insert(keyword.to_owned(), schema(inner, &within));
        }
    }
    for keyword in ["symbols", "size", "logicalType", "precision", "scale"] {
        if let Some(inner) = members.get(keyword) {
            out.insert(keyword.to_owned(), inner.clone());
        }
    }
    if let Some(Value::Array(fields)) = members.get("fields") {
        let fields = fields.iter().filter_map(Value::as_object).map(|field| {
            let mut kept = Map::new();
            if let Some(name) = field.get("name") {
                kept.insert("name".to_owned(), name.clone());
            }
            if let Some(kind) = field.get("type") {
                kept.insert("type".to_owned(), schema(kind, &within));
            }
            Value::Object(kept)
        });
        out.insert("fields".to_owned(), fields.collect());
    }
    // A kind alone is the same with braces and without.
    match (out.len(), out.remove("type")) {
        (1, Some(kind)) => kind,
        (_, Some(kind)) => {
            out.insert("type".to_owned(), kind);
            Value::Object(out)
        }
        (_, None) => Value::Object(out),
    }
}

fn is_plain(name: &str) -> bool {
    let complex = ["record", "error", "enum", "array", "map", "fixed"];
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"].contains(&name) || complex.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"{"type":"record","name":"a.b.R","fields":[
        {"name":"n","type":"long"},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
        {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},
        {"name":"o","type":["null","E"]}]}"#;

    #[test]
    fn what_does_not_move_a_byte_is_no_change() {
        let said_otherwise = r#"{"namespace":"a.b","name":"R","doc":"d","aliases":["X"],"type":"record","fields":[
            {"doc":"d","name":"n","type":{"type":"long"},"default":1,"order":"ignore","x-sensitive":true},
            {"name":"e","type":{"name":"a.b.E","type":"enum","symbols":["A","B"],"default":"A"}},
            {"name":"d","type":{"scale":2,"precision":4,"type":"bytes","logicalType":"decimal"}},
            {"name":"o","type":["null","a.b.E"]}]}"#;
        assert_eq!(form(BASE).unwrap(), form(said_otherwise).unwrap());
        assert_eq!(form("{"), None);
    }

    #[test]
    fn what_moves_a_byte_or_its_meaning_is_a_change() {
        for (from, to) in [
            ("\"long\"", "\"int\""),
            ("a.b.R", "a.c.R"),
            ("\"n\"", "\"m\""),
            ("[\"A\",\"B\"]", "[\"B\",\"A\"]"),
            ("\"scale\":2", "\"scale\":3"),
            ("\"logicalType\":\"decimal\",", ""),
            ("[\"null\",\"E\"]", "[\"E\",\"null\"]"),
        ] {
            let changed = BASE.replace(from, to);
            assert_ne!(changed, BASE, "{from}");
            assert_ne!(form(&changed).unwrap(), form(BASE).unwrap(), "{from}");
        }
    }
}

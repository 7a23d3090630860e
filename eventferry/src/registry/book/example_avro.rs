//! Payloads made from an Avro schema, in Avro's binary encoding: always the same ones for the same schema.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::registry::book::example::Form;

/// How deep a schema that contains itself is followed.
const DEEPEST: usize = 24;

/// A payload that a schema describes, in one of its forms, and how many forms it saw; none where the schema has no end or is not
/// understood.
pub(super) fn one(root: &Value, form: Form) -> Option<(Vec<u8>, usize)> {
    let mut maker = Maker {
        named: HashMap::new(),
        form,
        forms: 1,
    };
    maker.learn(root, "");
    let mut bytes = Vec::new();
    maker.write(root, "", "text", 0, &mut bytes)?;
    Some((bytes, maker.forms))
}

struct Maker<'a> {
    /// Records, enums and fixeds by their full names, each with the namespace that names within it are of.
    named: HashMap<String, (&'a Map<String, Value>, String)>,
    form: Form,
    /// The most forms that were seen at one place.
    forms: usize,
}

/// A name with its namespace.
pub(in crate::registry) fn full(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.contains('.') {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

/// The full name of a schema that has one, and the namespace of the names within it.
pub(in crate::registry) fn named(schema: &Map<String, Value>, namespace: &str) -> Option<(String, String)> {
    let name = schema.get("name")?.as_str()?;
    let namespace = schema.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    let name = full(name, namespace);
    let within = name.rsplit_once('.').map_or("", |(within, _)| within).to_owned();
    Some((name, within))
}

impl<'a> Maker<'a> {
    fn learn(&mut self, schema: &'a Value, namespace: &str) {
        match schema {
            Value::Array(several) => several.iter().for_each(|one| self.learn(one, namespace)),
            Value::Object(schema) => {
                let mut within = namespace.to_owned();
                if let Some((name, inner)) = named(schema, namespace) {
                    self.named.insert(name, (schema, inner.clone()));
                    within = inner;
                }
                for keyword in ["type", "items", "values"] {
                    if let Some(inner) = schema.get(keyword) {
                        self.learn(inner, &within);
                    }
                }
                for field in schema.get("fields").and_then(Value::as_array).into_iter().flatten() {
                    if let Some(inner) = field.get("type") {
                        self.learn(inner, &within);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Writes a value; `name` is what a text says.
    fn write(&mut self, schema: &'a Value, namespace: &str, name: &str, depth: usize, to: &mut Vec<u8>) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match schema {
            Value::String(kind) => match self.named.get(&full(kind, namespace)).or_else(|| self.named.get(kind)).cloned() {
                Some((schema, within)) => self.complex(schema, &within, name, depth, to),
                None => plain(kind, None, name, to),
            },
            Value::Object(schema) => {
                let within = named(schema, namespace).map_or_else(|| namespace.to_owned(), |(_, within)| within);
                self.complex(schema, &within, name, depth, to)
            }
            Value::Array(several) => self.union(several, namespace, name, depth, to),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }

    /// The form that it is the turn of; where that one has no end, the first that has.
    fn union(&mut self, several: &'a [Value], namespace: &str, name: &str, depth: usize, to: &mut Vec<u8>) -> Option<()> {
        let null = several.iter().position(|one| one == "null");
        let others: Vec<usize> = (0..several.len()).filter(|at| Some(*at) != null).collect();
        let chosen = self.choose(others.len()).map(|at| others[at]);
        let turn = if self.form.least { null.or(chosen) } else { chosen };
        for at in turn.into_iter().chain(others).chain(null) {
            let mut bytes = Vec::new();
            if self.write(&several[at], namespace, name, depth + 1, &mut bytes).is_some() {
                long(i64::try_from(at).ok()?, to);
                to.append(&mut bytes);
                return Some(());
            }
        }
        None
    }

    fn choose(&mut self, several: usize) -> Option<usize> {
        self.forms = self.forms.max(several);
        (several > 0).then(|| self.form.turn.min(several - 1))
    }

    fn complex(&mut self, schema: &'a Map<String, Value>, within: &str, name: &str, depth: usize, to: &mut Vec<u8>) -> Option<()> {
        let kind = schema.get("type")?;
        let Some(kind) = kind.as_str() else {
            return self.write(kind, within, name, depth + 1, to);
        };
        let logical = schema.get("logicalType").and_then(Value::as_str);
        match kind {
            "record" | "error" => {
                for field in schema.get("fields")?.as_array()? {
                    let name = field.get("name")?.as_str()?;
                    self.write(field.get("type")?, within, name, depth + 1, to)?;
                }
                Some(())
            }
            "enum" => {
                let symbols = schema.get("symbols")?.as_array()?.len();
                let at = self.choose(symbols)?;
                long(i64::try_from(at).ok()?, to);
                Some(())
            }
            "array" | "map" => {
                let mut bytes = Vec::new();
                if !self.form.least {
                    if kind == "map" {
                        text(b"key-1", &mut bytes);
                    }
                    let inner = schema.get(if kind == "map" { "values" } else { "items" })?;
                    // A list that would hold itself without end is empty.
                    if self.write(inner, within, name, depth + 1, &mut bytes).is_some() {
                        long(1, to);
                        to.append(&mut bytes);
                    }
                }
                long(0, to);
                Some(())
            }
            "fixed" => {
                let size = usize::try_from(schema.get("size")?.as_u64()?)
                    .ok()
                    .filter(|size| *size <= 100_000)?;
                let mut bytes = vec![0; size];
                if let Some(last) = bytes.last_mut() {
                    *last = 1;
                }
                to.append(&mut bytes);
                Some(())
            }
            kind => match self.named.get(&full(kind, within)).cloned() {
                Some((schema, inner)) => self.complex(schema, &inner, name, depth + 1, to),
                None => plain(kind, logical, name, to),
            },
        }
    }
}

/// A value of a kind without parts.
fn plain(kind: &str, logical: Option<&str>, name: &str, to: &mut Vec<u8>) -> Option<()> {
    match (kind, logical) {
        ("null", _) => {}
        ("boolean", _) => to.push(1),
        // The same day, and the same moment of it, as the texts of JSON payloads have.
        ("int", Some("date")) => long(20_455, to),
        ("int", Some("time-millis")) => long(11_045_000, to),
        ("long", Some("time-micros")) => long(11_045_000_000, to),
        ("long", Some("timestamp-millis" | "local-timestamp-millis")) => long(1_767_323_045_000, to),
        ("long", Some("timestamp-micros" | "local-timestamp-micros")) => long(1_767_323_045_000_000, to),
        ("long", Some("timestamp-nanos" | "local-timestamp-nanos")) => long(1_767_323_045_000_000_000, to),
        ("int" | "long", _) => long(1, to),
        ("float", _) => to.extend(1.5_f32.to_le_bytes()),
        ("double", _) => to.extend(1.5_f64.to_le_bytes()),
        ("bytes", Some("decimal")) => text(&[1], to),
        ("string", Some("uuid")) => text(b"01890a5d-ac96-774b-bcce-b302099a8057", to),
        ("bytes" | "string", _) => text(name.as_bytes(), to),
        _ => return None,
    }
    Some(())
}

/// A number in Avro's form: the sign in the lowest bit, seven bits in a byte.
fn long(number: i64, to: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return to.push(low & 0x7f);
        }
        to.push(low | 0x80);
    }
}

fn text(bytes: &[u8], to: &mut Vec<u8>) {
    // A length beyond the range is beyond memory too.
    long(i64::try_from(bytes.len()).unwrap_or(i64::MAX), to);
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(schema: &Value, turn: usize, least: bool) -> Option<Vec<u8>> {
        one(schema, Form { turn, least }).map(|(bytes, _)| bytes)
    }

    #[test]
    fn values_are_in_avro_s_binary_encoding() {
        let schema = json!({ "type": "record", "name": "a.R", "fields": [
            { "name": "n", "type": "long" },
            { "name": "t", "type": ["null", "string"] },
            { "name": "e", "type": { "type": "enum", "name": "E", "symbols": ["A", "B"] } },
            { "name": "again", "type": "a.E" },
            { "name": "l", "type": { "type": "array", "items": "E" } },
            { "name": "m", "type": { "type": "map", "values": "boolean" } },
            { "name": "f", "type": { "type": "fixed", "name": "F", "size": 2 } },
            { "name": "d", "type": { "type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2 } },
            { "name": "next", "type": ["null", "R"] },
        ] });
        let head = b"\x02\x02\x02t\x00\x00\x02\x00\x00\x02\x0akey-1\x01\x00\x00\x01\x02\x01";
        let full = made(&schema, 0, false).unwrap();
        assert!(full.starts_with(head), "{full:?}");
        let least = made(&schema, 0, true).unwrap();
        assert_eq!(least, b"\x02\x00\x00\x00\x00\x00\x00\x01\x02\x01\x00");
        assert_eq!(made(&schema, 1, false).unwrap()[4..6], [2, 2], "the other symbol, by either name");
        assert_eq!(one(&schema, Form { turn: 0, least: false }).unwrap().1, 2);
    }

    #[test]
    fn what_has_no_end_or_is_not_known_is_none() {
        let endless = json!({ "type": "record", "name": "R", "fields": [{ "name": "r", "type": "R" }] });
        assert_eq!(made(&endless, 0, false), None);
        let list = json!({ "type": "record", "name": "R", "fields": [{ "name": "r", "type": { "type": "array", "items": "R" } }] });
        assert!(made(&list, 0, false).is_some_and(|bytes| bytes.ends_with(&[0])));
        for unknown in [json!("whole"), json!({ "type": "whole" }), json!(7), json!({})] {
            assert_eq!(made(&unknown, 0, false), None, "{unknown}");
        }
    }

    #[test]
    fn numbers_are_zigzag() {
        for (number, bytes) in [
            (0, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (i64::MIN, &[0xff; 9]),
        ] {
            let mut written = Vec::new();
            long(number, &mut written);
            assert!(written.starts_with(bytes), "{number}: {written:?}");
        }
    }
}

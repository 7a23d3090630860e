//! Shows a payload without what is personal, and without what nobody said is not.

use serde_json::{Map, Value};

use crate::codec::declared::{Alternatives, Declared, Parts, is_of, kinds};
use crate::codec::shown::{hidden, is_sensitive, unnamed};

impl Declared {
    /// The payload with [`MASK`](crate::codec::MASK) for every value that the schema marks, or does not declare; none if it is no JSON. Keys of maps
    /// are values as well.
    pub(crate) fn masked(&self, bytes: &[u8]) -> Option<Value> {
        let value = serde_json::from_slice::<Value>(bytes).ok()?;
        // All alternatives, not only those that fit: what is personal in one form is hidden in every form.
        let parts = self.whole(&value, Alternatives::All);
        Some(self.shown(&value, &parts))
    }

    fn shown<'a>(&'a self, value: &Value, parts: &Parts<'a>) -> Value {
        if parts.iter().any(|part| is_sensitive(part)) || !parts.iter().any(|part| declares(part, value)) {
            return hidden();
        }
        match value {
            Value::Object(members) => {
                let mut shown = Map::new();
                for (name, value) in members {
                    let (name, value) = match self.member(parts, name, value, Alternatives::All) {
                        None => (None, hidden()),
                        Some(member) => (member.is_named.then_some(name), self.shown(value, &member.parts)),
                    };
                    match name {
                        Some(name) => drop(shown.insert(name.clone(), value)),
                        None => drop(shown.insert(unnamed(&shown), value)),
                    }
                }
                Value::Object(shown)
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(at, value)| self.shown(value, &self.item(parts, at, value, Alternatives::All)));
                Value::Array(items.collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }
}

/// Whether a part says that values like this one stand here. What leaves everything open declares nothing.
fn declares(part: &Map<String, Value>, value: &Value) -> bool {
    if let Some(constant) = part.get("const") {
        return constant == value;
    }
    if let Some(Value::Array(values)) = part.get("enum") {
        return values.contains(value);
    }
    match kinds(part) {
        Some(mut kinds) => kinds.any(|kind| is_of(kind, value)),
        None => value.is_object() && part.contains_key("properties"),
    }
}

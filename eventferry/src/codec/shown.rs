//! Values as JSON for the eyes of people, and what is shown in place of what is not shown.

use serde_json::{Map, Value};

/// What stands in place of what is not shown.
pub(crate) const MASK: &str = "***";

/// The attribute that marks a part of a schema.
#[cfg(any(feature = "json", feature = "avro"))]
pub(super) const SENSITIVE: &str = "x-sensitive";

/// Whether the value of [`SENSITIVE`] marks anything: whatever is not plainly no.
#[cfg(any(feature = "json", feature = "avro"))]
fn is_mark(value: Option<&Value>) -> bool {
    value.is_some_and(|mark| !matches!(mark, Value::Null | Value::Bool(false)))
}

/// Whether a part of a schema is marked.
#[cfg(any(feature = "json", feature = "avro"))]
pub(crate) fn is_sensitive(part: &Map<String, Value>) -> bool {
    is_mark(part.get(SENSITIVE))
}

pub(super) fn hidden() -> Value {
    Value::String(MASK.to_owned())
}

/// A name for a member whose own is not shown, different from those that are there.
pub(super) fn unnamed(members: &Map<String, Value>) -> String {
    // As many as there are may be unnamed, so this is where the next of them goes if all are.
    let mut number = members.len() + 1;
    if number == 1 || !members.contains_key(MASK) {
        return MASK.to_owned();
    }
    loop {
        let name = format!("{MASK}{number}");
        if !members.contains_key(&name) {
            return name;
        }
        number += 1;
    }
}

/// Bytes as hexadecimal text.
#[cfg(any(feature = "avro", feature = "protobuf"))]
pub(super) fn bytes(bytes: &[u8]) -> Value {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
    let text: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect();
    text.into()
}

/// A number with as many digits as tell it from its neighbours; a text where JSON has no such number.
#[cfg(any(feature = "avro", feature = "protobuf"))]
pub(super) fn float(float: &impl ToString) -> Value {
    let text = float.to_string();
    match text.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
        Some(number) => number.into(),
        None => text.into(),
    }
}

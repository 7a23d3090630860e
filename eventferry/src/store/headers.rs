//! Headers as the JSON object that the table holds, in the order in which they were set.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::Serializer as _;

use crate::event::Headers;
use crate::store::{StoreError, StoreErrorKind};

/// The headers as a JSON object of strings.
pub(crate) fn to_json(headers: &Headers) -> Result<Cow<'static, str>, StoreError> {
    if headers.is_empty() {
        return Ok(Cow::Borrowed("{}"));
    }
    let mut out = Vec::with_capacity(headers.iter().map(|(name, value)| name.len() + value.len() + 6).sum::<usize>() + 2);
    serde_json::Serializer::new(&mut out)
        .collect_map(headers.iter())
        .ok()
        .and_then(|()| String::from_utf8(out).ok())
        .map(Cow::Owned)
        .ok_or_else(|| StoreError::new(StoreErrorKind::Invalid, "cannot write the headers as JSON"))
}

/// The headers of a stored row.
///
/// Rows written by hand may hold values that are not strings: those are taken as their JSON text, so that one odd row stops no lane.
pub(crate) fn from_json(id: i64, json: &[u8]) -> Result<Headers, StoreError> {
    if json == b"{}" {
        return Ok(Headers::new());
    }
    serde_json::from_slice::<Stored>(json).map(|stored| stored.0).map_err(|error| {
        // The parser's own text may quote a value.
        StoreError::new(
            StoreErrorKind::Database,
            format!(
                "cannot read the headers of row {id}: not a JSON object (line {}, column {})",
                error.line(),
                error.column()
            ),
        )
    })
}

struct Stored(Headers);

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Stored;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stored, A::Error> {
                let mut headers = Headers::with_capacity(map.size_hint().unwrap_or(4));
                while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
                    let text = if let serde_json::Value::String(text) = value {
                        text
                    } else {
                        value.to_string()
                    };
                    headers.set(name, text);
                }
                Ok(Stored(headers))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_in_the_order_they_were_set() {
        let mut headers = Headers::new();
        for (name, value) in [("z", "1"), ("a", "\"q\" \\ \u{1} ä"), ("m", "")] {
            headers.set(name, value);
        }
        let json = to_json(&headers).unwrap();
        assert_eq!(json, "{\"z\":\"1\",\"a\":\"\\\"q\\\" \\\\ \\u0001 ä\",\"m\":\"\"}");
        assert_eq!(from_json(1, json.as_bytes()).unwrap(), headers);
        assert_eq!(from_json(1, to_json(&Headers::new()).unwrap().as_bytes()).unwrap(), Headers::new());
    }

    #[test]
    fn rows_written_by_hand_are_read_as_far_as_possible() {
        let headers = from_json(1, br#" {"n": 7, "o": {"a": [true]}, "s": "x"} "#).unwrap();
        let pairs: Vec<_> = headers.iter().collect();
        assert_eq!(pairs, [("n", "7"), ("o", r#"{"a":[true]}"#), ("s", "x")]);
    }

    #[test]
    fn the_error_shows_no_value() {
        let text = from_json(9, br#"["4111 secret"]"#).unwrap_err().to_string();
        assert!(text.contains("row 9") && !text.contains("secret"), "{text}");
    }
}

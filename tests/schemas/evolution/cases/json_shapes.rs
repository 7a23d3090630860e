//! Changes of a JSON Schema below a member: lists, maps, objects and alternatives.

use eventferry::schema::SchemaKind;
use eventferry::schema::evolution::Compatibility::{Backward, Forward, Full, None};

use crate::evolution::cases::Case;
use crate::evolution::cases::json::member;

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Case> {
    let inner = |change, old: &str, new: &str, ours| Case::new(SchemaKind::Json, change, member(old), member(new), ours);
    let nested =
        |inner: &str| format!(r#"{{"type": "object", "additionalProperties": false, "properties": {{"b": {inner}}}, "required": ["b"]}}"#);
    let tuple = |places: &[&str]| {
        let items: Vec<_> = places.iter().map(|kind| format!(r#"{{"type": "{kind}"}}"#)).collect();
        let (items, count) = (items.join(", "), places.len());
        format!(r#"{{"type": "array", "items": [{items}], "additionalItems": false, "minItems": {count}, "maxItems": {count}}}"#)
    };
    vec![
        inner(
            "items narrowed",
            r#"{"type": "array", "items": {"type": "number"}}"#,
            r#"{"type": "array", "items": {"type": "integer"}}"#,
            Forward,
        ),
        inner(
            "null allowed in a list",
            r#"{"type": "array", "items": {"type": "string"}}"#,
            r#"{"type": "array", "items": {"type": ["string", "null"]}}"#,
            Backward,
        ),
        inner(
            "value added to an enum in a list",
            r#"{"type": "array", "items": {"enum": ["x"]}}"#,
            r#"{"type": "array", "items": {"enum": ["x", "y"]}}"#,
            Backward,
        ),
        inner(
            "value became a list",
            r#"{"type": "string"}"#,
            r#"{"type": "array", "items": {"type": "string"}}"#,
            None,
        ),
        inner(
            "minItems added",
            r#"{"type": "array"}"#,
            r#"{"type": "array", "minItems": 1}"#,
            Forward,
        ),
        inner(
            "maxItems removed",
            r#"{"type": "array", "maxItems": 2}"#,
            r#"{"type": "array"}"#,
            Backward,
        ),
        inner(
            "uniqueItems removed",
            r#"{"type": "array", "uniqueItems": true}"#,
            r#"{"type": "array"}"#,
            Backward,
        ),
        inner(
            "place of a tuple widened",
            &tuple(&["string", "integer"]),
            &tuple(&["string", "number"]),
            Backward,
        ),
        inner("place of a tuple added", &tuple(&["string"]), &tuple(&["string", "integer"]), None),
        inner(
            "values of a map narrowed",
            r#"{"type": "object", "additionalProperties": {"type": "number"}}"#,
            r#"{"type": "object", "additionalProperties": {"type": "integer"}}"#,
            Forward,
        ),
        inner(
            "values of a map of another type",
            r#"{"type": "object", "additionalProperties": {"type": "string"}}"#,
            r#"{"type": "object", "additionalProperties": {"type": "integer"}}"#,
            None,
        ),
        inner(
            "rule for the keys of a map added",
            r#"{"type": "object", "additionalProperties": {"type": "string"}}"#,
            r#"{"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"maxLength": 3}}"#,
            Forward,
        ),
        inner(
            "minProperties added",
            r#"{"type": "object", "additionalProperties": {"type": "string"}}"#,
            r#"{"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}"#,
            Forward,
        ),
        inner(
            "closed object became a map",
            r#"{"type": "object", "additionalProperties": false}"#,
            r#"{"type": "object", "additionalProperties": {"type": "string"}}"#,
            Backward,
        ),
        inner(
            "open object became a map",
            r#"{"type": "object"}"#,
            r#"{"type": "object", "additionalProperties": {"type": "string"}}"#,
            Forward,
        ),
        inner(
            "optional member of a member added, closed",
            &nested(r#"{"type": "integer"}"#),
            &nested(r#"{"type": "integer"}, "c": {"type": "integer"}"#),
            Backward,
        ),
        inner(
            "optional member of a member added, open",
            r#"{"type": "object", "properties": {"b": {"type": "string"}}}"#,
            r#"{"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "string"}}}"#,
            Forward,
        )
        .declared(Full),
        inner(
            "member of a member became required",
            r#"{"type": "object", "properties": {"b": {"type": "string"}}}"#,
            r#"{"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}"#,
            Forward,
        ),
        inner(
            "object within closed",
            r#"{"type": "object", "properties": {"b": {"type": "string"}}}"#,
            r#"{"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": false}"#,
            Forward,
        )
        .declared(Full),
        inner(
            "members gathered into an object",
            r#"{"type": "string"}"#,
            &nested(r#"{"type": "string"}"#),
            None,
        ),
        inner(
            "anyOf: alternative removed",
            r#"{"anyOf": [{"type": "string"}, {"type": "integer"}]}"#,
            r#"{"anyOf": [{"type": "string"}]}"#,
            Forward,
        ),
        inner(
            "allOf: rule removed",
            r#"{"allOf": [{"type": "string"}, {"maxLength": 3}]}"#,
            r#"{"allOf": [{"type": "string"}]}"#,
            Backward,
        ),
        inner(
            "not removed",
            r#"{"type": "string", "not": {"const": "x"}}"#,
            r#"{"type": "string"}"#,
            Backward,
        ),
    ]
}

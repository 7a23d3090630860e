//! Changes of a JSON Schema.

use eventferry::schema::SchemaKind;
use eventferry::schema::evolution::Compatibility::{Backward, Forward, Full, None};

use crate::evolution::cases::Case;

/// An object with members, `extra` before them.
fn object(extra: &str, members: &str, required: &str) -> String {
    format!(
        r#"{{"$schema": "http://json-schema.org/draft-07/schema#", "title": "Order", "type": "object", {extra}"properties": {{{members}}}, "required": [{required}]}}"#
    )
}

fn closed(members: &str, required: &str) -> String {
    object(r#""additionalProperties": false, "#, members, required)
}

fn open(members: &str, required: &str) -> String {
    object("", members, required)
}

/// A closed object whose one member is of a schema.
pub(super) fn member(schema: &str) -> String {
    closed(&format!(r#""a": {schema}"#), r#""a""#)
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Case> {
    let (id, note) = (
        r#""id": {"type": "string"}"#,
        r#""id": {"type": "string"}, "note": {"type": "string"}"#,
    );
    let defaulted = r#""id": {"type": "string"}, "note": {"type": "string", "default": ""}"#;
    let case = |change, old, new, ours| Case::new(SchemaKind::Json, change, old, new, ours);
    let inner = |change, old: &str, new: &str, ours| case(change, member(old), member(new), ours);
    let nested =
        |inner: &str| format!(r#"{{"type": "object", "additionalProperties": false, "properties": {{"b": {inner}}}, "required": ["b"]}}"#);
    let variant = |tag: &str, more: &str| {
        format!(
            r#"{{"type": "object", "properties": {{"kind": {{"const": "{tag}"}}{more}}}, "required": ["kind"], "additionalProperties": false}}"#
        )
    };
    let one_of = |branches: &[String]| format!(r#"{{"oneOf": [{}]}}"#, branches.join(", "));
    let (card, money) = (variant("card", ""), variant("cash", ""));
    let recursive = |kind: &str| {
        format!(
            r##"{{"$schema": "http://json-schema.org/draft-07/schema#", "title": "Order", "$ref": "#/definitions/T", "definitions": {{"T": {{"type": "object", "additionalProperties": false, "properties": {{"v": {{"type": "{kind}"}}, "next": {{"$ref": "#/definitions/T"}}}}}}}}}}"##
        )
    };
    vec![
        case("optional member added, closed", closed(id, ""), closed(note, ""), Backward),
        case("optional member added, open", open(id, ""), open(note, ""), Forward).declared(Full),
        case("required member added, closed", closed(id, ""), closed(note, r#""note""#), None),
        case("required member added, open", open(id, ""), open(note, r#""note""#), Forward),
        case(
            "member with a default added, closed",
            closed(id, ""),
            closed(defaulted, ""),
            Backward,
        ),
        case("member with a default added, open", open(id, ""), open(defaulted, ""), Forward).declared(Full),
        case("optional member removed, closed", closed(note, ""), closed(id, ""), Forward),
        case("optional member removed, open", open(note, ""), open(id, ""), Backward).declared(Full),
        case("required member removed, closed", closed(note, r#""note""#), closed(id, ""), None),
        case("required member removed, open", open(note, r#""note""#), open(id, ""), Backward),
        case(
            "member renamed, closed",
            closed(r#""a": {"type": "string"}"#, ""),
            closed(r#""b": {"type": "string"}"#, ""),
            None,
        ),
        case(
            "member renamed, open",
            open(r#""a": {"type": "string"}"#, ""),
            open(r#""b": {"type": "string"}"#, ""),
            None,
        )
        .declared(Full),
        case(
            "optional member became required",
            closed(note, ""),
            closed(note, r#""note""#),
            Forward,
        ),
        case(
            "required member became optional",
            closed(note, r#""note""#),
            closed(note, ""),
            Backward,
        ),
        inner(
            "default changed",
            r#"{"type": "integer", "default": 1}"#,
            r#"{"type": "integer", "default": 2}"#,
            Full,
        ),
        inner(
            "description changed",
            r#"{"type": "integer", "description": "a"}"#,
            r#"{"type": "integer", "description": "b"}"#,
            Full,
        ),
        inner("integer became number", r#"{"type": "integer"}"#, r#"{"type": "number"}"#, Backward),
        inner("number became integer", r#"{"type": "number"}"#, r#"{"type": "integer"}"#, Forward),
        inner("string became integer", r#"{"type": "string"}"#, r#"{"type": "integer"}"#, None),
        inner("null allowed", r#"{"type": "string"}"#, r#"{"type": ["string", "null"]}"#, Backward),
        inner(
            "null forbidden",
            r#"{"type": ["string", "null"]}"#,
            r#"{"type": "string"}"#,
            Forward,
        ),
        inner(
            "value added to an enum",
            r#"{"enum": ["x", "y"]}"#,
            r#"{"enum": ["x", "y", "z"]}"#,
            Backward,
        ),
        inner(
            "value removed from an enum",
            r#"{"enum": ["x", "y"]}"#,
            r#"{"enum": ["x"]}"#,
            Forward,
        ),
        inner(
            "values of an enum in another order",
            r#"{"enum": ["x", "y"]}"#,
            r#"{"enum": ["y", "x"]}"#,
            Full,
        ),
        inner(
            "enum became alternatives of constants",
            r#"{"enum": ["x", "y"]}"#,
            r#"{"oneOf": [{"const": "x"}, {"const": "y"}]}"#,
            Full,
        ),
        inner("constant changed", r#"{"const": "x"}"#, r#"{"const": "y"}"#, None),
        inner(
            "minimum raised",
            r#"{"type": "integer", "minimum": 1}"#,
            r#"{"type": "integer", "minimum": 2}"#,
            Forward,
        ),
        inner(
            "minimum lowered",
            r#"{"type": "integer", "minimum": 2}"#,
            r#"{"type": "integer", "minimum": 1}"#,
            Backward,
        ),
        inner(
            "minimum added",
            r#"{"type": "integer"}"#,
            r#"{"type": "integer", "minimum": 1}"#,
            Forward,
        ),
        inner(
            "minimum removed",
            r#"{"type": "integer", "minimum": 1}"#,
            r#"{"type": "integer"}"#,
            Backward,
        ),
        inner(
            "minimum became exclusive",
            r#"{"type": "number", "minimum": 1}"#,
            r#"{"type": "number", "exclusiveMinimum": 1}"#,
            Forward,
        ),
        inner(
            "maximum lowered",
            r#"{"type": "number", "maximum": 9}"#,
            r#"{"type": "number", "maximum": 8}"#,
            Forward,
        ),
        inner(
            "multipleOf 4 became 2",
            r#"{"type": "integer", "multipleOf": 4}"#,
            r#"{"type": "integer", "multipleOf": 2}"#,
            Backward,
        ),
        inner(
            "maxLength raised",
            r#"{"type": "string", "maxLength": 3}"#,
            r#"{"type": "string", "maxLength": 4}"#,
            Backward,
        ),
        inner(
            "maxLength lowered",
            r#"{"type": "string", "maxLength": 4}"#,
            r#"{"type": "string", "maxLength": 3}"#,
            Forward,
        ),
        inner(
            "minLength added",
            r#"{"type": "string"}"#,
            r#"{"type": "string", "minLength": 1}"#,
            Forward,
        ),
        inner(
            "pattern added",
            r#"{"type": "string"}"#,
            r#"{"type": "string", "pattern": "^a"}"#,
            Forward,
        ),
        inner(
            "pattern removed",
            r#"{"type": "string", "pattern": "^a"}"#,
            r#"{"type": "string"}"#,
            Backward,
        ),
        inner(
            "pattern changed",
            r#"{"type": "string", "pattern": "^a"}"#,
            r#"{"type": "string", "pattern": "^b"}"#,
            None,
        ),
        inner(
            "format added",
            r#"{"type": "string"}"#,
            r#"{"type": "string", "format": "date-time"}"#,
            Forward,
        ),
        inner(
            "format changed",
            r#"{"type": "string", "format": "date"}"#,
            r#"{"type": "string", "format": "date-time"}"#,
            None,
        ),
        inner(
            "format int32 became int64",
            r#"{"type": "integer", "format": "int32"}"#,
            r#"{"type": "integer", "format": "int64"}"#,
            Backward,
        ),
        inner(
            "items widened",
            r#"{"type": "array", "items": {"type": "integer"}}"#,
            r#"{"type": "array", "items": {"type": "number"}}"#,
            Backward,
        ),
        inner(
            "items of another type",
            r#"{"type": "array", "items": {"type": "string"}}"#,
            r#"{"type": "array", "items": {"type": "integer"}}"#,
            None,
        ),
        inner(
            "maxItems added",
            r#"{"type": "array"}"#,
            r#"{"type": "array", "maxItems": 2}"#,
            Forward,
        ),
        inner(
            "uniqueItems added",
            r#"{"type": "array"}"#,
            r#"{"type": "array", "uniqueItems": true}"#,
            Forward,
        ),
        inner(
            "values of a map widened",
            r#"{"type": "object", "additionalProperties": {"type": "integer"}}"#,
            r#"{"type": "object", "additionalProperties": {"type": "number"}}"#,
            Backward,
        ),
        inner(
            "member of a member widened",
            &nested(r#"{"type": "integer"}"#),
            &nested(r#"{"type": "number"}"#),
            Backward,
        ),
        inner(
            "member of an item became required",
            r#"{"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}}}"#,
            r#"{"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}}"#,
            Forward,
        ),
        case("object closed", open(id, ""), closed(id, ""), Forward).declared(Full),
        case("object opened", closed(id, ""), open(id, ""), Backward).declared(Full),
        inner(
            "alternative added",
            &one_of(std::slice::from_ref(&card)),
            &one_of(&[card.clone(), money.clone()]),
            Backward,
        ),
        inner(
            "alternative removed",
            &one_of(&[card.clone(), money.clone()]),
            &one_of(std::slice::from_ref(&card)),
            Forward,
        ),
        inner(
            "optional member of an alternative added, closed",
            &one_of(&[card.clone(), money.clone()]),
            &one_of(&[variant("card", r#", "number": {"type": "string"}"#), money.clone()]),
            Backward,
        ),
        inner(
            "alternative added that overlaps another",
            r#"{"oneOf": [{"type": "integer"}, {"type": "string"}]}"#,
            r#"{"oneOf": [{"type": "integer"}, {"type": "number"}, {"type": "string"}]}"#,
            None,
        ),
        inner(
            "anyOf: alternative added",
            r#"{"anyOf": [{"type": "string"}]}"#,
            r#"{"anyOf": [{"type": "string"}, {"type": "integer"}]}"#,
            Backward,
        ),
        inner(
            "type became an alternative",
            r#"{"type": "string"}"#,
            r#"{"anyOf": [{"type": "string"}, {"type": "null"}]}"#,
            Backward,
        ),
        inner(
            "allOf: rule added",
            r#"{"allOf": [{"type": "string"}]}"#,
            r#"{"allOf": [{"type": "string"}, {"maxLength": 3}]}"#,
            Forward,
        ),
        inner(
            "not added",
            r#"{"type": "string"}"#,
            r#"{"type": "string", "not": {"const": "x"}}"#,
            Forward,
        ),
        inner(
            "type became one of two",
            r#"{"type": "string"}"#,
            r#"{"type": ["string", "integer"]}"#,
            Backward,
        ),
        inner(
            "one of two types removed",
            r#"{"type": ["string", "integer"]}"#,
            r#"{"type": "string"}"#,
            Forward,
        ),
        inner(
            "default added",
            r#"{"type": "integer"}"#,
            r#"{"type": "integer", "default": 1}"#,
            Full,
        ),
        inner(
            "default removed",
            r#"{"type": "integer", "default": 1}"#,
            r#"{"type": "integer"}"#,
            Full,
        ),
        inner(
            "title changed",
            r#"{"type": "integer", "title": "a"}"#,
            r#"{"type": "integer", "title": "b"}"#,
            Full,
        ),
        inner("boolean became string", r#"{"type": "boolean"}"#, r#"{"type": "string"}"#, None),
        inner(
            "string became an enum",
            r#"{"type": "string"}"#,
            r#"{"type": "string", "enum": ["x"]}"#,
            Forward,
        ),
        inner(
            "enum became string",
            r#"{"type": "string", "enum": ["x"]}"#,
            r#"{"type": "string"}"#,
            Backward,
        ),
        inner(
            "value of an enum renamed",
            r#"{"enum": ["x", "y"]}"#,
            r#"{"enum": ["x", "z"]}"#,
            None,
        ),
        inner("constant became an enum", r#"{"const": "x"}"#, r#"{"enum": ["x", "y"]}"#, Backward),
        inner(
            "maximum added",
            r#"{"type": "number"}"#,
            r#"{"type": "number", "maximum": 9}"#,
            Forward,
        ),
        inner(
            "exclusive minimum became inclusive",
            r#"{"type": "number", "exclusiveMinimum": 1}"#,
            r#"{"type": "number", "minimum": 1}"#,
            Backward,
        ),
        inner(
            "minLength removed",
            r#"{"type": "string", "minLength": 1}"#,
            r#"{"type": "string"}"#,
            Backward,
        ),
        inner(
            "maxLength added",
            r#"{"type": "string"}"#,
            r#"{"type": "string", "maxLength": 3}"#,
            Forward,
        ),
        inner(
            "format removed",
            r#"{"type": "string", "format": "date-time"}"#,
            r#"{"type": "string"}"#,
            Backward,
        ),
        case(
            "definition renamed",
            recursive("integer"),
            recursive("integer")
                .replace("definitions/T", "definitions/U")
                .replace(r#"{"T":"#, r#"{"U":"#),
            Full,
        ),
        case("recursive type widened", recursive("integer"), recursive("number"), Backward),
        case("the same text", closed(note, ""), closed(note, ""), Full),
    ]
}

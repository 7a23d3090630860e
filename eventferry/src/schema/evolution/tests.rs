//! What the texts of differences say, and that they can be read.

#![cfg(feature = "json")]

use crate::schema::evolution::{Compatibility, Evolution, EvolutionErrorKind, compare};
use crate::schema::{Reference, Schema, SchemaKind, Subject};

fn evolved(old: &str, new: &str) -> Evolution {
    let schema = |text| Schema::new(SchemaKind::Json, "Order", text);
    compare(&schema(old), &schema(new)).unwrap()
}

/// What is shown, for two closed objects with these members.
fn shown(old: &str, new: &str) -> String {
    let object = |members: &str| format!(r#"{{"type": "object", "additionalProperties": false, {members}}}"#);
    evolved(&object(old), &object(new)).to_string()
}

#[test]
fn differences_are_told_as_a_developer_wants_them_in_a_failing_test() {
    let old = r##"{
        "type": "object", "description": "An order.", "required": ["id", "customer", "lines", "payment"], "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "maxLength": 36},
            "customer": {"$ref": "#/$defs/Customer"},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
            "payment": {"oneOf": [
                {"type": "object", "properties": {"kind": {"const": "card"}, "number": {"type": "string"}}, "required": ["kind", "number"]},
                {"type": "object", "properties": {"kind": {"const": "cash"}}, "required": ["kind"]}
            ]},
            "status": {"type": "string", "enum": ["new", "paid"]}
        },
        "$defs": {
            "Customer": {"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"], "additionalProperties": false},
            "Line": {"type": "object", "properties": {"sku": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/Line"}}},
                     "required": ["sku"], "additionalProperties": false}
        }
    }"##;
    let new = old
        .replace("An order.", "An order of the shop.")
        .replace(r#""maxLength": 36"#, r#""maxLength": 40"#)
        .replace(
            r#""email": {"type": "string"}}, "required": ["email"]"#,
            r#""email": {"type": ["string", "null"]}}"#,
        )
        .replace(
            r#""sku": {"type": "string"}"#,
            r#""sku": {"type": "string"}, "count": {"type": "integer", "default": 1}"#,
        )
        .replace(r#""number": {"type": "string"}"#, r#""number": {"type": "integer"}"#)
        .replace(r#"["new", "paid"]"#, r#"["new", "paid", "sent"]"#)
        .replace(r#""lines", "payment"]"#, r#""lines", "payment", "status"]"#);
    let evolution = evolved(old, &new);
    assert_eq!(
        evolution.to_string(),
        "\
not compatible:
  /                      `description` changed
  /customer/email        was never null, is perhaps null  breaks forward
  /customer/email        was required, is optional        breaks forward
  /id                    `maxLength` was 36, is 40        breaks forward
  /lines/*/count         is new, optional                 breaks forward
  /payment[card]/number  type was string, is integer      breaks both directions
  /status                was optional, is required        breaks backward
  /status                allowed values: \"sent\" added     breaks forward
"
    );
    assert_eq!(evolution.compatibility(), Compatibility::None);
}

#[test]
fn the_same_rules_in_other_words_are_fully_compatible() {
    let same = [
        // A comment on a variant makes schemars write the list as alternatives.
        (
            r#"{"type": "string", "enum": ["a", "b"]}"#,
            r#"{"oneOf": [{"type": "string", "const": "a", "description": "A."}, {"type": "string", "const": "b"}]}"#,
        ),
        (
            r#"{"type": ["string", "null"]}"#,
            r#"{"anyOf": [{"type": "string"}, {"type": "null"}]}"#,
        ),
        (
            r##"{"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}}"##,
            r#"{"type": "integer", "title": "B"}"#,
        ),
        (
            r#"{"type": "integer", "minimum": 1}"#,
            r#"{"allOf": [{"type": "integer"}, {"minimum": 1}]}"#,
        ),
        (r#"{"type": "integer"}"#, r#"{"type": "number", "multipleOf": 1}"#),
        ("true", "{}"),
        (
            r##"{"$ref": "#/$defs/T", "$defs": {"T": {"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}}}}}"##,
            r##"{"$ref": "#/$defs/U", "$defs": {"U": {"type": "object", "properties": {"next": {"$ref": "#/$defs/U"}}}}}"##,
        ),
    ];
    for (old, new) in same {
        let evolution = evolved(old, new);
        // The last but three is only shown in one direction: nothing here reads `multipleOf` as a type.
        let wanted = if new.contains("multipleOf") {
            Compatibility::Backward
        } else {
            Compatibility::Full
        };
        assert_eq!(evolution.compatibility(), wanted, "{old} and {new}: {evolution}");
    }
}

#[test]
fn what_is_not_understood_counts_as_broken_and_what_people_read_does_not() {
    for (keyword, is_broken) in [
        ("nullable", true),
        ("formatMinimum", true),
        ("x-sensitive", false),
        ("title", false),
        ("examples", false),
    ] {
        let old = format!(r#"{{"type": "string", "{keyword}": "a"}}"#);
        let new = format!(r#"{{"type": "string", "{keyword}": "b"}}"#);
        let evolution = evolved(&old, &new);
        let wanted = if is_broken { Compatibility::None } else { Compatibility::Full };
        assert_eq!(evolution.compatibility(), wanted, "{keyword}: {evolution}");
        assert!(!evolution.is_same(), "{keyword}");
        assert!(evolved(&old, &old).is_same(), "{keyword}");
    }
    // A member that is named like a keyword is a member.
    assert!(
        !evolved(
            r#"{"properties": {"title": {"type": "string"}}}"#,
            r#"{"properties": {"title": {"type": "integer"}}}"#
        )
        .is_backward()
    );
    // A reference that leads out of the text is the same as long as what is registered for it is.
    let mut one = Schema::new(
        SchemaKind::Json,
        "A",
        r#"{"properties": {"a": {"$ref": "b.json"}, "c": {"type": "integer"}}}"#,
    );
    let mut other = Schema::new(
        SchemaKind::Json,
        "A",
        r#"{"properties": {"a": {"$ref": "b.json"}, "c": {"type": "number"}}}"#,
    );
    one.references = vec![Reference::new("b.json", Subject::new("b"), 1)];
    other.references.clone_from(&one.references);
    assert_eq!(compare(&one, &other).unwrap().compatibility(), Compatibility::Backward);
    other.references[0].version = 2;
    assert_eq!(compare(&one, &other).unwrap().compatibility(), Compatibility::None);
    // A dialect that is not read here, and a schema that moves the base of its references.
    let draft4 = |most: u8| format!(r#"{{"$schema": "http://json-schema.org/draft-04/schema#", "maximum": {most}}}"#);
    assert_eq!(evolved(&draft4(1), &draft4(2)).compatibility(), Compatibility::None);
    assert_eq!(evolved(&draft4(1), &draft4(1)).compatibility(), Compatibility::Full);
    let moved = |kind: &str| {
        format!(r##"{{"properties": {{"a": {{"$id": "http://x/", "$ref": "#/$defs/A"}}}}, "$defs": {{"A": {{"type": "{kind}"}}}}}}"##)
    };
    assert_eq!(evolved(&moved("integer"), &moved("number")).compatibility(), Compatibility::None);
}

#[test]
fn a_schema_that_leads_back_to_itself_or_never_ends_is_answered() {
    let circle = r##"{"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "string"}]}}}"##;
    assert!(!evolved(circle, r#"{"type": "string", "maxLength": 3}"#).is_backward());
    // With the assumption that it holds, a pair would prove itself.
    let nothing_else = r##"{"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}}"##;
    assert!(!evolved(nothing_else, r#"{"type": "string"}"#).is_backward());
    let chain = |kind: &str| {
        let mut text = format!(r#"{{"type": "{kind}"}}"#);
        for _ in 0..100 {
            text = format!(r#"{{"properties": {{"a": {text}}}}}"#);
        }
        text
    };
    assert!(chain("string").len() > 1000);
    assert!(
        compare(
            &Schema::new(SchemaKind::Json, "A", chain("string")),
            &Schema::new(SchemaKind::Json, "A", chain("integer"))
        )
        .is_err()
    );
    // Every pair of places has eighteen below it, and two kinds to tell apart.
    let wide = |last: &str| {
        let members: Vec<_> = (0..9)
            .map(|n| format!(r##""p{n}": {{"anyOf": [{{"$ref": "#/$defs/A"}}, {{"$ref": "#/$defs/B"}}]}}"##))
            .collect();
        let one = |name: &str, kind: &str| {
            let members = members.join(", ");
            format!(
                r#""{name}": {{"type": "object", "required": ["k"], "properties": {{{members}, "k": {{"const": "{name}"}}, "z": {{"type": "{kind}"}}}}}}"#
            )
        };
        format!(
            r##"{{"$ref": "#/$defs/A", "$defs": {{{}, {}}}}}"##,
            one("A", "string"),
            one("B", last)
        )
    };
    let started = std::time::Instant::now();
    assert!(!evolved(&wide("string"), &wide("integer")).is_backward());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn texts_that_are_no_schemas_and_two_languages_are_errors() {
    let json = Schema::new(SchemaKind::Json, "Order", "{}");
    for text in ["", "[]", "12", "{\"a\":"] {
        let error = compare(&json, &Schema::new(SchemaKind::Json, "Order", text)).unwrap_err();
        assert_eq!(error.kind(), EvolutionErrorKind::Invalid, "{text}");
        assert_eq!(error.to_string(), "failed to read the new schema of `Order`");
    }
    let error = compare(&json, &Schema::new(SchemaKind::Avro, "Order", "{}")).unwrap_err();
    assert_eq!(error.kind(), EvolutionErrorKind::DifferentKinds);
}

#[test]
fn a_member_s_path_is_a_pointer() {
    assert_eq!(
        shown(
            r#""properties": {"a/b~c": {"type": "object", "additionalProperties": {"minimum": 1}}}"#,
            r#""properties": {"a/b~c": {"type": "object", "additionalProperties": {"minimum": 0}}}"#
        ),
        "backward compatible, not forward compatible:\n  /a~1b~0c/*  `minimum` was 1, is 0  breaks forward\n"
    );
}

//! Changes of an Avro schema.

use eventferry::schema::SchemaKind;
use eventferry::schema::evolution::Compatibility::{Backward, Forward, Full, None};

use crate::evolution::cases::Case;

/// A record with fields.
fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "Order", "namespace": "shop", "fields": [{fields}]}}"#)
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Case> {
    let case = |change, old, new, ours| Case::new(SchemaKind::Avro, change, old, new, ours);
    let field = |change, old: &str, new: &str, ours| {
        let one = |kind: &str| record(&format!(r#"{{"name": "a", "type": {kind}}}"#));
        Case::new(SchemaKind::Avro, change, one(old), one(new), ours)
    };
    let id = r#"{"name": "id", "type": "string"}"#;
    let with = |more: &str| record(&format!("{id}, {more}"));
    let aliased = |name: &str, alias: &str| match alias {
        "" => format!(r#"{{"name": "{name}", "type": "int"}}"#),
        alias => format!(r#"{{"name": "{name}", "type": "int", "aliases": ["{alias}"]}}"#),
    };
    let symbols = |list: &str, more: &str| format!(r#"{{"type": "enum", "name": "E", "symbols": [{list}]{more}}}"#);
    let fixed = |name: &str, size: u8| format!(r#"{{"type": "fixed", "name": "{name}", "size": {size}}}"#);
    let inner = |fields: &str| format!(r#"{{"type": "record", "name": "Inner", "fields": [{fields}]}}"#);
    let array = |items: &str| format!(r#"{{"type": "array", "items": {items}}}"#);
    let map = |values: &str| format!(r#"{{"type": "map", "values": {values}}}"#);
    let logical = |base: &str, name: &str| format!(r#"{{"type": "{base}", "logicalType": "{name}"}}"#);
    let decimal =
        |precision: u8, scale: u8| format!(r#"{{"type": "bytes", "logicalType": "decimal", "precision": {precision}, "scale": {scale}}}"#);
    let named = |name: &str, more: &str| format!(r#"{{"type": "record", "name": "{name}", "namespace": "shop", {more}"fields": [{id}]}}"#);
    let tree = |kind: &str| {
        record(&format!(
            r#"{{"name": "v", "type": "{kind}"}}, {{"name": "next", "type": ["null", "Order"]}}"#
        ))
    };
    vec![
        case(
            "optional field added, null by default",
            record(id),
            with(r#"{"name": "n", "type": ["null", "string"], "default": null}"#),
            Full,
        ),
        case(
            "field without a default added",
            record(id),
            with(r#"{"name": "n", "type": "string"}"#),
            Forward,
        ),
        case(
            "optional field without a default added",
            record(id),
            with(r#"{"name": "n", "type": ["null", "string"]}"#),
            Forward,
        ),
        case(
            "field with a default added",
            record(id),
            with(r#"{"name": "n", "type": "int", "default": 1}"#),
            Full,
        ),
        case(
            "field with a default removed",
            with(r#"{"name": "n", "type": "int", "default": 1}"#),
            record(id),
            Full,
        ),
        case(
            "field without a default removed",
            with(r#"{"name": "n", "type": "int"}"#),
            record(id),
            Backward,
        ),
        case(
            "field renamed",
            record(r#"{"name": "a", "type": "int"}"#),
            record(r#"{"name": "b", "type": "int"}"#),
            None,
        ),
        case(
            "field renamed, with an alias",
            record(r#"{"name": "a", "type": "int"}"#),
            record(r#"{"name": "b", "type": "int", "aliases": ["a"]}"#),
            Backward,
        ),
        case(
            "default changed",
            with(r#"{"name": "n", "type": "int", "default": 1}"#),
            with(r#"{"name": "n", "type": "int", "default": 2}"#),
            Full,
        ),
        case(
            "default added",
            with(r#"{"name": "n", "type": "int"}"#),
            with(r#"{"name": "n", "type": "int", "default": 2}"#),
            Full,
        ),
        case(
            "fields in another order",
            with(r#"{"name": "n", "type": "int"}"#),
            record(&format!(r#"{{"name": "n", "type": "int"}}, {id}"#)),
            Full,
        ),
        field("int became long", r#""int""#, r#""long""#, Backward),
        field("long became int", r#""long""#, r#""int""#, Forward),
        field("int became double", r#""int""#, r#""double""#, Backward),
        field("long became float", r#""long""#, r#""float""#, Backward),
        field("float became double", r#""float""#, r#""double""#, Backward),
        field("double became float", r#""double""#, r#""float""#, Forward),
        field("string became bytes", r#""string""#, r#""bytes""#, Backward),
        field("bytes became string", r#""bytes""#, r#""string""#, Forward),
        field("string became int", r#""string""#, r#""int""#, None),
        field("boolean became int", r#""boolean""#, r#""int""#, None),
        field("null allowed", r#""string""#, r#"["null", "string"]"#, Backward),
        field("null forbidden", r#"["null", "string"]"#, r#""string""#, Forward),
        field("branches in another order", r#"["null", "string"]"#, r#"["string", "null"]"#, Full),
        field(
            "branch added to a union",
            r#"["null", "string"]"#,
            r#"["null", "string", "int"]"#,
            Backward,
        ),
        field(
            "branch removed from a union",
            r#"["null", "string", "int"]"#,
            r#"["null", "string"]"#,
            Forward,
        ),
        field("branch of a union widened", r#"["null", "int"]"#, r#"["null", "long"]"#, Backward),
        field("symbol added", &symbols(r#""X""#, ""), &symbols(r#""X", "Y""#, ""), Backward),
        field(
            "symbol added, the old one has a default",
            &symbols(r#""X""#, r#", "default": "X""#),
            &symbols(r#""X", "Y""#, r#", "default": "X""#),
            Full,
        ),
        field("symbol removed", &symbols(r#""X", "Y""#, ""), &symbols(r#""X""#, ""), Forward),
        field(
            "symbol removed, the new one has a default",
            &symbols(r#""X", "Y""#, ""),
            &symbols(r#""X""#, r#", "default": "X""#),
            Full,
        ),
        field(
            "symbols in another order",
            &symbols(r#""X", "Y""#, ""),
            &symbols(r#""Y", "X""#, ""),
            Full,
        ),
        field("fixed of another size", &fixed("F", 4), &fixed("F", 8), None),
        field("fixed of another name", &fixed("F", 4), &fixed("G", 4), None),
        field("fixed became bytes", &fixed("F", 4), r#""bytes""#, None),
        field("items widened", &array(r#""int""#), &array(r#""long""#), Backward),
        field("items of another type", &array(r#""string""#), &array(r#""int""#), None),
        field("values of a map widened", &map(r#""int""#), &map(r#""long""#), Backward),
        field("array became map", &array(r#""int""#), &map(r#""int""#), None),
        field(
            "field with a default added to an item",
            &array(&inner(r#"{"name": "x", "type": "int"}"#)),
            &array(&inner(
                r#"{"name": "x", "type": "int"}, {"name": "y", "type": "int", "default": 0}"#,
            )),
            Full,
        ),
        field(
            "field without a default added to a value of a map",
            &map(&inner(r#"{"name": "x", "type": "int"}"#)),
            &map(&inner(r#"{"name": "x", "type": "int"}, {"name": "y", "type": "int"}"#)),
            Forward,
        ),
        field(
            "field without a default added in a branch",
            &format!(r#"["null", {}]"#, inner(r#"{"name": "x", "type": "int"}"#)),
            &format!(
                r#"["null", {}]"#,
                inner(r#"{"name": "x", "type": "int"}, {"name": "y", "type": "int"}"#)
            ),
            Forward,
        ),
        field(
            "branch added of the same name in another namespace",
            r#"{"type": "record", "name": "a.R", "fields": [{"name": "x", "type": "int"}]}"#,
            r#"[{"type": "record", "name": "a.R", "fields": [{"name": "x", "type": "int"}]}, {"type": "record", "name": "b.R", "fields": [{"name": "y", "type": "int"}]}]"#,
            None,
        ),
        case("record renamed", named("Order", ""), named("Purchase", ""), None),
        case(
            "record renamed, with an alias",
            named("Order", ""),
            named("Purchase", r#""aliases": ["shop.Order"], "#),
            Backward,
        ),
        case(
            "namespace changed",
            named("Order", ""),
            named("Order", "").replace(r#""shop""#, r#""store""#),
            Full,
        ),
        case(
            "default removed",
            with(r#"{"name": "n", "type": "int", "default": 2}"#),
            with(r#"{"name": "n", "type": "int"}"#),
            Full,
        ),
        case(
            "field without a default became one that may be null, null by default",
            with(r#"{"name": "n", "type": "int"}"#),
            with(r#"{"name": "n", "type": ["null", "int"], "default": null}"#),
            Backward,
        ),
        case(
            "field that may be null became one with a default",
            with(r#"{"name": "n", "type": ["null", "int"], "default": null}"#),
            with(r#"{"name": "n", "type": "int", "default": 0}"#),
            Forward,
        ),
        case("alias added", record(&aliased("b", "")), record(&aliased("b", "a")), Full),
        case("alias removed", record(&aliased("b", "a")), record(&aliased("b", "")), Full),
        case(
            "field renamed, each with the other's name as an alias",
            record(&aliased("a", "b")),
            record(&aliased("b", "a")),
            Full,
        ),
        case(
            "field renamed, with an alias, and its old name used again",
            record(&aliased("a", "")),
            record(&format!(r#"{{"name": "a", "type": "int", "default": 0}}, {}"#, aliased("b", "a"))),
            Forward,
        ),
        case(
            "name of an alias used for another field",
            record(&aliased("b", "a")),
            record(&format!(r#"{{"name": "a", "type": "int", "default": 0}}, {}"#, aliased("b", "a"))),
            Backward,
        ),
        case(
            "names of two fields given on, with aliases",
            record(&format!(r#"{}, {{"name": "c", "type": "int", "default": 0}}"#, aliased("b", ""))),
            record(&format!("{}, {}", aliased("b", "c"), aliased("a", "b"))),
            Forward,
        ),
        case(
            "two fields became one, with aliases",
            record(&format!("{}, {}", aliased("a", ""), aliased("b", ""))),
            record(r#"{"name": "c", "type": "int", "aliases": ["a", "b"]}"#),
            None,
        ),
        case(
            "one field became two, with one alias",
            record(&aliased("a", "")),
            record(&format!("{}, {}", aliased("b", "a"), aliased("c", "a"))),
            None,
        ),
        field("field became a union", r#""string""#, r#"["string", "int"]"#, Backward),
        field("union became one of its branches", r#"["string", "int"]"#, r#""string""#, Forward),
        field(
            "record became a branch of a union",
            &inner(r#"{"name": "x", "type": "int"}"#),
            &format!(r#"[{}, "string"]"#, inner(r#"{"name": "x", "type": "int"}"#)),
            Backward,
        ),
        field("string became an enum", r#""string""#, &symbols(r#""X""#, ""), None),
        field("symbol renamed", &symbols(r#""X", "Y""#, ""), &symbols(r#""X", "Z""#, ""), None),
        field(
            "symbol renamed, the new one has a default",
            &symbols(r#""X", "Y""#, ""),
            &symbols(r#""X", "Z""#, r#", "default": "X""#),
            Backward,
        ),
        field(
            "default of an enum removed",
            &symbols(r#""X", "Y""#, r#", "default": "X""#),
            &symbols(r#""X", "Y""#, ""),
            Full,
        ),
        field(
            "symbol added in a list",
            &array(&symbols(r#""X""#, "")),
            &array(&symbols(r#""X", "Y""#, "")),
            Backward,
        ),
        field("items narrowed", &array(r#""long""#), &array(r#""int""#), Forward),
        field(
            "null allowed in a list",
            &array(r#""string""#),
            &array(r#"["null", "string"]"#),
            Backward,
        ),
        field("values of a map narrowed", &map(r#""long""#), &map(r#""int""#), Forward),
        field("values of a map of another type", &map(r#""string""#), &map(r#""int""#), None),
        field("value became a list", r#""string""#, &array(r#""string""#), None),
        field(
            "record became a map",
            &inner(r#"{"name": "x", "type": "int"}"#),
            &map(r#""int""#),
            None,
        ),
        field(
            "field of an item renamed, with an alias",
            &array(&inner(r#"{"name": "x", "type": "int"}"#)),
            &array(&inner(r#"{"name": "y", "type": "int", "aliases": ["x"]}"#)),
            Backward,
        ),
        field(
            "field of a nested record of another type",
            &inner(r#"{"name": "x", "type": "int"}"#),
            &inner(r#"{"name": "x", "type": "string"}"#),
            None,
        ),
        field(
            "nested record renamed",
            &inner(r#"{"name": "x", "type": "int"}"#),
            &inner(r#"{"name": "x", "type": "int"}"#).replace("Inner", "Other"),
            None,
        ),
        field(
            "nested record renamed, with an alias",
            &inner(r#"{"name": "x", "type": "int"}"#),
            &inner(r#"{"name": "x", "type": "int"}"#).replace(r#""Inner""#, r#""Other", "aliases": ["Inner"]"#),
            Backward,
        ),
        field(
            "enum renamed, with an alias",
            &symbols(r#""X""#, ""),
            &symbols(r#""X""#, r#", "aliases": ["E"]"#).replace(r#""name": "E""#, r#""name": "F""#),
            Backward,
        ),
        field("logical type removed: uuid", &logical("string", "uuid"), r#""string""#, None),
        case("recursive type widened", tree("int"), tree("long"), Backward),
        field("logical type added: date", r#""int""#, &logical("int", "date"), Backward),
        field("logical type removed: date", &logical("int", "date"), r#""int""#, Forward),
        field("logical type added: uuid", r#""string""#, &logical("string", "uuid"), None),
        field(
            "timestamp-millis became timestamp-micros",
            &logical("long", "timestamp-millis"),
            &logical("long", "timestamp-micros"),
            None,
        ),
        field(
            "int became timestamp-millis",
            r#""int""#,
            &logical("long", "timestamp-millis"),
            Backward,
        ),
        field("decimal of another scale", &decimal(9, 2), &decimal(9, 3), None),
        field("decimal of another precision", &decimal(9, 2), &decimal(12, 2), None),
        case(
            "doc changed",
            named("Order", r#""doc": "a", "#),
            named("Order", r#""doc": "b", "#),
            Full,
        ),
    ]
}

//! A change of a schema, what it means to us, and what a registry answers.

use eventferry::schema::evolution::Compatibility::{self, Backward, Forward, Full, None};
use eventferry::schema::{Schema, SchemaKind};

use crate::evolution::differences::DIFFERENCES;

/// One row of the matrix.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) kind: SchemaKind,
    pub(crate) change: &'static str,
    pub(crate) old: String,
    pub(crate) new: String,
    /// What we say of any writer, and of writers that write what their schema declares.
    pub(crate) ours: (Compatibility, Compatibility),
    pub(crate) registry: Compatibility,
    /// Why the registry answers something else than we say of any writer; empty where it does not.
    pub(crate) why: &'static str,
}

impl Case {
    fn new(kind: SchemaKind, change: &'static str, old: String, new: String, ours: Compatibility) -> Self {
        Self {
            kind,
            change,
            old,
            new,
            ours: (ours, ours),
            registry: ours,
            why: "",
        }
    }

    /// Another answer for writers that add nothing of their own.
    fn declared(mut self, ours: Compatibility) -> Self {
        self.ours.1 = ours;
        self
    }

    pub(crate) fn schemas(&self) -> [Schema; 2] {
        [&self.old, &self.new].map(|text| Schema::new(self.kind, "Order", text))
    }
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases: Vec<_> = [json(), avro(), protobuf()].into_iter().flatten().collect();
    for (kind, change, answer, why) in DIFFERENCES {
        let case = cases.iter_mut().find(|case| case.kind == *kind && case.change == *change);
        let case = case.unwrap_or_else(|| panic!("no row is called `{change}`"));
        assert!(case.why.is_empty(), "`{change}` is explained twice");
        (case.registry, case.why) = (*answer, *why);
    }
    cases
}

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
fn member(schema: &str) -> String {
    closed(&format!(r#""a": {schema}"#), r#""a""#)
}

fn json() -> Vec<Case> {
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
    let (card, cash) = (variant("card", ""), variant("cash", ""));
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
            &one_of(&[card.clone()]),
            &one_of(&[card.clone(), cash.clone()]),
            Backward,
        ),
        inner(
            "alternative removed",
            &one_of(&[card.clone(), cash.clone()]),
            &one_of(&[card.clone()]),
            Forward,
        ),
        inner(
            "optional member of an alternative added, closed",
            &one_of(&[card.clone(), cash.clone()]),
            &one_of(&[variant("card", r#", "number": {"type": "string"}"#), cash.clone()]),
            Backward,
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
        case("recursive type widened", recursive("integer"), recursive("number"), Backward),
        case("the same text", closed(note, ""), closed(note, ""), Full),
    ]
}

/// A record with fields.
fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "Order", "namespace": "shop", "fields": [{fields}]}}"#)
}

fn avro() -> Vec<Case> {
    let case = |change, old, new, ours| Case::new(SchemaKind::Avro, change, old, new, ours);
    let field = |change, old: &str, new: &str, ours| {
        let one = |kind: &str| record(&format!(r#"{{"name": "a", "type": {kind}}}"#));
        Case::new(SchemaKind::Avro, change, one(old), one(new), ours)
    };
    let id = r#"{"name": "id", "type": "string"}"#;
    let with = |more: &str| record(&format!("{id}, {more}"));
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

fn proto(body: &str) -> String {
    format!("syntax = \"proto3\";\npackage shop;\n\nmessage Order {{\n{body}\n}}\n")
}

fn proto2(body: &str) -> String {
    format!("syntax = \"proto2\";\npackage shop;\n\nmessage Order {{\n{body}\n}}\n")
}

fn protobuf() -> Vec<Case> {
    let case = |change, old: &str, new: &str, ours| Case::new(SchemaKind::Protobuf, change, proto(old), proto(new), ours);
    let field = |change, old: &str, new: &str, ours| {
        let one = |kind: &str| proto(&format!("  {kind} a = 1;"));
        Case::new(SchemaKind::Protobuf, change, one(old), one(new), ours)
    };
    let two = |change, old: &str, new: &str, ours| Case::new(SchemaKind::Protobuf, change, proto2(old), proto2(new), ours);
    let nested = |inner: &str, label: &str| format!("  message Line {{ {inner} }}\n  {label}Line line = 1;");
    let state = |values: &str| format!("  enum State {{ NONE = 0; {values} }}\n  State state = 1;");
    vec![
        case("field added", "  string a = 1;", "  string a = 1;\n  string b = 2;", Full),
        case(
            "optional field added",
            "  string a = 1;",
            "  string a = 1;\n  optional string b = 2;",
            Full,
        ),
        case("field removed", "  string a = 1;\n  string b = 2;", "  string a = 1;", Full),
        case(
            "field removed, number and name reserved",
            "  string a = 1;\n  string b = 2;",
            "  reserved 2;\n  reserved \"b\";\n  string a = 1;",
            Full,
        ),
        case("field renamed", "  string a = 1;", "  string b = 1;", Full),
        case("field of another number", "  string a = 1;", "  string a = 2;", None),
        case(
            "number used for another field of the same type",
            "  string a = 1;\n  string b = 2;",
            "  string a = 1;\n  string c = 2;",
            Full,
        ),
        case(
            "number used for another field of another type",
            "  string a = 1;\n  string b = 2;",
            "  string a = 1;\n  int32 c = 2;",
            None,
        ),
        case(
            "reserved number used",
            "  reserved 2;\n  string a = 1;",
            "  string a = 1;\n  string b = 2;",
            Forward,
        ),
        case(
            "number reserved that nothing used",
            "  string a = 1;",
            "  reserved 2;\n  string a = 1;",
            Full,
        ),
        case(
            "fields in another order",
            "  string a = 1;\n  string b = 2;",
            "  string b = 2;\n  string a = 1;",
            Full,
        ),
        field("int32 became int64", "int32", "int64", Backward),
        field("int64 became int32", "int64", "int32", Forward),
        field("int32 became uint32", "int32", "uint32", None),
        field("uint32 became int64", "uint32", "int64", Backward),
        field("bool became int32", "bool", "int32", Backward),
        field("int32 became sint32", "int32", "sint32", None),
        field("sint32 became sint64", "sint32", "sint64", Backward),
        field("int32 became fixed32", "int32", "fixed32", None),
        field("fixed32 became sfixed32", "fixed32", "sfixed32", None),
        field("int32 became string", "int32", "string", None),
        field("string became bytes", "string", "bytes", Backward),
        field("bytes became string", "bytes", "string", Forward),
        field("float became double", "float", "double", None),
        field("presence added", "string", "optional string", Full),
        field("presence removed", "optional string", "string", Full),
        field("field became repeated", "string", "repeated string", None),
        field(
            "field with presence became repeated",
            "optional string",
            "repeated string",
            Backward,
        ),
        field("repeated became a field", "repeated string", "string", None),
        case(
            "packed became unpacked",
            "  repeated int32 a = 1;",
            "  repeated int32 a = 1 [packed = false];",
            Full,
        ),
        case(
            "field of a nested message added",
            &nested("string a = 1;", ""),
            &nested("string a = 1; string b = 2;", ""),
            Full,
        ),
        case(
            "field of a nested message of another type",
            &nested("string a = 1;", ""),
            &nested("int32 a = 1;", ""),
            None,
        ),
        case(
            "field of a repeated message widened",
            &nested("int32 a = 1;", "repeated "),
            &nested("int64 a = 1;", "repeated "),
            Backward,
        ),
        case(
            "nested message became bytes",
            &nested("string a = 1;", ""),
            "  bytes line = 1;",
            Backward,
        ),
        case(
            "nested message renamed",
            &nested("string a = 1;", ""),
            &nested("string a = 1;", "").replace("Line", "Item"),
            Full,
        ),
        field("values of a map widened", "map<string, int32>", "map<string, int64>", Backward),
        field("values of a map of another type", "map<string, int32>", "map<string, string>", None),
        case("value of an enum added", &state("NEW = 1;"), &state("NEW = 1; PAID = 2;"), Full),
        case("value of an enum removed", &state("NEW = 1; PAID = 2;"), &state("NEW = 1;"), Full),
        case("value of an enum renamed", &state("NEW = 1;"), &state("FRESH = 1;"), Full),
        case(
            "numbers of an enum exchanged",
            &state("NEW = 1; PAID = 2;"),
            &state("NEW = 2; PAID = 1;"),
            None,
        ),
        case("enum became int32", &state("NEW = 1;"), "  int32 state = 1;", Full),
        case(
            "field moved into a new oneof",
            "  string a = 1;",
            "  oneof c { string a = 1; }",
            Full,
        ),
        case(
            "field moved into a oneof with another",
            "  string a = 1;\n  oneof c { string b = 2; }",
            "  oneof c { string a = 1; string b = 2; }",
            Forward,
        ),
        case(
            "two fields moved into a new oneof",
            "  string a = 1;\n  string b = 2;",
            "  oneof c { string a = 1; string b = 2; }",
            Forward,
        ),
        case(
            "field added to a oneof",
            "  oneof c { string a = 1; }",
            "  oneof c { string a = 1; string b = 2; }",
            Full,
        ),
        case(
            "field removed from a oneof",
            "  oneof c { string a = 1; string b = 2; }",
            "  oneof c { string a = 1; }",
            Full,
        ),
        case(
            "oneof taken apart",
            "  oneof c { string a = 1; string b = 2; }",
            "  string a = 1;\n  string b = 2;",
            Backward,
        ),
        two(
            "proto2: optional field added",
            "  optional string a = 1;",
            "  optional string a = 1;\n  optional string b = 2;",
            Full,
        ),
        two(
            "proto2: required field added",
            "  optional string a = 1;",
            "  optional string a = 1;\n  required string b = 2;",
            Forward,
        ),
        two(
            "proto2: required field removed",
            "  optional string a = 1;\n  required string b = 2;",
            "  optional string a = 1;",
            Backward,
        ),
        two(
            "proto2: optional became required",
            "  optional string a = 1;",
            "  required string a = 1;",
            Forward,
        ),
        two(
            "proto2: default changed",
            "  optional int32 a = 1 [default = 1];",
            "  optional int32 a = 1 [default = 2];",
            Full,
        ),
        two(
            "proto2: value of an enum added",
            "  enum State { NEW = 1; }\n  optional State state = 1;",
            "  enum State { NEW = 1; PAID = 2; }\n  optional State state = 1;",
            Backward,
        ),
        Case::new(
            SchemaKind::Protobuf,
            "message renamed",
            proto("  string a = 1;"),
            proto("  string a = 1;").replace("Order", "Purchase"),
            Full,
        ),
        Case::new(
            SchemaKind::Protobuf,
            "package changed",
            proto("  string a = 1;"),
            proto("  string a = 1;").replace("shop", "store"),
            Full,
        ),
        Case::new(
            SchemaKind::Protobuf,
            "another message of the file changed",
            proto("  string a = 1;") + "\nmessage Other {\n  string a = 1;\n}\n",
            proto("  string a = 1;") + "\nmessage Other {\n  int32 a = 1;\n}\n",
            Full,
        ),
    ]
}

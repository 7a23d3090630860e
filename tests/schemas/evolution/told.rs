//! What is said of changes that readers disagree on, or that a file alone does not show.

use eventferry::schema::evolution::{EvolutionErrorKind, compare};
use eventferry::schema::{Schema, SchemaKind};

fn told(kind: SchemaKind, old: &str, new: &str) -> String {
    let [old, new] = [old, new].map(|text| Schema::new(kind, "Order", text));
    compare(&old, &new).expect("schemas").to_string()
}

fn avro(fields: &[(&str, &[&str])]) -> String {
    let fields = fields
        .iter()
        .map(|(name, aliases)| serde_json::json!({"name": name, "type": "int", "default": 0, "aliases": aliases}));
    serde_json::json!({"type": "record", "name": "R", "fields": fields.collect::<Vec<_>>()}).to_string()
}

#[test]
fn an_alias_that_makes_one_field_of_two_or_two_of_one_is_told_with_their_names() {
    let told = |old: &[(&str, &[&str])], new: &[(&str, &[&str])]| told(SchemaKind::Avro, &avro(old), &avro(new));
    for (old, new, expected) in [
        (
            &[("a", &[][..]), ("b", &[])][..],
            &[("c", &["b", "a"][..])][..],
            "/c  `a` and `b` are both read as `c`  breaks backward",
        ),
        (
            &[("a", &[]), ("b", &[])],
            &[("b", &["a"])],
            "/b  `a` and `b` are both read as `b`  breaks backward",
        ),
        (
            &[("a", &[])],
            &[("a", &[]), ("b", &["a"])],
            "/b  `a` is read as `b` and as `a`     breaks backward",
        ),
        (
            &[("a", &[])],
            &[("b", &["a"]), ("c", &["a"])],
            "/c  `a` is read as `c` and as `b`     breaks backward",
        ),
        // The other way round it is the old one that has the alias.
        (
            &[("b", &["a"])],
            &[("a", &[]), ("b", &[])],
            "/b  `a` and `b` are both read as `b`  breaks forward",
        ),
    ] {
        let told = told(old, new);
        let lines: Vec<_> = told
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(lines.contains(&expected), "{expected}\n{told}");
    }
    // What did not change is read as it is, whatever its aliases say.
    let odd = [("a", &[][..]), ("b", &["a"])];
    assert_eq!(told(&odd, &odd), "the same\n");
}

#[test]
fn a_name_that_another_subject_defines_is_an_error_that_names_it() {
    let schema = |kind: &str| format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "a", "type": "{kind}"}}]}}"#);
    let [old, new] = ["int", "shop.Line"].map(|kind| Schema::new(SchemaKind::Avro, "Order", schema(kind)));
    let error = compare(&old, &new).unwrap_err();
    assert_eq!(error.kind(), EvolutionErrorKind::Invalid);
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(cause.contains("shop.Line"), "{cause}");
}

#[test]
fn what_a_file_imports_is_the_same_as_long_as_its_name_is_and_a_name_of_nothing_is_an_error() {
    let file = |import: &str, field: &str| format!("syntax = \"proto3\"; package shop; import \"{import}\"; message Order {{ {field} }}");
    let told = |old: &str, new: &str| told(SchemaKind::Protobuf, old, new);
    let money = |field: &str| file("shop/money.proto", field);
    assert_eq!(told(&money("Money a = 1;"), &money("Money a = 1;")), "the same\n");
    assert_eq!(
        told(&money("Money a = 1;"), &money("Price a = 1;")),
        "not compatible:\n  /a  type was Money, is Price  breaks both directions\n"
    );
    // It may be an enum, whose default is not written and would be an item then.
    assert_eq!(
        told(&money("Money a = 1;"), &money("repeated Money a = 1;")),
        "not compatible:\n  /a  was without presence, is repeated  breaks both directions\n"
    );
    // Of Google's it is known that it is none.
    let google = |field: &str| file("google/protobuf/timestamp.proto", field);
    assert_eq!(
        told(
            &google("google.protobuf.Timestamp a = 1;"),
            &google("repeated google.protobuf.Timestamp a = 1;")
        ),
        "backward compatible, not forward compatible:\n  /a  was without presence, is repeated  breaks forward\n"
    );
    let [old, new] =
        [google("int32 a = 1;"), google("google.protobuf.TimeStamp a = 1;")].map(|text| Schema::new(SchemaKind::Protobuf, "Order", text));
    let error = compare(&old, &new).unwrap_err();
    assert_eq!(error.kind(), EvolutionErrorKind::Invalid);
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(
        cause,
        "the type `google.protobuf.TimeStamp` is neither in the file nor in one that it imports"
    );
}

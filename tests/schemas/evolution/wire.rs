//! Every pair of Protobuf's scalar types: what one writes, read as the other, against what is said of the pair.

use eventferry::schema::evolution::compare;
use eventferry::schema::{Schema, SchemaKind};
use prost::encoding::{self, DecodeContext, WireType};

/// A value as what it means, so that two types can be compared.
#[derive(Debug, Clone, PartialEq)]
enum Meaning {
    Whole(i128),
    Real(f64),
    Bytes(Vec<u8>),
}

const TYPES: [&str; 15] = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "bool", "fixed32", "fixed64", "sfixed32", "sfixed64", "float", "double",
    "string", "bytes",
];

/// What a type writes, and what each of it means.
fn written(kind: &str) -> Vec<(Vec<u8>, Meaning)> {
    macro_rules! of {
        ($module:ident, $values:expr, $meaning:expr) => {
            $values
                .into_iter()
                .map(|value| {
                    let mut bytes = Vec::new();
                    encoding::$module::encode(1, &value, &mut bytes);
                    (bytes, $meaning(value))
                })
                .collect()
        };
    }
    let (small, large) = ([0, 1, -1, i32::MAX, i32::MIN], [0, 1, -1, i64::MAX, i64::MIN]);
    let (small_u, large_u) = ([0, 1, u32::MAX], [0, 1, u64::MAX]);
    match kind {
        "int32" => of!(int32, small, |v| Meaning::Whole(i128::from(v))),
        "int64" => of!(int64, large, |v| Meaning::Whole(i128::from(v))),
        "uint32" => of!(uint32, small_u, |v| Meaning::Whole(i128::from(v))),
        "uint64" => of!(uint64, large_u, |v| Meaning::Whole(i128::from(v))),
        "sint32" => of!(sint32, small, |v| Meaning::Whole(i128::from(v))),
        "sint64" => of!(sint64, large, |v| Meaning::Whole(i128::from(v))),
        "bool" => of!(bool, [false, true], |v| Meaning::Whole(i128::from(v))),
        "fixed32" => of!(fixed32, small_u, |v| Meaning::Whole(i128::from(v))),
        "fixed64" => of!(fixed64, large_u, |v| Meaning::Whole(i128::from(v))),
        "sfixed32" => of!(sfixed32, small, |v| Meaning::Whole(i128::from(v))),
        "sfixed64" => of!(sfixed64, large, |v| Meaning::Whole(i128::from(v))),
        "float" => of!(float, [0.5_f32, -1.0], |v| Meaning::Real(f64::from(v))),
        "double" => of!(double, [0.5_f64, 1e300], Meaning::Real),
        "string" => of!(string, [String::new(), "ä".to_owned()], |v: String| Meaning::Bytes(v.into_bytes())),
        "bytes" => of!(bytes, [vec![], vec![0xff_u8]], Meaning::Bytes),
        other => panic!("no type is called {other}"),
    }
}

/// What a type reads there; none if it refuses.
fn read(kind: &str, mut bytes: &[u8]) -> Option<Meaning> {
    let (_, wire): (u32, WireType) = encoding::decode_key(&mut bytes).expect("a key");
    macro_rules! of {
        ($module:ident, $kind:ty, $meaning:expr) => {{
            let mut value = <$kind>::default();
            encoding::$module::merge(wire, &mut value, &mut bytes, DecodeContext::default())
                .is_ok()
                .then(|| $meaning(value))
        }};
    }
    match kind {
        "int32" => of!(int32, i32, |v| Meaning::Whole(i128::from(v))),
        "int64" => of!(int64, i64, |v| Meaning::Whole(i128::from(v))),
        "uint32" => of!(uint32, u32, |v| Meaning::Whole(i128::from(v))),
        "uint64" => of!(uint64, u64, |v| Meaning::Whole(i128::from(v))),
        "sint32" => of!(sint32, i32, |v| Meaning::Whole(i128::from(v))),
        "sint64" => of!(sint64, i64, |v| Meaning::Whole(i128::from(v))),
        "bool" => of!(bool, bool, |v| Meaning::Whole(i128::from(v))),
        "fixed32" => of!(fixed32, u32, |v| Meaning::Whole(i128::from(v))),
        "fixed64" => of!(fixed64, u64, |v| Meaning::Whole(i128::from(v))),
        "sfixed32" => of!(sfixed32, i32, |v| Meaning::Whole(i128::from(v))),
        "sfixed64" => of!(sfixed64, i64, |v| Meaning::Whole(i128::from(v))),
        "float" => of!(float, f32, |v| Meaning::Real(f64::from(v))),
        "double" => of!(double, f64, Meaning::Real),
        "string" => of!(string, String, |v: String| Meaning::Bytes(v.into_bytes())),
        "bytes" => of!(bytes, Vec<u8>, Meaning::Bytes),
        other => panic!("no type is called {other}"),
    }
}

#[test]
fn one_scalar_type_is_called_readable_as_another_exactly_where_it_is() {
    let mut wrong = Vec::new();
    for wrote in TYPES {
        for reads in TYPES {
            let is_read = written(wrote)
                .into_iter()
                .all(|(bytes, meaning)| read(reads, &bytes) == Some(meaning));
            let schemas = [wrote, reads].map(|kind| {
                let text = format!("syntax = \"proto3\";\nmessage M {{ {kind} a = 1; }}");
                Schema::new(SchemaKind::Protobuf, "M", text)
            });
            let evolution = compare(&schemas[0], &schemas[1]).expect("schemas");
            if evolution.is_backward() != is_read {
                wrong.push(format!("{wrote} read as {reads}: {is_read}"));
            }
            assert_eq!(evolution.is_same(), wrote == reads, "{wrote} {reads}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

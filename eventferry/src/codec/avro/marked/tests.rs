//! What a schema marks, by example and by chance.

use fastrand::Rng;
use serde_json::{Value as Json, json};

use super::Marked;
use crate::codec::known::Known;
use crate::codec::shown::MASK;

fn long(number: i64) -> Vec<u8> {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while left >= 0x80 {
        bytes.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push((left & 0x7f) as u8);
    bytes
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    let length = i64::try_from(bytes.len()).unwrap();
    [long(length), bytes.to_vec()].concat()
}

fn text(text: &str) -> Vec<u8> {
    bytes(text.as_bytes())
}

fn one_of(schema: &Json, payload: &[u8]) -> Json {
    Marked::new(&schema.to_string()).unwrap().masked(payload).unwrap()
}

fn record(fields: &Json) -> Json {
    json!({ "type": "record", "name": "R", "namespace": "n", "fields": fields })
}

#[test]
fn every_kind_of_value_has_a_form() {
    let decimal = |precision: u8, scale: u8| json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale });
    let fixed = json!({ "type": "fixed", "name": "F", "size": 2 });
    let uuid = json!({ "type": { "type": "fixed", "name": "U", "size": 16 }, "logicalType": "uuid" });
    let cases = [
        (json!("null"), vec![], json!(null)),
        (json!("boolean"), vec![1], json!(true)),
        (json!("int"), long(-7), json!(-7)),
        (json!("long"), long(i64::MIN), json!(i64::MIN)),
        (json!({ "type": "long", "logicalType": "timestamp-millis" }), long(1), json!(1)),
        (json!("float"), 0.1_f32.to_le_bytes().to_vec(), json!(0.1)),
        (json!("double"), f64::NAN.to_le_bytes().to_vec(), json!("NaN")),
        (json!("bytes"), bytes(&[0, 0xfe]), json!("00fe")),
        (json!("string"), text("ä\"\n"), json!("ä\"\n")),
        (fixed, vec![1, 2], json!("0102")),
        (decimal(9, 2), bytes(&[7]), json!("0.07")),
        (decimal(9, 2), bytes(&[0xff, 0x38]), json!("-2.00")),
        (decimal(9, 0), bytes(&[]), json!("0")),
        (decimal(60, 2), bytes(&[1; 17]), json!("01".repeat(17))),
        (json!({ "type": "enum", "name": "E", "symbols": ["A", "B"] }), long(1), json!("B")),
        (
            json!({ "type": "string", "logicalType": "uuid" }),
            text("no uuid"),
            json!("no uuid"),
        ),
        (uuid, vec![1; 16], json!("01010101-0101-0101-0101-010101010101")),
        (json!(["null", "string"]), [long(1), text("x")].concat(), json!("x")),
        (
            json!({ "type": "array", "items": "int" }),
            [long(-2), long(2), long(1), long(2), long(0)].concat(),
            json!([1, 2]),
        ),
        (
            json!({ "type": "map", "values": "int" }),
            [long(2), text("secret"), long(1), text("secret2"), long(2), long(0)].concat(),
            json!({ MASK: 1, "***2": 2 }),
        ),
        (
            json!({ "type": "bytes", "logicalType": "big-decimal" }),
            bytes(&[bytes(&[0x01, 0x2c]), long(1)].concat()),
            json!("30.0"),
        ),
    ];
    for (schema, payload, expected) in cases {
        let whole = record(&json!([{ "name": "a", "type": schema }]));
        assert_eq!(one_of(&whole, &payload), json!({ "a": expected }), "{schema}");
        // However it is marked, nothing of it is seen.
        let on_type = json!({ "type": schema, "x-sensitive": true });
        let (in_list, in_union) = (json!({ "type": "array", "items": on_type }), json!([on_type]));
        let in_list = record(&json!([{ "name": "a", "type": in_list }]));
        let listed = [long(1), payload.clone(), long(0)].concat();
        assert_eq!(one_of(&in_list, &listed), json!({ "a": [MASK] }), "{schema}");
        let on_field = record(&json!([{ "name": "a", "x-sensitive": "yes", "type": schema }]));
        assert_eq!(one_of(&on_field, &payload), json!({ "a": MASK }), "{schema}");
        if !schema.is_array() {
            let in_union = record(&json!([{ "name": "a", "type": in_union }]));
            assert_eq!(one_of(&in_union, &[long(0), payload].concat()), json!({ "a": MASK }), "{schema}");
        }
    }
}

#[test]
fn a_type_that_is_marked_is_hidden_wherever_it_is_named() {
    let schema = record(&json!([
        { "name": "first", "type": ["null", { "type": "record", "name": "Card", "x-sensitive": true, "fields": [
            { "name": "number", "type": "string" },
            { "name": "next", "type": ["null", "Card"] },
        ] }] },
        { "name": "all", "type": { "type": "map", "values": "n.Card" } },
        { "name": "one", "type": { "type": "Card" } },
        { "name": "no", "x-sensitive": false, "type": { "type": "string", "x-sensitive": null } },
    ]));
    let card = || [text("4111"), long(0)].concat();
    let payload = [long(1), card(), long(1), text("k"), card(), long(0), card(), text("shown")].concat();
    assert_eq!(
        one_of(&schema, &payload),
        json!({ "first": MASK, "all": { MASK: MASK }, "one": MASK, "no": "shown" })
    );
}

#[test]
fn a_mark_that_nothing_can_be_made_of_is_an_error() {
    for fields in [
        json!([{ "name": "a", "type": "string", "doc": "x", "more": { "x-sensitive": true } }]),
        json!([{ "name": "a", "type": { "type": "enum", "name": "E", "symbols": ["A"], "about": [{ "x-sensitive": 1 }] } }]),
    ] {
        let schema = record(&fields).to_string();
        assert!(Marked::new(&schema).is_err(), "{schema}");
    }
    // A default is a value, whatever it looks like.
    let map = json!({ "type": "map", "values": "boolean" });
    let schema = record(&json!([{ "name": "a", "type": map, "default": { "x-sensitive": true } }])).to_string();
    assert!(Marked::new(&schema).is_ok());
    assert!(Marked::new("{").is_err());
}

#[test]
fn what_is_no_payload_of_the_schema_shows_nothing() {
    let schema = record(&json!([{ "name": "a", "type": "string" }, { "name": "b", "type": "string", "x-sensitive": true }]));
    let marked = Marked::new(&schema.to_string()).unwrap();
    for broken in [&b""[..], b"\x02", b"\x02a\x02b\0", b"\0\0\0\0\x07\x02a\x02b", b"\x02\xff\x02b"] {
        assert_eq!(marked.masked(broken), None, "{broken:?}");
    }
}

/// A type, and whether it is marked.
struct Type {
    form: Form,
    is_marked: bool,
}

enum Form {
    Text,
    Bytes,
    Long,
    Array(Box<Type>),
    Map(Box<Type>),
    /// With `null` before it or behind it.
    Optional(Box<Type>, usize),
    /// With fields, each of which may be marked.
    Record(usize, Vec<(bool, Type)>),
    /// One that was defined before, by its number.
    Named(usize),
}

/// A schema and a payload made side by side, so that what may be seen is known from how they were made.
struct Made<'k> {
    random: Rng,
    known: &'k mut Known,
    records: usize,
}

impl Made<'_> {
    fn new_type(&mut self, depth: u32, around: &[usize], done: &mut Vec<usize>) -> Type {
        let most = if depth == 0 { 3 } else { 9 };
        let form = match self.random.u8(..most) {
            0 => Form::Bytes,
            1 => Form::Long,
            2 => Form::Text,
            3 => Form::Array(Box::new(self.new_type(depth - 1, around, done))),
            4 => Form::Map(Box::new(self.new_type(depth - 1, around, done))),
            // A union in a union is no schema.
            5 => match self.new_type(depth - 1, around, done) {
                inner @ Type {
                    form: Form::Optional(..), ..
                } => return inner,
                inner => Form::Optional(Box::new(inner), self.random.usize(..2)),
            },
            6 if !done.is_empty() => Form::Named(done[self.random.usize(..done.len())]),
            _ => {
                let number = self.records;
                self.records += 1;
                let within = [around, &[number]].concat();
                let fields = (0..self.random.usize(1..4)).map(|_| {
                    let inner = self.new_type(depth - 1, &within, done);
                    (self.random.u8(..5) == 0, inner)
                });
                let form = Form::Record(number, fields.collect());
                done.push(number);
                form
            }
        };
        let is_marked = self.random.u8(..6) == 0;
        Type { form, is_marked }
    }

    fn value(&mut self, of: &Type, all: &[&Type], is_secret: bool, to: &mut Vec<u8>) {
        let is_secret = is_secret || of.is_marked;
        match &of.form {
            Form::Text => to.extend(text(&self.known.text(is_secret))),
            Form::Bytes => to.extend(text(&self.known.bytes(is_secret))),
            Form::Long => to.extend(long(self.known.number(is_secret))),
            Form::Array(items) => {
                for _ in 0..self.random.usize(..3) {
                    to.extend(long(1));
                    self.value(items, all, is_secret, to);
                }
                to.extend(long(0));
            }
            Form::Map(values) => {
                for _ in 0..self.random.usize(..3) {
                    to.extend(long(1));
                    to.extend(text(&self.known.text(true)));
                    self.value(values, all, is_secret, to);
                }
                to.extend(long(0));
            }
            Form::Optional(inner, at) => {
                to.extend(long(i64::try_from(*at).unwrap()));
                self.value(inner, all, is_secret, to);
            }
            Form::Record(_, fields) => {
                for (is_marked, inner) in fields {
                    self.value(inner, all, is_secret || *is_marked, to);
                }
            }
            Form::Named(number) => self.value(all[*number], all, is_secret, to),
        }
    }
}

fn schema(of: &Type) -> Json {
    let json = match &of.form {
        Form::Text => json!("string"),
        Form::Bytes => json!("bytes"),
        Form::Long => json!("long"),
        Form::Array(items) => json!({ "type": "array", "items": schema(items) }),
        Form::Map(values) => json!({ "type": "map", "values": schema(values) }),
        Form::Optional(inner, 0) => json!([schema(inner), "null"]),
        Form::Optional(inner, _) => json!(["null", schema(inner)]),
        Form::Record(number, fields) => {
            let field = |(at, (is_marked, inner)): (usize, &(bool, Type))| {
                let mut field = json!({ "name": format!("f{at}"), "type": schema(inner) });
                if *is_marked {
                    field["x-sensitive"] = json!(true);
                }
                field
            };
            let fields: Vec<_> = fields.iter().enumerate().map(field).collect();
            json!({ "type": "record", "name": format!("R{number}"), "fields": fields })
        }
        Form::Named(number) => json!(format!("R{number}")),
    };
    match (of.is_marked, json) {
        (true, Json::Object(mut members)) => {
            members.insert("x-sensitive".to_owned(), json!(true));
            members.into()
        }
        // A name that is marked marks what it names, and a type without attributes of its own is wrapped.
        (true, json) => json!({ "type": json, "x-sensitive": true }),
        (false, json) => json,
    }
}

/// The records of a schema by their numbers, and those that a mark on their name marks.
fn records<'t>(of: &'t Type, all: &mut Vec<(usize, &'t Type)>, marked: &mut Vec<usize>) {
    match &of.form {
        Form::Array(inner) | Form::Map(inner) | Form::Optional(inner, _) => records(inner, all, marked),
        Form::Record(number, fields) => {
            all.push((*number, of));
            for (_, inner) in fields {
                records(inner, all, marked);
            }
        }
        Form::Named(number) if of.is_marked => marked.push(*number),
        Form::Text | Form::Bytes | Form::Long | Form::Named(_) => {}
    }
}

fn mark_all(of: &mut Type, marked: &[usize]) {
    match &mut of.form {
        Form::Array(inner) | Form::Map(inner) | Form::Optional(inner, _) => mark_all(inner, marked),
        Form::Record(number, fields) => {
            of.is_marked |= marked.contains(number);
            for (_, inner) in fields {
                mark_all(inner, marked);
            }
        }
        Form::Text | Form::Bytes | Form::Long | Form::Named(_) => {}
    }
}

#[test]
fn nothing_secret_is_ever_shown_and_nothing_open_is_hidden() {
    let mut known = Known::default();
    for seed in 0..3_000 {
        let mut made = Made {
            random: Rng::with_seed(seed),
            known: &mut known,
            records: 0,
        };
        let fields: Vec<_> = {
            let mut done = Vec::new();
            made.records = 1;
            (0..4)
                .map(|_| (made.random.u8(..5) == 0, made.new_type(4, &[0], &mut done)))
                .collect()
        };
        let mut root = Type {
            form: Form::Record(0, fields),
            is_marked: seed % 50 == 0,
        };
        let written = schema(&root).to_string();
        let (mut all, mut marked) = (Vec::new(), Vec::new());
        records(&root, &mut all, &mut marked);
        mark_all(&mut root, &marked);
        let (mut all, mut none) = (Vec::new(), Vec::new());
        records(&root, &mut all, &mut none);
        all.sort_by_key(|(number, _)| *number);
        let all: Vec<&Type> = all.into_iter().map(|(_, of)| of).collect();
        let mut payload = Vec::new();
        made.value(&root, &all, false, &mut payload);
        let shown = Marked::new(&written).unwrap().masked(&payload);
        let shown = shown.unwrap_or_else(|| panic!("seed {seed}: no payload of {written}")).to_string();
        made.known.judge(&shown, |_| false, &format!("seed {seed}, under {written}"));
    }
    known.was_enough();
}

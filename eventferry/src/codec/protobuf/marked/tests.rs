//! What a file marks, by example and by chance.

use std::fmt::Write as _;

use fastrand::Rng;
use serde_json::{Value as Json, json};

use super::Marked;
use crate::codec::known::Known;
use crate::codec::protobuf::probe::{LENGTH, VARINT, field, varint};
use crate::codec::protobuf::{Parsed, Strict};
use crate::codec::shown::MASK;
use crate::codec::{Check as _, CodecErrorKind};

const OPTIONS: &str = r#"syntax = "proto3";
package n;
import "google/protobuf/descriptor.proto";
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
extend google.protobuf.FieldOptions { bool x_sensitive = 50001; }
extend google.protobuf.MessageOptions { bool x_sensitive_message = 50001; }
extend google.protobuf.EnumOptions { bool x_sensitive_enum = 50001; }
extend google.protobuf.OneofOptions { bool x_sensitive_choice = 50001; }
extend google.protobuf.FieldOptions { string owner = 50002; }
"#;

fn parsed(rest: &str) -> Parsed {
    Parsed::new(&format!("{OPTIONS}{rest}"), "a.proto", "n.M0").unwrap()
}

fn masked(rest: &str, payload: &[u8]) -> Option<Json> {
    Marked::new(&parsed(rest)).masked(payload)
}

fn text(number: u32, text: &str) -> Vec<u8> {
    field(number, LENGTH, text.as_bytes())
}

#[test]
fn every_way_to_mark_hides_and_a_no_does_not() {
    let file = r#"
        message M0 {
            string a = 1 [debug_redact = true];
            string b = 2 [(x_sensitive) = true];
            string c = 3 [(n.x_sensitive) = false, debug_redact = false, (owner) = "shop"];
            repeated string d = 4 [debug_redact = true];
            map<string, string> e = 5 [(x_sensitive) = true];
            Card f = 6;
            repeated Card g = 7;
            map<int32, Card> h = 8;
            oneof i { option (x_sensitive_choice) = true; string j = 9; int32 k = 10; }
            oneof l { string m = 11; Card n = 12; Inner o = 13; }
            Colour p = 14;
            Secret q = 15;
            map<string, Inner> r = 16;
            repeated Colour s = 17;
        }
        message Card { option (x_sensitive_message) = true; string number = 1; }
        message Inner { string a = 1 [debug_redact = true]; string b = 2; repeated Inner more = 3; }
        enum Colour { NONE = 0; RED = 1 [debug_redact = true]; BLUE = 2; }
        enum Secret { option (x_sensitive_enum) = true; NOBODY = 0; SOMEBODY = 1; }
    "#;
    let inner = [text(1, "secret"), text(2, "shown")].concat();
    let outer = [text(2, "outer"), field(3, LENGTH, &inner)].concat();
    let entry = |value: Vec<u8>| [text(1, "secret"), value].concat();
    let payload = [
        text(1, "secret"),
        text(2, "secret"),
        text(3, "shown"),
        text(4, "secret"),
        field(5, LENGTH, &entry(text(2, "secret"))),
        field(6, LENGTH, &text(1, "secret")),
        field(7, LENGTH, &text(1, "secret")),
        field(8, LENGTH, &[field(1, VARINT, &[7]), field(2, LENGTH, &text(1, "secret"))].concat()),
        field(10, VARINT, &[99]),
        field(13, LENGTH, &outer),
        field(14, VARINT, &[1]),
        field(15, VARINT, &[1]),
        field(16, LENGTH, &entry(field(2, LENGTH, &inner))),
        field(17, LENGTH, &[2, 1, 77]),
        text(99, "secret"),
        field(98, VARINT, &[5]),
    ]
    .concat();
    let inner = json!({ "a": MASK, "b": "shown" });
    assert_eq!(
        masked(file, &payload).unwrap(),
        json!({
            "a": MASK, "b": MASK, "c": "shown", "d": MASK, "e": MASK, "f": MASK, "g": MASK, "h": MASK, "k": MASK,
            "o": { "b": "outer", "more": [inner] },
            "p": MASK, "q": MASK, "r": { MASK: inner }, "s": ["BLUE", MASK, MASK],
            MASK: MASK, "***16": MASK,
        })
    );
}

#[test]
fn every_kind_of_value_has_a_form() {
    let file = r"
        message M0 {
            bool a = 1; int64 b = 2; uint64 c = 3; float d = 4; double e = 5; bytes f = 6;
            google.protobuf.Timestamp at = 7; google.protobuf.Any any = 8; google.protobuf.Struct open = 9; google.protobuf.Value value = 10;
        }";
    let any = [text(1, "shown/type"), text(2, "secret")].concat();
    let member = field(1, LENGTH, &[text(1, "secret"), field(2, LENGTH, &text(3, "secret"))].concat());
    let payload = [
        field(1, VARINT, &[1]),
        field(2, VARINT, &varint(u64::MAX)),
        field(3, VARINT, &varint(u64::MAX)),
        field(4, 5, &0.1_f32.to_le_bytes()),
        field(5, 1, &f64::NEG_INFINITY.to_le_bytes()),
        field(6, LENGTH, &[0, 0xab]),
        field(7, LENGTH, &field(1, VARINT, &[5])),
        field(8, LENGTH, &any),
        field(9, LENGTH, &member),
        field(10, LENGTH, &text(3, "secret")),
    ]
    .concat();
    assert_eq!(
        masked(file, &payload).unwrap(),
        json!({
            "a": true, "b": -1, "c": u64::MAX, "d": 0.1, "e": "-inf", "f": "00ab", "at": { "seconds": 5 },
            "any": MASK, "open": MASK, "value": MASK,
        })
    );
}

#[test]
fn what_is_no_message_of_the_file_shows_nothing() {
    let file = "message M0 { string a = 1; M0 next = 2; }";
    let mut deep = Vec::new();
    for _ in 0..200 {
        deep = field(2, LENGTH, &deep);
    }
    for broken in [
        &b"\x0a"[..],
        b"\x0a\x05abc",
        b"\0\0\0\0\x07\0\x0a\x01a",
        b"\x08\x01",
        b"\x0a\x01\xff",
        &deep,
    ] {
        assert_eq!(masked(file, broken), None, "{broken:?}");
    }
    let whole = "message M0 { option (x_sensitive_message) = true; string a = 1; }";
    assert_eq!(masked(whole, &text(1, "secret")).unwrap(), json!(MASK));
}

#[test]
fn an_option_that_nobody_declares_is_no_file() {
    for option in ["(x_sensitive_too)", "debug_redacted", "(x_sensitive) = 1, x"] {
        let text = format!("{OPTIONS} message M0 {{ string a = 1 [{option} = true]; }}");
        assert!(Parsed::new(&text, "a.proto", "n.M0").is_err(), "{option}");
    }
}

/// Where a strict reader sees what it does not know.
fn refused(file: &str, payload: &[u8]) -> Result<(), Vec<(String, String)>> {
    Strict(parsed(file)).check(payload).map_err(|error| {
        let told = error.violations().iter();
        told.map(|one| (one.pointer().to_owned(), one.reason().to_owned())).collect()
    })
}

#[test]
fn a_strict_reader_names_every_place_of_what_is_not_declared() {
    let file = r"
        message M0 {
            string a = 1; repeated M0 more = 2; map<string, M0> by_name = 3; Colour colour = 4; repeated Colour colours = 5;
            oneof how { M0 card = 6; string cash = 7; }
            map<string, Colour> named = 8;
        }
        enum Colour { NONE = 0; RED = 1; DARK = -1; }";
    let within = |number: u32, inner: &[u8]| field(number, LENGTH, inner);
    let unknown = text(99, "secret");
    let entry = |value: &[u8]| within(3, &[text(1, "secret"), within(2, value)].concat());
    let known = [
        text(1, "a"),
        within(2, &text(1, "b")),
        entry(&text(1, "c")),
        field(4, VARINT, &varint(u64::MAX)),
        within(5, &[0, 1]),
        field(5, VARINT, &[1]),
        within(6, &[]),
    ]
    .concat();
    assert_eq!(refused(file, &known), Ok(()));
    let declared = "is the field 99, which the schema does not declare";
    let listed = "must be one of the values listed in the schema";
    for (payload, pointer, reason) in [
        (unknown.clone(), "/*", declared),
        ([within(2, &[]), within(2, &unknown)].concat(), "/more/1/*", declared),
        (within(2, &within(6, &unknown)), "/more/0/card/*", declared),
        (entry(&unknown), "/by_name/*/*", declared),
        // What reads maps forgets it.
        (within(3, &[text(1, "k"), unknown.clone()].concat()), "/by_name/*/*", declared),
        (field(99, 3, &[field(1, VARINT, &[1]), vec![0x9c, 0x06]].concat()), "/*", declared),
        (field(99, 1, &[0; 8]), "/*", declared),
        (field(99, 5, &[0; 4]), "/*", declared),
        (field(4, VARINT, &[2]), "/colour", listed),
        (within(5, &[1, 0, 2]), "/colours/2", listed),
        ([field(5, VARINT, &[1]), field(5, VARINT, &[9])].concat(), "/colours/1", listed),
        (within(8, &[text(1, "secret"), field(2, VARINT, &[9])].concat()), "/named/*", listed),
    ] {
        let found = refused(file, &payload).unwrap_err();
        assert_eq!(found, [(pointer.to_owned(), reason.to_owned())], "{payload:?}");
    }
    assert_eq!(refused(file, &unknown.repeat(40)).unwrap_err().len(), 16);
    assert_eq!(refused(file, &within(5, &[9; 40])).unwrap_err().len(), 16);
}

#[test]
fn a_strict_reader_reads_no_bytes_that_are_no_message() {
    let file = "message M0 { string a = 1; M0 next = 2; Colour colour = 3; } enum Colour { NONE = 0; }";
    let (mut deep, groups) = (Vec::new(), [0x9b, 0x06].repeat(100_000));
    for _ in 0..200 {
        deep = field(2, LENGTH, &deep);
    }
    let check = Strict(parsed(file));
    for broken in [
        &b"\x0a"[..],
        b"\x0a\x05abc",
        b"\0",
        b"\x0f",
        b"\x9c\x06",
        b"\x9b\x06",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x19\0\0\0\0\0\0\0\0",
        &deep,
        &groups,
    ] {
        assert_eq!(
            check.check(broken).unwrap_err().kind(),
            CodecErrorKind::Decode,
            "{:?}",
            &broken[..broken.len().min(12)]
        );
    }
    let mut random = Rng::with_seed(1);
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
        drop(check.check(&bytes));
    }
}

/// Messages and a payload made side by side, so that what may be seen is known from how they were made.
struct Made<'k> {
    random: Rng,
    known: &'k mut Known,
    /// The text of each message, without the line that marks it.
    messages: Vec<(bool, Vec<Field>)>,
}

#[derive(Clone, Copy)]
struct Field {
    kind: Kind,
    label: Label,
    mark: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Bytes,
    Number,
    Message(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Label {
    One,
    Many,
    Map,
    Choice,
}

impl Made<'_> {
    /// A message whose fields' messages have higher numbers, or its own.
    fn messages(&mut self) {
        let count = self.random.usize(1..5);
        for number in 0..count {
            let fields = (0..self.random.usize(1..6)).map(|_| Field {
                kind: match self.random.u8(..6) {
                    0 => Kind::Bytes,
                    1 => Kind::Number,
                    2 | 3 => Kind::Message(self.random.usize(number..count)),
                    _ => Kind::Text,
                },
                label: [Label::One, Label::Many, Label::Map, Label::Choice][self.random.usize(..4)],
                mark: [None, None, None, Some("debug_redact"), Some("(x_sensitive)")][self.random.usize(..5)],
            });
            let fields = fields.collect();
            let is_marked = number > 0 && self.random.u8(..6) == 0;
            self.messages.push((is_marked, fields));
        }
    }

    fn file(&self) -> String {
        let mut text = String::new();
        for (number, (is_marked, fields)) in self.messages.iter().enumerate() {
            write!(text, "message M{number} {{").unwrap();
            if *is_marked {
                text.push_str(" option (x_sensitive_message) = true;");
            }
            for (at, field) in fields.iter().enumerate() {
                let kind = match field.kind {
                    Kind::Text => "string".to_owned(),
                    Kind::Bytes => "bytes".to_owned(),
                    Kind::Number => "sint64".to_owned(),
                    Kind::Message(number) => format!("M{number}"),
                };
                let mark = field.mark.map_or_else(String::new, |mark| format!(" [{mark} = true]"));
                let plain = format!("f{at} = {}{mark};", at + 1);
                match field.label {
                    Label::One => write!(text, " {kind} {plain}").unwrap(),
                    Label::Many => write!(text, " repeated {kind} {plain}").unwrap(),
                    Label::Map => write!(text, " map<string, {kind}> {plain}").unwrap(),
                    Label::Choice => write!(text, " oneof c{at} {{ {kind} {plain} }}").unwrap(),
                }
            }
            text.push_str(" }\n");
        }
        text
    }

    fn message(&mut self, number: usize, depth: u32, is_secret: bool) -> Vec<u8> {
        let (is_marked, fields) = self.messages[number].clone();
        let is_secret = is_secret || is_marked;
        let mut bytes = Vec::new();
        for (at, of) in fields.into_iter().enumerate() {
            let number = u32::try_from(at + 1).unwrap();
            let is_secret = is_secret || of.mark.is_some();
            let count = if matches!(of.label, Label::Many | Label::Map) {
                self.random.usize(..3)
            } else {
                1
            };
            for _ in 0..count {
                if depth == 0 && matches!(of.kind, Kind::Message(_)) {
                    continue;
                }
                if of.label == Label::Map {
                    let key = self.known.text(true);
                    let value = self.value(2, of.kind, depth, is_secret);
                    bytes.extend(field(number, LENGTH, &[text(1, &key), value].concat()));
                } else {
                    let value = self.value(number, of.kind, depth, is_secret);
                    bytes.extend(value);
                }
            }
        }
        if self.random.u8(..4) == 0 {
            let known = self.known.text(true);
            bytes.extend(text(700 + self.random.u32(..9), &known));
        }
        bytes
    }

    fn value(&mut self, number: u32, kind: Kind, depth: u32, is_secret: bool) -> Vec<u8> {
        match kind {
            Kind::Text => text(number, &self.known.text(is_secret)),
            Kind::Bytes => text(number, &self.known.bytes(is_secret)),
            Kind::Number => field(number, VARINT, &varint(2 * self.known.number(is_secret).cast_unsigned())),
            Kind::Message(inner) => {
                let inner = self.message(inner, depth - 1, is_secret);
                field(number, LENGTH, &inner)
            }
        }
    }
}

#[test]
fn nothing_secret_is_ever_shown_and_nothing_open_is_hidden() {
    let mut known = Known::default();
    for seed in 0..400 {
        let mut made = Made {
            random: Rng::with_seed(seed),
            known: &mut known,
            messages: Vec::new(),
        };
        made.messages();
        let file = made.file();
        let marked = Marked::new(&parsed(&file));
        for _ in 0..5 {
            let payload = made.message(0, 4, false);
            let shown = marked.masked(&payload);
            let shown = shown.unwrap_or_else(|| panic!("seed {seed}: no message of {file}")).to_string();
            made.known.judge(&shown, |_| false, &format!("seed {seed}, under {file}"));
        }
    }
    known.was_enough();
}

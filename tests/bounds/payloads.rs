//! Payloads of about a size: what makes the most memory of the fewest bytes, what promises more than it holds, and what is nested.

use std::collections::{BTreeMap, HashMap};

use eventferry::OutboxEvent;
use eventferry::codec::Encode;
use eventferry::codec::avro::logical::Decimal;

use crate::events::{AsAvro, AsJson, AsProto, Kind, Part, ProtoPart};
use crate::readers::{Format, Way};

/// A payload and what it is called in the report of a failure.
pub(crate) type Shape = (&'static str, Vec<u8>);

fn encoded<E: OutboxEvent<Format: Encode<E>>>(event: &E) -> Vec<u8> {
    E::Format::encode(event).expect("it is allowed")
}

fn parts(depth: usize) -> Vec<Part> {
    let part = |kind| Part {
        name: "a part".to_owned(),
        count: -7,
        kind,
        rest: (depth > 0).then(|| parts(depth - 1)),
    };
    vec![part(None), part(Some(Kind::Large)), part(Some(Kind::Small))]
}

/// A payload of some hundred bytes with everything in it, which is read.
pub(crate) fn good(format: Format, way: Way) -> Vec<u8> {
    let named = [("ä".to_owned(), -1), ("b".to_owned(), i64::MAX)];
    let proto = ProtoPart {
        name: "a part".to_owned(),
        count: -7,
        rest: vec![ProtoPart::default(), ProtoPart::default()],
        next: Some(Box::default()),
    };
    match format {
        Format::Json => encoded(&AsJson {
            id: 1,
            parts: parts(1),
            named: BTreeMap::from(named),
            ..AsJson::default()
        }),
        Format::Avro if way == Way::Foreign => theirs(&[
            (1, block(&[], 3)),
            (2, block(&[0, 2, 4, 0], 8)),
            (3, [vec![2], text(3), vec![2, 2, 0, 2, 0, 0]].concat()),
            (4, map(9)),
            (5, text(2)),
            (6, text(9)),
        ]),
        Format::Avro => encoded(&AsAvro {
            id: 1,
            parts: parts(1),
            named: HashMap::from(named),
            wides: Vec::new(),
            nothing: vec![(), ()],
            numbers: vec![1, 2, 3],
            price: Decimal::new(-1),
            blob: vec![7; 9],
        }),
        Format::Proto => encoded(&AsProto {
            id: 1,
            parts: vec![proto.clone(), proto],
            named: BTreeMap::from(named),
            numbers: vec![1, 2, 3],
            texts: vec!["a text".to_owned()],
            blob: vec![7; 9],
        }),
    }
}

/// What costs the most for each of its bytes.
pub(crate) fn dense(format: Format, way: Way, size: usize) -> Vec<Shape> {
    match format {
        Format::Json => json(size),
        Format::Avro if way == Way::Foreign => avro_of_others(size),
        Format::Avro => avro(size),
        Format::Proto => proto(size),
    }
}

fn filled(before: &[u8], item: &[u8], between: &[u8], after: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = before.to_vec();
    bytes.extend_from_slice(item);
    while bytes.len() + after.len() < size {
        bytes.extend_from_slice(between);
        bytes.extend_from_slice(item);
    }
    bytes.extend_from_slice(after);
    bytes
}

/// The same with items that are numbered.
fn counted(before: &str, item: impl Fn(usize) -> String, after: &str, size: usize) -> Vec<u8> {
    let mut text = before.to_owned();
    for number in 0.. {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&item(number));
        if text.len() + after.len() >= size {
            break;
        }
    }
    (text + after).into_bytes()
}

fn json(size: usize) -> Vec<Shape> {
    let list = |before: &str, item: &str, after: &str| filled(before.as_bytes(), item.as_bytes(), b",", after.as_bytes(), size);
    vec![
        ("records of nothing", list(r#"{"wides":["#, "{}", "]}")),
        (
            "parts",
            list(r#"{"parts":["#, r#"{"name":"","count":0,"kind":null,"rest":[]}"#, "]}"),
        ),
        ("empty lists", list(r#"{"any":["#, "[]", "]}")),
        ("objects of one member", list(r#"{"any":["#, r#"{"":0}"#, "]}")),
        ("objects in objects", list(r#"{"any":["#, r#"{"":{"":{"":{"":0}}}}"#, "]}")),
        ("numbers", list(r#"{"any":["#, "0", "]}")),
        ("forms", list(r#"{"either":["#, "[]", "]}")),
        ("escapes", list(r#"{"any":""#, r"\u0000", r#""}"#)),
        (
            "members of a map",
            counted(r#"{"named":{"#, |n| format!(r#""{n:x}":0"#), "}}", size),
        ),
        ("undeclared members", counted("{", |n| format!(r#""{n:x}":0"#), "}", size)),
        (
            "undeclared members deep within",
            counted(r#"{"parts":[{"name":"","count":0,"#, |n| format!(r#""{n:x}":0"#), "}]}", size),
        ),
        ("texts that are none", list(r#"{"texts":["#, "0", "]}")),
        ("texts that are none in what may be null", list(r#"{"body":{"lines":["#, "0", "]}}")),
        ("no form at all", list(r#"{"either":["#, "{}", "]}")),
        ("one name for all", list("{", r#""":0"#, "}")),
        ("one long number", filled(b"{\"id\":", b"1", b"", b"}", size)),
        ("only white space", filled(b"", b" ", b"", b"", size)),
    ]
}

/// A length or a count as Avro writes it.
fn long(number: usize) -> Vec<u8> {
    varint((number as u64) << 1)
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
    bytes
}

/// As many items as take the size, in one block.
fn block(item: &[u8], size: usize) -> Vec<u8> {
    let count = size.checked_div(item.len()).unwrap_or(size).max(1);
    [long(count), item.repeat(count), vec![0]].concat()
}

fn map(size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut count = 0;
    while bytes.len() < size {
        let key = format!("{count:x}");
        bytes.extend([long(key.len()), key.into_bytes(), vec![0]].concat());
        count += 1;
    }
    [long(count), bytes, vec![0]].concat()
}

fn text(size: usize) -> Vec<u8> {
    [long(size), vec![b'a'; size]].concat()
}

/// The fields of our schema in their order; those that are not given are empty.
fn ours(fields: &[(usize, Vec<u8>)]) -> Vec<u8> {
    const FIELDS: usize = 8;
    in_order(FIELDS, fields)
}

fn in_order(count: usize, fields: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let field = |at: usize| fields.iter().find(|(of, _)| *of == at).map_or(&[0][..], |(_, bytes)| bytes);
    // An id of 1: what begins with a zero might be framed, and is not shown to people.
    let rest: Vec<&[u8]> = (1..count).map(field).collect();
    [&[2], &rest.concat()[..]].concat()
}

fn avro(size: usize) -> Vec<Shape> {
    vec![
        ("parts", ours(&[(1, block(&[0, 0, 0, 0], size))])),
        ("parts of a kind", ours(&[(1, block(&[0, 0, 2, 0, 2, 0], size))])),
        ("members of a map", ours(&[(2, map(size))])),
        ("records of nulls", ours(&[(3, block(&[0; 8], size))])),
        ("nulls", ours(&[(4, [long(1_024), vec![0]].concat())])),
        ("numbers", ours(&[(5, block(&[0], size))])),
        ("one digit of many", ours(&[(6, text(size))])),
        ("one long text", ours(&[(7, text(size))])),
        (
            "a part in a part",
            ours(&[(1, [&[2, 0, 0, 0, 2].repeat(30)[..], &[0; 64]].concat())]),
        ),
    ]
}

/// The same for the schema of others.
fn theirs(fields: &[(usize, Vec<u8>)]) -> Vec<u8> {
    const FIELDS: usize = 7;
    in_order(FIELDS, fields)
}

fn avro_of_others(size: usize) -> Vec<Shape> {
    vec![
        ("records of no bytes", theirs(&[(1, [long(1_024), vec![0]].concat())])),
        ("what we do not have", theirs(&[(2, block(&[0, 0, 0], size))])),
        ("parts", theirs(&[(3, block(&[0, 0, 0, 0], size))])),
        ("members of a map", theirs(&[(4, map(size))])),
        ("one digit of many", theirs(&[(5, text(size))])),
        ("one long text", theirs(&[(6, text(size))])),
    ]
}

/// A field of Protobuf whose length is said.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn proto(size: usize) -> Vec<Shape> {
    let many = |item: &[u8]| item.repeat((size / item.len()).max(1));
    let named = (0..size / 8).flat_map(|n| field(3, &field(1, format!("{n:x}").as_bytes())));
    vec![
        ("empty parts", many(&[0x12, 0])),
        ("parts of a number", many(&[0x12, 2, 0x10, 2])),
        ("parts in parts in parts", many(&[0x12, 6, 0x22, 4, 0x22, 2, 0x22, 0])),
        ("numbers", field(4, &vec![0; size])),
        ("numbers one by one", many(&[0x20, 0])),
        ("empty texts", many(&[0x2a, 0])),
        ("one member again and again", many(&[0x1a, 0])),
        ("members of a map", named.collect()),
        ("fields of nobody", many(&[0x78, 0])),
        ("texts of nobody", many(&[0x7a, 0])),
        ("groups of nobody", many(&[0x7b, 0x7c])),
        ("fields of nobody in a part", field(2, &many(&[0x78, 0]))),
        ("one long text", field(6, &vec![0; size])),
    ]
}

/// Ten megabytes that cost a test neither gigabytes nor minutes.
pub(crate) fn large(format: Format, way: Way) -> Vec<Shape> {
    const SIZE: usize = 10_000_000;
    let blob = vec![b'1'; SIZE];
    let mut shapes = match format {
        Format::Json => vec![
            ("escapes", [b"{\"any\":\"", r"\u0000".repeat(SIZE / 6).as_bytes(), b"\"}"].concat()),
            ("one long number", [b"{\"id\":", &blob[..], b"}"].concat()),
            ("only white space", b" ".repeat(SIZE)),
        ],
        Format::Avro => {
            let field = if way == Way::Foreign { 6 } else { 7 };
            let of = if way == Way::Foreign { theirs } else { ours };
            vec![
                ("one long text", of(&[(field, text(SIZE))])),
                ("one digit of many", of(&[(field - 1, text(SIZE))])),
            ]
        }
        Format::Proto => vec![("one long text", field(6, &blob)), ("texts of nobody", field(15, &blob))],
    };
    if way == Way::Plain {
        shapes.push(match format {
            Format::Json => ("numbers", [b"{\"any\":[0", &b",0".repeat(SIZE / 2)[..], b"]}"].concat()),
            Format::Avro => ("numbers", ours(&[(5, block(&[0], SIZE))])),
            Format::Proto => ("numbers", field(4, &blob)),
        });
    }
    shapes
}

/// What says that it holds what is not there: every number of it in turn as large as can be said.
pub(crate) fn promising(format: Format, good: &[u8]) -> Vec<Vec<u8>> {
    let most: &[&[u8]] = match format {
        Format::Json => &[b"1e999", b"18446744073709551615", b"\"\\ud800", b"[[[["],
        Format::Avro => &[
            // The most, the least, half a gigabyte and 65,536.
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x80, 0x80, 0x80, 0x80, 0x04],
            &[0x80, 0x80, 0x08],
        ],
        Format::Proto => &[
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0xff, 0xff, 0xff, 0xff, 0x07],
            &[0xff, 0xff, 0x7f],
        ],
    };
    let put = |at: usize, huge: &[u8]| [&good[..at], huge, &good[at + 1..]].concat();
    most.iter().flat_map(|huge| (0..good.len()).map(move |at| put(at, huge))).collect()
}

/// As deep as the size allows.
pub(crate) fn nested(format: Format, size: usize) -> Vec<Shape> {
    let many = |before: &[u8], item: &[u8]| [before, &item.repeat(size / item.len())].concat();
    match format {
        Format::Json => vec![
            ("lists", many(b"", b"[")),
            ("objects", many(b"", b"{\"any\":")),
            ("lists in what allows anything", many(b"{\"any\":", b"[")),
            ("parts", many(b"{\"parts\":[", br#"{"name":"","count":0,"rest":["#)),
            (
                "as deep as is read",
                [b"{\"any\":".as_slice(), &b"[".repeat(120), &b"]".repeat(120), b"}"].concat(),
            ),
        ],
        Format::Avro => vec![
            ("parts", many(&[0], &[2, 0, 0, 0, 2])),
            (
                "parts in blocks that say their size",
                many(&[0], &[1, 0xfe, 0xff, 0x7f, 0, 0, 0, 2]),
            ),
        ],
        Format::Proto => {
            let mut parts = Vec::new();
            // From the inside out, in time that grows with the square: as deep as is cheap, and far deeper than is read.
            for _ in 0..2_000 {
                parts = field(4, &parts);
            }
            let mut read = Vec::new();
            for _ in 0..98 {
                read = field(4, &read);
            }
            vec![
                ("parts", field(2, &parts)),
                ("as deep as is read", field(2, &read)),
                ("groups of nobody", many(b"", &[0x7b])),
            ]
        }
    }
}

//! Samples of a field: its bytes, what its value looks like in Rust, and what it would look like in a field of another type.

use prost_reflect::{EnumDescriptor, Kind};

/// A sample.
pub(super) struct Sample {
    pub(super) wire: u8,
    pub(super) bytes: Vec<u8>,
    /// How the value is shown; none where it cannot be told.
    pub(super) right: Option<String>,
    /// How the same bytes are shown in fields of other types.
    pub(super) wrong: Vec<(&'static str, String)>,
}

pub(super) const VARINT: u8 = 0;
pub(super) const LENGTH: u8 = 2;
/// The tags before and behind a group.
pub(super) const START: u8 = 3;
pub(super) const END: u8 = 4;

pub(super) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
    bytes
}

/// A field: its number and wire type, then its bytes.
pub(super) fn field(number: u32, wire: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = varint(u64::from(number) << 3 | u64::from(wire));
    if wire == LENGTH {
        all.extend(varint(bytes.len() as u64));
    }
    all.extend_from_slice(bytes);
    all
}

/// A negative number no two integer types show alike. None of the digits of one is part of another.
const NUMBER: i64 = -7_654_321;

/// A sample of a scalar; none for messages.
pub(super) fn sample(kind: &Kind) -> Option<Sample> {
    let zigzag = |number: i64| ((number << 1) ^ (number >> 63)).cast_unsigned();
    let unzigzag = |raw: u64| (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed();
    let plain = NUMBER.cast_unsigned();
    let positive = NUMBER.unsigned_abs();
    let number = |raw: u64, right: String, wrong: Vec<(&'static str, String)>| Sample {
        wire: VARINT,
        bytes: varint(raw),
        right: Some(right),
        wrong,
    };
    let fixed = |bytes: Vec<u8>, right: usize| {
        let shown = shown_fixed(&bytes);
        Sample {
            wire: if bytes.len() == 4 { 5 } else { 1 },
            bytes,
            right: Some(shown[right].1.clone()),
            wrong: shown
                .into_iter()
                .enumerate()
                .filter(|(at, _)| *at != right)
                .map(|(_, one)| one)
                .collect(),
        }
    };
    let (four, eight) = (|| (-7.25_f32).to_le_bytes().to_vec(), || (-7.25_f64).to_le_bytes().to_vec());
    Some(match kind {
        Kind::Int32 | Kind::Int64 => number(
            plain,
            NUMBER.to_string(),
            vec![
                ("an unsigned integer", plain.to_string()),
                ("an unsigned integer", (plain & 0xffff_ffff).to_string()),
                ("a `sint`", unzigzag(plain).to_string()),
                ("a `bool`", "true".to_owned()),
            ],
        ),
        Kind::Uint32 | Kind::Uint64 => number(positive, positive.to_string(), vec![("a `sint`", unzigzag(positive).to_string())]),
        Kind::Sint32 | Kind::Sint64 => number(
            zigzag(NUMBER),
            NUMBER.to_string(),
            vec![("an `int`, with or without sign,", zigzag(NUMBER).to_string())],
        ),
        Kind::Fixed32 => fixed(four(), 0),
        Kind::Sfixed32 => fixed(four(), 1),
        Kind::Float => fixed(four(), 2),
        Kind::Fixed64 => fixed(eight(), 0),
        Kind::Sfixed64 => fixed(eight(), 1),
        Kind::Double => fixed(eight(), 2),
        Kind::Bool => number(1, "true".to_owned(), Vec::new()),
        Kind::Enum(symbols) => Sample {
            right: None,
            ..number(symbol(symbols), String::new(), Vec::new())
        },
        Kind::String => Sample {
            wire: LENGTH,
            bytes: b"probe".to_vec(),
            right: Some("probe".to_owned()),
            wrong: vec![("`bytes`", "112, 114, 111".to_owned())],
        },
        // No text and no message begins so.
        Kind::Bytes => Sample {
            wire: LENGTH,
            bytes: vec![0xff],
            right: None,
            wrong: Vec::new(),
        },
        Kind::Message(_) => return None,
    })
}

/// A number that is written wherever it stands, as the default is not. In Rust an enum is a number, and takes one that it has not as well.
fn symbol(symbols: &EnumDescriptor) -> u64 {
    let others = symbols.values().map(|value| value.number()).filter(|number| *number != 0);
    i64::from(others.max().unwrap_or(1)).cast_unsigned()
}

fn shown_fixed(bytes: &[u8]) -> [(&'static str, String); 3] {
    if let Ok(raw) = <[u8; 4]>::try_from(bytes) {
        return [
            ("a `fixed32`", u32::from_le_bytes(raw).to_string()),
            ("an `sfixed32`", i32::from_le_bytes(raw).to_string()),
            ("a `float`", f32::from_le_bytes(raw).to_string()),
        ];
    }
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[..8]);
    [
        ("a `fixed64`", u64::from_le_bytes(raw).to_string()),
        ("an `sfixed64`", i64::from_le_bytes(raw).to_string()),
        ("a `double`", f64::from_le_bytes(raw).to_string()),
    ]
}

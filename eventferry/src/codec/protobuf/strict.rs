//! Refuses what the file does not declare.
//!
//! The fields are looked at as they stand on the wire: what reads them passes over what it does not know, and in the entries of a map forgets
//! even that it was there.

use std::collections::HashMap;

use prost_reflect::{Kind, MessageDescriptor};

use crate::codec::protobuf::Parsed;
use crate::codec::protobuf::file::MOST;
use crate::codec::{Check, CodecError, Violation};

/// Messages within messages are read so deep, and no deeper.
const DEEPEST: usize = 100;

/// Refuses a message with fields, or with numbers in its enums, that its file does not declare; and nothing else.
pub(crate) struct Strict(pub(crate) Parsed);

impl Check for Strict {
    fn check(&self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut found = Vec::new();
        let is_read = undeclared(self.0.message(), bytes, "", 0, &mut found);
        is_read.ok_or_else(|| CodecError::decode("it is no such Protobuf message"))?;
        if found.is_empty() {
            Ok(())
        } else {
            Err(CodecError::refused(found))
        }
    }
}

/// Adds what a message has and its descriptor has not; none if it is no message.
pub(super) fn undeclared(message: &MessageDescriptor, mut bytes: &[u8], at: &str, depth: usize, found: &mut Vec<Violation>) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    let mut items: HashMap<u32, usize> = HashMap::new();
    while !bytes.is_empty() {
        let (number, value) = next(&mut bytes, depth)?;
        if found.len() >= MOST {
            return Some(());
        }
        let Some(field) = message.get_field(number) else {
            if message.get_extension(number).is_none() {
                let reason = format!("is the field {number}, which the schema does not declare");
                found.push(Violation::new(format!("{at}/*"), "undeclared", reason));
            }
            continue;
        };
        let mut place = || {
            let at = if message.is_map_entry() {
                at.to_owned()
            } else {
                format!("{at}/{}", field.name())
            };
            if field.is_list() {
                let item = items.entry(number).or_default();
                *item += 1;
                format!("{at}/{}", *item - 1)
            } else if field.is_map() {
                format!("{at}/*")
            } else {
                at
            }
        };
        match (field.kind(), value) {
            (Kind::Message(inner), Wire::Length(bytes) | Wire::Group(bytes)) => undeclared(&inner, bytes, &place(), depth + 1, found)?,
            (Kind::Enum(symbols), value) => {
                let mut one = |number: u64| {
                    let at = place();
                    // On the wire a number of an enum has 64 bits, and those that count are the lower ones.
                    let number = (number & 0xffff_ffff) as u32;
                    if symbols.get_value(number.cast_signed()).is_none() && found.len() < MOST {
                        found.push(Violation::new(at, "enum", "must be one of the values listed in the schema"));
                    }
                };
                match value {
                    Wire::Varint(number) => one(number),
                    Wire::Length(mut numbers) => {
                        while !numbers.is_empty() {
                            one(varint(&mut numbers)?);
                        }
                    }
                    Wire::Fixed | Wire::Group(_) => return None,
                }
            }
            // Whether the forms of the others are right is found when they are read.
            _ => {}
        }
    }
    Some(())
}

/// What stands after a field's number.
enum Wire<'b> {
    Varint(u64),
    Fixed,
    Length(&'b [u8]),
    Group(&'b [u8]),
}

fn next<'b>(bytes: &mut &'b [u8], depth: usize) -> Option<(u32, Wire<'b>)> {
    let key = u32::try_from(varint(bytes)?).ok()?;
    let number = key >> 3;
    let value = match key & 7 {
        0 => Wire::Varint(varint(bytes)?),
        1 => take(bytes, 8).map(|_| Wire::Fixed)?,
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Wire::Length(take(bytes, length)?)
        }
        3 => Wire::Group(group(bytes, number, depth)?),
        5 => take(bytes, 4).map(|_| Wire::Fixed)?,
        _ => return None,
    };
    (number > 0).then_some((number, value))
}

/// What stands in a group, whose end is behind it.
fn group<'b>(bytes: &mut &'b [u8], of: u32, depth: usize) -> Option<&'b [u8]> {
    if depth > DEEPEST {
        return None;
    }
    let whole = *bytes;
    loop {
        let inner = whole.len() - bytes.len();
        let mut ahead = *bytes;
        let key = varint(&mut ahead)?;
        if key == u64::from(of) << 3 | 4 {
            *bytes = ahead;
            return Some(&whole[..inner]);
        }
        next(bytes, depth + 1)?;
    }
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, left) = bytes.split_at_checked(count)?;
    *bytes = left;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..10 {
        let (byte, left) = bytes.split_first()?;
        *bytes = left;
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

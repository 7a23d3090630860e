//! The frame that a schema's id travels in, as [Confluent's wire format] describes it.
//!
//! A byte 0, the id in four bytes, big-endian, and for Protobuf the place of the message in its file: how many positions, then each of them,
//! as zigzag variable-length integers, with the single byte 0 for the first message.
//!
//! [Confluent's wire format]: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format

use crate::schema::{Schema, SchemaId, SchemaKind};

/// The first byte of a frame.
const MAGIC: u8 = 0;
/// A message nested deeper than this is not read.
const DEEPEST: usize = 64;

/// Puts a schema's frame before a payload.
///
/// # Examples
/// ```
/// use eventferry::schema::{Schema, SchemaId, SchemaKind, frame};
///
/// let schema = Schema::new(SchemaKind::Json, "Ping", "{}");
/// assert_eq!(frame::put(SchemaId::new(258), &schema, b"{}"), [0, 0, 0, 1, 2, b'{', b'}']);
/// ```
pub fn put(id: SchemaId, schema: &Schema, payload: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(payload.len() + 5 + schema.message_index.len() + 1);
    framed.push(MAGIC);
    framed.extend_from_slice(&id.get().to_be_bytes());
    if schema.kind == SchemaKind::Protobuf {
        match schema.message_index.as_slice() {
            [] | [0] => framed.push(0),
            several => {
                put_varint(&mut framed, several.len() as u64);
                for index in several {
                    put_varint(&mut framed, u64::from(*index));
                }
            }
        }
    }
    framed.extend_from_slice(payload);
    framed
}

/// The id of a frame, and what follows it: the payload, for Protobuf behind a message's place ([`take_message_index`]). None if the bytes
/// begin with no frame.
///
/// # Examples
/// ```
/// use eventferry::schema::{SchemaId, frame};
///
/// assert_eq!(frame::take(b"\0\0\0\x01\x02{}"), Some((SchemaId::new(258), &b"{}"[..])));
/// assert_eq!(frame::take(b"{\"order_id\":7}"), None);
/// ```
pub fn take(bytes: &[u8]) -> Option<(SchemaId, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<5>()?;
    let [MAGIC, id @ ..] = *head else { return None };
    Some((SchemaId::new(u32::from_be_bytes(id)), rest))
}

/// The place of a Protobuf message in its file, and the payload behind it. None if the bytes begin with no such place.
///
/// # Examples
/// ```
/// use eventferry::schema::frame;
///
/// assert_eq!(frame::take_message_index(&[0, 8, 7]), Some((vec![0], &[8, 7][..])), "the first message, in its short form");
/// assert_eq!(frame::take_message_index(&[2, 4, 8, 7]), Some((vec![2], &[8, 7][..])), "the third");
/// ```
pub fn take_message_index(bytes: &[u8]) -> Option<(Vec<u32>, &[u8])> {
    let (count, mut rest) = take_varint(bytes)?;
    if count == 0 {
        return Some((vec![0], rest));
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= DEEPEST)?;
    let mut index = Vec::with_capacity(count);
    for _ in 0..count {
        let (one, after) = take_varint(rest)?;
        index.push(u32::try_from(one).ok()?);
        rest = after;
    }
    Some((index, rest))
}

/// A number that is never negative, zigzag and in groups of seven bits, lowest first.
fn put_varint(to: &mut Vec<u8>, number: u64) {
    let mut left = number << 1;
    while left >= 0x80 {
        to.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    to.push((left & 0x7f) as u8);
}

fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    // A position of 32 bits takes at most five groups once it is zigzag.
    for (at, byte) in bytes.iter().take(5).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            // Odd means negative.
            return (number & 1 == 0).then_some((number >> 1, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proto(index: &[u32]) -> Schema {
        let mut schema = Schema::new(SchemaKind::Protobuf, "m", "");
        schema.message_index = index.to_vec();
        schema
    }

    #[test]
    fn what_is_put_is_taken() {
        for index in [&[0][..], &[1], &[0, 0], &[2, 1, 0], &[63, 64, 300, u32::MAX / 2]] {
            let framed = put(SchemaId::new(u32::MAX), &proto(index), b"payload");
            let (id, rest) = take(&framed).unwrap();
            assert_eq!(id.get(), u32::MAX);
            assert_eq!(take_message_index(rest).unwrap(), (index.to_vec(), &b"payload"[..]), "{index:?}");
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_published_format() {
        assert_eq!(put(SchemaId::new(1), &proto(&[0]), b"x"), [0, 0, 0, 0, 1, 0, b'x']);
        // One position, 1: the count and the position are zigzag, so 2 and 2.
        assert_eq!(put(SchemaId::new(1), &proto(&[1]), b"x"), [0, 0, 0, 0, 1, 2, 2, b'x']);
        assert_eq!(put(SchemaId::new(1), &proto(&[2, 0]), b""), [0, 0, 0, 0, 1, 4, 4, 0]);
    }

    #[test]
    fn what_is_no_frame_is_none() {
        for bytes in [&b""[..], &[0], &[0, 0, 0, 1], &[1, 0, 0, 0, 1, 2], b"{\"a\":1}"] {
            assert_eq!(take(bytes), None, "{bytes:?}");
        }
        for bytes in [
            &[][..],
            &[0x80],
            &[1],
            &[2],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0],
            &[2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ] {
            assert_eq!(take_message_index(bytes), None, "{bytes:?}");
        }
    }
}

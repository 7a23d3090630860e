//! Walks encoded bytes along their schema without building anything: what bounds reading, and what checks before storing.

use std::collections::HashSet;

use crate::codec::Violation;
use crate::codec::avro::shape::{At, Node, Shape};

/// Values nested deeper than this are not read: only a schema that names itself can ask for it.
const DEEPEST: usize = 128;
/// The most items of no bytes (nulls, empty records) that one payload may claim: they cost the writer nothing and the reader memory.
const MOST_EMPTY: u64 = 65_536;
/// The most violations that one error tells of.
const MOST: usize = 16;

/// What is wrong with bytes.
pub(super) enum Broken {
    /// They are not an encoding of the schema's type.
    Bytes(&'static str),
    /// They are, but of a value that the schema forbids.
    Rules(Vec<Found>),
}

/// A value that the schema forbids, and where.
pub(super) struct Found {
    pointer: String,
    rule: &'static str,
    reason: String,
}

impl From<Found> for Violation {
    fn from(found: Found) -> Self {
        Self::new(found.pointer, found.rule, found.reason)
    }
}

const ENDS: Broken = Broken::Bytes("it ends too early");
const LONG: Broken = Broken::Bytes("a number in it has too many bytes");

/// Walks all of the bytes.
pub(super) fn walk(shape: &Shape, bytes: &[u8]) -> Result<(), Broken> {
    let mut walker = Walker {
        shape,
        left: bytes,
        place: Vec::new(),
        found: Vec::new(),
        empty: 0,
    };
    walker.value(shape.root, 0)?;
    if !walker.left.is_empty() {
        return Err(Broken::Bytes("it goes on after its end"));
    }
    if walker.found.is_empty() {
        Ok(())
    } else {
        Err(Broken::Rules(walker.found))
    }
}

/// One step towards a value.
#[derive(Clone, Copy)]
enum Step<'s> {
    Field(&'s str),
    Item(u64),
    /// The key of a map is a value too, and is not shown.
    Key,
}

struct Walker<'s, 'b> {
    shape: &'s Shape,
    left: &'b [u8],
    place: Vec<Step<'s>>,
    found: Vec<Found>,
    empty: u64,
}

impl<'b> Walker<'_, 'b> {
    fn value(&mut self, at: At, depth: usize) -> Result<(), Broken> {
        if depth > DEEPEST {
            return Err(Broken::Bytes("it is nested too deeply"));
        }
        let shape = self.shape;
        match &shape.nodes[at] {
            Node::Null => {}
            Node::Boolean => match self.take(1)? {
                [0 | 1] => {}
                _ => return Err(Broken::Bytes("a boolean in it is neither true nor false")),
            },
            Node::Int => drop(self.int()?),
            Node::Long => drop(self.long()?),
            Node::TimeMillis => {
                let millis = i64::from(self.int()?);
                self.of_day(millis, 86_400_000);
            }
            Node::TimeMicros => {
                let micros = self.long()?;
                self.of_day(micros, 86_400_000_000);
            }
            Node::Float => drop(self.take(4)?),
            Node::Double => drop(self.take(8)?),
            Node::Bytes => drop(self.bytes()?),
            Node::Text => drop(self.text()?),
            Node::UuidText => {
                if uuid::Uuid::try_parse(self.text()?).is_err() {
                    self.forbid("uuid", "must be a uuid");
                }
            }
            Node::UuidBytes => {
                if self.bytes()?.len() != 16 {
                    self.forbid("uuid", "must be the 16 bytes of a uuid");
                }
            }
            Node::BigDecimal => self.big_decimal()?,
            Node::Fixed(size) => drop(self.take(*size)?),
            Node::Decimal(size, limit, precision) => {
                let digits = match size {
                    Some(size) => self.take(*size)?,
                    None => self.bytes()?,
                };
                if !below(digits, limit) {
                    self.forbid("precision", format!("must have at most {precision} digits"));
                }
            }
            Node::Enum(symbols) => {
                let index = self.int()?;
                if usize::try_from(index).is_ok_and(|index| index < *symbols) {
                } else {
                    return Err(Broken::Bytes("an enum in it has no such symbol"));
                }
            }
            Node::Array(items) => self.blocks(*items, depth, false)?,
            Node::Map(values) => self.blocks(*values, depth, true)?,
            Node::Union(branches) => {
                let branch = usize::try_from(self.long()?).ok().and_then(|index| branches.get(index));
                let branch = branch.ok_or(Broken::Bytes("a union in it has no such branch"))?;
                self.value(*branch, depth + 1)?;
            }
            Node::Record(fields) => {
                for (name, at) in fields {
                    self.place.push(Step::Field(name));
                    self.value(*at, depth + 1)?;
                    self.place.pop();
                }
            }
        }
        Ok(())
    }

    fn blocks(&mut self, of: At, depth: usize, is_map: bool) -> Result<(), Broken> {
        let mut keys = HashSet::new();
        let mut index = 0_u64;
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // The size in bytes that skipping readers use. This one looks, but a lie would send them astray.
                let size = usize::try_from(self.long()?).map_err(|_| LONG)?;
                if size > self.left.len() {
                    return Err(ENDS);
                }
            }
            for _ in 0..count.unsigned_abs() {
                let before = self.left.len();
                if is_map {
                    let key = self.text()?;
                    if !keys.insert(key) {
                        self.forbid("duplicate", "has two members of one name");
                    }
                }
                self.place.push(if is_map { Step::Key } else { Step::Item(index) });
                self.value(of, depth + 1)?;
                self.place.pop();
                index += 1;
                if self.left.len() == before {
                    self.empty += 1;
                    if self.empty > MOST_EMPTY {
                        return Err(Broken::Bytes("it claims too many items of no bytes"));
                    }
                }
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], Broken> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(ENDS)?;
        self.left = left;
        Ok(taken)
    }

    fn long(&mut self) -> Result<i64, Broken> {
        let mut number = 0_u64;
        for (at, byte) in self.left.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if at == 9 && *byte > 1 {
                return Err(LONG);
            }
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.left = &self.left[at + 1..];
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(if self.left.len() < 10 { ENDS } else { LONG })
    }

    fn int(&mut self) -> Result<i32, Broken> {
        i32::try_from(self.long()?).map_err(|_| Broken::Bytes("a number in it is too large for its type"))
    }

    fn bytes(&mut self) -> Result<&'b [u8], Broken> {
        let length = usize::try_from(self.long()?).map_err(|_| Broken::Bytes("a length in it is negative"))?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'b str, Broken> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Broken::Bytes("a text in it is not UTF-8"))
    }

    fn big_decimal(&mut self) -> Result<(), Broken> {
        let inner = self.bytes()?;
        let outer = std::mem::replace(&mut self.left, inner);
        let well = self.bytes().and_then(|_| self.long());
        let is_whole = self.left.is_empty();
        self.left = outer;
        match well {
            Ok(_) if is_whole => Ok(()),
            _ => Err(Broken::Bytes("a big decimal in it is cut")),
        }
    }

    fn of_day(&mut self, time: i64, day: i64) {
        if !(0..day).contains(&time) {
            self.forbid("time", "must be a time of day");
        }
    }

    fn forbid(&mut self, rule: &'static str, reason: impl Into<String>) {
        if self.found.len() == MOST {
            return;
        }
        let pointer = pointer(&self.place);
        let reason = reason.into();
        self.found.push(Found { pointer, rule, reason });
    }
}

fn pointer(place: &[Step<'_>]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for step in place {
        // Writing to a string cannot fail.
        let _: std::fmt::Result = match step {
            Step::Field(name) => write!(text, "/{name}"),
            Step::Item(index) => write!(text, "/{index}"),
            Step::Key => write!(text, "/*"),
        };
    }
    text
}

/// Whether the magnitude of a big-endian two's complement number is below a big-endian limit.
fn below(number: &[u8], limit: &[u8]) -> bool {
    let is_negative = number.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = number.to_vec();
    if is_negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (inverted, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (inverted, over);
        }
    }
    let significant = magnitude.iter().position(|byte| *byte != 0).unwrap_or(magnitude.len());
    let magnitude = &magnitude[significant..];
    magnitude.len() < limit.len() || (magnitude.len() == limit.len() && magnitude < limit)
}

//! Walks encoded bytes along their schema without building anything: what bounds reading, and what checks before storing.

use std::collections::HashSet;

use crate::codec::Violation;
use crate::codec::avro::input::Input;
use crate::codec::avro::shape::{At, Node, Shape};

/// Values nested deeper than this are not read: only a schema that names itself can ask for it.
const DEEPEST: usize = 128;
/// The most items of no bytes (nulls, empty records) that one payload may claim: they cost the writer nothing and the reader memory, a
/// kilobyte each where its own record has ten fields with defaults.
const MOST_EMPTY: u64 = 1_024;
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

/// Walks all of the bytes.
pub(super) fn walk(shape: &Shape, bytes: &[u8]) -> Result<(), Broken> {
    let mut walker = Walker {
        shape,
        input: Input(bytes),
        place: Vec::new(),
        found: Vec::new(),
        empty: 0,
    };
    walker.value(shape.root, 0)?;
    if !walker.input.0.is_empty() {
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
    input: Input<'b>,
    place: Vec<Step<'s>>,
    found: Vec<Found>,
    empty: u64,
}

impl Walker<'_, '_> {
    fn value(&mut self, at: At, depth: usize) -> Result<(), Broken> {
        if depth > DEEPEST {
            return Err(Broken::Bytes("it is nested too deeply"));
        }
        let shape = self.shape;
        match &shape.nodes[at] {
            Node::Null => {}
            Node::Boolean => drop(self.input.boolean()?),
            Node::Int => drop(self.input.int()?),
            Node::Long => drop(self.input.long()?),
            Node::TimeMillis => {
                let millis = i64::from(self.input.int()?);
                self.of_day(millis, 86_400_000);
            }
            Node::TimeMicros => {
                let micros = self.input.long()?;
                self.of_day(micros, 86_400_000_000);
            }
            Node::Float => drop(self.input.take(4)?),
            Node::Double => drop(self.input.take(8)?),
            Node::Bytes => drop(self.input.bytes()?),
            Node::Text => drop(self.input.text()?),
            Node::UuidText => {
                if uuid::Uuid::try_parse(self.input.text()?).is_err() {
                    self.forbid("uuid", "must be a uuid");
                }
            }
            Node::UuidBytes => {
                if self.input.bytes()?.len() != 16 {
                    self.forbid("uuid", "must be the 16 bytes of a uuid");
                }
            }
            Node::BigDecimal => drop(self.input.big_decimal()?),
            Node::UuidFixed => drop(self.input.take(16)?),
            Node::Fixed(size) => drop(self.input.take(*size)?),
            Node::Decimal(decimal) => {
                let digits = match decimal.size {
                    Some(size) => self.input.take(size)?,
                    None => self.input.bytes()?,
                };
                if !below(digits, &decimal.limit) {
                    self.forbid("precision", format!("must have at most {} digits", decimal.precision));
                }
            }
            Node::Enum(symbols) => drop(self.input.one_of(symbols, "an enum in it has no such symbol")?),
            Node::Array(items) => self.blocks(*items, depth, false)?,
            Node::Map(values) => self.blocks(*values, depth, true)?,
            Node::Union(branches) => {
                let branch = *self.input.one_of(branches, "a union in it has no such branch")?;
                self.value(branch, depth + 1)?;
            }
            Node::Record(fields) => {
                for field in fields {
                    self.place.push(Step::Field(&field.name));
                    self.value(field.at, depth + 1)?;
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
            let count = self.input.block()?;
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                let before = self.input.0.len();
                if is_map {
                    let key = self.input.text()?;
                    if !keys.insert(key) {
                        self.forbid("duplicate", "has two members of one name");
                    }
                }
                self.place.push(if is_map { Step::Key } else { Step::Item(index) });
                self.value(of, depth + 1)?;
                self.place.pop();
                index += 1;
                if self.input.0.len() == before {
                    self.empty += 1;
                    if self.empty > MOST_EMPTY {
                        return Err(Broken::Bytes("it claims too many items of no bytes"));
                    }
                }
            }
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

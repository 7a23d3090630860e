//! Shows a payload as JSON, without what its schema marks as personal.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use apache_avro::Schema;
use serde_json::{Map, Value as Json};

use crate::codec::CodecError;
use crate::codec::avro::input::Input;
use crate::codec::avro::shape::{At, Decimal, Node, Shape};
use crate::codec::avro::walk::{Broken, walk};
use crate::codec::shown;

/// A schema with what it marks: types that are personal wherever they are used, and fields of records.
pub(crate) struct Marked {
    shape: Shape,
    types: HashSet<At>,
    /// By the record and the place of the field in it.
    fields: HashSet<(At, usize)>,
}

impl Marked {
    /// # Errors
    /// If the schema is none, or marks something of which it cannot be told what it is.
    pub(crate) fn new(text: &str) -> Result<Self, CodecError> {
        let wrong = || CodecError::schema("it cannot be parsed as Avro");
        let schema = Schema::parse_str(text).map_err(|_| wrong())?;
        let json: Json = serde_json::from_str(text).map_err(|_| wrong())?;
        let shape = Shape::of(&schema)?;
        let root = shape.root;
        let mut marked = Self {
            shape,
            types: HashSet::new(),
            fields: HashSet::new(),
        };
        let mut found = 0;
        marked.learn(root, &json, &mut found);
        // A mark that nothing was made of stands where marks have no meaning, and what it is meant for is not known.
        if found == marks(&json) {
            Ok(marked)
        } else {
            Err(CodecError::schema(
                "it has an `x-sensitive` that is neither on a field of a record nor on a type",
            ))
        }
    }

    /// Follows the text of the schema and what was made of it, side by side: the library forgets attributes of types without a name.
    fn learn(&mut self, at: At, json: &Json, found: &mut usize) {
        let members = match json {
            Json::Object(members) => members,
            Json::Array(branches) => {
                let Node::Union(places) = &self.shape.nodes[at] else { return };
                for (place, branch) in places.clone().into_iter().zip(branches) {
                    self.learn(place, branch, found);
                }
                return;
            }
            // A name, of a type that has been seen where it is defined.
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => return,
        };
        if shown::is_sensitive(members) {
            *found += 1;
            self.types.insert(at);
        }
        let Some(kind) = members.get("type") else { return };
        if !kind.is_string() {
            return self.learn(at, kind, found);
        }
        let (inner, part) = match &self.shape.nodes[at] {
            Node::Array(items) if kind == "array" => (*items, "items"),
            Node::Map(values) if kind == "map" => (*values, "values"),
            Node::Record(fields) if kind == "record" || kind == "error" => {
                let places: Vec<At> = fields.iter().map(|field| field.at).collect();
                let fields = members.get("fields").and_then(Json::as_array).into_iter().flatten();
                for (index, (place, field)) in places.into_iter().zip(fields).enumerate() {
                    if field.as_object().is_some_and(shown::is_sensitive) {
                        *found += 1;
                        self.fields.insert((at, index));
                    }
                    if let Some(kind) = field.get("type") {
                        self.learn(place, kind, found);
                    }
                }
                return;
            }
            Node::Null
            | Node::Boolean
            | Node::Int
            | Node::Long
            | Node::TimeMillis
            | Node::TimeMicros
            | Node::Float
            | Node::Double
            | Node::Bytes
            | Node::Text
            | Node::UuidText
            | Node::UuidBytes
            | Node::UuidFixed
            | Node::BigDecimal
            | Node::Fixed(_)
            | Node::Decimal(_)
            | Node::Enum(_)
            | Node::Array(_)
            | Node::Map(_)
            | Node::Union(_)
            | Node::Record(_) => return,
        };
        if let Some(json) = members.get(part) {
            self.learn(inner, json, found);
        }
    }

    /// The payload as JSON; none if it is no payload of the schema.
    pub(crate) fn masked(&self, bytes: &[u8]) -> Option<Json> {
        // What was walked has an end, is not too deep, and asks for no memory that it does not pay for. That it breaks a rule is no reason
        // not to look at it.
        match walk(&self.shape, bytes) {
            Ok(()) | Err(Broken::Rules(_)) => {}
            Err(Broken::Bytes(_)) => return None,
        }
        self.value(self.shape.root, &mut Input(bytes), false).ok()
    }

    /// The next value, which is passed over where it is hidden.
    fn value(&self, at: At, input: &mut Input<'_>, is_hidden: bool) -> Result<Json, Broken> {
        let is_hidden = is_hidden || self.types.contains(&at);
        let value = match &self.shape.nodes[at] {
            Node::Null => Json::Null,
            Node::Boolean => input.boolean()?.into(),
            Node::Int | Node::TimeMillis => input.int()?.into(),
            Node::Long | Node::TimeMicros => input.long()?.into(),
            Node::Float => {
                let bytes = input.take(4)?.try_into().unwrap_or_default();
                shown::float(&f32::from_le_bytes(bytes))
            }
            Node::Double => {
                let bytes = input.take(8)?.try_into().unwrap_or_default();
                shown::float(&f64::from_le_bytes(bytes))
            }
            Node::Bytes => shown::bytes(input.bytes()?),
            Node::Text | Node::UuidText => input.text()?.into(),
            Node::UuidBytes => uuid(input.bytes()?),
            Node::UuidFixed => uuid(input.take(16)?),
            Node::Fixed(size) => shown::bytes(input.take(*size)?),
            Node::BigDecimal => {
                let (number, scale) = input.big_decimal()?;
                decimal(number, scale)
            }
            Node::Decimal(Decimal { size, scale, .. }) => {
                let number = match size {
                    Some(size) => input.take(*size)?,
                    None => input.bytes()?,
                };
                decimal(number, i64::try_from(*scale).unwrap_or(i64::MAX))
            }
            Node::Enum(symbols) => input.one_of(symbols, "")?.as_str().into(),
            Node::Array(items) => {
                let mut all = Vec::new();
                self.blocks(input, |input| {
                    all.push(self.value(*items, input, is_hidden)?);
                    Ok(())
                })?;
                all.into()
            }
            Node::Map(values) => {
                let mut all = Map::new();
                self.blocks(input, |input| {
                    // What a map's keys are is nowhere declared.
                    input.text()?;
                    let value = self.value(*values, input, is_hidden)?;
                    all.insert(shown::unnamed(&all), value);
                    Ok(())
                })?;
                all.into()
            }
            Node::Union(branches) => self.value(*input.one_of(branches, "")?, input, is_hidden)?,
            Node::Record(fields) => {
                let mut all = Map::new();
                for (index, field) in fields.iter().enumerate() {
                    let is_hidden = is_hidden || self.fields.contains(&(at, index));
                    all.insert(field.name.clone(), self.value(field.at, input, is_hidden)?);
                }
                all.into()
            }
        };
        Ok(if is_hidden { shown::hidden() } else { value })
    }

    #[expect(clippy::unused_self, reason = "it belongs to reading values")]
    fn blocks<'b>(&self, input: &mut Input<'b>, mut item: impl FnMut(&mut Input<'b>) -> Result<(), Broken>) -> Result<(), Broken> {
        loop {
            match input.block()? {
                0 => return Ok(()),
                count => (0..count).try_for_each(|_| item(input))?,
            }
        }
    }
}

/// How many marks a text has, wherever they stand. A default is a value, and holds none.
fn marks(json: &Json) -> usize {
    match json {
        Json::Object(members) => {
            let inner = members.iter().filter(|(name, _)| *name != "default").map(|(_, value)| marks(value));
            inner.sum::<usize>() + usize::from(shown::is_sensitive(members))
        }
        Json::Array(items) => items.iter().map(marks).sum(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => 0,
    }
}

fn uuid(bytes: &[u8]) -> Json {
    uuid::Uuid::from_slice(bytes).map_or_else(|_| shown::bytes(bytes), |uuid| uuid.to_string().into())
}

/// A big-endian two's complement number with its point, as far as people read such numbers.
fn decimal(number: &[u8], scale: i64) -> Json {
    const MOST: usize = 16;
    let (Some(start), Ok(scale @ 0..=64)) = (MOST.checked_sub(number.len()), usize::try_from(scale)) else {
        return shown::bytes(number);
    };
    let is_negative = number.first().is_some_and(|first| first & 0x80 != 0);
    let mut wide = [if is_negative { 0xff } else { 0 }; MOST];
    wide[start..].copy_from_slice(number);
    let digits = i128::from_be_bytes(wide).unsigned_abs().to_string();
    let digits = format!("{digits:0>least$}", least = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if is_negative { "-" } else { "" };
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{part}").into()
}

//! A schema as the walker needs it: every reference resolved, every limit computed.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, Name, UuidSchema};

use crate::codec::CodecError;

/// A place in [`Shape::nodes`].
pub(super) type At = usize;

/// The schema's types, each once.
pub(super) struct Shape {
    pub(super) nodes: Vec<Node>,
    pub(super) root: At,
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) at: At,
}

/// A number with a point.
#[derive(Debug, Clone)]
pub(super) struct Decimal {
    /// The size of a fixed one.
    pub(super) size: Option<usize>,
    /// Ten to the power of the precision, big-endian.
    pub(super) limit: Vec<u8>,
    pub(super) precision: usize,
    /// How many of the digits stand behind the point.
    pub(super) scale: usize,
}

/// One type.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    /// Milliseconds of a day.
    TimeMillis,
    /// Microseconds of a day.
    TimeMicros,
    Float,
    Double,
    Bytes,
    Text,
    UuidText,
    UuidBytes,
    UuidFixed,
    BigDecimal,
    Fixed(usize),
    Decimal(Decimal),
    Enum(Vec<String>),
    Array(At),
    Map(At),
    Union(Vec<At>),
    Record(Vec<Field>),
}

/// A precision beyond this is no number of anything.
const MOST_DIGITS: usize = 1024;

impl Shape {
    pub(super) fn of(schema: &Schema) -> Result<Self, CodecError> {
        let mut shape = Self {
            nodes: Vec::new(),
            root: 0,
        };
        shape.root = shape.add(schema, &mut HashMap::new())?;
        Ok(shape)
    }

    fn push(&mut self, node: Node) -> At {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn add(&mut self, schema: &Schema, named: &mut HashMap<Name, At>) -> Result<At, CodecError> {
        let node = match schema {
            Schema::Null => Node::Null,
            Schema::Boolean => Node::Boolean,
            Schema::Int | Schema::Date => Node::Int,
            Schema::TimeMillis => Node::TimeMillis,
            Schema::Long
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Node::Long,
            Schema::TimeMicros => Node::TimeMicros,
            Schema::Float => Node::Float,
            Schema::Double => Node::Double,
            Schema::Bytes => Node::Bytes,
            Schema::String => Node::Text,
            Schema::BigDecimal => Node::BigDecimal,
            Schema::Uuid(UuidSchema::String) => Node::UuidText,
            Schema::Uuid(UuidSchema::Bytes) => Node::UuidBytes,
            Schema::Uuid(UuidSchema::Fixed(fixed)) if fixed.size == 16 => {
                let at = self.push(Node::UuidFixed);
                named.insert(fixed.name.clone(), at);
                return Ok(at);
            }
            Schema::Uuid(UuidSchema::Fixed(fixed)) | Schema::Fixed(fixed) | Schema::Duration(fixed) => {
                let at = self.push(Node::Fixed(fixed.size));
                named.insert(fixed.name.clone(), at);
                return Ok(at);
            }
            Schema::Decimal(decimal) => {
                let at = self.push(decimal_node(decimal)?);
                if let InnerDecimalSchema::Fixed(fixed) = &decimal.inner {
                    named.insert(fixed.name.clone(), at);
                }
                return Ok(at);
            }
            Schema::Enum(symbols) => {
                let at = self.push(Node::Enum(symbols.symbols.clone()));
                named.insert(symbols.name.clone(), at);
                return Ok(at);
            }
            Schema::Array(array) => Node::Array(self.add(&array.items, named)?),
            Schema::Map(map) => Node::Map(self.add(&map.types, named)?),
            Schema::Union(union) => {
                let branches: Result<_, _> = union.variants().iter().map(|branch| self.add(branch, named)).collect();
                Node::Union(branches?)
            }
            Schema::Record(record) => {
                // Its place is known before its fields are: one of them may be the record again.
                let at = self.push(Node::Record(Vec::new()));
                named.insert(record.name.clone(), at);
                let mut fields = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    let (name, at) = (field.name.clone(), self.add(&field.schema, named)?);
                    fields.push(Field { name, at });
                }
                self.nodes[at] = Node::Record(fields);
                return Ok(at);
            }
            Schema::Ref { name } => {
                let found = named.get(name).copied();
                return found
                    .ok_or_else(|| CodecError::schema(format!("the schema names `{}`, which it does not define", name.fullname(None))));
            }
        };
        Ok(self.push(node))
    }
}

fn decimal_node(decimal: &DecimalSchema) -> Result<Node, CodecError> {
    if decimal.precision > MOST_DIGITS {
        return Err(CodecError::schema(format!(
            "a decimal of {} digits is more than the {MOST_DIGITS} that are supported",
            decimal.precision
        )));
    }
    let mut limit = vec![1_u8];
    for _ in 0..decimal.precision {
        let mut carry = 0_u16;
        for byte in limit.iter_mut().rev() {
            let times = u16::from(*byte) * 10 + carry;
            *byte = (times & 0xff) as u8;
            carry = times >> 8;
        }
        if carry > 0 {
            limit.insert(0, (carry & 0xff) as u8);
        }
    }
    let size = match &decimal.inner {
        InnerDecimalSchema::Bytes => None,
        InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
    };
    Ok(Node::Decimal(Decimal {
        size,
        limit,
        precision: decimal.precision,
        scale: decimal.scale,
    }))
}

/// Refuses types that only this library's readers would understand: it writes Rust's wide integers as opaque bytes, lowest first.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "types without parts are fine, and the library may get more"
)]
pub(super) fn refuse_foreign(schema: &Schema) -> Result<(), CodecError> {
    let inner: Vec<(&str, &Schema)> = match schema {
        Schema::Fixed(fixed) => {
            let name = fixed.name.fullname(None);
            return match name.strip_prefix("org.apache.avro.rust.") {
                Some(rust @ ("u64" | "u128" | "i128")) => Err(CodecError::schema(format!(
                    "Avro has no `{rust}`, and its eight or sixteen opaque bytes would be read by nobody else: write `i64`, a `String`, or \
                     `eventferry::codec::avro::logical::Decimal`"
                ))),
                _ => Ok(()),
            };
        }
        Schema::Record(record) if record.name.fullname(None) == "org.apache.avro.rust.Duration" => {
            return Err(CodecError::schema(
                "Avro has no type for `std::time::Duration` that others read: write its milliseconds as `i64`",
            ));
        }
        Schema::Array(array) => vec![("", &*array.items)],
        Schema::Map(map) => vec![("", &*map.types)],
        Schema::Union(union) => union.variants().iter().map(|branch| ("", branch)).collect(),
        Schema::Record(record) => record.fields.iter().map(|field| (field.name.as_str(), &field.schema)).collect(),
        _ => Vec::new(),
    };
    for (field, schema) in inner {
        refuse_foreign(schema).map_err(|e| match field {
            "" => e,
            field => CodecError::schema(format!("field `{field}`: {e}")),
        })?;
    }
    Ok(())
}

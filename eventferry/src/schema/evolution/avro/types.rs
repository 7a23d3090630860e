//! Avro's types as schema resolution sees them: what the bytes are, and what meaning is put on them.

use apache_avro::Schema as Avro;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, Name, NamesRef, UuidSchema};

/// A schema, and what the names in it mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) schema: &'a Avro,
    pub(super) names: &'a NamesRef<'a>,
}

impl<'a> Node<'a> {
    pub(super) fn at(self, schema: &'a Avro) -> Self {
        let named = if let Avro::Ref { name } = schema {
            self.names.get(name).copied()
        } else {
            None
        };
        Self {
            schema: named.unwrap_or(schema),
            ..self
        }
    }

    pub(super) fn branches(self) -> Vec<Self> {
        if let Avro::Union(union) = self.schema {
            union.variants().iter().map(|branch| self.at(branch)).collect()
        } else {
            vec![self]
        }
    }

    pub(super) fn name(self) -> Option<&'a Name> {
        self.schema.name()
    }

    /// What it is called in a description: its type, for named types with the name.
    pub(super) fn called(self) -> String {
        let (base, logical) = base(self.schema);
        match (logical, self.name()) {
            (Some(logical), _) => logical,
            (None, Some(name)) => format!("{base} {}", name.name()),
            (None, None) => base.to_owned(),
        }
    }
}

/// The type that bytes are written as, and the meaning that is put on it.
pub(super) fn base(schema: &Avro) -> (&'static str, Option<String>) {
    let logical = |name: &str| Some(name.to_owned());
    match schema {
        Avro::Null => ("null", None),
        Avro::Boolean => ("boolean", None),
        Avro::Int => ("int", None),
        Avro::Long => ("long", None),
        Avro::Float => ("float", None),
        Avro::Double => ("double", None),
        Avro::Bytes => ("bytes", None),
        Avro::String => ("string", None),
        Avro::Array(_) => ("array", None),
        Avro::Map(_) => ("map", None),
        Avro::Union(_) => ("union", None),
        Avro::Record(_) => ("record", None),
        Avro::Enum(_) => ("enum", None),
        Avro::Fixed(_) => ("fixed", None),
        Avro::Decimal(DecimalSchema { precision, scale, inner }) => {
            let base = match inner {
                InnerDecimalSchema::Bytes => "bytes",
                InnerDecimalSchema::Fixed(_) => "fixed",
            };
            (base, Some(format!("decimal({precision}, {scale})")))
        }
        Avro::BigDecimal => ("bytes", logical("big-decimal")),
        Avro::Uuid(UuidSchema::Bytes) => ("bytes", logical("uuid")),
        Avro::Uuid(UuidSchema::String) => ("string", logical("uuid")),
        Avro::Uuid(UuidSchema::Fixed(_)) => ("fixed", logical("uuid")),
        Avro::Date => ("int", logical("date")),
        Avro::TimeMillis => ("int", logical("time-millis")),
        Avro::TimeMicros => ("long", logical("time-micros")),
        Avro::TimestampMillis => ("long", logical("timestamp-millis")),
        Avro::TimestampMicros => ("long", logical("timestamp-micros")),
        Avro::TimestampNanos => ("long", logical("timestamp-nanos")),
        Avro::LocalTimestampMillis => ("long", logical("local-timestamp-millis")),
        Avro::LocalTimestampMicros => ("long", logical("local-timestamp-micros")),
        Avro::LocalTimestampNanos => ("long", logical("local-timestamp-nanos")),
        Avro::Duration(_) => ("fixed", logical("duration")),
        // A name that nothing in the schema has; the parser refuses it before.
        Avro::Ref { .. } => ("unknown", None),
    }
}

pub(super) fn size(schema: &Avro) -> Option<usize> {
    if let Avro::Fixed(fixed)
    | Avro::Duration(fixed)
    | Avro::Uuid(UuidSchema::Fixed(fixed))
    | Avro::Decimal(DecimalSchema {
        inner: InnerDecimalSchema::Fixed(fixed),
        ..
    }) = schema
    {
        Some(fixed.size)
    } else {
        None
    }
}

/// Whether a reader takes one type for another, without a look at what is inside.
pub(super) fn promotes(writer: &str, reader: &str) -> bool {
    writer == reader
        || matches!(
            (writer, reader),
            ("int", "long" | "float" | "double") | ("long", "float" | "double") | ("float", "double") | ("string", "bytes")
        )
}

pub(super) fn is_alias(wrote: &Name, reader: Node<'_>) -> bool {
    let namespace = reader.name().and_then(Name::namespace);
    let aliases = reader.schema.aliases().into_iter().flatten();
    aliases
        .map(|alias| alias.fully_qualified_name(namespace))
        .any(|alias| alias.fullname(None) == wrote.fullname(None))
}

/// Whether a branch of a reader's union is one that may be taken for what was written.
pub(super) fn fits(writer: Node<'_>, reader: Node<'_>) -> bool {
    let (wrote, reads) = (base(writer.schema).0, base(reader.schema).0);
    let is_known = match (writer.name(), reader.name()) {
        (Some(wrote), Some(reads)) => wrote.name() == reads.name() || is_alias(wrote, reader),
        _ => true,
    };
    (promotes(wrote, reads) || (wrote, reads) == ("bytes", "string")) && is_known
}

/// Whether every value of a type has the meaning that a logical type puts on it.
pub(super) fn is_harmless(base: &str, logical: Option<&str>) -> bool {
    match (base, logical) {
        ("int" | "long", Some(_)) => true,
        ("fixed", Some(logical)) => logical == "duration" || logical == "uuid",
        _ => false,
    }
}

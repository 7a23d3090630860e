//! Finds where an event does not fit its schema, once writing it has failed.

use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, NamesRef, ResolvedSchema, SchemaKind, UuidSchema};
use apache_avro::types::Value;
use serde::Serialize;

use crate::codec::{CodecError, Violation};

/// Why an event could not be written: a violation with its place, or that its `Serialize` failed by itself.
///
/// The event is serialized a second time, as a value that knows no schema; this is the path of an event that is refused.
pub(super) fn explain<E: Serialize + ?Sized>(event: &E, schema: &Schema) -> CodecError {
    let unwritten = || CodecError::encode("its `Serialize` failed, or makes something the schema has no place for");
    let (Ok(value), Ok(resolved)) = (apache_avro::to_value(event), ResolvedSchema::try_from(schema)) else {
        return unwritten();
    };
    match fits(&value, schema, resolved.get_names(), "") {
        Ok(()) => unwritten(),
        Err(violation) => CodecError::refused(vec![violation]),
    }
}

const NO_FORM: &str = "has none of the forms the schema allows";

fn fits<'a>(value: &Value, schema: &'a Schema, names: &NamesRef<'a>, at: &str) -> Result<(), Violation> {
    let forbid = |rule: &str, reason: String| Err(Violation::new(at, rule, reason));
    match (value, schema) {
        (Value::Union(_, inner), _) => fits(inner, schema, names, at),
        (_, Schema::Ref { name }) => match names.get(name) {
            Some(schema) => fits(value, schema, names, at),
            None => Ok(()),
        },
        (Value::Record(members), Schema::Union(union)) if let [(_, Value::Enum(index, name)), (_, value)] = members.as_slice() => {
            // An enum of Rust's with data in it: the place of the case is the place of the branch.
            let branch = usize::try_from(*index).ok().and_then(|index| union.variants().get(index));
            match branch {
                Some(branch) => case((name, value), branch, names, at),
                None => forbid("union", NO_FORM.to_owned()),
            }
        }
        // A case without data may be `null`, or a record of nothing.
        (Value::String(_), Schema::Union(union)) if has_bare_case(union.variants(), names) => Ok(()),
        (_, Schema::Union(union)) => {
            let is_null = matches!(value, Value::Null);
            let branches = union.variants();
            if branches.iter().any(|branch| fits(value, branch, names, at).is_ok()) {
                return Ok(());
            }
            let mut others = branches.iter().filter(|branch| !matches!(branch, Schema::Null));
            match (others.next(), others.next()) {
                (Some(only), None) if !is_null => fits(value, only, names, at),
                _ => forbid("union", NO_FORM.to_owned()),
            }
        }
        (Value::Record(members), Schema::Record(record)) => {
            for field in &record.fields {
                let at = format!("{at}/{}", field.name);
                match members.iter().find(|(name, _)| *name == field.name) {
                    Some((_, value)) => fits(value, &field.schema, names, &at)?,
                    None if field.default.is_some() => {}
                    None => return Err(Violation::new(at, "required", "must be there: the schema gives no default")),
                }
            }
            if members.iter().all(|(name, _)| record.lookup.contains_key(name)) {
                Ok(())
            } else {
                forbid("fields", "has a field the schema does not declare".to_owned())
            }
        }
        (Value::Array(items), Schema::Array(array)) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| fits(item, &array.items, names, &format!("{at}/{index}")))
        }
        (Value::Map(members), Schema::Map(map)) => {
            let at = format!("{at}/*");
            members.values().try_for_each(|member| fits(member, &map.types, names, &at))
        }
        (Value::Enum(_, symbol) | Value::String(symbol), Schema::Enum(symbols)) => {
            if symbols.symbols.contains(symbol) {
                Ok(())
            } else {
                forbid("enum", "must be one of the symbols listed in the schema".to_owned())
            }
        }
        _ => simple(value, schema, at),
    }
}

/// The data of a case: the fields of its record, or what the branch is if it is no record of that name.
fn case<'a>((name, value): (&str, &Value), branch: &'a Schema, names: &NamesRef<'a>, at: &str) -> Result<(), Violation> {
    let inner = if let Value::Union(_, inner) = value { inner } else { value };
    let branch = resolved(branch, names);
    match (branch, inner) {
        (Schema::Record(record), Value::Record(_)) if record.name.name() == name => fits(inner, branch, names, at),
        (Schema::Record(record), Value::Array(items)) if record.name.name() == name && record.fields.len() == items.len() => {
            let mut both = record.fields.iter().zip(items);
            both.try_for_each(|(field, item)| fits(item, &field.schema, names, &format!("{at}/{}", field.name)))
        }
        (Schema::Record(record), inner) if record.name.name() == name && record.fields.len() == 1 => {
            let field = &record.fields[0];
            fits(inner, &field.schema, names, &format!("{at}/{}", field.name))
        }
        (Schema::Record(_), _) => Err(Violation::new(at, "union", NO_FORM)),
        (branch, inner) => fits(inner, branch, names, at),
    }
}

/// What a name stands for, or the schema itself.
fn resolved<'a>(schema: &'a Schema, names: &NamesRef<'a>) -> &'a Schema {
    if let Schema::Ref { name } = schema {
        names.get(name).copied().unwrap_or(schema)
    } else {
        schema
    }
}

/// Whether a case without data may be one of the branches, none of which is an enum that would have its name.
fn has_bare_case<'a>(branches: &'a [Schema], names: &NamesRef<'a>) -> bool {
    let resolved = || branches.iter().map(|branch| resolved(branch, names));
    let is_nothing =
        |branch: &Schema| matches!(branch, Schema::Null) || matches!(branch, Schema::Record(record) if record.fields.is_empty());
    resolved().any(is_nothing) && !resolved().any(|branch| matches!(branch, Schema::Enum(_)))
}

/// A value without parts.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most of a library's types are of no interest in each place, and it may get more"
)]
fn simple(value: &Value, schema: &Schema, at: &str) -> Result<(), Violation> {
    let size = match schema {
        Schema::Fixed(fixed)
        | Schema::Duration(fixed)
        | Schema::Uuid(UuidSchema::Fixed(fixed))
        | Schema::Decimal(DecimalSchema {
            inner: InnerDecimalSchema::Fixed(fixed),
            ..
        }) => Some(fixed.size),
        _ => None,
    };
    let length = match value {
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => Some(bytes.len()),
        Value::Array(items) => Some(items.len()),
        _ => None,
    };
    if let (Some(size), Some(length)) = (size, length) {
        if matches!(value, Value::Array(_)) || size == length {
            return Ok(());
        }
        return Err(Violation::new(at, "size", format!("must have exactly {size} bytes")));
    }
    let kind = SchemaKind::from(schema);
    let fits = match value {
        Value::Null => kind == SchemaKind::Null,
        Value::Boolean(_) => kind == SchemaKind::Boolean,
        Value::Int(_) => matches!(kind, SchemaKind::Int | SchemaKind::Date | SchemaKind::TimeMillis),
        Value::Long(_) => matches!(
            kind,
            SchemaKind::Long
                | SchemaKind::TimeMicros
                | SchemaKind::TimestampMillis
                | SchemaKind::TimestampMicros
                | SchemaKind::TimestampNanos
                | SchemaKind::LocalTimestampMillis
                | SchemaKind::LocalTimestampMicros
                | SchemaKind::LocalTimestampNanos
        ),
        Value::Float(_) => kind == SchemaKind::Float,
        Value::Double(_) => kind == SchemaKind::Double,
        Value::String(_) => matches!(schema, Schema::String | Schema::Uuid(UuidSchema::String)),
        Value::Bytes(_) | Value::Fixed(..) => matches!(
            schema,
            Schema::Bytes | Schema::BigDecimal | Schema::Decimal(_) | Schema::Uuid(UuidSchema::Bytes)
        ),
        // A struct may be written as a map, and a map as a record.
        Value::Record(_) | Value::Map(_) => matches!(kind, SchemaKind::Record | SchemaKind::Map),
        // What has another form as a value without a schema than in its encoding is not judged here.
        _ => kind != SchemaKind::Null,
    };
    if fits {
        Ok(())
    } else {
        Err(Violation::new(at, "type", format!("must be of the type `{kind:?}`")))
    }
}

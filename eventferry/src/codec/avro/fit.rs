//! Whether a type fits the schema of a file: samples of the schema are read as the type and written again.

use apache_avro::Schema;
use apache_avro::error::Details;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, Name, ResolvedSchema, UuidSchema};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::CodecError;
use crate::codec::avro::{Compiled, Root};

/// The most samples that are tried: as many as a schema has branches and symbols, for all schemas a person wrote.
const MOST: usize = 256;
/// How often a record stands within itself before a sample must end.
const DEEPEST: usize = 4;

/// Fails where the type cannot read what the schema describes, or cannot write what it has read.
///
/// A type that refuses a sample for its value (a text that is no order number, say) is taken to fit: samples have the schema's types and
/// no meaning.
pub(super) fn check<E: Serialize + DeserializeOwned>(compiled: &Compiled, path: &str) -> Result<(), CodecError> {
    let schema = compiled.schema();
    let wrong = |what: String| CodecError::schema(format!("`{path}` does not fit the type: {what}"));
    let resolved = ResolvedSchema::try_from(schema).map_err(|e| wrong(e.to_string()))?;
    let plain = GenericDatumWriter::builder(schema)
        .validate(false)
        .build()
        .map_err(|e| wrong(e.to_string()))?;
    let mut sampler = Sampler {
        names: resolved.get_names(),
        turn: 0,
        most: 1,
        within: Vec::new(),
    };
    let mut turn = 0;
    while turn < sampler.most.min(MOST) {
        sampler.turn = turn;
        turn += 1;
        let Some(sample) = sampler.value(schema) else { continue };
        // A schema whose own sample cannot be written is judged by its events.
        let Ok(bytes) = plain.write_value_to_vec(sample) else { continue };
        let event: E = match compiled.reader().read_deser::<Root<E>>(&mut bytes.as_slice()) {
            Ok(Root(event)) => event,
            Err(error) => match (compiled.by_value(&bytes), misfit(error.details())) {
                (Ok(event), None) => event,
                (_, Some(what)) => return Err(wrong(what)),
                (Err(()), None) => continue,
            },
        };
        compiled
            .writer()
            .write_ser_to_vec(&event)
            .map_err(|e| wrong(unwritten(e.details())))?;
    }
    Ok(())
}

/// Why what was read could not be written.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's kinds of errors are many, and it may get more"
)]
fn unwritten(error: &Details) -> String {
    match error {
        Details::GetField(name) => format!("the type writes a field `{name}`, which the schema lacks"),
        Details::MissingDefaultForSkippedField { field_name, .. } => {
            format!("the type does not write the field `{field_name}`, which has no default")
        }
        Details::SerializeRecordFieldWithSchema { field_name, error, .. } => format!("field `{field_name}`: {error}"),
        _ => "what it reads it cannot write".to_owned(),
    }
}

/// Why a sample could not be read, if that is a matter of shapes and not of values.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's kinds of errors are many, and it may get more"
)]
fn misfit(error: &Details) -> Option<String> {
    match error {
        Details::DeserializeSchemaAware { value_type, schema, .. } => Some(format!(
            "it asks for a value of type `{value_type}` where the schema has {}",
            short(schema)
        )),
        // What serde's derive says of fields and variants; anything else is a type's own opinion of the sample.
        Details::DeserializeValue(text) => [
            "missing field",
            "unknown field",
            "unknown variant",
            "invalid type",
            "duplicate field",
        ]
        .iter()
        .any(|start| text.starts_with(start))
        .then(|| text.clone()),
        _ => None,
    }
}

fn short(schema: &Schema) -> String {
    match schema.name() {
        Some(name) => format!("`{}`", name.fullname(None)),
        None => format!("`{schema}`").to_lowercase(),
    }
}

/// Makes values of a schema, in each turn another branch of every union and another symbol of every enum.
struct Sampler<'a> {
    names: &'a apache_avro::schema::NamesRef<'a>,
    turn: usize,
    most: usize,
    within: Vec<&'a Name>,
}

impl<'a> Sampler<'a> {
    /// None where a record would have to stand within itself for ever.
    fn value(&mut self, schema: &'a Schema) -> Option<Value> {
        Some(match schema {
            Schema::Null => Value::Null,
            Schema::Boolean => Value::Boolean(true),
            Schema::Int => Value::Int(1),
            Schema::Long => Value::Long(1),
            Schema::Float => Value::Float(1.5),
            Schema::Double => Value::Double(1.5),
            Schema::Bytes => Value::Bytes(vec![1]),
            Schema::String => Value::String("a".to_owned()),
            Schema::Array(array) => Value::Array(self.value(&array.items).into_iter().collect()),
            Schema::Map(map) => Value::Map(self.value(&map.types).map(|value| ("a".to_owned(), value)).into_iter().collect()),
            Schema::Union(union) => {
                let branches = union.variants();
                self.most = self.most.max(branches.len());
                let index = self.turn % branches.len();
                // A branch that leads back into its own record is left for one that does not.
                let tries = (0..branches.len()).map(|step| (index + step) % branches.len());
                let mut found = None;
                for index in tries {
                    if let Some(value) = self.value(&branches[index]) {
                        found = Some((u32::try_from(index).ok()?, value));
                        break;
                    }
                }
                let (index, value) = found?;
                Value::Union(index, Box::new(value))
            }
            Schema::Record(record) => {
                if self.within.iter().filter(|name| ***name == record.name).count() >= DEEPEST {
                    return None;
                }
                self.within.push(&record.name);
                let fields = record
                    .fields
                    .iter()
                    .map(|field| Some((field.name.clone(), self.value(&field.schema)?)));
                let fields = fields.collect::<Option<_>>();
                self.within.pop();
                Value::Record(fields?)
            }
            Schema::Enum(symbols) => {
                self.most = self.most.max(symbols.symbols.len());
                let index = self.turn % symbols.symbols.len().max(1);
                Value::Enum(u32::try_from(index).ok()?, symbols.symbols.get(index)?.clone())
            }
            Schema::Fixed(fixed) => Value::Fixed(fixed.size, vec![0; fixed.size]),
            Schema::Decimal(DecimalSchema { inner, .. }) => Value::Decimal(apache_avro::Decimal::from(match inner {
                InnerDecimalSchema::Bytes => vec![1],
                InnerDecimalSchema::Fixed(fixed) => vec![0; fixed.size],
            })),
            Schema::BigDecimal => Value::BigDecimal(apache_avro::BigDecimal::default()),
            Schema::Uuid(UuidSchema::String | UuidSchema::Bytes | UuidSchema::Fixed(_)) => Value::Uuid(uuid::Uuid::nil()),
            Schema::Date => Value::Date(1),
            Schema::TimeMillis => Value::TimeMillis(1),
            Schema::TimeMicros => Value::TimeMicros(1),
            Schema::TimestampMillis => Value::TimestampMillis(1),
            Schema::TimestampMicros => Value::TimestampMicros(1),
            Schema::TimestampNanos => Value::TimestampNanos(1),
            Schema::LocalTimestampMillis => Value::LocalTimestampMillis(1),
            Schema::LocalTimestampMicros => Value::LocalTimestampMicros(1),
            Schema::LocalTimestampNanos => Value::LocalTimestampNanos(1),
            Schema::Duration(_) => Value::Duration(apache_avro::Duration::from([0; 12])),
            Schema::Ref { name } => {
                let schema = *self.names.get(name)?;
                self.value(schema)?
            }
        })
    }
}

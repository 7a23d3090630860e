//! Payloads that were written with somebody else's schema, brought to our own.

use std::fmt;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use crate::codec::avro::align::align;
use crate::codec::avro::alike::alike;
use crate::codec::avro::shape::Shape;
use crate::codec::avro::walk::{Broken, walk};
use crate::codec::{CodecError, Violation};

/// The most violations that one error tells of.
const MOST: usize = 16;

/// A writer's schema and the reader's, ready to translate from one to the other.
pub(crate) struct Foreign {
    writer: Schema,
    shape: Shape,
    reader: Schema,
    /// Pointers of the writer's fields that the reader has none for.
    dropped: Vec<String>,
}

impl Foreign {
    /// From the writer's schema, the texts of those it refers to, and the reader's, which stands alone. None where both write the same bytes for
    /// the same event, so that there is nothing to translate.
    pub(crate) fn between(writer: &str, references: &[String], reader: &str) -> Result<Option<Self>, CodecError> {
        let (writer, reader) = parsed(writer, references, reader)?;
        if alike(&writer, &reader) {
            return Ok(None);
        }
        Self::new(&writer, &reader).map(Some)
    }

    fn new(writer: &Schema, reader: &Schema) -> Result<Self, CodecError> {
        let shape = Shape::of(writer)?;
        let json = |schema: &Schema, whose| serde_json::to_value(schema).map_err(|_| wrong(whose));
        let (mut writer, mut reader) = (json(writer, WRITER)?, json(reader, READER)?);
        let dropped = align(&mut writer, &mut reader)?;
        Ok(Self {
            shape,
            dropped,
            writer: Schema::parse(&writer).map_err(|_| wrong(WRITER))?,
            reader: Schema::parse(&reader).map_err(|_| wrong(READER))?,
        })
    }

    /// Refuses a writer whose events have fields that ours has not. Names of a schema are no part of a payload, so they are told.
    pub(crate) fn undeclared(&self) -> Result<(), CodecError> {
        let told = |pointer: &String| Violation::new(pointer, "undeclared", "is a field of its writer's that the schema does not declare");
        match self.dropped.as_slice() {
            [] => Ok(()),
            dropped => Err(CodecError::refused(dropped.iter().take(MOST).map(told).collect())),
        }
    }

    /// The same event as our own schema writes it, by Avro's rules of resolution.
    pub(crate) fn translate(&self, mut bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        // The library believes lengths before it has seen what they promise.
        match walk(&self.shape, bytes) {
            Ok(()) | Err(Broken::Rules(_)) => {}
            Err(Broken::Bytes(reason)) => return Err(CodecError::decode(reason)),
        }
        // Its texts are dropped: they may quote a value.
        let broken = |_| CodecError::decode("its writer's schema and the event's own do not fit together");
        let reader = GenericDatumReader::builder(&self.writer)
            .reader_schema(&self.reader)
            .human_readable(false)
            .build();
        let value = reader.and_then(|reader| reader.read_value(&mut bytes)).map_err(broken)?;
        let writer = GenericDatumWriter::builder(&self.reader).human_readable(false).build();
        writer.and_then(|writer| writer.write_value_to_vec(value)).map_err(broken)
    }
}

const WRITER: &str = "its writer's";
const READER: &str = "the event's own";

fn wrong(whose: &str) -> CodecError {
    CodecError::schema(format!("{whose} schema cannot be parsed"))
}

/// The writer's schema, with everything it names in itself, and the reader's.
fn parsed(writer: &str, references: &[String], reader: &str) -> Result<(Schema, Schema), CodecError> {
    let (mut writer, others) = Schema::parse_str_with_list(writer, references).map_err(|_| wrong(WRITER))?;
    writer
        .denormalize(&others)
        .map_err(|_| CodecError::schema("its writer's schema names another that it does not refer to"))?;
    Ok((writer, Schema::parse_str(reader).map_err(|_| wrong(READER))?))
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::types::Value;

    use super::*;

    const OURS: &str = r#"{"type":"record","name":"R","fields":[
        {"name":"id","type":"string"},{"name":"total","type":"long"},{"name":"note","type":["null","string"],"default":null}]}"#;

    /// Also where there is nothing to translate.
    fn forced(writer: &str, references: &[String], reader: &str) -> Result<Foreign, CodecError> {
        let (writer, reader) = parsed(writer, references, reader)?;
        Foreign::new(&writer, &reader)
    }

    fn encode(schema: &str, value: Value) -> Vec<u8> {
        let schema = Schema::parse_str(schema).unwrap();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        writer.write_value_to_vec(value).unwrap()
    }

    fn record(fields: &[(&str, Value)]) -> Value {
        Value::Record(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    #[test]
    fn an_older_writer_s_event_is_brought_to_ours() {
        let older = r#"{"type":"record","name":"Other","namespace":"x","fields":[
            {"name":"total","type":"int"},{"name":"gone","type":{"type":"array","items":"bytes"}},{"name":"id","type":"string"}]}"#;
        let value = record(&[
            ("total", Value::Int(-7)),
            ("gone", Value::Array(vec![Value::Bytes(vec![1, 2])])),
            ("id", Value::String("ä".to_owned())),
        ]);
        let foreign = forced(older, &[], OURS).unwrap();
        let ours = foreign.translate(&encode(older, value)).unwrap();
        let expected = record(&[
            ("id", Value::String("ä".to_owned())),
            ("total", Value::Long(-7)),
            ("note", Value::Union(0, Box::new(Value::Null))),
        ]);
        assert_eq!(ours, encode(OURS, expected));
    }

    #[test]
    fn a_renamed_field_and_a_small_decimal_are_read() {
        let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#;
        let theirs =
            format!(r#"{{"type":"record","name":"R","fields":[{{"name":"price","type":{decimal}}},{{"name":"old","type":"string"}}]}}"#);
        let ours = format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"new","aliases":["old"],"type":"string"}},{{"name":"price","type":{decimal}}}]}}"#
        );
        let price = Value::Decimal(vec![7_u8].into());
        let value = record(&[("price", price.clone()), ("old", Value::String("x".to_owned()))]);
        let foreign = forced(&theirs, &[], &ours).unwrap();
        let translated = foreign.translate(&encode(&theirs, value)).unwrap();
        assert_eq!(
            translated,
            encode(&ours, record(&[("new", Value::String("x".to_owned())), ("price", price)]))
        );

        // The library would read 0.07 as 0.7.
        let coarser = ours.replace(r#""scale":2"#, r#""scale":1"#);
        assert!(forced(&theirs, &[], &coarser).is_err());
    }

    #[test]
    fn a_type_that_is_defined_at_another_place_is_aligned_there() {
        let line = |scale: u8, name: &str| {
            format!(
                r#"{{"type":"record","name":"Line","namespace":"shop","fields":[{{"name":"{name}","aliases":["old"],"type":
                    {{"type":"bytes","logicalType":"decimal","precision":9,"scale":{scale}}}}}]}}"#
            )
        };
        let theirs = format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"b","type":{}}},{{"name":"a","type":"shop.Line"}}]}}"#,
            line(2, "old")
        );
        let ours = |scale| {
            format!(
                r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{}}},{{"name":"b","type":"shop.Line"}}]}}"#,
                line(scale, "new")
            )
        };
        let price = |name: &str, number: u8| record(&[(name, Value::Decimal(vec![number].into()))]);
        let foreign = forced(&theirs, &[], &ours(2)).unwrap();
        let written = encode(&theirs, record(&[("b", price("old", 7)), ("a", price("old", 8))]));
        assert_eq!(
            foreign.translate(&written).unwrap(),
            encode(&ours(2), record(&[("a", price("new", 8)), ("b", price("new", 7))]))
        );
        // 0.07 would become 0.7.
        assert!(forced(&theirs, &[], &ours(1)).is_err());
    }

    #[test]
    fn a_record_within_itself_is_aligned_once() {
        let schema = |name: &str, more: &str| {
            format!(
                r#"{{"type":"record","name":"R","fields":[{more}{{"name":"{name}","aliases":["old"],"type":"int"}},{{"name":"next","type":["null","R"]}}]}}"#
            )
        };
        let (theirs, ours) = (schema("old", r#"{"name":"gone","type":"int"},"#), schema("new", ""));
        let nothing = || Value::Union(0, Box::new(Value::Null));
        let next = |inner: Value| Value::Union(1, Box::new(inner));
        let wrote = |n: i32, rest: Value| record(&[("gone", Value::Int(9)), ("old", Value::Int(n)), ("next", rest)]);
        let reads = |n: i32, rest: Value| record(&[("new", Value::Int(n)), ("next", rest)]);
        let foreign = forced(&theirs, &[], &ours).unwrap();
        let translated = foreign.translate(&encode(&theirs, wrote(1, next(wrote(2, nothing())))));
        assert_eq!(translated.unwrap(), encode(&ours, reads(1, next(reads(2, nothing())))));
    }

    #[test]
    fn what_does_not_fit_is_refused_without_a_value() {
        let other = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"total","type":"string"}]}"#;
        let value = record(&[
            ("id", Value::String("secret-4111".to_owned())),
            ("total", Value::String("secret-4111".to_owned())),
        ]);
        let error = forced(other, &[], OURS).unwrap().translate(&encode(other, value)).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("do not fit together") && !text.contains("4111"), "{text}");

        // A field of ours that has no default and that they never wrote.
        let less = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"string"}]}"#;
        let foreign = forced(less, &[], OURS).unwrap();
        assert!(
            foreign
                .translate(&encode(less, record(&[("id", Value::String(String::new()))])))
                .is_err()
        );
    }

    #[test]
    fn schemas_that_are_none_or_name_what_is_missing_are_refused() {
        let refers = r#"{"type":"record","name":"R","fields":[{"name":"x","type":"shop.Line"}]}"#;
        let line = r#"{"type":"record","name":"Line","namespace":"shop","fields":[{"name":"n","type":"int"}]}"#.to_owned();
        assert!(forced("{", &[], OURS).is_err());
        assert!(forced(refers, &[], OURS).is_err());
        assert!(forced(refers, &["{".to_owned()], OURS).is_err());
        assert!(forced(refers, &[line], OURS).is_ok());
    }

    #[test]
    fn bytes_that_lie_about_their_length_cost_no_memory_and_no_panic() {
        let foreign = forced(r#"{"type":"array","items":"null"}"#, &[], OURS).unwrap();
        // Two to the sixty-second items of no bytes.
        assert!(
            foreign
                .translate(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0])
                .is_err()
        );
        let foreign = forced(OURS, &[], OURS).unwrap();
        for length in 0..64_usize {
            for byte in [0_u8, 1, 2, 0x7e, 0x80, 0xff] {
                drop(foreign.translate(&vec![byte; length]));
            }
        }
    }
}

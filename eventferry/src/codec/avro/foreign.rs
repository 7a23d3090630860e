//! Payloads that were written with somebody else's schema, brought to our own.

use std::fmt;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use crate::codec::CodecError;
use crate::codec::avro::align::align;
use crate::codec::avro::shape::Shape;
use crate::codec::avro::walk::{Broken, walk};

/// A writer's schema and the reader's, ready to translate from one to the other.
pub(crate) struct Foreign {
    writer: Schema,
    shape: Shape,
    reader: Schema,
}

impl Foreign {
    /// From the writer's schema, the texts of those it refers to, and the reader's, which stands alone.
    pub(crate) fn new(writer: &str, references: &[String], reader: &str) -> Result<Self, CodecError> {
        let wrong = |whose: &str| CodecError::schema(format!("{whose} schema cannot be parsed"));
        let (mut parsed, others) = Schema::parse_str_with_list(writer, references).map_err(|_| wrong("its writer's"))?;
        // With everything it names in itself.
        parsed
            .denormalize(&others)
            .map_err(|_| CodecError::schema("its writer's schema names another that it does not refer to"))?;
        let shape = Shape::of(&parsed)?;
        let mut writer = serde_json::to_value(&parsed).map_err(|_| wrong("its writer's"))?;
        let mut reader = serde_json::from_str(reader).map_err(|_| wrong("the event's own"))?;
        align(&mut writer, &mut reader)?;
        Ok(Self {
            shape,
            writer: Schema::parse(&writer).map_err(|_| wrong("its writer's"))?,
            reader: Schema::parse(&reader).map_err(|_| wrong("the event's own"))?,
        })
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

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::types::Value;

    use super::*;

    const READER: &str = r#"{"type":"record","name":"R","fields":[
        {"name":"id","type":"string"},{"name":"total","type":"long"},{"name":"note","type":["null","string"],"default":null}]}"#;

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
        let foreign = Foreign::new(older, &[], READER).unwrap();
        let ours = foreign.translate(&encode(older, value)).unwrap();
        let expected = record(&[
            ("id", Value::String("ä".to_owned())),
            ("total", Value::Long(-7)),
            ("note", Value::Union(0, Box::new(Value::Null))),
        ]);
        assert_eq!(ours, encode(READER, expected));
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
        let foreign = Foreign::new(&theirs, &[], &ours).unwrap();
        let translated = foreign.translate(&encode(&theirs, value)).unwrap();
        assert_eq!(
            translated,
            encode(&ours, record(&[("new", Value::String("x".to_owned())), ("price", price)]))
        );

        // The library would read 0.07 as 0.7.
        let coarser = ours.replace(r#""scale":2"#, r#""scale":1"#);
        assert!(Foreign::new(&theirs, &[], &coarser).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused_without_a_value() {
        let other = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"total","type":"string"}]}"#;
        let value = record(&[
            ("id", Value::String("secret-4111".to_owned())),
            ("total", Value::String("secret-4111".to_owned())),
        ]);
        let error = Foreign::new(other, &[], READER)
            .unwrap()
            .translate(&encode(other, value))
            .unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("do not fit together") && !text.contains("4111"), "{text}");

        // A field of ours that has no default and that they never wrote.
        let less = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"string"}]}"#;
        let foreign = Foreign::new(less, &[], READER).unwrap();
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
        assert!(Foreign::new("{", &[], READER).is_err());
        assert!(Foreign::new(refers, &[], READER).is_err());
        assert!(Foreign::new(refers, &["{".to_owned()], READER).is_err());
        assert!(Foreign::new(refers, &[line], READER).is_ok());
    }

    #[test]
    fn bytes_that_lie_about_their_length_cost_no_memory_and_no_panic() {
        let foreign = Foreign::new(r#"{"type":"array","items":"null"}"#, &[], READER).unwrap();
        // Two to the sixty-second items of no bytes.
        assert!(
            foreign
                .translate(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0])
                .is_err()
        );
        let foreign = Foreign::new(READER, &[], READER).unwrap();
        for length in 0..64_usize {
            for byte in [0_u8, 1, 2, 0x7e, 0x80, 0xff] {
                drop(foreign.translate(&vec![byte; length]));
            }
        }
    }
}

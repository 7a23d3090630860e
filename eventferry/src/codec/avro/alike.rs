//! Whether two schemas write the same bytes for the same event.

use std::collections::HashMap;
use std::mem::discriminant;

use apache_avro::Schema;
use apache_avro::schema::{FixedSchema, InnerDecimalSchema, Name, UuidSchema};

/// Whether what one schema wrote is read with the other as it stands: the same fields in the same order, of the same types, whatever the types are
/// called, and whatever is said of them besides (documentation, defaults, aliases).
pub(super) fn alike(writer: &Schema, reader: &Schema) -> bool {
    Pairs::default().alike(writer, reader)
}

/// What the writer's named types are called by the reader.
#[derive(Default)]
struct Pairs(HashMap<Name, Name>);

impl Pairs {
    fn alike(&mut self, writer: &Schema, reader: &Schema) -> bool {
        match (writer, reader) {
            (Schema::Ref { name: wrote }, Schema::Ref { name: reads }) => self.0.get(wrote) == Some(reads),
            (Schema::Record(wrote), Schema::Record(reads)) => {
                // Before its fields: one of them may be the record again.
                self.0.insert(wrote.name.clone(), reads.name.clone());
                let mut fields = wrote.fields.iter().zip(&reads.fields);
                wrote.fields.len() == reads.fields.len() && fields.all(|(w, r)| w.name == r.name && self.alike(&w.schema, &r.schema))
            }
            (Schema::Enum(wrote), Schema::Enum(reads)) => {
                self.0.insert(wrote.name.clone(), reads.name.clone());
                wrote.symbols == reads.symbols
            }
            (Schema::Fixed(wrote), Schema::Fixed(reads)) | (Schema::Duration(wrote), Schema::Duration(reads)) => self.fixed(wrote, reads),
            (Schema::Decimal(wrote), Schema::Decimal(reads)) => {
                (wrote.precision, wrote.scale) == (reads.precision, reads.scale)
                    && match (&wrote.inner, &reads.inner) {
                        (InnerDecimalSchema::Bytes, InnerDecimalSchema::Bytes) => true,
                        (InnerDecimalSchema::Fixed(wrote), InnerDecimalSchema::Fixed(reads)) => self.fixed(wrote, reads),
                        (InnerDecimalSchema::Bytes, InnerDecimalSchema::Fixed(_))
                        | (InnerDecimalSchema::Fixed(_), InnerDecimalSchema::Bytes) => false,
                    }
            }
            (Schema::Uuid(wrote), Schema::Uuid(reads)) => match (wrote, reads) {
                (UuidSchema::Fixed(wrote), UuidSchema::Fixed(reads)) => self.fixed(wrote, reads),
                (wrote, reads) => discriminant(wrote) == discriminant(reads),
            },
            (Schema::Array(wrote), Schema::Array(reads)) => self.alike(&wrote.items, &reads.items),
            (Schema::Map(wrote), Schema::Map(reads)) => self.alike(&wrote.types, &reads.types),
            (Schema::Union(wrote), Schema::Union(reads)) => {
                let (wrote, reads) = (wrote.variants(), reads.variants());
                wrote.len() == reads.len() && wrote.iter().zip(reads).all(|(w, r)| self.alike(w, r))
            }
            (wrote, reads) => discriminant(wrote) == discriminant(reads),
        }
    }

    fn fixed(&mut self, wrote: &FixedSchema, reads: &FixedSchema) -> bool {
        self.0.insert(wrote.name.clone(), reads.name.clone());
        wrote.size == reads.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"type":"record","name":"R","namespace":"shop","fields":[
        {"name":"id","type":"string"},
        {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B"]}},
        {"name":"other","type":"Kind"},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
        {"name":"cost","type":{"type":"fixed","name":"Cost","size":8,"logicalType":"decimal","precision":9,"scale":2}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"key","type":{"type":"string","logicalType":"uuid"}},
        {"name":"sum","type":{"type":"fixed","name":"Sum","size":4}},
        {"name":"next","type":["null","R"],"default":null},
        {"name":"sort","type":{"type":"enum","name":"Sort","symbols":["X","Y"]}},
        {"name":"again","type":"Sort"},
        {"name":"tags","type":{"type":"map","values":{"type":"array","items":"int"}}}]}"#;

    fn same(theirs: &str) -> bool {
        alike(&Schema::parse_str(theirs).unwrap(), &Schema::parse_str(EVENT).unwrap())
    }

    #[test]
    fn names_of_types_and_what_is_said_of_them_change_no_byte() {
        assert!(same(EVENT));
        for (from, to) in [
            (r#""namespace":"shop""#, r#""namespace":"com.acme","doc":"An order.""#),
            (r#"{"name":"id""#, r#"{"name":"id","doc":"d","aliases":["old"],"default":"x""#),
            (r#","default":null"#, ""),
            (r#""name":"Sum""#, r#""name":"Total""#),
        ] {
            let theirs = EVENT.replace(from, to);
            assert_ne!(theirs, EVENT, "{from}");
            assert!(same(&theirs), "{from}");
        }
        // Both names of a type change together.
        assert!(same(&EVENT.replace("Kind", "Form")));
    }

    #[test]
    fn whatever_changes_a_byte_or_what_it_means_is_not_alike() {
        for (from, to) in [
            (r#"{"name":"id""#, r#"{"name":"key2""#),
            (r#"{"name":"id","type":"string"}"#, r#"{"name":"id","type":"bytes"}"#),
            (r#"{"name":"id","type":"string"},"#, ""),
            (
                r#"{"name":"id","type":"string"},"#,
                r#"{"name":"id","type":"string"},{"name":"more","type":"int"},"#,
            ),
            (r#"["A","B"]"#, r#"["B","A"]"#),
            (r#"["A","B"]"#, r#"["A","B","C"]"#),
            (r#"{"name":"again","type":"Sort"}"#, r#"{"name":"again","type":"Kind"}"#),
            (r#""items":"int"}}}]"#, r#""items":"int"}}},{"name":"last","type":"int"}]"#),
            (r#""type":"Kind""#, r#""type":{"type":"enum","name":"Form","symbols":["A","B"]}"#),
            (
                r#""type":"bytes","logicalType":"decimal","precision":9,"scale":2"#,
                r#""type":"bytes","logicalType":"decimal","precision":9,"scale":1"#,
            ),
            (
                r#""type":"bytes","logicalType":"decimal","precision":9"#,
                r#""type":"bytes","logicalType":"decimal","precision":8"#,
            ),
            (
                r#""type":"bytes","logicalType":"decimal","precision":9,"scale":2"#,
                r#""type":"bytes""#,
            ),
            (r#""size":8"#, r#""size":9"#),
            (r#""size":4"#, r#""size":5"#),
            ("timestamp-millis", "timestamp-micros"),
            (r#"{"type":"string","logicalType":"uuid"}"#, r#""string""#),
            (r#"["null","R"]"#, r#"["null","R","int"]"#),
            (r#"["null","R"],"default":null"#, r#"["R","null"]"#),
            (r#"["null","R"],"default":null"#, r#""null""#),
            (r#""items":"int""#, r#""items":"long""#),
            (r#"{"type":"array","items":"int"}"#, r#"{"type":"map","values":"int"}"#),
        ] {
            let theirs = EVENT.replace(from, to);
            assert_ne!(theirs, EVENT, "{from}");
            assert!(!same(&theirs), "{from} {to}");
        }
    }
}

//! Payloads made from schemas: always the same ones for the same schema.

use serde_json::Value;

#[cfg(feature = "protobuf")]
use crate::registry::book::example_protobuf;
use crate::registry::book::{example_avro, example_json};
use crate::schema::{Schema, SchemaKind};

/// How many forms of an event get a payload of their own.
const MOST: usize = 8;

/// Which of the payloads that a schema allows is made.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// Which of several forms is taken, wherever there are several.
    pub(super) turn: usize,
    /// Whether what may be left out is left out.
    pub(super) least: bool,
}

/// Payloads that a schema describes, the fullest first: every member that may be there, then one for each further form of what has
/// several, then the least that is allowed. With each comes what its file's name has more than the first's.
pub(super) fn all(schema: &Schema) -> Result<Vec<(String, Vec<u8>)>, String> {
    let unknown = "it has a part that is not understood here";
    match schema.kind {
        SchemaKind::Json => {
            let root = parsed(schema)?;
            forms(|form| example_json::one(&root, form)).ok_or_else(|| unknown.to_owned())
        }
        SchemaKind::Avro => {
            let root = parsed(schema)?;
            forms(|form| example_avro::one(&root, form)).ok_or_else(|| unknown.to_owned())
        }
        #[cfg(feature = "protobuf")]
        SchemaKind::Protobuf => {
            let file = example_protobuf::File::parse(schema)?;
            forms(|form| file.one(form)).ok_or_else(|| unknown.to_owned())
        }
        #[cfg(not(feature = "protobuf"))]
        SchemaKind::Protobuf => Err("the feature `protobuf` is off".to_owned()),
    }
}

fn parsed(schema: &Schema) -> Result<Value, String> {
    serde_json::from_str(&schema.text).map_err(|e| format!("the schema is no JSON: {e}"))
}

/// A payload for each form, without those that are the same; none where not even the first can be made.
fn forms(mut make: impl FnMut(Form) -> Option<(Vec<u8>, usize)>) -> Option<Vec<(String, Vec<u8>)>> {
    let (first, forms) = make(Form { turn: 0, least: false })?;
    let mut kept = vec![(String::new(), first)];
    let others = (1..forms.min(MOST)).map(|turn| (format!(".form-{}", turn + 1), Form { turn, least: false }));
    for (label, form) in others.chain([(".least".to_owned(), Form { turn: 0, least: true })]) {
        if let Some((bytes, _)) = make(form)
            && kept.iter().all(|(_, other)| *other != bytes)
        {
            kept.push((label, bytes));
        }
    }
    Some(kept)
}

/// The fullest payload that a JSON Schema describes.
pub(in crate::registry) fn value(schema: &Value) -> Option<Value> {
    example_json::value(schema)
}

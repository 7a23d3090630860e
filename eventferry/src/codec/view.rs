//! A schema as those need it who look at payloads, or who refuse what it does not declare; whatever the format.

use serde_json::Value;

#[cfg(feature = "avro")]
use crate::codec::avro;
#[cfg(feature = "json")]
use crate::codec::declared::Declared;
#[cfg(feature = "protobuf")]
use crate::codec::protobuf;
use crate::codec::{Check, CodecError, Contract, Version};
use crate::schema::SchemaKind;

/// A schema, to be asked what it declares and what it marks.
pub(crate) enum View {
    #[cfg(feature = "json")]
    Json(Declared),
    #[cfg(feature = "avro")]
    Avro(avro::Marked),
    #[cfg(feature = "protobuf")]
    Protobuf(protobuf::Parsed, protobuf::Marked),
}

impl View {
    /// None for a format whose schemas are of no kind that is known here.
    ///
    /// # Errors
    /// If the schema is not of its kind, or what it marks cannot be told.
    #[cfg_attr(
        not(any(feature = "json", feature = "avro")),
        expect(unused_variables, reason = "a file says the same to both sides")
    )]
    pub(crate) fn of(version: &Version, contract: Contract) -> Result<Option<Self>, CodecError> {
        Ok(match version.kind {
            #[cfg(feature = "json")]
            Some(SchemaKind::Json) => Some(Self::Json(Declared::new(&(version.schema)(contract))?)),
            #[cfg(feature = "avro")]
            Some(SchemaKind::Avro) => Some(Self::Avro(avro::Marked::new(&(version.schema)(contract))?)),
            #[cfg(feature = "protobuf")]
            Some(SchemaKind::Protobuf) => match (version.registered)() {
                Some(schema) => {
                    let file = protobuf::Parsed::of(&schema)?;
                    let marked = protobuf::Marked::new(&file);
                    Some(Self::Protobuf(file, marked))
                }
                None => None,
            },
            #[cfg(not(feature = "json"))]
            Some(SchemaKind::Json) => None,
            #[cfg(not(feature = "avro"))]
            Some(SchemaKind::Avro) => None,
            #[cfg(not(feature = "protobuf"))]
            Some(SchemaKind::Protobuf) => None,
            None => None,
        })
    }

    /// The payload as JSON, without what is personal and what is not declared; none if it is no such payload.
    pub(crate) fn masked(&self, bytes: &[u8]) -> Option<Value> {
        match self {
            #[cfg(feature = "json")]
            Self::Json(schema) => schema.masked(bytes),
            #[cfg(feature = "avro")]
            Self::Avro(schema) => schema.masked(bytes),
            #[cfg(feature = "protobuf")]
            Self::Protobuf(_, marked) => marked.masked(bytes),
        }
    }

    /// What refuses payloads with anything that the schema does not declare; none where a payload cannot have it.
    pub(crate) fn strict(self) -> Option<Box<dyn Check>> {
        match self {
            #[cfg(feature = "json")]
            Self::Json(schema) => Some(Box::new(schema)),
            // Every byte is where the schema says, or it is no payload of the schema.
            #[cfg(feature = "avro")]
            Self::Avro(_) => None,
            #[cfg(feature = "protobuf")]
            Self::Protobuf(file, _) => Some(Box::new(protobuf::Strict(file))),
        }
    }
}

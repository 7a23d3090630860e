//! JSON, through serde and schemars.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::error::Category;

use crate::codec::{Checker, CodecError, Contract, Decode, Describe, Format};
use crate::schema::{Schema, SchemaKind};

/// Payloads as JSON, described by JSON Schema (draft 2020-12).
///
/// Reading needs the feature `json`. Writing needs `json-schema` as well: without the checker that comes with it, no event is written.
///
/// # Examples
/// ```
/// use eventferry::codec::{CodecErrorKind, Decode, Format, Json};
///
/// #[derive(serde::Deserialize)]
/// struct OrderPaid { cents: u32 }
///
/// let paid: OrderPaid = Json::decode(br#"{"cents":500}"#)?;
/// assert_eq!((paid.cents, Json::CONTENT_TYPE), (500, "application/json"));
///
/// let error = <Json as Decode<'_, OrderPaid>>::decode(br#"{"cents":"4111 1111"}"#).err().ok_or("it was read")?;
/// assert_eq!((error.kind(), error.place()), (CodecErrorKind::Decode, Some((1, 20))));
/// assert!(!error.to_string().contains("4111"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Json;

impl Format for Json {
    const CONTENT_TYPE: &'static str = "application/json";
    const KIND: Option<SchemaKind> = Some(SchemaKind::Json);
}

impl<'de, E: Deserialize<'de>> Decode<'de, E> for Json {
    fn decode(bytes: &'de [u8]) -> Result<E, CodecError> {
        serde_json::from_slice(bytes).map_err(|e| undecodable(&e))
    }
}

impl<E: JsonSchema + ?Sized> Describe<E> for Json {
    fn schema(contract: Contract) -> String {
        // The alternate form is indented. Plain text cannot fail to be written to a string.
        format!("{:#}\n", schema_of::<E>(contract))
    }

    #[cfg(feature = "json-schema")]
    fn checker(contract: Contract) -> Result<Checker, CodecError> {
        let schema = crate::codec::json_schema::JsonSchemaCheck::new(&schema_of::<E>(contract))?;
        Ok(Some(Box::new(schema)))
    }

    #[cfg(not(feature = "json-schema"))]
    fn checker(_: Contract) -> Result<Checker, CodecError> {
        Ok(None)
    }

    fn registered() -> Option<Schema> {
        // The name that JSON Schema serializers go by is the title, which schemars sets.
        let schema = schema_of::<E>(Contract::Written);
        let title = schema.get("title").and_then(serde_json::Value::as_str);
        let name = title.map_or_else(|| E::schema_name().into_owned(), str::to_owned);
        Some(Schema::new(SchemaKind::Json, name, format!("{schema:#}\n")))
    }
}

/// The schema with its names in one order, whatever features of `serde_json` a build happens to have on.
fn schema_of<E: JsonSchema + ?Sized>(contract: Contract) -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12();
    let settings = match contract {
        Contract::Written => settings.for_serialize(),
        Contract::Read => settings.for_deserialize(),
    };
    let mut schema = settings.into_generator().into_root_schema_for::<E>().to_value();
    schema.sort_all_objects();
    schema
}

/// Where and in what way JSON could not be read. The reader's own text is dropped: it quotes the value it stumbled on.
pub(super) fn undecodable(error: &serde_json::Error) -> CodecError {
    let reason = match error.classify() {
        Category::Syntax => "it is not well-formed JSON",
        Category::Eof => "it ends too early",
        Category::Data => "it is JSON of another shape",
        Category::Io => "it could not be read",
    };
    let error = (error.line(), error.column());
    match error {
        (0, _) => CodecError::decode(reason),
        (line, column) => CodecError::decode(reason).at(line, column),
    }
}

//! What Avro has a type for and Rust has not: decimals, dates, times, and uuids as text.
//!
//! [`Decimal`] is a type. The others are modules for serde's `with`, beside `#[avro(with)]`, which takes the schema from the same place:
//!
//! | module | on a field of type | in Avro |
//! |---|---|---|
//! | [`timestamp_millis`], [`timestamp_micros`] | any time that converts to and from [`SystemTime`](std::time::SystemTime) | `long` of that logical type, in UTC |
//! | [`date`] | `i32`, days since 1970-01-01 | `int`, `date` |
//! | [`uuid_text`] | anything that is written and parsed as a uuid's text | `string`, `uuid` |
//!
//! A [`uuid::Uuid`] by itself is a `fixed` of 16 bytes with the logical type `uuid`, which readers before Avro 1.12 take for plain bytes;
//! as text it is understood by all of them.
//!
//! # Examples
//! ```
//! use std::time::SystemTime;
//!
//! use apache_avro::AvroSchema;
//! use eventferry::OutboxEvent;
//! use eventferry::codec::avro::logical::Decimal;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, AvroSchema, OutboxEvent)]
//! #[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
//! struct OrderPaid {
//!     #[outbox(aggregate_id)]
//!     order_id: String,
//!     total: Decimal<12, 2>,
//!     #[avro(with)]
//!     #[serde(with = "eventferry::codec::avro::logical::timestamp_millis")]
//!     at: SystemTime,
//! }
//!
//! let paid = OrderPaid { order_id: "1".to_owned(), total: Decimal::new(1999), at: SystemTime::UNIX_EPOCH };
//! assert_eq!(paid.total.to_string(), "19.99");
//! ```

mod decimal;
mod time;

pub use decimal::{Decimal, ParseDecimalError};
pub use time::{timestamp_micros, timestamp_millis};

macro_rules! schema {
    ($what:literal, $schema:expr) => {
        #[doc = $what]
        pub fn get_schema_in_ctxt(_: &mut HashSet<Name>, _: NamespaceRef<'_>) -> Schema {
            $schema
        }

        /// None: it is no record.
        pub fn get_record_fields_in_ctxt(_: &mut HashSet<Name>, _: NamespaceRef<'_>) -> Option<Vec<RecordField>> {
            None
        }
    };
}
pub(crate) use schema;

/// Days since 1970-01-01 as a `date`.
pub mod date {
    use std::collections::HashSet;

    use apache_avro::Schema;
    use apache_avro::schema::{Name, NamespaceRef, RecordField};
    use serde::{Deserialize, Deserializer, Serializer};

    super::schema!("`int` with the logical type `date`.", Schema::Date);

    /// Writes the days.
    ///
    /// # Errors
    /// As the serializer.
    pub fn serialize<S: Serializer>(days: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(*days)
    }

    /// Reads the days.
    ///
    /// # Errors
    /// As the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
        i32::deserialize(deserializer)
    }
}

/// A uuid as text, in the form of 36 characters.
pub mod uuid_text {
    use std::collections::HashSet;
    use std::fmt::Display;
    use std::str::FromStr;

    use apache_avro::Schema;
    use apache_avro::schema::{Name, NamespaceRef, RecordField, UuidSchema};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    super::schema!("`string` with the logical type `uuid`.", Schema::Uuid(UuidSchema::String));

    /// Writes the text.
    ///
    /// # Errors
    /// As the serializer.
    pub fn serialize<T: Display, S: Serializer>(uuid: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(uuid)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// If the text is no uuid.
    pub fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom("it is no uuid"))
    }
}

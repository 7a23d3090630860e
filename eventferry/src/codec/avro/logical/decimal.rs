//! Numbers with a fixed count of digits behind the point.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, Name, NamespaceRef, RecordField};
use apache_avro::serde::AvroSchemaComponent;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A decimal of at most `PRECISION` digits, `SCALE` of them behind the point: Avro's `decimal` on `bytes`.
///
/// It holds the number without its point, as an `i128`, so up to 38 digits. More digits than `PRECISION` are possible in the type and are
/// refused when the event is enqueued. In JSON it is a text, so that no reader makes a float of it.
///
/// # Examples
/// ```
/// use eventferry::codec::avro::logical::Decimal;
///
/// let price: Decimal<12, 2> = "-19.9".parse()?;
/// assert_eq!(price.unscaled(), -1990);
/// assert_eq!(price.to_string(), "-19.90");
/// assert!("1.999".parse::<Decimal<12, 2>>().is_err(), "a digit would be lost");
/// # Ok::<(), eventferry::codec::avro::logical::ParseDecimalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal<const PRECISION: usize, const SCALE: usize>(i128);

impl<const PRECISION: usize, const SCALE: usize> Decimal<PRECISION, SCALE> {
    const VALID: () = assert!(
        PRECISION >= 1 && PRECISION <= 38 && SCALE <= PRECISION,
        "a decimal has 1 to 38 digits, and no more of them behind the point"
    );

    /// The decimal of a number without its point: `1990` for 19.90 where the scale is 2.
    pub const fn new(unscaled: i128) -> Self {
        let () = Self::VALID;
        Self(unscaled)
    }

    /// The number without its point.
    pub const fn unscaled(self) -> i128 {
        self.0
    }
}

impl<const PRECISION: usize, const SCALE: usize> fmt::Display for Decimal<PRECISION, SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:0>width$}", self.0.unsigned_abs(), width = SCALE + 1);
        let (whole, behind) = digits.split_at(digits.len() - SCALE);
        let text = if behind.is_empty() {
            whole.to_owned()
        } else {
            format!("{whole}.{behind}")
        };
        f.pad_integral(self.0 >= 0, "", &text)
    }
}

/// A text that is no decimal of the type: no number, or with more digits behind the point than it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseDecimalError;

impl fmt::Display for ParseDecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is no decimal with that many digits behind the point")
    }
}

impl std::error::Error for ParseDecimalError {}

impl<const PRECISION: usize, const SCALE: usize> FromStr for Decimal<PRECISION, SCALE> {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, ParseDecimalError> {
        let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
        let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |rest| ("-", rest));
        let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        let is_whole = !whole.is_empty() && is_number(whole) && is_number(behind) && !text.ends_with('.');
        if !is_whole || behind.len() > SCALE {
            return Err(ParseDecimalError);
        }
        let unscaled = format!("{sign}{whole}{behind:0<SCALE$}").parse();
        unscaled.map(Self::new).map_err(|_| ParseDecimalError)
    }
}

impl<const PRECISION: usize, const SCALE: usize> Serialize for Decimal<PRECISION, SCALE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        // Two's complement, big-endian, without the bytes that only repeat the sign.
        let bytes = self.0.to_be_bytes();
        let sign = if self.0 < 0 { 0xff } else { 0 };
        let repeats = |at: usize| bytes[at] == sign && (bytes[at + 1] ^ sign) & 0x80 == 0;
        let start = (0..bytes.len() - 1).find(|at| !repeats(*at)).unwrap_or(bytes.len() - 1);
        serializer.serialize_bytes(&bytes[start..])
    }
}

impl<'de, const PRECISION: usize, const SCALE: usize> Deserialize<'de> for Decimal<PRECISION, SCALE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return text.parse().map_err(D::Error::custom);
        }
        deserializer.deserialize_bytes(Bytes).map(Self::new)
    }
}

struct Bytes;

impl serde::de::Visitor<'_> for Bytes {
    type Value = i128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a decimal")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<i128, E> {
        let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            0xff
        } else {
            0
        };
        let start = bytes.iter().position(|byte| *byte != sign).unwrap_or(bytes.len());
        let significant = &bytes[start..];
        let mut whole = [sign; 16];
        let is_signed_alike = |first: &u8| (first ^ sign) & 0x80 == 0;
        match significant.len() {
            0..=15 => {}
            16 if significant.first().is_some_and(is_signed_alike) => {}
            _ => return Err(E::custom("the decimal has more digits than can be held")),
        }
        whole[16 - significant.len()..].copy_from_slice(significant);
        Ok(i128::from_be_bytes(whole))
    }
}

impl<const PRECISION: usize, const SCALE: usize> AvroSchemaComponent for Decimal<PRECISION, SCALE> {
    fn get_schema_in_ctxt(_: &mut HashSet<Name>, _: NamespaceRef<'_>) -> Schema {
        let () = Self::VALID;
        Schema::Decimal(DecimalSchema {
            precision: PRECISION,
            scale: SCALE,
            inner: InnerDecimalSchema::Bytes,
        })
    }

    fn get_record_fields_in_ctxt(_: &mut HashSet<Name>, _: NamespaceRef<'_>) -> Option<Vec<RecordField>> {
        None
    }
}

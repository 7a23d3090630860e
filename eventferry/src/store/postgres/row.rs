//! Rows out of the wire format. The hot path: columns by number, bytes as they lie in the message, no look-up by name or type.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::clock::from_micros;
use crate::event::MessageId;
use crate::outbox::{Payload, Record, Status};
use crate::store::postgres::error::undecodable;
use crate::store::{StoreError, headers};

/// Microseconds from 1970 to 2000, where PostgreSQL's times begin.
const EPOCH: i64 = 946_684_800_000_000;
const MICROS_A_DAY: i64 = 86_400_000_000;
const MICROS_A_MONTH: i64 = 30 * MICROS_A_DAY;

/// How many columns a record takes; what a statement adds comes after them.
pub(super) const RECORD_COLUMNS: usize = 19;

/// The columns of one row in binary format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns<'r>(pub(super) &'r PgRow);

impl<'r> Columns<'r> {
    pub(super) fn maybe(self, column: usize) -> Result<Option<&'r [u8]>, StoreError> {
        let value = self.0.try_get_raw(column).map_err(|_| undecodable(column))?;
        // A null has no bytes, which is the only thing that can go wrong here.
        Ok(value.as_bytes().ok())
    }

    fn bytes(self, column: usize) -> Result<&'r [u8], StoreError> {
        self.maybe(column)?.ok_or_else(|| undecodable(column))
    }

    fn array<const N: usize>(self, column: usize) -> Result<[u8; N], StoreError> {
        self.bytes(column)?.try_into().map_err(|_| undecodable(column))
    }

    pub(super) fn i16(self, column: usize) -> Result<i16, StoreError> {
        self.array(column).map(i16::from_be_bytes)
    }

    pub(super) fn i32(self, column: usize) -> Result<i32, StoreError> {
        self.array(column).map(i32::from_be_bytes)
    }

    pub(super) fn i64(self, column: usize) -> Result<i64, StoreError> {
        self.array(column).map(i64::from_be_bytes)
    }

    pub(super) fn maybe_i64(self, column: usize) -> Result<Option<i64>, StoreError> {
        self.maybe(column)?.map(|_| self.i64(column)).transpose()
    }

    pub(super) fn bool(self, column: usize) -> Result<bool, StoreError> {
        self.array::<1>(column).map(|[byte]| byte != 0)
    }

    pub(super) fn message_id(self, column: usize) -> Result<MessageId, StoreError> {
        self.array(column).map(MessageId::from_bytes)
    }

    pub(super) fn maybe_text(self, column: usize) -> Result<Option<&'r str>, StoreError> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| undecodable(column));
        self.maybe(column)?.map(text).transpose()
    }

    pub(super) fn text(self, column: usize) -> Result<&'r str, StoreError> {
        self.maybe_text(column)?.ok_or_else(|| undecodable(column))
    }

    /// A time in microseconds since 1970.
    pub(super) fn micros(self, column: usize) -> Result<i64, StoreError> {
        Ok(self.i64(column)?.saturating_add(EPOCH))
    }

    /// An interval that is not negative: microseconds, days, months.
    fn wait(self, column: usize) -> Result<Duration, StoreError> {
        let Some(bytes) = self.maybe(column)? else {
            return Ok(Duration::ZERO);
        };
        let (micros, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| undecodable(column))?;
        let (days, rest) = rest.split_first_chunk::<4>().ok_or_else(|| undecodable(column))?;
        let months = rest.first_chunk::<4>().ok_or_else(|| undecodable(column))?;
        let total = i64::from_be_bytes(*micros)
            .saturating_add(i64::from(i32::from_be_bytes(*days)).saturating_mul(MICROS_A_DAY))
            .saturating_add(i64::from(i32::from_be_bytes(*months)).saturating_mul(MICROS_A_MONTH));
        Ok(Duration::from_micros(u64::try_from(total).unwrap_or(0)))
    }

    fn payload(self, column: usize, deferred: usize) -> Result<Payload, StoreError> {
        if let Some(bytes) = self.maybe(column)? {
            return Ok(Payload::Bytes(bytes.to_vec()));
        }
        match self.maybe(deferred)? {
            None => Ok(Payload::Tombstone),
            Some(_) => Ok(Payload::Deferred(
                usize::try_from(self.i32(deferred)?).map_err(|_| undecodable(deferred))?,
            )),
        }
    }

    /// The record in the first columns, in the order in which every reading statement names them.
    pub(super) fn record(self) -> Result<Record, StoreError> {
        let id = self.i64(0)?;
        Ok(Record {
            id,
            message_id: self.message_id(1)?,
            order_key: self.i64(2)?,
            ordered: self.bool(3)?,
            status: Status::from_code(self.i16(4)?).ok_or_else(|| undecodable(4))?,
            attempts: u32::try_from(self.i32(5)?).unwrap_or(0),
            due_in: self.wait(6)?,
            partition: self.maybe(7)?.map(|_| self.i32(7)).transpose()?,
            event_version: u32::try_from(self.i32(8)?).map_err(|_| undecodable(8))?,
            created_at: self.micros(9).map(from_micros)?,
            aggregate_type: self.text(10)?.to_owned(),
            aggregate_id: self.text(11)?.to_owned(),
            topic: self.text(12)?.to_owned(),
            key: self.maybe_text(13)?.map(str::to_owned),
            event_type: self.text(14)?.to_owned(),
            content_type: self.text(15)?.to_owned(),
            headers: headers::from_json(id, self.bytes(16)?)?,
            payload: self.payload(17, 18)?,
        })
    }
}

//! Encoded bytes, taken from the front: what walking and showing have in common.

use crate::codec::avro::walk::Broken;

const ENDS: Broken = Broken::Bytes("it ends too early");
const LONG: Broken = Broken::Bytes("a number in it has too many bytes");

/// The bytes that are left.
pub(super) struct Input<'b>(pub(super) &'b [u8]);

impl<'b> Input<'b> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'b [u8], Broken> {
        let (taken, left) = self.0.split_at_checked(count).ok_or(ENDS)?;
        self.0 = left;
        Ok(taken)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Broken> {
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Broken::Bytes("a boolean in it is neither true nor false")),
        }
    }

    pub(super) fn long(&mut self) -> Result<i64, Broken> {
        let mut number = 0_u64;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if at == 9 && *byte > 1 {
                return Err(LONG);
            }
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(if self.0.len() < 10 { ENDS } else { LONG })
    }

    pub(super) fn int(&mut self) -> Result<i32, Broken> {
        i32::try_from(self.long()?).map_err(|_| Broken::Bytes("a number in it is too large for its type"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'b [u8], Broken> {
        let length = usize::try_from(self.long()?).map_err(|_| Broken::Bytes("a length in it is negative"))?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'b str, Broken> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Broken::Bytes("a text in it is not UTF-8"))
    }

    /// How many items of an array or a map come next; none after the last of them.
    pub(super) fn block(&mut self) -> Result<u64, Broken> {
        let count = self.long()?;
        if count < 0 {
            // The size in bytes that skipping readers use. This one looks, but a lie would send them astray.
            let size = usize::try_from(self.long()?).map_err(|_| LONG)?;
            if size > self.0.len() {
                return Err(ENDS);
            }
        }
        Ok(count.unsigned_abs())
    }

    /// One of several, by its place.
    pub(super) fn one_of<'s, T>(&mut self, several: &'s [T], none: &'static str) -> Result<&'s T, Broken> {
        let found = usize::try_from(self.long()?).ok().and_then(|index| several.get(index));
        found.ok_or(Broken::Bytes(none))
    }

    /// The number without its point, and how many of its digits stand behind the point.
    pub(super) fn big_decimal(&mut self) -> Result<(&'b [u8], i64), Broken> {
        let mut inner = Input(self.bytes()?);
        match (inner.bytes(), inner.long()) {
            (Ok(number), Ok(scale)) if inner.0.is_empty() => Ok((number, scale)),
            _ => Err(Broken::Bytes("a big decimal in it is cut")),
        }
    }
}

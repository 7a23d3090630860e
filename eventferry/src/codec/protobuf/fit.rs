//! Whether a type of prost's is the message of its file: every field is written as the file says, read as the type, and written again.
//!
//! Fields are known on the wire by number and form only, so this is how the two are compared: a field the type has not is dropped, one of
//! another form is refused or comes back as other bytes, and where two types share a form (`int64` and `sint64`, `double` and `fixed64`)
//! the value is looked at as `Debug` shows it. A type whose `Debug` is its own may hide that much.

use std::collections::BTreeSet;
use std::fmt::Debug;

use prost::Message;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::codec::CodecError;
use crate::codec::protobuf::Parsed;
use crate::codec::protobuf::probe::{END, LENGTH, START, Sample, VARINT, field, sample};

/// Numbers up to this one are asked for beside the declared ones.
const ASKED: u32 = 2047;
/// Messages within messages are looked into so deep.
const DEEPEST: usize = 16;

/// Fails with the first difference.
pub(super) fn check<E: Message + Default + Debug>(parsed: &Parsed, path: &str) -> Result<(), CodecError> {
    let mut fit = Fit {
        around: Vec::new(),
        seen: BTreeSet::new(),
        again: |bytes| {
            let event = E::decode(bytes).ok()?;
            Some((event.encode_to_vec(), format!("{event:?}")))
        },
    };
    fit.message(parsed.message())
        .map_err(|what| CodecError::schema(format!("`{path}` does not fit the type: {what}")))
}

/// Bytes that were read as the type and written again, and what was read as `Debug` shows it; none if they were refused.
type Again = fn(&[u8]) -> Option<(Vec<u8>, String)>;

/// How a message stands in a field.
#[derive(Debug, Clone, Copy)]
enum Around {
    Message,
    /// Between two tags, as proto2 could.
    Group,
    /// As the value of a map whose keys are texts.
    Value,
}

impl Around {
    fn put(self, number: u32, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Message => field(number, LENGTH, bytes),
            Self::Group => [&field(number, START, &[])[..], bytes, &field(number, END, &[])].concat(),
            Self::Value => field(number, LENGTH, &[field(1, LENGTH, b"k"), field(2, LENGTH, bytes)].concat()),
        }
    }
}

struct Fit {
    /// The fields that lead to the message that is looked at.
    around: Vec<(u32, Around)>,
    seen: BTreeSet<String>,
    again: Again,
}

impl Fit {
    /// Bytes of the message that is looked at, within the messages around it, read and written again.
    fn again(&self, inner: &[u8]) -> Option<(Vec<u8>, String)> {
        (self.again)(&self.within(inner))
    }

    fn within(&self, inner: &[u8]) -> Vec<u8> {
        let mut bytes = inner.to_vec();
        for (number, around) in self.around.iter().rev() {
            bytes = around.put(*number, &bytes);
        }
        bytes
    }

    fn message(&mut self, message: &MessageDescriptor) -> Result<(), String> {
        if !self.seen.insert(message.full_name().to_owned()) || self.around.len() >= DEEPEST {
            return Ok(());
        }
        let (empty, _) = self.again(&[]).unwrap_or_default();
        for number in (1..=ASKED).filter(|number| message.get_field(*number).is_none()) {
            if self.again(&field(number, VARINT, &[1])).is_none_or(|(bytes, _)| bytes != empty) {
                return Err(format!(
                    "the type has a field {number}, which `{}` does not declare",
                    message.full_name()
                ));
            }
        }
        message.fields().try_for_each(|field| self.field(&field, &empty))
    }

    fn field(&mut self, of: &FieldDescriptor, empty: &[u8]) -> Result<(), String> {
        let what = |text: String| format!("field `{}` ({}) {text}", of.full_name(), of.number());
        let missing = || what("is not in the type".to_owned());
        let number = of.number();
        if of.is_map() {
            let Kind::Message(entry) = of.kind() else { return Ok(()) };
            let key = sample(&entry.map_entry_key_field().kind());
            let value = entry.map_entry_value_field().kind();
            let mut bytes = key.map(|key| field(1, key.wire, &key.bytes)).unwrap_or_default();
            bytes.extend(match sample(&value) {
                Some(sample) => field(2, sample.wire, &sample.bytes),
                None => field(2, LENGTH, &[]),
            });
            let bytes = field(number, LENGTH, &bytes);
            let (again, _) = self.again(&bytes).ok_or_else(|| what("has another type in Rust".to_owned()))?;
            if again == empty {
                return Err(missing());
            }
            return match (value, entry.map_entry_key_field().kind()) {
                (Kind::Message(inner), Kind::String) => self.into(number, Around::Value, &inner),
                _ => Ok(()),
            };
        }
        if let Some(sample) = sample(&of.kind()) {
            return self.scalar(of, &sample, empty).map_err(what);
        }
        let Kind::Message(inner) = of.kind() else { return Ok(()) };
        let no_message = || what("is no message in the type".to_owned());
        let around = if of.is_group() { Around::Group } else { Around::Message };
        let once = around.put(number, &[]);
        let (again, _) = self.again(&once).ok_or_else(|| what("has another type in Rust".to_owned()))?;
        if again == empty {
            // A text or bytes that are empty are not written either.
            let is_known = self.again(&field(number, LENGTH, b"a")).is_none_or(|(bytes, _)| bytes != empty);
            return Err(if is_known { no_message() } else { missing() });
        }
        let reads = |bytes: &[u8]| self.again(&around.put(number, bytes)).is_some();
        if reads(b"a") || reads(&[0xff]) {
            return Err(no_message());
        }
        let (twice, _) = self.again(&[once.clone(), once].concat()).unwrap_or_default();
        is_repeated(of, twice.len() > again.len()).map_err(what)?;
        self.into(number, around, &inner)
    }

    fn into(&mut self, number: u32, around: Around, inner: &MessageDescriptor) -> Result<(), String> {
        self.around.push((number, around));
        let fits = self.message(inner);
        self.around.pop();
        fits
    }

    fn scalar(&self, of: &FieldDescriptor, sample: &Sample, empty: &[u8]) -> Result<(), String> {
        let other = || "has another type in Rust".to_owned();
        let number = of.number();
        let one = field(number, sample.wire, &sample.bytes);
        let (again, shown) = self.again(&one).ok_or_else(other)?;
        if again == empty {
            return Err("is not in the type".to_owned());
        }
        if let Some(right) = &sample.right
            && !shown.contains(right)
        {
            if let Some((wrong, _)) = sample.wrong.iter().find(|(_, wrong)| shown.contains(wrong)) {
                return Err(format!("is {wrong} in the type"));
            }
            if matches!(of.kind(), Kind::Bool) {
                return Err("is no `bool` in the type".to_owned());
            }
        }
        let two = [one.clone(), one.clone()].concat();
        let (twice, _) = self.again(&two).ok_or_else(other)?;
        is_repeated(of, twice.len() > again.len())?;
        let packed = field(number, LENGTH, &sample.bytes);
        let accepted = [self.within(&one), self.within(&packed)];
        // A required field of the message is written beside it, so there the bytes are not looked at.
        if empty == self.within(&[]) && !accepted.contains(&again) {
            return Err(other());
        }
        if of.supports_presence() && !of.is_required() && of.containing_oneof().is_none_or(|oneof| oneof.is_synthetic()) {
            let default: &[u8] = match sample.wire {
                VARINT => &[0],
                LENGTH => &[],
                1 => &[0; 8],
                _ => &[0; 4],
            };
            let (kept, _) = self.again(&field(number, sample.wire, default)).ok_or_else(other)?;
            if kept == empty {
                return Err("is `optional`, and the type cannot tell its default from none: make it an `Option`".to_owned());
            }
        }
        Ok(())
    }
}

fn is_repeated(of: &FieldDescriptor, in_type: bool) -> Result<(), String> {
    match (of.is_list(), in_type) {
        (true, false) => Err("is repeated, and is not in the type".to_owned()),
        (false, true) => Err("is not repeated, and is in the type".to_owned()),
        (true, true) | (false, false) => Ok(()),
    }
}

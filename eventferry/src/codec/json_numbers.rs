//! Serializes beside a look at the numbers: JSON has none that is infinite or not a number, and `serde_json` writes `null` for them.

use std::cell::RefCell;
use std::fmt::Display;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    Serializer,
};

/// The way from the event to a value in it. Nothing is written for it: each step stands on the stack of the call that took it.
#[derive(Clone, Copy)]
enum Step<'a> {
    Whole,
    Name(&'a Step<'a>, &'static str),
    Item(&'a Step<'a>, usize),
    /// A member of a map, whose key is not told.
    Any(&'a Step<'a>),
}

impl Step<'_> {
    fn pointer(&self) -> String {
        match self {
            Self::Whole => String::new(),
            Self::Name(before, name) => format!("{}/{}", before.pointer(), name.replace('~', "~0").replace('/', "~1")),
            Self::Item(before, index) => format!("{}/{index}", before.pointer()),
            Self::Any(before) => format!("{}/*", before.pointer()),
        }
    }
}

/// Writes an event with `write`; the pointer of the first number that JSON cannot hold, where there is one.
pub(super) fn looked_at<E: Serialize + ?Sized, T>(event: &E, write: impl FnOnce(&Looked<'_, E>) -> T) -> (T, Option<String>) {
    let found = RefCell::new(None);
    let written = write(&Looked {
        value: event,
        here: Step::Whole,
        found: &found,
    });
    (written, found.into_inner())
}

/// A value that is looked at while it is written.
pub(super) struct Looked<'a, T: ?Sized> {
    value: &'a T,
    here: Step<'a>,
    found: &'a RefCell<Option<String>>,
}

impl<T: Serialize + ?Sized> Serialize for Looked<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Looking {
            to,
            here: &self.here,
            found: self.found,
        })
    }
}

struct Looking<'a, S> {
    to: S,
    here: &'a Step<'a>,
    found: &'a RefCell<Option<String>>,
}

impl<'a, S> Looking<'a, S> {
    fn number(&self, is_finite: bool) {
        if !is_finite {
            self.found.borrow_mut().get_or_insert_with(|| self.here.pointer());
        }
    }

    fn parts<C, E>(self, variant: Option<&'static str>, begin: impl FnOnce(S) -> Result<C, E>) -> Result<Parts<'a, C>, E> {
        Ok(Parts {
            to: begin(self.to)?,
            here: self.here,
            variant,
            count: 0,
            found: self.found,
        })
    }
}

/// Methods that hand a plain value on.
macro_rules! plain {
    ($($method:ident($kind:ty))*) => {
        $(fn $method(self, value: $kind) -> Result<S::Ok, S::Error> {
            self.to.$method(value)
        })*
    };
}

impl<'a, S: Serializer> Serializer for Looking<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<'a, S::SerializeSeq>;
    type SerializeTuple = Parts<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Parts<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<'a, S::SerializeTupleVariant>;
    type SerializeMap = Parts<'a, S::SerializeMap>;
    type SerializeStruct = Parts<'a, S::SerializeStruct>;
    type SerializeStructVariant = Parts<'a, S::SerializeStructVariant>;

    plain! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_char(char) serialize_str(&str) serialize_bytes(&[u8]) serialize_unit_struct(&'static str)
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.number(value.is_finite());
        self.to.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.number(value.is_finite());
        self.to.serialize_f64(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.to.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let (here, found) = (*self.here, self.found);
        self.to.serialize_some(&Looked { value, here, found })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit()
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        let (here, found) = (*self.here, self.found);
        self.to.serialize_newtype_struct(name, &Looked { value, here, found })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let (here, found) = (Step::Name(self.here, variant), self.found);
        self.to
            .serialize_newtype_variant(name, index, variant, &Looked { value, here, found })
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.parts(None, |to| to.serialize_seq(length))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.parts(None, |to| to.serialize_tuple(length))
    }

    fn serialize_tuple_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.parts(None, |to| to.serialize_tuple_struct(name, length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.parts(Some(variant), |to| to.serialize_tuple_variant(name, index, variant, length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.parts(None, |to| to.serialize_map(length))
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.parts(None, |to| to.serialize_struct(name, length))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.parts(Some(variant), |to| to.serialize_struct_variant(name, index, variant, length))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.to.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.to.is_human_readable()
    }
}

/// The parts of a value that is being written.
struct Parts<'a, C> {
    to: C,
    here: &'a Step<'a>,
    /// The variant's name, which JSON puts around its parts.
    variant: Option<&'static str>,
    count: usize,
    found: &'a RefCell<Option<String>>,
}

impl<C> Parts<'_, C> {
    /// Hands a part on: `name`d, or the next of several.
    fn part<T: ?Sized, R>(&mut self, name: Option<&'static str>, value: &T, hand: impl FnOnce(&mut C, &Looked<'_, T>) -> R) -> R {
        let found = self.found;
        let within = self.variant.map_or(*self.here, |variant| Step::Name(self.here, variant));
        let here = match name {
            Some(name) => Step::Name(&within, name),
            None => Step::Item(&within, self.count),
        };
        self.count += 1;
        hand(&mut self.to, &Looked { value, here, found })
    }
}

/// The traits whose parts are one after the other.
macro_rules! in_order {
    ($($name:ident $method:ident)*) => {
        $(impl<C: $name> $name for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.part(None, value, |to, part| to.$method(part))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.to.end()
            }
        })*
    };
}

in_order! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// The traits whose parts have names.
macro_rules! by_name {
    ($($name:ident)*) => {
        $(impl<C: $name> $name for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), C::Error> {
                self.part(Some(name), value, |to, part| to.serialize_field(name, part))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.to.skip_field(name)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.to.end()
            }
        })*
    };
}

by_name! { SerializeStruct SerializeStructVariant }

impl<C: SerializeMap> SerializeMap for Parts<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        // A number that is a key becomes a text, or an error.
        self.to.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let (here, found) = (Step::Any(self.here), self.found);
        self.to.serialize_value(&Looked { value, here, found })
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.to.end()
    }
}

//! What a schema says of the kinds of values, of the values themselves, and of numbers.

use std::cmp::Ordering;

use serde_json::Value;

use crate::schema::evolution::json::document::{Node, View};

/// Kinds of JSON values. An integer is a number, so a number is one of two kinds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    const FRACTION: Self = Self(8);
    pub(super) const NUMBER: Self = Self(12);
    pub(super) const STRING: Self = Self(16);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);
    pub(super) const ALL: Self = Self(127);
    pub(super) const NONE: Self = Self(0);

    /// Each kind by itself.
    pub(super) fn each(self) -> impl Iterator<Item = Self> {
        let kinds = [
            Self::NULL,
            Self::BOOLEAN,
            Self::INTEGER,
            Self::FRACTION,
            Self::STRING,
            Self::ARRAY,
            Self::OBJECT,
        ];
        kinds.into_iter().filter(move |kind| self.meets(*kind))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What a `type` says; all for what is not understood.
    fn named(value: &Value) -> Self {
        let one = |name: &Value| match name.as_str() {
            Some("null") => Self::NULL,
            Some("boolean") => Self::BOOLEAN,
            Some("integer") => Self::INTEGER,
            Some("number") => Self::NUMBER,
            Some("string") => Self::STRING,
            Some("array") => Self::ARRAY,
            Some("object") => Self::OBJECT,
            _ => Self::ALL,
        };
        match value {
            Value::Array(names) => names.iter().map(one).fold(Self::NONE, |all, next| Self(all.0 | next.0)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => one(value),
        }
    }

    pub(super) fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            // A number with a zero fraction is an integer.
            Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() && float.fract() != 0.0 => Self::FRACTION,
                _ => Self::INTEGER,
            },
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    /// The kinds that a schema's own `type` allows.
    pub(super) fn of_part(part: Node<'_>) -> Self {
        part.get("type").map_or(Self::ALL, Self::named)
    }

    pub(super) fn of_view(view: &View<'_>) -> Self {
        if view.is_never {
            return Self::NONE;
        }
        let named = view.parts.iter().fold(Self::ALL, |all, part| all.and(Self::of_part(*part)));
        match values_of(view) {
            Some(values) => values
                .into_iter()
                .map(Self::of_value)
                .fold(Self::NONE, |all, next| Self(all.0 | next.0))
                .and(named),
            None => named,
        }
    }
}

/// The values that `const` and `enum` leave, where one of them is there. Other rules may forbid some of them.
pub(super) fn values_of<'a>(view: &View<'a>) -> Option<Vec<&'a Value>> {
    let mut left: Option<Vec<&'a Value>> = None;
    let lists = view.parts.iter().flat_map(|part| {
        let constant = part.get("const").map(|value| vec![value]);
        let list = part.get("enum").and_then(Value::as_array).map(|values| values.iter().collect());
        [constant, list].into_iter().flatten()
    });
    for list in lists {
        left = Some(match left {
            Some(values) => values
                .into_iter()
                .filter(|value| list.iter().any(|one| equal(one, value)))
                .collect(),
            None => list,
        });
    }
    left
}

/// Whether two values are one to JSON Schema: numbers by value, members in any order.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => order(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b))),
        _ => a == b,
    }
}

/// The order of two numbers; none where they are too large to tell.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    let whole = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return Some(a.cmp(&b));
    }
    let (a, b) = (a.as_f64()?, b.as_f64()?);
    // Beyond this not every whole number has a float of its own.
    let exact = 9_007_199_254_740_992.0;
    let order = a.partial_cmp(&b)?;
    (order != Ordering::Equal || a.abs() < exact).then_some(order)
}

/// Whether whatever has one `format` has the other too.
pub(super) fn format_within(left: &str, right: &str) -> bool {
    let range = |format: &str| {
        Some(match format {
            "int8" => (i128::from(i8::MIN), i128::from(i8::MAX)),
            "int16" => (i128::from(i16::MIN), i128::from(i16::MAX)),
            "int32" => (i128::from(i32::MIN), i128::from(i32::MAX)),
            "int64" => (i128::from(i64::MIN), i128::from(i64::MAX)),
            "uint8" => (0, i128::from(u8::MAX)),
            "uint16" => (0, i128::from(u16::MAX)),
            "uint32" => (0, i128::from(u32::MAX)),
            "uint64" => (0, i128::from(u64::MAX)),
            _ => return None,
        })
    };
    let small = |format: &str| matches!(format, "int8" | "int16" | "uint8" | "uint16");
    match (range(left), range(right)) {
        (Some(left), Some(right)) => right.0 <= left.0 && left.1 <= right.1,
        _ => match right {
            "double" => matches!(left, "double" | "float" | "int32" | "uint32") || small(left),
            "float" => left == "float" || small(left),
            _ => left == right,
        },
    }
}

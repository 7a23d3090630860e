//! An event with every shape that serde and schemars give a type, and any value of it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use eventferry::OutboxEvent;
use fastrand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::properties::{Kind, float, integer, text};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "things", aggregate_type = "thing", aggregate_id = self.id)]
pub(super) struct Wide {
    id: u64,
    #[schemars(range(min = -5, max = 5))]
    small: i32,
    byte: u8,
    tiny: i8,
    count: NonZeroU32,
    huge: i128,
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0, "multipleOf" = 0.25))]
    share: f64,
    ratio: f64,
    real: f32,
    letter: char,
    unit: (),
    on: bool,
    #[schemars(length(min = 2, max = 5), regex(pattern = r"^[a-z]+$"))]
    code: String,
    #[schemars(extend("format" = "date-time"))]
    at: String,
    #[schemars(with = "String", extend("format" = "uuid"))]
    request: Uuid,
    #[schemars(extend("const" = "EUR"))]
    currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    part: Option<f64>,
    rank: Option<Kind>,
    closed: Option<Closed>,
    #[schemars(length(min = 1, max = 3))]
    list: Vec<Outer>,
    inner: BTreeMap<String, Inner>,
    adjacent: Adjacent,
    loose: Loose,
    pair: (u8, String, Option<bool>),
    triple: [i16; 3],
    set: BTreeSet<u8>,
    by_number: BTreeMap<u32, f32>,
    lasted: Duration,
    since: SystemTime,
    next: Option<Box<Wide>>,
    anything: Value,
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    more: BTreeMap<String, bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Closed {
    name: String,
    #[schemars(range(min = 1, max = 9))]
    stars: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Common {
    source: String,
    retries: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Outer {
    Unit,
    One(u64),
    Two(i8, String),
    Named {
        #[schemars(regex(pattern = r"^[a-z]+$"))]
        code: String,
        amount: Option<u32>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how", rename_all = "kebab-case")]
enum Inner {
    Cash { desk: u16 },
    BankTransfer(Closed2),
    Free,
}

/// What an internally tagged variant can hold: not closed, for the tag stands beside its members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Closed2 {
    #[schemars(length(max = 34))]
    account: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "of")]
enum Adjacent {
    Nothing,
    Number(i64),
    Both { left: String, right: Option<i64> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Text(String),
    Point { x: f64, y: f64 },
    Flags(Vec<bool>),
}

fn letters(rng: &mut Rng, least: usize, most: usize) -> String {
    (0..rng.usize(least..=most)).map(|_| rng.lowercase()).collect()
}

fn outer(rng: &mut Rng) -> Outer {
    match rng.u8(..4) {
        0 => Outer::Unit,
        1 => Outer::One(rng.u64(..)),
        2 => Outer::Two(rng.i8(..), text(rng)),
        _ => Outer::Named {
            code: letters(rng, 1, 5),
            amount: rng.bool().then(|| rng.u32(..)),
        },
    }
}

fn inner(rng: &mut Rng) -> Inner {
    match rng.u8(..3) {
        0 => Inner::Cash { desk: rng.u16(..) },
        1 => Inner::BankTransfer(Closed2 { account: text(rng) }),
        _ => Inner::Free,
    }
}

fn adjacent(rng: &mut Rng) -> Adjacent {
    match rng.u8(..3) {
        0 => Adjacent::Nothing,
        1 => Adjacent::Number(integer(rng)),
        _ => Adjacent::Both {
            left: text(rng),
            right: rng.bool().then(|| integer(rng)),
        },
    }
}

fn loose(rng: &mut Rng) -> Loose {
    match rng.u8(..4) {
        0 => Loose::Number(integer(rng)),
        1 => Loose::Text(text(rng)),
        2 => Loose::Point {
            x: float(rng),
            y: float(rng),
        },
        _ => Loose::Flags((0..rng.usize(..3)).map(|_| rng.bool()).collect()),
    }
}

fn anything(rng: &mut Rng, depth: usize) -> Value {
    match rng.u8(..if depth > 2 { 5 } else { 7 }) {
        0 => Value::Null,
        1 => rng.bool().into(),
        2 => rng.u64(..).into(),
        3 => float(rng).into(),
        4 => text(rng).into(),
        5 => (0..rng.usize(..3)).map(|_| anything(rng, depth + 1)).collect(),
        _ => (0..rng.usize(..3)).map(|_| (text(rng), anything(rng, depth + 1))).collect(),
    }
}

/// Any value; `depth` is how many more of them may stand within it.
pub(super) fn wide(rng: &mut Rng, depth: usize) -> Wide {
    Wide {
        id: *rng.choice(&[0, 1, u64::MAX, rng.clone().u64(..)]).expect("one"),
        small: rng.i32(-5..=5),
        byte: rng.u8(..),
        tiny: rng.i8(..),
        count: NonZeroU32::MIN.saturating_add(rng.u32(..)),
        huge: *rng.choice(&[0, i128::MAX, i128::MIN, rng.clone().i128(..)]).expect("one"),
        share: f64::from(rng.u8(1..4)) * 0.25,
        ratio: float(rng),
        real: *rng.choice(&[0.1, f32::MAX, f32::MIN_POSITIVE, rng.clone().f32()]).expect("one"),
        letter: rng.char(..),
        unit: (),
        on: rng.bool(),
        code: letters(rng, 2, 5),
        at: format!("20{:02}-02-28T12:{:02}:00.{:03}Z", rng.u8(..100), rng.u8(..60), rng.u16(..1000)),
        request: Uuid::from_u128(rng.u128(..)),
        currency: "EUR".to_owned(),
        note: rng.bool().then(|| text(rng)),
        part: rng.bool().then(|| float(rng)),
        rank: *rng.choice(&[None, Some(Kind::Small), Some(Kind::Large)]).expect("one"),
        closed: rng.bool().then(|| Closed {
            name: text(rng),
            stars: rng.u8(1..10),
        }),
        list: (0..rng.usize(1..4)).map(|_| outer(rng)).collect(),
        inner: (0..rng.usize(..4)).map(|_| (text(rng), inner(rng))).collect(),
        adjacent: adjacent(rng),
        loose: loose(rng),
        pair: (rng.u8(..), text(rng), rng.bool().then(|| rng.bool())),
        triple: [rng.i16(..), i16::MIN, i16::MAX],
        set: (0..rng.usize(..4)).map(|_| rng.u8(..)).collect(),
        by_number: (0..rng.usize(..3)).map(|_| (rng.u32(..), rng.f32())).collect(),
        lasted: Duration::new(rng.u64(..), rng.u32(..1_000_000_000)),
        since: SystemTime::UNIX_EPOCH + Duration::new(rng.u64(..1 << 40), rng.u32(..1_000_000_000)),
        next: (depth > 0 && rng.bool()).then(|| Box::new(wide(rng, depth - 1))),
        anything: anything(rng, 0),
        common: Common {
            source: text(rng),
            retries: rng.bool().then(|| rng.u16(..)),
        },
        // Names that no field has.
        more: (0..rng.usize(..3)).map(|_| (format!("~{}", text(rng)), rng.bool())).collect(),
    }
}

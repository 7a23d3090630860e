//! Schemas that are aligned, by example and by chance.

use fastrand::Rng;
use serde_json::{Value as Json, json};

use super::align;
use crate::codec::avro::foreign::Foreign;

fn field(name: &str, of: &Json) -> Json {
    json!({ "name": name, "type": of })
}

fn known(name: &str, aliases: &[&str], of: &Json) -> Json {
    json!({ "name": name, "aliases": aliases, "type": of })
}

fn record(name: &str, fields: &[Json]) -> Json {
    json!({ "type": "record", "name": name, "fields": fields })
}

/// The names that the writer's fields get, and the pointers of those that nobody reads.
fn names(wrote: &[&str], reads: &[(&str, &[&str])]) -> (Vec<String>, Vec<String>) {
    let int = json!("int");
    let fields: Vec<_> = wrote.iter().map(|name| field(name, &int)).collect();
    let mut writer = record("R", &fields);
    let fields: Vec<_> = reads.iter().map(|(name, aliases)| known(name, aliases, &int)).collect();
    let dropped = align(&mut writer, &mut record("R", &fields)).unwrap();
    let names = writer["fields"].as_array().unwrap().iter();
    (names.map(|field| field["name"].as_str().unwrap().to_owned()).collect(), dropped)
}

#[test]
fn a_field_is_called_as_its_alias_says_unless_another_has_that_name() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a [&'a str])], &'a [&'a str], &'a [&'a str]);
    let cases: [Case<'_>; 6] = [
        (
            &["other", "old", "there"],
            &[("new", &["older", "old"]), ("there", &["other"])],
            &["other", "new", "there"],
            &["/other"],
        ),
        // One name after another was given on.
        (&["b", "c"], &[("b", &["c"]), ("a", &["b"])], &["a", "b"], &[]),
        (&["b", "c"], &[("a", &["b"]), ("b", &["c"])], &["a", "b"], &[]),
        (&["a", "b"], &[("a", &["b"]), ("b", &["a"])], &["b", "a"], &[]),
        (&["x", "y"], &[("n", &["x", "y"])], &["n", "y"], &["/y"]),
        (&["x"], &[("y", &[])], &["x"], &["/x"]),
    ];
    for (wrote, reads, expected, dropped) in cases {
        let (found, passed) = names(wrote, reads);
        assert_eq!(
            (&found[..], &passed[..]),
            (&to_owned(expected)[..], &to_owned(dropped)[..]),
            "{wrote:?} {reads:?}"
        );
    }
}

fn to_owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn only_decimals_that_are_alike_become_bytes() {
    let decimal = |precision: u8, scale: u8| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
    let nested = |inner: Json| json!({"type": "array", "items": ["null", {"type": "map", "values": inner}]});
    let (mut writer, mut reader) = (nested(decimal(9, 2)), nested(decimal(9, 2)));
    align(&mut writer, &mut reader).unwrap();
    assert_eq!(writer, nested(json!({"type": "bytes", "precision": 9, "scale": 2})));
    assert_eq!(writer, reader);
    for other in [decimal(9, 3), decimal(10, 2)] {
        assert!(align(&mut nested(decimal(9, 2)), &mut nested(other)).is_err());
    }
}

#[test]
fn a_type_is_found_where_it_is_defined_wherever_it_is_named() {
    let line = |name: &str, fields: &[Json]| json!({ "type": "record", "name": name, "namespace": "shop", "fields": fields });
    let text = json!("string");
    let wrote = line(
        "Line",
        &[field("old", &text), field("gone", &text), field("next", &json!(["null", "Line"]))],
    );
    let reads = line("Row", &[known("new", &["old"], &text), field("next", &json!(["shop.Row", "null"]))]);
    let mut writer = record(
        "R",
        &[field("a", &wrote), field("b", &json!({ "type": "array", "items": "shop.Line" }))],
    );
    let mut reader = record(
        "R",
        &[
            field("b", &json!({ "type": "array", "items": reads })),
            field("a", &json!({ "type": "shop.Row" })),
        ],
    );
    let mut again = writer.clone();
    let dropped = align(&mut writer, &mut reader).unwrap();
    assert_eq!(writer["fields"][0]["type"]["fields"][0]["name"], "new");
    assert_eq!(dropped, ["/a/gone"]);

    // Read as two records with names of their own, which no one change of the writer's schema can be.
    let other = line("Other", &[known("newer", &["old"], &text)]);
    let mut two = record("R", &[field("a", &reads), field("b", &json!({ "type": "array", "items": other }))]);
    let error = align(&mut again, &mut two).unwrap_err();
    assert!(error.to_string().contains("read as two"), "{error}");
}

#[test]
fn what_is_not_read_is_told_by_its_pointer() {
    let int = json!("int");
    let inner = |fields: &[Json]| record("Inner", fields);
    let wrote = inner(&[field("x", &int), field("y", &int)]);
    let within = |of: Json| json!([{ "type": "array", "items": { "type": "map", "values": of } }, "null"]);
    let mut writer = record("R", &[field("old", &within(wrote)), field("z", &int)]);
    let mut reader = record("R", &[known("new", &["old"], &within(inner(&[field("x", &int)])))]);
    assert_eq!(align(&mut writer, &mut reader).unwrap(), ["/new/*/*/y", "/z"]);
}

/// A type that both sides have, each in its own way.
enum Type {
    /// An `int` of the writer's may be a `long` to the reader.
    Whole {
        is_wider: bool,
    },
    Text,
    /// Precision and scale, and the number of a fixed one.
    Decimal(u8, u8, Option<usize>),
    Array(Box<Type>),
    Map(Box<Type>),
    /// Where `null` stands for the writer and for the reader.
    Optional(Box<Type>, [usize; 2]),
    Record(usize),
}

enum Who {
    Both { is_renamed: bool },
    Writer,
    Reader,
}

struct Member {
    of: Type,
    who: Who,
    /// Where it stands in the writer's record.
    order: u32,
}

struct Made {
    random: Rng,
    records: Vec<Vec<Member>>,
    names: usize,
}

/// The writer, or the reader.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Writer,
    Reader,
}

impl Made {
    fn new_type(&mut self, depth: u32, record: usize, records: usize) -> Type {
        match self.random.u8(..if depth == 0 { 4 } else { 9 }) {
            0 => Type::Whole {
                is_wider: self.random.bool(),
            },
            1 => Type::Text,
            2 | 3 => {
                let precision = self.random.u8(1..19);
                let number = self.random.bool().then(|| {
                    self.names += 1;
                    self.names
                });
                Type::Decimal(precision, self.random.u8(..=precision), number)
            }
            4 => Type::Array(Box::new(self.new_type(depth - 1, record, records))),
            5 => Type::Map(Box::new(self.new_type(depth - 1, record, records))),
            // A union in a union is no schema.
            6 => {
                let inner = self.new_type(depth - 1, record, records);
                if matches!(inner, Type::Optional(..)) {
                    return inner;
                }
                Type::Optional(Box::new(inner), [self.random.usize(..2), self.random.usize(..2)])
            }
            // Within itself only where it can end.
            7 => Type::Optional(Box::new(Type::Record(record)), [self.random.usize(..2), self.random.usize(..2)]),
            _ if record + 1 < records => Type::Record(self.random.usize(record + 1..records)),
            _ => Type::Text,
        }
    }

    fn records(&mut self) {
        let count = self.random.usize(1..5);
        for number in 0..count {
            let members = (0..self.random.usize(1..5)).map(|_| {
                let who = match self.random.u8(..6) {
                    0 => Who::Writer,
                    1 => Who::Reader,
                    other => Who::Both { is_renamed: other < 4 },
                };
                // What only the reader has must have a default.
                let of = if matches!(who, Who::Reader) {
                    Type::Text
                } else {
                    self.new_type(3, number, count)
                };
                let order = self.random.u32(..);
                Member { of, who, order }
            });
            let members = members.collect();
            self.records.push(members);
        }
    }

    /// The members of a record as one side has them.
    fn members(&self, record: usize, side: Side) -> Vec<(usize, &Member)> {
        let has = |member: &Member| match member.who {
            Who::Both { .. } => true,
            Who::Writer => side == Side::Writer,
            Who::Reader => side == Side::Reader,
        };
        let mut members: Vec<_> = self.records[record].iter().enumerate().filter(|(_, member)| has(member)).collect();
        if side == Side::Writer {
            members.sort_by_key(|(_, member)| member.order);
        }
        members
    }

    fn schema(&self, of: &Type, side: Side, done: &mut Vec<usize>) -> Json {
        let index = usize::from(side == Side::Reader);
        match of {
            Type::Whole { is_wider } => json!(if *is_wider && side == Side::Reader { "long" } else { "int" }),
            Type::Text => json!("string"),
            Type::Decimal(precision, scale, number) => {
                let mut decimal = json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale });
                if let Some(number) = number {
                    decimal["type"] = json!("fixed");
                    decimal["name"] = json!(format!("F{number}"));
                    decimal["size"] = json!(8);
                }
                decimal
            }
            Type::Array(items) => json!({ "type": "array", "items": self.schema(items, side, done) }),
            Type::Map(values) => json!({ "type": "map", "values": self.schema(values, side, done) }),
            Type::Optional(inner, nulls) => {
                let inner = self.schema(inner, side, done);
                if nulls[index] == 0 {
                    json!(["null", inner])
                } else {
                    json!([inner, "null"])
                }
            }
            Type::Record(number) if done.contains(number) => json!(format!("n.R{number}")),
            Type::Record(number) => {
                done.push(*number);
                let fields = self.members(*number, side).into_iter().map(|(at, member)| {
                    let of = self.schema(&member.of, side, done);
                    match (&member.who, side) {
                        (Who::Both { is_renamed: true }, Side::Writer) => field(&format!("old{at}"), &of),
                        (Who::Both { is_renamed: true }, Side::Reader) => known(&format!("f{at}"), &["older", &format!("old{at}")], &of),
                        (Who::Reader, _) => json!({ "name": format!("f{at}"), "type": of, "default": "new" }),
                        (Who::Both { is_renamed: false } | Who::Writer, _) => field(&format!("f{at}"), &of),
                    }
                });
                let fields: Vec<_> = fields.collect();
                json!({ "type": "record", "name": format!("R{number}"), "namespace": "n", "fields": fields })
            }
        }
    }
}

/// A value as the writer's bytes and as the reader's.
fn value(made: &Made, random: &mut Rng, of: &Type, depth: u32) -> [Vec<u8>; 2] {
    let same = |bytes: Vec<u8>| [bytes.clone(), bytes];
    match of {
        Type::Whole { .. } => same(long(i64::from(random.i32(..)))),
        Type::Text => same(text(&random.u32(..).to_string())),
        Type::Decimal(precision, _, number) => {
            let most = 10_i64.pow(u32::from(*precision)) - 1;
            let digits = [0, 1, -1, most, -most, random.i64(-most..=most)][random.usize(..6)].to_be_bytes();
            same(match number {
                Some(_) => digits.to_vec(),
                None => [long(8), digits.to_vec()].concat(),
            })
        }
        Type::Array(inner) | Type::Map(inner) => {
            let is_map = matches!(of, Type::Map(_));
            let most = if depth == 0 { 1 } else { 3 };
            // A map is written in no order of its own, so that one of several members could be compared with none.
            let count = random.usize(..if is_map { most.min(2) } else { most });
            let mut both = [Vec::new(), Vec::new()];
            for bytes in both.iter_mut().filter(|_| count > 0) {
                bytes.extend(long(i64::try_from(count).unwrap()));
            }
            for _ in 0..count {
                let item = value(made, random, inner, depth.saturating_sub(1));
                for (bytes, item) in both.iter_mut().zip(item) {
                    if is_map {
                        bytes.extend(text("k"));
                    }
                    bytes.extend(item);
                }
            }
            both.map(|bytes| [bytes, long(0)].concat())
        }
        Type::Optional(inner, nulls) => {
            let [wrote, reads] = nulls.map(|null| i64::try_from(null).unwrap());
            if depth == 0 || random.bool() {
                return [long(wrote), long(reads)];
            }
            let [one, other] = value(made, random, inner, depth - 1);
            [[long(1 - wrote), one].concat(), [long(1 - reads), other].concat()]
        }
        Type::Record(number) => {
            let members = made.records[*number].iter();
            let values: Vec<_> = members
                .map(|member| match member.who {
                    Who::Reader => same(text("new")),
                    Who::Both { .. } | Who::Writer => value(made, random, &member.of, depth.saturating_sub(1)),
                })
                .collect();
            let side = |side: Side, index: usize| {
                let members = made.members(*number, side).into_iter();
                members.flat_map(|(at, _)| values[at][index].clone()).collect::<Vec<u8>>()
            };
            [side(Side::Writer, 0), side(Side::Reader, 1)]
        }
    }
}

fn long(number: i64) -> Vec<u8> {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while left >= 0x80 {
        bytes.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push((left & 0x7f) as u8);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [long(i64::try_from(text.len()).unwrap()), text.as_bytes().to_vec()].concat()
}

#[test]
fn what_others_wrote_under_aliases_is_read_as_ours_whatever_the_two_schemas() {
    let (mut renamed, mut decimals, mut dropped) = (0, 0, 0);
    for seed in 0..600 {
        let mut made = Made {
            random: Rng::with_seed(seed),
            records: Vec::new(),
            names: 0,
        };
        made.records();
        let [writer, reader] = [Side::Writer, Side::Reader].map(|side| made.schema(&Type::Record(0), side, &mut Vec::new()).to_string());
        let foreign = Foreign::between(&writer, &[], &reader).unwrap_or_else(|error| panic!("seed {seed}: {error}: {writer} as {reader}"));
        let mut random = Rng::with_seed(seed);
        for _ in 0..5 {
            let [theirs, ours] = value(&made, &mut random, &Type::Record(0), 5);
            let translated = foreign
                .as_ref()
                .map_or_else(|| Ok(theirs.clone()), |foreign| foreign.translate(&theirs))
                .unwrap_or_else(|error| panic!("seed {seed}: {error}: {theirs:?} of {writer} as {reader}"));
            assert_eq!(translated, ours, "seed {seed}: {theirs:?} of {writer} as {reader}");
        }
        renamed += reader.matches("aliases").count();
        decimals += writer.matches("decimal").count();
        dropped += usize::from(foreign.is_some_and(|foreign| foreign.undeclared().is_err()));
    }
    assert!(
        renamed > 500 && decimals > 500 && dropped > 100,
        "{renamed} {decimals} {dropped}: the schemas are too dull"
    );
}

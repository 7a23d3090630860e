//! Mutations that an Avro schema forbids and the type does not: the schema stands in a file, and the type can say more.

use std::collections::BTreeMap;

use eventferry::codec::avro::logical::Decimal;
use eventferry::{EnqueueErrorKind, OutboxEvent, define_outbox};
use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::{integer, message, rng, text};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    One,
    Two,
    Three,
    /// Not in the file.
    Four,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum How {
    Card {
        number: String,
        price: Decimal<3, 0>,
    },
    Cash {
        desk: i32,
    },
    /// Not in the file.
    Cheque {
        bank: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    kind: Kind,
    #[serde(with = "apache_avro::serde::bytes")]
    token: Vec<u8>,
    price: Decimal<4, 4>,
    next: Option<Box<Line>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "everything", aggregate_type = "thing", aggregate_id = self.id)]
#[outbox(format = "avro", schema = "derive/schemas/everything.avsc")]
struct Loose {
    id: i64,
    kind: Kind,
    #[serde(with = "apache_avro::serde::bytes")]
    token: Vec<u8>,
    amount: Decimal<6, 2>,
    session: String,
    at: i32,
    exactly_at: i64,
    note: Option<String>,
    maybe: Option<Kind>,
    how: How,
    lines: Vec<Line>,
    by_name: BTreeMap<String, Line>,
}

define_outbox! {
    type LooseEvents;
    #[derive(Debug, PartialEq)]
    enum LooseEvent { Loose }
}

fn kind(rng: &mut Rng) -> Kind {
    [Kind::One, Kind::Two, Kind::Three][rng.usize(..3)]
}

fn decimal<const PRECISION: usize, const SCALE: usize>(rng: &mut Rng) -> Decimal<PRECISION, SCALE> {
    let most = 10_i128.pow(u32::try_from(PRECISION).expect("few digits")) - 1;
    Decimal::new([0, most, -most, rng.i128(-most..=most)][rng.usize(..4)])
}

fn beyond<const PRECISION: usize, const SCALE: usize>(rng: &mut Rng) -> Decimal<PRECISION, SCALE> {
    let most = 10_i128.pow(u32::try_from(PRECISION).expect("few digits"));
    Decimal::new([most, -most, i128::MIN, rng.i128(most..)][rng.usize(..4)])
}

fn token(rng: &mut Rng) -> Vec<u8> {
    (0..4).map(|_| rng.u8(..)).collect()
}

fn line(rng: &mut Rng, depth: usize) -> Line {
    Line {
        kind: kind(rng),
        token: token(rng),
        price: decimal(rng),
        next: (depth < 3 && rng.bool()).then(|| Box::new(line(rng, depth + 1))),
    }
}

fn loose(rng: &mut Rng) -> Loose {
    Loose {
        id: integer(rng),
        kind: kind(rng),
        token: token(rng),
        amount: decimal(rng),
        session: uuid::Uuid::from_u128(rng.u128(..)).to_string(),
        at: rng.i32(..86_400_000).max(0),
        exactly_at: rng.i64(0..86_400_000_000),
        note: rng.bool().then(|| text(rng)),
        maybe: rng.bool().then(|| kind(rng)),
        how: if rng.bool() {
            How::Card {
                number: text(rng),
                price: decimal(rng),
            }
        } else {
            How::Cash {
                desk: rng.i32(0..86_400_000),
            }
        },
        lines: (0..rng.usize(..4)).map(|_| line(rng, 0)).collect(),
        by_name: (0..rng.usize(..3)).map(|_| (text(rng), line(rng, 0))).collect(),
    }
}

/// Spoils a line, or one behind it, and tells where below it.
fn spoil_line(rng: &mut Rng, line: &mut Line) -> String {
    if let Some(next) = line.next.as_mut().filter(|_| rng.bool()) {
        return format!("/next{}", spoil_line(rng, next));
    }
    match rng.u8(..3) {
        0 => {
            line.kind = Kind::Four;
            "/kind".to_owned()
        }
        1 => {
            line.token = vec![7; [0, 3, 5, 400][rng.usize(..4)]];
            "/token".to_owned()
        }
        _ => {
            line.price = beyond(rng);
            "/price".to_owned()
        }
    }
}

/// Spoils an event at one place, and tells which.
fn spoil(rng: &mut Rng, event: &mut Loose) -> String {
    let what = match rng.u8(..12) {
        0 => {
            event.kind = Kind::Four;
            "/kind"
        }
        1 => {
            event.token = vec![7; [0, 3, 5, 400][rng.usize(..4)]];
            "/token"
        }
        2 => {
            event.amount = beyond(rng);
            "/amount"
        }
        3 => {
            event.session = format!("no uuid: {}", text(rng));
            "/session"
        }
        4 => {
            event.at = [-1, 86_400_000, i32::MIN][rng.usize(..3)];
            "/at"
        }
        5 => {
            event.exactly_at = [-1, 86_400_000_000, i64::MAX][rng.usize(..3)];
            "/exactly_at"
        }
        6 => {
            event.maybe = Some(Kind::Four);
            "/maybe"
        }
        7 => {
            event.how = How::Cheque { bank: text(rng) };
            "/how"
        }
        8 => match &mut event.how {
            How::Card { price, .. } => {
                *price = beyond(rng);
                "/how/price"
            }
            How::Cash { desk } => {
                *desk = -1;
                "/how/desk"
            }
            How::Cheque { .. } => unreachable!("it was made without"),
        },
        9 | 10 => {
            if event.lines.is_empty() {
                event.lines.push(line(rng, 0));
            }
            let at = rng.usize(..event.lines.len());
            return format!("/lines/{at}{}", spoil_line(rng, &mut event.lines[at]));
        }
        _ => {
            let mut spoilt = line(rng, 0);
            let place = spoil_line(rng, &mut spoilt);
            event.by_name.insert("secret key".to_owned(), spoilt);
            return format!("/by_name/*{place}");
        }
    };
    what.to_owned()
}

#[test]
fn any_mutation_that_an_avro_schema_forbids_is_refused_at_its_place() {
    let (mut rng, events) = (rng(), LooseEvents::new().unwrap());
    let checked = events.clone().checked_decode().unwrap().strict().unwrap();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..600 {
        let good = loose(&mut rng);
        let sent = message(&events, good.clone()).unwrap();
        assert_eq!(checked.decode(&sent).unwrap(), LooseEvent::Loose(good.clone()));
        let mut bad = good;
        let pointer = spoil(&mut rng, &mut bad);
        let refused = message(&events, bad).expect_err(&pointer);
        assert_eq!(refused.kind(), EnqueueErrorKind::Refused, "{pointer}: {refused}");
        let told: Vec<_> = refused.violations().iter().map(eventferry::codec::Violation::pointer).collect();
        assert_eq!(told, [pointer.as_str()], "{refused}");
        assert!(!format!("{refused} {refused:?}").contains("secret"), "{refused}");
        *places.entry(pointer.replace(|c: char| c.is_ascii_digit(), "n")).or_default() += 1;
    }
    assert!(places.len() > 15, "only these places: {places:?}");
}

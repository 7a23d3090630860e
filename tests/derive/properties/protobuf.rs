//! Whole Protobuf messages by chance: they decode to themselves, with what nobody declared in them or without, and what the file forbids is
//! refused at its place.

use std::collections::BTreeMap;
use std::fmt;

use eventferry::{DecodeErrorKind, EnqueueErrorKind, Message, OutboxEvent, define_outbox};
use fastrand::Rng;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};

use super::{integer, message, rng, text};

#[derive(Clone, PartialEq, prost::Message)]
struct Everything {
    #[prost(int64, required, tag = "1")]
    id: i64,
    #[prost(string, optional, tag = "2")]
    text: Option<String>,
    #[prost(message, repeated, tag = "3")]
    parts: Vec<Part>,
    #[prost(btree_map = "string, message", tag = "4")]
    named: BTreeMap<String, Part>,
    #[prost(btree_map = "int32, int32", tag = "5")]
    colours: BTreeMap<i32, i32>,
    #[prost(int32, repeated, packed = "false", tag = "6")]
    palette: Vec<i32>,
    #[prost(int32, repeated, tag = "7")]
    packed: Vec<i32>,
    #[prost(int32, optional, tag = "8")]
    colour: Option<i32>,
    #[prost(oneof = "How", tags = "9, 10, 11")]
    how: Option<How>,
    #[prost(sint32, repeated, tag = "12")]
    numbers: Vec<i32>,
    #[prost(bytes = "vec", optional, tag = "13")]
    blob: Option<Vec<u8>>,
    #[prost(double, optional, tag = "14")]
    ratio: Option<f64>,
    #[prost(fixed64, repeated, packed = "false", tag = "15")]
    codes: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum How {
    #[prost(message, tag = "9")]
    Part(Part),
    #[prost(int32, tag = "10")]
    Paint(i32),
    #[prost(string, tag = "11")]
    Word(String),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Part {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(int32, optional, tag = "2")]
    colour: Option<i32>,
    #[prost(message, optional, boxed, tag = "3")]
    rest: Option<Box<Part>>,
    #[prost(message, repeated, tag = "4")]
    more: Vec<Part>,
}

/// A message of the file, or any bytes in its place: what is written is then what a test made.
#[derive(Clone, PartialEq, Default, OutboxEvent)]
#[outbox(topic = "everything", aggregate_type = "thing", name = "Everything", aggregate_id = self.good.id)]
#[outbox(format = "protobuf", schema = "derive/schemas/everything.proto")]
struct Spoilt {
    good: Everything,
    instead: Option<Vec<u8>>,
}

impl fmt::Debug for Spoilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.good.fmt(f)
    }
}

impl prost::Message for Spoilt {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        match &self.instead {
            Some(bytes) => buf.put_slice(bytes),
            None => self.good.encode_raw(buf),
        }
    }

    fn merge_field(&mut self, tag: u32, wire: WireType, buf: &mut impl Buf, ctx: DecodeContext) -> Result<(), prost::DecodeError> {
        self.good.merge_field(tag, wire, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.instead.as_ref().map_or_else(|| self.good.encoded_len(), Vec::len)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

define_outbox! {
    type EverythingEvents;
    #[derive(Debug, PartialEq)]
    enum EverythingEvent { Spoilt }
}

const COLOURS: [i32; 3] = [1, -5, 7];

fn colour(rng: &mut Rng) -> i32 {
    COLOURS[rng.usize(..3)]
}

fn maybe<T>(rng: &mut Rng, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| make(rng))
}

fn many<T>(rng: &mut Rng, make: impl Fn(&mut Rng) -> T) -> Vec<T> {
    (0..rng.usize(..4)).map(|_| make(rng)).collect()
}

fn part(rng: &mut Rng, depth: usize) -> Part {
    Part {
        name: text(rng),
        colour: maybe(rng, colour),
        rest: (depth < 3 && rng.bool()).then(|| Box::new(part(rng, depth + 1))),
        more: if depth < 2 {
            many(rng, |rng| part(rng, depth + 1))
        } else {
            Vec::new()
        },
    }
}

fn everything(rng: &mut Rng) -> Everything {
    Everything {
        id: integer(rng),
        text: maybe(rng, text),
        parts: many(rng, |rng| part(rng, 0)),
        // Of a member that is as by default, prost writes the key alone: a name that has to be there is not.
        named: many(rng, |rng| (text(rng), part(rng, 1)))
            .into_iter()
            .filter(|(_, part)| *part != Part::default())
            .collect(),
        colours: many(rng, |rng| (rng.i32(..), colour(rng))).into_iter().collect(),
        palette: many(rng, colour),
        packed: many(rng, colour),
        colour: maybe(rng, colour),
        how: match rng.u8(..4) {
            0 => Some(How::Part(part(rng, 1))),
            1 => Some(How::Paint(colour(rng))),
            2 => Some(How::Word(text(rng))),
            _ => None,
        },
        numbers: many(rng, |rng| rng.i32(..)),
        blob: maybe(rng, |rng| many(rng, |rng| rng.u8(..))),
        ratio: maybe(rng, Rng::f64),
        codes: many(rng, |rng| rng.u64(..)),
    }
}

/// Bytes as the fields of a message.
#[derive(Clone)]
struct Tree(Vec<(u32, Node)>);

#[derive(Clone)]
enum Node {
    Varint(u64),
    /// A wire type and bytes of no interest.
    Other(u32, Vec<u8>),
    Message(Of, Tree),
    Packed(Vec<u64>),
}

/// The messages of the file, and those that its maps are made of.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Everything,
    Part,
    Named,
    Colours,
}

impl Of {
    fn inner(self, number: u32) -> Option<Self> {
        match (self, number) {
            (Self::Everything, 3 | 9) | (Self::Part, 3 | 4) | (Self::Named, 2) => Some(Self::Part),
            (Self::Everything, 4) => Some(Self::Named),
            (Self::Everything, 5) => Some(Self::Colours),
            _ => None,
        }
    }

    fn is_enum(self, number: u32) -> bool {
        matches!((self, number), (Self::Everything, 6 | 7 | 8 | 10) | (Self::Part | Self::Colours, 2))
    }

    /// The name of a field, and whether its pointer has the place in a list or a star for the key of a map.
    fn name(self, number: u32) -> (&'static str, &'static str) {
        match (self, number) {
            (Self::Everything, 3) => ("/parts", "list"),
            (Self::Everything, 4) => ("/named", "map"),
            (Self::Everything, 5) => ("/colours", "map"),
            (Self::Everything, 6) => ("/palette", "list"),
            (Self::Everything, 7) => ("/packed", "list"),
            (Self::Everything, 9) => ("/part", ""),
            (Self::Everything, 10) => ("/paint", ""),
            (Self::Everything, 8) | (Self::Part, 2) => ("/colour", ""),
            (Self::Part, 3) => ("/rest", ""),
            (Self::Part, 4) => ("/more", "list"),
            _ => ("", ""),
        }
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    prost::encoding::decode_varint(bytes).expect("a number")
}

fn parsed(mut bytes: &[u8], of: Of) -> Tree {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = u32::try_from(varint(&mut bytes)).expect("a field");
        let (number, wire) = (key >> 3, key & 7);
        let mut take = |count: usize| {
            let (taken, left) = bytes.split_at(count);
            bytes = left;
            taken
        };
        let node = match wire {
            0 => Node::Varint(varint(&mut bytes)),
            1 => Node::Other(1, take(8).to_vec()),
            5 => Node::Other(5, take(4).to_vec()),
            _ => {
                let length = usize::try_from(varint(&mut bytes)).expect("a length");
                let (mut inner, left) = bytes.split_at(length);
                bytes = left;
                match of.inner(number) {
                    Some(message) => Node::Message(message, parsed(inner, message)),
                    None if of.is_enum(number) => {
                        let mut all = Vec::new();
                        while !inner.is_empty() {
                            all.push(varint(&mut inner));
                        }
                        Node::Packed(all)
                    }
                    None => Node::Other(2, inner.to_vec()),
                }
            }
        };
        fields.push((number, node));
    }
    Tree(fields)
}

fn written(tree: &Tree) -> Vec<u8> {
    let put = |bytes: &mut Vec<u8>, number: u64| prost::encoding::encode_varint(number, bytes);
    let mut bytes = Vec::new();
    for (number, node) in &tree.0 {
        let (wire, mut inner) = match node {
            Node::Varint(_) => (0, Vec::new()),
            Node::Other(wire, inner) => (*wire, inner.clone()),
            Node::Message(_, inner) => (2, written(inner)),
            Node::Packed(numbers) => {
                let mut inner = Vec::new();
                for number in numbers {
                    put(&mut inner, *number);
                }
                (2, inner)
            }
        };
        put(&mut bytes, u64::from(number << 3 | wire));
        match (node, wire) {
            (Node::Varint(number), _) => put(&mut bytes, *number),
            (_, 2) => put(&mut bytes, inner.len() as u64),
            _ => {}
        }
        bytes.append(&mut inner);
    }
    bytes
}

/// What may be done to a message.
#[derive(Clone, Copy, PartialEq)]
enum Spoil {
    /// A field that nobody declared.
    Unknown,
    /// A number that an enum has not.
    Enum,
    /// A field that has to be there is not.
    Missing,
}

/// Every way to spoil a message, with the pointer of the place that was.
fn spoilt(tree: &Tree, of: Of, at: &str, how: Spoil) -> Vec<(String, Tree)> {
    let mut found = Vec::new();
    if how == Spoil::Unknown {
        let mut more = tree.clone();
        more.0.insert(tree.0.len() / 2, (77, Node::Other(2, b"secret".to_vec())));
        found.push((at.to_owned(), more));
    }
    if how == Spoil::Missing && matches!(of, Of::Everything | Of::Part) {
        let mut less = tree.clone();
        less.0.retain(|(number, _)| *number != 1);
        let name = if of == Of::Part { "name" } else { "id" };
        found.push((format!("{at}/{name}"), less));
    }
    let mut items: BTreeMap<u32, usize> = BTreeMap::new();
    for (place, (number, node)) in tree.0.iter().enumerate() {
        let (name, kind) = of.name(*number);
        let item = items.entry(*number).or_default();
        let pointer = match kind {
            "list" => format!("{at}{name}/{item}"),
            "map" => format!("{at}{name}/*"),
            _ => format!("{at}{name}"),
        };
        *item += 1;
        let mut with = |pointer: String, node: Node| {
            let mut other = tree.clone();
            other.0[place].1 = node;
            found.push((pointer, other));
        };
        match node {
            Node::Message(inner, tree) => {
                for (pointer, tree) in spoilt(tree, *inner, &pointer, how) {
                    with(pointer, Node::Message(*inner, tree));
                }
            }
            Node::Varint(_) if how == Spoil::Enum && of.is_enum(*number) => {
                for wrong in [0, 2, 99, u64::MAX] {
                    with(pointer.clone(), Node::Varint(wrong));
                }
            }
            Node::Packed(numbers) if how == Spoil::Enum => {
                for at_item in 0..numbers.len() {
                    let mut wrong = numbers.clone();
                    wrong[at_item] = 3;
                    with(format!("{at}{name}/{at_item}"), Node::Packed(wrong));
                }
            }
            Node::Varint(_) | Node::Packed(_) | Node::Other(..) => {}
        }
    }
    found
}

fn sent(bytes: &[u8]) -> Message {
    Message::new("everything", bytes.to_vec()).with_header("event-type", "Everything")
}

#[test]
fn whole_messages_are_allowed_and_decode_to_themselves_with_what_nobody_declared_and_without() {
    let (mut rng, events) = (rng(), EverythingEvents::new().unwrap());
    let checked = events.clone().checked_decode().unwrap();
    let strict = checked.clone().strict().unwrap();
    let mut tried = 0;
    for _ in 0..150 {
        let good = everything(&mut rng);
        let event = || Spoilt {
            good: good.clone(),
            instead: None,
        };
        let made = message(&events, event()).unwrap();
        assert_eq!(strict.decode(&made).unwrap(), EverythingEvent::Spoilt(event()));
        let tree = parsed(made.payload().unwrap(), Of::Everything);
        assert_eq!(written(&tree), made.payload().unwrap());
        for (pointer, tree) in spoilt(&tree, Of::Everything, "", Spoil::Unknown) {
            let more = sent(&written(&tree));
            assert_eq!(checked.decode(&more).unwrap(), EverythingEvent::Spoilt(event()), "{pointer}");
            let refused = strict.decode(&more).unwrap_err();
            assert_eq!(refused.kind(), DecodeErrorKind::Refused);
            assert_eq!(refused.violations()[0].pointer(), format!("{pointer}/*"));
            assert!(!format!("{refused} {refused:?}").contains("secret"));
            tried += 1;
        }
    }
    assert!(tried > 300, "only {tried} messages with more in them");
}

#[test]
fn any_mutation_that_the_file_forbids_is_refused_at_its_place() {
    let (mut rng, events) = (rng(), EverythingEvents::new().unwrap());
    let mut tried = [0; 3];
    for _ in 0..60 {
        let good = everything(&mut rng);
        let bytes = prost::Message::encode_to_vec(&good);
        let tree = parsed(&bytes, Of::Everything);
        for (count, how) in [Spoil::Unknown, Spoil::Enum, Spoil::Missing].into_iter().enumerate() {
            for (pointer, tree) in spoilt(&tree, Of::Everything, "", how) {
                let bad = Spoilt {
                    good: good.clone(),
                    instead: Some(written(&tree)),
                };
                let refused = message(&events, bad).expect_err(&pointer);
                assert_eq!(refused.kind(), EnqueueErrorKind::Refused, "{pointer}");
                let told: Vec<_> = refused.violations().iter().map(eventferry::codec::Violation::pointer).collect();
                let pointer = if how == Spoil::Unknown { format!("{pointer}/*") } else { pointer };
                assert_eq!(told, [pointer.as_str()], "{refused}");
                tried[count] += 1;
            }
        }
    }
    assert!(tried.iter().all(|tried| *tried > 100), "only {tried:?} mutations");
}

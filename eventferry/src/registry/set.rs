//! A set of events as data: one entry for each event, checked while the program is compiled.

use std::fmt;

use crate::codec::{Checker, CodecError, Contract, History, Version, VersionError, Versions, Wire};
use crate::event::OutboxEvent;
use crate::event::check::{check_label, check_topic, check_upcast, check_version};
use crate::registry::EventSet;
use crate::schema::Schema;

/// An event that can stand in a set: it owns its data, and every version of it can be read and described.
///
/// Implemented for every such event; nothing to write.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be listed in `define_outbox!`",
    note = "a listed event derives `OutboxEvent`, and what its format needs",
    note = "JSON needs `#[derive(serde::Deserialize, schemars::JsonSchema)]`",
    note = "Avro needs `#[derive(serde::Deserialize, apache_avro::AvroSchema)]`, or `#[derive(serde::Serialize, serde::Deserialize)]` and a file: `schema = \"…\"`",
    note = "Protobuf needs `#[derive(prost::Message)]` and a file: `schema = \"…\"`",
    note = "a format of your own needs `impl Decode<'_, {Self}>` and `impl Describe<{Self}>`, both of `eventferry::codec`"
)]
pub trait Listable: OutboxEvent + for<'de> Versions<'de> + History {}

impl<E> Listable for E where E: OutboxEvent + for<'de> Versions<'de> + History {}

/// Reads a payload of a version and a media type as the enum of the set.
type DecodeAs<S> = fn(u32, Wire<'_>) -> Result<S, VersionError>;

/// What a set knows of one of its events.
#[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/entry.md"))]
pub struct Entry<S> {
    pub(crate) variant: &'static str,
    pub(crate) topic: &'static str,
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) decode: DecodeAs<S>,
    pub(crate) history: fn(&mut Vec<Version>),
    pub(crate) registered: fn() -> Option<Schema>,
    pub(crate) checker: fn(Contract) -> Result<Checker, CodecError>,
}

impl<S> Entry<S> {
    /// The entry of an event, under the name of its variant.
    ///
    /// # Panics
    /// While compiling, if a name of the event is not valid.
    #[track_caller]
    pub const fn of<E>(variant: &'static str) -> Self
    where
        E: Listable,
        S: From<E>,
    {
        if !E::CHECKED {
            check_topic(E::TOPIC);
            check_label(E::NAME);
            check_label(E::AGGREGATE_TYPE);
            check_version(E::VERSION);
            if let Some((name, version)) = <E as History>::BEFORE {
                check_upcast(E::NAME, E::VERSION, name, version);
            }
        }
        let () = <E as History>::DESCENDS;
        Self {
            variant,
            topic: E::TOPIC,
            name: E::NAME,
            version: E::VERSION,
            decode: |version, wire| E::decode_version(version, wire).map(S::from),
            history: <E as History>::history,
            registered: <E as History>::registered,
            checker: <E as History>::checker,
        }
    }

    /// The topic the event is sent to.
    pub const fn topic(&self) -> &'static str {
        self.topic
    }

    /// The event's name on the wire.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The event's version.
    pub const fn version(&self) -> u32 {
        self.version
    }
}

impl<S> fmt::Debug for Entry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("variant", &self.variant)
            .field("topic", &self.topic)
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// How many different topics a set has.
pub(crate) const fn count_topics<S: EventSet>() -> usize {
    let entries = S::ENTRIES;
    let hashes = hashes_of(entries);
    let (mut count, mut i) = (0, 0);
    while i < entries.len() {
        if first_of_topic(entries, &hashes, i) {
            count += 1;
        }
        i += 1;
    }
    count
}

/// The different topics of a set, in the order of its enum.
pub(crate) const fn collect_topics<S: EventSet, const N: usize>() -> [&'static str; N] {
    let entries = S::ENTRIES;
    let hashes = hashes_of(entries);
    let mut topics = [""; N];
    let (mut count, mut i) = (0, 0);
    while i < entries.len() {
        if first_of_topic(entries, &hashes, i) {
            topics[count] = entries[i].topic;
            count += 1;
        }
        i += 1;
    }
    topics
}

/// The most events of a set whose hashes are computed once; beyond it they are computed as they are needed.
const HASHED: usize = 1024;

/// Hashes of topics and of names. Texts of one length are told apart by their hash first: comparing all pairs of a few hundred names byte
/// by byte runs into the compiler's limit for constant evaluation.
struct Hashes([(u64, u64); HASHED]);

const fn hashes_of<S>(entries: &[Entry<S>]) -> Hashes {
    let mut hashes = [(0, 0); HASHED];
    let mut i = 0;
    while i < entries.len() && i < HASHED {
        hashes[i] = (hash(entries[i].topic), hash(entries[i].name));
        i += 1;
    }
    Hashes(hashes)
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits.
const fn hash(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}

const fn first_of_topic<S>(entries: &[Entry<S>], hashes: &Hashes, at: usize) -> bool {
    let mut i = 0;
    while i < at {
        let may_be_same = at >= HASHED || hashes.0[i].0 == hashes.0[at].0;
        if may_be_same && same(entries[i].topic, entries[at].topic) {
            return false;
        }
        i += 1;
    }
    true
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Fails to compile where two events of a set have the same topic and the same name.
#[track_caller]
pub(crate) const fn assert_distinct<S: EventSet>() {
    let entries = S::ENTRIES;
    let hashes = hashes_of(entries);
    let mut at = 1;
    while at < entries.len() {
        let mut i = 0;
        while i < at {
            let may_be_same = at >= HASHED || (hashes.0[i].0 == hashes.0[at].0 && hashes.0[i].1 == hashes.0[at].1);
            if may_be_same && same(entries[i].topic, entries[at].topic) && same(entries[i].name, entries[at].name) {
                let text = Text::new()
                    .add("`")
                    .add(S::NAME)
                    .add("` cannot tell `")
                    .add(entries[i].variant)
                    .add("` and `")
                    .add(entries[at].variant)
                    .add("` apart: both are `")
                    .add(entries[at].name)
                    .add("` on topic `")
                    .add(entries[at].topic)
                    .add("`; give one another `name`");
                panic!("{}", text.as_str());
            }
            i += 1;
        }
        at += 1;
    }
}

/// A text built while compiling; what does not fit is cut off.
struct Text {
    bytes: [u8; 512],
    len: usize,
}

impl Text {
    const fn new() -> Self {
        Self { bytes: [0; 512], len: 0 }
    }

    const fn add(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        if self.len + text.len() <= self.bytes.len() {
            let mut i = 0;
            while i < text.len() {
                self.bytes[self.len + i] = text[i];
                i += 1;
            }
            self.len += text.len();
        }
        self
    }

    const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "two events of the set have the same topic and the same name",
        }
    }
}

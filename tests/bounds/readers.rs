//! Every way in which bytes that came from outside are read.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use eventferry::codec::{CodecError, PayloadCipher, Sealed};
use eventferry::event::CloudEvent;
use eventferry::registry::Resolver;
use eventferry::schema::memory::MemoryRegistry;
use eventferry::schema::{Schema, SchemaKind, Subject};
use eventferry::{IncomingMessage, Message};

use crate::events::{Thing, Things};

/// What a format's payloads travel as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Avro,
    Proto,
}

impl Format {
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::Avro, Self::Proto];

    fn topic(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Avro => "avro",
            Self::Proto => "proto",
        }
    }

    /// Where its event stands in the set, and the schema of it among those of the registry.
    fn place(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Avro => 1,
            Self::Proto => 2,
        }
    }

    fn event(self) -> &'static str {
        match self {
            Self::Json => "AsJson",
            Self::Avro => "AsAvro",
            Self::Proto => "AsProto",
        }
    }
}

/// A way of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Plain,
    Checked,
    Strict,
    Both,
    Masked,
    /// Written by others with our own schema.
    Framed,
    /// Written by others with a schema of theirs, whose payloads begin as ours do.
    Foreign,
    Decrypted,
    CloudEvent,
}

impl Way {
    pub(crate) const ALL: [Self; 9] = [
        Self::Plain,
        Self::Checked,
        Self::Strict,
        Self::Both,
        Self::Masked,
        Self::Framed,
        Self::Foreign,
        Self::Decrypted,
        Self::CloudEvent,
    ];
}

/// What others write Avro with: a record of no bytes where ours has eight fields, and a field that we do not have.
const THEIRS: &str = r#"{"type":"record","name":"AsAvro","fields":[{"name":"id","type":"long"},
    {"name":"wides","type":{"type":"array","items":{"type":"record","name":"Wide","fields":[]}}},
    {"name":"more","type":{"type":"array","items":{"type":"record","name":"More","fields":[
        {"name":"a","type":["null","long"]},{"name":"b","type":["null","long"]},{"name":"c","type":["null","More"]}]}}},
    {"name":"parts","type":{"type":"array","items":{"type":"record","name":"Part","fields":[
        {"name":"name","type":"string"},{"name":"count","type":"int"},
        {"name":"kind","type":["null",{"type":"enum","name":"Kind","symbols":["Small","Large"]}]},
        {"name":"rest","type":["null",{"type":"array","items":"Part"}]}]}}},
    {"name":"named","type":{"type":"map","values":"long"}},
    {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":4}},
    {"name":"blob","type":"bytes"}]}"#;

/// Nothing is hidden: what a payload may cost once it was decrypted is the question.
struct Open;

impl PayloadCipher for Open {
    fn seal(&self, _: &[u8], payload: &[u8]) -> Result<Sealed, CodecError> {
        Ok(Sealed::new("none", payload.to_vec()))
    }

    fn open(&self, _: &str, _: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(sealed.to_vec())
    }
}

pub(crate) struct Readers {
    plain: Things,
    checked: Things,
    strict: Things,
    both: Things,
    encrypted: Things,
    resolver: Resolver<Thing, MemoryRegistry>,
}

impl Readers {
    pub(crate) fn new() -> Self {
        let plain = Things::new().expect("as it was made");
        let checked = plain.clone().checked_decode().expect("as it was made");
        let registry = MemoryRegistry::new();
        let ours = Things::schemas().into_iter().filter_map(|schema| schema.registered);
        let theirs = [
            Schema::new(SchemaKind::Json, "AsJson", r#"{"title":"AsJson"}"#),
            Schema::new(SchemaKind::Avro, "AsAvro", THEIRS),
            Schema::new(
                SchemaKind::Protobuf,
                "p.AsProto",
                "syntax = \"proto3\"; package p; message AsProto { int64 id = 1; }",
            ),
        ];
        for (at, schema) in (1..).zip(ours.chain(theirs)) {
            assert_eq!(registry.register(&Subject::new(format!("s{at}")), &schema).get(), at);
        }
        Self {
            strict: plain.clone().strict().expect("as it was made"),
            both: checked.clone().strict().expect("as it was made"),
            encrypted: plain.clone().encrypted(Open),
            resolver: checked.resolving(registry),
            checked,
            plain,
        }
    }

    /// The message that a payload comes as.
    pub(crate) fn message(format: Format, way: Way, payload: &[u8]) -> Message {
        let framed = |first: u8| {
            let mut bytes = vec![0, 0, 0, 0, first + format.place()];
            if format == Format::Proto {
                bytes.push(0);
            }
            bytes.extend_from_slice(payload);
            Message::new(format.topic(), bytes)
        };
        let message = || Message::new(format.topic(), payload);
        match way {
            Way::Plain | Way::Checked | Way::Strict | Way::Both | Way::Masked => message().with_header("event-type", format.event()),
            Way::Framed => framed(1),
            Way::Foreign => framed(4),
            Way::Decrypted => message()
                .with_header("event-type", format.event())
                .with_header("event-key-id", "none"),
            Way::CloudEvent => message().with_header("ce_type", format.event()),
        }
    }

    /// Whether the message was read.
    pub(crate) fn read(&self, way: Way, message: &Message) -> bool {
        match way {
            Way::Plain => self.plain.decode(message).is_ok(),
            Way::Checked => self.checked.decode(message).is_ok(),
            Way::Strict => self.strict.decode(message).is_ok(),
            Way::Both => self.both.decode(message).is_ok(),
            Way::Masked => self.plain.masked(message) != "\"***\"",
            Way::Framed | Way::Foreign => now(self.resolver.decode(message)).is_ok(),
            Way::Decrypted => {
                let decrypted = self.encrypted.decrypted(message).expect("as it was made");
                assert_eq!(decrypted.payload().map(<[u8]>::len), message.payload().map(<[u8]>::len));
                self.encrypted.decode(&decrypted).is_ok()
            }
            Way::CloudEvent => self.plain.decode(&CloudEvent(message)).is_ok(),
        }
    }
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found,
        Poll::Pending => panic!("a registry in memory never waits"),
    }
}

//! `.proto` files that import others, that are written in `proto2`, and that are none.

use std::collections::HashMap;

use eventferry::store::memory::MemoryStore;
use eventferry::{EnqueueErrorKind, OutboxEvent, define_outbox};
use prost_types::{Any, Duration, FieldMask, Struct, Timestamp, Value};

use crate::formats::{now, only_message, refusal};

/// Each of Google's own types, as prost has it.
#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(
    topic = "files",
    aggregate_type = "file",
    format = "protobuf",
    schema = "derive/schemas/files/known.proto"
)]
struct Known {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    at: Option<Timestamp>,
    #[prost(message, repeated, tag = "3")]
    waits: Vec<Duration>,
    #[prost(map = "string, message", tag = "4")]
    seen: HashMap<String, Timestamp>,
    #[prost(message, optional, tag = "5")]
    more: Option<Struct>,
    #[prost(message, optional, tag = "6")]
    any: Option<Any>,
    #[prost(message, optional, tag = "7")]
    nothing: Option<()>,
    #[prost(message, optional, tag = "8")]
    mask: Option<FieldMask>,
    #[prost(enumeration = "prost_types::NullValue", tag = "9")]
    null: i32,
    #[prost(oneof = "Until", tags = "10, 11")]
    until: Option<Until>,
    #[prost(message, optional, tag = "12")]
    text: Option<String>,
    #[prost(message, optional, tag = "13")]
    blob: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    on: Option<bool>,
    #[prost(message, optional, tag = "15")]
    small: Option<i32>,
    #[prost(message, optional, tag = "16")]
    large: Option<i64>,
    #[prost(message, optional, tag = "17")]
    count: Option<u32>,
    #[prost(message, optional, tag = "18")]
    size: Option<u64>,
    #[prost(message, optional, tag = "19")]
    ratio: Option<f32>,
    #[prost(message, optional, tag = "20")]
    share: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Until {
    #[prost(message, tag = "10")]
    End(Timestamp),
    #[prost(message, tag = "11")]
    Length(Duration),
}

define_outbox! {
    type KnownEvents;
    #[derive(Debug, PartialEq)]
    enum KnownEvent { Known }
}

#[test]
fn google_s_own_types_are_imported_written_and_read() {
    let (store, events) = (MemoryStore::new(), KnownEvents::new().unwrap());
    let at = Timestamp {
        seconds: -1,
        nanos: 999_999_999,
    };
    let list = Value::from(vec![Value::from(1.5), Value::from("text"), Value::from(true)]);
    let event = Known {
        id: "7".to_owned(),
        at: Some(at),
        waits: vec![Duration { seconds: 1, nanos: 2 }, Duration::default()],
        seen: HashMap::from([("a".to_owned(), at)]),
        more: Some(Struct {
            fields: [("list".to_owned(), list)].into(),
        }),
        any: Some(Any {
            type_url: "type.googleapis.com/files.Known".to_owned(),
            value: vec![10, 1, 97],
        }),
        nothing: Some(()),
        mask: Some(FieldMask {
            paths: vec!["a.b".to_owned()],
        }),
        null: 0,
        until: Some(Until::Length(Duration { seconds: 5, nanos: 0 })),
        text: Some(String::new()),
        blob: Some(vec![0, 255]),
        on: Some(false),
        small: Some(-1),
        large: Some(i64::MIN),
        count: Some(u32::MAX),
        size: Some(u64::MAX),
        ratio: Some(0.25),
        share: None,
    };
    let mut tx = store.begin();
    now(events.enqueue(&mut tx, event.clone())).unwrap();
    tx.commit();
    assert_eq!(events.decode(&only_message(&store)).unwrap(), KnownEvent::Known(event));
    // A registry has Google's files, so the text is all that it is given.
    let [schema] = <[_; 1]>::try_from(KnownEvents::schemas()).unwrap();
    let registered = schema.registered.unwrap();
    assert_eq!(
        (registered.name.as_str(), registered.references.as_slice()),
        ("files.Known", &[][..])
    );
    assert_eq!(registered.text, include_str!("schemas/files/known.proto"));
}

/// Whatever the file requires is an `Option` here: prost would write the others in any case.
#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = "files", aggregate_type = "file", aggregate_id = self.id.as_deref().unwrap_or("none"))]
#[outbox(format = "protobuf", schema = "derive/schemas/files/old.proto")]
struct Old {
    #[prost(string, optional, tag = "1")]
    id: Option<String>,
    #[prost(message, optional, tag = "2")]
    first: Option<Line>,
    #[prost(message, repeated, tag = "3")]
    lines: Vec<Line>,
    #[prost(map = "string, message", tag = "4")]
    named: HashMap<String, Line>,
    #[prost(group, optional, tag = "5")]
    note: Option<Note>,
    #[prost(enumeration = "State", optional, tag = "6", default = "Open")]
    state: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Line {
    #[prost(string, optional, tag = "1")]
    sku: Option<String>,
    #[prost(int32, optional, tag = "2", default = "1")]
    count: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(message, repeated, tag = "2")]
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum State {
    Open = 1,
    Shut = 2,
}

/// A message within a message of the same file.
#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = "files", aggregate_type = "file", aggregate_id = self.number)]
#[outbox(format = "protobuf", schema = "derive/schemas/files/old.proto", message = "Old.Part")]
struct Part {
    #[prost(int64, required, tag = "1")]
    number: i64,
}

define_outbox! {
    type OldEvents;
    #[derive(Debug, Clone, PartialEq)]
    enum OldEvent { Old, Part }
}

fn line(sku: Option<&str>) -> Line {
    Line {
        sku: sku.map(str::to_owned),
        count: Some(2),
    }
}

fn old() -> Old {
    Old {
        id: Some("7".to_owned()),
        first: Some(line(Some("a"))),
        lines: vec![line(Some("b"))],
        named: HashMap::from([("k".to_owned(), line(Some("c")))]),
        note: Some(Note {
            text: Some("n".to_owned()),
            lines: vec![line(Some("d"))],
        }),
        state: Some(State::Shut.into()),
    }
}

#[test]
fn a_file_of_proto2_is_written_and_read_its_groups_too() {
    let events = OldEvents::new().unwrap();
    for event in [OldEvent::Old(old()), OldEvent::Part(Part { number: 0 })] {
        let store = MemoryStore::new();
        let mut tx = store.begin();
        let draft = match event.clone() {
            OldEvent::Old(event) => events.event(event),
            OldEvent::Part(event) => events.event(event),
        };
        now(draft.enqueue(&mut tx)).unwrap();
        tx.commit();
        assert_eq!(events.decode(&only_message(&store)).unwrap(), event);
    }
    let places: Vec<_> = OldEvents::schemas()
        .into_iter()
        .map(|schema| schema.registered.unwrap().message_index)
        .collect();
    assert_eq!(places, [vec![0], vec![0, 0]]);
}

#[test]
fn what_proto2_requires_is_missed_by_its_path() {
    let (store, events) = (MemoryStore::new(), OldEvents::new().unwrap());
    let note = |note: Note| Old { note: Some(note), ..old() };
    let text = Some("n".to_owned());
    for (event, path) in [
        (Old { id: None, ..old() }, "/id"),
        (Old { first: None, ..old() }, "/first"),
        (
            Old {
                first: Some(line(None)),
                ..old()
            },
            "/first/sku",
        ),
        (
            Old {
                lines: vec![line(Some("a")), line(None)],
                ..old()
            },
            "/lines/1/sku",
        ),
        (
            Old {
                named: HashMap::from([("secret".to_owned(), line(None))]),
                ..old()
            },
            "/named/*/sku",
        ),
        (note(Note { text: None, lines: vec![] }), "/note/text"),
        (
            note(Note {
                text,
                lines: vec![line(None)],
            }),
            "/note/lines/0/sku",
        ),
    ] {
        let refused = now(events.enqueue(&mut store.begin(), event)).unwrap_err();
        assert_eq!(refused.kind(), EnqueueErrorKind::Refused);
        assert_eq!(
            refused.to_string(),
            format!("the schema of `Old` forbids this event: `{path}` must be there")
        );
    }
    // All that is missing is told, outermost first; what is only optional is not.
    let least = Old {
        lines: vec![line(None)],
        ..Old::default()
    };
    let refused = now(events.enqueue(&mut store.begin(), least)).unwrap_err();
    let told: Vec<_> = refused.violations().iter().map(eventferry::codec::Violation::pointer).collect();
    assert_eq!(told, ["/id", "/first", "/lines/0/sku"]);
    assert!(store.rows().is_empty());
}

macro_rules! refused {
    ($($name:ident $set:ident $enum:ident ($schema:literal, $message:literal) => $refusal:expr;)*) => {
        $(
            #[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
            #[outbox(topic = "files", aggregate_type = "file", format = "protobuf", schema = $schema, message = $message)]
            struct $name {
                #[outbox(aggregate_id)]
                #[prost(string, tag = "1")]
                id: String,
            }
            define_outbox! { type $set; #[derive(Debug)] enum $enum { $name } }
        )*

        #[test]
        fn a_file_that_does_not_stand_alone_or_is_none_is_refused_with_what_to_do() {
            $(assert_eq!(
                refusal($set::new()),
                format!("failed to compile the schema of `{}` version 1: {}", stringify!($name), $refusal)
            );)*
        }
    };
}

refused! {
    Own OwnEvents OwnEvent ("derive/schemas/files/own.proto", "Own") =>
        "`derive/schemas/files/own.proto` imports `files/money.proto`: a schema is one file, and only Google's own (`google/protobuf/…`) can be \
         imported. Put what it uses of `files/money.proto` into `derive/schemas/files/own.proto`";
    Google GoogleEvents GoogleEvent ("derive/schemas/files/google.proto", "Google") =>
        "`derive/schemas/files/google.proto` imports `google/protobuf/money.proto`, which Google's files have not; below `google/protobuf/` they are \
         `any`, `api`, `compiler/plugin`, `descriptor`, `duration`, `empty`, `field_mask`, `source_context`, `struct`, `timestamp`, `type`, `wrappers`";
    Misspelt MisspeltEvents MisspeltEvent ("derive/schemas/files/misspelt.proto", "Misspelt") =>
        "`derive/schemas/files/misspelt.proto` is no `.proto` file: derive/schemas/files/misspelt.proto:9:3: 'google.protobuf.TimeStamp' resolves to 'google.protobuf.TimeStamp', which is not defined";
    Forgotten ForgottenEvents ForgottenEvent ("derive/schemas/files/forgotten.proto", "Forgotten") =>
        "`derive/schemas/files/forgotten.proto` is no `.proto` file: derive/schemas/files/forgotten.proto:7:3: name 'google.protobuf.Timestamp' is not defined";
    Broken BrokenEvents BrokenEvent ("derive/schemas/files/broken.proto", "Broken") =>
        "`derive/schemas/files/broken.proto` is no `.proto` file: derive/schemas/files/broken.proto:4:13: expected '=', but found '1'";
    Edition EditionEvents EditionEvent ("derive/schemas/files/edition.proto", "Edition") =>
        "`derive/schemas/files/edition.proto` is no `.proto` file: derive/schemas/files/edition.proto:1:1: expected 'enum', 'extend', 'import', \
         'message', 'option', 'service', 'package' or ';', but found 'edition'";
    Absent AbsentEvents AbsentEvent ("derive/schemas/files/old.proto", "files.Older") =>
        "`derive/schemas/files/old.proto` has no message `files.Older`; it has `files.Old`, `files.Old.Part`, `files.Old.Note`, `files.Line`. \
         Name one with `message = \"…\"`";
    // A message of a file that is imported is none of this one's.
    Imported ImportedEvents ImportedEvent ("derive/schemas/files/known.proto", "google.protobuf.Timestamp") =>
        "`derive/schemas/files/known.proto` has no message `google.protobuf.Timestamp`; it has `files.Known`. Name one with `message = \"…\"`";
}

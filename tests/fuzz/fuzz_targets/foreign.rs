#![no_main]
//! Messages of other producers: the schemas in the registry are fixed, the first byte says which of them the rest was written with. What is
//! read is written again and read as the same, by our own schema.

use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use eventferry::Message;
use eventferry::registry::Resolver;
use eventferry::schema::memory::MemoryRegistry;
use eventferry::schema::{Schema, SchemaKind, Subject};
use eventferry_fuzz::{Thing, Things};
use libfuzzer_sys::fuzz_target;

/// What others wrote `AsAvro` with: less, more, in another order, by other names, of other types, and in no bytes at all.
const AVRO: [&str; 6] = [
    r#"{"type":"record","name":"AsAvro","fields":[{"name":"id","type":"int"}]}"#,
    r#"{"type":"record","name":"AsAvro","namespace":"com.shop","fields":[
        {"name":"extra","type":{"type":"map","values":["null","bytes",{"type":"array","items":"double"}]}},
        {"name":"named","type":{"type":"map","values":"int"}},
        {"name":"parts","type":{"type":"array","items":{"type":"record","name":"Part","fields":[
            {"name":"rest","type":["null",{"type":"array","items":"Part"}],"default":null},
            {"name":"kind","type":["null",{"type":"enum","name":"Kind","symbols":["Large","Small","Other"],"default":"Small"}]},
            {"name":"count","type":"int"},{"name":"name","type":"bytes"}]}}},
        {"name":"id","type":"long"}]}"#,
    r#"{"type":"record","name":"AsAvro","fields":[{"name":"number","type":"long"},
        {"name":"parts","type":{"type":"array","items":{"type":"record","name":"Part","fields":[]}}}]}"#,
    r#"{"type":"record","name":"AsAvro","fields":[{"name":"id","type":"long"},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":4}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"nothing","type":{"type":"array","items":"null"}}]}"#,
    r#"{"type":"record","name":"AsAvro","fields":[{"name":"id","type":["int","long","string"]},
        {"name":"blob","type":["null","string","bytes"]},{"name":"parts","type":["null",{"type":"array","items":"string"}]},
        {"name":"loop","type":{"type":"record","name":"Loop","fields":[{"name":"next","type":["null","Loop"]}]}}]}"#,
    r#"["null",{"type":"record","name":"AsAvro","fields":[{"name":"id","type":"long"}]}]"#,
];

const PROTO: &str =
    "syntax = \"proto3\";\npackage things;\nmessage Other { string id = 1; }\nmessage AsProto { int64 id = 1; bytes more = 9; }\n";

static RESOLVER: LazyLock<(Resolver<Thing, MemoryRegistry>, u8)> = LazyLock::new(|| {
    let registry = MemoryRegistry::new();
    let mut ids = 0;
    let mut add = |schema: Schema| {
        ids += 1;
        assert_eq!(registry.register(&Subject::new(format!("s{ids}")), &schema).get(), u32::from(ids));
    };
    Things::schemas()
        .into_iter()
        .filter_map(|schema| schema.registered)
        .for_each(&mut add);
    AVRO.iter().for_each(|text| add(Schema::new(SchemaKind::Avro, "AsAvro", *text)));
    add(Schema::new(SchemaKind::Json, "AsJson", r#"{"title":"AsJson"}"#));
    add(Schema::new(SchemaKind::Protobuf, "things.AsProto", PROTO));
    let checked = Things::new().expect("schemas").checked_decode().expect("schemas");
    (checked.resolving(registry), ids)
});

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found,
        Poll::Pending => panic!("a registry in memory never waits"),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    let (resolver, ids) = &*RESOLVER;
    // One more than there are: an id that nobody knows.
    let id = which % (ids + 1) + 1;
    let topic = ["json", "avro", "proto"][usize::from(which / 64 % 3)];
    match now(resolver.decode(&Message::new(topic, [&[0, 0, 0, 0, id], rest].concat()))) {
        Ok(event) => assert!(!format!("{event:?}").is_empty()),
        Err(error) => assert!(!error.to_string().is_empty() && !error.is_retryable(), "{error}"),
    }
});

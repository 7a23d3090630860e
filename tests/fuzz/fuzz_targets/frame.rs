#![no_main]
//! A schema registry's frame: what is taken off and put on again is the same.

use eventferry::schema::{Schema, SchemaKind, frame};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((id, rest)) = frame::take(data) else { return };
    let plain = Schema::new(SchemaKind::Avro, "a", "");
    assert_eq!(frame::put(id, &plain, rest), data);
    if let Some((index, payload)) = frame::take_message_index(rest) {
        let mut schema = Schema::new(SchemaKind::Protobuf, "a", "");
        schema.message_index = index.clone();
        let framed = frame::put(id, &schema, payload);
        let (_, again) = frame::take(&framed).expect("a frame");
        assert_eq!(frame::take_message_index(again).expect("a place"), (index, payload));
    }
});

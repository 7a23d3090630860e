#![no_main]
//! Messages with any headers at all: names and values parted by a byte 0.

use std::sync::LazyLock;

use eventferry::Message;
use eventferry::consume::trace_context;
use eventferry_fuzz::Things;
use libfuzzer_sys::fuzz_target;

static EVENTS: LazyLock<Things> = LazyLock::new(|| Things::new().expect("schemas"));

const NAMES: [&str; 10] = [
    "event-type",
    "event-version",
    "content-type",
    "traceparent",
    "tracestate",
    "message-id",
    "event-position",
    "event-schema-id",
    "event-time",
    "dlq-original-topic",
];

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == 0);
    let mut message = Message::new("avro", parts.next().unwrap_or_default());
    for (at, value) in parts.enumerate() {
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let name = value
            .chars()
            .next()
            .map_or(NAMES[at % NAMES.len()], |first| NAMES[first as usize % NAMES.len()]);
        message = message.with_header(name, value.chars().skip(1).collect::<String>());
    }
    let _ = trace_context(&message);
    if let Err(error) = EVENTS.decode(&message) {
        let _ = error.to_string();
    }
});

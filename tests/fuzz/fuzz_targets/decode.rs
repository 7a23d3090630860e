#![no_main]
//! Payloads: the first byte says as which event the rest is decoded. What a reader that checks takes is taken by every other, and is written
//! again as what such a reader takes; what is shown to people is JSON, whatever came.

use std::sync::LazyLock;

use eventferry::codec::{CodecError, Encode};
use eventferry::{DecodeError, Message, OutboxEvent};
use eventferry_fuzz::{Thing, Things};
use libfuzzer_sys::fuzz_target;

struct Readers {
    plain: Things,
    checked: Things,
    strict: Things,
    both: Things,
}

static READERS: LazyLock<Readers> = LazyLock::new(|| {
    let plain = Things::new().expect("schemas");
    let checked = plain.clone().checked_decode().expect("schemas");
    let strict = plain.clone().strict().expect("schemas");
    let both = checked.clone().strict().expect("schemas");
    Readers {
        plain,
        checked,
        strict,
        both,
    }
});

fn encoded<E: OutboxEvent<Format: Encode<E>>>(event: &E) -> Result<Vec<u8>, CodecError> {
    E::Format::encode(event)
}

/// Whether it was read; an error has to have a text.
fn read(found: Result<Thing, DecodeError>) -> Option<Thing> {
    found.inspect_err(|error| assert!(!error.to_string().is_empty())).ok()
}

fuzz_target!(|data: &[u8]| {
    let Some((which, payload)) = data.split_first() else { return };
    let (topic, name) = [("json", "AsJson"), ("avro", "AsAvro"), ("proto", "AsProto")][usize::from(which % 3)];
    let message = |payload: &[u8]| Message::new(topic, payload).with_header("event-type", name);
    let (sent, readers) = (message(payload), &*READERS);
    let shown = readers.plain.masked(&sent);
    assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{shown}");
    let plain = read(readers.plain.decode(&sent));
    let checked = read(readers.checked.decode(&sent));
    let strict = read(readers.strict.decode(&sent));
    let both = read(readers.both.decode(&sent));
    assert!(plain.is_some() || (checked.is_none() && strict.is_none()));
    assert_eq!(both.is_some(), checked.is_some() && strict.is_some());
    let Some(event) = checked else { return };
    let again = match &event {
        Thing::AsJson(event) => encoded(event),
        Thing::AsAvro(event) => encoded(event),
        Thing::AsProto(event) => encoded(event),
    };
    let again = again.expect("what was read can be written");
    let again = readers.both.decode(&message(&again)).expect("what is written is allowed");
    // As texts, because a number that is none is not equal to itself; and prost leaves out a zero whatever its sign is.
    let shown = |event: &Thing| format!("{event:?}").replace("ratio: -0.0,", "ratio: 0.0,");
    assert_eq!(shown(&again), shown(&event));
});

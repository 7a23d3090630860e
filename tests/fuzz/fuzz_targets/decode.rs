#![no_main]
//! Payloads: the first byte says as which event the rest is decoded. What decodes is written again and must then be allowed.

use std::sync::LazyLock;

use eventferry::Message;
use eventferry_fuzz::{Thing, Things};
use libfuzzer_sys::fuzz_target;

static EVENTS: LazyLock<(Things, Things)> = LazyLock::new(|| {
    let events = Things::new().expect("schemas");
    (events.clone(), events.checked_decode().expect("schemas"))
});

fuzz_target!(|data: &[u8]| {
    let Some((which, payload)) = data.split_first() else { return };
    let (topic, name) = [("json", "AsJson"), ("avro", "AsAvro"), ("proto", "AsProto")][usize::from(which % 3)];
    let message = Message::new(topic, payload).with_header("event-type", name);
    let (plain, checked) = &*EVENTS;
    if let Err(error) = checked.decode(&message) {
        let _ = error.to_string();
    }
    match plain.decode(&message) {
        Ok(Thing::AsJson(event)) => drop(plain.event(event)),
        Ok(Thing::AsAvro(event)) => drop(plain.event(event)),
        Ok(Thing::AsProto(event)) => drop(plain.event(event)),
        Err(error) => drop(error.to_string()),
    }
});

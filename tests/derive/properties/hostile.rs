//! Bytes that nobody meant: random, cut, changed, nested and with lengths that promise what is not there.

use std::time::{Duration, Instant};

use eventferry::{DecodeErrorKind, Message};
use fastrand::Rng;

use super::{ThingEvents, as_avro, as_json, as_proto, message, rng};

const EVENTS: [&str; 3] = ["AsJson", "AsAvro", "AsProto"];

fn sent(event: &str, payload: Vec<u8>) -> Message {
    Message::new("things", payload).with_header("event-type", event)
}

fn spoil(rng: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..rng.usize(1..4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.usize(..bytes.len());
        match rng.u8(..4) {
            0 => bytes.truncate(at),
            1 => bytes[at] = rng.u8(..),
            2 => bytes.insert(at, rng.u8(..)),
            // The most that a number of variable length can say.
            _ => drop(bytes.splice(at..=at, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])),
        }
    }
    bytes
}

#[test]
fn spoilt_payloads_are_errors_or_events_and_never_a_panic() {
    let (mut rng, events) = (rng(), ThingEvents::new().unwrap());
    let checked = events.clone().checked_decode().unwrap();
    for round in 0..900 {
        let good = match round % 3 {
            0 => message(&events, as_json(&mut rng)),
            1 => message(&events, as_avro(&mut rng)),
            _ => message(&events, as_proto(&mut rng)),
        };
        let payload = eventferry::IncomingMessage::payload(&good.unwrap()).unwrap().to_vec();
        let random: Vec<u8> = (0..rng.usize(..200)).map(|_| rng.u8(..)).collect();
        for bytes in [spoil(&mut rng, payload), random] {
            for event in EVENTS {
                for events in [&events, &checked] {
                    if let Err(error) = events.decode(&sent(event, bytes.clone())) {
                        let kind = error.kind();
                        assert!(matches!(kind, DecodeErrorKind::Undecodable | DecodeErrorKind::Refused), "{error}");
                    }
                }
            }
        }
    }
}

/// How long an Avro reader that believes it would be busy, or how much memory it would ask for, makes the test fail by itself.
#[test]
fn lengths_that_promise_what_is_not_there_are_refused_at_once() {
    let events = ThingEvents::new().unwrap();
    let started = Instant::now();
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    // The id, then an array that says it has 2^63 - 1 parts; the same as a block with a size; and one part with a text of that length.
    let claims: [&[&[u8]]; 4] = [
        &[&[0], &huge],
        &[&[0], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], &huge],
        &[&[0], &[2], &huge],
        &[&[0], &[0], &huge],
    ];
    for claim in claims {
        let error = events.decode(&sent("AsAvro", claim.concat())).unwrap_err();
        assert_eq!(error.kind(), DecodeErrorKind::Undecodable);
    }
    // Parts within parts within parts, and as many brackets.
    let nested = [[0].as_slice(), &[2, 0, 0, 0, 2].repeat(100_000)].concat();
    assert_eq!(
        events.decode(&sent("AsAvro", nested)).unwrap_err().kind(),
        DecodeErrorKind::Undecodable
    );
    let nested = format!(r#"{{"id":1,"parts":{}"#, r#"[{"name":"","count":0,"rest":"#.repeat(100_000));
    assert_eq!(
        events.decode(&sent("AsJson", nested.into_bytes())).unwrap_err().kind(),
        DecodeErrorKind::Undecodable
    );
    let mut nested = Vec::new();
    for _ in 0..2_000 {
        let mut outer = vec![0x1a];
        let mut length = nested.len();
        while length >= 0x80 {
            outer.push(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        outer.push(length.to_le_bytes()[0]);
        outer.append(&mut nested);
        nested = outer;
    }
    nested[0] = 0x12;
    assert_eq!(
        events.decode(&sent("AsProto", nested)).unwrap_err().kind(),
        DecodeErrorKind::Undecodable
    );
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// Found by the fuzz target `decode`: prost leaves out a zero without asking for its sign, which Protobuf would have it do.
#[test]
fn a_negative_zero_that_may_be_left_out_of_protobuf_loses_its_sign() {
    let events = ThingEvents::new().unwrap();
    let read = |payload: Vec<u8>| events.decode_as::<super::AsProto>(&sent("AsProto", payload)).unwrap();
    let first = read([&[0x21][..], &(-0.0_f64).to_le_bytes()].concat());
    assert!(first.ratio.is_sign_negative());
    let again = message(&events, first).unwrap();
    let again = read(eventferry::IncomingMessage::payload(&again).unwrap().to_vec());
    assert_eq!(again.ratio.to_bits(), 0);
}

//! Numbers that are infinite or none: JSON has no form for them, the binary formats have.

use std::collections::BTreeMap;

use eventferry::{EnqueueErrorKind, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AsAvro, AsProto, ThingEvent, ThingEvents, as_avro, as_proto, message, rng};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Form {
    #[default]
    Nothing,
    One(f64),
    Two(u8, f32),
    Named {
        value: Option<f64>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how")]
enum Tagged {
    Exactly { value: Option<f64> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Loose {
    Number(Option<f32>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Newtype(Option<f64>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "things", aggregate_type = "thing")]
struct Measured {
    #[outbox(aggregate_id)]
    id: u64,
    plain: f64,
    perhaps: Option<f32>,
    list: Vec<Option<f64>>,
    pair: (u8, Option<f64>),
    by_name: BTreeMap<String, Option<f64>>,
    form: Form,
    tagged: Option<Tagged>,
    loose: Option<Loose>,
    newtype: Option<Newtype>,
    next: Option<Box<Measured>>,
}

define_outbox! {
    type MeasuredEvents;
    #[derive(Debug, PartialEq)]
    enum MeasuredEvent {
        Measured,
    }
}

const BEYOND: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// `serde_json` writes `null` for them, which is `None` to the reader of an `Option`: nobody would ever know.
#[test]
fn json_refuses_numbers_it_has_no_form_for_wherever_they_stand() {
    let events = MeasuredEvents::new().unwrap();
    for beyond in BEYOND {
        #[expect(clippy::cast_possible_truncation, reason = "neither infinity nor what is no number loses anything")]
        let small = beyond as f32;
        let of = Measured::default;
        for (pointer, event) in [
            ("/plain", Measured { plain: beyond, ..of() }),
            (
                "/perhaps",
                Measured {
                    perhaps: Some(small),
                    ..of()
                },
            ),
            (
                "/list/1",
                Measured {
                    list: vec![None, Some(beyond)],
                    ..of()
                },
            ),
            (
                "/pair/1",
                Measured {
                    pair: (0, Some(beyond)),
                    ..of()
                },
            ),
            (
                "/by_name/*",
                Measured {
                    by_name: [("secret".to_owned(), Some(beyond))].into(),
                    ..of()
                },
            ),
            (
                "/form/One",
                Measured {
                    form: Form::One(beyond),
                    ..of()
                },
            ),
            (
                "/form/Two/1",
                Measured {
                    form: Form::Two(0, small),
                    ..of()
                },
            ),
            (
                "/form/Named/value",
                Measured {
                    form: Form::Named { value: Some(beyond) },
                    ..of()
                },
            ),
            (
                "/tagged/value",
                Measured {
                    tagged: Some(Tagged::Exactly { value: Some(beyond) }),
                    ..of()
                },
            ),
            (
                "/loose",
                Measured {
                    loose: Some(Loose::Number(Some(small))),
                    ..of()
                },
            ),
            (
                "/newtype",
                Measured {
                    newtype: Some(Newtype(Some(beyond))),
                    ..of()
                },
            ),
            (
                "/next/plain",
                Measured {
                    next: Some(Box::new(Measured { plain: beyond, ..of() })),
                    ..of()
                },
            ),
        ] {
            let refused = message(&events, event).expect_err(pointer);
            assert_eq!(refused.kind(), EnqueueErrorKind::Refused, "{pointer}");
            let told: Vec<_> = refused.violations().iter().map(|one| (one.pointer(), one.reason())).collect();
            assert_eq!(told, [(pointer, "must be a finite number: JSON has no other")], "{beyond}");
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
    }
    // As large as they may be, and no number at all where there need be none.
    let fits = Measured {
        plain: f64::MIN,
        perhaps: Some(f32::MAX),
        list: vec![Some(f64::MIN_POSITIVE), None, Some(-0.0)],
        form: Form::Two(1, f32::MIN),
        ..Measured::default()
    };
    let sent = message(&events, fits.clone()).unwrap();
    assert_eq!(events.decode(&sent).unwrap(), MeasuredEvent::Measured(fits));
}

#[test]
fn avro_and_protobuf_keep_them_bit_for_bit() {
    let (mut rng, events) = (rng(), ThingEvents::new().unwrap());
    let checked = events.clone().checked_decode().unwrap();
    for beyond in BEYOND.into_iter().chain([f64::from_bits(0x7ff8_0000_dead_beef), -0.0]) {
        let sent = message(
            &events,
            AsAvro {
                ratio: beyond,
                ratio32: f32::NEG_INFINITY,
                ..as_avro(&mut rng)
            },
        )
        .unwrap();
        let ThingEvent::Avro(read) = checked.decode(&sent).unwrap() else {
            panic!("{sent:?}")
        };
        assert_eq!((read.ratio.to_bits(), read.ratio32), (beyond.to_bits(), f32::NEG_INFINITY));
        let sent = message(
            &events,
            AsProto {
                ratio: beyond,
                ..as_proto(&mut rng)
            },
        )
        .unwrap();
        let ThingEvent::Proto(read) = checked.decode(&sent).unwrap() else {
            panic!("{sent:?}")
        };
        // prost takes the zero with a sign for the default, which is not written.
        let expected = if beyond == 0.0 { 0.0 } else { beyond };
        assert_eq!(read.ratio.to_bits(), expected.to_bits());
    }
}

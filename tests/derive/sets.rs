//! Sets of events: positions under `cfg`, many events, and events of one name.

use eventferry::registry::{EventOf, EventSet};
use eventferry::{DecodeErrorKind, Message, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! events {
    ($($name:ident: $topic:literal $wire:literal),* $(,)?) => {$(
        #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
        #[outbox(topic = $topic, aggregate_type = "thing", name = $wire)]
        struct $name {
            #[outbox(aggregate_id)]
            id: u32,
        }
    )*};
}

events!(First: "one" "First", Gone: "gone" "Gone", Second: "two" "Second", Third: "one" "Third");

define_outbox! {
    type SomeEvents;

    #[derive(Debug, PartialEq)]
    enum SomeEvent {
        First,
        #[cfg(any())]
        Gone,
        #[cfg(all())]
        Second,
        /// Documented, and under another name than its type.
        Last(Third),
    }
}

#[test]
fn an_entry_that_is_configured_out_leaves_no_gap() {
    assert_eq!(SomeEvent::ENTRIES.len(), 3);
    assert_eq!(<First as EventOf<SomeEvent>>::INDEX, 0);
    assert_eq!(<Second as EventOf<SomeEvent>>::INDEX, 1);
    assert_eq!(<Third as EventOf<SomeEvent>>::INDEX, 2);
    let names: Vec<_> = SomeEvent::ENTRIES
        .iter()
        .map(|entry| (entry.name(), entry.topic(), entry.version()))
        .collect();
    assert_eq!(names, [("First", "one", 1), ("Second", "two", 1), ("Third", "one", 1)]);
    assert_eq!(SomeEvents::TOPICS, ["one", "two"], "each once, in the order of the enum");
    assert_eq!(SomeEvent::from(Third { id: 1 }), SomeEvent::Last(Third { id: 1 }));
    assert_eq!(SomeEvent::First(First { id: 1 }).event_name(), "First");
    assert_eq!(Gone { id: 1 }.aggregate_id(), "1", "what is not listed is an event all the same");
}

events!(Mail: "mail" "Sent", Parcel: "parcel" "Sent");

define_outbox! {
    type SentEvents;

    #[derive(Debug, PartialEq)]
    enum SentEvent {
        Mail,
        Parcel,
    }
}

#[test]
fn the_topic_decides_between_events_of_one_name() {
    let events = SentEvents::new().unwrap();
    let message = |topic: &str| Message::new(topic, r#"{"id":1}"#).with_header("event-type", "Sent");
    assert_eq!(events.decode(&message("mail")).unwrap(), SentEvent::Mail(Mail { id: 1 }));
    assert_eq!(events.decode(&message("parcel")).unwrap(), SentEvent::Parcel(Parcel { id: 1 }));
    let error = events.decode(&message("other")).unwrap_err();
    assert_eq!((error.kind(), error.is_unknown()), (DecodeErrorKind::Ambiguous, false));
    let dead = message("dead-letters").with_header("dlq-original-topic", "parcel");
    assert_eq!(
        events.decode(&dead).unwrap(),
        SentEvent::Parcel(Parcel { id: 1 }),
        "a dead letter says where it belongs"
    );
    assert_eq!(
        events.decode_as::<Mail>(&message("parcel")).unwrap_err().kind(),
        DecodeErrorKind::OtherEvent
    );
}

/// Two hundred events whose names and topics have one length: what is compared while compiling must not grow with their square.
mod many {
    use super::{Deserialize, JsonSchema, OutboxEvent, Serialize, define_outbox};

    macro_rules! two_hundred {
        ($($name:ident)*) => {
            $(
                #[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
                #[outbox(topic = concat!("a-rather-long-topic-of-one-length-for-all-of-them.", stringify!($name)), aggregate_type = "thing")]
                pub(super) struct $name {
                    #[outbox(aggregate_id)]
                    id: u32,
                }
            )*

            define_outbox! {
                pub(super) type ManyEvents;
                pub(super) enum ManyEvent { $($name),* }
            }
        };
    }

    two_hundred! {
        E000 E001 E002 E003 E004 E005 E006 E007 E008 E009 E010 E011 E012 E013 E014 E015 E016 E017 E018 E019
        E020 E021 E022 E023 E024 E025 E026 E027 E028 E029 E030 E031 E032 E033 E034 E035 E036 E037 E038 E039
        E040 E041 E042 E043 E044 E045 E046 E047 E048 E049 E050 E051 E052 E053 E054 E055 E056 E057 E058 E059
        E060 E061 E062 E063 E064 E065 E066 E067 E068 E069 E070 E071 E072 E073 E074 E075 E076 E077 E078 E079
        E080 E081 E082 E083 E084 E085 E086 E087 E088 E089 E090 E091 E092 E093 E094 E095 E096 E097 E098 E099
        E100 E101 E102 E103 E104 E105 E106 E107 E108 E109 E110 E111 E112 E113 E114 E115 E116 E117 E118 E119
        E120 E121 E122 E123 E124 E125 E126 E127 E128 E129 E130 E131 E132 E133 E134 E135 E136 E137 E138 E139
        E140 E141 E142 E143 E144 E145 E146 E147 E148 E149 E150 E151 E152 E153 E154 E155 E156 E157 E158 E159
        E160 E161 E162 E163 E164 E165 E166 E167 E168 E169 E170 E171 E172 E173 E174 E175 E176 E177 E178 E179
        E180 E181 E182 E183 E184 E185 E186 E187 E188 E189 E190 E191 E192 E193 E194 E195 E196 E197 E198 E199
    }
}

#[test]
fn a_set_of_two_hundred_events_compiles_and_finds_each() {
    assert_eq!((many::ManyEvent::ENTRIES.len(), many::ManyEvents::TOPICS.len()), (200, 200));
    let events = many::ManyEvents::new().unwrap();
    for entry in many::ManyEvent::ENTRIES {
        let message = Message::new(entry.topic(), r#"{"id":1}"#).with_header("event-type", entry.name());
        assert!(events.decode(&message).is_ok(), "{entry:?}");
    }
}

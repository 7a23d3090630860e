//! Two modules as two crates of a user's would be: one defines events, the other lists them, beside its own.

/// As a crate that only defines events.
mod orders {
    use eventferry::OutboxEvent;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(topic = "orders", aggregate_type = "order")]
    pub(super) struct OrderCreated {
        #[outbox(aggregate_id)]
        id: u64,
    }

    pub(super) mod nested {
        eventferry::define_outbox! {
            pub(in super::super) type OrderEvents;
            #[derive(Debug)]
            pub(in super::super) enum OrderEvent {
                Created(super::OrderCreated),
            }
        }
    }
}

/// As a crate that lists events of others: one event may be in several sets.
mod everything {
    eventferry::define_outbox! {
        pub(super) type AllEvents;
        #[derive(Debug)]
        pub(super) enum AllEvent {
            Order(super::orders::OrderCreated),
            #[cfg(any())]
            Never(super::does::not::Exist),
            Paid(Box<super::Paid>),
        }
    }
}

use eventferry::Message;

/// A set may list what is not one of its own types, as long as that is an event.
#[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Paid {
    id: u64,
}

impl eventferry::OutboxEvent for Box<Paid> {
    type Listed = Self;
    type Format = eventferry::codec::Json;
    type Previous = eventferry::event::Oldest;
    const TOPIC: &'static str = "payments";
    const NAME: &'static str = "Paid";
    const AGGREGATE_TYPE: &'static str = "payment";

    fn aggregate_id(&self) -> String {
        self.id.to_string()
    }
}

#[test]
fn an_event_can_be_in_several_sets() {
    let message = Message::new("orders", r#"{"id":1}"#).with_header("event-type", "OrderCreated");
    let orders::nested::OrderEvent::Created(one) = orders::nested::OrderEvents::new().unwrap().decode(&message).unwrap();
    let everything::AllEvent::Order(other) = everything::AllEvents::new().unwrap().decode(&message).unwrap() else {
        panic!("another event")
    };
    assert_eq!(one, other);
    assert_eq!(everything::AllEvents::TOPICS, ["orders", "payments"]);
}

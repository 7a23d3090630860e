//! What a schema forbids, on the way in and on the way out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::registry::tests::{Line, OrderCreated, OrderView, ShopEvents, order};
use crate::store::memory::MemoryStore;
use crate::{EnqueueErrorKind, OutboxEvent, define_outbox};

#[tokio::test]
async fn what_the_schema_forbids_is_not_written_and_the_transaction_goes_on() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = store.begin();
    let error = events.enqueue(&mut tx, order("secret-id", 0)).await.unwrap_err();
    assert_eq!(error.kind(), EnqueueErrorKind::Refused);
    assert_eq!(
        error.to_string(),
        "the schema of `OrderCreated` forbids this event: `/total_cents` must be at least 1"
    );
    assert_eq!(error.violations()[0].rule(), "minimum");
    assert!(!error.is_retryable());
    events.enqueue(&mut tx, order("o-2", 1)).await.unwrap();
    tx.commit();
    assert_eq!(store.rows().len(), 1);
}

#[tokio::test]
async fn a_pointer_shows_declared_names_and_no_map_keys() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut event = order("o-1", 1);
    let line = Line {
        sku: "too-long-secret".to_owned(),
    };
    event.by_email.insert("john@secret.example/~x".to_owned(), line);
    let error = events.enqueue(&mut store.begin(), event).await.unwrap_err();
    assert_eq!(error.violations()[0].pointer(), "/by_email/*/sku");
    let text = format!("{error} {error:?}");
    assert!(
        !text.contains("secret") && text.contains("must have at most 3 characters"),
        "{text}"
    );
}

#[tokio::test]
async fn a_view_is_checked_by_the_schema_of_its_event() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let id = "o-1".to_owned();
    let view = |total_cents| OrderView {
        order_id: &id,
        tenant: None,
        total_cents,
    };
    let mut tx = store.begin();
    events.enqueue(&mut tx, view(1)).await.unwrap();
    assert_eq!(
        events.enqueue(&mut tx, view(0)).await.unwrap_err().kind(),
        EnqueueErrorKind::Refused
    );
    tx.commit();
    let message = store.rows()[0].clone().into_message("s");
    assert_eq!(events.decode_as::<OrderView<'_>>(&message).unwrap().order_id, "o-1");
    assert_eq!(events.decode_as::<OrderCreated>(&message).unwrap().order_id, "o-1");
}

#[test]
fn a_checked_decode_refuses_what_the_schema_of_the_version_forbids() {
    let message = crate::Message::new("orders", br#"{"order_id":"a","total_cents":0}"#.to_vec()).with_header("event-type", "OrderCreated");
    let events = ShopEvents::new().unwrap();
    assert!(
        events.decode(&message).is_ok(),
        "the writer has checked; a reader does not unless it is asked to"
    );
    let error = events.checked_decode().unwrap().decode(&message).unwrap_err();
    assert_eq!(error.kind(), crate::DecodeErrorKind::Refused);
    assert_eq!(error.violations()[0].pointer(), "/total_cents");
}

#[test]
fn a_wrong_schema_is_found_when_the_set_is_made() {
    #[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "t", aggregate_type = "a")]
    struct Bad {
        #[outbox(aggregate_id)]
        #[schemars(extend("pattern" = "("))]
        id: String,
    }
    define_outbox! {
        #[outbox(crate = crate)]
        type Bads;
        enum BadEvent { Bad }
    }
    let error = Bads::new().unwrap_err();
    assert_eq!(
        (error.event(), error.to_string().as_str()),
        ("Bad", "failed to compile the schema of `Bad` version 1")
    );
}

#[tokio::test]
async fn a_member_written_twice_is_refused_because_readers_differ_on_it() {
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "t", aggregate_type = "a")]
    struct Open {
        #[outbox(aggregate_id)]
        id: String,
        #[serde(flatten)]
        more: BTreeMap<String, String>,
        #[schemars(range(min = 1))]
        cents: i64,
    }
    define_outbox! {
        #[outbox(crate = crate)]
        type OpenEvents;
        #[derive(Debug)]
        enum OpenEvent { Open }
    }
    let (store, events) = (MemoryStore::new(), OpenEvents::new().unwrap());
    let open = |name: &str, text: &str| Open {
        id: "a".to_owned(),
        more: [(name.to_owned(), text.to_owned())].into(),
        cents: 1,
    };
    let mut tx = store.begin();
    // Colons, quotes and backslashes in texts are not members.
    events.enqueue(&mut tx, open("x\":\\", "\\\"::{\"a\":1}\\")).await.unwrap();
    let error = events.enqueue(&mut tx, open("cents", "secret")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.violations()[0].rule()),
        (EnqueueErrorKind::Refused, "duplicate")
    );
    assert!(
        error
            .to_string()
            .ends_with("the payload has an object with two members of one name"),
        "{error}"
    );
}

/// Several forms: an `Option` of a struct, and enums as serde writes them.
mod forms {
    use super::{Deserialize, JsonSchema, OutboxEvent, Serialize, define_outbox};

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Customer {
        #[schemars(length(max = 3))]
        email: String,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(tag = "how")]
    enum Paid {
        Cash {
            #[schemars(range(max = 9))]
            desk: u32,
        },
        Card {
            customer: Option<Customer>,
        },
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    enum Sent {
        No,
        To(Customer),
        By { desks: Vec<Paid> },
    }

    #[derive(Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(crate = crate, topic = "t", aggregate_type = "a")]
    pub(super) struct Order {
        #[outbox(aggregate_id)]
        id: u64,
        customer: Option<Customer>,
        paid: Paid,
        sent: Sent,
    }

    define_outbox! {
        #[outbox(crate = crate)]
        pub(super) type Orders;
        pub(super) enum OrdersEvent { Order }
    }
}

#[test]
fn of_several_forms_the_one_that_was_meant_says_where_it_is_broken() {
    let events = forms::Orders::new().and_then(crate::Outbox::checked_decode).unwrap();
    let told = |customer: &str, paid: &str, sent: &str| {
        let payload = format!(r#"{{"id":1,"customer":{customer},"paid":{paid},"sent":{sent}}}"#);
        let message = crate::Message::new("t", payload).with_header("event-type", "Order");
        let Err(error) = events.decode(&message) else { return Vec::new() };
        let one = |one: &crate::codec::Violation| format!("{} {}", one.pointer(), one.rule());
        error.violations().iter().map(one).collect()
    };
    let (cash, no) = (r#"{"how":"Cash","desk":1}"#, "\"No\"");
    assert_eq!(told("null", cash, no), Vec::<String>::new());
    for (customer, paid, sent, expected) in [
        (r#"{"email":"long"}"#, cash, no, &["/customer/email maxLength"][..]),
        ("{}", cash, no, &["/customer required"]),
        ("null", r#"{"how":"Cash","desk":10}"#, no, &["/paid/desk maximum"]),
        ("null", r#"{"how":"Cash"}"#, no, &["/paid required"]),
        (
            "null",
            r#"{"how":"Card","customer":{"email":"long"}}"#,
            no,
            &["/paid/customer/email maxLength"],
        ),
        ("null", cash, r#"{"To":{"email":"long"}}"#, &["/sent/To/email maxLength"]),
        (
            "null",
            cash,
            r#"{"By":{"desks":[{"how":"Cash","desk":1},{"how":"Cash","desk":10}]}}"#,
            &["/sent/By/desks/1/desk maximum"],
        ),
        // Nothing says which form these were meant to be.
        ("7", cash, no, &["/customer anyOf"]),
        ("null", r#"{"how":"Cheque"}"#, no, &["/paid oneOf"]),
        ("null", cash, r#"{"Back":1}"#, &["/sent oneOf"]),
        ("null", cash, "\"Yes\"", &["/sent oneOf"]),
    ] {
        assert_eq!(told(customer, paid, sent), expected, "{customer} {paid} {sent}");
    }
}

//! A format of the user's, from the derive to the decoded event.

use eventferry::codec::{Check, Checker, CodecError, Contract, Decode, Describe, Encode, Format, Violation};
use eventferry::store::memory::MemoryStore;
use eventferry::{EnqueueErrorKind, OutboxEvent, define_outbox};

use crate::formats::{now, only_message};

/// `order_id=cents`, which must be a number.
#[derive(Debug)]
pub(crate) struct Plain;

impl Format for Plain {
    const CONTENT_TYPE: &'static str = "text/plain";
}

#[derive(Debug, Clone, PartialEq, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", format = Plain)]
struct OrderPaid {
    #[outbox(aggregate_id)]
    order_id: String,
    cents: String,
}

impl Encode<OrderPaid> for Plain {
    fn encode(event: &OrderPaid) -> Result<Vec<u8>, CodecError> {
        Ok(format!("{}={}", event.order_id, event.cents).into_bytes())
    }
}

impl Decode<'_, OrderPaid> for Plain {
    fn decode(bytes: &[u8]) -> Result<OrderPaid, CodecError> {
        let text = std::str::from_utf8(bytes).map_err(|_| CodecError::decode("it is not UTF-8"))?;
        let (order_id, cents) = text.split_once('=').ok_or_else(|| CodecError::decode("it has no `=`"))?;
        Ok(OrderPaid {
            order_id: order_id.to_owned(),
            cents: cents.to_owned(),
        })
    }
}

struct Number;

impl Check for Number {
    fn check(&self, bytes: &[u8]) -> Result<(), CodecError> {
        let is_number = bytes
            .rsplit(|b| *b == b'=')
            .next()
            .is_some_and(|cents| cents.iter().all(u8::is_ascii_digit));
        if is_number {
            Ok(())
        } else {
            Err(CodecError::refused(vec![Violation::new("/cents", "number", "must be a number")]))
        }
    }
}

impl Describe<OrderPaid> for Plain {
    fn schema(_: Contract) -> String {
        "order_id '=' digits".to_owned()
    }

    fn checker(_: Contract) -> Result<Checker, CodecError> {
        Ok(Some(Box::new(Number)))
    }
}

define_outbox! {
    type PaidEvents;
    #[derive(Debug, PartialEq)]
    enum PaidEvent {
        OrderPaid,
    }
}

#[test]
fn an_own_format_writes_checks_reads_and_is_described() {
    let events = PaidEvents::new().unwrap();
    let paid = OrderPaid {
        order_id: "7".to_owned(),
        cents: "500".to_owned(),
    };
    let store = MemoryStore::new();
    let mut tx = store.begin();
    now(events.enqueue(&mut tx, paid.clone())).unwrap();
    tx.commit();
    let message = only_message(&store);
    assert_eq!(
        (message.headers().get("content-type"), message.payload()),
        (Some("text/plain"), Some(b"7=500".as_slice()))
    );
    assert_eq!(events.decode(&message).unwrap(), PaidEvent::OrderPaid(paid));
    let [version] = <[_; 1]>::try_from(PaidEvents::schemas()).unwrap();
    assert_eq!(
        (version.text.as_str(), version.content_type, version.registered),
        ("order_id '=' digits", "text/plain", None)
    );
}

#[test]
fn what_the_check_of_an_own_format_forbids_is_refused() {
    let events = PaidEvents::new().unwrap();
    let draft = events.event(OrderPaid {
        order_id: "7".to_owned(),
        cents: "many".to_owned(),
    });
    let shown = format!("{draft:?}");
    assert!(
        shown.contains("/cents") && shown.contains(&format!("{:?}", EnqueueErrorKind::Refused)),
        "{shown}"
    );
    assert!(!shown.contains("many"), "{shown}");
}

//! What each attribute turns into.

use std::fmt::Display;

use eventferry::OutboxEvent;
use eventferry::codec::Json;
use eventferry::event::{Oldest, UpcastFrom};
use serde::{Deserialize, Serialize};

mod topics {
    pub(super) const ORDERS: &str = "shop.orders";
}

#[derive(OutboxEvent)]
#[outbox(topic = topics::ORDERS, aggregate_type = "order", name = "order.created", version = 3, format = "json", order = "none")]
struct Everything {
    #[outbox(aggregate_id, header = "x-order", header = "x-id")]
    order_id: u64,
    #[outbox(key)]
    customer: &'static str,
    #[outbox(partition)]
    partition: Option<i32>,
    #[outbox(header = "tenant-id")]
    tenant: Option<String>,
}

#[test]
fn every_attribute_has_its_place() {
    let mut event = Everything {
        order_id: 7,
        customer: "c-1",
        partition: Some(2),
        tenant: Some("acme".to_owned()),
    };
    assert_eq!(
        (Everything::TOPIC, Everything::NAME, Everything::VERSION),
        ("shop.orders", "order.created", 3)
    );
    assert_eq!((Everything::AGGREGATE_TYPE, Everything::ORDERED), ("order", false));
    assert_eq!(
        (event.aggregate_id().as_str(), event.key().as_deref(), event.partition()),
        ("7", Some("c-1"), Some(2))
    );
    let headers = event.headers();
    let headers: Vec<_> = headers.iter().collect();
    assert_eq!(headers, [("x-order", "7"), ("x-id", "7"), ("tenant-id", "acme")]);
    event.tenant = None;
    assert_eq!(
        event.headers().get("tenant-id"),
        None,
        "an absent value is no header, not an empty one"
    );
}

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct Defaults(#[outbox(aggregate_id)] u8);

#[test]
fn what_is_left_out_has_a_default() {
    fn types<E: OutboxEvent<Listed = E, Format = Json, Previous = Oldest>>(_: &E) {}
    let event = Defaults(1);
    types(&event);
    assert_eq!((Defaults::NAME, Defaults::VERSION, Defaults::ORDERED), ("Defaults", 1, true));
    assert_eq!(
        (event.key().as_deref(), event.partition(), event.headers().len()),
        (Some("1"), None, 0),
        "the key is the aggregate id"
    );
}

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
#[outbox(aggregate_id = format!("{}/{}", self.shop, self.order.id), key = self.items[0].to_uppercase(), partition = self.order.id % 3)]
struct Expressions {
    shop: String,
    order: Order,
    items: Vec<String>,
}

struct Order {
    id: i32,
}

#[test]
fn expressions_see_the_whole_event() {
    let event = Expressions {
        shop: "s".to_owned(),
        order: Order { id: 5 },
        items: vec!["ab".to_owned()],
    };
    assert_eq!(
        (event.aggregate_id().as_str(), event.key().as_deref(), event.partition()),
        ("s/5", Some("AB"), Some(2))
    );
}

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", aggregate_id = joined::<u8, u16>(&self.a, &self.b), key = [self.a].iter().map(|a| a + 1).sum::<u8>())]
struct WithGenericArguments {
    a: u8,
    b: u16,
}

fn joined<A: Display, B: Display>(a: &A, b: &B) -> String {
    format!("{a}-{b}")
}

#[test]
fn a_comma_between_generic_arguments_does_not_end_an_expression() {
    let event = WithGenericArguments { a: 1, b: 2 };
    assert_eq!((event.aggregate_id().as_str(), event.key().as_deref()), ("1-2", Some("2")));
}

#[derive(Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", aggregate_id = self.order_id())]
enum OrderChanged {
    Paid { order_id: u64 },
    Sent(u64),
}

impl OrderChanged {
    fn order_id(&self) -> u64 {
        match self {
            Self::Paid { order_id } | Self::Sent(order_id) => *order_id,
        }
    }
}

#[test]
fn an_enum_is_one_event() {
    assert_eq!(OrderChanged::NAME, "OrderChanged");
    assert_eq!(OrderChanged::Paid { order_id: 1 }.aggregate_id(), "1");
    assert_eq!(OrderChanged::Sent(2).key().as_deref(), Some("2"));
}

trait Subject {
    const TOPIC: &'static str;
    const NAME: &'static str;
    const VERSION: u32;
}

struct Sku;

impl Subject for Sku {
    const TOPIC: &'static str = "skus";
    const NAME: &'static str = "SkuImported";
    const VERSION: u32 = 4;
}

#[derive(OutboxEvent)]
#[outbox(topic = T::TOPIC, name = T::NAME, version = T::VERSION, aggregate_type = "import")]
struct Imported<T, I, const N: usize>
where
    T: Subject,
    I: Clone,
{
    #[outbox(aggregate_id)]
    id: I,
    #[outbox(header = "x-line")]
    line: Option<I>,
    of: [T; N],
}

#[test]
fn constants_of_generic_events_follow_their_arguments() {
    type Skus = Imported<Sku, u64, 1>;
    let event: Skus = Imported {
        id: 9,
        line: Some(3),
        of: [Sku],
    };
    assert_eq!((Skus::TOPIC, Skus::NAME, Skus::VERSION), ("skus", "SkuImported", 4));
    assert_eq!(
        (event.aggregate_id().as_str(), event.headers().get("x-line"), event.of.len()),
        ("9", Some("3"), 1)
    );
}

/// Fields and expressions that come from a macro of the user's, with hygiene of their own.
macro_rules! event {
    ($name:ident, $id:ident, $key:expr) => {
        #[derive(OutboxEvent)]
        #[outbox(topic = "orders", aggregate_type = "order", key = $key)]
        struct $name {
            #[outbox(aggregate_id)]
            $id: u64,
        }
    };
    (inside $name:ident) => {
        #[derive(OutboxEvent)]
        #[outbox(topic = "orders", aggregate_type = "order", aggregate_id = self.id + 1)]
        struct $name {
            #[outbox(header = "x-id")]
            id: u64,
        }
    };
}

event!(FromOutside, number, self.number * 2);
event!(inside FromInside);

#[test]
fn expressions_work_in_structs_that_a_macro_writes() {
    assert_eq!(FromOutside { number: 4 }.key().as_deref(), Some("8"));
    assert_eq!(FromInside { id: 4 }.aggregate_id(), "5");
}

#[derive(OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order", upcast_from = Defaults, name = "Defaults", version = 2)]
struct Newer {
    #[outbox(aggregate_id)]
    id: u8,
}

impl From<Defaults> for Newer {
    fn from(old: Defaults) -> Self {
        Self { id: old.0 }
    }
}

#[test]
fn the_version_before_is_a_type() {
    fn previous<E: OutboxEvent<Previous = UpcastFrom<Defaults>>>() {}
    previous::<Newer>();
    assert_eq!(Newer::from(Defaults(3)).aggregate_id(), "3");
}

mod renamed {
    pub(super) use eventferry as outbox_library;
}

#[derive(OutboxEvent)]
#[outbox(crate = renamed::outbox_library, topic = "orders", aggregate_type = "order")]
struct Renamed {
    #[outbox(aggregate_id)]
    id: u8,
}

#[test]
fn the_library_can_have_another_name() {
    assert_eq!(Renamed { id: 1 }.aggregate_id(), "1");
}

#[derive(OutboxEvent)]
#[outbox(topic = Self::CHANNEL, aggregate_type = Self::kind(), name = concat!("Own", "Constants"), version = Self::SINCE + 1)]
struct OwnConstants<'a> {
    #[outbox(aggregate_id, header = Self::HEADER)]
    id: &'a str,
}

impl OwnConstants<'_> {
    const CHANNEL: &'static str = "own";
    const HEADER: &'static str = "x-own";
    const SINCE: u32 = 1;

    const fn kind() -> &'static str {
        "own"
    }
}

#[test]
fn constants_may_be_the_type_s_own() {
    let event = OwnConstants { id: "1" };
    assert_eq!((OwnConstants::TOPIC, OwnConstants::AGGREGATE_TYPE), ("own", "own"));
    assert_eq!((OwnConstants::NAME, OwnConstants::VERSION), ("OwnConstants", 2));
    assert_eq!(event.headers().get("x-own"), Some("1"));
}

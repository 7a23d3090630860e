//! Publishers around another one, against the suite: what arrives, with what was added taken off again, is what was given.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use eventferry::event::headers;
use eventferry::publish::memory::MemoryPublisher;
use eventferry::publish::{
    BoxFuture, CloudEvents, Delivery, Framed, Full, Learns, Pipelined, Presence, PublishError, Publisher, Report, Seat, Session,
};
use eventferry::schema::memory::MemoryRegistry;
use eventferry::schema::{Schema, SchemaKind, frame};
use eventferry::store::memory::MemoryStore;
use eventferry::store::{SchemaTable, StoredSchemas};
use eventferry::testing::conformance::publisher::{Harness, Logged};
use eventferry::{Message, TableName};

use crate::kafka::conformance::Kafka;
use crate::memory::Memory;

const SOURCE: &str = "https://shop.example/orders";
const PLACE: [u32; 2] = [1, 0];

/// The schema that every event names.
fn schema() -> Schema {
    let mut schema = Schema::new(
        SchemaKind::Protobuf,
        "Order.Paid",
        "message Ping {} message Order { message Paid {} }",
    );
    schema.message_index = PLACE.to_vec();
    schema
}

/// What the relay has of every event, and the suite's events have not. The last is the schema's fingerprint.
fn added() -> [(&'static str, String); 3] {
    [
        (headers::MESSAGE_ID, "0199b2c4-0000-7000-8000-00000000000a".to_owned()),
        (headers::EVENT_TYPE, "Added".to_owned()),
        (headers::EVENT_SCHEMA, schema().fingerprint().as_str().to_owned()),
    ]
}

/// Gives events what the relay would, and sees to it that a session gives back what it was given.
struct AsRelayed<P>(P);

fn as_relayed(message: &Message) -> Message {
    added().into_iter().fold(message.clone(), |message, (name, value)| {
        if message.headers().get(name).is_some() {
            return message;
        }
        message.with_header(name, value)
    })
}

impl<P: Publisher> Publisher for AsRelayed<P> {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        self.0.publish(&as_relayed(message)).await
    }

    fn probe(&self) -> impl Future<Output = Presence> + Send {
        self.0.probe()
    }

    fn pipelined(&self) -> Option<&dyn Pipelined> {
        self.0.pipelined().map(|_| self as &dyn Pipelined)
    }

    fn learns(&self) -> Option<&dyn Learns> {
        self.0.learns()
    }
}

impl<P: Publisher> Pipelined for AsRelayed<P> {
    fn open<'a>(&'a self, seat: Seat<'a>) -> BoxFuture<'a, Result<Box<dyn Session>, PublishError>> {
        Box::pin(async move {
            let session = self.0.pipelined().expect("it had one").open(seat).await?;
            Ok(Box::new(AsRelayed(session)) as Box<dyn Session>)
        })
    }

    fn groups(&self) -> u8 {
        self.0.pipelined().expect("it had one").groups()
    }

    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, PublishError>> {
        self.0.pipelined().expect("it had one").partitions(topic)
    }
}

impl Session for AsRelayed<Box<dyn Session>> {
    fn hand_over(&mut self, token: u64, partition: i32, message: Message) -> Result<(), Full> {
        let given = as_relayed(&message);
        self.0.hand_over(token, partition, given.clone()).map_err(|Full(back)| {
            assert_eq!(back, given, "what comes back is what was given");
            Full(message)
        })
    }

    fn reports(&mut self) -> BoxFuture<'_, Vec<Report>> {
        self.0.reports()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        self.0.close()
    }
}

type Schemas = StoredSchemas<MemoryStore>;

/// What goes around a publisher, and takes off again what was added.
trait Around: Send + Sync {
    type Publisher<P: Publisher>: Publisher;

    fn around<P: Publisher>(within: P, schemas: Schemas) -> Self::Publisher<P>;

    fn taken_off(logged: &mut Logged);
}

struct WithFrames;

impl Around for WithFrames {
    type Publisher<P: Publisher> = Framed<P, MemoryRegistry, Schemas>;

    fn around<P: Publisher>(within: P, schemas: Schemas) -> Self::Publisher<P> {
        Framed::new(within, MemoryRegistry::new().auto_register(true), schemas)
    }

    fn taken_off(logged: &mut Logged) {
        let Some(payload) = logged.payload.take() else {
            return;
        };
        let (id, behind) = frame::take(&payload).expect("there is a frame");
        let (place, event) = frame::take_message_index(behind).expect("it says which message");
        assert_eq!(place, PLACE);
        let named = logged.headers.iter_mut().find(|(name, _)| name == headers::EVENT_SCHEMA_ID);
        let (name, value) = named.expect("the header says so too");
        assert_eq!(*value, id.to_string().into_bytes());
        headers::EVENT_SCHEMA.clone_into(name);
        *value = schema().fingerprint().as_str().to_owned().into_bytes();
        logged.payload = Some(event.to_vec());
    }
}

struct AsCloudEvents;

impl Around for AsCloudEvents {
    type Publisher<P: Publisher> = CloudEvents<P>;

    fn around<P: Publisher>(within: P, _: Schemas) -> Self::Publisher<P> {
        CloudEvents::new(within, SOURCE).expect("it is a URI")
    }

    fn taken_off(logged: &mut Logged) {
        let ours = |name: &str| {
            let found = logged.headers.iter().find(|(n, _)| n == name);
            found.map(|(_, value)| value.clone()).expect("every event has it")
        };
        let mut wanted = vec![
            ("ce_specversion", b"1.0".to_vec()),
            ("ce_source", SOURCE.as_bytes().to_vec()),
            ("ce_id", ours(headers::MESSAGE_ID)),
            ("ce_type", ours(headers::EVENT_TYPE)),
        ];
        let text = String::from_utf8(logged.key.clone().unwrap_or_default()).expect("keys are texts");
        // What an attribute may not hold.
        if !text.is_empty() && !text.contains(|c: char| c.is_control() || c == '\u{10ffff}') {
            wanted.push(("ce_partitionkey", text.into_bytes()));
        }
        let added = logged.headers.split_off(logged.headers.len() - wanted.len());
        let wanted: Vec<_> = wanted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(added, wanted);
    }
}

/// In the order that the documents show.
struct Both;

impl Around for Both {
    type Publisher<P: Publisher> = CloudEvents<Framed<P, MemoryRegistry, Schemas>>;

    fn around<P: Publisher>(within: P, schemas: Schemas) -> Self::Publisher<P> {
        AsCloudEvents::around(WithFrames::around(within, schemas.clone()), schemas)
    }

    fn taken_off(logged: &mut Logged) {
        AsCloudEvents::taken_off(logged);
        WithFrames::taken_off(logged);
    }
}

/// A harness whose publisher has another one around it.
struct Wrapped<A: Around, H, P: Publisher> {
    within: H,
    publisher: AsRelayed<A::Publisher<P>>,
    around: PhantomData<A>,
}

impl<A: Around, H: Harness, P: Publisher> Wrapped<A, H, P> {
    async fn fresh(within: H, publisher: P) -> Self {
        let store = MemoryStore::new();
        store
            .put_schemas(&TableName::default(), &[schema()])
            .await
            .expect("memory takes it");
        let schemas = StoredSchemas::new(store, TableName::default());
        Self {
            within,
            publisher: AsRelayed(A::around(publisher, schemas)),
            around: PhantomData,
        }
    }
}

impl<A: Around, H: Harness, P: Publisher> Harness for Wrapped<A, H, P> {
    type Publisher = AsRelayed<A::Publisher<P>>;
    const TOO_LARGE: usize = H::TOO_LARGE;
    const BATCHES_ARE_WHOLE: bool = H::BATCHES_ARE_WHOLE;

    fn publisher(&self) -> &Self::Publisher {
        &self.publisher
    }

    async fn create_topic(&self, topic: &str, partitions: u32) {
        self.within.create_topic(topic, partitions).await;
        // The relay does that before a topic's first event.
        if let Some(learns) = self.publisher.learns() {
            learns.learn(topic, schema().fingerprint().as_str()).await.expect("it is there");
        }
    }

    async fn log(&self, topic: &str) -> Vec<Logged> {
        let mut log = self.within.log(topic).await;
        for logged in &mut log {
            A::taken_off(logged);
            logged
                .headers
                .retain(|(name, value)| !added().iter().any(|(n, v)| n == name && v.as_bytes() == value));
        }
        log
    }

    async fn close(self) {
        self.within.close().await;
    }
}

macro_rules! around {
    ($memory:ident, $kafka:ident, $around:ty) => {
        eventferry::conformance_publisher!($memory, {
            let memory = Memory::fresh();
            let publisher: MemoryPublisher = memory.0.clone();
            Wrapped::<$around, _, _>::fresh(memory, publisher).await
        });
        eventferry::conformance_publisher!($kafka, {
            let Some(brokers) = eventferry_tests::servers::require("kafka") else {
                return;
            };
            let kafka = Kafka::<false>::fresh(brokers);
            let publisher = Arc::clone(&kafka.publisher);
            Wrapped::<$around, _, _>::fresh(kafka, publisher).await
        });
    };
}

around!(framed, framed_on_kafka, WithFrames);
around!(cloud_events, cloud_events_on_kafka, AsCloudEvents);
around!(both, both_on_kafka, Both);

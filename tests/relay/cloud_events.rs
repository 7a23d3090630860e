//! CloudEvents around a schema registry's frames on the relay's pipelined route, and CloudEvents that others wrote.
//!
//! `fixtures/cloud_events.jsonl` was made by the CloudEvents project's SDK for Python (`fixtures/cloud_events.py` says how), which also reads ours.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use apache_avro::AvroSchema;
use eventferry::consume::trace_context;
use eventferry::event::{CloudEvent, headers};
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::{CloudEvents, Delivery, Framed, Pipelined, Presence, PublishError, Publisher};
use eventferry::relay::Relay;
use eventferry::schema::confluent::ConfluentRegistry;
use eventferry::schema::{SchemaRegistry, SubjectStrategy, frame};
use eventferry::store::StoredSchemas;
use eventferry::{DecodeErrorKind, IncomingMessage, Message, OutboxEvent, TableName, Topic, define_outbox};
use eventferry_tests::kafka::{Logged, TestTopic};
use eventferry_tests::servers;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::rig::{Rig, soon};

const TOPIC: &str = "cloud-events";
const SOURCE: &str = "https://shop.example/orders";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = TOPIC, aggregate_type = "order", name = "com.acme.OrderPlaced")]
struct OrderPlaced {
    #[outbox(aggregate_id)]
    order_id: String,
    note: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[avro(namespace = "com.acme")]
#[outbox(topic = TOPIC, aggregate_type = "order", name = "com.acme.OrderPaid", format = "avro")]
struct OrderPaid {
    #[outbox(aggregate_id)]
    order_id: String,
    cents: i64,
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug, Clone, PartialEq)]
    enum ShopEvent { OrderPlaced, OrderPaid }
}

define_outbox! {
    type PlacedOnly;
    #[derive(Debug, Clone, PartialEq)]
    enum Placed { OrderPlaced }
}

fn placed(aggregate: u64, note: &str) -> OrderPlaced {
    OrderPlaced {
        order_id: format!("o-{aggregate}"),
        note: note.to_owned(),
    }
}

fn paid(aggregate: u64, cents: i64) -> OrderPaid {
    OrderPaid {
        order_id: format!("o-{aggregate}"),
        cents,
    }
}

/// Kafka, with what went alone counted; everything else went by a session.
struct Counted {
    kafka: KafkaPublisher,
    alone: Arc<AtomicU64>,
}

impl Publisher for Counted {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        self.alone.fetch_add(1, Relaxed);
        self.kafka.publish(message).await
    }

    fn probe(&self) -> impl Future<Output = Presence> + Send {
        self.kafka.probe()
    }

    fn pipelined(&self) -> Option<&dyn Pipelined> {
        self.kafka.pipelined()
    }
}

/// The attributes of a message are what our headers say, and there is no other.
fn is_a_cloud_event(message: &Logged) {
    let ours = |name: &str| message.text_header(name).map(str::to_owned);
    let key = message.key.as_ref().map(|key| String::from_utf8(key.clone()).unwrap());
    let wanted = [
        ("ce_id", ours(headers::MESSAGE_ID)),
        ("ce_partitionkey", key),
        ("ce_source", Some(SOURCE.to_owned())),
        ("ce_specversion", Some("1.0".to_owned())),
        ("ce_subject", ours(headers::AGGREGATE_ID)),
        ("ce_time", ours(headers::EVENT_TIME)),
        ("ce_type", ours(headers::EVENT_TYPE)),
    ];
    let wanted: BTreeMap<_, _> = wanted
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    let attributes = message.headers.iter().filter(|(name, _)| name.starts_with("ce_"));
    let text = |value: &Option<Vec<u8>>| String::from_utf8(value.clone().unwrap()).unwrap();
    let found: BTreeMap<_, _> = attributes.clone().map(|(name, value)| (name.clone(), text(value))).collect();
    assert_eq!(found, wanted);
    assert_eq!(attributes.count(), wanted.len(), "an attribute stands there twice");
    assert!(wanted.len() >= 6, "{wanted:?}");
}

/// What a reader has that knows CloudEvents, and nothing of ours.
fn as_others_see_it(message: &Logged) -> Message {
    let mut seen = Message::new(message.topic.as_str(), message.payload.clone().unwrap());
    for (name, value) in &message.headers {
        if name.starts_with("ce_") || name == headers::CONTENT_TYPE {
            seen = seen.with_header(name.clone(), String::from_utf8(value.clone().unwrap()).unwrap());
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_events_with_and_without_a_frame_go_by_the_pipelined_route() {
    let (Some(kafka), Some(url)) = (servers::require("kafka"), servers::require("schema-registry")) else {
        return;
    };
    let topic = TestTopic::named(&kafka, TOPIC);
    topic.be_born(2, &[("max.message.bytes", "500000")]).await;
    let letters = TestTopic::create(&kafka, 1, &[]).await;
    let Some(rig) = Rig::with(kafka, topic).await else { return };
    let pool = &rig.db.pool;
    let owner = ConfluentRegistry::builder([&url]).auto_register(true).build().unwrap();
    for version in ShopEvents::schemas() {
        let schema = version.registered.unwrap();
        let subject = SubjectStrategy::TopicRecordName.subject(TOPIC, &schema.name);
        owner.id_of(&subject, &schema).await.unwrap();
    }

    let alone = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        kafka: rig.publisher(),
        alone: Arc::clone(&alone),
    };
    let registry = || ConfluentRegistry::builder([&url]).build().unwrap();
    let framed = Framed::new(counted, registry(), StoredSchemas::new(pool.clone(), TableName::default()));
    let relay = Relay::builder(rig.store(), CloudEvents::new(framed, SOURCE).unwrap());
    let relay = relay.dead_letter_topic(&Topic::new(letters.name()).unwrap());
    let relay = relay.build().unwrap().start().await.unwrap();

    // Half of them come from a service that did not register its schemas, and travel without a frame.
    let plain = ShopEvents::new().unwrap();
    let events = plain.clone().register(pool).await.unwrap();
    let mut written = Vec::new();
    let mut tx = pool.begin().await.unwrap();
    for n in 0..100 {
        let (json, avro) = (placed(n % 7, "Größe \"x\""), paid(n % 7, -1 << (n % 40)));
        let from = if n.is_multiple_of(2) { &events } else { &plain };
        let receipts = from
            .enqueue_all(&mut tx, [from.event(json.clone()), from.event(avro.clone())])
            .await
            .unwrap();
        let both: [ShopEvent; 2] = [json.into(), avro.into()];
        written.extend(receipts.iter().map(eventferry::Receipt::message_id).zip(both));
    }
    tx.commit().await.unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 200)).await.unwrap();
    let stats = relay.stats();
    assert_eq!(
        (alone.load(Relaxed), stats.sessions_rebuilt),
        (0, 0),
        "every one of them went by a session"
    );
    assert_eq!((stats.schemas_away, stats.strays), (0, 0));

    let log = rig.topic.log().await;
    assert_eq!(log.len(), 200);
    let resolver = plain.resolving(registry());
    for (id, event) in &written {
        let message = log.iter().find(|message| message.message_id() == Some(*id)).unwrap();
        is_a_cloud_event(message);
        assert_eq!(plain.decode(message).unwrap(), *event);
        let theirs = as_others_see_it(message);
        assert_eq!(
            resolver.decode(&CloudEvent(&theirs)).await.unwrap(),
            *event,
            "by its attributes alone"
        );
    }
    let framed = log.iter().filter(|message| message.header(headers::EVENT_SCHEMA_ID).is_some());
    assert_eq!(framed.clone().count(), 100);
    assert!(framed.clone().all(|message| frame::take(message.payload().unwrap()).is_some()));

    // One without a key goes alone, and so does what is left of one that is too large.
    let mut tx = pool.begin().await.unwrap();
    events.event(placed(1, "no key")).no_key().enqueue(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    soon("its ack", relay.wait_for(|stats| stats.acked >= 201)).await.unwrap();
    assert_eq!(alone.load(Relaxed), 1);
    let log = rig.topic.log().await;
    let keyless = log.iter().find(|message| message.key.is_none()).unwrap();
    is_a_cloud_event(keyless);
    assert_eq!(plain.decode(keyless).unwrap(), ShopEvent::OrderPlaced(placed(1, "no key")));

    let large = placed(2, &"x".repeat(600_000));
    let mut tx = pool.begin().await.unwrap();
    events.enqueue(&mut tx, large.clone()).await.unwrap();
    tx.commit().await.unwrap();
    soon("its death", relay.wait_for(|stats| stats.dead == 1)).await.unwrap();
    let letter = letters.log().await.remove(0);
    is_a_cloud_event(&letter);
    assert_eq!(plain.decode(&letter).unwrap(), ShopEvent::OrderPlaced(large));
    assert!(
        letter.header(headers::EVENT_SCHEMA_ID).is_some(),
        "under the subject of its own topic"
    );
    relay.stop().await.unwrap();

    let unframed: Vec<&Logged> = log
        .iter()
        .filter(|message| message.header(headers::EVENT_SCHEMA_ID).is_none())
        .collect();
    their_sdk_reads(&unframed).await;
}

/// The SDK finds in each message what our consumer does.
async fn their_sdk_reads(messages: &[&Logged]) {
    let Some(python) = servers::require("confluent-python") else {
        return;
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let line = |message: &&Logged| {
        let headers: serde_json::Map<_, _> = (message.headers.iter())
            .map(|(name, value)| (name.clone(), text(value.as_deref().unwrap()).into()))
            .collect();
        let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
        let bytes = message.payload().unwrap().iter();
        let value: String = bytes.flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect();
        serde_json::json!({"headers": headers, "key": message.key.as_deref().map(text), "value": value}).to_string() + "\n"
    };
    let mut child = Command::new(python)
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/relay/fixtures/cloud_events.py"), "read"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), messages.iter().map(line).collect::<String>());
    let writes = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    let output = soon("their SDK", child.wait_with_output()).await.unwrap();
    writes.await.unwrap().unwrap();
    assert!(output.status.success());
    let read: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(read.len(), messages.len());
    for (read, message) in read.iter().zip(messages) {
        let attributes = &read["attributes"];
        for (attribute, header) in [
            ("id", headers::MESSAGE_ID),
            ("type", headers::EVENT_TYPE),
            ("subject", headers::AGGREGATE_ID),
            ("datacontenttype", headers::CONTENT_TYPE),
        ] {
            assert_eq!(attributes[attribute].as_str(), message.text_header(header), "{attribute}");
        }
        assert_eq!(
            (attributes["specversion"].as_str(), attributes["source"].as_str()),
            (Some("1.0"), Some(SOURCE))
        );
        assert_eq!(attributes["partitionkey"].as_str(), message.aggregate_id());
        let (theirs, ours) = (
            attributes["time"].as_str().unwrap(),
            message.text_header(headers::EVENT_TIME).unwrap(),
        );
        assert_eq!(theirs[..19], ours[..19], "to the second: the rest is written in several ways");
        if message.text_header(headers::CONTENT_TYPE) == Some("application/json") {
            assert_eq!(read["data"], serde_json::from_slice::<Value>(message.payload().unwrap()).unwrap());
        }
    }
}

/// A line of the fixtures.
#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    headers: BTreeMap<String, String>,
    key: String,
    value: String,
}

impl Case {
    fn message(self, topic: &str) -> Message {
        let digits = self.value.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let payload: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let message = Message::new(topic, payload).with_key(self.key);
        self.headers
            .into_iter()
            .fold(message, |message, (name, value)| message.with_header(name, value))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_events_that_others_wrote_are_decoded() {
    let Some(kafka) = servers::require("kafka") else { return };
    let topic = TestTopic::create(&kafka, 1, &[]).await;
    let publisher = KafkaPublisher::builder(&kafka).build().unwrap();
    let mut names = Vec::new();
    for line in include_str!("fixtures/cloud_events.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        names.push(case.name.clone());
        publisher.publish(&case.message(topic.name())).await.unwrap();
    }
    let log = topic.log().await;
    let found = |name: &str| &log[names.iter().position(|one| one == name).unwrap()];
    let events = ShopEvents::new().unwrap().checked_decode().unwrap();

    let json = CloudEvent(found("json"));
    assert_eq!(events.decode(&json).unwrap(), ShopEvent::OrderPlaced(placed(7, "Größe \"x\"")));
    assert_eq!(events.decode_as::<OrderPlaced>(&json).unwrap(), placed(7, "Größe \"x\""));
    assert_eq!(json.message_id(), Some("0197f3d2-0000-7000-8000-000000000007".parse().unwrap()));
    assert_eq!((json.aggregate_id(), json.aggregate_type()), (Some("o-7"), None));
    assert_eq!(trace_context(&json).unwrap().trace_id(), "0af7651916cd43dd8448eb211c80319c");
    let unwrapped = events.decode(found("json")).unwrap_err();
    assert_eq!(unwrapped.kind(), DecodeErrorKind::NotOurs);

    let charset = CloudEvent(found("json, of a charset"));
    assert!(events.decode(&charset).is_ok());
    assert_eq!(charset.message_id(), None, "an id that is no UUID");
    assert_eq!(
        events.decode(&CloudEvent(found("avro"))).unwrap(),
        ShopEvent::OrderPaid(paid(7, -5))
    );
    assert!(events.decode(&CloudEvent(found("another type"))).unwrap_err().is_unknown());

    // Structured mode has everything in the payload. It is not taken for an event, not even where the topic has only one.
    let structured = CloudEvent(found("structured"));
    assert_eq!(events.decode(&structured).unwrap_err().kind(), DecodeErrorKind::NotOurs);
    let there =
        Message::new(TOPIC, structured.payload().unwrap()).with_header("content-type", structured.text_header("content-type").unwrap());
    let error = PlacedOnly::new().unwrap().decode(&CloudEvent(&there)).unwrap_err();
    assert_eq!(error.kind(), DecodeErrorKind::ContentType);
}

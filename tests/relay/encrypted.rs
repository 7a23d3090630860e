//! Encrypted events on their whole way: through table, relay, broker and dead-letter topic, with the keys changed in between.

use apache_avro::AvroSchema;
use eventferry::codec::AesGcmKeys;
use eventferry::event::{Operator, headers};
use eventferry::outbox::{Payload, Status};
use eventferry::publish::Framed;
use eventferry::relay::Relay;
use eventferry::schema::confluent::ConfluentRegistry;
use eventferry::schema::{SchemaRegistry, SubjectStrategy};
use eventferry::store::{Moved, Operate, ShowPayload, StoredSchemas};
use eventferry::{DecodeErrorKind, IncomingMessage, MessageId, OutboxEvent, TableName, Topic, define_outbox};
use eventferry_tests::kafka::{Logged, TestTopic};
use eventferry_tests::servers;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rig::{Rig, soon};

const TOPIC: &str = "encrypted-customers";
/// Stands in every payload, and must not be readable anywhere.
const NAME: &str = "Ada Lovelace";
/// What the topic takes; most of what is larger is read from the table by itself.
const LIMIT: usize = 100_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = TOPIC, aggregate_type = "customer")]
struct Registered {
    #[outbox(aggregate_id)]
    id: String,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[avro(namespace = "crm")]
#[outbox(topic = TOPIC, aggregate_type = "customer", format = "avro")]
struct Relocated {
    #[outbox(aggregate_id)]
    id: String,
    name: String,
    times: i64,
}

#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = TOPIC, aggregate_type = "customer", format = "protobuf", schema = "relay/schemas/crm.proto")]
struct Left {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    name: String,
}

define_outbox! {
    type CrmEvents;
    #[derive(Debug, Clone, PartialEq)]
    enum CrmEvent { Registered, Relocated, Left }
}

type Written = Vec<(MessageId, CrmEvent)>;

/// One event of each format, of one customer.
async fn write(rig: &Rig, events: &CrmEvents, customer: &str, filler: usize) -> Written {
    let (id, name) = (customer.to_owned(), format!("{NAME}{}", "x".repeat(filler)));
    let registered = Registered {
        id: id.clone(),
        name: name.clone(),
    };
    let relocated = Relocated {
        id: id.clone(),
        name: name.clone(),
        times: 3,
    };
    let left = Left { id, name };
    let drafts = [
        events.event(registered.clone()),
        events.event(relocated.clone()),
        events.event(left.clone()),
    ];
    let mut tx = rig.db.pool.begin().await.unwrap();
    let receipts = events.enqueue_all(&mut tx, drafts).await.unwrap();
    tx.commit().await.unwrap();
    let all: [CrmEvent; 3] = [registered.into(), relocated.into(), left.into()];
    receipts.iter().map(eventferry::Receipt::message_id).zip(all).collect()
}

fn with(keys: AesGcmKeys) -> CrmEvents {
    CrmEvents::new().unwrap().encrypted(keys)
}

fn of(log: &[Logged], id: MessageId) -> &Logged {
    let mut found = log.iter().filter(|message| message.message_id() == Some(id));
    let one = found.next().unwrap();
    assert_eq!(found.next(), None, "it arrived twice");
    one
}

fn all_are_read(events: &CrmEvents, log: &[Logged], written: &Written) {
    for (id, event) in written {
        assert_eq!(events.decode(of(log, *id)).unwrap(), *event);
    }
}

/// Nobody without the key finds anything in it, and it says which key that is.
fn is_sealed(message: &Logged, key: &str) {
    assert_eq!(message.text_header(headers::EVENT_KEY_ID), Some(key));
    assert_eq!(message.text_header(headers::EVENT_SCHEMA_ID), None, "there is no frame before it");
    let headers = message.headers.iter().filter_map(|(_, value)| value.as_deref());
    for bytes in headers.chain(message.payload()) {
        nothing_is_told(bytes);
    }
    let keyless = CrmEvents::new().unwrap();
    assert_eq!(keyless.decode(message).unwrap_err().kind(), DecodeErrorKind::Encrypted);
    assert_eq!(keyless.masked(message), "\"***\"");
}

fn nothing_is_told(bytes: &[u8]) {
    let mut parts = bytes.windows(NAME.len());
    assert!(!parts.any(|part| part == NAME.as_bytes()), "{}", String::from_utf8_lossy(bytes));
}

async fn is_sealed_in_the_table(rig: &Rig, id: MessageId, status: Status) {
    let row = rig.store().show(id, ShowPayload::Read).await.unwrap().unwrap();
    assert_eq!(row.record.status, status);
    assert_eq!(row.record.headers.get(headers::EVENT_SCHEMA), None);
    let Payload::Bytes(bytes) = &row.record.payload else {
        panic!("{row:?}")
    };
    nothing_is_told(bytes);
    nothing_is_told(row.last_error.as_deref().unwrap_or_default().as_bytes());
    let shown: Option<String> = sqlx::query_scalar("select payload::text from outbox_readable where message_id = $1")
        .bind(uuid::Uuid::from(id))
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    assert_eq!(shown, None, "what cannot be shown is no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_events_that_died_are_read_after_the_keys_were_changed() {
    let (Some(kafka), Some(url)) = (servers::require("kafka"), servers::require("schema-registry")) else {
        return;
    };
    let topic = TestTopic::named(&kafka, TOPIC);
    topic.be_born(2, &[("max.message.bytes", &LIMIT.to_string())]).await;
    let letters = TestTopic::create(&kafka, 1, &[]).await;
    let Some(rig) = Rig::with(kafka, topic).await else { return };
    let registry = ConfluentRegistry::builder([&url]).auto_register(true).build().unwrap();
    for version in CrmEvents::schemas() {
        let schema = version.registered.unwrap();
        let subject = SubjectStrategy::TopicRecordName.subject(TOPIC, &schema.name);
        registry.id_of(&subject, &schema).await.unwrap();
    }

    // A service that has keys, beside one that has none yet and whose events travel in frames.
    let (k2025, k2026) = (|| AesGcmKeys::new("2025", [1; 32]), || AesGcmKeys::new("2026", [2; 32]));
    let producer = with(k2025()).register(&rig.db.pool).await.unwrap();
    let small = write(&rig, &producer, "small", 0).await;
    let large = write(&rig, &producer, "large", LIMIT).await;
    let open = CrmEvents::new().unwrap().register(&rig.db.pool).await.unwrap();
    let open = write(&rig, &open, "open", 0).await;
    for (id, _) in small.iter().chain(&large) {
        is_sealed_in_the_table(&rig, *id, Status::Pending).await;
    }

    let framed = Framed::new(
        rig.publisher(),
        registry.clone(),
        StoredSchemas::new(rig.db.pool.clone(), TableName::default()),
    );
    let relay = Relay::builder(rig.store(), framed).dead_letter_topic(&Topic::new(letters.name()).unwrap());
    let relay = relay.build().unwrap().start().await.unwrap();
    soon("the large ones die", relay.wait_for(|stats| stats.acked >= 6 && stats.dead == 3))
        .await
        .unwrap();

    let (log, dead) = (rig.topic.log().await, letters.log().await);
    let consumer = with(k2025());
    all_are_read(&consumer, &log, &small);
    all_are_read(&consumer, &log, &open);
    all_are_read(&consumer, &dead, &large);
    assert_eq!((log.len(), dead.len()), (6, 3));
    for (id, _) in &small {
        is_sealed(of(&log, *id), "2025");
    }
    for (id, _) in &large {
        is_sealed(of(&dead, *id), "2025");
        is_sealed_in_the_table(&rig, *id, Status::Dead).await;
    }
    for (id, _) in &open {
        let message = of(&log, *id);
        assert!(message.header(headers::EVENT_SCHEMA_ID).is_some() && message.header(headers::EVENT_KEY_ID).is_none());
    }

    // The new key goes to consumers first, then to producers; what died before that is delivered after it.
    let consumer = with(k2025().and_opens("2026", [2; 32]));
    let producer = with(k2026()).register(&rig.db.pool).await.unwrap();
    let later = write(&rig, &producer, "later", 0).await;
    rig.topic.set(&[("max.message.bytes", "1000000")]).await;
    for (id, _) in &large {
        let moved = rig.store().requeue(*id, &Operator::new("alice").unwrap()).await.unwrap();
        assert_eq!(moved, Moved::To(Status::Scheduled));
    }
    soon("all acks", relay.wait_for(|stats| stats.acked >= 12)).await.unwrap();
    relay.stop().await.unwrap();

    let log = rig.topic.log().await;
    assert_eq!(log.len(), 12);
    let everything = [&small, &large, &later, &open];
    let resolver = consumer.resolving(registry);
    for written in everything {
        all_are_read(&consumer, &log, written);
        for (id, event) in written {
            assert_eq!(resolver.decode(of(&log, *id)).await.unwrap(), *event);
        }
    }
    for (written, key) in [(&small, "2025"), (&large, "2025"), (&later, "2026")] {
        for (id, _) in written {
            is_sealed(of(&log, *id), key);
        }
    }
    // The old key is taken away too early: what it sealed is refused and not passed over, everything else is read.
    let (early, late) = (with(k2026()), with(k2025()));
    all_are_read(&early, &log, &later);
    all_are_read(&early, &log, &open);
    for (events, written) in [(&early, &small), (&early, &large), (&late, &later)] {
        for (id, _) in written {
            let error = events.decode(of(&log, *id)).unwrap_err();
            assert_eq!(error.kind(), DecodeErrorKind::Encrypted);
            assert!(error.to_string().contains("a key that is not known here"), "{error}");
        }
    }
}

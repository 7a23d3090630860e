//! Events that travel in a schema registry's frame: what waits for an id, what does not, and what it costs when the registry is away.

use std::collections::HashMap;

use eventferry::event::headers;
use eventferry::outbox::NewRecord;
use eventferry::publish::Framed;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::{Relay, RelayBuilder};
use eventferry::schema::confluent::ConfluentRegistry;
use eventferry::schema::{Schema, SchemaId, SchemaKind, SchemaRegistry, SubjectStrategy, frame};
use eventferry::store::postgres::PostgresStore;
use eventferry::store::{SchemaTable, StoredSchemas};
use eventferry::testing::proxy::{Line, TcpProxy};
use eventferry::{MessageId, TableName, Topic};
use eventferry_tests::kafka::Logged;
use eventferry_tests::servers;
use sqlx::PgPool;

use crate::rig::{Ledger, Rig, soon};

type FramedKafka = Framed<KafkaPublisher, ConfluentRegistry, StoredSchemas<PgPool>>;

/// The registry, and the way to it that a test can close.
struct Registry {
    proxy: TcpProxy,
    base: String,
}

impl Registry {
    async fn new() -> Option<Self> {
        let base = servers::require("schema-registry")?;
        let (address, _) = base.trim_start_matches("http://").split_once('/').unwrap();
        let proxy = TcpProxy::start(address).await.unwrap();
        Some(Self { proxy, base })
    }

    fn client(&self) -> ConfluentRegistry {
        let (_, path) = self.base.trim_start_matches("http://").split_once('/').unwrap();
        let url = format!("http://{}/{path}", self.proxy.address());
        ConfluentRegistry::builder([url]).build().unwrap()
    }

    /// What the people who own the contract do, past the proxy.
    async fn register(&self, rig: &Rig, schema: &Schema) -> SchemaId {
        let registry = ConfluentRegistry::builder([&self.base]).auto_register(true).build().unwrap();
        registry.id_of(&subject(rig, schema), schema).await.unwrap()
    }

    fn relay(&self, rig: &Rig) -> RelayBuilder<PostgresStore, FramedKafka> {
        let schemas = StoredSchemas::new(rig.db.pool.clone(), TableName::default());
        Relay::builder(rig.store(), Framed::new(rig.publisher(), self.client(), schemas))
    }
}

fn subject(rig: &Rig, schema: &Schema) -> eventferry::schema::Subject {
    SubjectStrategy::TopicRecordName.subject(rig.topic.name(), &schema.name)
}

/// A schema that only this test has.
fn schema(rig: &Rig, name: &str) -> Schema {
    let text = format!(
        r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"{name}","description":"{}","type":"object"}}"#,
        rig.topic.name()
    );
    Schema::new(SchemaKind::Json, name, text)
}

async fn put(rig: &Rig, schemas: &[Schema]) {
    rig.db.pool.put_schemas(&TableName::default(), schemas).await.unwrap();
}

/// Events over aggregates, each naming one of the schemas in turn, or none.
async fn fill(rig: &Rig, ledger: &mut Ledger, count: u64, aggregates: u64, schemas: &[Option<&Schema>]) {
    let records: Vec<NewRecord> = (0..count)
        .map(|n| {
            let mut record = rig.record(&format!("a{}", n % aggregates), n);
            let names = usize::try_from(n / aggregates).unwrap() % schemas.len();
            if let Some(schema) = schemas[names] {
                record.headers.set(headers::EVENT_SCHEMA, schema.fingerprint().as_str());
            }
            record
        })
        .collect();
    for (n, id) in (0..).zip(rig.write(records).await) {
        ledger.0.entry(format!("a{}", n % aggregates)).or_default().push(id);
    }
}

fn text<'a>(record: &'a Logged, name: &str) -> Option<&'a str> {
    let (_, value) = record.headers.iter().find(|(n, _)| n == name)?;
    Some(std::str::from_utf8(value.as_deref()?).unwrap())
}

/// How many messages carry each id; every frame says what its header says, and what follows it is what was enqueued.
fn ids(log: &[Logged]) -> HashMap<Option<u32>, usize> {
    let mut ids = HashMap::new();
    for record in log {
        let said: Option<u32> = text(record, headers::EVENT_SCHEMA_ID).map(|id| id.parse().unwrap());
        let payload = record.payload.as_deref().unwrap();
        let event = match said {
            None => payload,
            Some(said) => {
                let (id, event) = frame::take(payload).unwrap();
                assert_eq!(id.get(), said);
                event
            }
        };
        assert!(event.starts_with(b"{\"n\":"), "{event:?}");
        assert_eq!(text(record, headers::EVENT_SCHEMA), None);
        *ids.entry(said).or_default() += 1;
    }
    ids
}

async fn nothing_was_counted(rig: &Rig) {
    let (attempts, dead): (i64, i64) =
        sqlx::query_as("select coalesce(sum(attempts), 0)::bigint, count(*) filter (where status in (4, 5)) from outbox")
            .fetch_one(&rig.db.pool)
            .await
            .unwrap();
    assert_eq!((attempts, dead), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_nobody_registered_holds_its_own_events_only() {
    let Some(registry) = Registry::new().await else { return };
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let (known, unknown) = (schema(&rig, "Known"), schema(&rig, "Unknown"));
    let known_id = registry.register(&rig, &known).await;
    put(&rig, &[known.clone(), unknown.clone()]).await;

    let mut ledger = Ledger::default();
    fill(&rig, &mut ledger, 2_000, 20, &[Some(&known), None]).await;
    let mut waits: Vec<MessageId> = Vec::new();
    for n in 0..30 {
        let mut record = rig.record(&format!("w{}", n % 3), n);
        // The first of each aggregate waits, and its successors with it, whatever they name.
        let named = if n < 3 { &unknown } else { &known };
        record.headers.set(headers::EVENT_SCHEMA, named.fingerprint().as_str());
        let id = rig.write(vec![record]).await[0];
        ledger.0.entry(format!("w{}", n % 3)).or_default().push(id);
        waits.push(id);
    }
    let relay = registry.relay(&rig).build().unwrap().start().await.unwrap();
    soon("what is known flows", relay.wait_for(|stats| stats.acked >= 2_000))
        .await
        .unwrap();
    soon("the schema is missed", relay.wait_for(|stats| stats.schemas_away == 1))
        .await
        .unwrap();
    let log = rig.topic.log().await;
    assert_eq!(ids(&log), HashMap::from([(Some(known_id.get()), 1_000), (None, 1_000)]));

    let unknown_id = registry.register(&rig, &unknown).await;
    soon("the rest follows", relay.wait_for(|stats| stats.acked >= 2_030))
        .await
        .unwrap();
    let stats = relay.stats();
    assert_eq!(
        (stats.schemas_away, stats.topics_away, stats.sessions_rebuilt, stats.strays),
        (0, 0, 0, 0)
    );
    let log = rig.topic.log().await;
    let counted = HashMap::from([(Some(known_id.get()), 1_027), (None, 1_000), (Some(unknown_id.get()), 3)]);
    assert_eq!(ids(&log), counted);
    assert_eq!(ledger.compare(&log), crate::rig::Comparison::CLEAN);
    nothing_was_counted(&rig).await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_at_the_start_and_in_the_middle_costs_nothing() {
    let Some(registry) = Registry::new().await else { return };
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let (first, second) = (schema(&rig, "First"), schema(&rig, "Second"));
    let (first_id, second_id) = (registry.register(&rig, &first).await, registry.register(&rig, &second).await);
    put(&rig, std::slice::from_ref(&first)).await;

    registry.proxy.set(Line::Refused);
    let mut ledger = Ledger::default();
    fill(&rig, &mut ledger, 3_000, 30, &[Some(&first)]).await;
    let relay = registry.relay(&rig).build().unwrap().start().await.unwrap();
    soon("the outage is noticed", relay.wait_for(|stats| stats.schemas_away == 1))
        .await
        .unwrap();
    assert_eq!(rig.topic.log().await.len(), 0);
    registry.proxy.set(Line::Open);
    soon("it resumes by itself", relay.wait_for(|stats| stats.acked >= 3_000))
        .await
        .unwrap();

    // In the middle: what is known flows on, and a new schema waits; nobody has written it yet either.
    registry.proxy.set(Line::Stalled(eventferry::testing::proxy::Way::Both));
    fill(&rig, &mut ledger, 3_000, 30, &[Some(&first)]).await;
    soon("what is known flows", relay.wait_for(|stats| stats.acked >= 6_000))
        .await
        .unwrap();
    fill(&rig, &mut ledger, 300, 30, &[Some(&second), Some(&first)]).await;
    soon("the second is missed", relay.wait_for(|stats| stats.schemas_away == 1))
        .await
        .unwrap();
    registry.proxy.set(Line::Open);
    put(&rig, std::slice::from_ref(&second)).await;
    soon("everything arrives", relay.wait_for(|stats| stats.acked >= 6_300))
        .await
        .unwrap();

    let log = rig.topic.log().await;
    assert_eq!(
        ids(&log),
        HashMap::from([(Some(first_id.get()), 6_150), (Some(second_id.get()), 150)])
    );
    assert_eq!(ledger.compare(&log), crate::rig::Comparison::CLEAN);
    assert_eq!(relay.stats().sessions_rebuilt, 0);
    nothing_was_counted(&rig).await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_keeps_its_frame() {
    let Some(registry) = Registry::new().await else { return };
    let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    let letters = eventferry_tests::kafka::TestTopic::create(&rig.kafka, 1, &[]).await;
    let named = schema(&rig, "Large");
    let id = registry.register(&rig, &named).await;
    put(&rig, std::slice::from_ref(&named)).await;
    let mut large = rig.record("a", 1);
    large.payload = Some(format!("{{\"n\":1,\"fill\":\"{}\"}}", "x".repeat(5_000)).into_bytes());
    large.headers.set(headers::EVENT_SCHEMA, named.fingerprint().as_str());
    rig.write(vec![large]).await;
    let builder = registry.relay(&rig).dead_letter_topic(&Topic::new(letters.name()).unwrap());
    let relay = builder.build().unwrap().start().await.unwrap();
    soon("it dies", relay.wait_for(|stats| stats.dead == 1)).await.unwrap();
    relay.stop().await.unwrap();
    assert_eq!(ids(&letters.log().await), HashMap::from([(Some(id.get()), 1)]));
}

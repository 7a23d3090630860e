//! Debezium's Outbox Event Router reads our table, set up as `docs/interoperability.md` says, and our consumer decodes what it routes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use apache_avro::AvroSchema;
use eventferry::codec::AesGcmKeys;
use eventferry::store::postgres::PostgresStore;
use eventferry::{DecodeErrorKind, IncomingMessage, OutboxEvent, TableName, define_outbox};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::own_postgres::OwnPostgres;
use eventferry_tests::servers;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::Executor;

use crate::rig::soon;

const TOPIC: &str = "debezium-orders";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = TOPIC, aggregate_type = "order", version = 3)]
struct OrderCreated {
    #[outbox(aggregate_id)]
    order_id: u64,
    note: String,
}

/// Its bytes are no text: one of them is 0, and others are no UTF-8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, AvroSchema, OutboxEvent)]
#[outbox(topic = TOPIC, aggregate_type = "order", format = "avro", version = 2)]
struct OrderPaid {
    #[outbox(aggregate_id)]
    order_id: i64,
    cents: Vec<i64>,
    by: Option<String>,
}

/// A message within another, which is no text either; without anything in it, it has no bytes at all.
#[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
#[outbox(topic = TOPIC, aggregate_type = "order", format = "protobuf", version = 4)]
#[outbox(schema = "relay/schemas/shop.proto", message = "shop.v1.Order.Parked")]
struct OrderParked {
    #[outbox(aggregate_id)]
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(sint64, tag = "2")]
    for_days: i64,
    #[prost(string, repeated, tag = "3")]
    reasons: Vec<String>,
}

define_outbox! {
    type ShopEvents;
    #[derive(Debug, PartialEq)]
    enum ShopEvent { OrderCreated, OrderPaid, OrderParked }
}

/// A Kafka Connect of the test's own; gone with the value, and with the test's process.
struct Connect {
    process: Child,
    dir: PathBuf,
}

impl Connect {
    fn start(lib: &str, worker: &str, connector: &str) -> Self {
        let parent = std::env::var_os("EVENTFERRY_RUN").map_or_else(std::env::temp_dir, PathBuf::from);
        let dir = parent.join(format!("connect-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&dir).unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text.replace("DIR", dir.to_str().unwrap())).unwrap();
            path
        };
        let (worker, connector) = (file("worker.properties", worker), file("outbox.properties", connector));
        let log = fs::File::create(dir.join("log")).unwrap();
        let process = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "java",
                "-Xmx384m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
            ])
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"])
            .arg(format!("{lib}/lib/*"))
            .arg("org.apache.kafka.connect.cli.ConnectStandalone")
            .args([&worker, &connector])
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, dir }
    }

    /// Whether the worker's own page answers, and with what.
    fn answers(port: u16, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.dir.join("log")).unwrap_or_default());
        }
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.dir).ok();
    }
}

/// The properties that the document shows, with the places of this test's servers.
fn recipe(port: u16) -> String {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/interoperability.md");
    let document = fs::read_to_string(document).unwrap();
    let (_, rest) = document.split_once("```properties\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let ours = [
        ("database.hostname=db.example", "database.hostname=127.0.0.1".to_owned()),
        ("database.port=5432", format!("database.port={port}")),
        ("database.user=debezium", "database.user=postgres".to_owned()),
        ("database.dbname=shop", "database.dbname=postgres".to_owned()),
    ];
    ours.iter().fold(shown.to_owned(), |text, (theirs, ours)| {
        assert!(text.contains(theirs), "the document does not show `{theirs}`");
        text.replace(theirs, ours)
    })
}

/// Asks again until there is an answer. Nobody tells when another program is ready.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    soon(what, async {
        let mut again = tokio::time::interval(Duration::from_millis(100));
        loop {
            again.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_carries_the_outbox_and_our_consumer_decodes_it() {
    let (Some(lib), Some(kafka)) = (servers::require("connect"), servers::require("kafka")) else {
        return;
    };
    let Some(server) = OwnPostgres::start(&[("wal_level", "logical"), ("fsync", "off")]).await else {
        return;
    };
    let topic = TestTopic::named(&kafka, TOPIC);
    topic.be_born(1, &[]).await;
    let pool = server.pool();
    PostgresStore::migrate(&pool, &TableName::default()).await.unwrap();
    pool.execute("CREATE PUBLICATION outbox FOR TABLE outbox WITH (publish = 'insert')")
        .await
        .unwrap();

    let page = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let worker = format!(
        "bootstrap.servers={kafka}\nkey.converter=org.apache.kafka.connect.storage.StringConverter\n\
         value.converter=org.apache.kafka.connect.storage.StringConverter\noffset.storage.file.filename=DIR/offsets\n\
         listeners=http://127.0.0.1:{page}\nplugin.path={lib}/plugins\nplugin.discovery=service_load\n"
    );
    let connect = Connect::start(&lib, &worker, &recipe(server.port()));
    until("Debezium reads the log", async || {
        let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'outbox'";
        sqlx::query_scalar::<_, bool>(active)
            .fetch_optional(&pool)
            .await
            .unwrap()
            .filter(|active| *active)
    })
    .await;

    let events = ShopEvents::new().unwrap();
    let order = |order_id| OrderCreated {
        order_id,
        note: "Größe \"x\"".to_owned(),
    };
    let mut tx = pool.begin().await.unwrap();
    let first = events.enqueue(&mut tx, order(1)).await.unwrap().message_id();
    events.enqueue(&mut tx, order(2)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    events.enqueue(&mut tx, order(9)).await.unwrap();
    tx.rollback().await.unwrap();
    let paid = OrderPaid {
        order_id: 1,
        cents: vec![0, -1, i64::MAX, -64, 200],
        by: None,
    };
    let parked = OrderParked {
        order_id: "1".to_owned(),
        for_days: i64::MIN,
        reasons: vec!["Größe".to_owned(), "\0".to_owned(), String::new()],
    };
    let sealed = events.clone().encrypted(AesGcmKeys::new("k", [7; 32]));
    let mut tx = pool.begin().await.unwrap();
    events.enqueue(&mut tx, order(1)).await.unwrap();
    events.enqueue(&mut tx, paid.clone()).await.unwrap();
    events.enqueue(&mut tx, parked.clone()).await.unwrap();
    events.enqueue(&mut tx, OrderParked::default()).await.unwrap();
    sealed.enqueue(&mut tx, order(3)).await.unwrap();
    tx.commit().await.unwrap();
    // What our side does to rows later is none of Debezium's business.
    pool.execute("UPDATE outbox SET status = 2 WHERE id = 1; DELETE FROM outbox WHERE id = 2")
        .await
        .unwrap();

    let mut log = until("seven events arrive", async || Some(topic.log().await).filter(|log| log.len() >= 7)).await;
    let unopened = log.pop().unwrap();
    let decoded: Vec<_> = log.iter().map(|message| events.decode(message).unwrap()).collect();
    let created = [order(1), order(2), order(1)].map(ShopEvent::OrderCreated);
    let parked = [parked, OrderParked::default()].map(ShopEvent::OrderParked);
    let written = created.into_iter().chain([ShopEvent::OrderPaid(paid)]).chain(parked);
    assert_eq!(decoded, written.collect::<Vec<_>>());
    let (avro, protobuf, empty) = (&log[3], &log[4], &log[5]);
    let told = [avro, protobuf].map(|message| (message.event_type(), message.event_version(), message.text_header("content-type")));
    assert_eq!(
        told,
        [
            (Some("OrderPaid"), Some(2), Some("avro/binary")),
            (Some("OrderParked"), Some(4), Some("application/protobuf"))
        ]
    );
    assert_eq!(empty.payload(), Some(&b""[..]), "an event without bytes is no tombstone");
    let (checked, strict) = (events.clone().checked_decode().unwrap(), events.clone().strict().unwrap());
    for message in [avro, protobuf, empty] {
        assert!(checked.decode(message).is_ok() && strict.decode(message).is_ok());
    }
    // Which key it was stays in the table, so nobody can open it; it is refused, by those with the key too.
    assert_eq!((unopened.aggregate_id(), unopened.header("event-key-id")), (Some("3"), None));
    assert_eq!(sealed.decode(&unopened).unwrap_err().kind(), DecodeErrorKind::Undecodable);
    assert_eq!(log[0].message_id(), Some(first));
    assert_eq!(
        (log[0].aggregate_type(), log[0].aggregate_id(), log[0].event_version()),
        (Some("order"), Some("1"), Some(3))
    );
    assert_eq!(log[0].text_header("content-type"), Some("application/json"));
    assert_eq!(log[0].key.as_deref(), Some(&b"1"[..]));
    let status = Connect::answers(page, "/connectors/outbox/status").unwrap_or_default();
    assert!(status.contains("\"RUNNING\"") && !status.contains("FAILED"), "{status}");
    drop(connect);
}

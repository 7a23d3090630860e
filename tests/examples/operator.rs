//! The shop's command for operators: what it shows and hides, what it does, and how it ends when it cannot.

use std::path::PathBuf;
use std::process::Command;

use eventferry::codec::AesGcmKeys;
use eventferry::outbox::{Payload, Status};
use eventferry::store::postgres::PostgresStore;
use eventferry::store::sqlite::SqliteStore;
use eventferry::store::{Operate, ShowPayload};
use eventferry::{MessageId, TableName};
use eventferry_tests::postgres::{FreshDatabase, fresh};
use eventferry_tests::servers;
use shop_events::{OrderId, OrderPaid, OrderPlaced, ShopEvents};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::{programs, run, text};

/// Stands wherever nobody may look.
const SECRET: &str = "ada@lovelace.example";

/// How the program ended: its exit code, what it printed, and what it said beside that.
type Ended = (i32, String, String);

fn operator(database: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new(programs().join("shop-operator"));
    let output = run(command.args(arguments), &[("DATABASE_URL", database), ("USER", "alice")]);
    let (printed, said) = (text(&output.stdout), text(&output.stderr));
    for hidden in [SECRET, "hunter2", "panicked", "\u{1b}"] {
        assert!(
            !printed.contains(hidden) && !said.contains(hidden),
            "`{hidden}` in\n{printed}{said}"
        );
    }
    (output.status.code().expect("it ended by itself"), printed, said)
}

fn table() -> TableName {
    TableName::new("shop.outbox").expect("a name")
}

struct Shop {
    db: FreshDatabase,
    database: String,
    store: PostgresStore,
}

impl Shop {
    async fn open() -> Option<Self> {
        let db = fresh().await?;
        sqlx::query("CREATE SCHEMA shop")
            .execute(&db.pool)
            .await
            .expect("a schema can be made");
        PostgresStore::migrate(&db.pool, &table()).await.expect("an outbox can be made");
        let database = db.options.to_url_lossy().to_string();
        let store = PostgresStore::new(db.pool.clone()).table(table());
        Some(Self { db, database, store })
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        operator(&self.database, arguments)
    }

    /// Runs what is to go well, and answers what it printed.
    fn prints(&self, arguments: &[&str]) -> String {
        let (code, printed, said) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        printed
    }

    /// An order that stands where a relay would have put it.
    async fn order(&self, events: &ShopEvents, id: u64, status: Status) -> MessageId {
        let mut tx = self.db.pool.begin().await.expect("a transaction begins");
        let receipt = events.enqueue(&mut tx, placed(id)).await.expect("it is right");
        tx.commit().await.expect("it is committed");
        let message_id = receipt.message_id();
        let stand =
            "UPDATE shop.outbox SET status = $2, attempts = 3, available_at = CASE WHEN $2 IN (1, 3) THEN now() END WHERE message_id = $1";
        let stand = sqlx::query(stand).bind(uuid::Uuid::from(message_id)).bind(status.code());
        stand.execute(&self.db.pool).await.expect("a row can be changed");
        message_id
    }

    async fn set<'q, V: sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + 'q>(&self, id: MessageId, column: &str, value: V) {
        let set = format!("UPDATE shop.outbox SET {column} = $2 WHERE message_id = $1");
        let done = sqlx::query(sqlx::AssertSqlSafe(set))
            .bind(uuid::Uuid::from(id))
            .bind(value)
            .execute(&self.db.pool);
        assert_eq!(done.await.expect("a row can be changed").rows_affected(), 1);
    }

    async fn status(&self, id: MessageId) -> Status {
        let row = self.store.show(id, ShowPayload::Leave).await.expect("it can be read");
        row.expect("it is there").record.status
    }
}

fn placed(id: u64) -> OrderPlaced {
    OrderPlaced {
        order_id: OrderId(id),
        total_cents: 4200,
        tenant: Some("berlin".to_owned()),
        receipt_to: Some(SECRET.to_owned()),
    }
}

fn plain() -> ShopEvents {
    ShopEvents::new().expect("it is right").table(table())
}

/// The value of a line of `show`.
fn field<'a>(shown: &'a str, name: &str) -> &'a str {
    let mut lines = shown.lines().filter_map(|line| line.split_at_checked(14));
    let (_, value) = lines
        .find(|(first, _)| first.trim_end() == name)
        .unwrap_or_else(|| panic!("no `{name}` in\n{shown}"));
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_died_and_why_and_nothing_that_is_personal() {
    let Some(shop) = Shop::open().await else { return };
    let events = plain();
    let dead = shop.order(&events, 1, Status::Dead).await;
    let held = shop.order(&events, 2, Status::DeadHolding).await;
    let failed = shop.order(&events, 3, Status::Failed).await;
    let waits = shop.order(&events, 4, Status::Pending).await;
    shop.set(dead, "last_error", "too \u{1b}[31mlarge\nfor its topic").await;

    let printed = shop.prints(&["list"]);
    let expected = format!(
        "1\t{dead}\tdead\t3\tshop-orders\tOrderPlaced 2\torder/1\ttoo \\u{{1b}}[31mlarge\\nfor its topic\n\
         2\t{held}\theld\t3\tshop-orders\tOrderPlaced 2\torder/2\t\n"
    );
    assert_eq!(printed, expected);
    let ids = |arguments: &[&str]| -> Vec<MessageId> {
        let printed = shop.prints(&[&["list"], arguments].concat());
        let ids = printed
            .lines()
            .map(|line| line.split('\t').nth(1).expect("a field").parse().expect("an id"));
        ids.collect()
    };
    assert_eq!(ids(&["--status", "dead"]), [dead, held]);
    assert_eq!(ids(&["--status=held"]), [held]);
    assert_eq!(ids(&["--status", "waiting"]), [failed]);
    assert_eq!(ids(&["--status", "failed", "--topic", "shop-orders"]), [failed]);
    assert_eq!(ids(&["--status", "scheduled"]), []);
    assert_eq!(ids(&["--topic", "elsewhere"]), []);
    assert_eq!(ids(&["--aggregate", "order/2"]), [held]);
    assert_eq!(ids(&["--limit", "1"]), [dead]);
    assert_eq!(ids(&["--after", "1", "--limit", "1"]), [held]);
    assert_eq!(shop.run(&["list", "--limit", "1"]).2, "there may be more: --after 1\n");

    let shown = shop.prints(&["show", &dead.to_string()]);
    assert_eq!((field(&shown, "status"), field(&shown, "headers")), ("dead", "tenant-id"));
    assert_eq!(field(&shown, "payload"), "87 bytes, not read");
    assert_eq!(field(&shop.prints(&["show", &failed.to_string()]), "due in"), "0 s");
    let shown = shop.prints(&["show", "--payload", &waits.to_string()]);
    assert_eq!(field(&shown, "status"), "pending");
    let masked = r#"{"order_id":4,"receipt_to":"***","tenant":"berlin","total_cents":4200}"#;
    assert_eq!(field(&shown, "payload"), masked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_of_a_payload_that_cannot_be_shown_and_not_shown_it() {
    let Some(shop) = Shop::open().await else { return };
    let events = plain();
    let keys = AesGcmKeys::new("2026-\u{1b}[2J", [7; 32]);
    let sealed = shop.order(&plain().encrypted(keys), 1, Status::Dead).await;
    let payload_of = async |id: MessageId| {
        let row = shop
            .store
            .show(id, ShowPayload::Read)
            .await
            .expect("it can be read")
            .expect("it is there");
        let Payload::Bytes(bytes) = row.record.payload else {
            panic!("{row:?}")
        };
        bytes
    };
    let shown = |id: MessageId| {
        let shown = shop.prints(&["show", "--payload", &id.to_string()]);
        field(&shown, "payload").to_owned()
    };

    let bytes = payload_of(sealed).await;
    assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "it is encrypted");
    assert_eq!(
        shown(sealed),
        format!("{} bytes, encrypted with the key `2026-\\u{{1b}}[2J`", bytes.len())
    );

    let broken = shop.order(&events, 2, Status::Dead).await;
    shop.set(broken, "payload", format!("\0{SECRET}").into_bytes()).await;
    assert_eq!(
        shown(broken),
        "not shown: `OrderPlaced` version 2 on topic `shop-orders` is no payload of its schema"
    );
    let newer = shop.order(&events, 3, Status::Dead).await;
    shop.set(newer, "event_version", 9).await;
    assert!(shown(newer).starts_with("not shown: `OrderPlaced` on topic `shop-orders` has version 9, which is newer"));
    let foreign = shop.order(&events, 4, Status::Dead).await;
    shop.set(foreign, "event_type", "Elsewhere").await;
    assert!(shown(foreign).starts_with("not shown: the message on topic `shop-orders` is `Elsewhere`, which is no event of"));
    let tombstone = shop.order(&events, 5, Status::Dead).await;
    shop.set(tombstone, "payload", None::<Vec<u8>>).await;
    assert_eq!(shown(tombstone), "none: a tombstone");
    // What no schema declares may be anything; what it does declare may be anything for a terminal.
    let more = shop.order(&events, 6, Status::Dead).await;
    let payload = format!(r#"{{"order_id":6,"total_cents":1,"tenant":"a\u001b\u009b\u202e","nickname":"{SECRET}"}}"#);
    shop.set(more, "payload", payload.replace("\\u009b", "\u{9b}").into_bytes()).await;
    assert_eq!(
        shown(more),
        r#"{"***":"***","order_id":6,"tenant":"a\u001b\u009b\u202e","total_cents":1}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_decides_and_is_told_what_became_of_it() {
    let Some(shop) = Shop::open().await else { return };
    let events = plain();
    let order = async |id, status| shop.order(&events, id, status).await;
    let [dead, held, released] = [
        order(1, Status::Dead).await,
        order(2, Status::DeadHolding).await,
        order(3, Status::DeadHolding).await,
    ];
    let (discarded, failed) = (order(4, Status::Dead).await, order(5, Status::Failed).await);
    for (command, id, says, then) in [
        (
            "requeue",
            dead,
            "requeued by itself: its successors have gone on",
            Status::Scheduled,
        ),
        ("requeue", held, "requeued in its place, before its successors", Status::Failed),
        (
            "release",
            released,
            "released: it stays dead, and its aggregate goes on",
            Status::Dead,
        ),
        ("discard", discarded, "discarded: it is never delivered", Status::Done),
        (
            "discard",
            failed,
            "asked; a relay discards it, unless it is delivered first",
            Status::Failed,
        ),
    ] {
        assert_eq!(shop.prints(&[command, &id.to_string()]), format!("{id}: {says}\n"));
        assert_eq!(shop.status(id).await, then, "{command}");
    }
    let shown = shop.prints(&["show", &discarded.to_string()]);
    assert!(field(&shown, "discarded").ends_with(" by alice"), "{shown}");
    let shown = shop.prints(&["show", &failed.to_string()]);
    assert!(field(&shown, "asked").ends_with(" by alice"), "{shown}");
    let released = released.to_string();
    shop.prints(&["requeue", &released, "--by", "bob@shop.example"]);
    let shown = shop.prints(&["show", &released]);
    assert!(field(&shown, "released").ends_with(" by alice"), "{shown}");
    assert!(field(&shown, "requeued").ends_with(" by bob@shop.example"), "{shown}");
    assert!(!field(&shown, "headers").contains("operator"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_cannot_do_is_said_with_a_code_of_its_own() {
    let Some(shop) = Shop::open().await else { return };
    let pending = shop.order(&plain(), 1, Status::Pending).await.to_string();
    let dead = shop.order(&plain(), 2, Status::Dead).await;
    let refused = |arguments: &[&str], code: i32, says: &str| {
        let (ended, printed, said) = shop.run(arguments);
        assert_eq!((ended, printed.as_str()), (code, ""), "{arguments:?}: {said}");
        assert!(said.starts_with("error: ") && said.contains(says), "{arguments:?}: {said}");
    };
    let nobody = MessageId::random().to_string();
    for command in ["show", "requeue", "release", "discard"] {
        refused(&[command, &nobody], 3, &format!("there is no event `{nobody}` in `shop.outbox`"));
    }
    let requeue = format!("cannot requeue `{pending}`, which is pending: requeue is for events that are dead or held");
    refused(&["requeue", &pending], 4, &requeue);
    refused(&["discard", &pending], 4, "which is pending");
    refused(
        &["release", &dead.to_string()],
        4,
        "which is dead: release is for events that are held",
    );
    let mut tx = shop.db.pool.begin().await.expect("a transaction begins");
    let lock = sqlx::query("SELECT FROM shop.outbox WHERE message_id = $1 FOR UPDATE").bind(uuid::Uuid::from(dead));
    lock.execute(&mut *tx).await.expect("the row can be locked");
    refused(&["requeue", &dead.to_string()], 5, "is being written at this moment");
    tx.rollback().await.expect("it is over");
    assert_eq!(shop.status(dead).await, Status::Dead);

    refused(&["list", "--table", "shop.nothing"], 1, "shop.nothing");
    for (arguments, says) in [
        (&[][..], "no command"),
        (&["purge"], "there is no command `purge`: list, show"),
        (&["show"], "show wants a message id"),
        (&["show", "7"], "`7` is no message id"),
        (&["show", &nobody, "8"], "`8` is one word too many"),
        (&["show", &nobody, "--limit", "1"], "show does not take --limit"),
        (&["list", "--payload"], "list does not take --payload"),
        (&["list", "--by", "bob"], "list does not take --by"),
        (&["list", "--status", "lost"], "there is no status `lost`: dead, held"),
        (&["list", "--limit", "0"], "--limit wants a number"),
        (&["list", "--limit"], "--limit wants a value"),
        (&["list", "--topic", "a", "--topic=b"], "--topic is there twice"),
        (&["list", "--aggregate", "order"], "--aggregate wants TYPE/ID"),
        (&["list", "--color"], "there is no option `--color`"),
        (&["list", "--table", "a b"], "is no name of an outbox"),
        (&["requeue", &nobody, "--by", ""], "say who decides"),
        (&["postgres://shop:hunter2@db/shop", "list"], "there is no command that"),
        (&["list", "--postgres://shop:hunter2@db/shop"], "there is no option that"),
        (
            &["list", "--database", "mysql://shop:hunter2@db/shop"],
            "neither `postgres:` nor `sqlite:`",
        ),
        (
            &["list", "--database", "postgres://shop:hunter2@db:port/shop"],
            "is not one such as",
        ),
        (&["list", "--database", ""], "begins with neither"),
    ] {
        refused(arguments, 2, says);
        assert!(shop.run(arguments).2.ends_with("; see --help\n"));
    }
    let (code, _, said) = operator("", &["list"]);
    assert_eq!(
        (code, said.as_str()),
        (2, "error: no database: give --database, or set DATABASE_URL; see --help\n")
    );
    let (code, help, _) = operator("", &["list", "--help"]);
    assert_eq!(code, 0);
    for word in [
        "list",
        "show",
        "requeue",
        "release",
        "discard",
        "--database",
        "DATABASE_URL",
        "exit code",
    ] {
        assert!(help.contains(word), "{help}");
    }

    let (code, printed, said) = operator("postgres://shop:hunter2@127.0.0.1:1/shop", &["list"]);
    assert_eq!((code, printed.as_str()), (1, ""));
    assert!(
        said.starts_with("error: failed to connect to PostgreSQL at `127.0.0.1:1`\n") && said.contains("refused"),
        "{said}"
    );
    if let Some(url) = servers::require("postgres-password") {
        let (code, _, said) = operator(&url.replace("hunter2", "hunter22"), &["list"]);
        assert!(code == 1 && said.contains("password authentication failed"), "{said}");
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_sqlite_does_the_same() {
    let folder = Folder(std::env::temp_dir().join(format!("eventferry-operator-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).expect("a folder can be made");
    let file = folder.0.join("shop.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .expect("a file");
    SqliteStore::migrate(&pool, &TableName::default())
        .await
        .expect("an outbox can be made");
    let mut tx = pool.begin().await.expect("a transaction begins");
    let events = ShopEvents::new().expect("it is right");
    let id = events.enqueue(&mut tx, placed(1)).await.expect("it is right").message_id();
    let paid = OrderPaid { order_id: OrderId(1) };
    events.enqueue(&mut tx, paid).await.expect("it is right");
    tx.commit().await.expect("it is committed");
    sqlx::query("UPDATE outbox SET status = 5 WHERE id = 1")
        .execute(&pool)
        .await
        .expect("a row can be changed");
    pool.close().await;

    let database = format!("sqlite:{}", file.display());
    let on = |arguments: &[&str]| operator("", &[&["--database", &database, "--table", "outbox"], arguments].concat());
    let (code, printed, said) = on(&["list"]);
    assert!(
        code == 0 && printed.contains(&format!("1\t{id}\theld\t")) && printed.lines().count() == 1,
        "{printed}{said}"
    );
    let (code, printed, said) = on(&["show", "--payload", &id.to_string()]);
    assert!(code == 0 && printed.contains(r#""receipt_to":"***""#), "{printed}{said}");
    assert_eq!(on(&["release", &id.to_string()]).0, 0);
    assert_eq!(on(&["release", &id.to_string()]).0, 4);
    let (code, _, said) = operator("sqlite:/nowhere/shop.db", &["list"]);
    assert!(
        code == 1 && said.starts_with("error: failed to connect to SQLite at `/nowhere/shop.db`"),
        "{said}"
    );
}

//! Plans at a million rows, with failed, dead, scheduled and hot ones among them: no statement of a relay walks the backlog.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::postgres::support::{Outbox, fresh};

/// More rows than this, looked at by one node of a plan, are a walk. A purge looks at ten thousand.
const MANY: f64 = 12_000.0;

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../eventferry/src/store/postgres/sql/", $name, ".sql"))
    };
}

/// What the planner is given: one aggregate with a long queue, many with a short one, `backlog` rows in all, and what is not pending.
fn rows(backlog: u32) -> [String; 6] {
    let half = backlog / 2;
    [
        format!("SELECT 7, true, 0, NULL::timestamptz, NULL FROM generate_series(1, {half})"),
        format!("SELECT (i % 50000) * 64 + i % 64, true, 0, NULL::timestamptz, NULL FROM generate_series(1, {half}) AS i"),
        "SELECT (1000000 + i) * 64 + i % 64, true, 3, now() + (i % 1000 - 500) * interval '1 s', 'no' FROM generate_series(1, 30000) AS i".to_owned(),
        "SELECT (2000000 + i) * 64 + i % 64, true, CASE WHEN i % 10 = 0 THEN 5 ELSE 4 END, NULL::timestamptz, 'no' FROM generate_series(1, 30000) AS i"
            .to_owned(),
        "SELECT (3000000 + i) * 64 + i % 64, false, 1, now() + (i % 1000 - 500) * interval '1 s', NULL FROM generate_series(1, 30000) AS i".to_owned(),
        "SELECT (4000000 + i) * 64 + i % 64, true, 0, NULL::timestamptz, NULL FROM generate_series(1, 10000) AS i".to_owned(),
    ]
}

async fn fill(outbox: &Outbox, backlog: u32) {
    outbox.run("ALTER TABLE outbox SET (autovacuum_enabled = off)").await;
    for rows in rows(backlog) {
        outbox
            .run(&format!(
                "INSERT INTO outbox (order_key, ordered, status, available_at, last_error, aggregate_type, aggregate_id, topic, event_type, payload)
                 SELECT r.*, 'order', 'x', 'orders', 'OrderCreated', decode(repeat('78', 200), 'hex') FROM ({rows}) AS r"
            ))
            .await;
    }
}

/// A session with a relay's settings.
async fn session(outbox: &Outbox) -> PgConnection {
    let mut connection = outbox.database.connect().await;
    connection.execute(sql!("session")).await.unwrap();
    connection
}

/// The statements that no relay runs: they have the session of whoever calls, and the planner's own mind.
const BY_CALLERS: [&str; 4] = ["move", "status of", "show", "insert what is there"];

/// Runs a statement in a session and rolls it back; answers what the server did.
async fn explain(mut connection: PgConnection, statement: &str, arguments: &str) -> Value {
    let text = format!("PREPARE x AS {statement}");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    let text = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE x ({arguments})");
    let row = tx.fetch_one(sqlx::raw_sql(AssertSqlSafe(text))).await.unwrap();
    let plan: Value = row.get(0);
    tx.rollback().await.unwrap();
    plan[0]["Plan"].clone()
}

fn number(node: &Value, key: &str) -> f64 {
    node[key].as_f64().unwrap_or(0.0)
}

/// What is wrong with a plan: scans of the whole table, and nodes that looked at many rows.
fn problems(name: &str, node: &Value, found: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let loops = number(node, "Actual Loops");
    let dropped = [
        "Rows Removed by Filter",
        "Rows Removed by Join Filter",
        "Rows Removed by Index Recheck",
    ];
    let looked_at = loops * (number(node, "Actual Rows") + dropped.iter().map(|key| number(node, key)).sum::<f64>());
    let of_outbox = node["Relation Name"] == "outbox";
    if of_outbox && kind == "Seq Scan" {
        found.push(format!("{name}: sequential scan"));
    }
    if looked_at > MANY {
        found.push(format!("{name}: {kind} on {} looked at {looked_at} rows", node["Index Name"]));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        problems(name, child, found);
    }
}

fn lanes() -> String {
    let lanes: Vec<String> = (0..64).map(|lane| lane.to_string()).collect();
    format!("'{{{}}}'", lanes.join(","))
}

/// Ids and message ids of some pending rows from all over the table, as two array literals, and their lanes.
async fn some_rows(outbox: &Outbox, count: i64) -> [String; 3] {
    let row = sqlx::query(
        "SELECT array_agg(id)::text, array_agg(message_id)::text, array_agg(lane)::text
         FROM (SELECT id, message_id, lane FROM outbox WHERE status = 0 AND id % 97 = 0 ORDER BY id LIMIT $1) AS picked",
    )
    .bind(count)
    .fetch_one(&outbox.database.pool)
    .await
    .unwrap();
    [0, 1, 2].map(|column| format!("'{}'", row.get::<String, _>(column)))
}

/// A hundred events of which each is there, as the columns of `insert.sql`.
fn existing(message_ids: &str) -> String {
    let columns = [
        "7::int8",
        "true",
        "NULL::int8",
        "'order'::text",
        "'x'::text",
        "'orders'::text",
        "NULL::text",
        "NULL::int4",
        "'OrderCreated'::text",
        "1::int4",
        "'application/json'::text",
        "'{}'::text",
        "'\\x78'::bytea",
    ];
    let columns = columns.map(|value| format!("array_fill({value}, ARRAY[100])")).join(", ");
    format!("({message_ids}::uuid[])[1:100], {columns}, 100")
}

async fn check_all(outbox: &Outbox) -> Vec<String> {
    let lanes = lanes();
    let all = |value: &str| format!("array_fill({value}, ARRAY[64])");
    let (zero, ahead, room) = (all("0::int8"), all("1000000000::int8"), all("32"));
    let none = "'18446744073709551615'";
    let keys = "ARRAY[7, 64, 129, 71]::int8[], ARRAY[true, true, true, false], ARRAY[0, 0, 0, 0]::int8[]";
    let large: String = sqlx::query_scalar("SELECT tx::text FROM outbox WHERE order_key = 7 LIMIT 1")
        .fetch_one(&outbox.database.pool)
        .await
        .unwrap();
    let [ids, message_ids, row_lanes] = some_rows(outbox, 1000).await;
    let relay = "'00000000-0000-0000-0000-000000000001'";
    let hundred = |value: &str| format!("array_fill({value}, ARRAY[100])");
    let verdicts = format!(
        "{relay}, ({ids}::int8[])[1:100], ({message_ids}::uuid[])[1:100], ({row_lanes}::int2[])[1:100], {}, {}, {}, {}, {}, {}, {}",
        hundred("1::int8"),
        hundred("0::int2"),
        hundred("1000::int8"),
        hundred("5::int8"),
        hundred("false"),
        hundred("'no'::text"),
        hundred("0")
    );
    let again = existing(&message_ids);
    let cases = [
        ("takeover", sql!("read"), format!("{lanes}, {zero}, {room}, '{{}}', {none}, 1000")),
        (
            "idle",
            sql!("read"),
            format!("{lanes}, {ahead}, {room}, '{{5,6,9000000100000}}', '9000000000000', 1000"),
        ),
        (
            "no room",
            sql!("read"),
            format!("{lanes}, {ahead}, {}, '{{5,6,9000000100000}}', '9000000000000', 1000", all("0")),
        ),
        (
            "one large transaction is late",
            sql!("read"),
            format!("{lanes}, {ahead}, {room}, '{{{large}}}', {none}, 1000"),
        ),
        ("a look from the start", sql!("skim"), format!("{lanes}, {zero}, {}", all("100"))),
        ("a look at one lane", sql!("skim"), "'{7}', '{50000}', '{10000}'".to_owned()),
        ("aggregates", sql!("read_aggregates"), format!("{keys}, 256")),
        (
            "due from the start",
            sql!("read_due"),
            format!("{lanes}, {}, {zero}, 16", all("NULL::int8")),
        ),
        (
            "due, a page",
            sql!("read_due"),
            format!("{lanes}, {}, {zero}, 16", all("1700000000000000")),
        ),
        ("payload", sql!("read_payload"), format!("5, {relay}")),
        ("look up", sql!("look_up"), format!("{ids}, {message_ids}")),
        ("done, kept", sql!("done_keep"), format!("{ids}, {message_ids}")),
        ("done, deleted", sql!("done_delete"), format!("{ids}, {message_ids}")),
        ("done, kept, free", sql!("done_keep_free"), format!("{ids}, {message_ids}")),
        ("done, deleted, free", sql!("done_delete_free"), format!("{ids}, {message_ids}")),
        ("fail", sql!("fail"), verdicts),
        ("purge", sql!("purge"), "1000000, 1000, 0, 10000000".to_owned()),
        (
            "move",
            sql!("move"),
            format!("{message_ids}, '{{4,5}}', '{{2,2}}', '{{x,x}}', 'me', false"),
        ),
        ("status of", sql!("status_of"), message_ids.clone()),
        (
            "discard asked",
            sql!("discard_asked"),
            format!("{relay}, {ids}, {message_ids}, {row_lanes}, {}", "array_fill(1::int8, ARRAY[1000])"),
        ),
        ("show", sql!("show"), format!("({message_ids}::uuid[])[1], true")),
        ("insert what is there", sql!("insert"), again),
        ("take", sql!("take"), format!("{relay}, 64")),
        (
            "take groups",
            sql!("take_groups"),
            format!("{relay}, '{{0,1,2,3,4,5,6,7}}', 8::int2, 8"),
        ),
        ("renew", sql!("renew"), format!("{relay}, {lanes}, {zero}, 'sharing'")),
        ("release", sql!("release"), format!("{relay}, {lanes}, {zero}")),
        ("forgive", sql!("forgive"), format!("{relay}, {lanes}, {zero}")),
    ];
    let mut found = Vec::new();
    for (name, statement, arguments) in cases {
        let connection = if BY_CALLERS.contains(&name) {
            outbox.database.connect().await
        } else {
            session(outbox).await
        };
        let plan = explain(connection, statement, &arguments).await;
        problems(name, &plan, &mut found);
    }
    found
}

#[tokio::test]
async fn no_statement_of_a_relay_walks_the_backlog_whatever_the_statistics_say() {
    let outbox = fresh!("outbox");
    outbox
        .run("UPDATE outbox_lane SET owner = '00000000-0000-0000-0000-000000000001', epoch = 1")
        .await;
    // Statistics of an empty table, as on a relay whose plans were made before the load came.
    outbox.run("ANALYZE outbox").await;
    fill(&outbox, 1_000_000).await;
    assert_eq!(check_all(&outbox).await, [""; 0], "with statistics of an empty table");
    outbox.run("ANALYZE outbox").await;
    assert_eq!(check_all(&outbox).await, [""; 0], "with fresh statistics");
    // An operator's list; without statistics it may sort the dead rows, and these alone.
    let connection = outbox.database.connect().await;
    let plan = explain(connection, sql!("list"), "'{4,5}', 0, 100, NULL, NULL, NULL, NULL").await;
    let mut found = Vec::new();
    problems("list", &plan, &mut found);
    assert_eq!(found, [""; 0]);
}

/// A test of the test: the shape with the lane and the cursor pushed into the late arms, as first written, is found out.
#[tokio::test]
async fn a_late_arm_bounded_by_the_cursor_is_seen_to_walk() {
    let outbox = fresh!("outbox");
    fill(&outbox, 200_000).await;
    outbox.run("ANALYZE outbox").await;
    let mutant = sql!("read").replace(
        "WHERE o.status = 0 AND o.tx >= t.tx AND o.tx <= t.tx",
        "WHERE o.status = 0 AND (o.tx = t.tx OR o.tx >= $5::text::xid8) AND o.id <= (SELECT max(w.cursor) FROM wanted AS w)",
    );
    assert_ne!(mutant, sql!("read"));
    let arguments = format!(
        "{}, array_fill(1000000000::int8, ARRAY[64]), array_fill(0, ARRAY[64]), '{{5,6}}', '9000000000000', 1000",
        lanes()
    );
    let mut found = Vec::new();
    problems("mutant", &explain(session(&outbox).await, &mutant, &arguments).await, &mut found);
    assert_ne!(found, [""; 0]);
}

/// Rows that were acked while somebody's long report holds them: a reader at its cursor does not pay for them.
#[tokio::test]
async fn dead_entries_below_the_cursor_cost_a_reader_nothing() {
    let outbox = fresh!("outbox");
    fill(&outbox, 200_000).await;
    let mut report = outbox.database.connect().await;
    report
        .execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox_meta")
        .await
        .unwrap();
    outbox.run("DELETE FROM outbox WHERE order_key = 7").await;
    let read = |cursor: i64| {
        let arguments = format!("'{{7}}', '{{{cursor}}}', '{{1000}}', '{{5,6}}', '9000000000000', 1000");
        let outbox = &outbox;
        async move {
            let plan = explain(session(outbox).await, sql!("read"), &arguments).await;
            number(&plan, "Shared Hit Blocks") + number(&plan, "Shared Read Blocks")
        }
    };
    let (from_zero, at_its_place) = (read(0).await, read(100_000).await);
    assert!(
        at_its_place * 5.0 < from_zero,
        "{at_its_place} pages against {from_zero} from the start of the lane"
    );
}

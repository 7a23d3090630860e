//! No statement of a relay walks the table.

use sqlx::{Row as _, SqlitePool};

use super::Fresh;

const STATEMENTS: [(&str, &str); 16] = [
    ("list", include_str!("../../../eventferry/src/store/sqlite/sql/list.sql")),
    ("show", include_str!("../../../eventferry/src/store/sqlite/sql/show.sql")),
    ("move", include_str!("../../../eventferry/src/store/sqlite/sql/move.sql")),
    (
        "statuses_of",
        include_str!("../../../eventferry/src/store/sqlite/sql/statuses_of.sql"),
    ),
    (
        "discard_asked",
        include_str!("../../../eventferry/src/store/sqlite/sql/discard_asked.sql"),
    ),
    ("read", include_str!("../../../eventferry/src/store/sqlite/sql/read.sql")),
    ("skim", include_str!("../../../eventferry/src/store/sqlite/sql/skim.sql")),
    (
        "read_aggregates",
        include_str!("../../../eventferry/src/store/sqlite/sql/read_aggregates.sql"),
    ),
    ("read_due", include_str!("../../../eventferry/src/store/sqlite/sql/read_due.sql")),
    (
        "read_payload",
        include_str!("../../../eventferry/src/store/sqlite/sql/read_payload.sql"),
    ),
    ("look_up", include_str!("../../../eventferry/src/store/sqlite/sql/look_up.sql")),
    ("done_keep", include_str!("../../../eventferry/src/store/sqlite/sql/done_keep.sql")),
    (
        "done_delete",
        include_str!("../../../eventferry/src/store/sqlite/sql/done_delete.sql"),
    ),
    ("fail", include_str!("../../../eventferry/src/store/sqlite/sql/fail.sql")),
    ("purge", include_str!("../../../eventferry/src/store/sqlite/sql/purge.sql")),
    ("status_of", include_str!("../../../eventferry/src/store/sqlite/sql/status_of.sql")),
];

async fn plan(pool: &SqlitePool, sql: &'static str) -> Vec<String> {
    let explained = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = sqlx::raw_sql(explained).fetch_all(pool).await.unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

#[tokio::test]
async fn no_statement_walks_the_table() {
    let outbox = Fresh::new().await;
    for (name, sql) in STATEMENTS {
        let plan = plan(&outbox.pool, sql).await;
        for step in &plan {
            let walks = ["SCAN outbox", "SCAN o", "SCAN x", "SCAN n"]
                .iter()
                .any(|scan| step == scan || step.starts_with(&format!("{scan} ")));
            assert!(!walks, "`{name}` walks the table: {plan:#?}");
        }
    }
}

#[tokio::test]
async fn lanes_are_read_through_their_own_index() {
    let outbox = Fresh::new().await;
    for (name, index) in [
        ("read", "ix_outbox_fresh (lane=? AND id>?)"),
        ("skim", "ix_outbox_fresh (lane=? AND id>?)"),
        ("read_aggregates", "ix_outbox_aggregate (order_key=? AND ordered=? AND id>?)"),
        ("read_due", "ix_outbox_due (lane=? AND available_at=? AND id>?)"),
        ("read_due", "ix_outbox_due (lane=? AND available_at>? AND available_at<?)"),
        ("purge", "ix_outbox_done (processed_at<?)"),
        ("list", "ix_outbox_dead (id>?)"),
    ] {
        let sql = STATEMENTS.iter().find(|(n, _)| *n == name).unwrap().1;
        let plan = plan(&outbox.pool, sql).await;
        assert!(
            plan.iter().any(|step| step.contains(index)),
            "`{name}` without `{index}`: {plan:#?}"
        );
        assert!(
            !plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY") && name == "purge"),
            "{plan:#?}"
        );
    }
}

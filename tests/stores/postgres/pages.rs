//! The statements that the pages show to operators are run as they stand.

use std::path::Path;

use sqlx::{AssertSqlSafe, Executor};

use crate::postgres::support::fresh;

const PAGES: [&str; 3] = ["docs/postgres.md", "docs/operations.md", "docs/interoperability.md"];

#[tokio::test]
async fn every_statement_that_a_page_shows_runs() {
    let outbox = fresh!("outbox");
    let mut run = 0;
    for page in PAGES {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page)).unwrap();
        for block in text.split("```sql\n").skip(1) {
            let (statements, _) = block.split_once("```").unwrap();
            let answer = outbox.database.pool.execute(AssertSqlSafe(statements.to_owned())).await;
            assert!(answer.is_ok(), "{page}: {answer:?}\n{statements}");
            run += 1;
        }
    }
    assert!(run >= 6, "only {run} blocks were found");
    let written: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox")
        .fetch_one(&outbox.database.pool)
        .await
        .unwrap();
    assert_eq!(written, 2, "rows that are written by hand");
}

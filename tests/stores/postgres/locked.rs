//! Rows that somebody has locked.

use std::time::Duration;

use eventferry::outbox::{OnDead, Record, Status};
use eventferry::store::{Fault, RelayId, Retention, Store, Verdict, VerdictOutcome};
use eventferry::testing::conformance::store::Harness;
use sqlx::Executor;

use crate::postgres::races::put;
use crate::postgres::support::{fresh, leases, within};

/// An operator's open UPDATE on one row must not stop the acks of the others.
#[tokio::test]
async fn an_ack_goes_round_a_row_that_somebody_has_locked() {
    for retention in [Retention::default(), Retention::Delete] {
        let outbox = fresh!("outbox");
        let rows = put(&outbox, (0..10).map(|n| n.to_string())).await;
        let names: Vec<_> = rows.iter().map(Record::row).collect();
        let mut operator = outbox.begin().await;
        operator
            .execute(sqlx::AssertSqlSafe(format!(
                "UPDATE outbox SET last_error = 'x' WHERE id = {}",
                rows[4].id
            )))
            .await
            .unwrap();
        assert_eq!(within(outbox.store.done(&names, retention)).await.unwrap(), [names[4]]);
        assert_eq!(within(outbox.store.done(&names[4..5], retention)).await.unwrap(), [names[4]]);
        let left = |status: &Option<Status>| matches!(status, Some(Status::Pending));
        let statuses = outbox.store.look_up(&names).await.unwrap();
        assert_eq!(statuses.iter().filter(|status| left(status)).count(), 1, "{statuses:?}");
        assert!(left(&statuses[4]));
        outbox.commit(operator).await;
        assert_eq!(within(outbox.store.done(&names, retention)).await.unwrap(), []);
        assert!(!outbox.store.look_up(&names).await.unwrap().iter().any(left));
    }
}

/// Nor the verdicts on the others; whatever they say.
#[tokio::test]
async fn a_verdict_goes_round_a_row_that_somebody_has_locked() {
    let outbox = fresh!("outbox");
    let rows = put(&outbox, (0..10).map(|n| n.to_string())).await;
    let relay = RelayId::random();
    let held = leases(&outbox.store.take(relay, 64).await.unwrap());
    let mut operator = outbox.begin().await;
    let lock = format!("SELECT FROM outbox WHERE id = {} FOR UPDATE", rows[4].id);
    operator.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();
    let (delay, max_attempts) = (Duration::ZERO, 3);
    let waits = |attempts| VerdictOutcome::Waits { attempts };
    // What is said, the attempts it is said of, and what becomes of it.
    for (fault, attempts, outcome) in [
        (Fault::Begun { max_attempts }, 0, waits(1)),
        (Fault::RefusedAlone { delay, max_attempts }, 1, waits(1)),
        (Fault::Excused, 1, waits(0)),
        (Fault::Refused { delay, max_attempts }, 0, waits(1)),
        (Fault::Rejected, 1, VerdictOutcome::Dead),
    ] {
        let verdict = |row: &Record| Verdict::new(row.row(), attempts, held[usize::from(row.lane())], fault, OnDead::Continue, "no");
        let verdicts: Vec<_> = rows.iter().map(verdict).collect();
        let told = within(outbox.store.fail(relay, &verdicts)).await.unwrap();
        let mut expected = [outcome; 10];
        expected[4] = VerdictOutcome::Locked;
        assert_eq!(told, expected, "{fault:?}");
    }
    operator.rollback().await.unwrap();
    let last = Verdict::new(
        rows[4].row(),
        0,
        held[usize::from(rows[4].lane())],
        Fault::Rejected,
        OnDead::Continue,
        "no",
    );
    assert_eq!(within(outbox.store.fail(relay, &[last])).await.unwrap(), [VerdictOutcome::Dead]);
}

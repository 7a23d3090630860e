//! Rows that wait for a time, an operator or a verdict, and what waits behind them.

use std::time::Duration;

use super::{Bench, config, row};
use crate::event::Message;
use crate::outbox::Status;
use crate::publish::PublishErrorKind;
use crate::relay::core::{Command, Fact, WriteCommand};
use crate::store::VerdictOutcome;

#[test]
fn a_failed_row_waits_for_its_time_and_its_aggregate_with_it() {
    let mut bench = Bench::new(config());
    let mut failed = row(1, "a");
    (failed.status, failed.attempts, failed.due_in) = (Status::Failed, 1, Duration::from_secs(9));
    bench.read(|batch| batch.fresh = vec![failed, row(2, "a"), row(3, "b")]);
    assert_eq!(bench.ids(), [3]);
    assert_eq!(bench.core.stats().known, 1, "what waits is left in the table");
}

#[test]
fn a_dead_row_that_holds_lets_nothing_pass() {
    let mut bench = Bench::new(config());
    let mut dead = row(1, "a");
    dead.status = Status::DeadHolding;
    bench.read(|batch| batch.fresh = vec![dead, row(2, "a"), row(3, "b")]);
    assert_eq!(bench.ids(), [3]);
}

#[test]
fn a_verdict_comes_before_anything_else_of_its_aggregate() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a")]);
    let sent = bench.handed_over();
    let message = Box::new(Message::new("t", "{}"));
    bench.turn([Fact::Refused {
        token: sent[0].1,
        kind: PublishErrorKind::Retriable,
        error: "no".into(),
        message,
    }]);
    assert_eq!(bench.ids(), [0; 0]);
    assert!(
        bench
            .commands
            .iter()
            .any(|c| matches!(c, Command::Write(WriteCommand::Judge(verdicts)) if verdicts[0].error == "no"))
    );
}

/// An operator's open transaction on one row.
#[test]
fn a_verdict_that_cannot_be_written_keeps_no_other_from_it() {
    let mut bench = Bench::new(config());
    let rows: Vec<_> = (1..=4).map(|id| row(id, &format!("a{id}"))).collect();
    bench.read(|batch| batch.fresh = rows);
    for (_, token) in bench.handed_over() {
        let message = Box::new(Message::new("t", "{}"));
        bench.turn([Fact::Refused {
            token,
            kind: PublishErrorKind::Retriable,
            error: "no".into(),
            message,
        }]);
    }
    let locked = 2;
    let mut answered = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let at = bench
            .commands
            .iter()
            .position(|command| matches!(command, Command::Write(WriteCommand::Judge(_))));
        if let Some(at) = at {
            let Command::Write(WriteCommand::Judge(verdicts)) = bench.commands.remove(at) else {
                unreachable!()
            };
            let outcomes = if verdicts.iter().any(|verdict| verdict.row.id == locked) {
                None
            } else {
                answered.extend(verdicts.iter().map(|verdict| verdict.row.id));
                Some(vec![VerdictOutcome::Waits { attempts: 1 }; verdicts.len()])
            };
            bench.turn([Fact::Judged { verdicts, outcomes }]);
        }
        bench.now += Duration::from_millis(300);
        bench.turn([]);
    }
    assert_eq!(Vec::from_iter(answered), [1, 3, 4]);
}

/// The database's clock was set back by an hour: the aggregate must not stand for as long.
#[test]
fn a_wait_that_no_policy_asks_for_is_over() {
    let mut bench = Bench::new(config());
    let mut failed = row(1, "a");
    (failed.status, failed.due_in) = (Status::Failed, Duration::from_hours(1));
    bench.read(|batch| batch.fresh = vec![failed, row(2, "a")]);
    assert_eq!(bench.ids(), [1]);
}

#[test]
fn an_aggregate_whose_failed_row_somebody_else_settled_is_read_again() {
    let mut bench = Bench::new(config());
    let mut failed = row(1, "a");
    (failed.status, failed.due_in) = (Status::Failed, Duration::from_secs(2));
    bench.read(|batch| batch.fresh = vec![failed, row(2, "a")]);
    assert!(bench.aggregates().is_none());
    // The page of due rows never shows it: it is done.
    bench.now += Duration::from_secs(4);
    bench.turn([]);
    let (number, count) = bench.aggregates().expect("read again");
    assert_eq!(count, 1);
    bench.turn([Fact::Aggregates {
        number,
        rows: Some(vec![row(2, "a")]),
    }]);
    assert_eq!(bench.ids(), [2]);
}

//! A waiting row that an operator asked to discard is settled in its place, and not sent.

use super::{Bench, config, pipelined, row};
use crate::event::headers;
use crate::outbox::{Record, Status};
use crate::publish::{PublishErrorKind, Scope};
use crate::relay::core::{Command, Fact, ReadCommand, WriteCommand};
use crate::store::{DueCursor, DueRow, Fault, Verdict, VerdictOutcome};

fn asked(mut record: Record) -> Record {
    record.status = if record.ordered { Status::Failed } else { Status::Scheduled };
    record.headers.set(headers::OPERATOR_DISCARD_ASKED, "2026-11-21T00:00:00Z alice");
    record
}

impl Bench {
    /// Verdicts given since the last call.
    pub(super) fn verdicts(&mut self) -> Vec<Verdict> {
        let mut out = Vec::new();
        self.commands.retain_mut(|command| {
            let Command::Write(WriteCommand::Judge(verdicts)) = command else {
                return true;
            };
            out.append(verdicts);
            false
        });
        out
    }

    fn judge(&mut self, verdicts: Vec<Verdict>, outcome: VerdictOutcome) {
        let outcomes = Some(vec![outcome; verdicts.len()]);
        self.turn([Fact::Judged { verdicts, outcomes }]);
    }

    fn answer_aggregates(&mut self, rows: Vec<Record>) {
        let (number, _) = self.aggregates().expect("an aggregate is read again");
        self.turn([Fact::Aggregates { number, rows: Some(rows) }]);
    }

    /// Lets time pass until due rows are asked for, and answers with these.
    fn due(&mut self, rows: Vec<Record>) {
        self.now += std::time::Duration::from_secs(1);
        self.turn([]);
        let at = self
            .commands
            .iter()
            .rposition(|c| matches!(c, Command::Read(ReadCommand::Due { .. })))
            .expect("due rows are asked for");
        let Command::Read(ReadCommand::Due { number, .. }) = self.commands.remove(at) else {
            unreachable!()
        };
        let rows = rows.into_iter().map(|row| {
            let at = DueCursor::new(0, row.id);
            DueRow::new(row, at)
        });
        self.turn([Fact::Due {
            number,
            rows: Some(rows.collect()),
        }]);
    }
}

#[test]
fn a_row_that_is_asked_for_is_not_sent_and_its_successors_wait_for_the_verdict() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![asked(row(1, "a")), row(2, "a"), row(3, "b")]);
    assert_eq!(bench.ids(), [3], "neither the discarded one nor, yet, its successor");
    let verdicts = bench.verdicts();
    assert_eq!(
        verdicts.iter().map(|v| (v.row.id, v.fault)).collect::<Vec<_>>(),
        [(1, Fault::Discarded)]
    );
    bench.judge(verdicts, VerdictOutcome::Discarded);
    bench.answer_aggregates(vec![row(2, "a")]);
    assert_eq!(bench.ids(), [2]);
    let stats = bench.core.stats();
    assert_eq!((stats.discarded, stats.dead, stats.failed), (1, 0, 0));
}

#[test]
fn what_is_in_flight_before_it_is_waited_for() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(1, "a"), asked(row(2, "a")), row(3, "a")]);
    let sent = bench.handed_over();
    assert_eq!(sent.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1]);
    assert!(bench.verdicts().is_empty(), "the event before it may still fail");
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert_eq!(bench.verdicts().len(), 1);
    assert!(bench.ids().is_empty());
}

#[test]
fn a_row_that_is_not_asked_for_any_more_is_sent() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![asked(row(1, "a")), row(2, "a")]);
    let verdicts = bench.verdicts();
    bench.judge(verdicts, VerdictOutcome::Waits { attempts: 1 });
    let mut back = row(1, "a");
    (back.status, back.attempts) = (Status::Failed, 1);
    bench.answer_aggregates(vec![back, row(2, "a")]);
    assert_eq!(bench.ids(), [1]);
    assert_eq!(bench.core.stats().failed, 0, "no attempt was made");
}

#[test]
fn an_unordered_row_is_settled_by_itself() {
    let mut bench = Bench::new(config());
    let unordered = |id| {
        let mut record = row(id, "a");
        record.ordered = false;
        record
    };
    bench.read(|batch| batch.fresh = vec![unordered(1), asked(unordered(2)), unordered(3)]);
    assert_eq!(bench.ids(), [1, 3]);
    let verdicts = bench.verdicts();
    assert_eq!(verdicts.iter().map(|v| v.row.id).collect::<Vec<_>>(), [2]);
}

#[test]
fn whatever_an_aggregate_waits_for_the_asking_is_heard() {
    let mut bench = Bench::new(config());
    let mut waiting = row(1, "a");
    (waiting.status, waiting.attempts, waiting.due_in) = (Status::Failed, 1, std::time::Duration::from_mins(4));
    bench.read(|batch| batch.fresh = vec![waiting, row(2, "a")]);
    assert!(bench.ids().is_empty());
    bench.due(vec![asked(row(1, "a"))]);
    bench.answer_aggregates(vec![asked(row(1, "a")), row(2, "a")]);
    let verdicts = bench.verdicts();
    assert_eq!(verdicts.iter().map(|v| v.row.id).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_row_that_was_read_before_it_was_asked_for_is_not_sent_either() {
    let mut bench = Bench::new(crate::relay::core::CoreConfig {
        plain_limit: 1,
        ..config()
    });
    let failed = |id, aggregate| {
        let mut record = row(id, aggregate);
        (record.status, record.attempts) = (Status::Failed, 1);
        record
    };
    let rows = [failed(1, "a"), failed(2, "b")];
    bench.read(|batch| batch.fresh = rows.to_vec());
    let sent = bench.handed_over();
    assert_eq!(sent.len(), 1, "one call at a time: the other waits");
    let waits = rows.into_iter().find(|row| row.id != sent[0].0);
    bench.due(waits.map(asked).into_iter().collect());
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert!(bench.ids().is_empty());
    assert_eq!(bench.verdicts().len(), 1);
}

/// Its topic is missing and may never come: that is when people discard.
#[test]
fn a_topic_that_is_away_does_not_keep_a_row_that_is_asked_for() {
    let mut bench = Bench::new(pipelined());
    let mut failed = row(1, "a");
    (failed.status, failed.attempts) = (Status::Failed, 1);
    bench.read(|batch| batch.fresh = vec![failed.clone(), row(2, "a")]);
    bench.answer_topic(Err(PublishErrorKind::Unavailable(Scope::Topic)));
    assert!(bench.ids().is_empty() && bench.aggregates().is_none(), "it waits for its topic");
    bench.due(vec![asked(failed.clone())]);
    bench.answer_aggregates(vec![asked(failed), row(2, "a")]);
    assert_eq!(bench.verdicts().len(), 1);
}

#[test]
fn a_broker_that_is_away_does_not_keep_it_either() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(1, "b")]);
    let sent = bench.handed_over();
    bench.refuse(sent[0].1, PublishErrorKind::Unavailable(Scope::Publisher));
    bench.read(|batch| batch.fresh = vec![asked(row(2, "a")), row(3, "a")]);
    assert!(bench.ids().is_empty(), "nothing is sent while the broker is away");
    let verdicts = bench.verdicts();
    assert_eq!(verdicts.iter().map(|v| v.row.id).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_held_aggregate_hears_at_once_that_its_dead_row_was_brought_back() {
    let mut bench = Bench::new(config());
    let mut dead = row(1, "a");
    dead.status = Status::DeadHolding;
    bench.read(|batch| batch.fresh = vec![dead, row(2, "a")]);
    assert!(bench.ids().is_empty());
    let mut back = row(1, "a");
    back.status = Status::Failed;
    bench.due(vec![back.clone()]);
    bench.answer_aggregates(vec![back, row(2, "a")]);
    assert_eq!(bench.ids(), [1]);
}

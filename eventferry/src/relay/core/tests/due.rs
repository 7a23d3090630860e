//! Rows that are due and cannot go are met again, and not all the time.

use std::time::Duration;

use super::{Bench, pipelined, row};
use crate::outbox::{Record, Status};
use crate::publish::{PublishErrorKind, Scope};
use crate::relay::core::{Command, Fact, ReadCommand};
use crate::store::{DueCursor, DueRow};

/// A row that waited for its time, for a topic that is away.
fn due(id: i64, aggregate: &str) -> Record {
    let mut row = row(id, aggregate);
    (row.ordered, row.status) = (false, Status::Scheduled);
    row
}

impl Bench {
    /// Where the pages of due rows go on, if they are asked for within so many milliseconds.
    pub(super) fn due_asked(&mut self, within: u64) -> Option<(u64, Vec<(u8, DueCursor)>)> {
        for _ in 0..=within / 10 {
            let asked = |c: &Command| matches!(c, Command::Read(ReadCommand::Due { .. }));
            if let Some(at) = self.commands.iter().position(asked)
                && let Command::Read(ReadCommand::Due { number, lanes, .. }) = self.commands.remove(at)
            {
                return Some((number, lanes));
            }
            self.now += Duration::from_millis(10);
            self.turn([]);
        }
        None
    }

    pub(super) fn answer_due(&mut self, number: u64, rows: Vec<Record>) {
        let rows = rows.into_iter().map(|row| {
            let at = DueCursor::new(1_000, row.id);
            DueRow::new(row, at)
        });
        self.turn([Fact::Due {
            number,
            rows: Some(rows.collect()),
        }]);
    }
}

#[test]
fn many_due_rows_that_cannot_go_are_read_seldom_and_what_becomes_due_at_once() {
    let mut bench = Bench::new(pipelined());
    let (number, _) = bench.due_asked(600).expect("it begins with what is due");
    // More than one page of one lane, and no end of them.
    let mut next = 0;
    let mut page = |bench: &mut Bench, number: u64, rows: i64| {
        bench.answer_due(number, (next..next + rows).map(|id| due(id, "a")).collect());
        next += rows;
    };
    page(&mut bench, number, 64);
    bench.answer_topic(Err(PublishErrorKind::Unavailable(Scope::Topic)));
    for _ in 0..60 {
        let (number, lanes) = bench.due_asked(20).expect("the next page");
        assert!(lanes.iter().any(|(_, at)| *at != DueCursor::START));
        page(&mut bench, number, 64);
    }
    let (number, _) = bench.due_asked(20).expect("the last page");
    page(&mut bench, number, 10);
    // 3,914 rows: 195 ms until they are met again, and meanwhile what is new is asked for.
    let (number, lanes) = bench.due_asked(110).expect("what becomes due is not waited for");
    assert!(lanes.iter().any(|(_, at)| at.id == 3_913), "behind what was read: {lanes:?}");
    bench.answer_due(number, Vec::new());
    let (_, lanes) = bench.due_asked(110).expect("they are met again");
    assert!(lanes.iter().all(|(_, at)| *at == DueCursor::START), "{lanes:?}");
}

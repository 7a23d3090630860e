//! What an event was refused for says which others may go together.

use std::time::Duration;

use super::{Bench, config, pipelined, row};
use crate::outbox::{Payload, Record};
use crate::publish::{PublishErrorKind, Scope};
use crate::relay::core::{Cause, Command, Fact, WriteCommand};

fn sized(id: i64, bytes: usize) -> Record {
    let mut row = row(id, &format!("a{id}"));
    row.payload = Payload::Bytes(vec![b'x'; bytes]);
    row
}

/// A session that ended because of an event of 800 bytes, which one call refused, too; the topic's quarantine is over.
fn refused(kind: PublishErrorKind) -> Bench {
    let mut bench = Bench::new(pipelined());
    bench.read(|batch| batch.fresh = vec![sized(1, 800)]);
    bench.answer_topic(Ok(9));
    bench.turn([Fact::SessionOpened { session: 1 }]);
    bench.ends_a_session(1, sized(1, 800), kind);
    bench.later(11);
    bench
}

impl Bench {
    /// The one event that was handed over to a session ends it, and a call for it is refused.
    fn ends_a_session(&mut self, session: u64, event: Record, kind: PublishErrorKind) {
        let (together, alone) = self.handed_over_by_route();
        assert_eq!((together.len(), alone.len()), (1, 0), "it goes through a session");
        let token = together[0].1;
        let cause = Some(Cause {
            token: Some(token),
            kind: PublishErrorKind::Retriable,
        });
        self.turn([Fact::SessionOver { session, cause }]);
        let (number, _) = self.aggregates().expect("it is read again");
        let rows = Some(vec![event]);
        self.turn([Fact::Aggregates { number, rows }]);
        let token = self.handed_over()[0].1;
        self.refuse(token, kind);
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let until = self.now + Duration::from_mins(5);
        self.core.lanes.iter_mut().for_each(|lane| lane.valid_until = until);
        self.turn([]);
    }

    /// Those of these rows that go through a session, and those that go by one call each, with their tokens.
    fn by_route(&mut self, rows: Vec<Record>) -> (Vec<i64>, Vec<(i64, u64)>) {
        self.read(|batch| batch.fresh = rows);
        let next = self.core.session_numbers;
        self.turn([Fact::SessionOpened { session: next }]);
        let (pipelined, mut plain) = self.handed_over_by_route();
        let mut pipelined: Vec<i64> = pipelined.into_iter().map(|(id, _)| id).collect();
        pipelined.sort_unstable();
        plain.sort_unstable();
        (pipelined, plain)
    }
}

/// A session that gives its event up may hear while it closes that the event is delivered.
#[test]
fn a_session_that_ended_for_an_event_which_is_delivered_says_nothing_of_the_broker() {
    for (token, away) in [(true, false), (false, true)] {
        let mut bench = Bench::new(pipelined());
        bench.read(|batch| batch.fresh = vec![sized(1, 800)]);
        bench.answer_topic(Ok(9));
        bench.turn([Fact::SessionOpened { session: 1 }]);
        let delivered = bench.handed_over()[0].1;
        let kind = PublishErrorKind::Retriable;
        let token = token.then_some(delivered);
        let over = Fact::SessionOver {
            session: 1,
            cause: Some(Cause { token, kind }),
        };
        bench.turn([Fact::Delivered(vec![delivered]), over]);
        assert_eq!(bench.core.stats().broker_away, away);
    }
}

#[test]
fn events_as_large_as_a_refused_one_go_alone_and_the_others_together() {
    let mut bench = refused(PublishErrorKind::Rejected);
    let (together, alone) = bench.by_route(vec![sized(2, 100), sized(3, 900), sized(4, 690), sized(5, 790)]);
    assert_eq!(together, [2, 4]);
    assert_eq!(alone.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3, 5]);
    bench.refuse(alone[0].1, PublishErrorKind::Rejected);
    let (together, _) = bench.by_route(vec![sized(6, 100)]);
    assert_eq!(
        together,
        [6],
        "that was to be expected, and the topic's other events go on together"
    );
}

/// Sizes are to blame for most refusals, but not for all: whoever believes that each time loses a session each time.
#[test]
fn what_is_learned_of_sizes_ends_the_quarantine_once_a_minute() {
    let mut bench = Bench::new(pipelined());
    bench.read(|batch| batch.fresh = vec![sized(1, 800)]);
    bench.answer_topic(Ok(9));
    bench.turn([Fact::SessionOpened { session: 1 }]);
    bench.ends_a_session(1, sized(1, 800), PublishErrorKind::Rejected);
    let refuse = |bench: &mut Bench, event: Record| {
        bench.read(|batch| batch.fresh = vec![event.clone()]);
        let session = bench.core.session_numbers;
        bench.turn([Fact::SessionOpened { session }]);
        bench.ends_a_session(session, event, PublishErrorKind::Rejected);
    };
    refuse(&mut bench, sized(2, 600));
    let (together, alone) = bench.by_route(vec![sized(3, 100)]);
    assert_eq!((together, alone.len()), (Vec::new(), 1), "so soon it is not believed again");
    bench.turn([Fact::Delivered(vec![alone[0].1])]);
    bench.later(11);
    let (together, _) = bench.by_route(vec![sized(4, 100)]);
    assert_eq!(together, [4], "the quarantine is over");
    bench.later(50);
    refuse(&mut bench, sized(5, 400));
    let (together, _) = bench.by_route(vec![sized(6, 100)]);
    assert_eq!(together, [6], "after a minute it is");
}

#[test]
fn one_that_is_larger_and_delivered_shows_that_it_was_not_the_size() {
    let mut bench = refused(PublishErrorKind::Rejected);
    let (_, alone) = bench.by_route(vec![sized(2, 900)]);
    bench.turn([Fact::Delivered(vec![alone[0].1])]);
    let (together, alone) = bench.by_route(vec![sized(3, 900), sized(4, 901)]);
    assert_eq!((together, alone.len()), (vec![3], 1));
}

#[test]
fn what_is_refused_for_now_says_nothing_of_sizes() {
    let mut bench = refused(PublishErrorKind::Retriable);
    let (together, _) = bench.by_route(vec![sized(2, 900)]);
    assert_eq!(together, [2]);
}

/// On the plain route, where attempts are counted. A lost connection is a story of its own: `alone`.
#[test]
fn what_is_nobodys_fault_is_tried_again_and_never_judged() {
    for kind in [
        PublishErrorKind::Throttled,
        PublishErrorKind::Unavailable(Scope::Topic),
        PublishErrorKind::Unavailable(Scope::Partition),
        PublishErrorKind::Fenced,
    ] {
        let mut bench = Bench::new(config());
        bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a")]);
        for _ in 0..5 {
            let sent = bench.handed_over();
            let [(1, token)] = sent[..] else { panic!("{kind:?}: {sent:?}") };
            bench.refuse(token, kind);
            bench.later(2);
            while let Some((number, _)) = bench.aggregates() {
                let rows = Some(vec![row(1, "a"), row(2, "a")]);
                bench.turn([Fact::Aggregates { number, rows }]);
            }
        }
        let judged = |c: &Command| matches!(c, Command::Write(WriteCommand::Judge(_)));
        assert!(!bench.commands.iter().any(judged), "{kind:?}: {:?}", bench.commands);
        assert_eq!((bench.core.stats().failed, bench.core.stats().dead), (0, 0), "{kind:?}");
    }
}

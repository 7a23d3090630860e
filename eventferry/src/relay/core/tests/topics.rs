//! Topics that are away, or are none.

use std::time::Duration;

use super::{Bench, on_partition, pipelined, row, stalled};
use crate::event::Message;
use crate::publish::{PublishErrorKind, Scope};
use crate::relay::core::{Command, CoreConfig, Fact};

#[test]
fn a_topic_that_was_away_is_asked_for_again_after_an_outage() {
    let mut bench = Bench::new(pipelined());
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    assert_eq!(bench.described(), ["t"]);
    bench.answer_topic(Err(PublishErrorKind::Unavailable(Scope::Topic)));
    bench.now += Duration::from_secs(1);
    bench.turn([]);
    assert_eq!(bench.described(), ["t"]);
    bench.answer_topic(Err(PublishErrorKind::Unavailable(Scope::Publisher)));
    assert!(bench.core.stats().broker_away);
    bench.now += Duration::from_secs(2);
    bench.turn([]);
    assert_eq!(bench.described(), ["t"]);
    bench.answer_topic(Ok(3));
    assert!(bench.aggregates().is_some(), "and what waited for it is read again");
    assert!(!bench.core.stats().broker_away);
}

#[test]
fn a_name_that_can_be_no_topics_is_judged_on_the_plain_route() {
    let mut bench = Bench::new(pipelined());
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    bench.answer_topic(Err(PublishErrorKind::Rejected));
    assert_eq!(bench.ids(), [1]);
    assert!(!bench.core.stats().broker_away, "one event's fault is not the broker's");
}

/// Metadata says that it is there; only a delivery says that it may be written.
#[test]
fn a_topic_that_may_not_be_written_is_told_of_once() {
    let mut bench = Bench::new(CoreConfig {
        lease: Duration::from_mins(10),
        ..pipelined()
    });
    let mut keyless = row(1, "a");
    keyless.key = None;
    bench.read(|batch| batch.fresh = vec![keyless.clone()]);
    bench.answer_topic(Ok(4));
    let mut tries = 0;
    for _ in 0..50 {
        for (_, token) in bench.handed_over() {
            tries += 1;
            let message = Box::new(Message::new("t", "{}"));
            bench.turn([Fact::Refused {
                token,
                kind: PublishErrorKind::Unavailable(Scope::Topic),
                error: "no".into(),
                message,
            }]);
        }
        bench.now += Duration::from_millis(100);
        bench.turn([]);
        if !bench.described().is_empty() {
            bench.answer_topic(Ok(4));
        }
        while let Some((number, _)) = bench.aggregates() {
            let rows = Some(vec![keyless.clone()]);
            bench.turn([Fact::Aggregates { number, rows }]);
        }
    }
    let told: Vec<_> = bench
        .commands
        .iter()
        .filter(|command| matches!(command, Command::Tell(_)))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        (3..=15).contains(&tries),
        "with a pause that grows to a second: {tries} in five seconds"
    );
}

#[test]
fn where_nothing_comes_back_the_topics_are_asked_for() {
    let mut bench = stalled(pipelined(), 2, vec![on_partition(1, 0)]);
    assert_eq!(bench.ids(), [1]);
    bench.described();
    bench.now += Duration::from_secs(6);
    bench.turn([]);
    assert_eq!(bench.described(), ["t"]);
    bench.answer_topic(Err(PublishErrorKind::Unavailable(Scope::Publisher)));
    assert!(bench.core.stats().broker_away);
    bench.now += Duration::from_secs(6);
    bench.turn([]);
    bench.answer_topic(Ok(2));
    assert!(!bench.core.stats().broker_away);
}

//! Dead letters on their way, and what is said of their rows.

use std::time::Duration;

use super::{Bench, config, row};
use crate::publish::{PublishErrorKind, Scope};
use crate::relay::core::{Command, CoreConfig, Fact, PublishCommand, Way};
use crate::store::Fault;

impl Bench {
    /// The token of the dead letter that was handed over last, and the attempts it tells.
    fn letter(&mut self) -> (u64, u32) {
        let mut found = None;
        self.commands.retain(|command| {
            let Command::Publish(PublishCommand::HandOver(batch)) = command else {
                return true;
            };
            for hand_over in batch {
                if let Way::DeadLetter { letter } = &hand_over.way {
                    found = Some((hand_over.token, letter.attempts));
                }
            }
            false
        });
        found.expect("a dead letter was handed over")
    }
}

impl Bench {
    /// Letters are handed over, and nobody answers.
    fn discard_letters(&mut self) {
        self.commands
            .retain(|command| !matches!(command, Command::Publish(PublishCommand::HandOver(_))));
    }
}

fn with_letters() -> Bench {
    Bench::new(CoreConfig {
        dead_letter: Some("dlq".to_owned()),
        ..config()
    })
}

/// A row that was tried twice before, whose third attempt is its last.
fn tried_twice(bench: &mut Bench) -> u64 {
    let mut last = row(1, "a");
    last.attempts = 2;
    bench.read(|batch| batch.fresh = vec![last]);
    bench.handed_over()[0].1
}

#[test]
fn the_table_counts_the_attempt_that_was_the_last() {
    let mut bench = with_letters();
    let token = tried_twice(&mut bench);
    bench.refuse(token, PublishErrorKind::Retriable);
    assert!(bench.verdicts().is_empty(), "first the letter");
    let (letter, attempts) = bench.letter();
    assert_eq!(attempts, 3);
    bench.turn([Fact::Delivered(vec![letter])]);
    let verdicts = bench.verdicts();
    assert_eq!(
        (verdicts.len(), verdicts[0].attempts),
        (1, 2),
        "the row has had two until this is written"
    );
    assert!(
        matches!(verdicts[0].fault, Fault::Refused { max_attempts: 3, .. }),
        "{:?}",
        verdicts[0].fault
    );
}

#[test]
fn what_can_never_be_delivered_costs_no_attempt() {
    let mut bench = with_letters();
    let token = tried_twice(&mut bench);
    bench.refuse(token, PublishErrorKind::Rejected);
    let (letter, _) = bench.letter();
    bench.turn([Fact::Delivered(vec![letter])]);
    assert_eq!(bench.verdicts()[0].fault, Fault::Rejected);
}

/// A verdict that says the wrong number of attempts looks like one that was written before, and changes nothing.
#[test]
fn a_row_whose_letter_was_refused_waits_and_its_verdict_is_for_the_row_as_it_is() {
    for kind in [PublishErrorKind::Retriable, PublishErrorKind::Rejected] {
        let mut bench = with_letters();
        let token = tried_twice(&mut bench);
        bench.refuse(token, kind);
        let (letter, _) = bench.letter();
        bench.refuse(letter, PublishErrorKind::Unavailable(Scope::Topic));
        let verdicts = bench.verdicts();
        assert_eq!((verdicts.len(), verdicts[0].attempts), (1, 2));
        assert!(
            matches!(verdicts[0].fault, Fault::Refused { max_attempts: 0, delay } if delay > Duration::ZERO),
            "{:?}",
            verdicts[0].fault
        );
        assert!(verdicts[0].error.contains("dead-letter topic"));
    }
}

/// A letter is a little larger than its event: what is too large for its topic is too large for the dead-letter topic, too.
#[test]
fn an_event_whose_letter_can_never_be_delivered_is_dead_without_one() {
    for (kind, fault) in [(PublishErrorKind::Rejected, true), (PublishErrorKind::Retriable, false)] {
        let mut bench = with_letters();
        let token = tried_twice(&mut bench);
        bench.refuse(token, kind);
        let (letter, _) = bench.letter();
        bench.refuse(letter, PublishErrorKind::Rejected);
        let verdict = bench.verdicts().remove(0);
        assert_eq!(verdict.fault == Fault::Rejected, fault, "{verdict:?}");
        assert!(
            fault || matches!(verdict.fault, Fault::Refused { max_attempts: 3, .. }),
            "{verdict:?}"
        );
        assert!(verdict.error.contains("can never take it"));
    }
}

/// Letters that hang take no more calls than the events of any other topic.
#[test]
fn a_dead_letter_topic_that_hangs_leaves_calls_to_the_events() {
    let mut bench = Bench::new(CoreConfig {
        dead_letter: Some("dlq".to_owned()),
        plain_limit: 4,
        ..config()
    });
    for id in 1..=8 {
        bench.read(|batch| batch.fresh = vec![row(id, &format!("a{id}"))]);
        let sent = bench.handed_over();
        assert_eq!(sent.len(), 1, "event {id} still gets a call");
        bench.refuse(sent[0].1, PublishErrorKind::Rejected);
        bench.discard_letters();
    }
    assert!(bench.verdicts().iter().any(|verdict| verdict.error.contains("does not keep up")));
}

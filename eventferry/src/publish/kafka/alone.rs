//! An event whose connection is lost again and again: is it the event?
//!
//! A broker closes the connection on a request it will not even read, such as one above its `socket.request.max.bytes`. From here that looks
//! like an outage, and one event could pose as an outage for ever. So the event goes through a client of its own, where no other event can be
//! taken for it, and the leader of its partition is asked something before and after.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::event::Message;
use crate::publish::Delivery;
use crate::publish::kafka::clock::{GRACE, WallClock};
use crate::publish::kafka::error::code_of;
use crate::publish::kafka::plain::{Answer, PlainProducer};
use crate::publish::kafka::settings::Settings;

/// How many connections an event must have cost, alone.
const ENOUGH: usize = 3;

/// What came out.
#[derive(Debug)]
pub(super) enum Trial {
    /// It was delivered: another event had taken its connection with it.
    Delivered(Delivery),
    /// The connection was lost each time, and the leader answered each time.
    Guilty,
    /// The broker said something else about it.
    Failed(RDKafkaErrorCode),
    /// The leader did not answer a question: that concerns no event.
    Unanswered(RDKafkaErrorCode),
    /// There was no time for it, or no client could be made now.
    Postponed,
}

/// Tries such events, one at a time: each trial costs a client.
#[derive(Debug)]
pub(super) struct Trials {
    turn: Semaphore,
    clock: WallClock,
}

impl Trials {
    pub(super) fn new(clock: WallClock) -> Self {
        Self {
            turn: Semaphore::new(1),
            clock,
        }
    }

    /// Publishes an event alone, before `until`.
    pub(super) async fn try_alone(&self, settings: &Settings, message: &Message, partition: i32, until: Instant) -> Trial {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(Ok(turn)) = timeout(left, self.turn.acquire()).await else {
            return Trial::Postponed;
        };
        let (settings, message) = (settings.clone(), message.clone());
        let trial = move || {
            // Certificates may be changing, threads may be used up: the event has no part in that.
            let Ok(client) = PlainProducer::alone(&settings) else {
                return Trial::Postponed;
            };
            run(&client, &message, partition, settings.question_timeout(), until)
        };
        let left = until.saturating_duration_since(Instant::now());
        let tried = self.clock.era().call(left + GRACE, trial).await;
        drop(turn);
        tried.unwrap_or(Trial::Postponed)
    }
}

/// Blocks.
fn run(client: &PlainProducer, message: &Message, partition: i32, question: Duration, until: Instant) -> Trial {
    let in_time = || until.saturating_duration_since(Instant::now()) >= question * 2;
    let ask = || {
        let answer = client.ask_leader(message.topic(), partition, question);
        answer.map_err(|error| code_of(&error))
    };
    let send = || match client.send(message, Some(partition)) {
        Ok(receiver) => receiver.blocking_recv().unwrap_or(Err(RDKafkaErrorCode::DestroyBroker)),
        Err(code) => Err(code),
    };
    judge(in_time, ask, send)
}

/// The leader is asked before the event goes, each time, and after the last.
fn judge(in_time: impl Fn() -> bool, ask: impl Fn() -> Result<(), RDKafkaErrorCode>, send: impl Fn() -> Answer) -> Trial {
    for lost in 0..=ENOUGH {
        if !in_time() {
            return Trial::Postponed;
        }
        if let Err(code) = ask() {
            return Trial::Unanswered(code);
        }
        if lost == ENOUGH {
            break;
        }
        // The answer may have come much later than it was to.
        if !in_time() {
            return Trial::Postponed;
        }
        match send() {
            Ok(delivery) => return Trial::Delivered(delivery),
            Err(RDKafkaErrorCode::BrokerTransportFailure) => {}
            Err(code) => return Trial::Failed(code),
        }
    }
    Trial::Guilty
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_client_that_cannot_be_made_is_no_events_fault() {
        // Stands for a certificate that is being replaced.
        let settings = Settings::nowhere(&[("no.such.thing", "1")]);
        let until = Instant::now() + Duration::from_secs(30);
        let trial = Trials::new(WallClock::start().unwrap())
            .try_alone(&settings, &Message::new("orders", "1"), 0, until)
            .await;
        assert!(matches!(trial, Trial::Postponed), "{trial:?}");
    }

    /// Takes one more.
    fn count(so_far: &Cell<usize>) -> usize {
        so_far.replace(so_far.get() + 1)
    }

    /// A trial in which every connection is lost under the event, and question number `silent` is not answered; also, how often it was sent.
    fn trial(silent: Option<usize>) -> (Trial, usize) {
        let (asked, sent) = (Cell::new(0), Cell::new(0));
        let ask = || match count(&asked) {
            number if Some(number) == silent => Err(RDKafkaErrorCode::OperationTimedOut),
            _ => Ok(()),
        };
        let hang_up = || {
            count(&sent);
            Err(RDKafkaErrorCode::BrokerTransportFailure)
        };
        (judge(|| true, ask, hang_up), sent.get())
    }

    #[test]
    fn an_event_is_guilty_only_if_the_leader_answers_before_and_after_each_loss() {
        assert!(matches!(trial(None), (Trial::Guilty, ENOUGH)), "{:?}", trial(None));
        for silent in 0..=ENOUGH {
            let (trial, sent) = trial(Some(silent));
            let unanswered = matches!(trial, Trial::Unanswered(RDKafkaErrorCode::OperationTimedOut));
            assert!(unanswered, "question {silent}: {trial:?}");
            assert_eq!(sent, silent, "nothing is sent to a leader that is silent");
        }
    }

    #[test]
    fn a_trial_ends_with_the_first_word_about_the_event() {
        for (lost, expected) in [(0, 1), (2, 3)] {
            let sent = Cell::new(0);
            let answer = |word: Answer| {
                if count(&sent) < lost {
                    Err(RDKafkaErrorCode::BrokerTransportFailure)
                } else {
                    word
                }
            };
            let trial = judge(|| true, || Ok(()), || answer(Ok(Delivery::at(0, 7))));
            assert!(matches!(trial, Trial::Delivered(_)), "{trial:?}");
            assert_eq!(sent.replace(0), expected);
            let trial = judge(|| true, || Ok(()), || answer(Err(RDKafkaErrorCode::MessageSizeTooLarge)));
            assert!(matches!(trial, Trial::Failed(RDKafkaErrorCode::MessageSizeTooLarge)), "{trial:?}");
            assert_eq!(sent.get(), expected);
        }
    }

    #[test]
    fn a_trial_there_is_no_time_for_says_nothing_of_the_event() {
        // It is looked at twice in each round: before the question, and after the answer.
        for looks in 0..=2 * ENOUGH {
            let (looked, sent) = (Cell::new(0), Cell::new(0));
            let lost = || {
                count(&sent);
                Err(RDKafkaErrorCode::BrokerTransportFailure)
            };
            let trial = judge(|| count(&looked) < looks, || Ok(()), lost);
            assert!(matches!(trial, Trial::Postponed), "after {looks}: {trial:?}");
            assert_eq!(sent.get(), looks / 2, "nothing is sent after the time is up");
        }
    }
}

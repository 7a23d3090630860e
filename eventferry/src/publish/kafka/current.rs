//! The plain client that is in use: another one after the wall clock was set back.

use std::mem;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::event::Message;
use crate::publish::kafka::clock::{Era, GRACE, WallClock};
use crate::publish::kafka::plain::{Answer, PlainProducer};
use crate::publish::kafka::settings::Settings;
use crate::publish::{PublishError, PublishErrorKind, Scope};

/// How long the making of a client may take.
pub(super) const MAKE: Duration = Duration::from_secs(10);

/// The plain client of a publisher.
#[derive(Debug)]
pub(super) struct PlainClient {
    settings: Settings,
    clock: WallClock,
    /// Locked while another one is made, so that one is.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Dated,
    /// When no other could be made.
    failed: Option<Instant>,
}

/// A client, and the era in which it was made.
#[derive(Debug, Clone)]
pub(super) struct Dated {
    pub(super) client: PlainProducer,
    pub(super) era: Era,
}

impl PlainClient {
    pub(super) fn new(settings: &Settings, clock: WallClock) -> Result<Self, PublishError> {
        let era = clock.era();
        let client = PlainProducer::new(settings)?;
        Ok(Self {
            settings: settings.clone(),
            clock,
            state: Mutex::new(State {
                last: Dated { client, era },
                failed: None,
            }),
        })
    }

    /// The client, which is a new one if the clock was set back since the last was made. Callers that wait for the same one share its failure.
    ///
    /// Cancel safe: the next caller makes it.
    pub(super) async fn get(&self) -> Result<Dated, PublishError> {
        let wanted = Instant::now();
        let mut state = self.state.lock().await;
        if state.last.era.is_over() {
            if state.failed.is_some_and(|failed| failed >= wanted) {
                return Err(not_made("another caller has just failed"));
            }
            let (settings, era) = (self.settings.clone(), self.clock.era());
            match era.call(MAKE, move || PlainProducer::new(&settings)).await {
                Some(Ok(client)) => {
                    mem::replace(&mut state.last, Dated { client, era }).client.give_up();
                    tracing::warn!(
                        "the wall clock of this host was set back, and Kafka's client waits by it: another one has taken its place"
                    );
                }
                failed => {
                    state.failed = Some(Instant::now());
                    // Settings that were right once are no event's fault: a certificate may be changing, threads may be used up.
                    return Err(match failed {
                        Some(Err(error)) => not_made("its settings were refused").with_source(error),
                        _ => not_made(&format!(
                            "none was ready within {MAKE:?}, the clock was set back again, or no thread could be had"
                        )),
                    });
                }
            }
        }
        Ok(state.last.clone())
    }

    /// Publishes an event. A client that was there when the clock was set back is not waited for: its answer may take an hour.
    pub(super) async fn publish(&self, message: &Message, partition: Option<i32>) -> Result<Answer, PublishError> {
        let plain = self.get().await?;
        let receiver = match plain.client.send(message, partition) {
            Ok(receiver) => receiver,
            Err(code) => return Ok(Err(code)),
        };
        let answer = async {
            tokio::select! {
                biased;
                // The sender goes only with the client.
                answer = receiver => answer.ok(),
                () = plain.era.ended() => None,
            }
        };
        let answer = timeout(self.settings.publish_deadline + GRACE, answer).await;
        Ok(answer.ok().flatten().unwrap_or(Err(RDKafkaErrorCode::PurgeInflight)))
    }
}

fn not_made(why: &str) -> PublishError {
    let text = format!("failed to make another Kafka client after the wall clock of this host was set back: {why}; it is tried again");
    PublishError::new(PublishErrorKind::Unavailable(Scope::Publisher), text)
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::publish::kafka::clock::tests::steered;

    /// A client whose broker is nowhere, and the clock it goes by.
    fn client() -> (watch::Sender<u64>, PlainClient) {
        let settings = Settings::nowhere(&[]);
        let (steps, clock) = steered();
        (steps, PlainClient::new(&settings, clock).unwrap())
    }

    fn set_back(steps: &watch::Sender<u64>) {
        steps.send_modify(|number| *number += 1);
    }

    #[tokio::test]
    async fn one_client_takes_the_place_of_the_last_when_the_clock_was_set_back() {
        let (steps, plain) = client();
        let first = plain.get().await.unwrap();
        assert!(first.client.is(&plain.get().await.unwrap().client));
        set_back(&steps);
        let (one, other) = tokio::join!(plain.get(), plain.get());
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(!one.client.is(&first.client), "the first is not used any more");
        assert!(one.client.is(&other.client), "one for all");
        assert!(!one.era.is_over());
        assert!(one.client.is(&plain.get().await.unwrap().client), "and it stays");
    }

    #[tokio::test]
    async fn an_event_that_is_on_its_way_when_the_clock_is_set_back_is_given_up() {
        let (steps, plain) = client();
        let message = Message::new("orders", "1");
        let published = plain.publish(&message, Some(0));
        let (answer, ()) = tokio::join!(published, async { set_back(&steps) });
        assert_eq!(answer.unwrap().unwrap_err(), RDKafkaErrorCode::PurgeInflight);
    }

    #[tokio::test]
    async fn a_client_that_cannot_be_made_again_is_no_events_fault() {
        let (steps, mut plain) = client();
        // Stands for a certificate that is being replaced.
        plain.settings.user.push(("no.such.thing".to_owned(), "1".to_owned()));
        set_back(&steps);
        let (one, other) = tokio::join!(plain.get(), plain.get());
        for error in [one.unwrap_err(), other.unwrap_err()] {
            assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Publisher), "{error}");
        }
        plain.settings.user.clear();
        plain.get().await.unwrap();
    }
}

//! What is known of topics: how many partitions each has, and since when.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::MetadataTopic;

use crate::event::Topic;
use crate::publish::kafka::clock::GRACE;
use crate::publish::kafka::current::{Dated, PlainClient};
use crate::publish::kafka::error::{code_of, failure, kind_of};
use crate::publish::kafka::gapless::SessionClient;
use crate::publish::{PublishError, PublishErrorKind, Scope};

/// Counts partitions, asking the broker at most once at a time for each topic.
#[derive(Debug)]
pub(super) struct Topics {
    plain: Arc<PlainClient>,
    known: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Known>>>>>,
    /// Rises whenever a topic turned out to be another one than before; sessions then treat every partition as cold.
    generation: Arc<AtomicU64>,
    /// The clients of open sessions.
    sessions: Mutex<Vec<Weak<SessionClient>>>,
}

#[derive(Debug)]
struct Known {
    asked: Instant,
    doubted: bool,
    answer: Counted,
    /// The last answer that was about the topic, not about a broker that was away.
    of_topic: Option<Counted>,
}

/// A number of partitions, or why there is none.
type Counted = Result<u32, (PublishErrorKind, RDKafkaErrorCode)>;

/// Whether an answer says something about the topic: how many partitions it has, or that there is no such topic.
fn is_of_topic(counted: Counted) -> bool {
    !matches!(counted, Err((kind, _)) if kind == PublishErrorKind::Unavailable(Scope::Publisher))
}

/// Whether a topic turned out to be another one: it grew, went, or came back.
fn another(before: Counted, now: Counted) -> bool {
    is_of_topic(now) && before.ok() != now.ok()
}

impl Topics {
    pub(super) fn new(plain: Arc<PlainClient>) -> Self {
        Self {
            plain,
            known: Mutex::default(),
            generation: Arc::default(),
            sessions: Mutex::default(),
        }
    }

    /// The counter that sessions watch.
    pub(super) fn generation(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.generation)
    }

    /// How many partitions a topic has, by an answer not older than `age`; callers that wait for the same topic share one answer.
    ///
    /// Cancel safe: the next caller asks again.
    pub(super) async fn count(&self, topic: &str, age: Duration, timeout: Duration) -> Result<u32, PublishError> {
        let wanted = Instant::now();
        let slot = Arc::clone(
            self.known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(topic.to_owned())
                .or_default(),
        );
        let mut slot = slot.lock().await;
        let before = match &*slot {
            Some(known) if known.asked >= wanted || (known.answer.is_ok() && !known.doubted && known.asked.elapsed() < age) => {
                return known.answer.map_err(|(kind, code)| failure(kind, "find", topic, code));
            }
            Some(known) => known.of_topic,
            None => None,
        };
        let plain = self.plain.get().await?;
        let asked = Instant::now();
        let answer = ask(&plain, topic.to_owned(), timeout).await;
        if before.is_some_and(|before| another(before, answer)) {
            // Each client keeps its own idea of a topic for minutes: whoever learns the new number from here may use it at once.
            self.refresh_sessions(&plain, topic, timeout).await;
            self.generation.fetch_add(1, Ordering::Release);
        }
        *slot = Some(Known {
            asked,
            doubted: false,
            answer,
            of_topic: if is_of_topic(answer) { Some(answer) } else { before },
        });
        answer.map_err(|(kind, code)| failure(kind, "find", topic, code))
    }

    /// A session was opened that must hear of changed topics.
    pub(super) fn inform(&self, client: &Arc<SessionClient>) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| session.strong_count() > 0);
        sessions.push(Arc::downgrade(client));
    }

    async fn refresh_sessions(&self, plain: &Dated, topic: &str, timeout: Duration) {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let topic = topic.to_owned();
        // A client that could not be refreshed finds out by itself, at the price of its session.
        let refresh = move || {
            for client in sessions.iter().filter_map(Weak::upgrade) {
                client.refresh(&topic, timeout);
            }
        };
        plain.era.call(timeout + GRACE, refresh).await;
    }

    /// Forgets a topic's count, so that the next caller asks the broker. Says nothing about whether the topic changed.
    pub(super) async fn doubt(&self, topic: &str) {
        let slot = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(topic).cloned();
        if let Some(slot) = slot
            && let Some(known) = &mut *slot.lock().await
        {
            known.doubted = true;
        }
    }
}

/// Asks the broker. The client's call blocks, so it runs beside the async threads; it never creates the topic, whatever the broker allows.
async fn ask(plain: &Dated, topic: String, timeout: Duration) -> Counted {
    // There is no asking about some names: rdkafka panics, or fails without a word from the broker. That is not the broker's absence.
    if Topic::new(topic.as_str()).is_err() {
        return Err((PublishErrorKind::Rejected, RDKafkaErrorCode::InvalidTopic));
    }
    let away = (
        PublishErrorKind::Unavailable(Scope::Publisher),
        RDKafkaErrorCode::BrokerTransportFailure,
    );
    let producer = plain.client.clone();
    let question = move || match producer.metadata(&topic, timeout) {
        Ok(metadata) => metadata.topics().iter().find(|t| t.name() == topic).map_or(Err(away), partitions),
        Err(error) => {
            let code = producer.trouble().unwrap_or_else(|| code_of(&error));
            Err((of_metadata(code), code))
        }
    };
    plain.era.call(timeout + GRACE, question).await.unwrap_or(Err(away))
}

fn partitions(topic: &MetadataTopic) -> Counted {
    match topic.error().map(RDKafkaErrorCode::from) {
        None if topic.partitions().is_empty() => Err((
            PublishErrorKind::Unavailable(Scope::Topic),
            RDKafkaErrorCode::UnknownTopicOrPartition,
        )),
        None => Ok(u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX)),
        Some(RDKafkaErrorCode::InvalidTopic) => Err((PublishErrorKind::Rejected, RDKafkaErrorCode::InvalidTopic)),
        Some(code) => Err((PublishErrorKind::Unavailable(Scope::Topic), code)),
    }
}

/// A metadata request that failed as a whole never concerns a single event.
fn of_metadata(code: RDKafkaErrorCode) -> PublishErrorKind {
    if kind_of(code) == PublishErrorKind::Unavailable(Scope::Topic) {
        PublishErrorKind::Unavailable(Scope::Topic)
    } else {
        PublishErrorKind::Unavailable(Scope::Publisher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_another_one_when_it_grew_went_or_came_back() {
        let gone = Err((
            PublishErrorKind::Unavailable(Scope::Topic),
            RDKafkaErrorCode::UnknownTopicOrPartition,
        ));
        let away = Err((PublishErrorKind::Unavailable(Scope::Publisher), RDKafkaErrorCode::AllBrokersDown));
        for (before, now) in [(Ok(1), Ok(2)), (Ok(1), gone), (gone, Ok(1))] {
            assert!(another(before, now), "{before:?} {now:?}");
        }
        for (before, now) in [(Ok(1), Ok(1)), (Ok(1), away), (gone, gone), (gone, away)] {
            assert!(!another(before, now), "{before:?} {now:?}");
        }
        assert!(
            is_of_topic(gone) && !is_of_topic(away),
            "an outage does not make us forget the topic"
        );
    }

    #[test]
    fn a_question_that_failed_as_a_whole_concerns_no_single_event() {
        for (code, kind) in [
            (RDKafkaErrorCode::OperationTimedOut, PublishErrorKind::Unavailable(Scope::Publisher)),
            (
                RDKafkaErrorCode::MessageSizeTooLarge,
                PublishErrorKind::Unavailable(Scope::Publisher),
            ),
            (
                RDKafkaErrorCode::TopicAuthorizationFailed,
                PublishErrorKind::Unavailable(Scope::Topic),
            ),
        ] {
            assert_eq!(of_metadata(code), kind, "{code:?}");
        }
    }
}

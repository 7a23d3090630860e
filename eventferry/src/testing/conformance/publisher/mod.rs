//! What every publisher must do, as tests that need nothing but the publisher and a way to read its broker's logs.
//!
//! Implement [`Harness`] for your publisher and write one line, [`conformance_publisher!`](crate::conformance_publisher); each case becomes
//! one test. The cases about sessions end at once for a publisher that has none.

#![expect(
    clippy::missing_panics_doc,
    reason = "a case is a test: it panics when the publisher breaks its contract"
)]
#![expect(clippy::unwrap_used, reason = "a case is a test: it panics when the publisher breaks its contract")]

pub mod publish;
pub mod session;
mod support;

use std::future::Future;

use crate::publish::Publisher;

/// A publisher, and a view of its broker that uses none of the publisher's code.
///
/// What cannot be done panics: there is nothing a case could do about it.
///
/// # Examples
/// ```
/// use eventferry::publish::memory::MemoryPublisher;
/// use eventferry::testing::conformance::publisher::{Harness, Logged};
///
/// struct Memory(MemoryPublisher);
///
/// impl Harness for Memory {
///     type Publisher = MemoryPublisher;
///     const TOO_LARGE: usize = 100_000;
///
///     fn publisher(&self) -> &MemoryPublisher { &self.0 }
///     async fn create_topic(&self, topic: &str, _partitions: u32) { self.0.create_topic(topic); }
///     async fn log(&self, topic: &str) -> Vec<Logged> {
///         let copy = |message: &eventferry::Message| Logged {
///             partition: None,
///             key: message.key().map(|key| key.as_bytes().to_vec()),
///             payload: message.payload().map(<[u8]>::to_vec),
///             headers: message.headers().iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect(),
///         };
///         self.0.messages(topic).iter().map(copy).collect()
///     }
/// }
///
/// async fn fresh_memory() -> Memory {
///     Memory(MemoryPublisher::with_topics::<&str>([]).with_max_bytes(50_000))
/// }
///
/// eventferry::conformance_publisher!(memory, fresh_memory().await);
/// # fn main() {}
/// ```
pub trait Harness: Send + Sync {
    /// The publisher under test.
    type Publisher: Publisher;

    /// The length of a payload that the broker refuses on every topic of this harness, with 10,000 bytes still being welcome. If the client
    /// can refuse it too, switch that off: the suite asks what happens when the broker does.
    const TOO_LARGE: usize;

    /// Whether a session's events go in transactions. If so, whoever reads only what is committed sees of a batch with a refused event nothing at
    /// all, and [`log`](Self::log) reads like that. If not, events before the refused one may be there without having been confirmed.
    const BATCHES_ARE_WHOLE: bool = false;

    /// The publisher; always the same one.
    fn publisher(&self) -> &Self::Publisher;

    /// Creates a topic. Its name is new: cases choose it, and write to no other.
    fn create_topic(&self, topic: &str, partitions: u32) -> impl Future<Output = ()> + Send;

    /// Reads everything in a topic; of each partition in the order of its log.
    fn log(&self, topic: &str) -> impl Future<Output = Vec<Logged>> + Send;

    /// Drops what the harness made; called at the end of every case that passed.
    fn close(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async {}
    }
}

/// One event as it stands in the broker's log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain carrier that every harness builds")]
pub struct Logged {
    /// The partition, where the broker has partitions.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The payload; none for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Expands to a module with one `#[tokio::test]` for each case of the publisher conformance suite.
///
/// A case that takes longer than five minutes fails.
///
/// The expression makes a fresh [`Harness`](crate::testing::conformance::publisher::Harness); it may use `.await`, and `return` to skip the
/// test. The calling crate needs `tokio` with the features `macros`, `rt` and `time`.
#[macro_export]
macro_rules! conformance_publisher {
    ($name:ident, $harness:expr) => {
        $crate::conformance_publisher! { @cases $name, $harness;
            publish {
                an_event_arrives_unchanged
                a_tombstone_is_not_an_empty_payload
                an_empty_key_is_not_a_missing_one
                odd_texts_survive
                many_headers_keep_their_order
                events_of_a_key_stay_in_order
                concurrent_publishes_all_arrive_once
                an_event_that_is_too_large_is_rejected_and_others_go_on
                an_unknown_topic_is_unavailable_and_resumes_once_it_is_there
                a_publish_that_is_dropped_harms_nothing
            }
            session {
                partitions_are_counted
                a_partition_keeps_the_order_of_hand_over
                every_event_is_reported_once
                an_event_arrives_from_a_session_as_from_a_publish
                a_refused_event_is_followed_by_none
                a_refused_first_event_is_followed_by_none
                a_session_that_is_over_takes_nothing
                a_wait_for_reports_that_is_dropped_loses_none
                the_next_session_goes_on
                closing_returns_what_nobody_took
            }
        }
    };
    (@cases $name:ident, $harness:expr; $($group:ident { $($case:ident)+ })+) => {
        mod $name {
            use super::*;
            $($(
                #[::tokio::test]
                async fn $case() {
                    let harness = $harness;
                    let case = $crate::testing::conformance::publisher::$group::$case(&harness);
                    $crate::testing::conformance::in_time(case).await;
                    $crate::testing::conformance::publisher::Harness::close(harness).await;
                }
            )+)+
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_in_the_macro() {
        let list = include_str!("mod.rs");
        let files = [include_str!("publish.rs"), include_str!("session.rs")];
        let mut cases = 0;
        for line in files.iter().flat_map(|file| file.lines()) {
            let Some(name) = line.strip_prefix("pub async fn ").and_then(|rest| rest.split('<').next()) else {
                continue;
            };
            cases += 1;
            assert!(list.lines().any(|listed| listed.trim() == name), "`{name}` is in no list");
        }
        assert_eq!(cases, 20);
    }
}

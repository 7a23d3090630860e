//! What a relay is told before it starts.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::Relay;
use super::core::{CoreConfig, Policy};
use crate::event::Topic;
use crate::outbox::{LANES, OnDead, RetryPolicy};
use crate::publish::{Pipelined, Publisher};
use crate::store::{Retention, Store};

const FULL_PASS: Duration = Duration::from_mins(5);
/// No time is longer, so that none leaves the range of a clock when it is added to now.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// Sets up a [`Relay`]; every setting has a default that is safe in production.
///
/// What is out of its range is refused by [`build`](Self::build). A time that is longer than a hundred years is taken for a hundred years, so
/// [`Duration::MAX`] may stand for "never".
#[doc = include_str!("examples/relay_builder.md")]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RelayBuilder<S, P> {
    store: S,
    publisher: P,
    config: RelayConfig,
}

/// Settings that were checked.
#[derive(Debug, Clone)]
pub(super) struct RelayConfig {
    window: usize,
    window_bytes: usize,
    ack_batch: usize,
    ack_delay: Duration,
    drain: Duration,
    poll_min: Duration,
    poll_max: Duration,
    concurrency: usize,
    policy: Policy,
    topics: HashMap<String, Policy>,
    dead_letter: Option<String>,
    recover_from_fence: bool,
    pub(super) deadline: Duration,
    pub(super) retention: Retention,
}

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid relay setting `{setting}`: {reason}")]
pub struct RelayConfigError {
    setting: &'static str,
    reason: &'static str,
}

impl RelayConfigError {
    /// The setting, by the name of the method that sets it; `publisher` where that cannot be carried to.
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            window: 10_000,
            window_bytes: 64 << 20,
            ack_batch: 1_000,
            ack_delay: Duration::from_millis(20),
            drain: Duration::from_secs(30),
            poll_min: Duration::from_millis(5),
            poll_max: Duration::from_millis(500),
            concurrency: 256,
            policy: Policy {
                max_attempts: 10,
                retry: RetryPolicy::default(),
                on_dead: OnDead::Continue,
            },
            topics: HashMap::new(),
            dead_letter: None,
            recover_from_fence: true,
            deadline: Duration::from_secs(30),
            retention: Retention::default(),
        }
    }
}

impl RelayConfig {
    pub(super) fn core(&self, lease: Duration, groups: Option<u8>, learns: bool) -> CoreConfig {
        CoreConfig {
            window: self.window,
            window_bytes: self.window_bytes,
            // There are never more, and the core may multiply it.
            ack_batch: self.ack_batch.min(self.window),
            ack_delay: self.ack_delay.min(LONGEST),
            lease,
            drain: self.drain.min(LONGEST),
            poll_min: self.poll_min.min(LONGEST),
            poll_max: self.poll_max.min(LONGEST),
            full_pass: FULL_PASS,
            plain_limit: self.concurrency,
            pipelined: groups.is_some(),
            learns,
            groups: groups.unwrap_or(1),
            recover_from_fence: self.recover_from_fence,
            policy: self.policy,
            topics: self.topics.clone(),
            dead_letter: self.dead_letter.clone(),
            seed: fastrand::u64(..),
        }
    }
}

impl<S: Store, P: Publisher> RelayBuilder<S, P> {
    pub(super) fn new(store: S, publisher: P) -> Self {
        Self {
            store,
            publisher,
            config: RelayConfig::default(),
        }
    }

    /// How many events, and how many bytes of payload, may be in memory at once: read, in flight, or waiting for their ack.
    ///
    /// From 16 to 1,000,000 events, at least 1 MiB; 10,000 events and 64 MiB by default. More keeps a distant broker busy, and takes more memory;
    /// it also bounds what a killed relay delivers twice.
    #[doc = include_str!("examples/window.md")]
    pub fn window(mut self, events: usize, bytes: usize) -> Self {
        (self.config.window, self.config.window_bytes) = (events, bytes);
        self
    }

    /// How many acks one statement writes at the least under load, and how long one waits for company.
    ///
    /// At least 1; 1,000 and 20 ms by default. More and longer spares the database statements, and more is delivered twice after a kill: an event
    /// is done only when its ack is committed.
    #[doc = include_str!("examples/ack_batch.md")]
    pub fn ack_batch(mut self, acks: usize, delay: Duration) -> Self {
        (self.config.ack_batch, self.config.ack_delay) = (acks, delay);
        self
    }

    /// What happens to delivered rows; kept for seven days by default.
    ///
    /// [`Retention::Keep`] leaves a record of what was delivered and when, and is purged in small steps every 30 s. [`Retention::Delete`] is less
    /// work for the database. While a row is there, a second event of its message id is a duplicate; once it is gone, it is a new one.
    #[doc = include_str!("examples/retention.md")]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.config.retention = retention;
        self
    }

    /// How often the table is asked for new rows: quickly after work, then ever slower.
    ///
    /// `quick` is above zero and not above `idle`; 5 ms and 500 ms by default. `idle` is how late the first event after a pause may be; a
    /// [`Waker`](crate::relay::Waker) spares producers of this process that wait, and a longer one spares the database.
    #[doc = include_str!("examples/poll.md")]
    pub fn poll(mut self, quick: Duration, idle: Duration) -> Self {
        (self.config.poll_min, self.config.poll_max) = (quick, idle);
        self
    }

    /// How long one publish call may take before the same event is tried again, and a question about a topic before it is asked again; above zero,
    /// 30 s by default. Sessions have no deadline.
    ///
    /// No attempt is counted. A call that is given up may have delivered its event, which then arrives twice. Not shorter than the publisher's own deadline, where it
    /// has one: that one says more when it ends.
    #[doc = include_str!("examples/publish_deadline.md")]
    pub fn publish_deadline(mut self, deadline: Duration) -> Self {
        self.config.deadline = deadline;
        self
    }

    /// How many publish calls run at once, each for another aggregate; at least 1, 256 by default. Sessions are bounded by the window alone.
    #[doc = include_str!("examples/concurrency.md")]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.config.concurrency = calls;
        self
    }

    /// How long a lane that is handed back, and a relay that stops, wait for what is in flight; 30 s by default.
    ///
    /// What is not recorded as delivered by then is delivered again by the next owner of its lane: shorter hands over sooner, and repeats more.
    #[doc = include_str!("examples/drain.md")]
    pub fn drain(mut self, longest: Duration) -> Self {
        self.config.drain = longest;
        self
    }

    /// At this many refusals an event is dead; 0 is for ever, 10 by default. Outages are never counted.
    ///
    /// While an ordered event is tried again its aggregate waits, and no other. What can never be delivered is dead at its first attempt.
    #[doc = include_str!("examples/max_attempts.md")]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.config.policy.max_attempts = attempts;
        self
    }

    /// How long a refused event waits before it is tried again; exponential by default, 200 ms to 5 minutes, with full jitter.
    #[doc = include_str!("examples/retry.md")]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.config.policy.retry = policy;
        self
    }

    /// What happens to the successors of a dead event; they go on by default.
    ///
    /// [`OnDead::Hold`] keeps the order whole and lets an aggregate wait for a person, who decides with [`Operate`](crate::Operate).
    #[doc = include_str!("examples/on_dead.md")]
    pub fn on_dead(mut self, on_dead: OnDead) -> Self {
        self.config.policy.on_dead = on_dead;
        self
    }

    /// Other attempts, retries and what happens after death for the events of one topic, in place of [`max_attempts`](Self::max_attempts),
    /// [`retry`](Self::retry) and [`on_dead`](Self::on_dead). Of two calls for a topic the later counts.
    #[doc = include_str!("examples/topic.md")]
    pub fn topic(mut self, topic: &Topic, max_attempts: u32, retry: RetryPolicy, on_dead: OnDead) -> Self {
        self.config.topics.insert(
            topic.as_str().to_owned(),
            Policy {
                max_attempts,
                retry,
                on_dead,
            },
        );
        self
    }

    /// Delivers dead events to this topic before their rows are marked dead; by default they stay in the table only.
    ///
    /// The letter has the event's payload, key and headers, and headers that say why it died (`dlq-reason` and its like). While the topic cannot
    /// be reached the event is not dead: it is tried again.
    #[doc = include_str!("examples/dead_letter_topic.md")]
    pub fn dead_letter_topic(mut self, topic: &Topic) -> Self {
        self.config.dead_letter = Some(topic.as_str().to_owned());
        self
    }

    /// Whether a relay goes on with a group of lanes whose transactional id somebody else took while it held the leases; yes by default.
    ///
    /// Concerns brokers that fence, such as Kafka with transactions. A relay whose lanes were taken over is fenced by their new owner: that is as it
    /// should be and needs no recovery. Any other fence comes from a former owner that was stopped while it opened its session, or from somebody
    /// else who uses this outbox's transactional ids. The relay then hands the group back, takes its leases anew after one lease length, and
    /// only then opens a session, so that it never fences a rightful owner. At the third such fence within ten minutes, or at the first one
    /// without recovery, it gives the group up until it is started again: two producers never fight for ever. Other relays of the outbox may then
    /// take the group, and do not count this one among those that share the lanes.
    #[doc = include_str!("examples/auto_recover_from_fence.md")]
    pub fn auto_recover_from_fence(mut self, recover: bool) -> Self {
        self.config.recover_from_fence = recover;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`RelayConfigError`] names the setting and what it would break.
    #[doc = include_str!("examples/build.md")]
    pub fn build(self) -> Result<Relay<S, P>, RelayConfigError> {
        let config = &self.config;
        let refuse = |setting, reason| Err(RelayConfigError { setting, reason });
        if config.window < 16 {
            return refuse("window", "at least 16 events are needed to keep lanes and aggregates apart");
        }
        if config.window > 1_000_000 {
            return refuse(
                "window",
                "more than 1,000,000 events is more than the broker's client holds; and a killed relay delivers them all again",
            );
        }
        if config.window_bytes < 1 << 20 {
            return refuse("window", "at least 1 MiB is needed: one event may have that much");
        }
        if config.ack_batch == 0 {
            return refuse("ack_batch", "it must be at least 1");
        }
        if config.concurrency == 0 {
            return refuse("concurrency", "it must be at least 1");
        }
        if config.poll_min.is_zero() || config.poll_max < config.poll_min {
            return refuse("poll", "the quick interval must be above zero and not above the idle one");
        }
        let groups = self.publisher.pipelined().map_or(1, Pipelined::groups);
        if groups == 0 || !LANES.is_multiple_of(groups) {
            return refuse("publisher", "the lanes (64) cannot be divided into its number of groups");
        }
        if config.deadline.is_zero() {
            return refuse("publish_deadline", "no call can end in no time");
        }
        Ok(Relay {
            store: self.store,
            publisher: self.publisher,
            config: self.config,
        })
    }
}

impl<S, P> fmt::Debug for RelayBuilder<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TableName;
    use crate::outbox::NewRecord;
    use crate::publish::memory::MemoryPublisher;
    use crate::store::OpenTransaction;
    use crate::store::memory::MemoryStore;

    fn relay(store: &MemoryStore) -> RelayBuilder<MemoryStore, MemoryPublisher> {
        Relay::builder(store.clone(), MemoryPublisher::new())
    }

    async fn carries_one(store: &MemoryStore, relay: RelayBuilder<MemoryStore, MemoryPublisher>) {
        let relay = relay.build().unwrap().start().await.unwrap();

        let mut tx = store.begin();
        let record = NewRecord::new("orders", "order", "42", "OrderPaid", None);
        tx.insert(&TableName::default(), vec![record]).await.unwrap();
        tx.commit();

        let carried = relay.wait_for(|stats| stats.acked == 1);
        let stats = tokio::time::timeout(Duration::from_secs(10), carried).await.unwrap().unwrap();
        assert_eq!(stats.delivered, 1);
        let stopped = tokio::time::timeout(Duration::from_secs(10), relay.stop()).await.unwrap();
        assert_eq!(stopped.unwrap().known, 0);
    }

    #[tokio::test]
    async fn no_time_is_too_long_for_a_relay() {
        let (store, never) = (MemoryStore::new(), Duration::MAX);
        let patient = relay(&store).poll(Duration::from_millis(1), never).ack_batch(1, never);
        let patient = patient.publish_deadline(never).drain(never).retention(Retention::Keep(never));
        carries_one(&store, patient.retry(RetryPolicy::fixed(never))).await;
    }

    #[tokio::test]
    async fn no_number_is_too_large_for_a_relay() {
        let store = MemoryStore::new();
        let greedy = relay(&store).window(1_000_000, usize::MAX).concurrency(usize::MAX);
        carries_one(
            &store,
            greedy
                .max_attempts(u32::MAX)
                .ack_batch(usize::MAX / 4 + 1, Duration::from_millis(1)),
        )
        .await;
    }
}

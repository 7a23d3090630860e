//! A broker in memory, for doctests, unit tests of a service, and the simulator.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::event::Message;
use crate::publish::{Delivery, PublishError, PublishErrorKind, Publisher, Scope};

/// A rule that decides which publishes fail.
type Rule = Arc<dyn Fn(&Message) -> Option<PublishErrorKind> + Send + Sync>;

/// Publishes into logs kept in memory, one for each topic; clones share them.
///
/// Every delivered event stays until the last clone is gone. Failures can be ordered, and tests wait for events instead of sleeping.
///
/// # Examples
/// Looking at what arrived:
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use eventferry::publish::memory::MemoryPublisher;
/// use eventferry::{Message, Publisher};
///
/// let broker = MemoryPublisher::new();
/// let delivery = broker.publish(&Message::new("orders", "paid").with_key("42")).await?;
/// assert_eq!(delivery.offset, Some(0));
/// assert_eq!(broker.messages("orders")[0].key(), Some("42"));
/// # Ok::<(), eventferry::PublishError>(())
/// # }).unwrap();
/// ```
/// Ordering a failure:
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use eventferry::publish::memory::MemoryPublisher;
/// use eventferry::{Message, PublishErrorKind, Publisher};
///
/// let broker = MemoryPublisher::new();
/// broker.fail_when(|message| (message.key() == Some("42")).then_some(PublishErrorKind::Rejected));
/// let error = broker.publish(&Message::new("orders", "paid").with_key("42")).await.unwrap_err();
/// assert_eq!(error.kind(), PublishErrorKind::Rejected);
/// assert!(broker.messages("orders").is_empty());
/// # });
/// ```
#[derive(Clone, Default)]
pub struct MemoryPublisher {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    logs: BTreeMap<String, Vec<Message>>,
    /// The topics there are; none if every topic is there.
    known: Option<BTreeSet<String>>,
    max_bytes: Option<usize>,
    failures: VecDeque<PublishErrorKind>,
    rule: Option<Rule>,
    paused: bool,
    waiting: Vec<Waker>,
}

impl State {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

impl MemoryPublisher {
    /// A broker without events, on which every topic exists.
    pub fn new() -> Self {
        Self::default()
    }

    /// A broker on which only these topics exist; events for others wait until [`create_topic`](Self::create_topic).
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use eventferry::publish::Scope;
    /// use eventferry::publish::memory::MemoryPublisher;
    /// use eventferry::{Message, PublishErrorKind, Publisher};
    ///
    /// let broker = MemoryPublisher::with_topics(["orders"]);
    /// let message = Message::new("customers", "moved");
    /// let error = broker.publish(&message).await.unwrap_err();
    /// assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Topic));
    ///
    /// broker.create_topic("customers");
    /// assert!(broker.publish(&message).await.is_ok());
    /// # });
    /// ```
    pub fn with_topics<T: Into<String>>(topics: impl IntoIterator<Item = T>) -> Self {
        let publisher = Self::new();
        publisher.state().known = Some(topics.into_iter().map(Into::into).collect());
        publisher
    }

    /// Rejects events whose key, payload and headers together have more bytes than this.
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use eventferry::publish::memory::MemoryPublisher;
    /// use eventferry::{Message, PublishErrorKind, Publisher};
    ///
    /// let broker = MemoryPublisher::new().with_max_bytes(10);
    /// assert!(broker.publish(&Message::new("orders", "small")).await.is_ok());
    /// let error = broker.publish(&Message::new("orders", "far too large")).await.unwrap_err();
    /// assert_eq!(error.kind(), PublishErrorKind::Rejected);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use = "the publisher is returned, not changed in place"]
    pub fn with_max_bytes(self, max_bytes: usize) -> Self {
        self.state().max_bytes = Some(max_bytes);
        self
    }

    /// Makes a topic exist.
    pub fn create_topic(&self, topic: impl Into<String>) {
        if let Some(known) = &mut self.state().known {
            known.insert(topic.into());
        }
    }

    /// Everything delivered to a topic, in the order of delivery.
    pub fn messages(&self, topic: &str) -> Vec<Message> {
        self.state().logs.get(topic).cloned().unwrap_or_default()
    }

    /// The topics that have events, in alphabetical order.
    pub fn topics(&self) -> Vec<String> {
        self.state().logs.keys().cloned().collect()
    }

    /// Waits until a topic has at least `count` events, and returns them all.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is taken out of the log.
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use eventferry::publish::memory::MemoryPublisher;
    /// use eventferry::{Message, Publisher};
    ///
    /// let broker = MemoryPublisher::new();
    /// let relay = broker.clone();
    /// tokio::spawn(async move { relay.publish(&Message::new("orders", "paid")).await });
    /// assert_eq!(broker.delivered("orders", 1).await[0].payload(), Some(&b"paid"[..]));
    /// # });
    /// ```
    pub async fn delivered(&self, topic: &str, count: usize) -> Vec<Message> {
        self.until(|state| {
            let log = state.logs.get(topic).map_or(&[][..], Vec::as_slice);
            (log.len() >= count).then(|| log.to_vec())
        })
        .await
    }

    /// Fails the next publish with a kind; called several times, so many publishes fail, in that order.
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use eventferry::publish::memory::MemoryPublisher;
    /// use eventferry::{Message, PublishErrorKind, Publisher};
    ///
    /// let (broker, message) = (MemoryPublisher::new(), Message::new("orders", "paid"));
    /// broker.fail_next(PublishErrorKind::Throttled);
    /// assert_eq!(broker.publish(&message).await.unwrap_err().kind(), PublishErrorKind::Throttled);
    /// assert!(broker.publish(&message).await.is_ok());
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fail_next(&self, kind: PublishErrorKind) {
        self.state().failures.push_back(kind);
    }

    /// Fails every publish for which the rule names a kind, until there is another rule.
    pub fn fail_when(&self, rule: impl Fn(&Message) -> Option<PublishErrorKind> + Send + Sync + 'static) {
        self.state().rule = Some(Arc::new(rule));
    }

    /// Drops the rule and every failure that was ordered and did not come yet.
    pub fn stop_failing(&self) {
        let mut state = self.state();
        state.rule = None;
        state.failures.clear();
    }

    /// Lets every publish wait, until [`resume`](Self::resume).
    ///
    /// # Examples
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use std::time::Duration;
    ///
    /// use eventferry::publish::memory::MemoryPublisher;
    /// use eventferry::{Message, Publisher};
    ///
    /// let (broker, message) = (MemoryPublisher::new(), Message::new("orders", "paid"));
    /// broker.pause();
    /// assert!(tokio::time::timeout(Duration::from_millis(10), broker.publish(&message)).await.is_err());
    ///
    /// broker.resume();
    /// assert!(broker.publish(&message).await.is_ok());
    /// assert_eq!(broker.messages("orders").len(), 1, "the one that was dropped has done nothing");
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pause(&self) {
        self.state().paused = true;
    }

    /// Lets waiting publishes go on.
    pub fn resume(&self) {
        let mut state = self.state();
        state.paused = false;
        state.wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` has something to say.
    fn until<T>(&self, ready: impl Fn(&State) -> Option<T>) -> impl Future<Output = T> {
        poll_fn(move |context| {
            let mut state = self.state();
            if let Some(value) = ready(&state) {
                return Poll::Ready(value);
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
    }

    /// Why a message is refused, if it is.
    fn refusal(&self, message: &Message) -> Option<(PublishErrorKind, &'static str)> {
        // The rule is the user's code and may look at this publisher, so the lock is not held while it runs.
        let rule = {
            let mut state = self.state();
            if let Some(kind) = state.failures.pop_front() {
                return Some((kind, "this failure was ordered by `fail_next`"));
            }
            state.rule.clone()
        };
        if let Some(kind) = rule.and_then(|rule| rule(message)) {
            return Some((kind, "this failure was ordered by `fail_when`"));
        }
        let state = self.state();
        if state.known.as_ref().is_some_and(|known| !known.contains(message.topic())) {
            return Some((PublishErrorKind::Unavailable(Scope::Topic), "there is no such topic; create it"));
        }
        let headers: usize = message.headers().iter().map(|(name, value)| name.len() + value.len()).sum();
        let bytes = headers + message.key().map_or(0, str::len) + message.payload().map_or(0, <[u8]>::len);
        if state.max_bytes.is_some_and(|max| bytes > max) {
            return Some((PublishErrorKind::Rejected, "it is larger than `with_max_bytes` allows; send less"));
        }
        None
    }
}

impl Publisher for MemoryPublisher {
    /// Appends the event to its topic's log.
    ///
    /// # Cancel safety
    /// Cancel safe: a publish that is dropped while the broker is paused has done nothing.
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        self.until(|state| (!state.paused).then_some(())).await;
        let topic = message.topic();
        if let Some((kind, reason)) = self.refusal(message) {
            return Err(PublishError::new(kind, format!("failed to publish to topic `{topic}`: {reason}")));
        }
        let mut state = self.state();
        let log = state.logs.entry(topic.to_owned()).or_default();
        let offset = i64::try_from(log.len()).ok();
        log.push(message.clone());
        state.wake();
        Ok(Delivery { partition: None, offset })
    }
}

impl fmt::Debug for MemoryPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let counts: BTreeMap<&str, usize> = state.logs.iter().map(|(topic, log)| (topic.as_str(), log.len())).collect();
        f.debug_struct("MemoryPublisher").field("events", &counts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ordered_failures_come_in_order_and_then_end() {
        let broker = MemoryPublisher::new();
        broker.fail_next(PublishErrorKind::Throttled);
        broker.fail_next(PublishErrorKind::Retriable);
        let message = Message::new("t", "1");
        let mut kinds = Vec::new();
        for _ in 0..3 {
            kinds.push(broker.publish(&message).await.map_err(|error| error.kind()));
        }
        assert_eq!(kinds[..2], [Err(PublishErrorKind::Throttled), Err(PublishErrorKind::Retriable)]);
        assert!(kinds[2].is_ok());
    }

    #[tokio::test]
    async fn a_rule_may_look_at_the_publisher_it_rules() {
        let broker = MemoryPublisher::new();
        let seen = broker.clone();
        broker.fail_when(move |_| (seen.messages("t").len() == 1).then_some(PublishErrorKind::Retriable));
        assert!(broker.publish(&Message::new("t", "1")).await.is_ok());
        assert!(broker.publish(&Message::new("t", "2")).await.is_err());
        broker.stop_failing();
        assert!(broker.publish(&Message::new("t", "2")).await.is_ok());
    }

    #[tokio::test]
    async fn a_paused_broker_takes_nothing_until_it_goes_on() {
        let broker = MemoryPublisher::new();
        broker.pause();
        let message = Message::new("t", "1");
        let mut publishing = Box::pin(broker.publish(&message));
        assert!(futures_pending(&mut publishing).await);
        assert!(broker.messages("t").is_empty());
        broker.resume();
        assert!(soon(publishing).await.is_ok());
        assert_eq!(soon(broker.delivered("t", 1)).await.len(), 1);
    }

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        let ended = tokio::time::timeout(std::time::Duration::from_secs(30), future).await;
        ended.expect("nobody is woken")
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())).await
    }

    #[test]
    fn debug_shows_counts_and_no_event() {
        let broker = MemoryPublisher::new();
        broker
            .state()
            .logs
            .insert("t".to_owned(), vec![Message::new("t", "4111").with_key("k")]);
        assert_eq!(format!("{broker:?}"), r#"MemoryPublisher { events: {"t": 1}, .. }"#);
    }
}

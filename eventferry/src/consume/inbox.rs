//! Each message handled once: the consumer's memory, kept in the transaction of its own change.

use std::future::Future;
use std::time::Duration;

use super::standing::{InboxError, Seen};
use crate::event::{IncomingMessage, TableName};
use crate::store::{InboxTransaction, StoreError};

/// Whether a message is to be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a message is new or it is not")]
pub enum Accepted {
    /// This consumer has not handled it: handle it in this transaction, then commit.
    First,
    /// This consumer has handled it, in a transaction that committed: skip it.
    Duplicate,
}

impl Accepted {
    /// Whether the message is to be handled.
    pub fn is_first(self) -> bool {
        self == Self::First
    }
}

/// Tells a consumer whether it has handled a message before.
///
/// The answer and the consumer's own change commit together or not at all, so every message is handled exactly once, however often the broker
/// brings it. Two consumers of one database have two names and know nothing of each other. There are two kinds of memory:
///
/// * **By message id**, the default: one row for each message, by its `message-id`, which is the same on every redelivery. Right whatever the
///   order in which messages are handled. [`purge`](Self::purge) it now and then.
/// * [**By position**](Self::by_position): one row for each aggregate, however many events it has. It asks the consumer to handle the events
///   of an aggregate one after another.
///
/// # Examples
/// By message id:
/// ```
/// use eventferry::Message;
/// use eventferry::consume::{Accepted, Inbox};
/// use eventferry::store::memory::MemoryStore;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, inbox) = (MemoryStore::new(), Inbox::new("billing"));
/// let message = Message::new("orders", "{}").with_header("message-id", "018f6b1e-0000-7000-8000-000000000001");
///
/// let mut tx = store.begin();
/// assert_eq!(inbox.accept(&mut tx, &message).await?, Accepted::First);
/// tx.rollback(); // the handler failed: the broker brings the message again
///
/// for expected in [Accepted::First, Accepted::Duplicate] {
///     let mut tx = store.begin();
///     assert_eq!(inbox.accept(&mut tx, &message).await?, expected);
///     tx.commit();
/// }
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new()?.block_on(run())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// By position: two events of one order, the first of them brought twice, and one that an operator brought back from the dead, which has no
/// place in the order any more and is known by its id:
/// ```
/// use eventferry::Message;
/// use eventferry::consume::Inbox;
/// use eventferry::store::memory::MemoryStore;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, inbox) = (MemoryStore::new(), Inbox::new("billing").by_position());
/// let event = |position: &str| {
///     Message::new("orders", "{}")
///         .with_header("message-id", format!("018f6b1e-0000-7000-8000-0000000000{position}"))
///         .with_header("event-source", "shop/1")
///         .with_header("event-position", position)
///         .with_header("aggregate-type", "order")
///         .with_header("aggregate-id", "42")
/// };
/// let requeued = event("05").with_header("event-order", "none");
///
/// let mut handled = Vec::new();
/// for message in [event("10"), event("11"), event("10"), requeued.clone(), requeued] {
///     let mut tx = store.begin();
///     handled.push(inbox.accept(&mut tx, &message).await?.is_first());
///     tx.commit();
/// }
/// assert_eq!(handled, [true, true, false, true, false]);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new()?.block_on(run())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Inbox {
    consumer: String,
    table: TableName,
    memory: Memory,
}

/// What is remembered of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    MessageId,
    Position,
}

impl Inbox {
    /// The inbox of a consumer, beside the outbox `outbox`; another table is chosen by [`table`](Self::table).
    pub fn new(consumer: impl Into<String>) -> Self {
        Self {
            consumer: consumer.into(),
            table: TableName::default(),
            memory: Memory::MessageId,
        }
    }

    /// The same, remembering how far it has come with each aggregate in place of each message.
    ///
    /// The first delivery of each event of an aggregate comes in order, so what stands at or below the last position that was accepted is a
    /// redelivery. The space is one row for each aggregate, topic and partition. Events that have no place in the order (`order = "none"`,
    /// scheduled, brought back from the dead: `event-order: none` on the wire) are remembered by message id, as without this; a position
    /// never hides one of them. After a failover or restore of the outbox (another `event-source`) positions begin anew, and a redelivery
    /// across it may be accepted once more.
    ///
    /// Right only if the consumer handles the events of an aggregate **in the order of the log and leaves none out**: one that skips an event
    /// whose handling failed, and takes the next, finds the skipped one a duplicate later. Events of one aggregate with different keys lie in
    /// different partitions; each partition has a position of its own, which needs a message type that tells its
    /// [`log_partition`](IncomingMessage::log_partition), as those of rdkafka do.
    #[must_use = "the inbox is returned, not changed in place"]
    pub fn by_position(mut self) -> Self {
        self.memory = Memory::Position;
        self
    }

    /// The same beside another outbox.
    #[doc = include_str!("examples/inbox_table.md")]
    #[must_use = "the inbox is returned, not changed in place"]
    pub fn table(mut self, table: TableName) -> Self {
        self.table = table;
        self
    }

    /// Whether `message` is to be handled in this transaction.
    ///
    /// A concurrent transaction that accepts the same message waits for this one and then sees how it ended.
    ///
    /// # Errors
    /// Of kind [`NoMessageId`](crate::consume::InboxErrorKind::NoMessageId) or [`NoPosition`](crate::consume::InboxErrorKind::NoPosition) without touching the database; of
    /// kind [`Store`](crate::consume::InboxErrorKind::Store) with the store's own kind.
    ///
    /// # Cancel safety
    /// Not cancel safe: after the first poll the message may be remembered in the transaction. Roll back.
    #[doc = include_str!("examples/accept.md")]
    pub fn accept<'a, Tx, M>(
        &'a self,
        tx: &'a mut Tx,
        message: &M,
    ) -> impl Future<Output = Result<Accepted, InboxError>> + Send + use<'a, Tx, M>
    where
        Tx: InboxTransaction,
        M: IncomingMessage + ?Sized,
    {
        let seen = match self.memory {
            Memory::Position => Seen::by_position(message),
            Memory::MessageId => Seen::by_id(message),
        };
        async move {
            let seen = seen?;
            let answer = match &seen {
                Seen::As(id) => tx.remember(&self.table, &self.consumer, *id).await,
                Seen::At(standing) => tx.advance(&self.table, standing.place(&self.consumer)).await,
            };
            match answer {
                Ok(true) => Ok(Accepted::First),
                Ok(false) => Ok(Accepted::Duplicate),
                Err(error) => Err(self.failed(&format!("accept {seen}"), error)),
            }
        }
    }

    /// Forgets up to `limit` of what was handled longer than `older_than` ago, in this transaction; answers how many were forgotten.
    ///
    /// Repeat it, each time in a transaction of its own, until it answers less than `limit`. Choose an age that is longer than the broker may
    /// take to bring a message again: its retention, where consumers may be set back to the start of a log. What is forgotten counts as new.
    /// Other consumers' memories are left alone, and nothing is waited for.
    ///
    /// # Errors
    /// [`InboxErrorKind::Store`](crate::consume::InboxErrorKind::Store) with the store's own kind.
    ///
    /// # Cancel safety
    /// Not cancel safe: after the first poll some may be forgotten in the transaction. Roll back, or commit.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use eventferry::consume::Inbox;
    /// use eventferry::store::memory::MemoryStore;
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let (store, inbox) = (MemoryStore::new(), Inbox::new("billing"));
    /// let month = Duration::from_hours(30 * 24);
    /// loop {
    ///     let mut tx = store.begin();
    ///     let forgotten = inbox.purge(&mut tx, month, 1_000).await?;
    ///     tx.commit();
    ///     if forgotten < 1_000 {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new()?.block_on(run())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn purge<Tx: InboxTransaction>(&self, tx: &mut Tx, older_than: Duration, limit: u32) -> Result<u64, InboxError> {
        let forgotten = tx.forget(&self.table, &self.consumer, older_than, limit).await;
        forgotten.map_err(|error| self.failed("forget handled messages", error))
    }

    fn failed(&self, attempted: &str, error: StoreError) -> InboxError {
        InboxError::of_store(format!("failed to {attempted} for consumer `{}`", self.consumer), error)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::consume::InboxErrorKind;
    use crate::event::Message;
    use crate::store::StoreErrorKind;
    use crate::store::memory::MemoryStore;

    const ID: &str = "018f6b1e-0000-7000-8000-000000000001";

    #[tokio::test]
    async fn two_consumers_know_nothing_of_each_other() {
        let store = MemoryStore::new();
        let message = Message::new("orders", "{}").with_header("message-id", ID);
        let mut tx = store.begin();
        for consumer in ["billing", "shipping"] {
            let accepted = Inbox::new(consumer).accept(&mut tx, &message).await.unwrap();
            assert!(accepted.is_first(), "{consumer}");
        }
        assert!(!Inbox::new("billing").accept(&mut tx, &message).await.unwrap().is_first());
    }

    #[tokio::test]
    async fn a_message_without_an_id_is_no_duplicate_and_not_first() {
        let store = MemoryStore::new();
        let mut tx = store.begin();
        for message in [
            Message::new("orders", "secret"),
            Message::new("orders", "secret").with_header("message-id", "17"),
        ] {
            let error = Inbox::new("billing").accept(&mut tx, &message).await.unwrap_err();
            assert_eq!(error.kind(), InboxErrorKind::NoMessageId);
            let text = error.to_string();
            assert!(
                text.contains("`orders`") && text.contains("`message-id`") && !text.contains("secret"),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn the_store_says_why_it_could_not_tell() {
        let store = MemoryStore::new();
        let mut tx = store.begin();
        let message = Message::new("orders", "{}").with_header("message-id", ID);
        let inbox = Inbox::new("billing").table(TableName::new("elsewhere").unwrap());
        let error = inbox.accept(&mut tx, &message).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Store);
        assert_eq!(error.store_error().map(StoreError::kind), Some(StoreErrorKind::Misconfigured));
        assert!(!error.is_retryable() && error.source().is_some());
    }

    fn at(position: &str) -> Message {
        Message::new("orders", "secret")
            .with_header("event-source", "here/1")
            .with_header("event-position", position)
            .with_header("aggregate-type", "order")
            .with_header("aggregate-id", "42")
    }

    #[tokio::test]
    async fn logs_and_sources_have_positions_of_their_own() {
        let store = MemoryStore::new();
        let inbox = Inbox::new("billing").by_position();
        let mut tx = store.begin();
        let mut elsewhere = at("3");
        elsewhere.topic = "invoices".to_owned();
        for message in [
            at("9"),
            elsewhere,
            at("3").with_partition(1),
            at("3").with_header("event-source", "here/2"),
            at("3").with_header("aggregate-id", "43"),
            at("10"),
        ] {
            assert!(inbox.accept(&mut tx, &message).await.unwrap().is_first(), "{message:?}");
            assert!(!inbox.accept(&mut tx, &message).await.unwrap().is_first(), "{message:?}");
        }
        assert!(!inbox.accept(&mut tx, &at("3")).await.unwrap().is_first());
    }

    #[tokio::test]
    async fn a_message_without_a_place_is_refused_and_not_swallowed() {
        let store = MemoryStore::new();
        let inbox = Inbox::new("billing").by_position();
        let mut tx = store.begin();
        for missing in ["event-source", "event-position", "aggregate-type", "aggregate-id"] {
            let mut message = at("9");
            message.headers.remove(missing);
            let error = inbox.accept(&mut tx, &message).await.unwrap_err();
            assert_eq!(error.kind(), InboxErrorKind::NoPosition);
            let text = error.to_string();
            assert!(text.contains(missing) && !text.contains("secret"), "{text}");
        }
        let endless = at("9").with_header("event-source", "x".repeat(1_001));
        let error = inbox.accept(&mut tx, &endless).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::NoPosition, "no relay has such a name");
        let long = at("9").with_header("event-source", "x".repeat(1_000));
        assert!(inbox.accept(&mut tx, &long).await.unwrap().is_first());
        let error = inbox
            .accept(&mut tx, &at("9").with_header("event-order", "none"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::NoMessageId, "without a place it is known by its id");
    }

    #[test]
    fn the_future_can_be_sent_whatever_the_message_is() {
        struct NotSync(std::cell::Cell<u8>);
        impl IncomingMessage for NotSync {
            fn topic(&self) -> &'static str {
                "t"
            }
            fn payload(&self) -> Option<&[u8]> {
                None
            }
            fn header(&self, _: &str) -> Option<&[u8]> {
                None
            }
        }
        fn sendable(_: impl Send) {}
        let (inbox, store) = (Inbox::new("c"), MemoryStore::new());
        let message = NotSync(std::cell::Cell::new(0));
        message.0.set(1);
        sendable(inbox.accept(&mut store.begin(), &message));
    }
}

//! Each message handled once: the consumer's memory, kept in the transaction of its own change.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use crate::event::{IncomingMessage, TableName, headers};
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

/// Why the inbox could not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InboxErrorKind {
    /// The message carries no `message-id`, or one that is no UUID: it was not sent by a relay.
    NoMessageId,
    /// The database; see [`InboxError::store_error`].
    Store,
}

/// A message that could be neither accepted nor recognised.
///
/// The text names the topic and what is wrong; it holds nothing of the message's content.
#[derive(Debug)]
pub struct InboxError {
    text: String,
    store: Option<StoreError>,
}

impl InboxError {
    /// Why; decide on this, never on text.
    pub fn kind(&self) -> InboxErrorKind {
        match self.store {
            None => InboxErrorKind::NoMessageId,
            Some(_) => InboxErrorKind::Store,
        }
    }

    /// What the database said.
    pub fn store_error(&self) -> Option<&StoreError> {
        self.store.as_ref()
    }

    /// Whether repeating the whole transaction can help.
    pub fn is_retryable(&self) -> bool {
        self.store.as_ref().is_some_and(StoreError::is_retryable)
    }
}

impl fmt::Display for InboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for InboxError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.store.as_ref().map(|error| error as &(dyn StdError + 'static))
    }
}

/// Tells a consumer whether it has handled a message before.
///
/// The answer and the consumer's own change commit together or not at all, so every message is handled exactly once, however often the broker
/// brings it. Messages are known by their `message-id`, which is the same on every redelivery; two consumers of one database have two
/// names and know nothing of each other.
///
/// # Examples
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
#[derive(Debug, Clone)]
pub struct Inbox {
    consumer: String,
    table: TableName,
}

impl Inbox {
    /// The inbox of a consumer, beside the outbox `outbox`; another table is chosen by [`table`](Self::table).
    pub fn new(consumer: impl Into<String>) -> Self {
        Self {
            consumer: consumer.into(),
            table: TableName::default(),
        }
    }

    /// The same beside another outbox.
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
    /// [`InboxErrorKind::NoMessageId`] without touching the database; [`InboxErrorKind::Store`] with the store's own kind.
    ///
    /// # Cancel safety
    /// Not cancel safe: after the first poll the message may be remembered in the transaction. Roll back.
    pub fn accept<'a, Tx, M>(
        &'a self,
        tx: &'a mut Tx,
        message: &M,
    ) -> impl Future<Output = Result<Accepted, InboxError>> + Send + use<'a, Tx, M>
    where
        Tx: InboxTransaction,
        M: IncomingMessage + ?Sized,
    {
        let id = message.message_id().ok_or_else(|| InboxError {
            text: format!(
                "failed to accept a message of topic `{}`: it has no header `{}` with a UUID",
                message.topic().escape_debug(),
                headers::MESSAGE_ID
            ),
            store: None,
        });
        async move {
            let id = id?;
            match tx.remember(&self.table, &self.consumer, id).await {
                Ok(true) => Ok(Accepted::First),
                Ok(false) => Ok(Accepted::Duplicate),
                Err(error) => Err(InboxError {
                    text: format!("failed to accept message `{id}` for consumer `{}`", self.consumer),
                    store: Some(error),
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

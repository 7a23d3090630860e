//! Names that are parsed once at the edge and are valid ever after.

use std::fmt;

use uuid::Uuid;

/// Why a name was refused.
///
/// The text says what was refused and why; it never repeats the whole of an over-long value.
///
/// # Examples
/// ```
/// let error = eventferry::Topic::new("my orders").unwrap_err();
/// assert!(error.to_string().starts_with("invalid topic `my orders`: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} `{value}`: {reason}")]
pub struct NameError {
    what: &'static str,
    value: String,
    reason: &'static str,
}

impl NameError {
    fn new(what: &'static str, value: &str, reason: &'static str) -> Self {
        let value = value.chars().take(64).flat_map(char::escape_debug).collect();
        Self { what, value, reason }
    }
}

/// The most bytes a topic may have (Kafka's own limit).
const TOPIC_MAX: usize = 249;
/// The most bytes a table name may have: PostgreSQL's 63 less room for the suffixes of its side tables and indexes.
const TABLE_MAX: usize = 50;

/// Says what is wrong with a topic name, in a form a `const` assertion can use.
pub(crate) const fn topic_problem(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Some("a topic must not be empty");
    }
    if bytes.len() > TOPIC_MAX {
        return Some("a topic has at most 249 characters");
    }
    if matches!(bytes, b"." | b"..") {
        return Some("a topic must not be `.` or `..`");
    }
    let mut i = 0;
    while i < bytes.len() {
        if !(bytes[i].is_ascii_alphanumeric() || matches!(bytes[i], b'.' | b'_' | b'-')) {
            return Some("a topic has only letters, digits, `.`, `_` and `-`");
        }
        i += 1;
    }
    None
}

/// Says what is wrong with the name of an event or of an aggregate type.
pub(crate) const fn label_problem(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Some("a name must not be empty");
    }
    if bytes.len() > 255 {
        return Some("a name has at most 255 bytes");
    }
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] < 0x20 || bytes[i] == 0x7f {
            return Some("a name must not hold control characters");
        }
        i += 1;
    }
    None
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Parses ", $what, ".")]
            ///
            /// # Errors
            /// [`NameError`] naming the rule that was broken.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                match $check(&name) {
                    None => Ok(Self(name)),
                    Some(reason) => Err(NameError::new($what, &name, reason)),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

text_name! {
    /// A topic: 1 to 249 of the characters `A-Z a-z 0-9 . _ -`, not `.` or `..` (Apache Kafka's rule, which every broker accepts).
    ///
    /// # Examples
    /// ```
    /// use eventferry::Topic;
    ///
    /// assert_eq!(Topic::new("orders")?.as_str(), "orders");
    /// assert!(Topic::new("my orders").unwrap_err().to_string().contains("letters"));
    /// # Ok::<(), eventferry::NameError>(())
    /// ```
    Topic, "topic", topic_problem
}

text_name! {
    /// The kind of thing an event is about, such as `order`: 1 to 255 bytes without control characters.
    ///
    /// # Examples
    /// ```
    /// use eventferry::AggregateType;
    ///
    /// assert_eq!(AggregateType::new("order")?.as_str(), "order");
    /// # Ok::<(), eventferry::NameError>(())
    /// ```
    AggregateType, "aggregate type", label_problem
}

const fn no_nul(id: &str) -> Option<&'static str> {
    let bytes = id.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == 0 {
            return Some("an aggregate id must not hold a NUL character");
        }
        i += 1;
    }
    None
}

text_name! {
    /// Which aggregate of its type an event is about: any text without NUL, the empty text included.
    ///
    /// # Examples
    /// ```
    /// use eventferry::AggregateId;
    ///
    /// assert_eq!(AggregateId::new("42")?.as_str(), "42");
    /// assert!(AggregateId::new("4\0002").is_err());
    /// # Ok::<(), eventferry::NameError>(())
    /// ```
    AggregateId, "aggregate id", no_nul
}

/// Says what is wrong with the name of an operator.
fn operator_problem(name: &str) -> Option<&'static str> {
    if name.trim() != name || name.is_empty() {
        return Some("an operator's name must not be empty, nor begin or end with a space");
    }
    if name.len() > 200 {
        return Some("an operator's name has at most 200 bytes");
    }
    name.chars()
        .any(char::is_control)
        .then_some("an operator's name must not hold control characters")
}

text_name! {
    /// Who decides about dead events, as it is written beside each decision: 1 to 200 bytes without control characters.
    ///
    /// # Examples
    /// ```
    /// use eventferry::event::Operator;
    ///
    /// assert_eq!(Operator::new("alice@example.com")?.as_str(), "alice@example.com");
    /// assert!(Operator::new("alice\nbob").is_err());
    /// # Ok::<(), eventferry::NameError>(())
    /// ```
    Operator, "operator", operator_problem
}

/// What makes an event the same event: a UUID, version 7 unless the caller gives one.
///
/// Every copy of an event, redelivered or not, carries the same message id.
///
/// # Examples
/// ```
/// use eventferry::MessageId;
///
/// let id = MessageId::random();
/// assert_eq!(id.to_string().parse::<MessageId>()?, id);
/// # Ok::<(), eventferry::NameError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Uuid);

impl MessageId {
    /// A new id: a version 7 UUID (RFC 9562), so that ids made later sort later.
    ///
    /// # Examples
    /// ```
    /// use eventferry::MessageId;
    ///
    /// assert_ne!(MessageId::random(), MessageId::random());
    /// ```
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id made of sixteen bytes, whatever UUID version they are.
    ///
    /// # Examples
    /// ```
    /// use eventferry::MessageId;
    ///
    /// let id = MessageId::from_bytes([7; 16]);
    /// assert_eq!(id.to_string(), "07070707-0707-0707-0707-070707070707");
    /// assert_eq!(id.as_bytes(), &[7; 16]);
    /// ```
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for MessageId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| NameError::new("message id", text, "it is not a UUID"))
    }
}

impl From<Uuid> for MessageId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<MessageId> for Uuid {
    fn from(id: MessageId) -> Self {
        id.0
    }
}

/// The name of an outbox table, with or without its schema: `outbox`, `sales.outbox`.
///
/// Each part is an unquoted lower-case identifier (`a-z`, `0-9`, `_`, not starting with a digit), the table's of at most 50 bytes and the
/// schema's of at most 63, so that the side tables (`outbox_lane` and so on) also fit and no quoting is ever needed.
///
/// # Examples
/// ```
/// use eventferry::TableName;
///
/// let table = TableName::new("sales.outbox")?;
/// assert_eq!((table.schema(), table.table()), (Some("sales"), "outbox"));
/// assert!(TableName::new("outbox; drop table orders").is_err());
/// # Ok::<(), eventferry::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    schema: Option<String>,
    table: String,
}

impl TableName {
    /// Parses a table name.
    ///
    /// # Errors
    /// [`NameError`] naming the rule that was broken.
    ///
    /// # Examples
    /// ```
    /// use eventferry::TableName;
    ///
    /// let table = TableName::new("sales.outbox")?;
    /// assert_eq!(table.to_string(), "sales.outbox");
    /// assert_eq!(TableName::new("outbox")?, TableName::default());
    /// assert!(TableName::new("Outbox").is_err(), "it would need quotes everywhere");
    /// # Ok::<(), eventferry::NameError>(())
    /// ```
    pub fn new(name: &str) -> Result<Self, NameError> {
        let refuse = |reason| Err(NameError::new("table name", name, reason));
        let (schema, table) = match name.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, name),
        };
        for part in schema.into_iter().chain([table]) {
            if !part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') {
                return refuse("each part starts with a lower-case letter or `_`");
            }
            if !part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
                return refuse("each part has only lower-case letters, digits and `_`, with at most one `.` between schema and table");
            }
        }
        if table.len() > TABLE_MAX {
            return refuse("the table's name has at most 50 bytes");
        }
        if schema.is_some_and(|s| s.len() > 63) {
            return refuse("the schema's name has at most 63 bytes");
        }
        Ok(Self {
            schema: schema.map(str::to_owned),
            table: table.to_owned(),
        })
    }

    /// The schema, if the name has one.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The table, without its schema.
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl Default for TableName {
    /// `outbox`, in whatever schema the connection's search path finds it.
    fn default() -> Self {
        Self {
            schema: None,
            table: "outbox".to_owned(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_follow_kafkas_rule() {
        for good in ["a", "orders.v1", "A_b-9", &"x".repeat(249)] {
            assert!(Topic::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
            assert!(Topic::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn table_names_need_no_quoting() {
        for good in ["outbox", "a.b", "_x1", &"x".repeat(50)] {
            assert_eq!(TableName::new(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "Outbox",
            "1a",
            "a.b.c",
            "a-b",
            "a b",
            "a;b",
            "a.",
            ".a",
            "\"a\"",
            &"x".repeat(51),
        ] {
            assert!(TableName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_shows_control_characters_escaped() {
        let text = AggregateId::new("a\0b").unwrap_err().to_string();
        assert_eq!(text, r"invalid aggregate id `a\0b`: an aggregate id must not hold a NUL character");
    }
}

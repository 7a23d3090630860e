//! SQL files with a custom table name put in. The only place of the crate that asserts a text to be safe SQL.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::event::TableName;

/// Names the SQL files of a backend once: `statements! { struct Sql { insert: "sql/insert.sql" } }` makes a struct with one field for each
/// file, and `Sql::new(&table)` fills them with the table's name in place of `outbox`.
macro_rules! statements {
    ($vis:vis struct $name:ident { $($field:ident: $file:literal),+ $(,)? }) => {
        #[derive(Debug)]
        $vis struct $name { $($vis $field: ::sqlx::SqlStr),+ }

        impl $name {
            $vis fn new(table: &$crate::event::TableName) -> Self {
                Self { $($field: $crate::store::statements::statement(include_str!($file), table)),+ }
            }
        }
    };
}
pub(crate) use statements;

/// One statement for one table.
pub(crate) fn statement(text: &'static str, table: &TableName) -> SqlStr {
    match substitute(text, table) {
        Cow::Borrowed(text) => text.into_sql_str(),
        // What was put in is a `TableName`: lower-case letters, digits and `_`, so nothing can end the identifier.
        Cow::Owned(text) => AssertSqlSafe(Arc::<str>::from(text)).into_sql_str(),
    }
}

/// A statement that ends with a number.
#[cfg(feature = "sqlite")]
pub(crate) fn with_number(text: &'static str, number: i64) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(format!("{text}{number}"))).into_sql_str()
}

/// The text with the table's name in place of `outbox`.
///
/// A word `outbox`, or one beginning with `outbox_`, becomes the table's name with its schema; a word in which `outbox` is preceded by a
/// prefix (`ix_outbox_due`: the name of an index or a constraint, which no database lets carry a schema) gets the bare name.
pub(crate) fn substitute(text: &'static str, table: &TableName) -> Cow<'static, str> {
    if *table == TableName::default() {
        return Cow::Borrowed(text);
    }
    let (qualified, bare) = (table.to_string(), table.table());
    let mut out = String::with_capacity(text.len() + 256);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        out.push_str(&rest[..start]);
        let word_and_more = &rest[start..];
        let end = word_and_more.find(|c| !is_word(c)).unwrap_or(word_and_more.len());
        let word = &word_and_more[..end];
        match split_name(word) {
            Some(("", tail)) => {
                out.push_str(&qualified);
                out.push_str(tail);
            }
            Some((head, tail)) => {
                out.push_str(head);
                out.push_str(bare);
                out.push_str(tail);
            }
            None => out.push_str(word),
        }
        rest = &word_and_more[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Splits `ix_outbox_due` into `ix_` and `_due`; none if `outbox` is not a whole part of the word.
fn split_name(word: &str) -> Option<(&str, &str)> {
    let at = word.find("outbox")?;
    let (head, tail) = (&word[..at], &word[at + "outbox".len()..]);
    let whole = (head.is_empty() || head.ends_with('_')) && (tail.is_empty() || tail.starts_with('_'));
    whole.then_some((head, tail))
}

/// The statements of every table that this process has met: a transaction comes with a name and nothing else.
#[derive(Debug)]
pub(crate) struct PerTable<T> {
    default: OnceLock<Arc<T>>,
    others: OnceLock<Mutex<HashMap<TableName, Arc<T>>>>,
}

impl<T> PerTable<T> {
    pub(crate) const fn new() -> Self {
        Self {
            default: OnceLock::new(),
            others: OnceLock::new(),
        }
    }

    /// The statements of a table, made by `make` the first time.
    pub(crate) fn get(&self, table: &TableName, make: impl Fn(&TableName) -> T) -> Arc<T> {
        if *table == TableName::default() {
            return Arc::clone(self.default.get_or_init(|| Arc::new(make(table))));
        }
        let others = self.others.get_or_init(Mutex::default);
        let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(others.entry(table.clone()).or_insert_with(|| Arc::new(make(table))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- outbox\nSELECT o.id FROM outbox o JOIN outbox_lane l; CREATE INDEX ix_outbox_due ON outbox (id); SELECT 'outbox'::regclass, myoutbox, outboxes";

    #[test]
    fn the_default_name_copies_nothing() {
        assert!(matches!(substitute(TEXT, &TableName::default()), Cow::Borrowed(_)));
    }

    #[test]
    fn whole_words_take_the_name_and_indexes_take_it_bare() {
        let table = TableName::new("sales.events").unwrap();
        assert_eq!(
            substitute(TEXT, &table),
            "-- sales.events\nSELECT o.id FROM sales.events o JOIN sales.events_lane l; CREATE INDEX ix_events_due ON sales.events (id); \
             SELECT 'sales.events'::regclass, myoutbox, outboxes"
        );
    }

    #[test]
    fn a_table_whose_name_holds_outbox_is_put_in_once() {
        let table = TableName::new("outbox_outbox").unwrap();
        assert_eq!(
            substitute("FROM outbox, outbox_lane", &table),
            "FROM outbox_outbox, outbox_outbox_lane"
        );
    }

    #[test]
    fn statements_are_made_once_for_each_table() {
        let cache = PerTable::new();
        let table = TableName::new("a.b").unwrap();
        let first = cache.get(&table, ToString::to_string);
        let second = cache.get(&table, |_| "made again".to_owned());
        assert_eq!((first.as_str(), second.as_str()), ("a.b", "a.b"));
        assert_eq!(*cache.get(&TableName::default(), ToString::to_string), "outbox");
    }
}

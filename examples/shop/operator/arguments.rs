//! What the command line says.

use std::collections::BTreeMap;

use eventferry::event::Operator;
use eventferry::outbox::{Move, Status};
use eventferry::store::{RowFilter, ShowPayload};
use eventferry::{MessageId, TableName};

use crate::output::clean;

pub(crate) const HELP: &str = "\
Looks at the shop's outbox, and decides about events that died or wait. Relays keep running meanwhile.

usage: shop-operator [--database URL] [--table NAME] COMMAND

  list [--status STATUS] [--topic TOPIC] [--aggregate TYPE/ID] [--limit N] [--after N]
                  events that want a decision, oldest first: an event a line, its fields separated by tabs (number,
                  message id, status, attempts, topic, event and version, aggregate, last error).
                  STATUS is dead (all that died; so it is without), held (dead, and its aggregate waits), failed
                  (refused, to be tried again), scheduled, or waiting (both). N is 100; --after goes on behind a number.
  show ID [--payload]
                  one event; with its payload, in which *** stands for what is personal or not declared by its schema
  requeue ID      delivers a dead event after all, with fresh attempts
  release ID      leaves a held event dead, and lets its aggregate go on
  discard ID      never delivers an event that is dead or waits

ID is a message id, as `list` prints it. requeue, release and discard take --by NAME, which stays beside the event as
who decided; without it that is $USER.

  --database URL  postgres://user:password@host:5432/database, or sqlite:FILE; without it $DATABASE_URL, which other
                  users of this machine cannot see
  --table NAME    the outbox; without it shop.outbox
  --help          this

exit code: 0 done, 1 the database failed, 2 these arguments were not understood, 3 there is no such event,
           4 the event is not where this decision begins, 5 the event is being written at this moment: try again
";

/// Options that have a value, and the commands that take them.
const OPTIONS: [(&str, &[&str]); 8] = [
    ("--database", &["list", "show", "requeue", "release", "discard"]),
    ("--table", &["list", "show", "requeue", "release", "discard"]),
    ("--by", &["requeue", "release", "discard"]),
    ("--status", &["list"]),
    ("--topic", &["list"]),
    ("--aggregate", &["list"]),
    ("--limit", &["list"]),
    ("--after", &["list"]),
];

pub(crate) struct Arguments {
    pub(crate) database: Option<String>,
    pub(crate) table: TableName,
    pub(crate) command: Command,
}

pub(crate) enum Command {
    Help,
    List { filter: RowFilter, after: i64, limit: u32 },
    Show { id: MessageId, payload: ShowPayload },
    Decide { what: Move, id: MessageId, by: Operator },
}

/// # Errors
/// What was not understood, without anything that may be an address.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Arguments, String> {
    let (mut options, mut plain, mut payload) = (BTreeMap::new(), Vec::new(), ShowPayload::Leave);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        match OPTIONS.iter().find(|(option, _)| *option == name) {
            Some((option, _)) => {
                let value = value.or_else(|| words.next()).ok_or_else(|| format!("{option} wants a value"))?;
                if options.insert(*option, value).is_some() {
                    return Err(format!("{option} is there twice"));
                }
            }
            None if word == "--payload" => payload = ShowPayload::Read,
            None if word == "--help" || word == "-h" => return Ok(help()),
            None if word.starts_with('-') => return Err(format!("there is no option {}", quoted(name))),
            None => plain.push(word),
        }
    }

    let mut plain = plain.iter();
    let name = plain.next().ok_or("no command: list, show, requeue, release or discard")?.as_str();
    let mut id = || {
        let word = plain.next().ok_or_else(|| format!("{name} wants a message id"))?;
        word.parse().map_err(|_| format!("{} is no message id", quoted(word)))
    };
    let command = match name {
        "list" => list(&options)?,
        "show" => Command::Show { id: id()?, payload },
        "requeue" => decide(Move::Requeue, id()?, &options)?,
        "release" => decide(Move::Release, id()?, &options)?,
        "discard" => decide(Move::Discard, id()?, &options)?,
        _ => {
            return Err(format!(
                "there is no command {}: list, show, requeue, release or discard",
                quoted(name)
            ));
        }
    };
    if let Some(word) = plain.next() {
        return Err(format!("{} is one word too many", quoted(word)));
    }
    let stray = OPTIONS
        .iter()
        .find(|(option, of)| options.contains_key(option) && !of.contains(&name));
    let stray = stray
        .map(|(option, _)| *option)
        .or((payload == ShowPayload::Read && name != "show").then_some("--payload"));
    if let Some(option) = stray {
        return Err(format!("{name} does not take {option}"));
    }
    let table = options.get("--table").map_or("shop.outbox", String::as_str);
    let table = TableName::new(table).map_err(|_| format!("{} is no name of an outbox", quoted(table)))?;
    let database = options.remove("--database");
    Ok(Arguments { database, table, command })
}

fn help() -> Arguments {
    Arguments {
        database: None,
        table: TableName::default(),
        command: Command::Help,
    }
}

fn list(options: &BTreeMap<&str, String>) -> Result<Command, String> {
    let mut filter = match options.get("--status").map(String::as_str) {
        None | Some("dead") => RowFilter::dead(),
        Some("held") => RowFilter::dead().status(Status::DeadHolding),
        Some("waiting") => RowFilter::waiting(),
        Some("failed") => RowFilter::waiting().status(Status::Failed),
        Some("scheduled") => RowFilter::waiting().status(Status::Scheduled),
        Some(other) => {
            return Err(format!(
                "there is no status {}: dead, held, failed, scheduled or waiting",
                quoted(other)
            ));
        }
    };
    if let Some(topic) = options.get("--topic") {
        filter = filter.topic(topic);
    }
    if let Some(aggregate) = options.get("--aggregate") {
        let parts = aggregate.split_once('/');
        let (kind, id) = parts.ok_or_else(|| format!("--aggregate wants TYPE/ID, not {}", quoted(aggregate)))?;
        filter = filter.aggregate(kind, id);
    }
    Ok(Command::List {
        filter,
        after: number(options, "--after")?.unwrap_or(0),
        limit: number(options, "--limit")?.map_or(100, std::num::NonZeroU32::get),
    })
}

fn number<N: std::str::FromStr>(options: &BTreeMap<&str, String>, name: &str) -> Result<Option<N>, String> {
    let Some(value) = options.get(name) else { return Ok(None) };
    let number = value.parse().map_err(|_| format!("{name} wants a number, not {}", quoted(value)))?;
    Ok(Some(number))
}

fn decide(what: Move, id: MessageId, options: &BTreeMap<&str, String>) -> Result<Command, String> {
    let by = options.get("--by").cloned().or_else(|| std::env::var("USER").ok());
    let by = Operator::new(by.unwrap_or_default()).map_err(|_| "say who decides: --by NAME")?;
    Ok(Command::Decide { what, id, by })
}

/// A word as it may be shown: an address that stands in the wrong place holds a password all the same.
fn quoted(word: &str) -> String {
    if word.contains("://") || word.contains('@') {
        return "that".to_owned();
    }
    format!("`{}`", clean(word))
}

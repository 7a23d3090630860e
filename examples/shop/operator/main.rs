//! Looks at the shop's outbox, and decides about events that died or wait, beside running relays. For a service of your own, copy these three
//! files and name your set of events in place of the shop's: only that knows which parts of a payload are personal.
//!
//! ```sh
//! cargo run -p shop-operator -- --help
//! ```

mod arguments;
mod output;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use eventferry::store::postgres::PostgresStore;
use eventferry::store::sqlite::SqliteStore;
use eventferry::store::{Moved, Operate};
use eventferry::{MessageId, TableName};
use shop_events::ShopEvents;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Connection, PgConnection};

use crate::arguments::{Arguments, Command};

/// How long a server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing came of it, with its causes, and the exit code that says so; `--help` lists those.
struct Failure {
    code: u8,
    what: String,
    causes: Vec<String>,
}

impl Failure {
    const USAGE: u8 = 2;
    const NOT_THERE: u8 = 3;
    const NOT_ALLOWED: u8 = 4;
    const BUSY: u8 = 5;

    fn new(code: u8, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            causes: Vec::new(),
        }
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Self::new(1, error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            failure.causes.push(error.to_string());
            cause = error.source();
        }
        failure
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Not `args()`, which panics at what is no text.
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let result = match arguments::parse(words) {
        Ok(arguments) => run(arguments).await,
        Err(what) => Err(Failure::new(Failure::USAGE, what)),
    };
    let Err(failure) = result else { return ExitCode::SUCCESS };
    let help = if failure.code == Failure::USAGE { "; see --help" } else { "" };
    say(&format!("error: {}{help}", failure.what));
    for cause in failure.causes {
        say(&format!("  because: {cause}"));
    }
    ExitCode::from(failure.code)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { database, table, command } = arguments;
    if matches!(command, Command::Help) {
        return print(arguments::HELP);
    }
    // The address is shown to nobody, also where it is wrong: it may hold a password.
    let wrong = |what: &str| Failure::new(Failure::USAGE, what);
    let given = database.or_else(|| std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()));
    let url = given.ok_or_else(|| wrong("no database: give --database, or set DATABASE_URL"))?;
    match url.split(':').next() {
        Some("postgres" | "postgresql") => {
            let options: PgConnectOptions = url
                .parse()
                .map_err(|_| wrong("the database's address is not one such as `postgres://user@host:5432/database`"))?;
            let at = format!("PostgreSQL at `{}:{}`", options.get_host(), options.get_port());
            // One connection before the pool, which would try again until its time is up, and then not say why.
            let first = tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options)).await;
            let first = first.map_err(|_| Failure::new(1, format!("{at} did not answer within {} s", PATIENCE.as_secs())))?;
            first.map_err(|error| cannot_open(&at, error))?.close().await?;
            let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
            carry_out(&PostgresStore::new(pool).table(table.clone()), &table, command).await
        }
        Some("sqlite") => {
            let options: SqliteConnectOptions = url
                .parse()
                .map_err(|_| wrong("the database's address is not one such as `sqlite:shop.db`"))?;
            let at = format!("SQLite at `{}`", options.get_filename().display());
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
            let pool = pool.map_err(|error| cannot_open(&at, error))?;
            carry_out(&SqliteStore::new(pool).table(table.clone()), &table, command).await
        }
        Some(_) | None => Err(wrong("the database's address begins with neither `postgres:` nor `sqlite:`")),
    }
}

fn cannot_open(at: &str, error: sqlx::Error) -> Failure {
    let mut failure = Failure::from(error);
    let cause = std::mem::replace(&mut failure.what, format!("failed to connect to {at}"));
    failure.causes.insert(0, cause);
    failure
}

async fn carry_out(outbox: &impl Operate, table: &TableName, command: Command) -> Result<(), Failure> {
    let not_there = |id: MessageId| {
        let what = format!("there is no event `{id}` in `{table}`: it was delivered and purged, or never there");
        Failure::new(Failure::NOT_THERE, what)
    };
    match command {
        Command::Help => Ok(()),
        Command::List { filter, after, limit } => {
            let rows = outbox.list(&filter, after, limit).await?;
            print(&output::list(&rows))?;
            match rows.last() {
                None => say("there is none"),
                Some(last) if rows.len() == limit as usize => say(&format!("there may be more: --after {}", last.record.id)),
                Some(_) => {}
            }
            Ok(())
        }
        Command::Show { id, payload } => {
            let row = outbox.show(id, payload).await?.ok_or_else(|| not_there(id))?;
            print(&output::show(&row, &ShopEvents::new()?.masked_row(&row)))
        }
        Command::Decide { what, id, by } => match outbox.apply(what, id, &by).await? {
            Moved::To(status) => print(&format!("{id}: {}\n", output::became(what, status))),
            Moved::Asked => print(&format!("{id}: asked; a relay discards it, unless it is delivered first\n")),
            Moved::NotThere => Err(not_there(id)),
            Moved::NotAllowed(status) => {
                let (verb, from) = output::begins(what);
                let now = output::status(status);
                let what = format!("cannot {verb} `{id}`, which is {now}: {verb} is for events that are {from}");
                Err(Failure::new(Failure::NOT_ALLOWED, what))
            }
            Moved::Busy => Err(Failure::new(
                Failure::BUSY,
                format!("`{id}` is being written at this moment: look again"),
            )),
            other => Err(Failure::new(1, format!("`{id}`: {other:?}"))),
        },
    }
}

/// What is asked for. Whoever reads it may have read enough.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What is said beside it.
fn say(text: &str) {
    // Nobody is left to be told.
    drop(writeln!(io::stderr(), "{}", output::clean(text)));
}

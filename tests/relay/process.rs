//! A relay in a process of its own, for tests that kill it: `relay-process DATABASE_URL KAFKA [OPTION VALUE]..`, where the
//! database is `postgres://..` or `sqlite:FILE`.
//!
//! `--window EVENTS`, `--max-attempts N`, `--retry-ms MS`, `--dead-letter TOPIC`, `--transactions SECONDS` (each batch in one); with `--abort-on PAYLOAD` the event of that payload is the end
//! of the process. What a setting of the outbox decides, such as the lease, is in its `outbox_meta`.
//!
//! Prints `started`, then `acked N`, `lanes N`, `fenced N`, `known N` (rows in memory) and `careful N` (lanes) as they
//! change; stops gracefully when its stdin ends.

mod poison;

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::{Relay, Stats};
use eventferry::store::postgres::PostgresStore;
use eventferry::store::sqlite::SqliteStore;
use eventferry::{RetryPolicy, Store, Topic};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tokio::io::AsyncReadExt;

use crate::poison::Poisoned;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(kafka)) = (args.next(), args.next()) else {
        return Err("usage: relay-process DATABASE_URL KAFKA [OPTION VALUE]..".into());
    };
    let options: Vec<String> = args.collect();
    if url.starts_with("sqlite:") {
        let file = url.parse::<SqliteConnectOptions>()?;
        let file = file.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(5));
        return run(SqliteStore::new(SqlitePoolOptions::new().connect_lazy_with(file)), &kafka, &options).await;
    }
    run(PostgresStore::new(PgPoolOptions::new().connect_lazy(&url)?), &kafka, &options).await
}

async fn run<S: Store>(store: S, kafka: &str, options: &[String]) -> Result<(), Box<dyn Error>> {
    let given = |name: &str| {
        options
            .chunks(2)
            .find(|option| option[0] == name)
            .and_then(|option| option.get(1).cloned())
    };
    let mut publisher = KafkaPublisher::builder(kafka);
    if let Some(seconds) = given("--transactions") {
        publisher = publisher.transactions(Duration::from_secs(seconds.parse()?));
    }
    let mut relay = Relay::builder(store, Poisoned::new(publisher.build()?, given("--abort-on")));
    for option in options.chunks(2) {
        let [option, value] = option else {
            return Err(format!("{} needs a value", option[0]).into());
        };
        relay = match option.as_str() {
            "--window" => relay.window(value.parse()?, 64 << 20),
            "--max-attempts" => relay.max_attempts(value.parse()?),
            "--retry-ms" => relay.retry(RetryPolicy::fixed(Duration::from_millis(value.parse()?))),
            "--dead-letter" => relay.dead_letter_topic(&Topic::new(value.as_str())?),
            "--abort-on" | "--transactions" => relay,
            _ => return Err(format!("unknown option {option}").into()),
        };
    }
    let relay = relay.build()?.start().await?;
    let mut out = std::io::stdout();
    writeln!(out, "started")?;
    let mut told: Vec<String> = Vec::new();
    let mut stdin = tokio::io::stdin();
    let mut end = [0];
    loop {
        tokio::select! {
            _ = stdin.read(&mut end) => break,
            stats = relay.wait_for(|stats| lines(stats) != told) => {
                let lines = lines(&stats?);
                for line in lines.iter().filter(|line| !told.contains(line)) {
                    writeln!(out, "{line}")?;
                }
                told = lines;
            }
        }
    }
    let stats = relay.stop().await?;
    writeln!(out, "stopped; strays {}", stats.strays)?;
    Ok(())
}

fn lines(stats: &Stats) -> Vec<String> {
    vec![
        format!("acked {}", stats.acked),
        format!("lanes {}", stats.lanes),
        format!("fenced {}", stats.fenced),
        format!("known {}", stats.known),
        format!("careful {}", stats.careful),
    ]
}

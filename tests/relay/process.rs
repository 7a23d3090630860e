//! A relay in a process of its own, for tests that kill it: `relay-process POSTGRES_URL KAFKA [--max-attempts N] [--abort-on PAYLOAD]`.
//!
//! With `--abort-on` the event of that payload is the end of the process.
//! Prints `started`, then `acked N` and `lanes N` as they change; stops gracefully when its stdin ends.

mod poison;

use std::error::Error;
use std::io::Write;

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use sqlx::postgres::PgPoolOptions;
use tokio::io::AsyncReadExt;

use crate::poison::Poisoned;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(kafka)) = (args.next(), args.next()) else {
        return Err("usage: relay-process POSTGRES_URL KAFKA [--max-attempts N] [--abort-on PAYLOAD]".into());
    };
    let (mut max_attempts, mut abort_on) = (10, None);
    while let Some(option) = args.next() {
        let value = args.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--max-attempts" => max_attempts = value.parse()?,
            "--abort-on" => abort_on = Some(value),
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    let store = PostgresStore::new(PgPoolOptions::new().connect_lazy(&url)?);
    let publisher = Poisoned::new(KafkaPublisher::builder(&kafka).build()?, abort_on);
    let relay = Relay::builder(store, publisher).max_attempts(max_attempts).build()?.start().await?;
    let mut out = std::io::stdout();
    writeln!(out, "started")?;
    let (mut acked, mut lanes) = (0, u32::MAX);
    let mut stdin = tokio::io::stdin();
    let mut end = [0];
    loop {
        tokio::select! {
            _ = stdin.read(&mut end) => break,
            stats = relay.wait_for(|stats| stats.acked != acked || stats.lanes != lanes) => {
                let stats = stats?;
                if stats.acked != acked {
                    writeln!(out, "acked {}", stats.acked)?;
                }
                if stats.lanes != lanes {
                    writeln!(out, "lanes {}", stats.lanes)?;
                }
                (acked, lanes) = (stats.acked, stats.lanes);
            }
        }
    }
    let stats = relay.stop().await?;
    writeln!(out, "stopped; strays {}", stats.strays)?;
    Ok(())
}

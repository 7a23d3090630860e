//! A relay in a process of its own, for tests that kill it: `relay-process POSTGRES_URL KAFKA`.
//!
//! Prints `started`, then `acked N` and `lanes N` as they change; stops gracefully when its stdin ends.

use std::error::Error;
use std::io::Write;

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use sqlx::postgres::PgPoolOptions;
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(kafka)) = (args.next(), args.next()) else {
        return Err("usage: relay-process POSTGRES_URL KAFKA".into());
    };
    let store = PostgresStore::new(PgPoolOptions::new().connect_lazy(&url)?);
    let relay = Relay::builder(store, KafkaPublisher::builder(&kafka).build()?)
        .build()?
        .start()
        .await?;
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

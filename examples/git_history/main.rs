//! Carries the whole history of a git repository from PostgreSQL to Kafka and compares what arrives with what git knows.
//!
//! Each commit is one transaction: a row, the event `CommitAuthored` of its author, and a `FileChanged` for each of its files. Eight tasks
//! write at once, so transactions overlap; some are written and rolled back first. After its enqueue each transaction counts its aggregates
//! up, which records the order of the commits independently of the outbox. Two relays carry. A consumer rebuilds, for each file and
//! each author, the list of commits in the order of their arrival, and compares its order with the counters and its set with git.
//!
//! Needs git, PostgreSQL and Kafka; `tests/run` starts the servers, and `tests/git_history/generate` makes an unpleasant repository.
//!
//! ```sh
//! tests/git_history/generate target/history
//! tests/run -- cargo run --release --example git_history -- target/history
//! ```
//! prints (the figures are this machine's)
//! ```text
//! history     6000 commits by 15 authors, 16381 changes of 2073 files
//! carried     22381 events in 7.3 s: 3045 events/s
//! duplicates  0
//! order       0 violations in 2088 aggregates
//! contents    0 differences from git
//! ```
//! and exits with 1 if there is any violation or difference.
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

mod compare;
mod consume;
mod events;
mod git;
mod produce;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use eventferry::TableName;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use eventferry_examples::exit;
use eventferry_examples::sandbox::Sandbox;

use crate::events::GitEvents;

async fn run(sandbox: &Sandbox, repository: PathBuf) -> Result<(), Box<dyn Error>> {
    let history = Arc::new(git::history(&repository)?);
    let changes: usize = history.commits.iter().map(|commit| commit.files.len()).sum();
    let expected = history.commits.len() + changes;
    println!(
        "history     {} commits by {} authors, {changes} changes of {} files",
        history.commits.len(),
        history.authors().len(),
        history.files.len()
    );

    let pool = sandbox.pool();
    PostgresStore::migrate(pool, &TableName::default()).await?;
    produce::create_tables(pool).await?;
    let relay = async || -> Result<_, Box<dyn Error>> {
        let publisher = KafkaPublisher::builder(sandbox.kafka()).build()?;
        Ok(Relay::builder(PostgresStore::new(pool.clone()), publisher).build()?.start().await?)
    };
    let relays = [relay().await?, relay().await?];

    let events = GitEvents::new()?;
    let mut consumer = consume::Rebuild::new(sandbox, events.clone())?;
    let start = Instant::now();
    let (replayed, rebuilt) = tokio::join!(produce::replay(pool, &events, &history, sandbox.name()), consumer.until(expected));
    replayed?;
    rebuilt?;
    let took = start.elapsed().as_secs_f64();
    for relay in relays {
        relay.stop().await?;
    }
    // What no transaction stands behind would arrive now at the latest.
    consumer.rest().await?;

    let arrived = consumer.arrived;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = expected as f64 / took;
    println!("carried     {} events in {took:.1} s: {rate:.0} events/s", arrived.messages.len());
    println!("duplicates  {}", arrived.duplicates);
    let order = compare::with_counters(pool, &arrived).await?;
    println!(
        "order       {} violations in {} aggregates",
        order.violations,
        arrived.commits.len()
    );
    let contents = order.differences + compare::with_git(pool, &arrived, &history).await?;
    println!("contents    {contents} differences from git");
    if order.violations + contents > 0 {
        return Err("what arrived is not what was committed".into());
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(repository) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return exit(Err("say which repository: git_history PATH".into()));
    };
    exit(Sandbox::with(GitEvents::TOPICS, async |sandbox| run(sandbox, repository).await).await)
}

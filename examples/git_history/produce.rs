//! The service: a transaction for each commit, eight at a time.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventferry::EnqueueError;
use sqlx::PgPool;

use crate::events::{CommitAuthored, FileChanged, GitEvents};
use crate::git::{Commit, History};

/// How many transactions are open at once.
const TASKS: usize = 8;

/// Each commit whose place in the history is a multiple of this is first written and rolled back.
const REHEARSED: usize = 16;

type Failure = Box<dyn Error + Send + Sync>;

/// The service's own tables: the commits, and the order in which their transactions committed, for each aggregate.
pub(crate) async fn create_tables(pool: &PgPool) -> Result<(), sqlx::Error> {
    for table in [
        "CREATE TABLE commits (hash text PRIMARY KEY, author text NOT NULL, seconds bigint NOT NULL)",
        "CREATE TABLE counters (kind text, id text, n bigint NOT NULL, PRIMARY KEY (kind, id))",
        "CREATE TABLE places (kind text, id text, n bigint, hash text NOT NULL, PRIMARY KEY (kind, id, n))",
    ] {
        sqlx::query(table).execute(pool).await?;
    }
    Ok(())
}

/// Writes the whole history.
pub(crate) async fn replay(pool: &PgPool, events: &GitEvents, history: &Arc<History>, run: &str) -> Result<(), Box<dyn Error>> {
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (pool, events, history, next, run) = (pool.clone(), events.clone(), Arc::clone(history), Arc::clone(&next), run.to_owned());
            tokio::spawn(async move {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(commit) = history.commits.get(place) else { return Ok(()) };
                    if place % REHEARSED == 0 {
                        write(&pool, &events, commit, &run, End::Rollback).await?;
                    }
                    write(&pool, &events, commit, &run, End::Commit).await?;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await?.map_err(|error: Failure| error as Box<dyn Error>)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum End {
    Commit,
    Rollback,
}

/// Writes one commit, again where the database asks for it.
async fn write(pool: &PgPool, events: &GitEvents, commit: &Commit, run: &str, end: End) -> Result<(), Failure> {
    loop {
        match transaction(pool, events, commit, run, end).await {
            Err(error) if error.downcast_ref::<EnqueueError>().is_some_and(EnqueueError::is_retryable) => {}
            result => return result,
        }
    }
}

async fn transaction(pool: &PgPool, events: &GitEvents, commit: &Commit, run: &str, end: End) -> Result<(), Failure> {
    let mut tx = pool.begin().await?;
    sqlx::query("INSERT INTO commits VALUES ($1, $2, $3)")
        .bind(&commit.hash)
        .bind(&commit.author)
        .bind(commit.seconds)
        .execute(&mut *tx)
        .await?;
    let authored = CommitAuthored {
        author: commit.author.clone(),
        commit: commit.hash.clone(),
        seconds: commit.seconds,
    };
    let changed = commit.files.iter().map(|(path, change)| FileChanged {
        path: path.clone(),
        commit: commit.hash.clone(),
        change: change.clone(),
    });
    let drafts = std::iter::once(events.event(authored)).chain(changed.map(|changed| events.event(changed)));
    events
        .enqueue_all(&mut tx, drafts.map(|draft| draft.header("git-run", run)))
        .await?;

    // After the enqueue, which holds the lock of each of these aggregates by now: the count is the order of the commits.
    let (kinds, ids): (Vec<_>, Vec<_>) = std::iter::once(("author", &commit.author))
        .chain(commit.files.keys().map(|path| ("file", path)))
        .unzip();
    sqlx::query(
        "WITH counted AS (
             INSERT INTO counters SELECT kind, id, 1 FROM unnest($1::text[], $2::text[]) AS touched (kind, id) ORDER BY kind, id
             ON CONFLICT (kind, id) DO UPDATE SET n = counters.n + 1 RETURNING kind, id, n)
         INSERT INTO places SELECT kind, id, n, $3 FROM counted",
    )
    .bind(&kinds)
    .bind(&ids)
    .bind(&commit.hash)
    .execute(&mut *tx)
    .await?;
    match end {
        End::Commit => Ok(tx.commit().await?),
        End::Rollback => Ok(tx.rollback().await?),
    }
}

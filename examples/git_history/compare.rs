//! What arrived against what was committed, and against what git knows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgPool;

use crate::consume::Arrived;
use crate::git::History;

/// How far the arrivals are from the counters.
#[derive(Default)]
pub(crate) struct Order {
    /// Events that arrived right after one of their aggregate that was committed later.
    pub(crate) violations: usize,
    /// Events that were committed and did not arrive, or the other way round.
    pub(crate) differences: usize,
}

/// Compares with the order in which the transactions committed.
pub(crate) async fn with_counters(pool: &PgPool, arrived: &Arrived) -> Result<Order, sqlx::Error> {
    let places: Vec<(String, String, i64, String)> = sqlx::query_as("SELECT kind, id, n, hash FROM places").fetch_all(pool).await?;
    let mut committed = HashMap::<(&str, &str), HashMap<&str, i64>>::new();
    for (kind, id, n, hash) in &places {
        committed.entry((kind, id)).or_default().insert(hash, *n);
    }
    let mut order = Order::default();
    for ((kind, id), commits) in &arrived.commits {
        let places = committed.remove(&(*kind, id.as_str())).unwrap_or_default();
        let known: Vec<i64> = commits.iter().filter_map(|hash| places.get(hash.as_str()).copied()).collect();
        order.violations += known.windows(2).filter(|pair| pair[1] <= pair[0]).count();
        let different = known.iter().collect::<BTreeSet<_>>().len();
        order.differences += (commits.len() - different) + (places.len() - different);
    }
    order.differences += committed.values().map(HashMap::len).sum::<usize>();
    Ok(order)
}

/// Compares with git: the same commits for each file and for each author, and a row for each commit. Answers the number of differences.
pub(crate) async fn with_git(pool: &PgPool, arrived: &Arrived, history: &History) -> Result<usize, sqlx::Error> {
    let mut rebuilt = HashMap::from([("author", BTreeMap::new()), ("file", BTreeMap::new())]);
    for ((kind, id), commits) in &arrived.commits {
        let commits: BTreeSet<String> = commits.iter().cloned().collect();
        rebuilt.entry(*kind).or_default().insert(id.clone(), commits);
    }
    let hashes: Vec<(String,)> = sqlx::query_as("SELECT hash FROM commits").fetch_all(pool).await?;
    let rows: BTreeSet<_> = hashes.into_iter().map(|(hash,)| hash).collect();
    let in_git: BTreeSet<_> = history.commits.iter().map(|commit| commit.hash.clone()).collect();
    Ok(differences(&rebuilt["author"], &history.authors())
        + differences(&rebuilt["file"], &history.files)
        + rows.symmetric_difference(&in_git).count())
}

fn differences(ours: &BTreeMap<String, BTreeSet<String>>, gits: &BTreeMap<String, BTreeSet<String>>) -> usize {
    let none = BTreeSet::new();
    let keys: BTreeSet<_> = ours.keys().chain(gits.keys()).collect();
    keys.into_iter()
        .map(|key| {
            ours.get(key)
                .unwrap_or(&none)
                .symmetric_difference(gits.get(key).unwrap_or(&none))
                .count()
        })
        .sum()
}

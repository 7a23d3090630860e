//! Purges delivered rows whose time is over, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::observe::Outage;
use crate::store::{Retention, Store};

const EVERY: Duration = Duration::from_secs(30);
/// Where acks delete their rows, those that an operator discarded are left: they are kept as long as delivered ones would be by default.
const KEPT_OTHERWISE: Duration = Duration::from_hours(7 * 24);
const RARELY: Duration = Duration::from_hours(1);
/// Rows of one statement: short enough to disturb nobody.
const CHUNK: u32 = 500;

pub(super) async fn run<S: Store>(store: Arc<S>, lease: Duration, retention: Retention) {
    let (older_than, every) = match retention {
        Retention::Keep(older_than) => (older_than, EVERY),
        Retention::Delete => (KEPT_OTHERWISE, RARELY),
    };
    let mut outage = Outage::new("purge delivered rows", lease * 4);
    let mut rounds = interval(every);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        while let Some(purged) = outage.ask(store.purge(older_than, CHUNK)).await {
            if purged < u64::from(CHUNK) {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

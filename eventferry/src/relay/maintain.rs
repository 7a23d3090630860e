//! Purges delivered rows whose time is over, a little at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::observe::Outage;
use crate::store::{Retention, Store};

const EVERY: Duration = Duration::from_secs(30);
/// Rows of one statement: short enough to disturb nobody.
const CHUNK: u32 = 2_000;

pub(super) async fn run<S: Store>(store: Arc<S>, retention: Retention) {
    let Retention::Keep(older_than) = retention else { return };
    let mut outage = Outage::new("purge delivered rows");
    let mut rounds = interval(EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        while let Some(purged) = outage.note(store.purge(older_than, CHUNK).await) {
            if purged < u64::from(CHUNK) {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

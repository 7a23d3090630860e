//! Notices when the machine stands still: what waits meanwhile waits for nobody else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_millis(100);
/// What is less than this is the ordinary crowding of a machine at work.
const LONG: Duration = Duration::from_secs(1);

type Times = Vec<(SystemTime, SystemTime)>;

/// Looks at the clock every so often, until it is dropped.
#[derive(Debug)]
pub struct Standstills {
    seen: Arc<Mutex<Times>>,
    task: JoinHandle<()>,
}

impl Standstills {
    /// Begins to look.
    pub fn watch() -> Self {
        let seen = Arc::<Mutex<Times>>::default();
        let found = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut tick = interval(EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last = Instant::now();
            loop {
                tick.tick().await;
                let (now, late) = (Instant::now(), last.elapsed());
                if late > LONG {
                    let to = wall_clock();
                    found.lock().unwrap_or_else(PoisonError::into_inner).push((to - late, to));
                }
                last = now;
            }
        });
        Self { seen, task }
    }

    /// When it stood still for more than a second.
    pub fn end(self) -> Vec<(SystemTime, SystemTime)> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Standstills {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "times that are compared with those of commits and arrivals on the same host"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

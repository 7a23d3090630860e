//! What was learned, and who is asking at this moment.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::schema::RegistryErrorKind;
use crate::schema::confluent::answer::Failure;

/// Answers by what was asked, at most so many; the one that was not used for longest gives way.
///
/// One question is asked once at a time. Whoever asked before its answer was known shares it, be it good or bad; a refusal is kept for a short
/// time besides, an outage is not.
pub(super) struct Cache<K, V> {
    entries: Mutex<Entries<K, V>>,
    capacity: usize,
    refusals: Duration,
}

struct Entries<K, V> {
    by_key: HashMap<K, (Arc<Flight<V>>, u64)>,
    /// Counts uses, so that the oldest can be told.
    uses: u64,
}

struct Flight<V> {
    value: OnceLock<V>,
    /// Held by the one who asks. An asker that is dropped gives its turn to the next.
    turn: tokio::sync::Mutex<Option<(Instant, Failure)>>,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    pub(super) fn new(capacity: usize, refusals: Duration) -> Self {
        Self {
            entries: Mutex::new(Entries {
                by_key: HashMap::new(),
                uses: 0,
            }),
            capacity,
            refusals,
        }
    }

    /// The answer to a question, from memory or by asking.
    pub(super) async fn get<F>(&self, key: &K, ask: impl FnOnce() -> F) -> Result<V, Failure>
    where
        F: Future<Output = Result<V, Failure>>,
    {
        let flight = self.flight(key);
        if let Some(value) = flight.value.get() {
            return Ok(value.clone());
        }
        let asked = Instant::now();
        let mut failed = flight.turn.lock().await;
        if let Some(value) = flight.value.get() {
            return Ok(value.clone());
        }
        if let Some((at, failure)) = &*failed
            && (*at >= asked || (is_refusal(failure) && at.elapsed() < self.refusals))
        {
            return Err(failure.clone());
        }
        match ask().await {
            Ok(value) => {
                *failed = None;
                Ok(flight.value.get_or_init(|| value).clone())
            }
            Err(failure) => {
                *failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    fn flight(&self, key: &K) -> Arc<Flight<V>> {
        let mut entries = self.entries();
        entries.uses += 1;
        let now = entries.uses;
        if let Some((flight, used)) = entries.by_key.get_mut(key) {
            *used = now;
            return Arc::clone(flight);
        }
        if entries.by_key.len() >= self.capacity {
            // A look at all of them, beside the request that follows.
            let oldest = entries.by_key.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                entries.by_key.remove(&oldest);
            }
        }
        let flight = Arc::new(Flight {
            value: OnceLock::new(),
            turn: tokio::sync::Mutex::new(None),
        });
        entries.by_key.insert(key.clone(), (Arc::clone(&flight), now));
        flight
    }

    fn entries(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the registry said no, which it may take back; that it is away, or wants other credentials, is not kept at all.
fn is_refusal(failure: &Failure) -> bool {
    match failure.kind() {
        RegistryErrorKind::NotFound | RegistryErrorKind::Incompatible | RegistryErrorKind::Invalid => true,
        RegistryErrorKind::Unavailable | RegistryErrorKind::Unauthorized => false,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::sync::Notify;
    use tokio::task::{JoinSet, LocalSet};

    use super::*;

    const REFUSALS: Duration = Duration::from_secs(5);

    fn fail(kind: RegistryErrorKind) -> Result<u32, Failure> {
        Err(Failure::new(kind, "no"))
    }

    /// So many askers at once, of a question that is answered when all of them wait; returns how often it was asked, and what they got.
    async fn together(askers: usize, answer: fn() -> Result<u32, Failure>) -> (u32, Vec<Result<u32, RegistryErrorKind>>) {
        let cache: Rc<Cache<&str, u32>> = Rc::new(Cache::new(10, REFUSALS));
        let (asked, go) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
        let mut all = JoinSet::new();
        let local = LocalSet::new();
        for _ in 0..askers {
            let (cache, asked, go) = (Rc::clone(&cache), Rc::clone(&asked), Rc::clone(&go));
            all.spawn_local_on(
                async move {
                    let got = cache.get(&"k", || async {
                        asked.set(asked.get() + 1);
                        go.notified().await;
                        answer()
                    });
                    got.await.map_err(|failure| failure.kind())
                },
                &local,
            );
        }
        let results = local
            .run_until(async {
                // Every one of them has been polled once.
                tokio::task::yield_now().await;
                go.notify_one();
                // Whoever waits for ever is found at once: the clock stands, and goes on where nobody does anything.
                let answered = tokio::time::timeout(Duration::from_mins(1), all.join_all()).await;
                answered.expect("everybody gets an answer")
            })
            .await;
        (asked.get(), results)
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_askers_ask_once_and_share_the_answer_good_or_bad() {
        let (asked, results) = together(100, || Ok(7)).await;
        assert_eq!((asked, results), (1, vec![Ok(7); 100]));
        let (asked, results) = together(100, || fail(RegistryErrorKind::Unavailable)).await;
        assert_eq!((asked, results), (1, vec![Err(RegistryErrorKind::Unavailable); 100]));
        let (asked, results) = together(100, || fail(RegistryErrorKind::NotFound)).await;
        assert_eq!((asked, results), (1, vec![Err(RegistryErrorKind::NotFound); 100]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_kept_for_a_short_time_and_an_outage_not_at_all() {
        let cache: Cache<&str, u32> = Cache::new(10, REFUSALS);
        for kind in [
            RegistryErrorKind::NotFound,
            RegistryErrorKind::Incompatible,
            RegistryErrorKind::Invalid,
        ] {
            let first = cache.get(&"refused", || async { fail(kind) }).await;
            assert_eq!(first.unwrap_err().kind(), kind);
            tokio::time::advance(Duration::from_millis(4999)).await;
            let kept = cache.get(&"refused", || async { Ok(1) }).await;
            assert_eq!(kept.unwrap_err().kind(), kind);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(cache.get(&"refused", || async { Ok(1) }).await.unwrap(), 1);

        for kind in [RegistryErrorKind::Unavailable, RegistryErrorKind::Unauthorized] {
            cache.get(&"away", || async { fail(kind) }).await.unwrap_err();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(cache.get(&"away", || async { Ok(2) }).await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_asker_that_is_dropped_gives_its_turn_to_the_next() {
        let cache: Cache<&str, u32> = Cache::new(10, REFUSALS);
        let stuck = cache.get(&"k", std::future::pending::<Result<u32, Failure>>);
        tokio::time::timeout(Duration::from_secs(1), stuck).await.unwrap_err();
        let next = tokio::time::timeout(Duration::from_secs(1), cache.get(&"k", || async { Ok(3) }));
        assert_eq!(next.await.unwrap().unwrap(), 3);
    }

    #[tokio::test]
    async fn the_one_not_used_for_longest_gives_way() {
        let cache: Cache<u32, u32> = Cache::new(3, REFUSALS);
        for key in [1, 2, 3, 1, 4] {
            cache.get(&key, || async move { Ok(key) }).await.unwrap();
        }
        assert_eq!(cache.entries().by_key.len(), 3);
        // 2 has gone; 1, which was used again, has not.
        assert_eq!(cache.get(&1, || async { Ok(99) }).await.unwrap(), 1);
        assert_eq!(cache.get(&2, || async { Ok(99) }).await.unwrap(), 99);
    }
}

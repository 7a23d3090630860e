//! The suites that hold every implementation of a seam to its contract.

pub mod publisher;
pub mod store;

use std::future::Future;
use std::time::Duration;

/// No case takes this long.
const LONGEST: Duration = Duration::from_mins(5);

/// A case as the macros run it.
///
/// # Panics
/// If it hangs.
#[doc(hidden)]
pub fn in_time<F: Future<Output = ()>>(case: F) -> impl Future<Output = ()> {
    // Whoever waits for it holds a pointer, and not all of it a second time.
    let case = Box::pin(case);
    async move {
        let ended = tokio::time::timeout(LONGEST, case).await;
        assert!(ended.is_ok(), "the case took longer than {LONGEST:?}");
    }
}

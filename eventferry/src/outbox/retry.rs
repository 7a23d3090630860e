//! How long a refused event waits before it is tried again. Pure: the random number is handed in.

use std::time::Duration;

/// The delay before each further attempt.
///
/// The default is exponential, 200 ms to 5 minutes, with full jitter: each delay is drawn evenly between nothing and the computed value,
/// so that events that failed together do not come back together
/// (Brooker, *Exponential Backoff And Jitter*, AWS Architecture Blog, 2015).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use eventferry::RetryPolicy;
///
/// let policy = RetryPolicy::exponential(Duration::from_millis(200), Duration::from_secs(300));
/// assert_eq!(policy.ceiling(1), Duration::from_millis(200));
/// assert_eq!(policy.ceiling(4), Duration::from_millis(1600));
/// assert_eq!(policy.ceiling(99), Duration::from_secs(300));
/// assert!(policy.delay(4, 0.5) == Duration::from_millis(800));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    shape: Shape,
    base: Duration,
    max: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Fixed,
    Linear,
    Exponential,
}

impl RetryPolicy {
    /// The same ceiling for every attempt.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use eventferry::RetryPolicy;
    ///
    /// let policy = RetryPolicy::fixed(Duration::from_secs(5));
    /// assert_eq!((policy.ceiling(1), policy.ceiling(9)), (Duration::from_secs(5), Duration::from_secs(5)));
    /// ```
    pub const fn fixed(delay: Duration) -> Self {
        Self {
            shape: Shape::Fixed,
            base: delay,
            max: delay,
        }
    }

    /// A ceiling that grows by `step` each attempt, up to `max`.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use eventferry::RetryPolicy;
    ///
    /// let policy = RetryPolicy::linear(Duration::from_secs(5), Duration::from_secs(12));
    /// assert_eq!([1, 2, 3].map(|attempt| policy.ceiling(attempt).as_secs()), [5, 10, 12]);
    /// ```
    pub const fn linear(step: Duration, max: Duration) -> Self {
        Self {
            shape: Shape::Linear,
            base: step,
            max,
        }
    }

    /// A ceiling that doubles each attempt from `base`, up to `max`.
    pub const fn exponential(base: Duration, max: Duration) -> Self {
        Self {
            shape: Shape::Exponential,
            base,
            max,
        }
    }

    /// The longest that attempt number `attempt` (from 1) may be followed by a wait.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let factor = match self.shape {
            Shape::Fixed => 1,
            Shape::Linear => attempt.max(1),
            Shape::Exponential => 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX),
        };
        self.base.checked_mul(factor).unwrap_or(self.max).min(self.max)
    }

    /// The wait after attempt number `attempt`, where `random` is drawn evenly from 0 to 1.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let (ceiling, part) = (self.ceiling(attempt), if random.is_finite() { random.clamp(0.0, 1.0) } else { 1.0 });
        // The longest duration, as a number of seconds, is rounded to one that is longer.
        Duration::try_from_secs_f64(ceiling.as_secs_f64() * part).unwrap_or(ceiling)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::exponential(Duration::from_millis(200), Duration::from_mins(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_attempt_number_overflows() {
        for policy in [
            RetryPolicy::default(),
            RetryPolicy::fixed(Duration::from_secs(1)),
            RetryPolicy::linear(Duration::from_secs(1), Duration::from_secs(9)),
            RetryPolicy::exponential(Duration::MAX, Duration::MAX),
        ] {
            let mut last = Duration::ZERO;
            for attempt in [0, 1, 2, 3, 31, 32, 33, 64, u32::MAX] {
                let ceiling = policy.ceiling(attempt);
                assert!(ceiling >= last, "{policy:?} {attempt}");
                last = ceiling;
            }
        }
    }

    #[test]
    fn jitter_stays_between_nothing_and_the_ceiling() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(3, 0.0), Duration::ZERO);
        assert_eq!(policy.delay(3, 1.0), policy.ceiling(3));
        assert_eq!(policy.delay(3, f64::NAN), policy.ceiling(3));
        assert_eq!(policy.delay(3, 7.0), policy.ceiling(3));
        let never = RetryPolicy::fixed(Duration::MAX);
        assert_eq!(never.delay(1, 1.0), Duration::MAX);
        assert!(never.delay(1, 0.5) > Duration::MAX / 3);
    }
}

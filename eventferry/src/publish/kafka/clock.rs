//! The wall clock, which librdkafka waits by, and what is done where that may take for ever.
//!
//! librdkafka's waits end at a time of the wall clock. Where the clock of the host is set back while one is under way, it ends as much later:
//! a client whose broker went away in that moment stands still for an hour, and a call that it was asked to answer within five seconds does,
//! too. So no question, no opening and no closing is waited for without a limit of its own, which the steady clock gives; and a client that was
//! there when the clock was set back is given up for a new one before it is used again.

use std::future::pending;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::publish::{PublishError, PublishErrorKind, Scope};

/// What is less than this is no step: nobody minds a wait that is so much longer.
const STEP: Duration = Duration::from_secs(2);
/// How often the clock is looked at: what is set forward and back in between is not noticed.
const LOOK: Duration = Duration::from_millis(500);
/// How far apart two readings of the steady clock may be for one of the wall clock between them to belong to both.
const ONE_MOMENT: Duration = Duration::from_millis(50);
/// How much longer than its own limit a call may take.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Notices that the wall clock was set back. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct WallClock(watch::Receiver<u64>);

/// The time until the wall clock is set back again. What began to wait in an era that is over may do so for an hour.
#[derive(Debug, Clone)]
pub(super) struct Era {
    /// How often the clock was set back.
    steps: watch::Receiver<u64>,
    number: u64,
}

/// Both clocks in one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: SystemTime,
    steady: Instant,
}

impl WallClock {
    /// Begins to look at the clock, on a thread that ends soon after the last clone and the last era are gone.
    pub(super) fn start() -> Result<Self, PublishError> {
        let (steps, clock) = watch::channel(0);
        let thread = thread::Builder::new().name("eventferry-kafka-clock".to_owned());
        match thread.spawn(move || look_at_it(&steps)) {
            Ok(_) => Ok(Self(clock)),
            Err(error) => Err(PublishError::new(
                PublishErrorKind::Unavailable(Scope::Publisher),
                "failed to start the thread that looks at the clock for a Kafka publisher",
            )
            .with_source(error)),
        }
    }

    /// The era of this moment, as far as was noticed.
    pub(super) fn era(&self) -> Era {
        Era {
            steps: self.0.clone(),
            number: *self.0.borrow(),
        }
    }
}

impl Era {
    pub(super) fn is_over(&self) -> bool {
        *self.steps.borrow() != self.number
    }

    /// Waits until it is over.
    ///
    /// Cancel safe.
    pub(super) async fn ended(&self) {
        let unknown = self.steps.clone().wait_for(|number| *number != self.number).await.is_err();
        if unknown {
            pending::<()>().await;
        }
    }

    /// A call of librdkafka that blocks; none if it has not ended in time, or panicked, or if the era ends before. It then goes on by itself.
    pub(super) async fn call<T: Send + 'static>(&self, limit: Duration, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let answered = beside(call)?;
        let ended = async {
            tokio::select! {
                biased;
                answer = answered => answer.ok(),
                () = self.ended() => None,
            }
        };
        timeout(limit, ended).await.ok().flatten()
    }
}

/// Does what blocks on a thread of its own, where nobody waits for it: a runtime that ends waits for its blocking threads. None if no thread can
/// be had: what the work holds is then dropped here.
pub(super) fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<oneshot::Receiver<T>> {
    let (answer, answered) = oneshot::channel();
    let thread = thread::Builder::new().name("eventferry-kafka-call".to_owned());
    // Whoever asked may have given up: then nobody wants the answer, and what it holds is dropped on that thread.
    thread.spawn(move || drop(answer.send(work()))).ok()?;
    Some(answered)
}

#[expect(
    clippy::disallowed_methods,
    reason = "nobody tells that a clock was set back: it is looked at every so often"
)]
fn look_at_it(steps: &watch::Sender<u64>) {
    let mut last = Reading::now();
    while !steps.is_closed() {
        thread::sleep(LOOK);
        let now = Reading::now();
        if let (Some(last), Some(now)) = (last, now)
            && last.behind(now) > STEP
        {
            steps.send_modify(|number| *number += 1);
        }
        last = now.or(last);
    }
}

impl Reading {
    /// None if this process was stopped in the middle of it.
    fn now() -> Option<Self> {
        let before = Instant::now();
        let (wall, steady) = (crate::clock::now(), Instant::now());
        (steady - before < ONE_MOMENT).then_some(Self { wall, steady })
    }

    /// By how much the wall clock is behind in a later moment.
    fn behind(self, later: Self) -> Duration {
        let passed = later.steady.saturating_duration_since(self.steady);
        let expected = self.wall.checked_add(passed).unwrap_or(self.wall);
        expected.duration_since(later.wall).unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A clock that a test sets back.
    pub(in crate::publish::kafka) fn steered() -> (watch::Sender<u64>, WallClock) {
        let (steps, clock) = watch::channel(0);
        (steps, WallClock(clock))
    }

    #[test]
    fn only_a_step_back_is_one() {
        let start = Instant::now();
        let at = |steady: f64, wall: f64| Reading {
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1e9 + wall),
            steady: start + Duration::from_secs_f64(steady),
        };
        // How much time passed by the steady clock and by the wall clock, and whether that is a step back.
        for (steady, wall, back) in [
            (0.5, 0.5, false),
            (0.5, 0.4, false),
            (0.5, -1.0, false),
            (0.5, -2.0, true),
            (0.5, -3_600.0, true),
            (0.5, 3_600.0, false),
            (7_200.0, 7_200.0, false),
            (7_200.0, 3_600.0, true),
            (0.5, 7_200.0, false),
        ] {
            let behind = at(0.0, 0.0).behind(at(steady, wall));
            assert_eq!(behind > STEP, back, "{steady} s, {wall} s");
        }
    }

    #[test]
    fn both_clocks_are_read_in_one_moment() {
        let reading = || (0..100).find_map(|_| Reading::now()).expect("this process is not always stopped");
        let (first, second) = (reading(), reading());
        assert!(first.steady <= second.steady && first.behind(second) < STEP);
    }

    #[tokio::test]
    async fn a_call_that_does_not_end_is_not_waited_for() {
        let (steps, clock) = steered();
        let never = || {
            let (end, ended) = std::sync::mpsc::channel::<()>();
            (end, move || ended.recv().is_err())
        };
        let hour = Duration::from_hours(1);
        let (end, call) = never();
        assert_eq!(clock.era().call(Duration::from_millis(20), call).await, None);
        drop(end);
        let (end, call) = never();
        let era = clock.era();
        let both = async { tokio::join!(era.call(hour, call), async { steps.send_modify(|number| *number += 1) }) };
        let (answer, ()) = timeout(Duration::from_secs(30), both).await.expect("the call is waited for");
        assert_eq!(answer, None, "the clock was set back meanwhile");
        drop(end);
        assert!(era.is_over() && !clock.era().is_over());
        assert_eq!(clock.era().call(hour, || 7).await, Some(7));
        assert_eq!(clock.era().call(hour, || -> u8 { panic!("on purpose") }).await, None);
    }

    #[tokio::test]
    async fn a_clock_that_nobody_looks_at_any_more_was_not_set_back() {
        let (steps, clock) = steered();
        drop(steps);
        let ended = timeout(Duration::from_millis(20), async { clock.era().ended().await });
        assert!(ended.await.is_err());
    }
}

//! The comparison. Pure: no clock, no io.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use crate::event::MessageId;
use crate::testing::verify::history::History;
use crate::testing::verify::journal::{Arrivals, Arrived, Committed, Journal};
use crate::testing::verify::report::{Report, Stall, Violation, Wrong};

/// The most histories a report shows of one kind.
const SHOWN: usize = 3;

/// Compares what committed with what arrived.
///
/// # Examples
/// A log in which the second event came first, and one that nobody wrote:
/// ```
/// use std::time::{Duration, SystemTime};
/// use eventferry::MessageId;
/// use eventferry::testing::verify::{Arrivals, Checker, Journal};
///
/// let at = |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
/// let [first, second, unknown] = [1, 2, 3].map(|n| MessageId::from_bytes([n; 16]));
///
/// let mut journal = Journal::new();
/// journal.commit("order-7", first, at(1));
/// journal.commit("order-7", second, at(2));
/// let mut arrivals = Arrivals::new();
/// arrivals.event("order-7", second, at(3), (0, 0));
/// arrivals.event("order-7", first, at(4), (0, 1));
/// arrivals.event("order-7", unknown, at(5), (0, 2));
///
/// let report = Checker::new().check(&journal, &arrivals);
/// assert!(!report.holds());
/// assert_eq!((report.lost, report.phantom, report.out_of_order, report.duplicates), (0, 1, 1, 0));
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a checker does nothing until `check` is called"]
pub struct Checker {
    disturbed: Vec<(SystemTime, SystemTime)>,
    patience: Option<Duration>,
}

impl Checker {
    /// A checker that excuses no stall and forbids none.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something was broken from one time to the other: a stall is excused until it was whole again.
    pub fn disturbed(mut self, from: SystemTime, to: SystemTime) -> Self {
        let later = self.disturbed.partition_point(|(begin, _)| *begin <= from);
        self.disturbed.insert(later, (from, to));
        self
    }

    /// Makes it a violation if an aggregate stands still for longer than this after the last disturbance within its stall is over, or for longer
    /// than twice this while nothing is broken: disturbances that follow each other excuse no aggregate for ever.
    ///
    /// # Examples
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use eventferry::MessageId;
    /// use eventferry::testing::verify::{Arrivals, Checker, Journal};
    ///
    /// let (at, id) = (|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s), MessageId::random());
    /// let (mut journal, mut arrivals) = (Journal::new(), Arrivals::new());
    /// journal.commit("order-7", id, at(0));
    /// arrivals.event("order-7", id, at(60), (0, 0));
    ///
    /// let checker = Checker::new().patience(Duration::from_secs(30));
    /// assert_eq!(checker.check(&journal, &arrivals).stalled, 1);
    /// assert!(checker.disturbed(at(5), at(40)).check(&journal, &arrivals).holds(), "the broker was away until second 40");
    /// ```
    pub fn patience(mut self, longest: Duration) -> Self {
        self.patience = Some(longest);
        self
    }

    /// Compares. Reads both in one pass, aggregate by aggregate.
    pub fn check(&self, journal: &Journal, arrivals: &Arrivals) -> Report {
        let mut found = Found::new(arrivals.strangers);
        let nothing = Vec::new();
        for (aggregate, committed) in &journal.aggregates {
            let arrived = arrivals.aggregates.get(aggregate).unwrap_or(&nothing);
            self.aggregate(aggregate, committed, arrived, &mut found);
        }
        for (aggregate, arrived) in &arrivals.aggregates {
            if !journal.aggregates.contains_key(aggregate) {
                self.aggregate(aggregate, &[], arrived, &mut found);
            }
        }
        found.report.committed = journal.len();
        found.report
    }

    fn aggregate(&self, aggregate: &str, committed: &[Committed], arrived: &[Arrived], found: &mut Found) {
        let place: HashMap<MessageId, usize> = committed.iter().enumerate().map(|(n, event)| (event.id, n)).collect();
        let history = |around: &[usize], arrivals: &[usize]| History::of(aggregate, committed, arrived, around, arrivals);
        let mut first: HashMap<usize, SystemTime> = HashMap::new();
        // The event that committed last of those that arrived, and its first arrival.
        let mut latest: Option<(usize, usize)> = None;
        for (index, arrival) in arrived.iter().enumerate() {
            let Some(&n) = place.get(&arrival.id) else {
                found.add(Wrong::Phantom, aggregate, || history(&[], &[index]));
                continue;
            };
            if first.contains_key(&n) {
                found.report.duplicates += 1;
                continue;
            }
            first.insert(n, arrival.at);
            match latest {
                Some((before, came)) if before > n => found.add(Wrong::OutOfOrder, aggregate, || history(&[n, before], &[came, index])),
                _ => latest = Some((n, index)),
            }
        }
        found.report.delivered += first.len();
        for n in (0..committed.len()).filter(|n| !first.contains_key(n)) {
            found.add(Wrong::Lost, aggregate, || history(&[n], &[]));
        }
        self.stalls(aggregate, committed, &first, &history, found);
    }

    /// Walks through the times at which the aggregate's events committed and first arrived.
    fn stalls(
        &self,
        aggregate: &str,
        committed: &[Committed],
        first: &HashMap<usize, SystemTime>,
        history: &impl Fn(&[usize], &[usize]) -> History,
        found: &mut Found,
    ) {
        let mut turns = Vec::with_capacity(2 * first.len());
        for (n, arrived) in first {
            // No event arrives before it commits: where the clocks say so, they differ.
            let from = committed[*n].at.min(*arrived);
            found.report.longest_wait = found.report.longest_wait.max(arrived.duration_since(from).unwrap_or_default());
            turns.push((from, false, *n));
            turns.push((*arrived, true, *n));
        }
        turns.sort_unstable();
        let mut waiting = HashSet::new();
        let mut since = None;
        for (at, arrives, n) in turns {
            if !arrives {
                waiting.insert(n);
                since = since.or(Some(at));
                continue;
            }
            waiting.remove(&n);
            if let Some(from) = since {
                let stall = Stall::new(aggregate, from, at, &self.disturbed);
                if self
                    .patience
                    .is_some_and(|longest| stall.unexcused > longest || stall.undisturbed > longest.saturating_mul(2))
                {
                    found.add(Wrong::Stalled, aggregate, || history(&[n], &[]));
                }
                found.longest(&stall);
            }
            since = (!waiting.is_empty()).then_some(at);
        }
    }
}

/// A report in the making.
struct Found {
    report: Report,
    /// The aggregates whose histories are shown, by what is wrong with them: one each.
    shown: HashMap<Wrong, Vec<String>>,
}

impl Found {
    fn new(strangers: usize) -> Self {
        let mut report = Report::empty();
        report.phantom = strangers;
        Self {
            report,
            shown: HashMap::new(),
        }
    }

    fn add(&mut self, wrong: Wrong, aggregate: &str, history: impl FnOnce() -> History) {
        let count = match wrong {
            Wrong::Lost => &mut self.report.lost,
            Wrong::Phantom => &mut self.report.phantom,
            Wrong::OutOfOrder => &mut self.report.out_of_order,
            Wrong::Stalled => &mut self.report.stalled,
        };
        *count += 1;
        let shown = self.shown.entry(wrong).or_default();
        if shown.len() < SHOWN && !shown.iter().any(|known| known == aggregate) {
            shown.push(aggregate.to_owned());
            self.report.violations.push(Violation::new(wrong, history()));
        }
    }

    fn longest(&mut self, stall: &Stall) {
        let report = &mut self.report;
        let keep = |longest: &mut Option<Stall>, of: fn(&Stall) -> Duration| {
            if longest.as_ref().is_none_or(|known| of(known) < of(stall)) {
                *longest = Some(stall.clone());
            }
        };
        keep(&mut report.longest_stall, Stall::length);
        keep(&mut report.longest_unexcused, |stall| stall.unexcused);
        keep(&mut report.longest_undisturbed, |stall| stall.undisturbed);
    }
}

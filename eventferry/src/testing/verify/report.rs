//! What the comparison found, for programs and for people.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::testing::verify::history::History;

/// What came of a comparison.
///
/// `Display` prints a small table, and below it the shortest histories of what was wrong.
///
/// # Examples
/// [`Checker`](crate::testing::verify::Checker) makes one, and shows its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a report says whether the promises held"]
pub struct Report {
    /// Events whose transaction committed.
    pub committed: usize,
    /// Of those, how many arrived at all.
    pub delivered: usize,
    /// Events that committed and never arrived.
    pub lost: usize,
    /// Arrivals of what never committed.
    pub phantom: usize,
    /// Events that arrived for the first time after an event of their aggregate which committed later.
    pub out_of_order: usize,
    /// Arrivals beyond an event's first.
    pub duplicates: usize,
    /// Stalls beyond the patience of the [`Checker`](crate::testing::verify::Checker).
    pub stalled: usize,
    /// The longest time from a commit to the first arrival of that event.
    pub longest_wait: Duration,
    /// The longest time an aggregate stood still: a committed event of it waited, and none arrived for the first time.
    pub longest_stall: Option<Stall>,
    /// The longest part of a stall after the last disturbance within it was over.
    pub longest_unexcused: Option<Stall>,
    /// The stall with the most time in which nothing was broken.
    pub longest_undisturbed: Option<Stall>,
    /// The first few of each kind.
    pub violations: Vec<Violation>,
}

/// A time in which an aggregate stood still.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// The aggregate.
    pub aggregate: String,
    /// When its oldest waiting event committed, or when one last arrived while others waited.
    pub from: SystemTime,
    /// When an event arrived for the first time again.
    pub to: SystemTime,
    /// How much of it lies after the last disturbance.
    pub unexcused: Duration,
    /// How much of it lies outside every disturbance, whichever came between.
    pub undisturbed: Duration,
}

/// One thing that must not be, and the events around it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// What is wrong.
    pub wrong: Wrong,
    /// The events around it.
    pub history: History,
}

/// Kinds of what must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wrong {
    /// Committed, never arrived.
    Lost,
    /// Arrived, never committed.
    Phantom,
    /// Arrived after one that committed later.
    OutOfOrder,
    /// Stood still for too long.
    Stalled,
}

impl Report {
    pub(super) fn empty() -> Self {
        Self {
            committed: 0,
            delivered: 0,
            lost: 0,
            phantom: 0,
            out_of_order: 0,
            duplicates: 0,
            stalled: 0,
            longest_wait: Duration::ZERO,
            longest_stall: None,
            longest_unexcused: None,
            longest_undisturbed: None,
            violations: Vec::new(),
        }
    }

    /// Whether nothing was lost, made up, out of order, or stalled beyond patience. Duplicates are allowed.
    pub fn holds(&self) -> bool {
        (self.lost, self.phantom, self.out_of_order, self.stalled) == (0, 0, 0, 0)
    }
}

impl Stall {
    /// A stall beside what was broken, in order of its beginning.
    pub(super) fn new(aggregate: &str, from: SystemTime, to: SystemTime, disturbed: &[(SystemTime, SystemTime)]) -> Self {
        let between = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default();
        let (mut whole_again, mut undisturbed) = (from, Duration::ZERO);
        for (begin, end) in disturbed.iter().filter(|(begin, end)| *begin < to && *end > from) {
            undisturbed += between(whole_again, *begin);
            whole_again = whole_again.max(*begin).max(*end).min(to);
        }
        let unexcused = between(whole_again, to);
        Self {
            aggregate: aggregate.to_owned(),
            from,
            to,
            unexcused,
            undisturbed: undisturbed + unexcused,
        }
    }

    /// How long it lasted.
    pub fn length(&self) -> Duration {
        self.to.duration_since(self.from).unwrap_or_default()
    }
}

impl Violation {
    pub(super) fn new(wrong: Wrong, history: History) -> Self {
        Self { wrong, history }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Phantom => "phantom",
            Self::OutOfOrder => "out of order",
            Self::Stalled => "stalled",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |stall: Option<Duration>| format!("{:.3} s", stall.unwrap_or_default().as_secs_f64());
        writeln!(
            f,
            "| events | lost | phantom | out of order | duplicates | longest stall | beyond the faults | without a fault | longest wait |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.committed,
            self.lost,
            self.phantom,
            self.out_of_order,
            self.duplicates,
            seconds(self.longest_stall.as_ref().map(Stall::length)),
            seconds(self.longest_unexcused.as_ref().map(|stall| stall.unexcused)),
            seconds(self.longest_undisturbed.as_ref().map(|stall| stall.undisturbed)),
            seconds(Some(self.longest_wait)),
        )?;
        for violation in &self.violations {
            write!(f, "\n\n{}: {}", violation.wrong, violation.history)?;
        }
        Ok(())
    }
}

//! The events around a violation: as few as say what happened.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::event::MessageId;
use crate::testing::verify::journal::{Arrived, Committed};

/// How many neighbours of an event are shown on each side.
const NEIGHBOURS: usize = 2;
/// How many arrivals of one event are shown.
const TIMES: usize = 4;

/// What became of a few events of one aggregate: their place in the order of commits, and when and where they arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    aggregate: String,
    began: SystemTime,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    id: MessageId,
    /// The place among the aggregate's commits, from 1, and the time.
    committed: Option<(usize, SystemTime)>,
    /// The place among the aggregate's arrivals, from 1, the time, and where.
    arrived: Vec<(usize, SystemTime, (i32, i64))>,
}

impl History {
    /// The history of the events with the places `around` in `committed`, of those at the places `arrivals` in `arrived`, and of the
    /// neighbours of both.
    pub(super) fn of(aggregate: &str, committed: &[Committed], arrived: &[Arrived], around: &[usize], arrivals: &[usize]) -> Self {
        let near = |n: usize, len: usize| n.saturating_sub(NEIGHBOURS)..(n + NEIGHBOURS + 1).min(len);
        let mut places: BTreeSet<usize> = around.iter().flat_map(|n| near(*n, committed.len())).collect();
        let mut unknown = Vec::new();
        for arrival in arrivals.iter().flat_map(|index| near(*index, arrived.len())) {
            let id = arrived[arrival].id;
            match committed.iter().position(|event| event.id == id) {
                Some(n) => drop(places.insert(n)),
                None if !unknown.contains(&id) => unknown.push(id),
                None => {}
            }
        }
        let line = |id: MessageId, committed: Option<(usize, SystemTime)>| Line {
            id,
            committed,
            arrived: (1..)
                .zip(arrived)
                .filter(|(_, arrival)| arrival.id == id)
                .map(|(n, arrival)| (n, arrival.at, arrival.place))
                .collect(),
        };
        let known = places.iter().map(|n| line(committed[*n].id, Some((n + 1, committed[*n].at))));
        let lines: Vec<Line> = known.chain(unknown.iter().map(|id| line(*id, None))).collect();
        let times = lines.iter().flat_map(|line| {
            let arrived = line.arrived.iter().map(|(_, at, _)| *at);
            line.committed.iter().map(|(_, at)| *at).chain(arrived)
        });
        Self {
            aggregate: aggregate.to_owned(),
            began: times.min().unwrap_or(SystemTime::UNIX_EPOCH),
            lines,
        }
    }

    /// The aggregate.
    pub fn aggregate(&self) -> &str {
        &self.aggregate
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "aggregate `{}`, times from {}",
            self.aggregate,
            crate::clock::rfc3339(self.began)
        )?;
        for line in &self.lines {
            match line.committed {
                Some((n, at)) => write!(f, "\n  commit {n:>6} at {}", Since(self.began, at))?,
                None => write!(f, "\n  never committed          ")?,
            }
            write!(f, "  {}", line.id)?;
            if line.arrived.is_empty() {
                f.write_str("  never arrived")?;
            }
            for (n, at, (partition, offset)) in line.arrived.iter().take(TIMES) {
                write!(f, "  arrival {n} at {} ({partition}/{offset})", Since(self.began, *at))?;
            }
            if line.arrived.len() > TIMES {
                write!(f, "  and {} more", line.arrived.len() - TIMES)?;
            }
        }
        Ok(())
    }
}

/// A time as seconds since another.
struct Since(SystemTime, SystemTime);

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.1.duration_since(self.0).unwrap_or(Duration::ZERO);
        write!(f, "{:>8.3} s", since.as_secs_f64())
    }
}

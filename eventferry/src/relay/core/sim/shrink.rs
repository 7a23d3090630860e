//! From a failing run to the shortest one that fails the same way.

use std::fmt::Write as _;
use std::time::Duration;

use super::plan::{Plan, Throw, mix};
use super::verdict::Breach;
use super::world::{Outcome, World};
use crate::outbox::OnDead;

type Change = fn(&mut Plan);

/// Runs that one search may cost.
const RUNS: u32 = 4_000;
/// Other seeds that a smaller world is tried with.
const SEEDS: u64 = 25;

/// A run that broke a promise, and all that is needed to see it again.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) plan: Plan,
    pub(super) outcome: Outcome,
    pub(super) breach: Breach,
}

/// Runs a plan, and answers how it failed, if it did.
pub(super) fn failure(plan: &Plan) -> Option<Failure> {
    let outcome = World::new(plan).run();
    let breach = outcome.violations.first()?.breach;
    Some(Failure {
        plan: plan.clone(),
        outcome,
        breach,
    })
}

struct Search {
    best: Failure,
    runs: u32,
}

impl Search {
    fn tries(&mut self, plan: &Plan) -> bool {
        if self.runs == 0 {
            return false;
        }
        self.runs -= 1;
        let Some(found) = failure(plan).filter(|found| found.breach == self.best.breach) else {
            return false;
        };
        self.best = found;
        true
    }

    /// Tries a smaller world, with the same seed and with some others: what led to the failure was chance.
    fn smaller(&mut self, change: impl Fn(&mut Plan)) -> bool {
        let mut plan = self.best.plan.clone();
        change(&mut plan);
        if plan == self.best.plan {
            return false;
        }
        if self.tries(&plan) {
            return true;
        }
        // Another seed throws other dice.
        plan.spared.clear();
        (0..SEEDS).any(|n| {
            plan.seed = mix(self.best.plan.seed, 7, n) >> 40;
            self.tries(&plan)
        })
    }

    fn world(&mut self) -> bool {
        let mut better = false;
        let rates: Vec<_> = self.best.plan.rates.clone();
        for (fault, _) in rates {
            better |= self.smaller(|plan| plan.rates.retain(|(of, _)| *of != fault));
        }
        let changes: [Change; 19] = [
            |plan| plan.aggregates = 1,
            |plan| plan.aggregates = plan.aggregates.div_ceil(2),
            |plan| plan.writers = 1,
            |plan| plan.writers = plan.writers.div_ceil(2),
            |plan| plan.relays = 1,
            |plan| plan.relays = plan.relays.min(2),
            |plan| plan.transactions = plan.transactions.min(200) / 4 + 1,
            |plan| plan.transactions = plan.transactions.min(200) / 2 + 1,
            |plan| plan.transactions = plan.transactions.min(200).saturating_sub(1).max(1),
            |plan| plan.poison = 0.0,
            |plan| plan.deadly = 0.0,
            |plan| plan.unordered = 0.0,
            |plan| plan.scheduled = 0.0,
            |plan| plan.deferred = 0.0,
            |plan| plan.slow = 0.0,
            |plan| plan.gather = Duration::ZERO,
            |plan| plan.one_topic = true,
            |plan| plan.operator &= plan.on_dead == OnDead::Hold,
            |plan| plan.dead_letter = false,
        ];
        for change in changes {
            while self.smaller(change) {
                better = true;
            }
        }
        better
    }

    /// Spares as many throws as possible, in chunks that get smaller.
    fn faults(&mut self) {
        let mut chunk = self.best.outcome.struck.len().div_ceil(2);
        while chunk > 0 && self.runs > 0 {
            let mut at = 0;
            while at < self.best.outcome.struck.len() {
                let struck = &self.best.outcome.struck;
                let spared: Vec<Throw> = struck[at..struck.len().min(at + chunk)].to_vec();
                let mut plan = self.best.plan.clone();
                plan.spared.extend(spared);
                let before = struck.len();
                if !self.tries(&plan) || self.best.outcome.struck.len() >= before {
                    at += chunk;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
    }

    /// Of many seeds, the one that fails soonest.
    fn soonest(&mut self) {
        for n in 0..SEEDS * 8 {
            let mut plan = self.best.plan.clone();
            plan.spared.clear();
            plan.seed = n;
            if self.runs == 0 {
                return;
            }
            self.runs -= 1;
            if let Some(found) = failure(&plan)
                && found.breach == self.best.breach
                && found.outcome.steps < self.best.outcome.steps
            {
                self.best = found;
            }
        }
    }
}

/// The shortest failing run that can be found.
pub(super) fn shrink(found: Failure) -> Failure {
    let mut search = Search { best: found, runs: RUNS };
    while search.world() {}
    search.soonest();
    search.faults();
    search.best
}

/// A failure told so that it can be understood and repeated.
pub(super) fn tell(failure: &Failure) -> String {
    let aggregate = failure.outcome.violations.iter().find_map(|violation| violation.aggregate);
    let mut told = String::new();
    for violation in &failure.outcome.violations {
        let _ = writeln!(told, "{violation}");
    }
    let _ = writeln!(
        told,
        "{:?}\nafter {} steps; faults: {:?}",
        failure.plan, failure.outcome.steps, failure.outcome.struck
    );
    if let Some(aggregate) = aggregate {
        let _ = writeln!(told, "aggregate {aggregate}:");
        for line in World::new(&failure.plan).watching(aggregate).run().trace {
            let _ = writeln!(told, "{line}");
        }
    }
    told
}

//! Each rule, broken on purpose: the simulator must notice.

use super::world::{Faults, World};
use crate::mutant::{Mutant, broken};

const ALL: Faults = Faults {
    refuse: 0.02,
    poison: 0.005,
    store: 0.03,
    broker: 0.02,
    topic_away: true,
    kill: true,
    pause: true,
    ..Faults::NONE
};

/// The first violation among some seeds.
fn found(mutant: Mutant, faults: Faults) -> Option<(u64, String)> {
    broken(mutant, || {
        (0..40).find_map(|seed| Some((seed, World::new(seed, faults).run().violations.first()?.clone())))
    })
}

#[test]
fn broken_rules_are_noticed() {
    for mutant in [Mutant::NoLock, Mutant::CursorAndSweep, Mutant::LaneLeftOut, Mutant::ParkedIgnored] {
        let found = found(mutant, ALL);
        assert!(found.is_some(), "{mutant:?} passed unnoticed");
    }
}

//! What a run is judged by: the theorem.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::world::{Outcome, World};
use crate::event::MessageId;
use crate::outbox::Status;

impl World {
    pub(super) fn judge(self) -> Outcome {
        let mut outcome = Outcome {
            late: self.late,
            ..Outcome::default()
        };
        let ledger = self.ledger.lock().expect("one thread").clone();
        outcome.committed = ledger.len();
        let committed: HashSet<MessageId> = ledger.iter().map(|(id, ..)| *id).collect();
        let mut first = HashMap::new();
        for (place, arrival) in self.broker.log.iter().enumerate() {
            if !committed.contains(&arrival.message_id) {
                outcome.violations.push(format!("phantom {}", arrival.message_id));
            }
            match first.entry(arrival.message_id) {
                Entry::Vacant(slot) => {
                    slot.insert(place);
                }
                Entry::Occupied(_) => outcome.duplicates += 1,
            }
        }
        let mut last: BTreeMap<u64, (usize, MessageId)> = BTreeMap::new();
        for (id, aggregate, ordered) in &ledger {
            let status = self.store.status_of(*id);
            match first.get(id) {
                Some(place) if *ordered => {
                    if let Some((before, other)) = last.insert(*aggregate, (*place, *id))
                        && before > *place
                    {
                        let history = self
                            .broker
                            .log
                            .iter()
                            .filter(|arrival| arrival.message_id == *id || arrival.message_id == other);
                        let history: Vec<_> = history.map(|arrival| (arrival.message_id, &arrival.how)).collect();
                        outcome.violations.push(format!("{history:#?}"));
                        outcome.violations.push(format!(
                            "aggregate {aggregate}: {id} was first delivered before its predecessor {other}"
                        ));
                    }
                }
                Some(_) => {}
                None if status == Some(Status::Dead) => outcome.dead += 1,
                None => outcome
                    .violations
                    .push(format!("lost {id} of aggregate {aggregate}, ordered {ordered}, {status:?}")),
            }
            if status.is_some_and(|status| !status.is_settled()) {
                outcome
                    .violations
                    .push(format!("{id} of aggregate {aggregate} is still {status:?}"));
            }
        }
        if self.strays != 0 {
            outcome
                .violations
                .push(format!("{} rows were found only by the pass from the start", self.strays));
        }
        outcome.violations.truncate(10);
        outcome
    }
}

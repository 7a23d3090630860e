//! Events in flight at connections that were lost, again and again.

use super::alone::WAITS;
use super::{Bench, config, row};
use crate::outbox::{Record, lane_of};
use crate::publish::{Presence, PublishErrorKind, Scope};
use crate::relay::core::{CoreConfig, Fact, Now};
use crate::store::Fault;

/// Loses the connection with everything that is in flight, and lets the outage end.
fn lose_all(bench: &mut Bench, presence: Presence, rows: &[Record]) -> usize {
    let sent = bench.handed_over();
    for (_, token) in &sent {
        bench.refuse(*token, PublishErrorKind::Unavailable(Scope::Publisher));
    }
    bench.now += Now::from_secs(2);
    bench.turn([]);
    bench.answer_probe(presence);
    bench.answer_all_aggregates(rows);
    sent.len()
}

/// A relay with these events, of which those that were in flight are suspects.
fn suspecting(rows: &[Record]) -> Bench {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = rows.to_vec());
    for _ in 0..3 {
        assert_eq!(lose_all(&mut bench, Presence::There, rows), 1);
    }
    bench
}

#[test]
fn an_event_in_flight_at_three_losses_goes_alone_and_is_counted_if_it_is_lost_again() {
    let mut bench = suspecting(&[row(1, "a"), row(2, "a")]);
    assert_eq!(bench.ids(), [0; 0], "not before the broker was asked");
    bench.answer_probe(Presence::There);
    let sent = bench.handed_over();
    assert_eq!(sent.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1]);
    bench.refuse(sent[0].1, PublishErrorKind::Unavailable(Scope::Publisher));
    assert!(bench.judged().is_empty(), "not before the broker was asked once more");
    bench.answer_probe(Presence::There);
    assert!(matches!(bench.answer_verdict(WAITS), Fault::Refused { .. }), "it was the event");
    assert_eq!(bench.core.stats().failed, 1);
}

#[test]
fn while_a_suspect_is_out_no_other_call_is_made_and_then_they_go_on() {
    let mut bench = suspecting(&[row(1, "a")]);
    bench.answer_probe(Presence::There);
    let sent = bench.handed_over();
    bench.turn([]);
    bench.read(|batch| batch.fresh = vec![row(2, "b"), row(3, "c")]);
    assert_eq!(bench.ids(), [0; 0], "whatever is lost now must be the suspect's doing");
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert_eq!(bench.ids(), [2, 3]);
    assert_eq!(bench.core.stats().failed, 0, "it arrived: it is cleared");
}

#[test]
fn losses_in_an_outage_make_no_suspects() {
    for presence in [Presence::Away, Presence::Unknown] {
        let mut bench = Bench::new(CoreConfig {
            lease: Now::from_mins(10),
            ..config()
        });
        let rows = [row(1, "a")];
        bench.read(|batch| batch.fresh = rows.to_vec());
        for _ in 0..12 {
            assert_eq!(lose_all(&mut bench, presence, &rows), 1);
            bench.now += Now::from_secs(2);
            bench.turn([]);
            bench.answer_all_aggregates(&rows);
        }
        assert!(bench.judged().is_empty(), "nothing is counted, {presence:?}");
        assert_eq!(bench.core.stats().failed, 0);
    }
}

#[test]
fn a_suspect_that_is_lost_with_the_broker_is_not_counted() {
    let rows = [row(1, "a")];
    let mut bench = suspecting(&rows);
    bench.answer_probe(Presence::There);
    let sent = bench.handed_over();
    bench.refuse(sent[0].1, PublishErrorKind::Unavailable(Scope::Publisher));
    bench.answer_probe(Presence::Away);
    assert!(bench.judged().is_empty());
    assert_eq!(lane_of(rows[0].order_key), rows[0].lane());
}

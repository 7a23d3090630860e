//! Relays that end again and again with a lane in their hands, and events that are counted before they are sent.

use std::time::Duration;

use crate::outbox::{LANES, OnDead, Status};
use crate::store::{Doing, Fault, RelayId, Store, VerdictOutcome};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{Owner, event, find, put_one, status, unordered};

const fn waits(attempts: u32) -> VerdictOutcome {
    VerdictOutcome::Waits { attempts }
}

async fn deaths<H: Harness>(h: &H, relay: RelayId) -> Vec<u32> {
    let mut taken = h.store().take(relay, LANES).await.unwrap();
    taken.sort_unstable_by_key(|taken| taken.lease);
    taken.into_iter().map(|taken| taken.deaths).collect()
}

/// Whoever takes a lane that somebody held is told how often in a row that has happened.
pub async fn a_lane_that_was_not_handed_back_counts_a_death<H: Harness>(h: &H) {
    let lease = i64::try_from(h.store().open(RelayId::random()).await.unwrap().lease.as_secs()).unwrap();
    for expected in 0..4 {
        assert_eq!(deaths(h, RelayId::random()).await, vec![expected; usize::from(LANES)]);
        h.move_clock(lease + 1).await;
    }
}

/// A relay that could not renew in time, because the database was away, and takes its lanes again has not died.
pub async fn an_owner_that_takes_its_own_lane_again_counts_no_death<H: Harness>(h: &H) {
    let lease = i64::try_from(h.store().open(RelayId::random()).await.unwrap().lease.as_secs()).unwrap();
    let relay = RelayId::random();
    for _ in 0..3 {
        assert_eq!(deaths(h, relay).await, vec![0; usize::from(LANES)]);
        h.move_clock(lease + 1).await;
    }
    let groups: Vec<u8> = (0..8).collect();
    let taken = h.store().take_groups(relay, &groups, 8, 8).await.unwrap();
    assert!(taken.len() == usize::from(LANES) && taken.iter().all(|taken| taken.deaths == 0));
    h.move_clock(lease + 1).await;
    let taken = h.store().take_groups(RelayId::random(), &groups, 8, 8).await.unwrap();
    assert!(taken.len() == usize::from(LANES) && taken.iter().all(|taken| taken.deaths == 1));
}

/// After an outage of the database whoever comes first takes lanes of others that live: an owner that was heard of since has not died.
pub async fn an_owner_that_was_heard_of_after_its_lease_has_not_died<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let lease = i64::try_from(h.store().open(owner.id).await.unwrap().lease.as_secs()).unwrap();
    h.move_clock(lease + 1).await;
    h.store().renew(owner.id, &[], Doing::Sharing).await.unwrap();
    assert_eq!(deaths(h, RelayId::random()).await, vec![0; usize::from(LANES)]);
    h.move_clock(lease + 1).await;
    assert_eq!(deaths(h, RelayId::random()).await, vec![1; usize::from(LANES)], "this one was not");
}

/// A graceful hand-back proves nothing: the event that ended the owners before may not have been sent since.
pub async fn a_lane_that_was_handed_back_keeps_its_deaths<H: Harness>(h: &H) {
    let lease = i64::try_from(h.store().open(RelayId::random()).await.unwrap().lease.as_secs()).unwrap();
    let _dead = Owner::of_all_lanes(h).await;
    h.move_clock(lease + 1).await;
    let relay = RelayId::random();
    let taken = h.store().take(relay, LANES).await.unwrap();
    assert!(taken.iter().all(|taken| taken.deaths == 1));
    let leases: Vec<_> = taken.iter().map(|taken| taken.lease).collect();
    h.store().release(relay, &leases).await.unwrap();
    assert_eq!(deaths(h, RelayId::random()).await, vec![1; usize::from(LANES)]);
}

/// A lease that ends more than a lease length from now is over, because the clock was put back; that is no sign of a death.
pub async fn a_clock_that_was_put_back_counts_no_death<H: Harness>(h: &H) {
    let lease = i64::try_from(h.store().open(RelayId::random()).await.unwrap().lease.as_secs()).unwrap();
    h.move_clock(3600).await;
    let _owner = Owner::of_all_lanes(h).await;
    h.move_clock(-3600).await;
    assert_eq!(deaths(h, RelayId::random()).await, vec![0; usize::from(LANES)]);
    h.move_clock(3600).await;
    let _owner = h.store().take_groups(RelayId::random(), &[0, 1], 8, 2).await.unwrap();
    h.move_clock(-3600).await;
    let taken = h.store().take_groups(RelayId::random(), &[0, 1], 8, 2).await.unwrap();
    assert_eq!(
        taken.iter().map(|taken| taken.deaths).collect::<Vec<_>>(),
        vec![1; 16],
        "the hour forward was one"
    );
    h.move_clock(lease + 1).await;
    let taken = h.store().take_groups(RelayId::random(), &[0, 1], 8, 2).await.unwrap();
    assert!(taken.len() == 16 && taken.iter().all(|taken| taken.deaths == 2), "{taken:?}");
}

/// The owner may say that a lane is well; who has lost it may not.
pub async fn a_lane_is_forgiven_by_its_owner_only<H: Harness>(h: &H) {
    let lease = i64::try_from(h.store().open(RelayId::random()).await.unwrap().lease.as_secs()).unwrap();
    let dead = Owner::of_all_lanes(h).await;
    h.move_clock(lease + 1).await;
    let owner = Owner::of_all_lanes(h).await;
    h.store().forgive(dead.id, &dead.leases).await.unwrap();
    h.store().forgive(owner.id, &dead.leases).await.unwrap();
    h.store().forgive(owner.id, &owner.leases[..10]).await.unwrap();
    h.move_clock(lease + 1).await;
    let taken = h.store().take(RelayId::random(), LANES).await.unwrap();
    for taken in taken {
        let forgiven = owner.leases[..10].iter().any(|lease| lease.lane == taken.lease.lane);
        assert_eq!(taken.deaths, if forgiven { 1 } else { 2 }, "{taken:?}");
    }
}

/// Counted before it is sent, an event stays where it stands until it has had all its attempts; then the same statement finds it dead.
pub async fn an_attempt_counted_before_the_send_is_the_last_one_but_never_for_ever<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    for (record, on_dead, dead) in [
        (event("42"), OnDead::Continue, Status::Dead),
        (event("43"), OnDead::Hold, Status::DeadHolding),
        (unordered("44"), OnDead::Hold, Status::Dead),
    ] {
        let row = put_one(h, record).await;
        let begun = Fault::Begun { max_attempts: 3 };
        for attempts in 1..=3 {
            assert_eq!(owner.fail(h, &row, begun, on_dead).await, waits(attempts));
            assert_eq!(status(h, row.row()).await, Some(Status::Pending));
        }
        let outcome = if dead == Status::Dead {
            VerdictOutcome::Dead
        } else {
            VerdictOutcome::Holds
        };
        assert_eq!(owner.fail(h, &row, begun, on_dead).await, outcome);
        assert_eq!(status(h, row.row()).await, Some(dead));
    }
    let row = put_one(h, event("45")).await;
    for attempts in 1..=20 {
        let for_ever = Fault::Begun { max_attempts: 0 };
        assert_eq!(owner.fail(h, &row, for_ever, OnDead::Continue).await, waits(attempts));
    }
}

/// Where it was not the event's fault, the attempt is taken back, and no more than there were.
pub async fn an_attempt_is_taken_back<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    owner.fail(h, &row, Fault::Begun { max_attempts: 3 }, OnDead::Continue).await;
    for _ in 0..2 {
        assert_eq!(owner.fail(h, &row, Fault::Excused, OnDead::Continue).await, waits(0));
        assert_eq!(find(h, row.message_id).await.unwrap().status, Status::Pending);
    }
}

/// An attempt that was counted before is not counted again when the event is refused in it; death is decided as ever.
pub async fn a_refusal_in_a_counted_attempt_counts_once<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    let begun = Fault::Begun { max_attempts: 2 };
    let alone = Fault::RefusedAlone {
        delay: Duration::from_mins(1),
        max_attempts: 2,
    };
    assert_eq!(owner.fail(h, &row, begun, OnDead::Continue).await, waits(1));
    assert_eq!(owner.fail(h, &row, alone, OnDead::Continue).await, waits(1));
    let failed = find(h, row.message_id).await.unwrap();
    assert_eq!((failed.status, failed.due_in.is_zero()), (Status::Failed, false));
    assert_eq!(owner.fail(h, &row, begun, OnDead::Continue).await, waits(2));
    assert_eq!(
        find(h, row.message_id).await.unwrap().status,
        Status::Failed,
        "it stays where it stood"
    );
    assert_eq!(owner.fail(h, &row, alone, OnDead::Continue).await, VerdictOutcome::Dead);
}

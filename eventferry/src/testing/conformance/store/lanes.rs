//! A lane has one owner, and an owner that is gone loses it.

use std::collections::BTreeSet;

use crate::outbox::{LANES, LaneLease, OnDead, lane_of};
use crate::store::{Doing, RelayId, Store, Taken, VerdictOutcome};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{Owner, event, put_one, refused, take};

/// Asked for more than there are, a store gives 0 to 63, each once.
pub async fn there_are_exactly_sixty_four_lanes<H: Harness>(h: &H) {
    let relay = RelayId::random();
    h.store().open(relay).await.unwrap();
    let mut leases = take(h, relay, u8::MAX).await;
    leases.sort_unstable();
    assert_eq!(
        leases.iter().map(|lease| lease.lane).collect::<Vec<_>>(),
        (0..LANES).collect::<Vec<_>>()
    );
    assert!(leases.iter().all(|lease| lease.epoch > 0));
}

/// What one relay holds, nobody else gets, itself included.
pub async fn a_lane_has_one_owner<H: Harness>(h: &H) {
    let (one, other, third) = (RelayId::random(), RelayId::random(), RelayId::random());
    let first = take(h, one, 20).await;
    let second = take(h, other, 44).await;
    assert_eq!((first.len(), second.len()), (20, 44));
    let lanes: BTreeSet<u8> = first.iter().chain(&second).map(|lease| lease.lane).collect();
    assert_eq!(lanes.len(), usize::from(LANES));
    for relay in [one, other, third] {
        assert!(take(h, relay, LANES).await.is_empty());
    }
    assert!(take(h, one, 0).await.is_empty());
}

/// Relays that start together share without a quarrel.
pub async fn takers_at_the_same_time_never_share_a_lane<H: Harness>(h: &H) {
    let store = h.store();
    let mut takers: Vec<_> = (0..6).map(|_| Box::pin(store.take(RelayId::random(), 20))).collect();
    let mut taken = Vec::new();
    std::future::poll_fn(|cx| {
        takers.retain_mut(|taker| match taker.as_mut().poll(cx) {
            std::task::Poll::Ready(leases) => {
                taken.extend(leases.unwrap().into_iter().map(|taken| taken.lease));
                false
            }
            std::task::Poll::Pending => true,
        });
        if takers.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    let lanes: BTreeSet<u8> = taken.iter().map(|lease| lease.lane).collect();
    assert_eq!(lanes.len(), taken.len(), "a lane was given twice");
    assert!(taken.len() >= 20, "somebody got what it asked for");
}

/// Where a broker fences by group, a relay has all lanes of a group or none.
pub async fn groups_are_taken_whole<H: Harness>(h: &H) {
    let (one, other) = (RelayId::random(), RelayId::random());
    let groups = |taken: &[Taken]| taken.iter().map(|taken| taken.lease.lane / 8).collect::<BTreeSet<u8>>();
    let all: Vec<u8> = (0..8).collect();
    let first = h.store().take_groups(one, &all, 8, 3).await.unwrap();
    assert_eq!((first.len(), groups(&first).len()), (24, 3));
    let held = groups(&first);
    let free: Vec<u8> = all.iter().copied().filter(|group| !held.contains(group)).collect();
    assert!(h.store().take_groups(other, &Vec::from_iter(held), 8, 8).await.unwrap().is_empty());
    let second = h.store().take_groups(other, &free[..2], 8, 8).await.unwrap();
    assert_eq!(groups(&second), free[..2].iter().copied().collect());
    // One lane that somebody else has keeps its whole group out of reach.
    let single = h.store().take(one, 1).await.unwrap();
    let rest = h.store().take_groups(other, &all, 8, 8).await.unwrap();
    assert_eq!((rest.len(), groups(&rest).contains(&(single[0].lease.lane / 8))), (16, false));
    h.store().release(one, &[single[0].lease]).await.unwrap();
    let last = h.store().take_groups(other, &all, 8, 8).await.unwrap();
    assert_eq!(last.len(), 8);
    assert!(last.iter().all(|taken| taken.lease.epoch > 0 && taken.deaths == 0));
    assert!(h.store().take_groups(other, &[], 8, 8).await.unwrap().is_empty());
}

/// A graceful hand-back does not cost the next owner a lease length.
pub async fn a_released_lane_is_free_at_once<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let next = RelayId::random();
    h.store().release(owner.id, &owner.leases[10..12]).await.unwrap();
    let mut taken = take(h, next, LANES).await;
    taken.sort_unstable();
    let mut expected: Vec<_> = owner.leases[10..12]
        .iter()
        .map(|lease| LaneLease::new(lease.lane, lease.epoch + 1))
        .collect();
    expected.sort_unstable();
    assert_eq!(taken, expected);
}

/// A relay that is gone loses its lanes when its leases end, not earlier.
pub async fn a_lease_that_is_over_is_taken_with_a_higher_epoch<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let lease = i64::try_from(h.store().open(owner.id).await.unwrap().lease.as_secs()).unwrap();
    let next = RelayId::random();
    h.move_clock(lease - 5).await;
    assert!(take(h, next, LANES).await.is_empty());
    h.move_clock(6).await;
    let taken = take(h, next, LANES).await;
    assert_eq!(taken.len(), usize::from(LANES));
    for lease in taken {
        assert_eq!(lease.epoch, owner.lease(lease.lane).epoch + 1);
    }
    assert!(
        h.store()
            .renew(owner.id, &owner.leases, Doing::Sharing)
            .await
            .unwrap()
            .kept
            .is_empty()
    );
}

/// A renewal is a whole lease length from its own time, also for a lease that ran out while nobody looked.
pub async fn a_renewed_lease_lives_on<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let lease = i64::try_from(h.store().open(owner.id).await.unwrap().lease.as_secs()).unwrap();
    let next = RelayId::random();
    for passed in [lease - 5, lease - 5, lease + 5] {
        h.move_clock(passed).await;
        let mut kept = h.store().renew(owner.id, &owner.leases[..50], Doing::Sharing).await.unwrap().kept;
        kept.sort_unstable();
        let mut held = owner.leases[..50].to_vec();
        held.sort_unstable();
        assert_eq!(kept, held);
    }
    assert_eq!(take(h, next, LANES).await.len(), 14, "the lanes that were not renewed");
}

/// The old owner learns from its heartbeat what it has lost.
pub async fn a_lease_that_was_lost_is_not_renewed<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    h.store().release(owner.id, &owner.leases[..3]).await.unwrap();
    let next = RelayId::random();
    assert_eq!(take(h, next, 3).await.len(), 3);
    let kept = h.store().renew(owner.id, &owner.leases, Doing::Sharing).await.unwrap().kept;
    assert_eq!(kept.len(), 61);
    assert!(kept.iter().all(|lease| !owner.leases[..3].contains(lease)));
    let stale: Vec<_> = owner
        .leases
        .iter()
        .map(|lease| LaneLease::new(lease.lane, lease.epoch - 1))
        .collect();
    assert!(
        h.store().renew(owner.id, &stale, Doing::Sharing).await.unwrap().kept.is_empty(),
        "an epoch that is over"
    );
}

/// An old owner that wakes up cannot give away what is not its own.
pub async fn a_lease_that_was_lost_is_not_released<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    h.store().release(owner.id, &owner.leases).await.unwrap();
    let next = Owner::of_all_lanes(h).await;
    h.store().release(owner.id, &owner.leases).await.unwrap();
    h.store().release(next.id, &owner.leases).await.unwrap();
    h.store().release(owner.id, &next.leases).await.unwrap();
    assert!(take(h, RelayId::random(), LANES).await.is_empty());
    assert_eq!(
        h.store().renew(next.id, &next.leases, Doing::Sharing).await.unwrap().kept.len(),
        usize::from(LANES)
    );
}

/// Alive is who was heard of within a lease length.
pub async fn live_relays_are_counted_by_heartbeat<H: Harness>(h: &H) {
    let (one, other, third) = (RelayId::random(), RelayId::random(), RelayId::random());
    let lease = i64::try_from(h.store().open(one).await.unwrap().lease.as_secs()).unwrap();
    h.store().open(other).await.unwrap();
    assert_eq!(h.store().renew(one, &[], Doing::Sharing).await.unwrap().live_relays, 2);
    assert_eq!(
        h.store().renew(third, &[], Doing::Sharing).await.unwrap().live_relays,
        3,
        "a heartbeat registers too"
    );
    h.store().close(third).await.unwrap();
    assert_eq!(h.store().renew(one, &[], Doing::Sharing).await.unwrap().live_relays, 2);
    h.move_clock(lease - 5).await;
    assert_eq!(h.store().renew(one, &[], Doing::Sharing).await.unwrap().live_relays, 2);
    h.move_clock(6).await;
    assert_eq!(
        h.store().renew(one, &[], Doing::Sharing).await.unwrap().live_relays,
        1,
        "the other was not heard of any more"
    );
    assert_eq!(
        h.store().renew(other, &[], Doing::Sharing).await.unwrap().live_relays,
        2,
        "and is back"
    );
}

/// Whoever left lanes to the others for good is alive, and takes no part of what there is; what it holds stays its own.
pub async fn a_barred_relay_is_not_counted_by_the_others<H: Harness>(h: &H) {
    let (barred, other) = (RelayId::random(), RelayId::random());
    h.store().open(barred).await.unwrap();
    h.store().open(other).await.unwrap();
    let held = take(h, barred, 3).await;
    let counted = async |relay, held: &[LaneLease], doing| h.store().renew(relay, held, doing).await.unwrap();
    assert_eq!(counted(other, &[], Doing::Sharing).await.live_relays, 2);
    let answer = counted(barred, &held, Doing::Barred).await;
    assert_eq!(
        (answer.live_relays, answer.kept),
        (2, held.clone()),
        "it counts itself, and keeps its leases"
    );
    assert_eq!(counted(other, &[], Doing::Sharing).await.live_relays, 1);
    assert_eq!(
        take(h, other, LANES).await.len(),
        usize::from(LANES) - 3,
        "what is leased stays leased"
    );
    assert_eq!(counted(barred, &held, Doing::Sharing).await.live_relays, 2);
    assert_eq!(counted(other, &[], Doing::Sharing).await.live_relays, 2, "and it is counted again");
}

/// A lease that ends beyond one lease length from now was written by a clock that has been put back since.
pub async fn a_clock_stepped_back_frees_dead_owners_lanes<H: Harness>(h: &H) {
    let dead = Owner::of_all_lanes(h).await;
    h.move_clock(-3600).await;
    let next = RelayId::random();
    assert_eq!(
        h.store().renew(next, &[], Doing::Sharing).await.unwrap().live_relays,
        1,
        "a heartbeat in the future is nobody's"
    );
    let taken = take(h, next, LANES).await;
    assert_eq!(taken.len(), usize::from(LANES));
    assert!(taken.iter().all(|lease| lease.epoch > dead.lease(lease.lane).epoch));
}

/// A remainder of a negative number is negative, and a row in lane -3 would never be carried.
pub async fn a_negative_order_key_lands_in_a_leased_lane<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let mut candidates = (0..1000).map(|n| event(&n.to_string()));
    let record = candidates
        .find(|record| record.order_key() < 0 && record.order_key() % 64 != 0)
        .unwrap();
    let row = put_one(h, record.clone()).await;
    assert_eq!(row.order_key, record.order_key());
    assert_eq!(row.lane(), lane_of(record.order_key()));
    assert_eq!(
        owner.fail(h, &row, refused(10), OnDead::Continue).await,
        VerdictOutcome::Waits { attempts: 1 }
    );
}

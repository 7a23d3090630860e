//! What an event's own fault does to it, decided by the owner of its lane and nobody else.

use crate::outbox::{LaneLease, OnDead, Record, RowId, Status};
use crate::store::{DueCursor, Fault, RelayId, Retention, Store, Verdict, VerdictOutcome};
use crate::testing::conformance::store::Harness;
use crate::testing::conformance::store::support::{Owner, event, find, put, put_one, read_all, refused, status, take, unordered};

/// Refused, an ordered event stays in its place and is due after the delay.
pub async fn a_refused_event_waits_until_it_is_due<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    assert_eq!(
        owner.fail(h, &row, refused(10), OnDead::Continue).await,
        VerdictOutcome::Waits { attempts: 1 }
    );
    let failed = find(h, row.message_id).await.unwrap();
    assert_eq!((failed.status, failed.attempts), (Status::Failed, 1));
    let due = || async { h.store().read_due(&[(row.lane(), DueCursor::START)], 10).await.unwrap() };
    assert!(due().await.is_empty());
    h.move_clock(61).await;
    let due = due().await;
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].record.row(), due[0].record.status), (row.row(), Status::Failed));
    assert!(due[0].record.due_in.is_zero());
}

/// The statement that counts the attempt is the one that finds it was the last.
pub async fn attempts_and_death_are_decided_together<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(owner.fail(h, &row, refused(3), OnDead::Continue).await);
    }
    let waits = |attempts| VerdictOutcome::Waits { attempts };
    assert_eq!(outcomes, [waits(1), waits(2), VerdictOutcome::Dead, VerdictOutcome::Settled]);
    assert_eq!(status(h, row.row()).await, Some(Status::Dead));
}

/// 0 attempts is no limit.
pub async fn no_limit_of_attempts_means_for_ever<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    for attempts in 1..=20 {
        assert_eq!(
            owner.fail(h, &row, refused(0), OnDead::Hold).await,
            VerdictOutcome::Waits { attempts }
        );
    }
}

/// The answer of a verdict was lost with the connection, and the relay says it again: that is one refusal, not two.
pub async fn a_verdict_that_is_repeated_counts_once<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let (ordered, free) = (put_one(h, event("42")).await, put_one(h, unordered("43")).await);
    for row in [ordered, free] {
        let verdict = owner.verdict(&row, refused(2), OnDead::Continue);
        for _ in 0..3 {
            let outcomes = h.store().fail(owner.id, std::slice::from_ref(&verdict)).await.unwrap();
            assert_eq!(outcomes, [VerdictOutcome::Waits { attempts: 1 }]);
        }
        let mut second = verdict;
        second.attempts = 1;
        for expected in [VerdictOutcome::Dead, VerdictOutcome::Settled] {
            assert_eq!(h.store().fail(owner.id, std::slice::from_ref(&second)).await.unwrap(), [expected]);
        }
    }
    let row = put_one(h, event("44")).await;
    let begun = owner.verdict(&row, Fault::Begun { max_attempts: 1 }, OnDead::Continue);
    let mut excused = begun.clone();
    (excused.fault, excused.attempts) = (Fault::Excused, 1);
    for (verdict, attempts) in [(&begun, 1), (&begun, 1), (&excused, 0), (&excused, 0)] {
        let outcomes = h.store().fail(owner.id, std::slice::from_ref(verdict)).await.unwrap();
        assert_eq!(outcomes, [VerdictOutcome::Waits { attempts }], "{verdict:?}");
    }
}

/// Under `hold` the dead one stays where its aggregate sees it.
pub async fn a_dead_event_can_hold_its_aggregate<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    assert_eq!(owner.fail(h, &row, refused(1), OnDead::Hold).await, VerdictOutcome::Holds);
    let holding = find(h, row.message_id).await.expect("a holding row is read");
    assert_eq!((holding.status, holding.attempts), (Status::DeadHolding, 1));
    h.move_clock(3600).await;
    assert!(
        h.store().read_due(&[(row.lane(), DueCursor::START)], 10).await.unwrap().is_empty(),
        "it waits for an operator, not for a time"
    );
}

/// Without a place in the order there is nothing to hold: such a row waits, and dies, alone.
pub async fn an_unordered_event_waits_and_dies_by_itself<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, unordered("42")).await;
    assert_eq!(
        owner.fail(h, &row, refused(2), OnDead::Hold).await,
        VerdictOutcome::Waits { attempts: 1 }
    );
    assert_eq!(status(h, row.row()).await, Some(Status::Scheduled));
    assert!(find(h, row.message_id).await.is_none(), "not read in order any more");
    h.move_clock(61).await;
    let due = h.store().read_due(&[(row.lane(), DueCursor::START)], 10).await.unwrap();
    assert_eq!(
        (due[0].record.row(), due[0].record.attempts, due[0].record.ordered),
        (row.row(), 1, false)
    );
    assert_eq!(owner.fail(h, &row, refused(2), OnDead::Hold).await, VerdictOutcome::Dead);
    assert_eq!(status(h, row.row()).await, Some(Status::Dead));
}

/// What can never be delivered is not tried again, and costs no attempt.
pub async fn a_rejected_event_is_dead_at_once<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    assert_eq!(owner.fail(h, &row, Fault::Rejected, OnDead::Continue).await, VerdictOutcome::Dead);
    assert_eq!(status(h, row.row()).await, Some(Status::Dead));
    let held = put_one(h, event("42")).await;
    assert_eq!(owner.fail(h, &held, Fault::Rejected, OnDead::Hold).await, VerdictOutcome::Holds);
    assert_eq!(find(h, held.message_id).await.unwrap().attempts, 0);
}

async fn unchanged<H: Harness>(h: &H, row: &Record) {
    let now = find(h, row.message_id).await.expect("the row is still pending");
    assert_eq!(
        (now.status, now.attempts),
        (Status::Pending, 0),
        "a verdict that had no right changed the row"
    );
}

/// An owner that lost its lane, and even one that took it again, cannot speak under the old lease.
pub async fn a_verdict_under_an_old_epoch_changes_nothing<H: Harness>(h: &H) {
    let old = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    h.store().release(old.id, &old.leases).await.unwrap();
    for fault in [refused(1), Fault::Rejected] {
        assert_eq!(old.fail(h, &row, fault, OnDead::Continue).await, VerdictOutcome::LaneLost);
    }
    let again = take(h, old.id, 64).await;
    assert_eq!(again.len(), 64);
    for fault in [refused(1), Fault::Rejected] {
        assert_eq!(old.fail(h, &row, fault, OnDead::Continue).await, VerdictOutcome::LaneLost);
    }
    unchanged(h, &row).await;
}

/// The lease must be that of the row's own lane.
pub async fn a_verdict_under_another_lanes_lease_changes_nothing<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    let other = owner.lease((row.lane() + 1) % 64);
    let verdict = Verdict::new(row.row(), 0, other, Fault::Rejected, OnDead::Continue, "no");
    assert_eq!(h.store().fail(owner.id, &[verdict]).await.unwrap(), [VerdictOutcome::LaneLost]);
    unchanged(h, &row).await;
}

/// Who guesses the epoch is not the owner yet.
pub async fn a_verdict_under_another_relays_lease_changes_nothing<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    let verdict = owner.verdict(&row, Fault::Rejected, OnDead::Continue);
    assert_eq!(
        h.store().fail(RelayId::random(), &[verdict]).await.unwrap(),
        [VerdictOutcome::LaneLost]
    );
    unchanged(h, &row).await;
}

/// Done, dead and gone stay what they are; holding stays holding and says so.
pub async fn a_late_verdict_does_not_revive_what_is_settled<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    put(h, (0..4).map(|n| event(&n.to_string())).collect()).await;
    let rows = read_all(h).await;
    h.store().done(&[rows[0].row()], Retention::default()).await.unwrap();
    h.store().done(&[rows[1].row()], Retention::Delete).await.unwrap();
    owner.fail(h, &rows[2], Fault::Rejected, OnDead::Continue).await;
    owner.fail(h, &rows[3], Fault::Rejected, OnDead::Hold).await;
    let settled = VerdictOutcome::Settled;
    for fault in [refused(10), Fault::Rejected] {
        let verdicts: Vec<_> = rows.iter().map(|row| owner.verdict(row, fault, OnDead::Continue)).collect();
        let outcomes = h.store().fail(owner.id, &verdicts).await.unwrap();
        assert_eq!(outcomes, [settled, settled, settled, VerdictOutcome::Holds]);
    }
    let ids: Vec<RowId> = rows.iter().map(Record::row).collect();
    let statuses = h.store().look_up(&ids).await.unwrap();
    assert_eq!(statuses, [Some(Status::Done), None, Some(Status::Dead), Some(Status::DeadHolding)]);
}

/// After a restore an id may name another event; a verdict on the lost one must not hit it.
pub async fn a_verdict_matches_id_and_message_id<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    let row = put_one(h, event("42")).await;
    let mut verdict = owner.verdict(&row, Fault::Rejected, OnDead::Continue);
    verdict.row.message_id = event("42").message_id;
    assert_eq!(
        h.store().fail(owner.id, &[verdict]).await.unwrap(),
        [VerdictOutcome::Settled],
        "that event is gone"
    );
    unchanged(h, &row).await;
}

/// Many verdicts in one call, some of which match nothing.
pub async fn verdicts_answer_in_the_order_given<H: Harness>(h: &H) {
    let owner = Owner::of_all_lanes(h).await;
    put(h, (0..40).map(|n| event(&n.to_string())).collect()).await;
    let rows = read_all(h).await;
    h.store().done(&[rows[7].row()], Retention::default()).await.unwrap();
    let mut verdicts = Vec::new();
    let mut expected = Vec::new();
    for (n, row) in rows.iter().enumerate().rev() {
        let mut verdict = owner.verdict(row, if n % 3 == 0 { Fault::Rejected } else { refused(10) }, OnDead::Continue);
        if n % 5 == 1 {
            verdict.lease = LaneLease::new(verdict.lease.lane, verdict.lease.epoch + 1);
        }
        expected.push(match n {
            7 => VerdictOutcome::Settled,
            _ if n % 5 == 1 => VerdictOutcome::LaneLost,
            _ if n % 3 == 0 => VerdictOutcome::Dead,
            _ => VerdictOutcome::Waits { attempts: 1 },
        });
        verdicts.push(verdict);
    }
    assert_eq!(h.store().fail(owner.id, &verdicts).await.unwrap(), expected);
    assert!(h.store().fail(owner.id, &[]).await.unwrap().is_empty());
}

//! What every store must do, as tests that need nothing but the store.
//!
//! Implement [`Harness`] for your store and write one line, [`conformance_store!`](crate::conformance_store); each case becomes one test.
//! A case is a sentence. It gets an outbox of its own: no case cleans up after itself.

#![expect(
    clippy::missing_panics_doc,
    reason = "a case is a test: it panics when the store breaks its contract"
)]
#![expect(clippy::unwrap_used, reason = "a case is a test: it panics when the store breaks its contract")]

pub mod acks;
pub mod deaths;
pub mod due;
pub mod enqueue;
pub mod inbox;
pub mod lanes;
pub mod late;
pub mod operate;
pub mod order;
pub mod reading;
pub mod schemas;
mod support;
pub mod verdicts;

use std::future::Future;

use crate::event::TableName;
use crate::store::{InboxTransaction, Operate, SchemaTable, Store};

/// One fresh outbox, and how to write into it.
///
/// What cannot be done panics: there is nothing a case could do about it.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
/// use std::time::{Duration, UNIX_EPOCH};
///
/// use eventferry::TableName;
/// use eventferry::store::memory::{MemoryStore, MemoryTransaction};
/// use eventferry::testing::conformance::store::Harness;
///
/// struct Memory { store: MemoryStore, table: TableName, seconds: Arc<AtomicI64> }
///
/// impl Harness for Memory {
///     type Store = MemoryStore;
///     type Transaction = MemoryTransaction;
///     type Schemas = MemoryStore;
///     const CONCURRENT_WRITERS: bool = true;
///
///     fn store(&self) -> &MemoryStore { &self.store }
///     fn table(&self) -> &TableName { &self.table }
///     fn schemas(&self) -> &MemoryStore { &self.store }
///     async fn begin(&self) -> MemoryTransaction { self.store.begin() }
///     async fn commit(&self, tx: MemoryTransaction) { tx.commit() }
///     async fn rollback(&self, tx: MemoryTransaction) { tx.rollback() }
///     async fn move_clock(&self, seconds: i64) { self.seconds.fetch_add(seconds, Relaxed); }
/// }
///
/// async fn fresh_memory() -> Memory {
///     let seconds = Arc::new(AtomicI64::new(1_700_000_000));
///     let hand = Arc::clone(&seconds);
///     let store = MemoryStore::with_clock(move || UNIX_EPOCH + Duration::from_secs(hand.load(Relaxed).unsigned_abs()));
///     Memory { store, table: TableName::default(), seconds }
/// }
///
/// eventferry::conformance_store!(memory, fresh_memory().await);
/// # fn main() {}
/// ```
pub trait Harness: Send + Sync {
    /// The store under test.
    type Store: Store + Operate;
    /// Its open transaction, which also keeps the inbox.
    type Transaction: InboxTransaction + 'static;
    /// What the schemas beside the outbox are reached by: a pool.
    type Schemas: SchemaTable;

    /// Whether two transactions can both have written and not ended. Where a database lets only one write at a time, no row is ever late,
    /// and the cases about late rows say just that.
    const CONCURRENT_WRITERS: bool;

    /// The store; always the same one.
    fn store(&self) -> &Self::Store;

    /// The outbox's table.
    fn table(&self) -> &TableName;

    /// The schemas beside the outbox.
    fn schemas(&self) -> &Self::Schemas;

    /// Begins a transaction that waits for others rather than fail at once.
    fn begin(&self) -> impl Future<Output = Self::Transaction> + Send;

    /// Commits a transaction.
    fn commit(&self, tx: Self::Transaction) -> impl Future<Output = ()> + Send;

    /// Rolls a transaction back.
    fn rollback(&self, tx: Self::Transaction) -> impl Future<Output = ()> + Send;

    /// Moves the database's clock forward, or back if `seconds` is negative.
    ///
    /// Where the clock cannot be moved, move every stored time the other way: due times, leases, heartbeats, times of creation and delivery,
    /// and when consumers handled what they remember.
    fn move_clock(&self, seconds: i64) -> impl Future<Output = ()> + Send;

    /// Drops what the harness made; called at the end of every case that passed.
    fn close(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async {}
    }
}

/// Expands to a module with one `#[tokio::test]` for each case of the store conformance suite.
///
/// A case that takes longer than five minutes fails.
///
/// The expression makes a fresh [`Harness`](crate::testing::conformance::store::Harness); it may use `.await`, and `return` to skip the test.
/// The calling crate needs `tokio` with the features `macros` and `rt`.
#[macro_export]
macro_rules! conformance_store {
    ($name:ident, $harness:expr) => {
        $crate::conformance_store! { @cases $name, $harness;
            enqueue {
                an_event_is_there_once_its_transaction_commits
                a_rollback_leaves_nothing
                a_dropped_transaction_leaves_nothing
                receipts_come_in_the_order_given
                a_bulk_insert_numbers_rows_in_the_order_given
                an_empty_batch_writes_nothing
                a_message_id_twice_in_one_transaction_is_a_duplicate
                a_message_id_of_a_committed_row_is_a_duplicate
                a_message_id_twice_in_one_batch_is_a_duplicate
                a_duplicate_of_a_dead_row_says_so
                a_message_id_that_was_rolled_back_is_new
                what_is_written_is_what_is_read
                a_tombstone_is_not_an_empty_payload
                odd_texts_survive
                large_headers_survive
                a_nul_is_refused_and_the_transaction_goes_on
                a_large_payload_is_read_by_id
                a_table_that_is_not_there_is_named
            }
            order {
                ids_of_one_aggregate_follow_its_commits
                every_aggregate_of_a_batch_follows_its_commits
                a_message_id_of_an_open_transaction_waits_for_its_end
                other_aggregates_do_not_wait
                unordered_events_do_not_wait
                two_transactions_that_wait_for_each_other_do_not_hang
                a_dropped_enqueue_can_be_repeated_with_its_message_id
                a_writer_that_gives_up_waiting_blocks_nobody
            }
            late {
                rows_that_become_visible_late_are_returned_once
                a_lane_without_room_still_gets_its_late_rows
                a_full_late_part_says_so
                a_late_row_beyond_the_cursor_is_fresh_and_not_late
                a_late_rollback_leaves_nothing
                random_writers_lose_nothing_and_invert_nothing
            }
            reading {
                fresh_rows_come_by_lane_and_id_up_to_the_limit
                a_look_through_a_lane_says_where_its_aggregates_lie
                only_lanes_that_are_named_are_read
                settled_and_scheduled_rows_are_not_fresh
                failed_and_holding_rows_are_fresh
                a_cursor_without_its_snapshot_is_refused
                a_snapshot_names_its_source_and_grows
                aggregates_are_read_by_id_beyond_what_is_known
                ordered_and_unordered_rows_of_an_aggregate_are_read_apart
                rows_are_looked_up_in_the_order_given
            }
            lanes {
                there_are_exactly_sixty_four_lanes
                a_lane_has_one_owner
                takers_at_the_same_time_never_share_a_lane
                groups_are_taken_whole
                a_released_lane_is_free_at_once
                a_lease_that_is_over_is_taken_with_a_higher_epoch
                a_renewed_lease_lives_on
                a_lease_that_was_lost_is_not_renewed
                a_lease_that_was_lost_is_not_released
                live_relays_are_counted_by_heartbeat
                a_barred_relay_is_not_counted_by_the_others
                a_clock_stepped_back_frees_dead_owners_lanes
                a_negative_order_key_lands_in_a_leased_lane
            }
            deaths {
                a_lane_that_was_not_handed_back_counts_a_death
                an_owner_that_takes_its_own_lane_again_counts_no_death
                an_owner_that_was_heard_of_after_its_lease_has_not_died
                a_lane_that_was_handed_back_keeps_its_deaths
                a_clock_that_was_put_back_counts_no_death
                a_lane_is_forgiven_by_its_owner_only
                an_attempt_counted_before_the_send_is_the_last_one_but_never_for_ever
                an_attempt_is_taken_back
                a_refusal_in_a_counted_attempt_counts_once
            }
            verdicts {
                a_refused_event_waits_until_it_is_due
                attempts_and_death_are_decided_together
                no_limit_of_attempts_means_for_ever
                a_verdict_that_is_repeated_counts_once
                a_dead_event_can_hold_its_aggregate
                an_unordered_event_waits_and_dies_by_itself
                a_rejected_event_is_dead_at_once
                a_verdict_under_an_old_epoch_changes_nothing
                a_verdict_under_another_lanes_lease_changes_nothing
                a_verdict_under_another_relays_lease_changes_nothing
                a_late_verdict_does_not_revive_what_is_settled
                a_verdict_matches_id_and_message_id
                verdicts_answer_in_the_order_given
            }
            acks {
                an_ack_matches_id_and_message_id
                an_ack_needs_no_lease
                an_ack_of_a_dead_event_counts
                a_second_ack_changes_nothing
                an_ack_of_a_row_that_is_gone_is_no_error
                a_deleted_row_is_gone_and_its_id_stays_used
                kept_rows_are_purged_in_chunks_when_they_are_old
            }
            due {
                a_scheduled_event_waits_for_its_time
                due_rows_are_paged_by_time_and_id
                rows_that_are_not_due_stay_out
            }
            operate {
                every_move_is_what_the_table_of_moves_says
                dead_rows_are_listed_by_id_page_by_page
                a_list_is_filtered_by_topic_aggregate_and_status
                what_nobody_decides_about_is_not_listed
                a_payload_is_shown_only_if_it_is_asked_for
                a_dead_event_comes_back_without_its_place
                a_holding_event_comes_back_in_its_place
                a_released_event_stays_dead
                a_discarded_event_is_purged_like_a_delivered_one
                a_waiting_event_is_settled_by_its_owner_when_it_is_asked_for
                what_is_asked_for_is_settled_under_a_good_lease_only
                a_delivery_comes_before_the_asking
                an_event_that_was_brought_back_is_not_asked_for_any_more
                moves_answer_in_the_order_given
                rows_are_moved_by_filter_in_chunks
                a_move_leaves_who_and_when
            }
            inbox {
                a_message_is_first_once
                consumers_do_not_share_their_memory
                a_rollback_forgets
                a_consumer_name_with_a_nul_is_refused
                an_acceptance_at_the_same_time_waits_for_the_outcome
                a_watermark_moves_forward_only
                a_watermark_has_its_place
                a_rollback_moves_a_watermark_back
                a_watermark_that_is_moved_at_the_same_time_waits_for_the_outcome
                a_place_with_a_nul_is_refused
                what_was_handled_long_ago_is_forgotten_in_chunks
            }
            schemas {
                a_schema_that_was_written_is_found
                schemas_are_written_by_several_at_once
                a_schema_with_a_nul_is_refused
                schemas_of_a_table_that_is_not_there_are_an_error
            }
        }
    };
    (@cases $name:ident, $harness:expr; $($group:ident { $($case:ident)+ })+) => {
        mod $name {
            use super::*;
            $($(
                #[::tokio::test]
                async fn $case() {
                    let harness = $harness;
                    let case = $crate::testing::conformance::store::$group::$case(&harness);
                    $crate::testing::conformance::in_time(case).await;
                    $crate::testing::conformance::store::Harness::close(harness).await;
                }
            )+)+
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_in_the_macro() {
        let list = include_str!("mod.rs");
        let files = [
            include_str!("acks.rs"),
            include_str!("deaths.rs"),
            include_str!("due.rs"),
            include_str!("enqueue.rs"),
            include_str!("inbox.rs"),
            include_str!("lanes.rs"),
            include_str!("late.rs"),
            include_str!("operate.rs"),
            include_str!("order.rs"),
            include_str!("reading.rs"),
            include_str!("schemas.rs"),
            include_str!("verdicts.rs"),
        ];
        let mut cases = 0;
        for line in files.iter().flat_map(|file| file.lines()) {
            let Some(name) = line.strip_prefix("pub async fn ").and_then(|rest| rest.split('<').next()) else {
                continue;
            };
            cases += 1;
            assert!(list.lines().any(|listed| listed.trim() == name), "`{name}` is in no list");
        }
        assert!(cases >= 60, "{cases}");
    }
}

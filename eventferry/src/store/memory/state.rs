//! The table, its side tables and its transactions. Pure: no clock, no async; who must wait is told for whom.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::task::Waker;
use std::time::Duration;

use crate::event::MessageId;
use crate::mutant::{Mutant, mutant};
use crate::outbox::{LANES, NewRecord, Payload, Record, Status};
use crate::schema::{Fingerprint, Schema};
use crate::store::memory::inbox::Inbox;
use crate::store::{DEFER_ABOVE, Doing, LATE_LIMIT, Place, Receipt, RelayId, StoreError, StoreErrorKind};

/// The number of a transaction, drawn by its first write.
pub(super) type Tx = u64;

/// Everything a database would keep.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The outbox and its server.
    pub(super) source: String,
    /// How many late rows one read returns at most.
    pub(super) late_limit: usize,
    /// All rows, those of open transactions included.
    rows: BTreeMap<i64, Row>,
    ids: HashMap<MessageId, i64>,
    last_id: i64,
    next_tx: Tx,
    /// Transactions that have written and not ended.
    open: BTreeSet<Tx>,
    /// Which open transaction holds which aggregate.
    locks: HashMap<i64, Tx>,
    inbox: Inbox,
    pub(super) schemas: HashMap<Fingerprint, Schema>,
    /// Who waits for the end of whom.
    waiting: HashMap<Tx, (Tx, Waker)>,
    pub(super) lanes: Vec<Lane>,
    /// When each relay was last heard of.
    pub(super) relays: HashMap<RelayId, (i64, Doing)>,
}

/// One row with what a reader is not shown.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) record: Record,
    pub(super) tx: Tx,
    pub(super) available_at: i64,
    pub(super) processed_at: Option<i64>,
    pub(super) last_error: Option<String>,
}

/// Who holds a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    pub(super) owner: Option<RelayId>,
    pub(super) epoch: i64,
    pub(super) leased_until: i64,
    pub(super) deaths: u32,
}

/// What a write answers when another transaction is in its way: wait for its end, then try again.
#[derive(Debug)]
pub(super) enum Attempt<T> {
    Ready(T),
    Behind(Tx),
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Committed,
    RolledBack,
}

impl State {
    pub(super) fn new(source: String) -> Self {
        let free = Lane {
            owner: None,
            epoch: 0,
            leased_until: 0,
            deaths: 0,
        };
        Self {
            source,
            late_limit: LATE_LIMIT as usize,
            rows: BTreeMap::new(),
            ids: HashMap::new(),
            last_id: 0,
            next_tx: 1,
            open: BTreeSet::new(),
            locks: HashMap::new(),
            inbox: Inbox::default(),
            schemas: HashMap::new(),
            waiting: HashMap::new(),
            lanes: vec![free; usize::from(LANES)],
            relays: HashMap::new(),
        }
    }

    // ------------------------------------------------------------------------------------------------------- transactions

    /// Draws a transaction number.
    pub(super) fn begin(&mut self) -> Tx {
        let tx = self.next_tx;
        self.next_tx += 1;
        self.open.insert(tx);
        tx
    }

    /// Ends a transaction: its rows become visible or vanish, its locks are free. Answers who waited for it.
    pub(super) fn end(&mut self, tx: Tx, end: End) -> Vec<Waker> {
        if end == End::RolledBack {
            self.rows.retain(|_, row| row.tx != tx);
            let rows = &self.rows;
            self.ids.retain(|_, id| rows.contains_key(id));
        }
        self.inbox.end(tx, end);
        self.open.remove(&tx);
        self.locks.retain(|_, holder| *holder != tx);
        let waiters: Vec<Tx> = self
            .waiting
            .iter()
            .filter(|(_, (behind, _))| *behind == tx)
            .map(|(waiter, _)| *waiter)
            .collect();
        waiters
            .into_iter()
            .filter_map(|waiter| self.waiting.remove(&waiter))
            .map(|(_, waker)| waker)
            .collect()
    }

    /// Notes that `tx` waits for the end of `holder`, unless `holder` waits for `tx` already.
    pub(super) fn wait(&mut self, tx: Tx, holder: Tx, waker: Waker) -> Result<(), StoreError> {
        let mut next = Some(holder);
        while let Some(ahead) = next {
            if ahead == tx {
                return Err(StoreError::new(
                    StoreErrorKind::Contention,
                    "failed to enqueue: deadlock with another transaction; roll back and repeat the transaction",
                ));
            }
            next = self.waiting.get(&ahead).map(|(behind, _)| *behind);
        }
        self.waiting.insert(tx, (holder, waker));
        Ok(())
    }

    pub(super) fn stop_waiting(&mut self, tx: Tx) {
        self.waiting.remove(&tx);
    }

    /// Inserts records in the order given, once every aggregate's lock is held and no message id depends on an open transaction.
    pub(super) fn insert(&mut self, tx: Tx, records: &[NewRecord], now: i64) -> Attempt<Vec<Receipt>> {
        // All locks before any id, in one order for everybody, so that ids of an aggregate follow the order of commits.
        let keys: BTreeSet<i64> = records
            .iter()
            .filter(|r| r.ordered && r.deliver_at.is_none())
            .map(NewRecord::order_key)
            .collect();
        for key in keys {
            let holder = *self.locks.entry(key).or_insert(tx);
            if holder != tx && !mutant(Mutant::NoLock) {
                return Attempt::Behind(holder);
            }
        }
        for record in records {
            if let Some(holder) = self.undecided(record.message_id, tx) {
                return Attempt::Behind(holder);
            }
        }
        Attempt::Ready(records.iter().map(|record| self.insert_one(tx, record.clone(), now)).collect())
    }

    /// The other open transaction on whose end it depends whether a row of this message id is there.
    fn undecided(&self, message_id: MessageId, tx: Tx) -> Option<Tx> {
        let holder = self.rows.get(self.ids.get(&message_id)?)?.tx;
        (holder != tx && self.open.contains(&holder)).then_some(holder)
    }

    fn insert_one(&mut self, tx: Tx, record: NewRecord, now: i64) -> Receipt {
        let message_id = record.message_id;
        if let Some(row) = self.ids.get(&message_id).and_then(|id| self.rows.get(id)) {
            return Receipt::Duplicate {
                message_id,
                dead: matches!(row.record.status, Status::Dead | Status::DeadHolding),
            };
        }
        self.last_id += 1;
        let position = self.last_id;
        let available_at = record.deliver_at.map_or(now, crate::clock::micros);
        let row = Row {
            record: Record::new(position, record, crate::clock::from_micros(now)),
            tx,
            available_at,
            processed_at: None,
            last_error: None,
        };
        self.rows.insert(position, row);
        self.ids.insert(message_id, position);
        Receipt::Enqueued { message_id, position }
    }

    /// Remembers a handled message; false if it is remembered already.
    pub(super) fn remember(&mut self, tx: Tx, consumer: &str, message_id: MessageId, now: i64) -> Attempt<bool> {
        self.inbox.remember(&self.open, tx, consumer, message_id, now)
    }

    /// Moves a consumer's watermark; false if it stands there already, or beyond.
    pub(super) fn advance(&mut self, tx: Tx, place: &Place<'_>, now: i64) -> Attempt<bool> {
        self.inbox.advance(&self.open, tx, place, now)
    }

    /// Forgets what a consumer handled before a time; answers how much.
    pub(super) fn forget(&mut self, tx: Tx, consumer: &str, before: i64, limit: u32) -> Attempt<u64> {
        Attempt::Ready(self.inbox.forget(&self.open, tx, consumer, before, limit as usize))
    }

    // ------------------------------------------------------------------------------------------------------------ reading

    /// Transactions from this number on have not begun.
    pub(super) fn xmax(&self) -> Tx {
        self.next_tx
    }

    /// Transactions that have begun and not ended.
    pub(super) fn in_progress(&self) -> Vec<Tx> {
        self.open.iter().copied().collect()
    }

    /// Committed rows, by id.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().filter(|row| !self.open.contains(&row.tx))
    }

    pub(super) fn by_message_id(&self, message_id: MessageId) -> Option<&Row> {
        self.ids.get(&message_id).and_then(|id| self.committed(*id))
    }

    pub(super) fn committed(&self, id: i64) -> Option<&Row> {
        self.rows.get(&id).filter(|row| !self.open.contains(&row.tx))
    }

    // ----------------------------------------------------------------------------------------------------------- changing

    pub(super) fn committed_mut(&mut self, id: i64) -> Option<&mut Row> {
        let open = &self.open;
        self.rows.get_mut(&id).filter(|row| !open.contains(&row.tx))
    }

    pub(super) fn delete(&mut self, id: i64) {
        if let Some(row) = self.rows.remove(&id) {
            self.ids.remove(&row.record.message_id);
        }
    }
}

impl Row {
    /// The row as `rows()` shows it.
    pub(super) fn whole(&self, now: i64) -> Record {
        let mut record = self.record.clone();
        record.due_in = Duration::from_micros(u64::try_from(self.available_at.saturating_sub(now)).unwrap_or(0));
        record
    }

    /// The row as a relay reads it: a large payload stays behind.
    pub(super) fn read(&self, now: i64) -> Record {
        let mut record = self.whole(now);
        if record.payload.len() > DEFER_ABOVE {
            record.payload = Payload::Deferred(record.payload.len());
        }
        record
    }
}

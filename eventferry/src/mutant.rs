//! Rules broken on purpose, so that a test can show that it would notice.
//!
//! Private: the feature `_mutants` makes them selectable, for the length of one closure on one thread and in this crate's own tests only.
//! Without the feature the question is a constant; a build without debug assertions is refused.

#[cfg(all(feature = "_mutants", not(debug_assertions)))]
compile_error!("the feature `_mutants` breaks the rules of eventferry on purpose: it is for tests and never in a release");

/// A rule that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(feature = "relay", feature = "kafka")),
    expect(dead_code, reason = "each is asked about where its rule is kept")
)]
pub(crate) enum Mutant {
    /// An id is drawn before the aggregate's lock is held.
    NoLock,
    /// Rows are read by cursor, and what became visible late is left to the pass from the start.
    CursorAndSweep,
    /// A read names all lanes but one.
    LaneLeftOut,
    /// A verdict counts whoever owns the lane by now.
    VerdictWithoutLane,
    /// An ack matches the id alone.
    AckById,
    /// A verdict that matched no row is taken to have settled it.
    ZeroRowsSettled,
    /// Rows that could not be recorded, because somebody has them locked, are taken for recorded.
    LockedSettled,
    /// Rows of a shut aggregate are handed over.
    ParkedIgnored,
    /// A row that a shut queue drops does not lower its floor.
    FloorKept,
    /// Rows that were looked through are taken to be known, whoever they belong to.
    SkimForgets,
    /// A queue opens after a read of its own, whatever it dropped meanwhile.
    StaleReadOpens,
    /// The next event may take another route while some are in flight.
    RouteChanged,
    /// An event goes although nobody knows its schema.
    SchemaIgnored,
    /// The pipelined client goes on after a refused batch.
    NoGapless,
    /// A cold partition takes as many records as a warm one.
    NoWarmRule,
    /// A success without an offset counts as a delivery.
    OffsetIgnored,
}

/// Whether a rule is broken at this moment, on this thread.
#[cfg(not(feature = "_mutants"))]
pub(crate) const fn mutant(_: Mutant) -> bool {
    false
}

/// Whether a rule is broken at this moment, on this thread.
#[cfg(feature = "_mutants")]
pub(crate) fn mutant(which: Mutant) -> bool {
    CHOSEN.get() == Some(which)
}

#[cfg(feature = "_mutants")]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Breaks a rule on this thread while `run` runs.
#[cfg(all(test, feature = "_mutants"))]
pub(crate) fn broken<T>(which: Mutant, run: impl FnOnce() -> T) -> T {
    struct Mended;
    impl Drop for Mended {
        fn drop(&mut self) {
            CHOSEN.set(None);
        }
    }
    CHOSEN.set(Some(which));
    let _mended = Mended;
    run()
}

//! Bugs that tests seed, to see that their checks catch them: `tests/sim` runs once with each. The
//! wrong code stands at the place whose code asks `is`; what catches it is in tests/sim.
//!
//! Only a build with the feature `seeded-bugs` and with debug assertions can have one, and only a
//! thread that asks for it has it. In every other build, each release build among them, `is` is
//! the constant `false`, and nothing of this is left.

/// A bug that can be seeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The master lets effects leave before what they rest on is durable.
    EffectsBeforeDurable,
    /// A new master goes on under the epoch before it, so that its lease ids were used before.
    LeaseIdsReused,
    /// A lease is looked for by its counter alone.
    EpochIgnored,
    /// A session's term runs on the wall clock, which jumps.
    TermOnWallClock,
    /// A worker gives a slot back twice.
    SlotFreedTwice,
    /// A session that was silent past its term keeps the leases that it lost.
    FenceMissing,
    /// A snapshot forgets the keys of submissions.
    KeysForgotten,
    /// A failed try is not charged.
    RetryUncharged,
    /// A cancel is forgotten when the task's worker reports that it failed.
    CancelForgotten,
    /// A task whose lease ends is queued and not ready.
    ReturnedNotReady,
    /// A snapshot forgets what delayed tasks wait for.
    TimersForgotten,
    /// A queue counts one task too few of each longer run.
    CountOffByOne,
    /// A worker does not repeat its reports over a new connection.
    ReportsNotRepeated,
    /// A worker presents no lease whose end it has not heard acknowledged.
    EndsNotPresented,
    /// A worker lets attempts run on whose leases are stale.
    StaleRunsOn,
    /// A paused queue grants.
    PauseIgnored,
    /// Lower priorities go first.
    PrioritiesIgnored,
    /// A change of priority happens and is not journaled, so that a replay does not know it.
    EventNotJournaled,
    /// The master takes a worker's word for which reports are durable.
    ReportsTakenOnTrust,
}

/// Tells whether this thread has a bug.
#[cfg(not(all(feature = "seeded-bugs", debug_assertions)))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}

#[cfg(all(feature = "seeded-bugs", debug_assertions))]
pub(crate) use seeded::is;
#[cfg(all(feature = "seeded-bugs", debug_assertions))]
pub use seeded::{Seeded, seed};

#[cfg(all(feature = "seeded-bugs", debug_assertions))]
mod seeded {
    use std::cell::Cell;
    use std::marker::PhantomData;

    use super::Bug;

    thread_local! {
        static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    impl Bug {
        /// All of them.
        pub const ALL: [Self; 19] = [
            Self::EffectsBeforeDurable,
            Self::LeaseIdsReused,
            Self::EpochIgnored,
            Self::TermOnWallClock,
            Self::SlotFreedTwice,
            Self::FenceMissing,
            Self::KeysForgotten,
            Self::RetryUncharged,
            Self::CancelForgotten,
            Self::ReturnedNotReady,
            Self::TimersForgotten,
            Self::CountOffByOne,
            Self::ReportsNotRepeated,
            Self::EndsNotPresented,
            Self::StaleRunsOn,
            Self::PauseIgnored,
            Self::PrioritiesIgnored,
            Self::EventNotJournaled,
            Self::ReportsTakenOnTrust,
        ];
    }

    /// A thread has a bug as long as this lives.
    #[derive(Debug)]
    #[must_use]
    pub struct Seeded(PhantomData<*const ()>);

    /// Gives this thread a bug, instead of one it has.
    pub fn seed(bug: Bug) -> Seeded {
        BUG.set(Some(bug));
        Seeded(PhantomData)
    }

    impl Drop for Seeded {
        fn drop(&mut self) {
            BUG.set(None);
        }
    }

    pub(crate) fn is(bug: Bug) -> bool {
        BUG.get() == Some(bug)
    }
}

//! Trials: a cluster of one's own for `ganger bench` and `ganger chaos`, and what is read off it.
//! What is measured or broken is theirs.

#![cfg(feature = "screen")]

pub(super) mod probe;
pub(super) mod rig;

use clap::ValueEnum;

/// Where the journal of a trial is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TrialStore {
    /// In an SQLite file
    Sqlite,
    /// In memory
    Memory,
}

/// Returns the value below which `percent` of the values lie (nearest rank).
pub(super) fn percentile(values: &mut [u64], percent: usize) -> u64 {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut values: Vec<u64> = (1..=200).rev().collect();
        assert_eq!(percentile(&mut values, 50), 100);
        assert_eq!(percentile(&mut values, 99), 198);
        assert_eq!(percentile(&mut [7], 99), 7);
        assert_eq!(percentile(&mut [], 50), 0);
    }
}

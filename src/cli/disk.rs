//! What the disk below a folder is like: its filesystem and what a sync costs. Judges nothing.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::clock::Clock;

/// Syncs that are timed.
const SYNCS: usize = 101;
/// Time after which no further sync is timed, in microseconds.
const SYNC_US_MAX: u64 = 2_000_000;

/// Returns the name of the filesystem that holds `path`, as `/proc/self/mounts` says.
pub(crate) fn filesystem(path: &Path) -> Result<String> {
    let path = path.canonicalize().context("the temp home is gone")?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").context("no list of mounts")?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let over = fields.filter(|f| f.len() > 2 && path.starts_with(f[1]));
    let nearest = over.max_by_key(|f| f[1].len());
    Ok(nearest.map_or_else(|| "unknown".to_owned(), |f| f[2].to_owned()))
}

/// Returns the median time of appending 100 bytes and syncing them, in microseconds. A slow disk is
/// asked less often, for about two seconds.
pub(crate) fn sync_p50_us(home: &Path, clock: &Clock) -> Result<u64> {
    let path = home.join("sync-probe");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = clock.micros();
        file.write_all(&[7; 100])?;
        file.sync_data()?;
        times.push(clock.micros() - began);
        if times.iter().sum::<u64>() > SYNC_US_MAX {
            break;
        }
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

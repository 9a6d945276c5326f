//! What a benchmark must say of the machine: filesystem, cost of a sync, peak memory of processes.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::clock::Clock;

/// Syncs that are timed.
const SYNCS: usize = 101;

/// Returns the name of the filesystem that holds `path`, as `/proc/self/mounts` says.
pub(super) fn filesystem(path: &Path) -> Result<String> {
    let path = path.canonicalize().context("the temp home is gone")?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").context("no list of mounts")?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let over = fields.filter(|f| f.len() > 2 && path.starts_with(f[1]));
    let nearest = over.max_by_key(|f| f[1].len());
    Ok(nearest.map_or_else(|| "unknown".to_owned(), |f| f[2].to_owned()))
}

/// Returns the median time of appending 100 bytes and syncing them, in microseconds.
pub(super) fn sync_p50_us(home: &Path, clock: &Clock) -> Result<u64> {
    let path = home.join("sync-probe");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = clock.micros();
        file.write_all(&[7; 100])?;
        file.sync_data()?;
        times.push(clock.micros() - began);
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(super::percentile(&times, 50))
}

/// Returns the peak resident memory of a process in KiB (`VmHWM` of proc(5)); 0 when it is gone.
pub(super) fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

//! What a benchmark must say of its processes: their peak memory.

/// Returns the peak resident memory of a process in KiB (`VmHWM` of proc(5)); 0 when it is gone.
pub(super) fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

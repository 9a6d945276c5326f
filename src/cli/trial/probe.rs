//! What a trial must say of its processes and of the machine: memory, processor time, disk.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Returns the peak resident memory of a process in KiB (`VmHWM` of proc(5)); 0 when it is gone.
pub(in crate::cli) fn peak_kib(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

/// Returns the resident memory of a process in KiB (`VmRSS` of proc(5)); 0 when it is gone.
pub(in crate::cli) fn resident_kib(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

fn status(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Returns how many bytes the files below a folder take on the disk.
pub(in crate::cli) fn disk_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(facts) if facts.is_dir() => disk_bytes(&entry.path()),
        // Counted in blocks of 512 bytes, by stat(2).
        Ok(facts) => facts.blocks() * 512,
        Err(_) => 0,
    });
    bytes.sum()
}

/// Processor time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct CpuUs {
    /// Of the process itself.
    pub(in crate::cli) own: u64,
    /// Of the children that it has waited for.
    pub(in crate::cli) children: u64,
}

impl CpuUs {
    pub(in crate::cli) const fn all(self) -> u64 {
        self.own + self.children
    }

    pub(in crate::cli) const fn since(self, before: Self) -> Self {
        Self { own: self.own - before.own, children: self.children - before.children }
    }

    pub(in crate::cli) const fn and(self, other: Self) -> Self {
        Self { own: self.own + other.own, children: self.children + other.children }
    }
}

/// Returns the processor time of a process so far; none when it is gone.
pub(in crate::cli) fn cpu_us(pid: u32) -> CpuUs {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    cpu_of(&stat).unwrap_or_default()
}

fn cpu_of(stat: &str) -> Option<CpuUs> {
    // Hundredths of a second, for every program, whatever the kernel counts in.
    const TICK_US: u64 = 10_000;
    // The second field is the program's name in brackets and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest.split_ascii_whitespace().skip(11).map_while(|word| word.parse().ok());
    let mut next = || -> Option<u64> { ticks.next() };
    let own = next()? + next()?;
    let children = next()? + next()?;
    Some(CpuUs { own: own * TICK_US, children: children * TICK_US })
}

/// Returns the children of a process, of all its threads.
pub(in crate::cli) fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let parse = |list: String| -> Vec<u32> {
        list.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    lists.flat_map(parse).collect()
}

/// Says what machine this is: processors and memory.
pub(in crate::cli) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (processors, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kib = field(&memory, "MemTotal").split(' ').next().and_then(|word| word.parse().ok());
    let gib = kib.unwrap_or(0.0) / f64::from(1 << 20);
    format!("{cores} cores of {}, {gib:.0} GiB", field(&processors, "model name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 12 3 40 5 20 0 1 0 9";
        assert_eq!(cpu_of(stat), Some(CpuUs { own: 150_000, children: 450_000 }));
        assert_eq!(cpu_of(""), None);
        assert_eq!(cpu_us(0), CpuUs::default());
    }
}

//! Processes as `/proc` shows them: descent, kill by descent, the machine's load. Does not decide
//! who is killed; see launcher.rs and home.rs.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, wait, waitid, waitpid,
};

#[cfg(not(target_os = "linux"))]
compile_error!("ganger's worker needs Linux: it finds and kills what a task left through /proc");

/// Tells whether this process has any child, living or not yet reaped.
pub(super) fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, look), Err(Errno::CHILD))
}

/// Kills everything below this process and reaps it. Orphans come back to a child subreaper, so in
/// such a process nothing escapes by forking twice or by making a session of its own.
///
/// # Errors
/// When something is still there after about two seconds: a process that the kernel cannot end.
pub(super) fn sweep() -> Result<(), Survivors> {
    const ROUNDS_MAX: u32 = 2_000;
    for _ in 0..ROUNDS_MAX {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if !has_children() {
            return Ok(());
        }
        kill_below(getpid());
        pause(Duration::from_millis(1));
    }
    Err(Survivors { count: descendants(getpid()).len() })
}

/// Something could not be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} processes that the task left could not be killed; look for them with `ps`")]
pub(super) struct Survivors {
    count: usize,
}

/// Reaps orphans that have ended, but not `main`, whose status is wanted.
pub(super) fn reap_orphans(main: Pid) {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    for pid in children(getpid()).into_iter().filter(|pid| *pid != main) {
        if let Ok(Some(_)) = waitid(WaitId::Pid(pid), look) {
            reap(pid);
        }
    }
}

/// Tells whether a child whose end has come can be reaped without a wait. One that is traced is its
/// tracer's first, for as long as that likes.
pub(super) fn is_reapable(child: Pid) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(child), look), Ok(None))
}

/// Ends what of a task may trace another part of it, and waits a moment.
pub(super) fn end_tracers() {
    kill_below(getpid());
    pause(Duration::from_millis(10));
}

/// Reaps one child if it has ended.
pub(super) fn reap(child: Pid) {
    let _reaped = waitpid(Some(child), WaitOptions::NOHANG);
}

/// Sends KILL to every process below `root`, not to `root` itself.
pub(super) fn kill_below(root: Pid) {
    for pid in descendants(root) {
        let _may_be_gone = kill_process(pid, Signal::KILL);
    }
}

/// Returns every process below `root`, parents before their children.
pub(super) fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = children(root);
    let mut known: HashSet<Pid> = found.iter().copied().chain([root]).collect();
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        // Ids may be reused while this reads, so a cycle is possible; each process counts once.
        found.extend(children(pid).into_iter().filter(|child| known.insert(*child)));
    }
    found
}

/// Returns the children of all threads of `pid`; none when it is gone.
pub(super) fn children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let pids = text.split_ascii_whitespace().filter_map(|word| word.parse().ok());
        found.extend(pids.filter_map(Pid::from_raw));
    }
    found
}

/// Returns when `pid` started, in clock ticks since the machine's start; with the id it names one
/// process for good. Nothing when there is no such process or it has ended.
pub(super) fn start_time(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Waits without using the processor; the launcher has no runtime.
pub(super) fn pause(time: Duration) {
    let time = Timespec::try_from(time).expect("pauses are short");
    let _interrupted = rustix::event::poll(&mut [], Some(&time));
}

/// Reads the machine's processor time and memory, and remembers the last reading.
#[derive(Debug, Default)]
pub(super) struct LoadMeter {
    busy: u64,
    total: u64,
}

impl LoadMeter {
    /// Returns the use of processors since the last call and of memory, in thousandths.
    pub(super) fn read(&mut self) -> (u16, u16) {
        let cpu = fs::read_to_string("/proc/stat").ok().and_then(|text| cpu_ticks(&text));
        let permille = cpu.map_or(0, |(busy, total)| {
            let part = permille(busy.saturating_sub(self.busy), total.saturating_sub(self.total));
            (self.busy, self.total) = (busy, total);
            part
        });
        let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory_used(&text));
        (permille, memory.unwrap_or(0))
    }
}

/// Returns busy and all ticks of the first line of `/proc/stat`.
fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> =
        fields.split_ascii_whitespace().take(8).map_while(|f| f.parse().ok()).collect();
    let total: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((total - idle, total))
}

fn memory_used(meminfo: &str) -> Option<u16> {
    let (total, available) = (kib_of(meminfo, "MemTotal:")?, kib_of(meminfo, "MemAvailable:")?);
    Some(permille(total.saturating_sub(available), total))
}

/// Returns the machine's memory, in bytes.
pub(super) fn memory_total() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    kib_of(&text, "MemTotal:")?.checked_mul(1_024)
}

fn kib_of(meminfo: &str, field: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn permille(part: u64, whole: u64) -> u16 {
    let part = u128::from(part) * 1_000 / u128::from(whole.max(1));
    u16::try_from(part.min(1_000)).expect("at most 1000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(children(getpid()).contains(&pid));
        assert!(descendants(getpid()).contains(&pid));
        assert!(start_time(pid).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(start_time(pid), None);
        assert!(start_time(getpid()).unwrap() > 0);
    }

    #[test]
    fn load_is_read_from_the_kernels_text() {
        let stat = "cpu  10 0 10 70 10 0 0 0 5 5\ncpu0 1 2 3\n";
        assert_eq!(cpu_ticks(stat), Some((20, 100)));
        assert_eq!(cpu_ticks("nonsense"), None);
        let memory = "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    250 kB\n";
        assert_eq!(memory_used(memory), Some(750));
        assert_eq!(kib_of(memory, "MemTotal:"), Some(1_000));
        assert!(memory_total().unwrap() > 1 << 20);
        let (cpu, memory) = LoadMeter::default().read();
        assert!(cpu <= 1_000 && (1..=1_000).contains(&memory));
    }
}

//! What a worker lets one task take at most: `[caps]` in `worker.toml`, which no master can set.
//! Limits of time and of kept output are held by the launcher, limits of a process by the kernel
//! (entry.rs sets them), limits of all processes of a task by a group (group.rs).

use std::fmt::{self, Write as _};

use ganger_proto::place::Need;
use rustix::process::{Resource, Signal};
use serde::{Deserialize, Serialize};

/// The caps of a worker; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// How long a task may run, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Bytes that are kept of each stream of a task whose output is kept whole.
    pub output_bytes: Option<u64>,
    /// Memory of all processes of a task, in bytes; needs groups.
    pub memory_bytes: Option<u64>,
    /// Processes and threads of a task at once; needs groups.
    pub processes: Option<u64>,
    /// The share of the processors when they are short, 1 to 10,000, as systemd's `CPUWeight=`;
    /// needs groups.
    pub cpu_weight: Option<u64>,
    /// Bytes of any file that a process writes.
    pub file_bytes: Option<u64>,
    /// Files that a process has open at once.
    pub open_files: Option<u64>,
    /// Processor time of each process, in seconds.
    pub cpu_s: Option<u64>,
    /// Address space of each process, in bytes.
    pub address_space_bytes: Option<u64>,
    /// Processes and threads of the worker's user at once, of all its tasks and else.
    pub user_processes: Option<u64>,
}

/// The section, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CapsTable {
    timeout_s: Option<Amount>,
    output: Option<Amount>,
    memory: Option<Amount>,
    processes: Option<Amount>,
    cpu_weight: Option<Amount>,
    file: Option<Amount>,
    open_files: Option<Amount>,
    cpu_s: Option<Amount>,
    address_space: Option<Amount>,
    user_processes: Option<Amount>,
}

/// A number from 1, or a text with a unit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "toml::Value")]
struct Amount(u64);

/// A limit that the kernel holds for each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Limit {
    /// Bytes of a file.
    File,
    /// Open files.
    OpenFiles,
    /// Seconds of a processor.
    Cpu,
    /// Bytes of address space.
    AddressSpace,
    /// Processes of the user.
    UserProcesses,
}

/// Weights of the kernel.
const WEIGHT_MAX: u64 = 10_000;
/// A program needs some files to begin at all.
const OPEN_FILES_MIN: u64 = 16;

impl TryFrom<toml::Value> for Amount {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let amount = Need::parse(&format!("cap={text}")).ok().map(|need| Self(need.amount));
        let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
        amount.ok_or_else(|| {
            format!("`{shown}` is no amount; write a number from 1, or one with K, M, G or T")
        })
    }
}

impl CapsTable {
    /// Checks what the section says.
    pub(super) fn caps(self) -> Result<Caps, String> {
        let of = |amount: Option<Amount>| amount.map(|amount| amount.0);
        if of(self.cpu_weight).is_some_and(|weight| weight > WEIGHT_MAX) {
            return Err(format!("in `[caps]`: `cpu_weight` is over {WEIGHT_MAX}; use a lower one"));
        }
        if of(self.open_files).is_some_and(|files| files < OPEN_FILES_MIN) {
            return Err(format!(
                "in `[caps]`: `open_files` is under {OPEN_FILES_MIN}, with which no program starts; \
                 use a higher number"
            ));
        }
        Ok(Caps {
            timeout_ms: of(self.timeout_s).map(|s| s.saturating_mul(1_000)),
            output_bytes: of(self.output),
            memory_bytes: of(self.memory),
            processes: of(self.processes),
            cpu_weight: of(self.cpu_weight),
            file_bytes: of(self.file),
            open_files: of(self.open_files),
            cpu_s: of(self.cpu_s),
            address_space_bytes: of(self.address_space),
            user_processes: of(self.user_processes),
        })
    }
}

impl Caps {
    /// Returns the lower one of what is asked for and what is allowed; 0 means without a limit.
    pub(super) fn timeout_ms(&self, asked_ms: u64) -> u64 {
        let all = [Some(asked_ms).filter(|ms| *ms > 0), self.timeout_ms];
        all.into_iter().flatten().min().unwrap_or(0)
    }

    /// Returns what the kernel holds for each process.
    pub(super) fn limits(&self) -> Vec<(Limit, u64)> {
        let all = [
            (Limit::File, self.file_bytes),
            (Limit::OpenFiles, self.open_files),
            (Limit::Cpu, self.cpu_s),
            (Limit::AddressSpace, self.address_space_bytes),
            (Limit::UserProcesses, self.user_processes),
        ];
        all.into_iter().filter_map(|(limit, value)| Some((limit, value?))).collect()
    }

    /// Returns the kernel's controllers that its caps of a whole task need.
    pub(super) fn controllers(&self) -> Vec<&'static str> {
        let all =
            [("memory", self.memory_bytes), ("pids", self.processes), ("cpu", self.cpu_weight)];
        all.into_iter().filter_map(|(name, value)| value.map(|_| name)).collect()
    }

    /// Says why a signal, or the exit code by which a shell tells of one, ended a task, when it was
    /// a limit of the kernel.
    pub(super) fn why_ended(&self, signal: i32) -> Option<String> {
        let file = self.file_bytes.filter(|_| signal == Signal::XFSZ.as_raw());
        let cpu = self.cpu_s.filter(|_| signal == Signal::XCPU.as_raw());
        match (file, cpu) {
            (Some(bytes), _) => Some(format!(
                "it wrote a file up to this worker's limit of {} (`file` in the [caps] of its \
                 worker.toml); write several, or ask its owner for more",
                Bytes(bytes)
            )),
            (_, Some(s)) => Some(format!(
                "it used a processor for this worker's limit of {s}s (`cpu_s` in the [caps] of its \
                 worker.toml); cut it into smaller tasks, or ask its owner for more"
            )),
            (None, None) => None,
        }
    }

    /// Says why a task was ended for its time, when that was the worker's limit and not its own.
    pub(super) fn why_timed_out(&self, asked_ms: u64) -> Option<String> {
        let allowed_ms = self.timeout_ms?;
        (asked_ms == 0 || allowed_ms < asked_ms).then(|| {
            format!(
                "this worker lets no task run for longer than {}s (`timeout_s` in the [caps] of its \
                 worker.toml); cut it into smaller tasks, or ask its owner for more",
                allowed_ms / 1_000
            )
        })
    }

    /// Says what came of a task whose group met one of its limits; nothing when none did.
    pub(super) fn why_held(&self, killed: u64, refused: u64) -> Option<String> {
        let memory = self.memory_bytes.filter(|_| killed > 0);
        let processes = self.processes.filter(|_| refused > 0);
        match (memory, processes) {
            (Some(bytes), _) => Some(format!(
                "the kernel killed it for memory: all its processes may have {} (`memory` in the \
                 [caps] of the worker's worker.toml); use less, or ask its owner for more",
                Bytes(bytes)
            )),
            (_, Some(count)) => Some(format!(
                "it was refused another process: it may have {count} at once (`processes` in the \
                 [caps] of the worker's worker.toml); start fewer, or ask its owner for more"
            )),
            (None, None) => None,
        }
    }
}

impl Limit {
    /// Returns how the kernel calls it.
    pub(super) fn resource(self) -> Resource {
        match self {
            Self::File => Resource::Fsize,
            Self::OpenFiles => Resource::Nofile,
            Self::Cpu => Resource::Cpu,
            Self::AddressSpace => Resource::As,
            Self::UserProcesses => Resource::Nproc,
        }
    }
}

/// The end of a policy's line for people: nothing, or `, at most 3600s, 4G of memory`.
impl fmt::Display for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut say = |value: Option<u64>, show: &dyn Fn(u64) -> String| {
            if let Some(value) = value {
                let before = if text.is_empty() { ", at most " } else { ", " };
                // Writing to a text cannot fail.
                let _written = write!(text, "{before}{}", show(value));
            }
        };
        say(self.timeout_ms, &|ms| format!("{}s", ms / 1_000));
        say(self.output_bytes, &|bytes| format!("{} of output", Bytes(bytes)));
        say(self.memory_bytes, &|bytes| format!("{} of memory", Bytes(bytes)));
        say(self.processes, &|count| format!("{count} processes"));
        say(self.cpu_weight, &|weight| format!("weight {weight}"));
        say(self.file_bytes, &|bytes| format!("{} a file", Bytes(bytes)));
        say(self.open_files, &|count| format!("{count} open files"));
        say(self.cpu_s, &|s| format!("{s}s of a processor"));
        say(self.address_space_bytes, &|bytes| format!("{} of addresses", Bytes(bytes)));
        say(self.user_processes, &|count| format!("{count} processes of its user"));
        f.write_str(&text)
    }
}

/// A number of bytes as a person writes it: whole, with the largest unit.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 4] = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
        let whole = |shift: u32| self.0 >= 1 << shift && self.0.trailing_zeros() >= shift;
        match UNITS.iter().find(|(shift, _)| whole(*shift)) {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Caps, String> {
        let table: CapsTable = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        table.caps()
    }

    #[test]
    fn caps_are_numbers_or_amounts_with_a_unit() {
        let check = |text: &str, expected: &str| {
            let found = read(text).map_or_else(|why| why, |caps| caps.to_string());
            assert_eq!(found, expected, "{text}");
        };
        check("", "");
        check("timeout_s = 60", ", at most 60s");
        check(
            "timeout_s = 3600\noutput = \"64M\"\nmemory = \"4G\"\nprocesses = 256\ncpu_weight = 50\n\
             file = \"10G\"\nopen_files = 1024\ncpu_s = 7200\naddress_space = \"8G\"\n\
             user_processes = 4096",
            ", at most 3600s, 64M of output, 4G of memory, 256 processes, weight 50, 10G a file, \
             1024 open files, 7200s of a processor, 8G of addresses, 4096 processes of its user",
        );
        check("file = 1000", ", at most 1000 bytes a file");
        let no_amount = "`0` is no amount; write a number from 1, or one with K, M, G or T";
        check("memory = 0", no_amount);
        check("memory = \"4X\"", &no_amount.replace("`0`", "`4X`"));
        check("memory = -1", &no_amount.replace("`0`", "`-1`"));
        check("memory = 1.5", &no_amount.replace("`0`", "`1.5`"));
        check("memory = [1]", &no_amount.replace("`0`", "`[1]`"));
        check("cpu_weight = 10001", "in `[caps]`: `cpu_weight` is over 10000; use a lower one");
        check(
            "open_files = 3",
            "in `[caps]`: `open_files` is under 16, with which no program starts; use a higher \
             number",
        );
        assert!(read("memroy = 1").unwrap_err().contains("unknown field `memroy`"));
    }

    #[test]
    fn the_lower_limit_of_time_counts_and_is_said_when_it_is_the_workers() {
        let check = |cap_s: Option<u64>, asked_ms: u64, expected_ms: u64, whose: &str| {
            let caps = Caps { timeout_ms: cap_s.map(|s| s * 1_000), ..Caps::default() };
            assert_eq!(caps.timeout_ms(asked_ms), expected_ms);
            let said = if caps.why_timed_out(asked_ms).is_some() { "worker" } else { "task" };
            assert_eq!(said, whose);
        };
        check(None, 0, 0, "task");
        check(None, 5, 5, "task");
        check(Some(1), 0, 1_000, "worker");
        check(Some(1), 5, 5, "task");
        check(Some(1), 1_000, 1_000, "task");
        check(Some(1), 5_000, 1_000, "worker");
    }

    #[test]
    fn a_limit_that_was_met_is_said_with_its_setting() {
        let caps = read("memory = \"1G\"\nprocesses = 9\nfile = \"2K\"\ncpu_s = 5").unwrap();
        assert!(caps.why_ended(25).unwrap().contains("limit of 2K (`file` in the [caps]"));
        assert!(caps.why_ended(24).unwrap().contains("limit of 5s (`cpu_s` in the [caps]"));
        assert_eq!((caps.why_ended(9), Caps::default().why_ended(25)), (None, None));
        assert!(caps.why_held(1, 1).unwrap().contains("may have 1G (`memory` in"));
        assert!(caps.why_held(0, 2).unwrap().contains("may have 9 at once (`processes` in"));
        assert_eq!((caps.why_held(0, 0), Caps::default().why_held(1, 1)), (None, None));
        assert_eq!(caps.controllers(), ["memory", "pids"]);
        assert_eq!(caps.limits(), [(Limit::File, 2_048), (Limit::Cpu, 5)]);
    }
}

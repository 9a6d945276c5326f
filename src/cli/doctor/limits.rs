//! What the system allows this user: open files, processes, buffers, groups.

use std::path::Path;

use rustix::process::Resource;

use super::{Check, ok, warn};
use crate::worker::OwnGroup;

/// Fewer open files than this are too few for many workers.
const FILES_MIN: u64 = 1_024;
/// Fewer processes than this are too few for tasks that start some of their own.
const PROCESSES_MIN: u64 = 512;
/// The kernel's limit of a socket's receive buffer below which a busy master loses packets.
const RECEIVE_BYTES_MIN: u64 = 200_000;
/// The first kernel with `openat2`.
const KERNEL_MIN: (u32, u32) = (5, 6);
/// What needs groups.
const CAPS: &str = "the caps memory, processes and cpu_weight of a worker.toml do not";

/// Looks at all of them.
pub(super) fn checks() -> Vec<Check> {
    vec![files(), processes(), receive_buffer(), groups(), release()]
}

fn files() -> Check {
    match rustix::process::getrlimit(Resource::Nofile).current {
        Some(count) if count < FILES_MIN => warn(
            "open files",
            format!("{count} at once are few for many workers; raise them with `ulimit -n 4096`"),
        ),
        Some(count) => ok("open files", format!("{count} at once")),
        None => ok("open files", "without a limit"),
    }
}

/// The user's limit, and the one of the group that this process is in: the lower one counts.
fn processes() -> Check {
    let user = rustix::process::getrlimit(Resource::Nproc).current;
    let group = OwnGroup::find().and_then(|own| number_in(&own.folder.join("pids.max")));
    match [user, group].into_iter().flatten().min() {
        Some(count) if count < PROCESSES_MIN => warn(
            "processes",
            format!(
                "{count} at once are few for tasks that start some; raise them with `ulimit -u \
                 4096`, or TasksMax= where systemd started this"
            ),
        ),
        Some(count) => ok("processes", format!("{count} at once")),
        None => ok("processes", "without a limit"),
    }
}

fn receive_buffer() -> Check {
    const PATH: &str = "/proc/sys/net/core/rmem_max";
    match number_in(Path::new(PATH)) {
        Some(bytes) if bytes < RECEIVE_BYTES_MIN => warn(
            "UDP buffer",
            format!(
                "a socket receives at most {bytes} bytes; a busy master loses packets; run \
                 `sysctl -w net.core.rmem_max=2500000` as root"
            ),
        ),
        Some(bytes) => ok("UDP buffer", format!("up to {bytes} bytes a socket")),
        None => warn("UDP buffer", format!("{PATH} cannot be read; its limit is not known")),
    }
}

/// Where a worker can hold the memory, processes and processors of a whole task.
fn groups() -> Check {
    let Some(own) = OwnGroup::find() else {
        return ok("cgroup", format!("no version 2 here, so {CAPS} hold"));
    };
    let given = own.controllers();
    let lacks: Vec<&str> = ["memory", "pids", "cpu"]
        .into_iter()
        .filter(|name| given.iter().all(|given| given != name))
        .collect();
    let group = &own.folder;
    let memory = number_in(&group.join("memory.max"));
    let memory = memory.map_or_else(
        || "no limit of memory".to_owned(),
        |bytes| format!("{} MiB of memory for all in it", bytes >> 20),
    );
    let may = if !own.is_writable() {
        format!("not writable for this user, so {CAPS} hold; a unit with Delegate=yes makes it so")
    } else if lacks.is_empty() {
        "writable, so all caps of a worker.toml hold if the worker is alone in it".to_owned()
    } else {
        let names = lacks.join(", ");
        format!("writable, but without the controllers {names}: caps that need them do not hold")
    };
    let shown = group.display();
    ok("cgroup", format!("version 2, {may}; {memory}; MemoryMax= in a unit sets it ({shown})"))
}

fn number_in(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn release() -> Check {
    let own = env!("CARGO_PKG_VERSION");
    let system = rustix::system::uname();
    let kernel = system.release().to_string_lossy();
    let says = format!("ganger {own} on Linux {kernel}");
    match version(&kernel) {
        Some(found) if found < KERNEL_MIN => warn(
            "release",
            format!("{says}, which has no openat2: tasks of `submit --paths` do not run here"),
        ),
        Some(_) | None => ok("release", says),
    }
}

fn version(kernel: &str) -> Option<(u32, u32)> {
    let mut numbers = kernel.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart() {
        let check = |kernel: &str, expected| assert_eq!(version(kernel), expected, "{kernel}");
        check("6.18.44-fc-v669", Some((6, 18)));
        check("5.4.0-1-amd64", Some((5, 4)));
        check("odd", None);
        assert!(version("5.10.1") > Some(KERNEL_MIN) && version("4.19.2") < Some(KERNEL_MIN));
    }

    #[test]
    fn each_limit_has_a_line() {
        let what: Vec<&str> = checks().iter().map(|check| check.what).collect();
        assert_eq!(what, ["open files", "processes", "UDP buffer", "cgroup", "release"]);
    }
}

//! `ganger doctor`: looks at everything that ganger needs here, and says what to do about what is
//! wrong. Changes nothing but a probe file in the home.

mod limits;
mod master;
mod trust;
mod udp;

use std::path::Path;

use ganger_proto::time::HumanMicros;
use serde::Serialize;

use crate::clock::Clock;

use super::disk;
use super::error::{CliError, Result};
use super::out::Out;
use super::place::Place;
use super::text;

/// What the help of the command says at its end.
pub(crate) const AFTER: &str = "\
Each line is good (✓, `ok` in JSON), worth a word (!, `warn`) or must be mended (✗, `bad`); the
command ends with 1 when something must be. It asks the master over UDP before it says who it is, so
it tells a firewall from a refusal, and needs no invitation for that.

Examples:
  ganger doctor
  ganger doctor --master build1:7433      is the port of that machine open from here?
  ganger doctor --json | jq 'select(.finding == \"bad\")'";

/// A sync slower than this makes every acknowledgement slow.
const SYNC_US_MAX: u64 = 20_000;
/// Less room than this on the home's disk is worth a word, in bytes.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Finding {
    /// As it should be.
    Ok,
    /// Worth a word.
    Warn,
    /// Must be mended.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    finding: Finding,
    /// What was found and, unless it is good, what to do.
    says: String,
}

/// Looks at everything; ends with 1 when something must be mended.
pub(crate) async fn run(place: &Place) -> Result<()> {
    let clock = Clock::start();
    let mut checks = vec![home(&place.home)];
    checks.extend(disk_checks(&place.home, &clock));
    checks.extend(limits::checks());
    checks.extend(trust::checks(&place.home, clock.wall()));
    checks.extend(master::checks(place, &clock).await);
    let mut out = place.out();
    if out.is_json() {
        out.json(&checks)?;
    } else {
        print(&checks, &mut out)?;
    }
    out.flush()?;
    let bad = checks.iter().filter(|check| check.finding == Finding::Bad).count();
    match bad {
        0 => Ok(()),
        1 => Err(CliError::failed("one thing must be mended")),
        _ => Err(CliError::failed(format!("{bad} things must be mended"))),
    }
}

fn print(checks: &[Check], out: &mut Out) -> Result<()> {
    for check in checks {
        let sign = match check.finding {
            Finding::Ok => "✓",
            Finding::Warn => "!",
            Finding::Bad => "✗",
        };
        out.line(&format!("{sign} {:<16} {}", check.what, text::line(&check.says)))?;
    }
    Ok(())
}

fn ok(what: &'static str, says: impl Into<String>) -> Check {
    Check { what, finding: Finding::Ok, says: says.into() }
}

fn warn(what: &'static str, says: impl Into<String>) -> Check {
    Check { what, finding: Finding::Warn, says: says.into() }
}

fn bad(what: &'static str, says: impl Into<String>) -> Check {
    Check { what, finding: Finding::Bad, says: says.into() }
}

fn home(home: &Path) -> Check {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let shown = home.display();
    let Ok(metadata) = std::fs::metadata(home) else {
        return warn("home", format!("{shown} is not there; the first `ganger` makes it"));
    };
    if !metadata.is_dir() {
        return bad("home", format!("{shown} is no folder; name another with --home"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return bad("home", format!("{shown} belongs to another user; name your own with --home"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        return bad(
            "home",
            format!("others may write to {shown} (mode {mode:o}); run `chmod 700 {shown}`"),
        );
    }
    ok("home", format!("{shown}, mode {mode:o}"))
}

fn disk_checks(home: &Path, clock: &Clock) -> Vec<Check> {
    if !home.is_dir() {
        return Vec::new();
    }
    let mut checks = Vec::new();
    match rustix::fs::statvfs(home) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let shown = format!("{:.1} GiB free", free as f64 / (1_u64 << 30) as f64);
            checks.push(if free < FREE_BYTES_MIN {
                bad("disk", format!("{shown}; a full disk stops submissions; make room"))
            } else {
                ok("disk", shown)
            });
        }
        Err(error) => checks.push(bad("disk", format!("its size cannot be asked: {error}"))),
    }
    checks.push(match disk::sync_p50_us(home, clock) {
        Ok(us) if us > SYNC_US_MAX => warn(
            "disk sync",
            format!(
                "{} at the median; every acknowledgement waits for one; put the home on a local \
                 disk with --home",
                HumanMicros(us)
            ),
        ),
        Ok(us) => ok("disk sync", format!("{} at the median", HumanMicros(us))),
        Err(error) => bad("disk sync", format!("nothing can be written to the home: {error}")),
    });
    let filesystem = disk::filesystem(home).unwrap_or_else(|_| "unknown".to_owned());
    checks.push(filesystem_check(&filesystem));
    checks
}

fn filesystem_check(filesystem: &str) -> Check {
    match filesystem {
        "tmpfs" | "ramfs" => warn(
            "filesystem",
            format!("{filesystem} is memory; a restart of the machine loses all tasks"),
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "afs" | "ceph" | "lustre" | "glusterfs"
        | "fuse.sshfs" | "fuse.glusterfs" => warn(
            "filesystem",
            format!("{filesystem} is remote; the store wants a local disk, name one with --home"),
        ),
        _ => ok("filesystem", filesystem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_others_may_write_to_is_bad() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode: u32| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), permissions).unwrap();
            home(folder.path()).finding
        };
        assert_eq!(mode(0o700), Finding::Ok);
        assert_eq!(mode(0o777), Finding::Bad);
        assert_eq!(home(&folder.path().join("no")).finding, Finding::Warn);
    }

    #[test]
    fn filesystems_that_lose_or_share_are_told() {
        let check = |name: &str, finding: Finding| {
            assert_eq!(filesystem_check(name).finding, finding, "{name}");
        };
        check("ext4", Finding::Ok);
        check("nfs4", Finding::Warn);
        check("tmpfs", Finding::Warn);
    }
}

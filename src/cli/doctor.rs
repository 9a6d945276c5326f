//! `ganger doctor`: looks at everything that ganger needs here, and says what to do about what is
//! wrong. Changes nothing but a probe file in the home.

use std::path::Path;
use std::time::Duration;

use ganger_net::client::Caller;
use ganger_proto::time::HumanMicros;
use ganger_proto::{Reply, Request, WallMs};
use rustix::process::Resource;
use serde::Serialize;

use crate::clock::Clock;
use crate::config::MasterFile;

use super::disk;
use super::error::{CliError, Result};
use super::out::Out;
use super::place::Place;
use super::reach::{self, Found};
use super::text;

/// Clocks further apart than this are worth a word, in milliseconds: certificates have ends.
const SKEW_MS_MAX: u64 = 5_000;
/// A sync slower than this makes every acknowledgement slow.
const SYNC_US_MAX: u64 = 20_000;
/// Less room than this on the home's disk is worth a word, in bytes.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// Fewer open files than this are too few for many workers.
const FILES_MIN: u64 = 1_024;
/// The kernel's limit of a socket's receive buffer below which a busy master loses packets.
const RECEIVE_BYTES_MIN: u64 = 200_000;
/// How long a master may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A certificate that ends sooner is worth a word, in milliseconds.
const CERTIFICATE_MS_MIN: u64 = 7 * 86_400_000;

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Finding {
    Good,
    Odd,
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
    let mut checks = vec![home(&place.home), files(), receive_buffer()];
    checks.extend(disk_checks(&place.home, &clock));
    checks.extend(master(place, &clock).await);
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
            Finding::Good => "✓",
            Finding::Odd => "!",
            Finding::Bad => "✗",
        };
        out.line(&format!("{sign} {:<16} {}", check.what, text::line(&check.says)))?;
    }
    Ok(())
}

fn good(what: &'static str, says: impl Into<String>) -> Check {
    Check { what, finding: Finding::Good, says: says.into() }
}

fn odd(what: &'static str, says: impl Into<String>) -> Check {
    Check { what, finding: Finding::Odd, says: says.into() }
}

fn bad(what: &'static str, says: impl Into<String>) -> Check {
    Check { what, finding: Finding::Bad, says: says.into() }
}

fn home(home: &Path) -> Check {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let shown = home.display();
    let Ok(metadata) = std::fs::metadata(home) else {
        return odd("home", format!("{shown} is not there; the first `ganger` makes it"));
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
    good("home", format!("{shown}, mode {mode:o}"))
}

fn files() -> Check {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    match limit.current {
        Some(count) if count < FILES_MIN => odd(
            "open files",
            format!("{count} at once are few for many workers; raise them with `ulimit -n 4096`"),
        ),
        Some(count) => good("open files", format!("{count} at once")),
        None => good("open files", "without a limit"),
    }
}

fn receive_buffer() -> Check {
    const PATH: &str = "/proc/sys/net/core/rmem_max";
    let read = std::fs::read_to_string(PATH).ok().and_then(|text| text.trim().parse::<u64>().ok());
    match read {
        Some(bytes) if bytes < RECEIVE_BYTES_MIN => odd(
            "UDP buffer",
            format!(
                "a socket receives at most {bytes} bytes; a busy master loses packets; run \
                 `sysctl -w net.core.rmem_max=2500000` as root"
            ),
        ),
        Some(bytes) => good("UDP buffer", format!("up to {bytes} bytes a socket")),
        None => odd("UDP buffer", format!("{PATH} cannot be read; its limit is not known")),
    }
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
                good("disk", shown)
            });
        }
        Err(error) => checks.push(bad("disk", format!("its size cannot be asked: {error}"))),
    }
    checks.push(match disk::sync_p50_us(home, clock) {
        Ok(us) if us > SYNC_US_MAX => odd(
            "disk sync",
            format!(
                "{} at the median; every acknowledgement waits for one; put the home on a local \
                 disk with --home",
                HumanMicros(us)
            ),
        ),
        Ok(us) => good("disk sync", format!("{} at the median", HumanMicros(us))),
        Err(error) => bad("disk sync", format!("nothing can be written to the home: {error}")),
    });
    let filesystem = disk::filesystem(home).unwrap_or_else(|_| "unknown".to_owned());
    checks.push(match filesystem.as_str() {
        "tmpfs" | "ramfs" => odd(
            "filesystem",
            format!("{filesystem} is memory; a restart of the machine loses all tasks"),
        ),
        "nfs" | "nfs4" | "cifs" | "9p" | "fuse.sshfs" => odd(
            "filesystem",
            format!("{filesystem} is remote; the store wants a local disk, name one with --home"),
        ),
        _ => good("filesystem", filesystem),
    });
    checks
}

async fn master(place: &Place, clock: &Clock) -> Vec<Check> {
    let routes = match reach::find(place) {
        Ok(Found::Routes(routes)) => routes,
        Ok(Found::NotRunning) => {
            let stale = MasterFile::read(&place.home).is_some();
            let after =
                if stale { "; the last one ended without a goodbye or was stopped" } else { "" };
            return vec![odd(
                "master",
                format!("none runs for this home{after}; `ganger` starts one"),
            )];
        }
        Err(error) => return vec![bad("master", error.sentence)],
    };
    let ends = routes.iter().map(|route| route.identity.certificate_ends).max();
    let dialled = tokio::time::timeout(PATIENCE, reach::dial(&routes)).await;
    let (caller, route) = match dialled {
        Ok(Ok(reached)) => reached,
        Ok(Err(error)) => {
            let addresses = routes[0].addresses.join(", ");
            return vec![bad(
                "master",
                format!(
                    "{}; dialled {addresses}; is the UDP port open in every firewall between?",
                    error.sentence
                ),
            )];
        }
        Err(_) => {
            return vec![bad(
                "master",
                "no answer within 10 s; is the UDP port open in every firewall between?",
            )];
        }
    };
    let mut checks = reached(&caller, clock).await;
    checks.push(certificate(ends.unwrap_or(route.identity.certificate_ends), clock.wall()));
    caller.end().await;
    checks
}

async fn reached(caller: &Caller, clock: &Clock) -> Vec<Check> {
    let (welcome, session) = (caller.welcome(), caller.session());
    let rtt = HumanMicros(u64::try_from(session.rtt().as_micros()).unwrap_or(u64::MAX));
    let mut checks = vec![good(
        "master",
        format!(
            "{} {} at {}, over UDP in {rtt}, as {}",
            welcome.cluster,
            welcome.version,
            session.remote(),
            welcome.you
        ),
    )];
    let own = clock.wall();
    let skew = own.since(welcome.now).max(welcome.now.since(own));
    checks.push(if skew > SKEW_MS_MAX {
        let seconds = skew / 1_000;
        odd("clock", format!("{seconds} s apart from the master's; let both machines run NTP"))
    } else {
        good("clock", format!("within {skew} ms of the master's"))
    });
    if welcome.version != env!("CARGO_PKG_VERSION") {
        let ours = env!("CARGO_PKG_VERSION");
        checks.push(odd(
            "release",
            format!("this is {ours}, the master is {}; update the older one", welcome.version),
        ));
    }
    match caller.call(Request::Status).await {
        Ok(Reply::Status(status)) => {
            let up = status.workers.iter().filter(|worker| worker.slots > 0).count();
            checks.push(if up == 0 {
                odd("workers", "none is connected; `ganger invite` prints the line to join with")
            } else {
                good("workers", format!("{up} connected"))
            });
            if !status.master.trouble.is_empty() {
                checks.push(bad("store", status.master.trouble));
            }
        }
        Ok(_) => checks.push(bad("workers", "the master's answer does not fit the question")),
        Err(error) => checks.push(bad("workers", format!("the master did not answer: {error}"))),
    }
    checks
}

fn certificate(ends: WallMs, now: WallMs) -> Check {
    let left = ends.since(now);
    let days = left / 86_400_000;
    match left {
        0 => bad("certificate", "yours has ended; join again with a line from `ganger invite`"),
        1..CERTIFICATE_MS_MIN => odd(
            "certificate",
            format!("yours ends in {days} days; join again with a line from `ganger invite`"),
        ),
        _ => good("certificate", format!("yours ends in {days} days")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_judged_by_what_is_left() {
        let day = 86_400_000;
        let check = |left: u64, finding: Finding| {
            assert_eq!(certificate(WallMs(100 + left), WallMs(100)).finding, finding, "{left}");
        };
        check(0, Finding::Bad);
        check(day, Finding::Odd);
        check(30 * day, Finding::Good);
    }

    #[test]
    fn a_home_that_others_may_write_to_is_bad() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode: u32| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), permissions).unwrap();
            home(folder.path()).finding
        };
        assert_eq!(mode(0o700), Finding::Good);
        assert_eq!(mode(0o777), Finding::Bad);
        assert_eq!(home(&folder.path().join("no")).finding, Finding::Odd);
    }
}

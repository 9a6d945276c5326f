//! The identities in the home: whether others could read them, and how long they last.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ganger_net::pki::identity::{ClientIdentity, IdentityError};
use ganger_proto::{Role, WallMs};

use super::super::keyring::{admin_folder, joined_clients, joined_workers};
use super::{Check, Finding, bad, ok, warn};

/// A certificate that ends sooner is worth a word, in milliseconds.
const CERTIFICATE_MS_MIN: u64 = 7 * DAY_MS;
const DAY_MS: u64 = 86_400_000;
/// Files looked at in one folder.
const FILES_MAX: usize = 1_000;

/// Looks at all identities of a home, and at its authority.
pub(super) fn checks(home: &Path, now: WallMs) -> Vec<Check> {
    let authority = home.join("trust");
    let mut folders = joined_clients(home);
    folders.extend([admin_folder(home), home.join("local-worker")]);
    folders.extend(joined_workers(home));
    folders.retain(|folder| folder.join("identity.json").exists());
    let open = folders.iter().chain([&authority]).find_map(|folder| open_to_others(folder));
    let modes = match open {
        Some(says) => Some(bad("key files", says)),
        None if folders.is_empty() && !authority.exists() => None,
        None => Some(ok("key files", "readable by their owner alone")),
    };
    modes.into_iter().chain(folders.iter().map(|folder| identity(home, folder, now))).collect()
}

/// Says which file of a folder, or the folder itself, is not its owner's alone.
fn open_to_others(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder).ok()?;
    let files = entries.take(FILES_MAX).filter_map(|entry| Some(entry.ok()?.path()));
    let secret = |path: &PathBuf| {
        // What people write there themselves, as worker.toml, is no secret.
        path.extension().is_some_and(|end| end == "json" || end == "key" || end == "log")
    };
    [folder.to_owned()].into_iter().chain(files.filter(secret)).find_map(|path| {
        let facts = std::fs::symlink_metadata(&path).ok()?;
        let mode = facts.permissions().mode() & 0o7777;
        let shown = path.display();
        if facts.uid() != rustix::process::geteuid().as_raw() {
            return Some(format!("{shown} belongs to another user; run `chown $(id -u) {shown}`"));
        }
        let wanted = if facts.is_dir() { 700 } else { 600 };
        (mode & 0o077 != 0).then(|| {
            format!("others may read {shown} (mode {mode:04o}); run `chmod {wanted} {shown}`")
        })
    })
}

fn identity(home: &Path, folder: &Path, now: WallMs) -> Check {
    match ClientIdentity::load(folder) {
        Ok(identity) => {
            let whose = format!("{}@{} of {}", identity.role, identity.name, identity.cluster);
            let again = if folder == admin_folder(home) || folder == home.join("local-worker") {
                Again::ByMaster
            } else {
                Again::ByInvite(identity.role)
            };
            certificate(&whose, identity.certificate_ends, now, again)
        }
        Err(error @ IdentityError::Mode { .. }) => bad("certificate", error.to_string()),
        Err(error) => warn("certificate", error.to_string()),
    }
}

/// How a certificate is renewed.
#[derive(Clone, Copy)]
enum Again {
    /// The home's own master does it at its start.
    ByMaster,
    /// With a token for this role.
    ByInvite(Role),
}

fn certificate(whose: &str, ends: WallMs, now: WallMs, again: Again) -> Check {
    let left = ends.since(now);
    let days = left / DAY_MS;
    let how = match again {
        Again::ByMaster => "the home's master renews it when it starts".to_owned(),
        Again::ByInvite(role) => {
            format!("join again with a line from `ganger invite --role {role}`")
        }
    };
    let finding = match (left, again) {
        (0, Again::ByInvite(_)) => Finding::Bad,
        (0, Again::ByMaster) => Finding::Warn,
        (1..CERTIFICATE_MS_MIN, _) => Finding::Warn,
        _ => Finding::Ok,
    };
    let says = match left {
        0 => format!("that of {whose} has ended; {how}"),
        1..CERTIFICATE_MS_MIN => format!("that of {whose} ends in {days} days; {how}"),
        _ => format!("that of {whose} ends in {days} days"),
    };
    Check { what: "certificate", finding, says }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_judged_by_what_is_left() {
        let check = |left: u64, again: Again, finding: Finding| {
            let check = certificate("operator@a of b", WallMs(100 + left), WallMs(100), again);
            assert_eq!(check.finding, finding, "{left}: {}", check.says);
        };
        let invite = Again::ByInvite(Role::Worker);
        check(0, invite, Finding::Bad);
        check(0, Again::ByMaster, Finding::Warn);
        check(DAY_MS, invite, Finding::Warn);
        check(30 * DAY_MS, invite, Finding::Ok);
    }

    #[test]
    fn keys_that_others_may_read_are_bad() {
        let home = tempfile::tempdir().unwrap();
        assert!(checks(home.path(), WallMs(0)).is_empty(), "a fresh home has no keys");
        let trust = home.path().join("trust");
        std::fs::create_dir(&trust).unwrap();
        std::fs::write(trust.join("ca.key"), "secret").unwrap();
        let mode = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let check = |finding: Finding, part: &str| {
            let found = checks(home.path(), WallMs(0));
            assert_eq!(found[0].finding, finding, "{found:?}");
            assert!(found[0].says.contains(part), "{found:?}");
        };
        mode(&trust, 0o700);
        mode(&trust.join("ca.key"), 0o600);
        check(Finding::Ok, "their owner alone");
        mode(&trust.join("ca.key"), 0o640);
        check(Finding::Bad, "chmod 600");
        mode(&trust.join("ca.key"), 0o600);
        mode(&trust, 0o750);
        check(Finding::Bad, "chmod 700");
    }
}

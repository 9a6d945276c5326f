//! Places that refuse: wrong owners and modes, folders that nobody may write, files that vanish
//! under a master. What the bytes of a store must be is in damage.rs and sweep.rs.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use super::*;
use crate::store::Reading;

const NOBODY: u32 = 65_534;

/// A store with three batches, at rest.
fn written() -> Home {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=3);
    home
}

fn refused(home: &Home) -> String {
    let error = home.open().unwrap_err();
    assert!(matches!(error, OpenError::Unusable(_)), "{error}");
    let told = error.to_string();
    assert!(told.contains(&home.file().display().to_string()), "names the file: {told}");
    told
}

#[test]
fn a_store_that_everyone_may_write_is_refused() {
    let home = written();
    let mode = |mode| std::fs::set_permissions(home.file(), PermissionsExt::from_mode(mode));
    mode(0o606).unwrap();
    let told = refused(&home);
    assert!(
        told.contains("everyone may write it, mode 606") && told.contains("chmod 600"),
        "{told}"
    );
    mode(0o600).unwrap();
    assert_eq!(read_all(&mut home.open().unwrap().0, 0).unwrap(), 3);
}

#[test]
fn a_store_of_another_user_is_refused() {
    let home = written();
    if chown(home.file(), Some(NOBODY), None).is_err() {
        return println!("skipped: only root may give a file away");
    }
    let told = refused(&home);
    assert!(told.contains("belongs to user 65534") && told.contains("as that user"), "{told}");
    chown(home.file(), Some(rustix::process::geteuid().as_raw()), None).unwrap();
    assert_eq!(read_all(&mut home.open().unwrap().0, 0).unwrap(), 3);
}

const CLOSED_FOLDER: &str = "GANGER_TEST_STORE_CLOSED";

/// Runs only as the child of the tests below, where it may not write the store's folder.
#[test]
#[ignore = "needs the folder that the next tests make"]
fn child_that_may_not_write() {
    let Some(folder) = std::env::var_os(CLOSED_FOLDER) else { return };
    let file = Path::new(&folder).join("store.db");
    let before = names(Path::new(&folder));
    let error = open(&file).unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, OpenError::Unusable(_)) && told.contains("store.db"), "{told}");
    assert!(told.contains("right to") || told.contains("use a folder of user"), "{told}");
    // Who only reads may, and makes nothing beside it.
    let verdict = fsck(Path::new(&folder)).unwrap();
    assert!(verdict.is_sound() && verdict.last == 3, "{verdict}");
    let reading = Reading::open(Path::new(&folder)).unwrap().unwrap();
    assert_eq!(reading.walk(Seq(0)).unwrap().more().unwrap().len(), 3);
    assert_eq!(names(Path::new(&folder)), before);
    println!("refused and read");
}

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// Runs the child above and checks that it came to its end.
fn run(mut command: Command, folder: &Path) {
    let ran = command
        .arg(std::env::current_exe().unwrap())
        .args(["child_that_may_not_write", "--ignored", "--nocapture"])
        .env(CLOSED_FOLDER, folder)
        .output();
    let Ok(ran) = ran else { return println!("skipped: {command:?} is not here") };
    let (told, errors) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if !told.contains("begun") {
        return println!("skipped: this user may not make such a place: {errors}");
    }
    assert!(told.contains("refused and read"), "{told}\n{errors}");
}

#[test]
fn a_read_only_mount_is_refused_and_can_be_read() {
    // As a kill leaves it, with a WAL, and as a stop does, without one.
    for killed in [true, false] {
        let home = Home::new();
        let (mut log, term) = home.open().unwrap();
        append(&mut log, &term, 1..=3);
        let held = killed.then_some(log);
        let copy = damage::copy(&home);
        assert_eq!(copy.folder.path().join("store.db-wal").exists(), killed);
        drop(held);
        let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && echo begun \
                     && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", mount]).arg(copy.folder.path());
        run(command, copy.folder.path());
    }
}

#[test]
fn a_folder_that_another_user_may_only_read_is_refused_and_can_be_read() {
    let home = written();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(home.folder.path(), 0o755);
    for name in names(home.folder.path()) {
        mode(&home.folder.path().join(name), 0o644);
    }
    let mut command = Command::new("setpriv");
    let user = NOBODY.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
    command.args(["sh", "-c", "echo begun && exec \"$0\" \"$@\""]);
    run(command, home.folder.path());
}

#[test]
fn a_master_whose_files_vanish_stops_and_the_loss_is_told() {
    let cases: [(&str, &str); 2] = [("store.db", "store.db "), ("store.db-wal", "store.db-wal")];
    for (name, expected) in cases {
        for replaced in [false, true] {
            let home = Home::new();
            let (mut log, term) = home.open().unwrap();
            append(&mut log, &term, 1..=3);
            let path = home.folder.path().join(name);
            if replaced {
                let other = home.folder.path().join("other");
                std::fs::copy(&path, &other).unwrap();
                std::fs::rename(&other, &path).unwrap();
            } else {
                std::fs::remove_file(&path).unwrap();
            }
            for _ in 0..2 {
                let told = log.append(&term, Seq(4), WallMs(4), &[batch(4)]).unwrap_err();
                assert!(matches!(told, AppendError::Ambiguous(_)), "{name}: {told}");
                let told = told.to_string();
                assert!(
                    told.contains("was deleted or replaced") && told.contains(expected),
                    "{told}"
                );
            }
            drop(log);
            match home.open() {
                Ok((mut log, term)) => {
                    assert!(term.last >= Seq(3), "{name}: opened with less");
                    assert!(read_all(&mut log, 0).unwrap() >= 3);
                }
                Err(error) => assert!(matches!(error, OpenError::Damaged(_)), "{name}: {error}"),
            }
        }
    }
}

#[test]
fn small_files_that_vanish_cost_nothing() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=3);
    for name in ["store.seq", "store.lock"] {
        std::fs::remove_file(home.folder.path().join(name)).unwrap();
    }
    append(&mut log, &term, 4..=4);
    // Without the lock another may begin: then the first writes nothing more.
    let (mut other, theirs) = home.open().unwrap();
    assert_eq!(theirs.last, Seq(4));
    let told = log.append(&term, Seq(5), WallMs(5), &[batch(5)]).unwrap_err();
    assert!(matches!(told, AppendError::Fenced), "{told}");
    append(&mut other, &theirs, 5..=6);
    assert_eq!(read_all(&mut other, 0).unwrap(), 6);
}

#[test]
fn an_empty_database_beside_what_it_left_is_refused() {
    let check = |keep: &[&str], expected: &str| {
        let home = Home::new();
        let (mut log, term) = home.open().unwrap();
        append(&mut log, &term, 1..=3);
        let copy = Home::new();
        for name in keep {
            std::fs::copy(home.folder.path().join(name), copy.folder.path().join(name)).unwrap();
        }
        for empty in [false, true] {
            if empty {
                std::fs::write(copy.file(), b"").unwrap();
            }
            let told = copy.open().unwrap_err();
            assert!(matches!(told, OpenError::Damaged(_)), "{told}");
            assert!(told.to_string().contains(expected), "{told}");
        }
    };
    check(&["store.seq"], "batches 1 to 3 are missing");
    check(&["store.db-wal"], "empty or missing but has a WAL");
    check(&["store.seq", "store.db-wal"], "batches 1 to 3 are missing");
}

//! Paths are looked up in folders made for it.

use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use ganger_proto::Outcome;
use rustix::fs::{CWD, RenameFlags, mknodat, renameat_with};
use tempfile::TempDir;

use super::*;

/// A root `data` with `in/file`, beside it `out/file`.
fn place() -> (TempDir, PathBuf, Roots) {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    for folder in ["data/in", "out"] {
        fs::create_dir_all(top.join(folder)).unwrap();
        fs::write(top.join(folder).join("file"), "text").unwrap();
    }
    let roots = Roots::open(&[top.join("data")]);
    (dir, top, roots)
}

fn look(roots: &Roots, cwd: &Path, path: impl AsRef<Path>) -> Result<(), NotStarted> {
    let path = ByteBuf::from(path.as_ref().as_os_str().as_bytes());
    roots.check("mill", cwd, &PathCheck { path, wanted: Wanted::File }).map(drop)
}

/// Expects a refusal that lets other workers try, with these words.
fn refused(result: Result<(), NotStarted>, part: &str) {
    let NotStarted { outcome, message } = result.unwrap_err();
    assert_eq!(outcome, Outcome::Unfit, "{message}");
    assert!(message.contains(part), "{part} is not in: {message}");
}

#[test]
fn files_below_a_root_pass_by_every_way_that_stays_below() {
    let (_dir, top, roots) = place();
    symlink("in/file", top.join("data/link")).unwrap();
    symlink("in", top.join("data/folder")).unwrap();
    let odd = std::ffi::OsString::from_vec(b"a\xff\nb".to_vec());
    fs::write(top.join("data").join(&odd), "").unwrap();
    for path in ["data/in/file", "data/link", "data/folder/file", "data/in/../in/./file"] {
        assert_eq!(look(&roots, Path::new("/"), top.join(path)), Ok(()), "{path}");
    }
    assert_eq!(look(&roots, Path::new("/"), top.join("data").join(odd)), Ok(()));
    assert_eq!(look(&roots, &top.join("data/in"), "file"), Ok(()));
    assert_eq!(look(&roots, &top, "data//in/file"), Ok(()));
}

#[test]
fn what_leads_out_is_refused() {
    let (_dir, top, roots) = place();
    symlink("../out/file", top.join("data/up")).unwrap();
    symlink(top.join("out/file"), top.join("data/absolute")).unwrap();
    symlink(top.join("data/in/file"), top.join("data/absolute-within")).unwrap();
    symlink("../out", top.join("data/folder")).unwrap();
    symlink("round", top.join("data/round")).unwrap();
    let check = |path: &str, part: &str| refused(look(&roots, &top, path), part);
    check("data/../out/file", "leads out of the root");
    check("data/in/../../out/file", "leads out of the root");
    check("data/up", "leads out of the root");
    check("data/absolute", "leads out of the root");
    check("data/absolute-within", "name the file itself");
    check("data/folder/file", "leads out of the root");
    check("data/round", "not followed");
    check("out/file", "is not below a root of mill (");
    check("data-not/file", "is not below a root");
    check("/etc/passwd", "add its folder to `roots`");
    check("", "is empty");
}

#[test]
fn magic_links_are_not_followed() {
    let (_dir, top, _) = place();
    let proc = Roots::open(&[PathBuf::from("/proc"), PathBuf::from("/")]);
    let open = fs::File::open(top.join("out/file")).unwrap();
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
    assert!(fs::metadata(&link).unwrap().is_file(), "the link leads to a file");
    refused(look(&proc, Path::new("/"), &link), "not followed");
    refused(look(&proc, Path::new("/"), format!("/proc/self/root{}/out/file", top.display())), "");
}

#[test]
fn all_is_below_the_root_of_everything() {
    let (_dir, top, _) = place();
    symlink(top.join("out/file"), top.join("data/absolute")).unwrap();
    let all = Roots::open(&[PathBuf::from("/")]);
    for path in ["data/absolute", "out/file", "data/../out/file"] {
        assert_eq!(look(&all, &top, path), Ok(()), "{path}");
    }
    refused(look(&all, &top, "nothing"), "no file");
}

#[test]
fn what_is_no_file_is_refused_without_opening_it() {
    let (_dir, top, roots) = place();
    let data = top.join("data");
    mknodat(CWD, data.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = UnixListener::bind(data.join("socket")).unwrap();
    let check = |path: &str, part: &str| refused(look(&roots, &data, path), part);
    check("in", "is a directory on mill");
    check(".", "is a directory on mill");
    check("pipe", "is a pipe on mill");
    check("socket", "is a socket on mill");
    check("missing", "no file");
    check("in/file/x", "no file");
    let devices = Roots::open(&[PathBuf::from("/dev")]);
    refused(look(&devices, &data, "/dev/null"), "is a device on mill");
}

#[test]
fn a_worker_without_roots_says_what_to_write() {
    let (_dir, top, _) = place();
    let none = Roots::default();
    refused(look(&none, &top, "out/file"), "write `roots = [\"/data\"]`");
    // A root that comes later, as a disk that is mounted, is found then.
    let late = Roots::open(&[top.join("late")]);
    refused(look(&late, &top, "late/file"), "no file");
    fs::create_dir(top.join("late")).unwrap();
    fs::write(top.join("late/file"), "").unwrap();
    assert_eq!(look(&late, &top, "late/file"), Ok(()));
    // The inner root forbids what the outer one allows: either one is enough.
    symlink("../out/file", top.join("data/up")).unwrap();
    let both = Roots::open(&[top.clone(), top.join("data")]);
    assert_eq!(look(&both, &top, "data/up"), Ok(()));
}

#[test]
fn a_file_that_changed_fails_and_both_are_told() {
    let (_dir, top, roots) = place();
    let path = top.join("data/in/file");
    let found = fs::metadata(&path).unwrap();
    let mtime_ns = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
    let seen = Seen { size: 4, mtime_ns };
    let check = |seen: Option<Seen>| {
        let path = ByteBuf::from(path.as_os_str().as_bytes());
        roots.check("mill", &top, &PathCheck { path, wanted: Wanted::AsSeen(seen) }).map(drop)
    };
    assert_eq!(check(Some(seen)), Ok(()));
    for other in [Seen { size: 5, ..seen }, Seen { mtime_ns: -1, ..seen }] {
        let NotStarted { outcome, message } = check(Some(other)).unwrap_err();
        assert_eq!(outcome, Outcome::Failed { code: 1 });
        let before = format!("it had {} bytes of {}", other.size, moment(other.mtime_ns));
        let now = format!("it has 4 bytes of {}", moment(mtime_ns));
        assert!(message.contains(&before) && message.contains(&now), "{message}");
    }
    fs::write(&path, "other").unwrap();
    assert!(check(Some(seen)).unwrap_err().message.contains("it has 5 bytes"));
    assert!(check(None).unwrap_err().message.contains("`--paths=seen`"));
}

#[test]
fn moments_are_for_people() {
    assert_eq!(moment(1_500_000_000), "1970-01-01T00:00:01.500000000Z");
    assert_eq!(moment(-1), "-1 ns since 1970");
    assert_eq!(moment(i128::MAX), format!("{} ns since 1970", i128::MAX));
}

#[test]
fn what_the_system_says_is_a_sentence() {
    let place = Looked { worker: "mill", path: Path::new("/data/a\u{1b}[2J") };
    let check = |errno: Errno, part: &str| {
        let message = place.refused(errno).message;
        assert!(message.contains(part) && message.contains("mill"), "{message}");
        assert!(!message.contains('\u{1b}'), "{message}");
    };
    check(Errno::NOSYS, "no openat2 (Linux 5.6)");
    check(Errno::AGAIN, "renamed all the time");
    check(Errno::ACCESS, "may not look");
    check(Errno::IO, "look at its disk");
}

/// Ends the swapping, also when an assertion fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A folder below the root is swapped, again and again, for a link to a folder outside that has a
/// file of the same name. Whatever the moment, the file outside is never taken for one below.
#[test]
fn a_folder_that_is_swapped_for_a_link_never_lets_a_path_out() {
    const LOOKS: RangeInclusive<u32> = 3_000..=1_000_000;
    let (_dir, top, roots) = place();
    fs::write(top.join("out/file"), "from outside").unwrap();
    symlink(top.join("out"), top.join("data/link")).unwrap();
    let outside = Seen { size: 12, mtime_ns: 0 };
    let over = AtomicBool::new(false);
    let (mut looks, mut inside, mut refusals) = (0, 0, 0);
    std::thread::scope(|scope| {
        let _ends = Ends(&over);
        scope.spawn(|| {
            let (a, b) = (top.join("data/in"), top.join("data/link"));
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let paths = ["data/in/file", "data/in/../in/file"].map(|path| top.join(path));
        let paths = paths.map(|path| ByteBuf::from(path.as_os_str().as_bytes()));
        // Until both were met, so that the swaps did fall between.
        while looks < *LOOKS.start() || (looks < *LOOKS.end() && (inside == 0 || refusals == 0)) {
            looks += 1;
            let path = paths[usize::from(looks % 2 == 0)].clone();
            let check = PathCheck { path, wanted: Wanted::AsSeen(Some(outside)) };
            let message = roots.check("mill", &top, &check).unwrap_err().message;
            assert!(!message.contains("it has 12 bytes"), "a file outside was found: {message}");
            if message.contains("it has 4 bytes") { inside += 1 } else { refusals += 1 }
        }
    });
    assert!(inside > 0 && refusals > 0, "{inside} inside, {refusals} refused of {looks}");
}

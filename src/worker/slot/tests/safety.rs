//! What a worker's policy keeps children from: programs off the list, and more than the caps.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;
use crate::worker::Caps;
use crate::worker::group::tests::TestGroup;

/// Writes a script that says its folder and how it was called.
fn script(path: &Path, says: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\necho \"{says} $0 $*\"\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn only(list: &[&Path]) -> Policy {
    let list = list.iter().map(|path| path.to_path_buf()).collect();
    Policy { exec: ExecPolicy::AllowList(list), ..quick() }
}

fn said(end: &AttemptEnded) -> String {
    String::from_utf8_lossy(&end.ended.stdout).trim_end().to_owned()
}

#[tokio::test]
async fn a_listed_program_runs_as_it_is_listed_however_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    let (tool, shown) = (top.join("bin/tool"), top.join("bin/tool").display().to_string());
    script(&tool, "listed");
    symlink(top.join("bin"), top.join("link")).unwrap();
    fs::create_dir(top.join("own")).unwrap();
    fs::hard_link(&tool, top.join("own/tool")).unwrap();
    fs::hard_link(&tool, top.join("own/other")).unwrap();
    let mut slot = TestSlot::in_dir(dir.path(), only(&[&tool]));
    for name in
        [&shown, &format!("{}/link/tool", top.display()), &format!("{}/own/tool", top.display())]
    {
        let end = slot.run(&[name, "a b"], |_| {}).await;
        assert_eq!(said(&end), format!("listed {shown} a b"), "{name}: {}", end.ended.message);
    }
    let end = slot.run(&["../own/other"], |_| {}).await.ended;
    assert_eq!(end.outcome, Outcome::Unfit);
    assert!(end.message.contains("under another name; name it as it is listed"), "{}", end.message);
    for variable in ["PATH", "LD_PRELOAD", "PYTHONPATH", "BASH_ENV", "GIT_SSH_COMMAND"] {
        let set = |spec: &mut Spec| spec.env = vec![(variable.into(), "/x".into())];
        let end = slot.run(&[&shown], set).await.ended;
        assert_eq!(end.outcome, Outcome::Unfit, "{variable}");
        assert!(end.message.contains(&format!("`{variable}` could change")), "{}", end.message);
    }
    slot.close().await;
}

/// Ends the flipping, also when an assertion fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A link flips between a listed and an unlisted program of one name while tasks start: whatever
/// the moment, the unlisted one never runs.
#[tokio::test]
async fn a_link_that_flips_while_tasks_start_never_runs_what_is_not_listed() {
    const TASKS: u64 = 1_500;
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    let (tool, other) = (top.join("bin/tool"), top.join("other/tool"));
    script(&tool, "listed");
    script(&other, "unlisted");
    let (a, b) = (top.join("a/tool"), top.join("b/tool"));
    for (link, to) in [(&a, &tool), (&b, &other)] {
        fs::create_dir(link.parent().unwrap()).unwrap();
        symlink(to, link).unwrap();
    }
    let mut slot = TestSlot::in_dir(dir.path(), only(&[&tool]));
    let (over, name) = (Arc::new(AtomicBool::new(false)), a.display().to_string());
    let ends = Ends(&over);
    let flips = tokio::task::spawn_blocking({
        let over = Arc::clone(&over);
        move || {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
            }
        }
    });
    let (mut ran, mut refused) = (0, 0);
    for _ in 0..TASKS {
        let end = slot.run(&[&name], |_| {}).await;
        if end.ended.outcome == Outcome::Done {
            ran += 1;
        } else {
            assert_eq!(end.ended.outcome, Outcome::Unfit, "{}", end.ended.message);
            refused += 1;
        }
        let wanted = end.ended.stdout.is_empty() || end.ended.stdout.starts_with(b"listed ");
        assert!(wanted, "{}", said(&end));
    }
    drop(ends);
    flips.await.unwrap();
    assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused");
    slot.close().await;
}

fn capped(caps: Caps) -> (TempDir, TestSlot) {
    slot(Policy { caps, ..quick() })
}

#[tokio::test]
async fn limits_of_a_process_hold_from_its_first_moment_and_cannot_be_raised() {
    let caps = Caps { open_files: Some(64), file_bytes: Some(4_096), ..Caps::default() };
    let (dir, mut slot) = capped(caps);
    // Root may raise every limit.
    let is_root = rustix::process::geteuid().is_root();
    let raise = if is_root { "echo stays" } else { "ulimit -n 65 || echo stays" };
    let shows = format!("ulimit -n; ulimit -Hn; {raise}; ulimit -f; cat");
    let end = slot.run(&["sh", "-c", &shows], |_| {}).await;
    // This program's own lines come first: the entry of a test is a test.
    let text = said(&end);
    assert!(text.ends_with("64\n64\nstays\n8"), "{text} {:?}", end.ended);
    // Nothing else is different for the program.
    let end = slot.run(&["env"], |spec| spec.env = vec![("X".into(), "1 2".into())]).await;
    let text = said(&end);
    assert!(text.contains("\nX=1 2") && text.contains("GANGER_ATTEMPT=1\n"), "{text}");
    assert!(!text.contains("ENTRY") && !text.contains("CARGO"), "{text}");
    let end = slot.run(&["sh", "-c", "echo \"$0|$1\"; pwd", "a  b", "c\td"], |_| {}).await;
    assert!(said(&end).ends_with(&format!("a  b|c\td\n{}", slot.run_dir.display())));
    // The loader's variables take hold of the program, not of what limits it.
    let preload = |spec: &mut Spec| spec.env = vec![("LD_PRELOAD".into(), "/no/such.so".into())];
    let end = slot.run(&["sh", "-c", "ulimit -n"], preload).await;
    let errors = String::from_utf8_lossy(&end.ended.stderr).into_owned();
    assert_eq!((errors.matches("/no/such.so").count(), said(&end).ends_with("64")), (1, true));

    let path = dir.path().join("file");
    let script = format!("exec head -c 100000 /dev/zero >{}", path.display());
    let end = slot.run(&["sh", "-c", &script], |_| {}).await.ended;
    assert_eq!(
        (end.outcome, fs::metadata(&path).unwrap().len()),
        (Outcome::Signalled { signal: 25 }, 4_096)
    );
    assert!(
        end.message.contains("this worker's limit of 4K (`file` in the [caps]"),
        "{}",
        end.message
    );
    let script = format!("head -c 100000 /dev/zero >{}; exit", path.display());
    let end = slot.run(&["sh", "-c", &script], |_| {}).await.ended;
    assert_eq!(end.outcome, Outcome::Failed { code: 153 });
    assert!(end.message.contains("`file` in the [caps]"), "a shell tells of it: {}", end.message);
    slot.close().await;
}

#[tokio::test]
async fn a_program_that_cannot_start_in_its_limits_says_so() {
    let caps = Caps { open_files: Some(64), ..Caps::default() };
    let (dir, mut slot) = capped(caps);
    let path = dir.path().join("odd");
    fs::write(&path, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let end = slot.run(&[path.to_str().unwrap()], |_| {}).await.ended;
    // The program's own code is 126; this binary's frame for tests makes another of it.
    assert!(matches!(end.outcome, Outcome::Failed { .. }), "{:?}", end.outcome);
    let text = String::from_utf8_lossy(&end.stderr).into_owned();
    assert!(text.contains("cannot start ") && text.contains("odd: "), "{text}");
    slot.close().await;
}

#[tokio::test]
async fn limits_of_time_end_a_task_and_say_whose_they_are() {
    let caps = Caps { timeout_ms: Some(30), cpu_s: Some(1), ..Caps::default() };
    let (_dir, mut slot) = capped(caps);
    let end = slot.run(&["sleep", "300"], |_| {}).await.ended;
    assert_eq!(end.outcome, Outcome::TimedOut);
    assert!(end.message.contains("`timeout_s` in the [caps]"), "{}", end.message);
    let end = slot.run(&["sleep", "300"], |spec| spec.timeout_ms = 10).await.ended;
    assert_eq!((end.outcome, end.message.as_str()), (Outcome::TimedOut, ""), "its own limit");
    slot.close().await;
    let (_dir, mut slot) = capped(Caps { timeout_ms: None, ..caps });
    let end = slot.run(&["sh", "-c", "while :; do :; done"], |_| {}).await.ended;
    assert_eq!(end.outcome, Outcome::Signalled { signal: 24 });
    assert!(end.message.contains("limit of 1s (`cpu_s` in the [caps]"), "{}", end.message);
    slot.close().await;
}

#[tokio::test]
async fn what_is_kept_whole_is_cut_at_the_workers_limit() {
    let (_dir, mut slot) = capped(Caps { output_bytes: Some(1_000), ..Caps::default() });
    let whole = |spec: &mut Spec| spec.output_bytes_max = 1 << 20;
    let end = slot.run(&["head", "-c", "5000", "/dev/zero"], whole).await.ended;
    assert_eq!((end.outcome, end.stdout.len()), (Outcome::Failed { code: 125 }, 1_000));
    assert!(
        end.message.contains("the worker keeps no more (`output` in its [caps])"),
        "{}",
        end.message
    );
    slot.close().await;
}

#[tokio::test]
async fn a_child_is_in_a_group_of_its_own_and_goes_with_it() {
    let Some(group) = TestGroup::new("slot") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = group.folder().to_owned();
    let mut slot = TestSlot::grouped(dir.path(), quick(), folder.clone());
    let end = slot.run(&["cat", "/proc/self/cgroup"], |_| {}).await;
    let name = folder.file_name().unwrap().to_str().unwrap();
    assert!(said(&end).contains(&format!("/{name}/0-1")), "{}", said(&end));
    let folders = || fs::read_dir(&folder).unwrap().flatten().filter(|e| e.path().is_dir()).count();
    assert_eq!(folders(), 0, "the group is gone with its child");

    let mut fifo = BufReader::new(fifo(dir.path()));
    slot.start(2, &escaping(dir.path()), |_| {}).await;
    lines(&mut fifo, 2).await;
    assert_eq!(folders(), 1);
    let all = fs::read_to_string(folder.join("0-2/cgroup.procs")).unwrap();
    assert!(all.lines().count() >= 3, "{all}");
    slot.orders.send(SlotOrder::Kill(lease(2))).await.unwrap();
    let end = slot.ends.recv().await.unwrap().ended;
    assert_eq!(end.outcome, Outcome::Cancelled);
    assert_eq!(folders(), 0);
    for pid in all.lines() {
        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
        assert_eq!(process::start_time(pid), None);
    }
    slot.close().await;
}

#[tokio::test]
async fn a_task_that_stops_its_launcher_is_missed_and_costs_no_slot() {
    let dir = tempfile::tempdir().unwrap();
    let mut slot = TestSlot::impatient(dir.path(), quick(), Duration::from_millis(300));
    let deaf = ["sh", "-c", "kill -STOP $PPID; exec sleep 2"];
    let end = slot.run(&deaf, |spec| spec.timeout_ms = 100).await.ended;
    assert_eq!(end.outcome, Outcome::Failed { code: OWN_FAULT });
    assert!(end.message.contains("did not tell the end of the task in time"), "{}", end.message);
    slot.start(2, &deaf, |_| {}).await;
    let stat = || {
        // The launcher is another one, and remembered a moment after its order was given.
        let known = fs::read_to_string(slot.run_dir.join("launchers/0")).unwrap_or_default();
        let pid = known.split(' ').next().unwrap_or_default();
        fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default()
    };
    while !stat().contains(") T ") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slot.orders.send(SlotOrder::Stop(lease(2))).await.unwrap();
    let end = slot.ends.recv().await.unwrap().ended;
    assert!(end.message.contains("did not tell the end of the task in time"), "{}", end.message);
    assert_eq!(slot.run(&["true"], |_| {}).await.ended.outcome, Outcome::Done);
    slot.close().await;
}

/// Traces its parent, which ends meanwhile: nobody but the tracer can reap it then.
const TRACER: &str = "
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(0x59616d61, ctypes.c_ulong(2**64 - 1), 0, 0, 0)
read, write = os.pipe()
if os.fork() == 0:
    seized = libc.ptrace(0x4206, os.getppid(), 0, 0) == 0
    os.write(write, b'y' if seized else b'n')
    time.sleep(300)
os._exit(3 if os.read(read, 1) == b'y' else 4)
";

#[tokio::test]
async fn a_task_that_is_traced_by_its_own_child_ends_all_the_same() {
    let (_dir, mut slot) = slot(quick());
    let end = slot.run(&["python3", "-c", TRACER], |_| {}).await.ended;
    if end.outcome == Outcome::Unfit {
        println!("skipped: {}", end.message);
    } else if end.outcome == (Outcome::Failed { code: 4 }) {
        println!("skipped: this system lets nobody trace");
    } else {
        assert_eq!(end.outcome, Outcome::Failed { code: 3 }, "{}", end.message);
    }
    assert_eq!(slot.run(&["true"], |_| {}).await.ended.outcome, Outcome::Done);
    slot.close().await;
}

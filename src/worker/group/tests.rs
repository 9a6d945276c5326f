//! Groups of the kernel's where this user may make some, and else what is said without them. The
//! controllers of memory and processes are not everywhere, so any other one stands for them.

use std::process::{Child, Command};

use rustix::process::Pid;

use super::*;

#[test]
fn the_own_group_is_found_wherever_it_is_mounted() {
    let check = |mounts: &str, own: &str, expected: Option<&str>| {
        let found = OwnGroup::of(mounts, own).map(|group| group.folder);
        assert_eq!(found.as_deref(), expected.map(Path::new), "{mounts} {own}");
    };
    let pure = "25 20 0:22 / /proc rw - proc proc rw\n\
                29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    let own = "0::/user.slice/user-1000.slice/app.service\n";
    let folder = "/sys/fs/cgroup/user.slice/user-1000.slice/app.service";
    check(pure, own, Some(folder));
    check(pure, "0::/\n", Some("/sys/fs/cgroup/"));
    let mixed = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                 35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                 41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    check(mixed, "4:memory:/a\n0::/b\n", Some("/sys/fs/cgroup/unified/b"));
    // A part of the tree, as in a container.
    let part = "41 31 0:38 /b /mnt rw - cgroup2 cgroup2 rw\n";
    check(part, "0::/b/c\n", Some("/mnt/c"));
    check(part, "0::/other\n", None);
    check(mixed, "4:memory:/a\n", None);
    check("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", "0::/\n", None);
    check("nonsense\n41 - cgroup2\n", "0::/\n", None);
}

#[test]
fn without_groups_it_is_said_why_and_what_to_do() {
    let none = Groups::begin(None, "w", &["memory"]).unwrap_err().to_string();
    assert_eq!(none, "there are no groups of version 2 (cgroup2) here");
    let dir = tempfile::tempdir().unwrap();
    let own = || Some(OwnGroup { folder: dir.path().to_owned() });
    // A folder that is no group of the kernel's.
    let refused = Groups::begin(own(), "w", &["memory"]).unwrap_err().to_string();
    assert!(refused.contains("may make no groups in") && refused.contains("Delegate"), "{refused}");
    fs::write(dir.path().join(PROCS), "").unwrap();
    fs::write(dir.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
    let lacks = Groups::begin(own(), "w", &["memory", "pids"]).unwrap_err().to_string();
    assert!(lacks.contains("has no controller memory; start"), "{lacks}");
    assert!(!dir.path().join("ganger-w").exists());
}

#[test]
fn a_groups_limits_and_what_it_met_are_the_kernels_texts() {
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("memory.events");
    fs::write(&events, "low 0\nhigh 4\nmax 7\noom 1\noom_kill 3\n").unwrap();
    assert_eq!((number(&events, "oom_kill"), number(&events, "oom_group")), (3, 0));
    assert_eq!(number(&dir.path().join("none"), "oom_kill"), 0);
    assert_eq!(signed('+', &["memory", "pids"]), "+memory +pids");
    // A limit that the kernel has no file for is no limit, so the group is not made.
    let caps = Caps { processes: Some(3), ..Caps::default() };
    assert!(Group::make(dir.path(), "0-1", &caps).is_err());
    assert!(!dir.path().join("0-1").exists());
}

/// A group of the kernel's for one test, if this user may make one; this process is not in it.
pub(in crate::worker) struct TestGroup(OwnGroup);

impl TestGroup {
    pub(in crate::worker) fn new(test: &str) -> Option<Self> {
        let own = OwnGroup::find().filter(OwnGroup::is_writable);
        let Some(own) = own else {
            println!("this user may make no groups here, so nothing of the kernel's is tried");
            return None;
        };
        let folder = own.folder.join(format!("ganger-test-{test}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Some(Self(OwnGroup { folder }))
    }

    pub(in crate::worker) fn folder(&self) -> &Path {
        &self.0.folder
    }
}

impl Drop for TestGroup {
    fn drop(&mut self) {
        clear(&self.0.folder);
    }
}

/// Starts a shell in a group, with a child that has left its session.
fn start_in(group: &Path) -> Child {
    let script = "echo 0 >\"$0/cgroup.procs\"; (setsid sleep 300 &); sleep 300; true";
    let child = Command::new("sh").args(["-c", script]).arg(group).spawn().unwrap();
    wait_for(|| words(&group.join(PROCS)).len() >= 3);
    child
}

fn wait_for(mut is: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if is() {
            return;
        }
        process::pause(Duration::from_millis(1));
    }
    panic!("it did not come");
}

#[test]
fn a_group_is_killed_with_one_write_and_taken_away() {
    let Some(ground) = TestGroup::new("kill") else { return };
    let group = Group::make(ground.folder(), "0-1", &Caps::default()).unwrap();
    let folder = group.folder().to_owned();
    let mut child = start_in(&folder);
    let all = words(&folder.join(PROCS));
    assert!(!all.contains(&std::process::id().to_string()));
    group.kill();
    assert!(!child.wait().unwrap().success());
    assert_eq!(group.met(), Met::default());
    drop(group);
    assert!(!folder.exists());
    for pid in all {
        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
        wait_for(|| process::start_time(pid).is_none());
    }
}

#[test]
fn what_an_earlier_life_left_is_cleared_at_the_start() {
    let Some(ground) = TestGroup::new("clear") else { return };
    let own = || Some(OwnGroup { folder: ground.folder().to_owned() });
    let groups = Groups::begin(own(), "w", &[]).unwrap();
    let group = Group::make(groups.folder(), "0-1", &Caps::default()).unwrap();
    let mut left = start_in(group.folder());
    // A worker that was killed takes nothing away.
    std::mem::forget((groups, group));
    let groups = Groups::begin(own(), "w", &[]).unwrap();
    assert!(!left.wait().unwrap().success());
    assert_eq!(below(groups.folder()), Vec::<PathBuf>::new());
    drop(groups);
    assert_eq!(below(ground.folder()), Vec::<PathBuf>::new());
}

/// In a process of its own, for what other tests start meanwhile must not move along.
#[test]
fn the_worker_makes_room_for_controllers_and_comes_back() {
    let words = ["worker::group::tests::be_mover", "--exact", "--ignored", "--nocapture"];
    let said = Command::new(std::env::current_exe().unwrap()).args(words).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && out.contains("1 passed"), "{out}{err}");
}

#[test]
#[ignore = "not a test: the process that a test here moves from group to group"]
fn be_mover() {
    let Some(ground) = TestGroup::new("room") else { return };
    let before = OwnGroup::find().unwrap();
    let given = before.controllers();
    let known = ["hugetlb", "pids", "memory", "cpu", "io", "cpuset", "rdma", "misc"];
    let Some(needs) = known.into_iter().find(|name| given.iter().any(|given| given == name)) else {
        println!("the kernel gives no controllers here, so none are given on");
        return;
    };
    let gives = before.folder.join(SUBTREE);
    let gave = words(&gives).iter().any(|name| name == needs);
    if !gave && write(&gives, &signed('+', &[needs])).is_err() {
        println!("this group may give no controllers, so none are given on");
        return;
    }
    enter(ground.folder()).unwrap();
    let own = || Some(OwnGroup { folder: ground.folder().to_owned() });
    let groups = Groups::begin(own(), "w", &[needs]).unwrap();
    assert_eq!(OwnGroup::find().unwrap().folder, groups.folder().join(SELF));
    assert_eq!(words(&groups.folder().join(SUBTREE)), [needs]);
    let group = Group::make(groups.folder(), "0-1", &Caps::default()).unwrap();
    assert_eq!(words(&group.folder().join("cgroup.controllers")), [needs]);
    drop(group);
    drop(groups);
    assert_eq!(OwnGroup::find().unwrap().folder, ground.folder());
    assert_eq!(below(ground.folder()), Vec::<PathBuf>::new());
    // With somebody else in the group it gives no controllers.
    let mut other = start_in(ground.folder());
    let shared = Groups::begin(own(), "w", &[needs]).unwrap_err().to_string();
    assert!(shared.contains("other processes are in"), "{shared}");
    assert_eq!(OwnGroup::find().unwrap().folder, ground.folder());
    enter(&before.folder).unwrap();
    write(&ground.folder().join(KILL), "1").unwrap();
    other.wait().unwrap();
    if !gave {
        write(&gives, &signed('-', &[needs])).unwrap();
    }
}

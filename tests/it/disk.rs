//! A master whose disk fills while it runs, on a small disk of its own. Says so where the system
//! lets nobody mount one. What the store alone does is in its own tests.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use ganger_net::client::{CallError, Caller};
use ganger_proto::{Filter, Picture, Refusal, Request, TaskId, Watch};
use tokio::task::JoinSet;

use crate::peer::{admin, in_time, runtime};
use crate::rig::{Rig, run, wait_for};

const FOLDER: &str = "GANGER_TEST_SMALL_DISK";
/// Tasks that run while the disk is full.
const RUNNING: u64 = 4;
/// Tasks of the submission that meets the full disk: more than a journal may have in reserve.
const LATE: u64 = 500_000;

/// Questions that one connection asks meanwhile; that is more than are held for it.
const QUESTIONS: usize = 100;
/// That many are held.
const HELD: usize = 64;

#[derive(Clone, Copy, PartialEq)]
enum Store {
    Well,
    InTrouble,
}

/// Returns the first picture that says this of the store.
async fn picture(screen: &Caller, wanted: Store) -> Box<Picture> {
    loop {
        let picture = screen.next_picture().await.unwrap();
        let well = picture.master.trouble.is_empty();
        if wanted == if well { Store::Well } else { Store::InTrouble } {
            return picture;
        }
    }
}

/// Asks more than is held for one connection; returns what waits for its answer.
async fn ask_much(screen: &Caller) -> JoinSet<Result<(), CallError>> {
    let mut open = JoinSet::new();
    for _ in 0..QUESTIONS {
        let caller = screen.clone();
        open.spawn(async move {
            let list =
                Request::List { filter: Filter::default(), after: TaskId::new(0), rows: 100 };
            caller.call(list).await.map(|_| ())
        });
    }
    // Those for whom there is no room hear it at once; the others wait for the disk.
    for _ in 0..QUESTIONS - HELD {
        let told = open.join_next().await.unwrap().unwrap();
        assert!(matches!(told, Err(CallError::Refused(Refusal::Busy { .. }))), "{told:?}");
    }
    open
}

/// Takes all that is left of the disk.
fn fill(file: &Path) {
    let mut ballast = File::create(file).unwrap();
    let piece = [0; 4_096];
    while ballast.write_all(&piece).is_ok() {}
}

/// Runs only as the child of the test below, on a disk of 192 MiB.
#[test]
#[ignore = "needs the small disk that the next test makes"]
fn child_on_a_small_disk() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let home = tempfile::tempdir_in(&folder).unwrap();
    std::fs::write(home.path().join("ganger.toml"), "keep_log = \"all\"\n").unwrap();
    let ballast = Path::new(&folder).join("ballast");
    let rig = Rig::in_home(home, "4");
    rig.ok(&["submit", "--kind", "square", "--range", "1..1000", "--wait"]);
    let mut sleeps = vec!["submit", "--kind", "sleep", ":::"];
    sleeps.extend(["1500ms"; RUNNING as usize]);
    rig.ok(&sleeps);
    wait_for("the sleeps", || (rig.count("running") == RUNNING).then_some(()));
    let peers = runtime();
    let screen = peers.block_on(in_time(admin(&rig)));
    peers.block_on(in_time(screen.watch(Watch::default()))).unwrap();
    peers.block_on(in_time(picture(&screen, Store::Well)));
    fill(&ballast);
    let list: String = (1..=LATE).map(|n| format!("{n:040}\n")).collect();
    // It was sent and is not acknowledged: it waits, and must be answered when there is room.
    let mut late = rig.command(&["submit", "--kind", "square", "-a", "-"]);
    late.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut late = late.spawn().unwrap();
    let mut stdin = late.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(list.as_bytes()).ok());
    wait_for("the trouble", || rig.ok(&["status"]).contains("disk is full").then_some(()));
    let shown = peers.block_on(in_time(picture(&screen, Store::InTrouble)));
    assert!(shown.master.counts.done >= 1_000 && !shown.queues.is_empty(), "{shown:?}");
    let held = peers.block_on(in_time(ask_much(&screen)));
    let refused = rig.ganger(&["submit", "--kind", "square", "--range", "1..10"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("free space on it"), "{refused:?}");
    std::fs::remove_file(&ballast).unwrap();
    let late = late.wait_with_output().unwrap();
    writer.join().unwrap();
    let taken = u64::from(late.status.success()) * LATE;
    wait_for("the end of the trouble", || {
        (!rig.ok(&["status"]).contains("disk is full")).then_some(())
    });
    peers.block_on(in_time(picture(&screen, Store::Well)));
    let answers = peers.block_on(in_time(held.join_all()));
    assert!(answers.iter().all(Result::is_ok), "what was held is answered: {answers:?}");
    let again = rig.ok(&["submit", "--kind", "square", "--range", "1..10", "--wait"]);
    assert!(!again.is_empty());
    let all = 1_000 + RUNNING + taken + 10;
    wait_for("all that was acknowledged", || (rig.count("done") >= all).then_some(()));
    rig.ok(&["stop"]);
    wait_for("the master's end", || (!rig.home.path().join("master.json").exists()).then_some(()));
    let proven = rig.ganger(&["verify"]);
    assert!(proven.code == 0 && proven.out.contains(": proven"), "{proven:?}");
    println!("full, told so, and went on; the late submission was acknowledged: {}", taken > 0);
}

#[test]
fn a_master_whose_disk_fills_says_so_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=192m,mode=700 tmpfs \"$0\" && echo mounted && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", mount]).arg(folder.path());
    command.arg(std::env::current_exe().unwrap());
    command.args(["child_on_a_small_disk", "--ignored", "--nocapture"]).env(FOLDER, folder.path());
    if Command::new("unshare").arg("--version").output().is_err() {
        return println!("skipped: there is no `unshare` here");
    }
    let said = run(command, b"");
    if !said.out.contains("mounted") {
        return println!("skipped: this user may not mount a small disk: {}", said.err);
    }
    assert!(said.out.contains("full, told so, and went on"), "{said:?}");
}

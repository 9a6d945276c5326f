//! Networks that are bad, move and fall silent: a worker behind the library's own UDP proxy, and
//! its tasks, which go on and are not run twice.
//!
//! The long form, a black hole of a minute, is run by
//! `cargo test --test it -- --ignored network`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ganger::cli::chaos::proxy::{Counts, Proxy, Weather};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::peer::runtime;
use crate::rig::{Rig, Worker, processes_with, wait_for, wait_or_say};

/// The proxy's seed.
const SEED: u64 = 7;

/// A way to the master.
struct Road {
    proxy: Proxy,
    runtime: Runtime,
}

impl Road {
    fn to(rig: &Rig, weather: Weather) -> Self {
        let runtime = runtime();
        let master = rig.address().parse().unwrap();
        let proxy = runtime.block_on(async { Proxy::start(master, weather, SEED) }).unwrap();
        Self { proxy, runtime }
    }

    /// Joins a worker that reaches the master on this way only.
    fn join(&self, rig: &Rig, name: &str, slots: &str) -> Worker {
        let address = self.proxy.address().to_string();
        rig.join_worker_with(name, &["--slots", slots, "--master", &address])
    }

    fn change(&self, weather: Weather) {
        self.runtime.block_on(self.proxy.change(weather)).unwrap();
    }

    fn hold(&self) {
        self.runtime.block_on(self.proxy.hold()).unwrap();
    }

    fn release(&self) {
        self.runtime.block_on(self.proxy.release()).unwrap();
    }

    fn rebind(&self, from: IpAddr) {
        self.runtime.block_on(self.proxy.rebind(from)).unwrap();
    }

    fn counts(&self) -> Counts {
        self.runtime.block_on(self.proxy.counts()).unwrap()
    }
}

/// A task that says that it runs and goes on until it is let go.
pub struct Patient {
    dir: TempDir,
}

impl Patient {
    pub fn submit(rig: &Rig) -> Self {
        let dir = TempDir::new().unwrap();
        let place = dir.path().display();
        let line = format!(
            "echo run >> {place}/runs; while [ ! -e {place}/go ]; do sleep 0.05; done; echo over"
        );
        rig.ok(&["submit", "--shell", &line]);
        let patient = Self { dir };
        patient.has_run(1);
        patient
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn runs(&self) -> usize {
        std::fs::read_to_string(self.file("runs")).map_or(0, |text| text.lines().count())
    }

    fn has_run(&self, times: usize) {
        wait_for("the task", || (self.runs() == times).then_some(()));
    }

    pub fn let_go(&self) {
        std::fs::write(self.file("go"), "").unwrap();
    }

    /// Returns how many processes of it run.
    fn processes(&self) -> usize {
        processes_with(&self.file("go").display().to_string()).len()
    }
}

/// Returns what became of a worker, the newest first, and where it dials from.
pub fn past(rig: &Rig, name: &str) -> (String, String) {
    let json: serde_json::Value =
        serde_json::from_str(&rig.ok(&["workers", name, "--json"])).unwrap();
    let moments = json["moments"].as_array().unwrap().iter();
    let words: Vec<String> = moments.map(|moment| moment["what"].to_string()).collect();
    (words.join(" "), json["row"]["address"].as_str().unwrap().to_owned())
}

/// Waits until nothing was heard of a worker for so long.
pub fn silent_for(rig: &Rig, name: &str, ms: u64) {
    wait_for("the silence", || {
        let rows = rig.workers();
        let row = rows.iter().find(|row| row["name"] == name)?;
        (row["beat_ms"].as_u64()? >= ms).then_some(())
    });
}

#[test]
fn bad_weather_costs_no_task_and_runs_none_twice() {
    const TASKS: usize = 150;
    const SQUARES: u64 = 20_000;
    let rig = Rig::bare();
    let road = Road::to(&rig, Weather::BAD);
    let _far = road.join(&rig, "far", "4");
    let dir = TempDir::new().unwrap();
    let runs = dir.path().join("runs");
    let line = format!("echo $GANGER_TASK >> {}", runs.display());
    rig.ok(&["submit", "--shell", &line, "--repeat", &TASKS.to_string()]);
    rig.ok(&["submit", "--kind", "square", "--range", &format!("1..{SQUARES}")]);
    let all = TASKS as u64 + SQUARES;
    wait_or_say(
        || (rig.count("done") == all).then_some(()),
        || format!("{} of {all} are done, {:?}", rig.count("done"), road.counts()),
    );
    let text = std::fs::read_to_string(&runs).unwrap();
    let ids: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(ids.len(), TASKS, "some ran twice");
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), (1..=TASKS).collect());
    let results = rig.ok(&["results", "b2"]);
    for (line, n) in results.lines().zip(1_u64..) {
        assert_eq!(line, format!("{n} * {n} = {}", n * n));
    }
    assert_eq!(results.lines().count() as u64, SQUARES);
    let counts = road.counts();
    println!("{counts:?}");
    assert!(counts.lost > 10 && counts.repeated > 10 && counts.late > 10, "{counts:?}");
    let (past, _) = past(&rig, "far");
    assert_eq!(past, "\"Came\"", "its connection broke");
}

#[test]
fn a_worker_that_changes_networks_keeps_its_tasks_and_is_shown_to_have_moved() {
    let rig = Rig::bare();
    let road = Road::to(&rig, Weather::CLEAR);
    let _far = road.join(&rig, "far", "1");
    let patient = Patient::submit(&rig);
    let (_, before) = past(&rig, "far");
    // Another address, and then only another port, as behind a NAT that forgot.
    for (moves, from) in [(1, [127, 0, 0, 2]), (2, [127, 0, 0, 2])] {
        road.rebind(IpAddr::from(from));
        let here = wait_for("the move", || {
            let (past, here) = past(&rig, "far");
            (past.matches("Moved").count() == moves).then_some(here)
        });
        assert!(here.starts_with("127.0.0.2:") && here != before, "{before} then {here}");
    }
    assert_eq!(rig.count("running"), 1);
    patient.let_go();
    wait_for("the end", || (rig.count("done") == 1).then_some(()));
    assert_eq!(patient.runs(), 1);
    let (past, _) = past(&rig, "far");
    assert_eq!(past, "\"Moved\" \"Moved\" \"Came\"", "the session went on");
    assert!(rig.ok(&["workers", "far"]).contains("moved to another address"));
}

#[test]
fn a_pause_shorter_than_the_term_is_not_noticed() {
    let rig = Rig::bare();
    let road = Road::to(&rig, Weather::CLEAR);
    let _far = road.join(&rig, "far", "1");
    let patient = Patient::submit(&rig);
    road.hold();
    silent_for(&rig, "far", 6_000);
    road.release();
    patient.let_go();
    wait_for("the end", || (rig.count("done") == 1).then_some(()));
    assert_eq!(patient.runs(), 1);
    assert_eq!(past(&rig, "far").0, "\"Came\"");
}

#[test]
fn a_pause_beyond_the_term_gives_the_task_to_another_and_keeps_the_result_single() {
    let rig = Rig::bare();
    let road = Road::to(&rig, Weather::CLEAR);
    let _far = road.join(&rig, "far", "1");
    let patient = Patient::submit(&rig);
    road.hold();
    wait_for("the lost lease", || (rig.count("queued") == 1).then_some(()));
    let _near = rig.join_worker("near", "1");
    patient.has_run(2);
    silent_for(&rig, "far", 15_000);
    // What was held comes late and all at once: heartbeats, and nothing that counts.
    road.release();
    wait_for("the end of the first attempt", || {
        let (past, _) = past(&rig, "far");
        (past.contains("Lost") && patient.processes() == 1).then_some(())
    });
    patient.let_go();
    wait_for("the end", || (rig.count("done") == 1).then_some(()));
    assert_eq!(rig.ok(&["results"]), "over\n");
    let shown = rig.ok(&["show", "1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let done = json["attempts"].as_array().unwrap().iter();
    assert_eq!(done.filter(|a| a["ended"]["outcome"] == "Done").count(), 1, "{shown}");
    assert!(!past(&rig, "far").0.contains("Away"), "its connection outlived the pause");
    rig.ok(&["submit", "--kind", "square", "--range", "1..100", "--wait"]);
}

#[test]
#[ignore = "the long form: a black hole takes more than a minute"]
fn a_black_hole_of_a_minute_is_survived() {
    let rig = Rig::bare();
    let road = Road::to(&rig, Weather::BAD);
    let _far = road.join(&rig, "far", "1");
    let patient = Patient::submit(&rig);
    road.change(Weather::CUT);
    let began = tokio::time::Instant::now();
    wait_for("the lost lease", || (rig.count("queued") == 1).then_some(()));
    let _near = rig.join_worker("near", "1");
    patient.has_run(2);
    let over = began + Duration::from_secs(60);
    road.runtime.block_on(async { tokio::time::sleep_until(over).await });
    road.change(Weather::BAD);
    wait_for("the worker", || {
        let rows = rig.workers();
        let far = rows.iter().find(|row| row["name"] == "far")?;
        (far["state"] == "up").then_some(())
    });
    wait_for("the end of the first attempt", || (patient.processes() == 1).then_some(()));
    patient.let_go();
    wait_for("the end", || (rig.count("done") == 1).then_some(()));
    assert_eq!(rig.ok(&["results"]), "over\n");
    // The worker that was away takes tasks as before.
    rig.ok(&["drain", "near"]);
    rig.ok(&["submit", "--kind", "square", "--range", "1..1000", "--wait"]);
}

//! `ganger bench`: rows come to their end with few tasks, their JSON is read back, and the README's
//! table is what the kept figures give.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::rig::{GANGER, Said, run};

fn bench(args: &[&str]) -> Said {
    let mut command = Command::new(GANGER);
    command.arg("bench").args(args).env_remove("GANGER_MASTER");
    run(command, b"")
}

/// Runs rows and returns their reports.
fn reports(args: &[&str]) -> Vec<Value> {
    let said = bench(&[args, &["--json"]].concat());
    assert_eq!(said.code, 0, "{args:?}: {said:?}");
    let mut document: Value = serde_json::from_str(&said.out).unwrap();
    document["reports"].as_array_mut().unwrap().drain(..).collect()
}

fn figure(report: &Value, what: &str) -> f64 {
    let figures = report["figures"].as_array().unwrap();
    let found = figures.iter().find(|figure| figure["what"].as_str().unwrap().contains(what));
    found.unwrap_or_else(|| panic!("no {what} in {report}"))["value"].as_f64().unwrap()
}

#[test]
fn rows_come_to_their_end_and_check_what_they_were_answered() {
    let few = ["--tasks", "500", "--runs", "1"];
    let rows = reports(&[&["squares", "latency", "exec", "handler"], &few[..]].concat());
    assert!(figure(&rows[0], "listed one by one") > 0.0);
    let conditions = rows[0]["conditions"].to_string();
    assert!(conditions.contains("1000 values read back from a restarted master"), "{conditions}");
    assert!(figure(&rows[1], "p99") >= figure(&rows[1], "p50"));
    assert!(figure(&rows[2], "a process per task") > 0.0);
    let loops = rows[2]["figures"][0]["beside"][0]["what"].as_str().unwrap();
    assert!(loops.contains("bare tokio loop"), "{loops}");
    assert_eq!(rows.len(), 4);
}

#[test]
fn growth_and_restarts_come_to_their_end_too() {
    let rows = reports(&["growth", "--axis", "labels", "--tasks", "2000", "--runs", "1"]);
    let points = rows[0]["series"][0]["points"].as_array().unwrap();
    assert_eq!(points.last().unwrap()["labels"], 1_000.0);
    let rows = reports(
        &[
            ["growth", "--axis", "workers", "--workers", "10"].as_slice(),
            &["--tasks", "2000", "--runs", "1"],
        ]
        .concat(),
    );
    let points = rows[0]["series"][0]["points"].as_array().unwrap();
    assert_eq!((points.len(), &points[1]["workers"]), (2, &Value::from(10.0)));
    let rows = reports(&["restart", "reconnect", "--tasks", "2000", "--runs", "1"]);
    assert!(figure(&rows[0], "serving again after kill -9") < 60.0);
    assert!(figure(&rows[1], "longest") < 60.0);
}

#[test]
fn what_cannot_be_measured_is_said_in_a_sentence() {
    let refused = bench(&["--tasks", "0"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let refused = bench(&["--dir", "/nowhere", "latency"]);
    assert!(refused.code == 1 && refused.err.contains("/nowhere"), "{refused:?}");
    let refused = bench(&["--from", "Cargo.toml"]);
    assert!(refused.code == 1 && refused.err.contains("is not what --json writes"), "{refused:?}");
}

#[test]
fn the_table_of_the_readme_is_made_of_the_kept_figures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = root.join("assets/bench/results.json");
    let table = bench(&["--from", kept.to_str().unwrap(), "--table"]);
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    assert!(!table.out.is_empty(), "{table:?}");
    assert!(readme.contains(&table.out), "the README's table should be\n{}", table.out);
}

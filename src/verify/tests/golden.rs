//! Whole stores as released formats wrote them: each opens, is proven, and can be salvaged. Kept as
//! SQL beside this file and never changed; what the tables alone must be is in the store's tests.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::salvage::{open, save};
use super::stores::{LATER, LIFE, Written};
use super::*;
use crate::store::KeepLog;

fn path(format: u32) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verify/tests");
    folder.join(format!("golden-{format}.sql"))
}

#[track_caller]
fn check(format: u32, submitted: u64, ended: u64) {
    let folder = tempfile::tempdir().unwrap();
    let golden = Connection::open(folder.path().join("store.db")).unwrap();
    golden.execute_batch(&std::fs::read_to_string(path(format)).unwrap()).unwrap();
    let version = golden.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(version, format);
    drop(golden);
    let report = verify(folder.path(), |_| {}).unwrap();
    assert!(report.is_proven(), "{report}");
    assert_eq!((report.submitted, report.tasks.ended() + report.removed), (submitted, ended));
    assert!(report.results > 0 && report.odd.is_empty(), "{report}");
    let (saved, ledger) = save(folder.path());
    assert_eq!((saved.last, saved.lost), (report.last, None));
    assert_eq!(ledger.next_task - 1, submitted);
    // A master makes it one of today's format.
    let (ledger, _) = open(folder.path());
    assert_eq!(ledger.tally.ended(), report.tasks.ended());
    assert!(verify(folder.path(), |_| {}).unwrap().is_proven());
}

/// As a release before records had spans wrote it: a master that was killed while tasks ran, and
/// one after it, with a batch that failed after a retry.
#[test]
fn the_first_format_is_proven() {
    check(1, 11, 8);
}

/// As the release before labels of workers and lanes wrote it: a master that was killed while
/// tasks ran, and one after it, with a batch that failed after a retry, and a task deleted.
#[test]
fn the_second_format_is_proven() {
    check(2, 11, 8);
}

#[test]
fn the_third_format_is_proven() {
    check(3, 18, 5);
}

/// Prints `golden-3.sql`. Only a new format may need it again, under another name.
#[test]
#[ignore = "writes a file of the test above"]
fn print_the_third_format() {
    let mut written = Written::new(KeepLog::Needed);
    written.run(LIFE);
    written.snapshot();
    written.run("submit 1; output 10");
    written.put_outputs(10);
    written.snapshot();
    written.run(LATER);
    written.tamper("");
    let conn = Connection::open(written.file()).unwrap();
    println!("-- A store of format 3, as ganger 0.1.0 wrote it. Do not change it.");
    println!("BEGIN TRANSACTION;");
    let tables = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let mut tables = conn.prepare(tables).unwrap();
    let tables = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let tables: Vec<(String, String)> = tables.map(Result::unwrap).collect();
    for (name, sql) in tables {
        println!("{sql};");
        let columns = format!("SELECT name FROM pragma_table_info('{name}')");
        let mut columns = conn.prepare(&columns).unwrap();
        let columns = columns.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let quoted: Vec<String> = columns.map(|name| format!("quote({})", name.unwrap())).collect();
        let rows = format!("SELECT {} FROM {name}", quoted.join(" || ',' || "));
        let mut rows = conn.prepare(&rows).unwrap();
        for row in rows.query_map([], |row| row.get::<_, String>(0)).unwrap() {
            println!("INSERT INTO {name} VALUES({});", row.unwrap());
        }
    }
    println!("COMMIT;");
    for pragma in ["application_id", "user_version"] {
        let value: i64 = conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap();
        println!("PRAGMA {pragma} = {value};");
    }
}

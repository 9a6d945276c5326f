//! The same command lines through GNU parallel and through `ganger run`. What GNU parallel printed
//! is kept in `parallel/cases`; where it is installed it is asked again. What differs on purpose is
//! listed in `assets/docs/gnu-parallel.md`.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::rig::{GANGER, Rig, Said};

/// A command line with what it prints and its exit code.
#[derive(Debug)]
struct Case {
    title: String,
    line: String,
    out: String,
    code: i32,
}

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/parallel/cases");

fn cases(text: &str) -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    for line in text.lines() {
        let Some(case) = all.last_mut().filter(|_| !line.starts_with("## ")) else {
            if let Some(title) = line.strip_prefix("## ") {
                let (line, out) = (String::new(), String::new());
                all.push(Case { title: title.to_owned(), line, out, code: 0 });
            }
            continue;
        };
        if let Some(command) = line.strip_prefix("$ ") {
            command.clone_into(&mut case.line);
        } else if let Some(printed) = line.strip_prefix('|') {
            case.out.push_str(printed);
            case.out.push('\n');
        } else if let Some(code) = line.strip_prefix('=') {
            case.code = code.trim().parse().unwrap();
        } else if line == "\\" {
            // The output had no line end.
            case.out.pop();
        }
    }
    all
}

fn shown(case: &Case, said: &Said) -> String {
    let mut text = format!("## {}\n$ {}\n", case.title, case.line);
    for line in said.out.lines() {
        writeln!(text, "|{line}").unwrap();
    }
    if !said.out.is_empty() && !said.out.ends_with('\n') {
        text.push_str("\\\n");
    }
    write!(text, "={}\n\n", said.code).unwrap();
    text
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("f1", "1\n2\n");
    write("f2", "a\nb\nc\n");
    write("lines", "a b\n  two  \nit's\n\"quoted\"\n$HOME\n");
    write("table.csv", "name,size\n\"a, b\",1\nc,\"2 \"\"x\"\"\"\n");
    write("table.tsv", "name\tsize\na b\t1\nc\t2\n");
    folder
}

/// Runs a line in a folder of its own, with P as the command.
fn run(case: &Case, command: &str, prepare: impl Fn(&mut Command)) -> Said {
    let folder = folder();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &case.line]).current_dir(folder.path());
    shell.env("P", command).env("SHELL", "/bin/sh").env("LC_ALL", "C.UTF-8");
    prepare(&mut shell);
    crate::rig::run(shell, b"")
}

/// A program called `ganger-run`, since P is cut at blanks and the path may hold some.
fn ganger_run(into: &Path) -> String {
    let path = into.join("ganger-run");
    let ganger = GANGER;
    std::fs::write(&path, format!("#!/bin/sh\nexec '{ganger}' run \"$@\"\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    "ganger-run".to_owned()
}

fn with_path(command: &mut Command, folder: &Path) {
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", folder.display()));
}

#[test]
fn command_lines_do_what_gnu_parallel_did() {
    let all = cases(&std::fs::read_to_string(CASES).unwrap());
    assert!(all.len() >= 40, "{} cases", all.len());
    let rig = Rig::with_worker();
    let programs = TempDir::new().unwrap();
    let command = ganger_run(programs.path());
    let mut wrong = String::new();
    for case in &all {
        let said = run(case, &command, |shell| {
            with_path(shell, programs.path());
            shell.env("GANGER_HOME", rig.home.path()).env_remove("GANGER_MASTER");
        });
        if (&said.out, said.code) != (&case.out, case.code) {
            let expected = Said { out: case.out.clone(), code: case.code, err: String::new() };
            writeln!(
                wrong,
                "GNU parallel:\n{}ganger run:\n{}{}",
                shown(case, &expected),
                shown(case, &said),
                said.err
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What is kept is what GNU parallel prints; `UPDATE_EXPECT=1` keeps it again.
#[test]
fn gnu_parallel_still_does_it() {
    let text = std::fs::read_to_string(CASES).unwrap();
    let version = Command::new("parallel").arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if !version.is_ok_and(|version| version.starts_with("GNU parallel")) {
        eprintln!("SKIPPED: GNU parallel is not installed, so it was not asked again");
        return;
    }
    let csv = Command::new("perl").args(["-MText::CSV", "-e1"]).output();
    let has_csv = csv.is_ok_and(|output| output.status.success());
    // It asks for a citation until this file is there.
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("will-cite"), "").unwrap();
    let head = text.split("\n## ").next().unwrap().trim_end();
    let (mut made, mut wrong) = (format!("{head}\n\n"), String::new());
    let ask = |case: &Case| {
        let known = !case.line.contains("--csv") || has_csv;
        known.then(|| {
            run(case, "parallel", |shell| {
                shell.env("PARALLEL_HOME", home.path());
            })
        })
    };
    // Each has a folder of its own, and most of the time is spent in starting Perl.
    let all = cases(&text);
    let said: Vec<Option<Said>> = std::thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(4));
        let parts: Vec<_> =
            parts.map(|part| scope.spawn(|| part.iter().map(ask).collect::<Vec<_>>())).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    for (case, said) in all.iter().zip(said) {
        let Some(said) = said else {
            eprintln!("SKIPPED: {}: perl has no Text::CSV", case.title);
            continue;
        };
        made.push_str(&shown(case, &said));
        if (&said.out, said.code) != (&case.out, case.code) {
            writeln!(wrong, "{}{}", shown(case, &said), said.err).unwrap();
        }
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(CASES, format!("{}\n", made.trim_end())).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "GNU parallel prints something else than is kept:\n{wrong}");
}

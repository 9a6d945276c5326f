//! Layout rules that neither cargo nor clippy can hold, read from the text of the tree. What code
//! means is the compiler's concern; style of expressions is clippy's.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use source::{Piece, has_word, pieces, tests_of, without};
use tree::{read, root, tracked};

#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;

/// Lines that a file may have before its tests.
const LINES_MAX: usize = 400;
/// Columns of a line, not counting what stands inside a string.
const COLUMNS_MAX: usize = 100;

/// Files with more lines, how many, and why they are one subject. A file that needs its place here
/// no longer is reported too, so the list only shrinks.
const LONG_FILES: &[(&str, usize, &str)] = &[
    ("net/proto/src/command.rs", 680, "a vocabulary: types and their docs, next to no code"),
    ("net/proto/src/picture.rs", 540, "a vocabulary: types and their docs, next to no code"),
    ("src/store/sqlite/tests/damage.rs", 420, "one table of damages, each a case of its own"),
];

/// What may stand at the top of the tree.
const TOP: &[&str] = &[
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "assets",
    "clippy.toml",
    "deny.toml",
    "net",
    "rustfmt.toml",
    "src",
    "tests",
    "ui",
];

/// Folders with Rust of ours. Fuzz targets and tests keep to the same rules but for length.
const ROOMS: &[&str] = &["src/", "ui/src/", "net/src/", "net/proto/src/", "tests/"];

/// The pure cores: folders, or files without their `.rs`.
const CORES: &[&str] = &[
    "src/engine",
    "src/worker/core",
    "src/worker/inline",
    "src/worker/prefetch",
    "src/worker/reports",
    "src/worker/waiting",
    "ui/src/model",
    "ui/src/msg",
    "ui/src/update",
    "ui/src/view",
    "net/proto/src",
];

/// What a pure core never says, and what it does instead.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "the driver waits; a core is handed inputs"),
    ("fs::", "the driver reads and writes; a core returns effects"),
    ("net::", "the driver connects; a core returns effects"),
    ("process::", "the driver starts children; a core returns effects"),
    ("Instant::now", "time is the first argument"),
    ("SystemTime::now", "time is the first argument"),
    ("thread_rng", "randomness comes from a seed that is handed in"),
    ("fastrand::Rng::new", "randomness comes from a seed that is handed in"),
    ("HashMap", "its order differs from run to run; take a BTreeMap"),
    ("HashSet", "its order differs from run to run; take a BTreeSet"),
];

/// Maps of a core that are looked up and never iterated over: the file, the field.
const LOOKED_UP: &[(&str, &str)] = &[("src/engine/batch.rs", "numbers")];

/// Methods that show a map's order.
const ORDERED_BY_CHANCE: &[&str] =
    &[".iter", ".keys", ".values", ".into_", ".drain", ".retain", ".extract_if"];

/// Marks of unfinished work, in code and in comments. Written in halves: this file is read too.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("for ", "now"),
];

/// Folders of somebody's machine.
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "wt"), concat!("/fa", "rm/")];

/// Bytes of all fuzz corpora together: they are for replays, a fuzzer's own lie elsewhere.
const CORPORA_BYTES_MAX: u64 = 1 << 20;

/// Names for files that have no subject.
const NAMELESS: &[&str] = &["utils.rs", "util.rs", "helpers.rs", "common.rs", "misc.rs"];

#[test]
fn every_rust_file_keeps_the_layout_rules() {
    let mut findings = Vec::new();
    for path in tracked().iter().filter(|path| is_ours(path)) {
        findings.extend(rust_findings(path, &read(path)));
    }
    assert_none(&findings);
}

#[test]
fn every_text_file_is_finished_and_names_no_machine() {
    let mut findings = Vec::new();
    for path in tracked() {
        // Pictures and kept stores are bytes, not text.
        if let Ok(text) = fs::read_to_string(root().join(&path)) {
            findings.extend(text_findings(&path, &text));
        }
    }
    assert_none(&findings);
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut findings = Vec::new();
    for path in tracked().iter().filter(|path| path.ends_with(".md")) {
        let folder = root().join(path).parent().expect("a file lies in a folder").to_path_buf();
        for target in links(&read(path)) {
            if !folder.join(&target).exists() {
                findings.push(format!("{path}: links to {target}, which is not there"));
            }
        }
    }
    assert_none(&findings);
}

#[test]
fn the_top_of_the_tree_is_fixed() {
    let tops: BTreeSet<String> = tracked()
        .iter()
        .filter_map(|path| path.split('/').next().map(str::to_owned))
        .filter(|top| !TOP.contains(&top.as_str()))
        .collect();
    assert!(tops.is_empty(), "unexpected at the top of the tree: {tops:?}; see ARCHITECTURE.md");
}

#[test]
fn crates_below_the_root_do_not_know_each_other() {
    let mut findings = Vec::new();
    for (manifest, strangers) in [
        ("ui/Cargo.toml", &["ganger", "ganger-net", "quinn", "rustls", "rusqlite"][..]),
        ("net/Cargo.toml", &["ganger", "ganger-ui", "ratatui", "crossterm", "rusqlite"][..]),
        (
            "net/proto/Cargo.toml",
            &["ganger", "ganger-net", "ganger-ui", "tokio", "quinn", "ratatui", "crossterm"][..],
        ),
    ] {
        findings.extend(manifest_findings(manifest, &read(manifest), strangers));
    }
    assert_none(&findings);
}

#[test]
fn the_headless_build_links_no_terminal_code() {
    let screen = dependency_tree(&[]);
    let headless = dependency_tree(&["--no-default-features"]);
    assert!(headless.contains("quinn"), "the tree of the headless build is not one: {headless:?}");
    for name in ["ganger-ui", "ratatui", "crossterm"] {
        assert!(screen.contains(name), "{name} is not in the default build: is this test blind?");
        assert!(!headless.contains(name), "{name} came into the build without the screen");
    }
}

/// A target that nobody replays, or a corpus without a target, guards nothing.
#[test]
fn every_fuzz_target_has_a_corpus_and_is_replayed() {
    let paths = tracked();
    let below = |folder: &str| -> BTreeSet<String> {
        let names = paths.iter().filter_map(|path| path.strip_prefix(folder));
        names.filter_map(|name| name.split(['/', '.']).next().map(str::to_owned)).collect()
    };
    let manifest = read("tests/fuzz/Cargo.toml");
    let tests = paths.iter().filter(|path| path.ends_with("fuzzing/tests.rs"));
    let tests: String = tests.map(|path| read(path)).collect();
    let targets = below("tests/fuzz/targets/");
    let (mut bins, mut replayed) = (BTreeSet::new(), BTreeSet::new());
    for target in &targets {
        if manifest.contains(&format!("[[bin]]\nname = \"{target}\"\n")) {
            bins.insert(target.clone());
        }
        if tests.contains(&format!("replay(\"{target}\", {target}::check)")) {
            replayed.insert(target.clone());
        }
    }
    assert!(targets.len() > 10, "{targets:?}: is this test blind?");
    assert_eq!(bins, targets, "tests/fuzz/Cargo.toml names each target");
    assert_eq!(replayed, targets, "some fuzzing/tests.rs replays each target");
    assert_eq!(below("tests/fuzz/corpus/"), targets, "each target has a corpus");
    assert!(below("tests/fuzz/dictionaries/").is_subset(&targets));
    let corpora = paths.iter().filter(|path| path.starts_with("tests/fuzz/corpus/"));
    let size = |path: &String| fs::metadata(root().join(path)).map_or(0, |file| file.len());
    let bytes: u64 = corpora.map(size).sum();
    assert!(bytes <= CORPORA_BYTES_MAX, "the corpora have {bytes} bytes: minimise them");
}

#[test]
fn seeded_bugs_are_built_for_tests_alone() {
    let features = |edges| cargo_tree(&["-e", edges, "--depth", "0", "-f", "{f}"]);
    let (tests, programs) = (features("normal,build,dev"), features("normal,build"));
    assert!(tests.contains("seeded-bugs"), "tests are built with {tests:?}: is this test blind?");
    assert!(!programs.contains("seeded-bugs"), "programs are built with {programs:?}");
}

#[test]
fn each_rule_can_be_broken() {
    let check = |path: &str, text: &str, expected: &str| {
        let mut findings = rust_findings(path, text);
        findings.extend(text_findings(path, text));
        let said = findings.join("\n");
        match expected {
            "" => assert_eq!(said, "", "{path}: {text}"),
            expected => assert!(said.contains(expected), "{path}: {text}: {said:?}"),
        }
    };
    let long = format!("//! A.\n{}", "\n".repeat(400));
    let tested = format!("//! A.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(500));
    let wide = "x".repeat(101);
    check("src/a.rs", "//! A.\nfn a() {}\n", "");
    check("src/a.rs", "fn a() {}\n", "first line");
    check("src/a.rs", &long, "401 lines");
    check("src/a.rs", &tested, "");
    check("src/a.rs", &format!("{tested}{long}"), "inner tests are not last");
    check("src/a.rs", &format!("//! A.\n// {wide}\n"), "columns");
    check("src/a.rs", &format!("//! A.\n//! | {wide} |\n"), "");
    check("src/a.rs", &format!("//! A.\nconst A: &str = \"{wide}\";\n"), "");
    check("src/a.rs", &format!("//! A.\nconst A: &str = r#\"\"{wide}\"#;\n"), "");
    check("src/a.rs", concat!("//! A.\n#[al", "low(dead_code)]\n"), "expect");
    check("src/a.rs", concat!("//! A.\n#![al", "low(dead_code)]\n"), "expect");
    check("src/a.rs", "//! A.\nuse tokio::net::UdpSocket;\n", "");
    check("src/engine/a.rs", "//! A.\nuse tokio::net::UdpSocket;\n", "tokio");
    check("src/engine/a.rs", "//! Knows no tokio.\nconst A: &str = \"tokio\";\n", "");
    check("src/worker/core.rs", "//! A.\nuse std::fs::read;\n", "fs::");
    check("src/worker/core/a.rs", "//! A.\nuse std::{fs, io};\n", "fs::");
    check("src/worker/cores.rs", "//! A.\nuse std::fs;\n", "");
    check("ui/src/view/a.rs", "//! A.\nlet now = Instant::now();\n", "Instant::now");
    check("ui/src/model.rs", "//! A.\nuse std::collections::HashMap;\n", "HashMap");
    check("src/engine/a.rs", "//! A.\nuse ganger_net::Thing;\n", "");
    check("src/engine/batch.rs", "//! A.\nnumbers: HashMap<A, B>,\n", "");
    check("src/engine/batch.rs", "//! A.\nfor a in self.numbers.keys() {}\n", "order");
    check("src/engine/batch.rs", "//! A.\nfor a in &self.numbers {}\n", "order");
    check("src/cli/helpers.rs", "//! A.\n", "no subject");
    check("src/a.rs", concat!("//! A.\n// good enough for ", "now\n"), "unfinished");
    check("README.md", concat!("see /ro", "ot/x\n"), "machine");
    check("src/a.rs", "//! A.\nfn a<'a>(b: &'a str) -> char { '\"' }\n// tokio \"\n", "");

    assert_eq!(links("[a](b.md#c) ![d](e.svg) [f](https://g) [h](#i) j(k)"), ["b.md", "e.svg"]);

    let known = "[dependencies]\nganger-proto = { path = \"proto\" }\n";
    assert!(manifest_findings("a", known, &["ganger", "ganger-ui"]).is_empty());
    let named = "[dependencies]\nganger-ui.workspace = true\n";
    assert!(!manifest_findings("a", named, &["ganger-ui"]).is_empty());
    let renamed = "[dependencies]\nscreen = { package = \"ganger-ui\", path = \"../ui\" }\n";
    assert!(!manifest_findings("a", renamed, &["ganger-ui"]).is_empty());
}

/// Returns what is wrong with one Rust file.
fn rust_findings(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut find = |line: usize, what: String| findings.push(format!("{path}:{line}: {what}"));
    if !text.starts_with("//! ") {
        find(1, "the first line is not `//!`: say what lives here and what does not".to_owned());
    }
    if path.rsplit('/').next().is_some_and(|name| NAMELESS.contains(&name)) {
        find(1, "this name has no subject: put the code with its caller, or name the idea".into());
    }
    let cut = pieces(text);
    for (number, line) in (1..).zip(without(&cut, &[Piece::Text]).lines()) {
        // A row of a table in a doc comment cannot be wrapped.
        let row = line.starts_with("//! |") || line.trim_start().starts_with("/// |");
        if line.chars().count() > COLUMNS_MAX && !row {
            find(number, format!("more than {COLUMNS_MAX} columns"));
        }
    }
    let code = without(&cut, &[Piece::Text, Piece::Comment]);
    for (number, line) in (1..).zip(code.lines()) {
        if ["#[allow(", "#![allow("].iter().any(|allow| line.contains(allow)) {
            find(number, "`allow`: take `#[expect(lint, reason = \"…\")]`".to_owned());
        }
    }
    let tests = tests_of(&code);
    if tests.end < code.lines().count() {
        find(tests.end + 1, "inner tests are not last in the file".to_owned());
    }
    if !path.starts_with("tests/") && !path.ends_with("/tests.rs") {
        findings.extend(length_finding(path, tests.start));
        if is_core(path) {
            findings.extend(core_findings(path, code.lines().take(tests.start)));
        }
    }
    findings
}

fn length_finding(path: &str, lines: usize) -> Option<String> {
    let exception = LONG_FILES.iter().find(|(long, ..)| *long == path);
    let limit = exception.map_or(LINES_MAX, |(_, limit, _)| *limit);
    if lines > limit {
        return Some(format!("{path}: {lines} lines before its tests, the limit is {limit}"));
    }
    let spare = exception.is_some() && lines > 1 && lines <= LINES_MAX;
    spare.then(|| format!("{path}: {lines} lines; take it out of LONG_FILES in tests/tidy.rs"))
}

fn core_findings<'a>(path: &str, lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let map = LOOKED_UP.iter().find(|(file, _)| *file == path).map(|(_, field)| *field);
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let grouped = line.trim_start().starts_with("use std::{");
        for (word, instead) in IMPURE {
            let said = has_word(line, word)
                || grouped && word.strip_suffix("::").is_some_and(|module| has_word(line, module));
            if said && !(map.is_some() && *word == "HashMap") {
                findings.push(format!("{path}:{number}: a pure core says `{word}`: {instead}"));
            }
        }
        if map.is_some_and(|field| shows_order(line, field)) {
            findings.push(format!("{path}:{number}: shows a HashMap's order: only look it up"));
        }
    }
    findings
}

/// Tells whether a line goes through a map instead of looking something up.
fn shows_order(line: &str, field: &str) -> bool {
    let Some(at) = line.find(field) else { return false };
    let after = &line[at + field.len()..];
    ORDERED_BY_CHANCE.iter().any(|method| after.starts_with(method))
        || line.trim_start().starts_with("for ") && !after.starts_with('.')
}

/// Returns what is wrong with one text file, of any kind.
fn text_findings(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words = if path.ends_with(".rs") { UNFINISHED } else { &[] };
        if let Some(word) = words.iter().find(|word| line.contains(*word)) {
            findings.push(format!("{path}:{number}: `{word}` marks unfinished work"));
        }
        if let Some(place) = MACHINE_PATHS.iter().find(|place| line.contains(*place)) {
            findings.push(format!("{path}:{number}: `{place}` is a path of some machine"));
        }
    }
    findings
}

/// Returns the files that a document links to.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let files = targets.map(|(target, _)| target.split('#').next().unwrap_or_default());
    files.filter(|file| !file.is_empty() && !file.contains("://")).map(str::to_owned).collect()
}

/// Returns the dependencies of a manifest that it must not have.
fn manifest_findings(path: &str, text: &str, strangers: &[&str]) -> Vec<String> {
    let named = |line: &str, name: &str| {
        let key = line.split(['=', '.', ' ']).next().unwrap_or_default();
        key.trim_matches('"') == name || line.contains(&format!("package = \"{name}\""))
    };
    let dependencies = text
        .split("\n[")
        .filter(|table| table.split(']').next().is_some_and(|head| head.contains("dependencies")));
    let lines: Vec<&str> = dependencies.flat_map(str::lines).collect();
    strangers
        .iter()
        .filter(|name| lines.iter().any(|line| named(line, name)))
        .map(|name| format!("{path}: depends on {name}, which it must not see"))
        .collect()
}

/// Returns the names of the packages in one build of the root package.
fn dependency_tree(features: &[&str]) -> BTreeSet<String> {
    let tree = cargo_tree(&[&["-e", "normal"], features].concat());
    tree.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

/// Returns what `cargo tree` says of the root package.
fn cargo_tree(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "ganger", "--prefix", "none", "--offline", "--locked"])
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo runs: it runs this test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree failed: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_ours(path: &str) -> bool {
    path.ends_with(".rs") && ROOMS.iter().any(|room| path.starts_with(room))
}

fn is_core(path: &str) -> bool {
    CORES.iter().any(|core| {
        path.strip_prefix(core).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    })
}

fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

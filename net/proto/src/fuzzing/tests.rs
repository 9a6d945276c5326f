//! The corpora of this crate's targets, replayed, and how they began.

use super::{filter, template, terms};

#[path = "../../../../tests/fuzz/replay.rs"]
mod replay;

use replay::{plant, replay};

#[test]
fn filters() {
    replay("filter", filter::check);
}

#[test]
fn templates() {
    replay("template", template::check);
}

#[test]
fn other_terms() {
    replay("terms", terms::check);
}

const FILTERS: &[&str] = &[
    "",
    "state:failed|cancelled -queue:mail",
    "state:open kind:exec",
    "batch:b12|b13 label:stage=prod|test",
    "batch:\"b12\"|nightly label:stage",
    "id:100..200 prio>5 tries>=2",
    "exit:1|2 dur>10s wait<=1m age:1h..2d",
    "dur:1.5s wait:250ms|10us age:1h30m id:..7",
    "cmd:gzip \"a \\\"quoted\\\\ text\" -word",
    "worker:alpha|\"b c\" -\"-x\" http://host",
    "prio:-3..4 exit:..0 exit<-1",
    "state: dur>1",
    "\"open",
];

const TEMPLATES: &[(u8, &str, &str)] = &[
    (0, "gzip -9 {}", "a b.tar.gz"),
    (0, "cp {} /to/{/.}.bak {//} {.} {/}", "/a/b.c/d.e"),
    (0, "echo {#} {%} {n:04} {n}", "-7"),
    (0, "sh -c 'echo {}' | wc", "it's"),
    (2, "mv {1} {2} {-1} {3}", "a\0b"),
    (7, "x --a={a} {b c.} {}", "a/b.c\0d\0e"),
    (27, "put {2} {1}", "12\x007:99\0one\0two\0three"),
    (0, "awk '{print $1}' {n:99}", "x"),
    (0, "./p \u{e9}  {}", ""),
];

const TERMS: &[&str] = &[
    "b12",
    "b12:any,b13 b14",
    "10/s",
    "5/10s",
    "1/500ms",
    "cpu=2,mem=4G gpu=1",
    "mem=1536m",
    "gpu=a100,zone=eu-west",
    "took:desc",
    "id:asc",
    "io",
    "my-host.local",
    "\u{1b}[2J=x",
];

#[test]
#[ignore = "writes the first files of the corpora"]
fn plant_seeds() {
    plant("filter", FILTERS.iter().map(|text| text.as_bytes().to_vec()));
    plant("terms", TERMS.iter().map(|text| text.as_bytes().to_vec()));
    plant(
        "template",
        TEMPLATES.iter().map(|(form, template, argument)| {
            [&[*form], template.as_bytes(), b"\n", argument.as_bytes()].concat()
        }),
    );
}

//! The corpora of this crate's targets, replayed, and how they began.

use super::{keys, lines, text, theme};

#[path = "../../../tests/fuzz/replay.rs"]
mod replay;

use replay::{plant, replay};

#[test]
fn lines_of_output() {
    replay("lines", lines::check);
}

#[test]
fn texts() {
    replay("text", text::check);
}

#[test]
fn themes() {
    replay("theme", theme::check);
}

#[test]
fn key_tables() {
    replay("keys", keys::check);
}

const OUTPUTS: &[&[u8]] = &[
    b"\x02\x1b[31mred\x1b[0m no\nx",
    b"\x00a\x1b]52;c;ZXZpbA==\x07b",
    b"\x03A \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ B\nnext",
    b"\x01a\x1bPq#0\x1b\\b\x1b_secret\x07c\x1b^x",
    b"\x0510%\r20%\x1b[K\r\x1b[2K30%\n",
    b"\x00\x1b[38;5;208ma\x1b[48:2::4:5:6mb\x1b[27;3mc",
    b"\x07a\tb\x08\x08c\x1b[9999Gd",
    "\u{4}\u{65e5}\u{672c}\rx e\u{301}\u{301}\u{202e}\u{200b}".as_bytes(),
    b"\x00ok \xff\xfe then \xe2\x82",
];

const TEXTS: &[&str] = &[
    "one two three",
    "\u{65e5}\u{672c}\u{8a9e} abcdefgh",
    "a\u{1b}[2Jb\n\tc\u{202e}d\u{e0041}",
    "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301} x",
    "\u{1f468}\u{200d}\u{1f469} \u{1f1e9}\u{1f1ea} \u{644}\u{627}",
    "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{80}\u{7f}",
];

const THEMES: &[&str] = &[
    "[roles]\ntext = \"default\"\ntitle = \"bold cyan on black\"\n",
    "[roles]\nborder = \"#336699 on 17\"\nfailed = \"bright-red underline\"",
    "[roles]\nnope = \"red\"",
    "[roles]\n\nslot = \"pink\"",
    "roles = 5",
];

const KEYS: &[&str] = &[
    "list\tretry\tR\nlist\tcancel",
    "screen\tinject\tn\tf3",
    "list\tretry\tg g\nlist\tcancel\tg",
    "form\tsubmit\tctrl-i",
    "list\tnone\tx",
    "place\tretry\tshift-\u{e9}",
];

#[test]
#[ignore = "writes the first files of the corpora"]
fn plant_seeds() {
    let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let all = |texts| -> Vec<Vec<u8>> { bytes(texts) };
    plant("lines", OUTPUTS.iter().map(|bytes| bytes.to_vec()));
    plant("text", all(TEXTS));
    plant("keys", all(KEYS));
    plant("theme", all(THEMES));
}

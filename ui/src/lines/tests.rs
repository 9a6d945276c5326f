//! Programs and enemies write; lines stay lines.

use ratatui::style::Color;

use super::*;

fn lines(bytes: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut liner = Liner::default();
    liner.take(bytes, |line| lines.push(line));
    lines.extend(liner.end());
    lines
}

fn texts(bytes: &[u8]) -> Vec<String> {
    lines(bytes).into_iter().map(|line| line.text).collect()
}

#[test]
fn what_moves_within_its_line_is_done() {
    let check = |bytes: &[u8], expected: &[&str]| assert_eq!(texts(bytes), expected);
    check(b"one\ntwo\n", &["one", "two"]);
    check(b"one\r\n\r\ntwo", &["one", "", "two"]);
    check(b"10%\r20%\r100%\r\n", &["100%"]);
    check(b"100% of it\r20%", &["20%% of it"]);
    check(b"downloading\r\x1b[Kdone\n", &["done"]);
    check(b"abcdef\x1b[3G\x1b[1K\n", &["   def"]);
    check(b"abc\x1b[2Kd\n", &["   d"]);
    check(b"frame 1\x1b[2K\x1b[1Gframe 2", &["frame 2"]);
    check(b"a\tb\n\tc", &["a       b", "        c"]);
    check(b"ab\x08c", &["ac"]);
    check("日本\r日x".as_bytes(), &["日x"]);
    check("日本\rx".as_bytes(), &["x 本"]);
    check("ab\r日".as_bytes(), &["日"]);
    check(
        "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}!".as_bytes(),
        &["e\u{301}\u{301}\u{301}\u{301}!"],
    );
}

#[test]
fn what_reaches_beyond_its_line_is_dropped_and_leaves_a_sign() {
    let check = |bytes: &[u8], expected: &[&str]| assert_eq!(texts(bytes), expected);
    check(b"a\x1b]52;c;ZXZpbA==\x07b", &["a␛]52…b"]);
    check(b"a\x1b]0;title\nnext", &["a␛]0…", "next"]);
    check(b"a\x1b]0;title\rover it", &["over it"]);
    check(b"A \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ B\nnext", &["A link B", "next"]);
    check(b"a\x1bPq#0\x1b\\b", &["a␛P…b"]);
    check(b"a\x1b_secret\x07b\x1b^x\x1b\\c\x1bXy\nd", &["a␛_…b␛^…c␛X…", "d"]);
    check(b"a\x1b[3~b\x1b[?25lc\x1b[2Jd\x1b[10;10He", &["abcde"]);
    check("a\u{9b}2Jb\u{202e}c\u{200b}\u{e0041}\u{feff}\u{7f}d".as_bytes(), &["a2Jbcd"]);
    check(b"a\0\x07\x0b\x0c\x0e\x1bcb\x1b(Bc", &["abc"]);
    check(b"ok \xff\xfe then \xe2\x82", &["ok \u{fffd}\u{fffd} then \u{fffd}"]);
    check(b"x\x1b[8mshown\x1b[0m", &["xshown"]);
}

fn looks(bytes: &[u8]) -> Vec<(String, Style)> {
    let lines = lines(bytes);
    let all = lines.iter().flat_map(|line| line.spans(0..line.text.len()));
    all.map(|(_, text, style)| (text.to_owned(), style)).collect()
}

#[test]
fn colours_and_looks_are_kept_to_the_end_of_the_line() {
    let plain = Style::new();
    let check = |bytes: &[u8], expected: &[(&str, Style)]| {
        let expected: Vec<_> = expected.iter().map(|(t, s)| ((*t).to_owned(), *s)).collect();
        assert_eq!(looks(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    };
    check(b"\x1b[31mred\x1b[0m no\nx", &[("red", plain.red()), (" no", plain), ("x", plain)]);
    check(b"\x1b[1;4;32mon\nnext", &[("on", plain.green().bold().underlined()), ("next", plain)]);
    check(
        b"\x1b[38;5;208ma\x1b[48:5:17mb",
        &[
            ("a", plain.fg(Color::Indexed(208))),
            ("b", plain.fg(Color::Indexed(208)).bg(Color::Indexed(17))),
        ],
    );
    check(
        b"\x1b[38;2;1;2;3ma\x1b[38:2::4:5:6mb\x1b[39mc",
        &[("a", plain.fg(Color::Rgb(1, 2, 3))), ("b", plain.fg(Color::Rgb(4, 5, 6))), ("c", plain)],
    );
    check(
        b"\x1b[94ma\x1b[7mb\x1b[27;3mc",
        &[
            ("a", plain.fg(Color::LightBlue)),
            ("b", plain.fg(Color::LightBlue).reversed()),
            ("c", plain.fg(Color::LightBlue).italic()),
        ],
    );
    check(b"\x1b[38;5mx\x1b[38;5;999my\x1b[48mz", &[("xyz", plain)]);
    check(b"a\x1b]9;x\x07", &[("a", plain), ("␛]9…", plain.dim())]);
}

#[test]
fn a_long_line_is_cut_and_counted_wherever_it_lies() {
    let mut bytes = vec![b'x'; LINE_BYTES_MAX + 3_000];
    let cut = texts(&bytes);
    assert_eq!(cut[0].len(), LINE_BYTES_MAX + " … 3 KiB more not shown".len());
    assert!(cut[0].ends_with("x … 3 KiB more not shown"));
    bytes.extend_from_slice(b"\rshort\nnext\n");
    assert!(texts(&bytes)[0].starts_with("shortxx"), "a return looks at the line again");
    assert_eq!(texts(&bytes)[1], "next");
    let tabs = vec![b'\t'; 1 << 20];
    assert!(lines(&tabs)[0].text.len() <= LINE_BYTES_MAX + 40);
    let unterminated = [b"\x1b]".as_slice(), &vec![b'a'; 1 << 20]].concat();
    assert_eq!(texts(&unterminated), ["␛]… … 1009 KiB more not shown"]);
}

#[test]
fn rows_hold_their_columns() {
    let check = |text: &str, columns: usize, expected: &[&str]| {
        let line = Line::plain(text.to_owned());
        assert_eq!(line.rows(columns), expected.len());
        let rows: Vec<&str> =
            (0..expected.len()).map(|row| &line.text[line.row(columns, row)]).collect();
        assert_eq!(rows, expected);
    };
    check("", 5, &[""]);
    check("abcdefg", 3, &["abc", "def", "g"]);
    check("日本語", 5, &["日本", "語"]);
    check("日本語", 1, &["日", "本", "語"]);
    assert_eq!(Line::plain("abc".to_owned()).row(3, 9), 3..3);
}

/// Bytes that are likelier than most to confuse: pieces of sequences, of characters, of lines.
fn hostile(random: &mut fastrand::Rng) -> Vec<u8> {
    const PARTS: [&[u8]; 24] = [
        b"\x1b",
        b"\x1b[",
        b"\x1b]",
        b"\x1bP",
        b"\x1b_",
        b"\x1b\\",
        b"\x07",
        b"\x18",
        b"\r",
        b"\n",
        b"31m",
        b"38;2;",
        b"K",
        b"2K",
        b"9999G",
        b"\t",
        b"\x08",
        b"\xe6\x97\xa5",
        b"\xe6",
        b"\x97",
        "\u{202e}\u{200b}\u{9b}".as_bytes(),
        "e\u{301}\u{301}".as_bytes(),
        b"text",
        b";",
    ];
    let mut bytes = Vec::new();
    for _ in 0..random.usize(1..200) {
        match random.u8(0..8) {
            0 => bytes.push(random.u8(..)),
            1 => bytes.extend((0..random.usize(0..600)).map(|_| random.u8(0x20..0x7f))),
            _ => bytes.extend_from_slice(PARTS[random.usize(0..PARTS.len())]),
        }
    }
    bytes
}

#[test]
fn any_bytes_in_any_pieces_make_the_same_harmless_lines() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..150 {
        let bytes = hostile(&mut random);
        let whole = lines(&bytes);
        let mut pieces = Vec::new();
        let mut liner = Liner::default();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(random.usize(1..=rest.len().min(9)));
            liner.take(piece, |line| pieces.push(line));
            if random.u8(0..8) == 0 {
                liner.rest();
            }
            rest = after;
        }
        pieces.extend(liner.end());
        assert!(pieces == whole, "seed {seed}, round {round}");
        for line in &whole {
            assert_eq!(text::clean(&line.text), line.text, "seed {seed}, round {round}");
            assert!(text::width(&line.text) <= LINE_BYTES_MAX + 40);
            let spans: String = line.spans(0..line.text.len()).iter().map(|span| span.1).collect();
            assert_eq!(spans, line.text);
        }
    }
}

/// A build's log of some megabytes goes through in one piece; how fast is for a bench to say.
#[test]
fn a_flood_makes_its_lines() {
    let line = "\x1b[32m   Compiling\x1b[0m some-crate v1.2.3 (with some text behind)\n";
    let flood = line.repeat(40_000);
    let mut count = 0;
    let mut liner = Liner::default();
    for piece in flood.as_bytes().chunks(4_093) {
        liner.take(piece, |line| count += usize::from(line.text.starts_with("   Compiling some")));
    }
    assert_eq!(count, 40_000);
}

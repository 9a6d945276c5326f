//! Bytes that somebody else chose must not steer the terminal: everything the screen writes is read
//! by a strict grammar that knows only what the program itself may say.

use crate::pty::{Terminal, screen};
use crate::rig::{Rig, wait_for};

/// Reads what was written; returns the first thing that is not the program's own.
struct Grammar<'a> {
    rest: &'a [u8],
    rows: u32,
    columns: u32,
}

type Verdict = Result<(), String>;

impl<'a> Grammar<'a> {
    fn check(bytes: &'a [u8], rows: u32, columns: u32) -> Verdict {
        let mut grammar = Self { rest: bytes, rows, columns };
        while !grammar.rest.is_empty() {
            let before = grammar.rest;
            grammar.step().map_err(|why| {
                let until = before.len().min(40);
                format!("{why}: {:?}", String::from_utf8_lossy(&before[..until]))
            })?;
        }
        Ok(())
    }

    fn step(&mut self) -> Verdict {
        match self.rest {
            [0x1b, b'[', rest @ ..] => {
                self.rest = rest;
                self.csi()
            }
            [0x1b, b']', rest @ ..] => {
                self.rest = rest;
                self.osc()
            }
            // The bell calls the person; lines end so once the terminal is the shell's again.
            [0x07 | b'\r' | b'\n', rest @ ..] => {
                self.rest = rest;
                Ok(())
            }
            _ => self.character().map(drop),
        }
    }

    fn character(&mut self) -> Result<char, String> {
        let most = &self.rest[..self.rest.len().min(4)];
        let valid = match std::str::from_utf8(most) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&most[..error.valid_up_to()]).unwrap(),
        };
        let c = valid.chars().next().ok_or("a byte that is no UTF-8")?;
        let hidden = matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
        if c.is_control() || hidden {
            return Err(format!("the character {c:?}"));
        }
        self.rest = &self.rest[c.len_utf8()..];
        Ok(c)
    }

    fn csi(&mut self) -> Verdict {
        let is_final = |byte: &u8| (0x40..=0x7e).contains(byte);
        let end = self.rest.iter().position(is_final).ok_or("a CSI without an end")?;
        let parameters = std::str::from_utf8(&self.rest[..end]).map_err(|_| "a CSI of no text")?;
        let last = char::from(self.rest[end]);
        self.rest = &self.rest[end + 1..];
        let known = match (parameters, last) {
            (_, 'm') => is_style(parameters),
            (_, 'H') => self.is_place(parameters),
            ("2", 'J') | ("22;2" | "23;2", 't') => true,
            (mode, 'h' | 'l') => {
                ["?25", "?1049", "?2004", "?1004", "?1000", "?1006", "?2026"].contains(&mode)
            }
            _ => false,
        };
        if known { Ok(()) } else { Err(format!("CSI {parameters} {last}")) }
    }

    fn is_place(&self, parameters: &str) -> bool {
        let mut numbers = parameters.split(';').map(str::parse::<u32>);
        let within = |number: Option<Result<u32, _>>, most: u32| {
            number.is_some_and(|number| number.is_ok_and(|number| (1..=most).contains(&number)))
        };
        within(numbers.next(), self.rows)
            && within(numbers.next(), self.columns)
            && numbers.next().is_none()
    }

    /// The title, and nothing else.
    fn osc(&mut self) -> Verdict {
        let rest = self.rest.strip_prefix(b"2;ganger").ok_or("an OSC that is no title")?;
        self.rest = rest;
        loop {
            if let Some(rest) = self.rest.strip_prefix(b"\x1b\\") {
                self.rest = rest;
                return Ok(());
            }
            self.character()?;
        }
    }
}

/// Tells whether a style is one that the program's themes can ask for.
fn is_style(parameters: &str) -> bool {
    let mut codes = parameters.split(';').map(str::parse::<u8>);
    while let Some(code) = codes.next() {
        match code {
            Ok(0..=4 | 7 | 22..=24 | 27 | 30..=37 | 39..=47 | 49 | 59 | 90..=97 | 100..=107) => {}
            Ok(38 | 48 | 58) => {
                let more = match codes.next() {
                    Some(Ok(5)) => 1,
                    Some(Ok(2)) => 3,
                    _ => return false,
                };
                if (0..more).any(|_| !matches!(codes.next(), Some(Ok(_)))) {
                    return false;
                }
            }
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

#[test]
fn the_grammar_knows_what_is_foreign() {
    let check = |bytes: &[u8]| Grammar::check(bytes, 24, 80);
    check("\u{1b}[?1049h\u{1b}[1;1H\u{1b}[1;38;2;1;2;3mab ◆\u{1b}]2;ganger · 1\u{1b}\\".as_bytes())
        .unwrap();
    for foreign in [
        &b"\x1b[5m"[..],
        b"\x1b[99;1H",
        b"\x1b[3J",
        b"\x1bPq\x1b\\",
        b"\x1b]0;x\x07",
        b"\x1b]52;c;eA==\x07",
        b"\x1b]2;ganger\x07",
        b"\x1b[?1003h",
        b"\x1bc",
        b"a\x08b",
        b"\xff",
        b"\x9b31m",
        "\u{9b}31m".as_bytes(),
        "\u{202e}".as_bytes(),
    ] {
        assert!(check(foreign).is_err(), "{:?}", String::from_utf8_lossy(foreign));
    }
}

/// Every kind of sequence that steers a terminal, whole and cut off.
const EVIL: &str = "\u{1b}[5mblink\u{1b}[99;99H\u{1b}[3J\u{1b}[?1003h\u{1b}]0;pwned\u{7}\
                    \u{1b}]52;c;ZXZpbA==\u{7}\u{1b}]8;;http://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\\
                    \u{1b}P1$tx\u{1b}\\\u{1b}_apc\u{1b}\\\u{1b}^pm\u{1b}\\\u{1b}Xsos\u{1b}\\\
                    \u{9b}5m\u{9d}0;c1\u{9c}\u{90}q\u{9c}\u{85}\u{8}\u{b}\u{c}\u{e}\u{f}\u{5}\
                    \u{202e}gnp.exe\u{200b}\u{2066}\u{feff}\u{e0041}\u{7f}\u{1b}c\u{1b}[6n\u{1b}[c\
                    e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{1b}[\u{1b}]unended";

/// What a key does to the screen.
#[derive(Clone, Copy, Debug)]
enum Then {
    Shows(&'static str),
    Hides(&'static str),
}

#[test]
#[expect(clippy::too_many_lines, reason = "one walk over all places that show foreign text")]
fn what_tasks_and_workers_say_never_steers_the_terminal() {
    let rig = Rig::bare();
    let _worker = rig.join_worker("alpha", "2");
    let mut draws = fastrand::Rng::with_seed(5);
    // Commands, names and output; text that fails; a sentence of the worker about a folder.
    let name: String = EVIL.chars().take(128).collect();
    rig.ok(&["submit", "--name", &name, "--", "printf", "%s\\n", EVIL]);
    rig.ok(&["submit", "--", "sh", "-c", "printf '%s\\n' \"$0\" >&2; exit 3", EVIL]);
    rig.ok(&["submit", "--", &format!("no-such-{EVIL}")]);
    let mut lines = Vec::new();
    for _ in 0..40 {
        lines.extend((0..60).map(|_| {
            loop {
                let byte = draws.u8(1..);
                if byte != b'\n' {
                    break byte;
                }
            }
        }));
        lines.push(b'\n');
    }
    let said = rig.ganger_with(&["submit", "-a", "-", "--", "echo"], &lines);
    assert_eq!(said.code, 0, "{said:?}");
    let mut screen = Terminal::run(screen(rig.home.path()), 36, 120);
    screen.wait("? help");
    wait_for("the work's end", || (rig.count("done") + rig.count("failed") == 43).then_some(()));
    use Then::{Hides, Shows};
    for (keys, then) in [
        ("2", Shows("1–")),
        ("\r", Shows("─ Task ")),
        // A key right after Escape would be one with Alt.
        ("\u{1b}", Hides("─ Task ")),
        ("jjj\r", Shows("─ Task ")),
        ("\u{1b}", Hides("─ Task ")),
        ("3", Shows("─ Results ")),
        ("", Shows("alpha")),
        ("j\r", Shows("─ Task ")),
        ("\u{1b}", Hides("─ Task ")),
        ("/evil", Shows("/ evil")),
        ("\u{1b}", Hides("/ evil")),
        ("4", Shows("NAME")),
        ("5", Shows("Log of")),
        ("?", Shows("─ Help")),
        ("\u{1b}", Hides("─ Help")),
        ("1", Shows("Throughput")),
    ] {
        screen.press(keys);
        wait_for(&format!("{then:?} after {keys:?}"), || {
            let (text, expected) = match then {
                Shows(text) => (text, true),
                Hides(text) => (text, false),
            };
            (screen.text().contains(text) == expected).then_some(())
        });
    }
    // Pasted text is foreign as well.
    screen.press("i");
    screen.wait("Esc");
    screen.press("\u{1b}[200~echo \u{202e}\u{9b}5m pasted\u{1b}[201~");
    screen.wait("pasted");
    screen.press("\u{1b}");
    wait_for("the form to close", || (!screen.text().contains("pasted")).then_some(()));
    screen.press("q");
    assert_eq!(screen.ended(), 0);
    screen.wait_bytes(0, "the master keeps running");
    screen.assert_given_back();
    let bytes = screen.bytes();
    assert!(bytes.windows(5).any(|window| window == b"blink"), "the hostile text was shown");
    Grammar::check(&bytes, 36, 120).unwrap();
}

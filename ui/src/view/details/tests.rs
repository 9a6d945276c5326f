//! A task's tabs, its output and the log, cell by cell, at three sizes; and what keys do to them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ganger_proto::command::{AttemptRow, Stream};
use ganger_proto::follow::{Followed, Piece as Bytes};
use ganger_proto::{
    BatchOptions, Cwd, Ended, LeaseId, Refusal, Reply, Spec, TaskId, Template, WallMs,
};

use super::*;
use crate::Glyphs;
use crate::link::{Inbound, Outbound};
use crate::model::{Asked, Screen};
use crate::msg::{Effect, Msg};
use crate::sample::{self, NOW, busy, connection, feed, hear, pass, showing};
use crate::text::clean;
use crate::view::tests::{SIZES, draw, press, text as shown};

fn attempt(number: u32, worker: &str, ago_ms: u64, outcome: Outcome) -> AttemptRow {
    let mut ended =
        Ended::bare(LeaseId::default(), outcome, 12_000_000 + u64::from(number) * 100_000);
    ended.usage = Usage { max_rss_kib: 217_088, user_us: 9_810_000, system_us: 440_000 };
    ended.stdout = b"the first bytes\n".to_vec();
    let at = WallMs(NOW.0 - ago_ms);
    AttemptRow { attempt: number, worker: worker.to_owned(), at, ended }
}

/// A task that failed three times on the same worker.
fn failed(task: TaskId) -> TaskDetail {
    let line = Template::from_text("convert in/{n:04}.png -resize 50% out/{n:04}.png").unwrap();
    let mut row = sample::task(task.raw(), TaskState::Failed);
    row.kind = "shell".to_owned();
    row.worker = "foxtrot".to_owned();
    row.submitted = WallMs(NOW.0 - 60_000);
    row.attempt = 3;
    let exit = Outcome::Failed { code: 2 };
    row.outcome = Some(exit);
    let mut spec = Spec::of(Kind::Shell { line });
    spec.timeout_ms = 30_000;
    spec.cwd = Cwd::Directory(b"/srv/img".to_vec());
    spec.env = vec![("LANG".to_owned(), "C".to_owned()), ("TOKEN".to_owned(), "•••".to_owned())];
    TaskDetail {
        row,
        index: 187,
        spec,
        options: BatchOptions { name: "thumbs".to_owned(), retries: 2, ..BatchOptions::default() },
        argument: b"188".to_vec(),
        owner: "operator@ada".to_owned(),
        failures: 3,
        lost: 0,
        attempts: vec![
            attempt(1, "foxtrot", 44_900, exit),
            attempt(2, "foxtrot", 30_700, exit),
            attempt(3, "foxtrot", 14_000, exit),
        ],
    }
}

fn running(task: TaskId) -> TaskDetail {
    let mut detail = failed(task);
    detail.row.state = TaskState::Running;
    detail.row.outcome = None;
    detail.row.attempt = 2;
    detail.row.since = WallMs(NOW.0 - 30_000);
    detail.attempts.truncate(1);
    detail
}

fn bytes(stream: Stream, at: u64, bytes: &[u8]) -> Followed {
    let at = WallMs(NOW.0 - at);
    Followed::Piece(Bytes { stream, offset: 0, skipped: 0, at, bytes: bytes.to_vec() })
}

fn conversation() -> Vec<Followed> {
    let gap = Bytes {
        stream: Stream::Stdout,
        offset: 0,
        skipped: 3_300_000,
        at: WallMs(NOW.0 - 14_100),
        bytes: b"last words\n".to_vec(),
    };
    vec![
        Followed::Attempt { attempt: 3, worker: "foxtrot".to_owned() },
        bytes(Stream::Stdout, 26_000, b"Reading in/0188.png 4032x3024 8-bit sRGB\n"),
        bytes(Stream::Stdout, 25_000, b"\x1b[32mresize\x1b[0m 50% [##--------]  52%\r"),
        bytes(Stream::Stdout, 24_000, b"\x1b[32mresize\x1b[0m 50% [##########] 100%\n"),
        bytes(
            Stream::Stderr,
            15_000,
            b"convert: \x1b[1;31munable to open image\x1b[0m 'out/0188.png': \
              error No such file or directory, which is a long line that no terminal shows whole\n",
        ),
        bytes(Stream::Stderr, 14_900, b"  @ error/blob.c/OpenBlob/2924.\n\x1b]52;c;ZXZpbA==\x07\n"),
        Followed::Piece(gap),
        Followed::Ended { outcome: Some(Outcome::Failed { code: 2 }) },
    ]
}

/// Answers what was asked about tasks, and follows.
fn tell(model: &mut Model, detail: fn(TaskId) -> TaskDetail, said: Vec<Followed>) {
    let asked: Vec<(u64, Asked)> = model.asked.iter().map(|(t, a)| (*t, a.clone())).collect();
    for (tag, asked) in asked {
        if let Asked::Show(task) = asked {
            hear(model, Inbound::Reply { tag, result: Ok(Reply::Task(Box::new(detail(task)))) });
        }
    }
    let tag = model.reading.following.unwrap();
    for followed in said {
        hear(model, Inbound::Followed { tag, result: Ok(followed) });
    }
}

fn list(size: (u16, u16)) -> Model {
    let mut model = showing(size, busy());
    press(&mut model, "2");
    hear(&mut model, Inbound::Picture(Box::new(busy())));
    model
}

fn opened(size: (u16, u16), keys: &str) -> Model {
    let mut model = list(size);
    press(&mut model, "<enter>");
    tell(&mut model, failed, conversation());
    press(&mut model, keys);
    model
}

fn snap(name: &str, model: impl Fn((u16, u16)) -> Model) {
    for size in SIZES {
        let model = model(size);
        let cells = draw(&model, "ansi16", Glyphs::Unicode);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), shown(&cells));
    }
}

#[test]
fn tabs() {
    snap("output", |size| opened(size, ""));
    snap("output_wrapped", |size| opened(size, "w/ERROR<backspace><enter>n"));
    snap("output_searched", |size| opened(size, "x/error"));
    snap("spec", |size| opened(size, "]"));
    snap("attempts", |size| opened(size, "]]k"));
    snap("timeline", |size| opened(size, "["));
}

#[test]
fn a_task_that_runs() {
    snap("running", |size| {
        let mut model = list(size);
        press(&mut model, "<enter>");
        let attempt = Followed::Attempt { attempt: 2, worker: "foxtrot".to_owned() };
        tell(&mut model, running, vec![attempt, bytes(Stream::Stdout, 1_000, b"one\nhalf a li")]);
        model
    });
    snap("running_timeline", |size| {
        let mut model = list(size);
        press(&mut model, "<enter>[");
        tell(&mut model, running, Vec::new());
        model
    });
    snap("running_attempts", |size| {
        let mut model = list(size);
        press(&mut model, "<enter>]]");
        tell(&mut model, running, Vec::new());
        model
    });
}

#[test]
fn a_pane_below_the_list() {
    snap("pane", |size| {
        let mut model = list(size);
        press(&mut model, "oj");
        if model.reading.following.is_some() {
            tell(&mut model, failed, Vec::new());
            tell(&mut model, failed, conversation());
            press(&mut model, "<tab>/unable<enter>");
        }
        model
    });
}

#[test]
fn nothing_to_read() {
    let waits = |task| {
        let mut detail = failed(task);
        detail.row.state = TaskState::Queued;
        detail.row.outcome = None;
        detail.row.attempt = 0;
        detail.attempts.clear();
        detail
    };
    snap("output_waits", |size| {
        let mut model = list(size);
        press(&mut model, "<enter>");
        tell(&mut model, waits, Vec::new());
        model
    });
    snap("output_silent", |size| {
        let mut model = list(size);
        press(&mut model, "<enter>");
        let said = conversation();
        tell(&mut model, failed, vec![said[0].clone(), said[7].clone()]);
        model
    });
    snap("output_refused", |size| {
        let mut model = list(size);
        press(&mut model, "<enter>");
        tell(&mut model, failed, Vec::new());
        let tag = model.reading.following.unwrap();
        let refusal = Refusal::State("its output was let go to make room for newer".to_owned());
        hear(&mut model, Inbound::Followed { tag, result: Err(refusal) });
        model
    });
    snap("output_lost", |size| {
        let mut model = opened(size, "");
        let reason = "timed out".to_owned();
        hear(&mut model, Inbound::Lost { reason, tries: 1, retry_in_ms: 500 });
        model
    });
}

#[test]
fn plain_and_colourless() {
    let model = opened((80, 24), "");
    let buffer = draw(&model, "mono", Glyphs::Unicode);
    let reset = ratatui::style::Color::Reset;
    assert!(buffer.content.iter().all(|cell| cell.fg == reset && cell.bg == reset));
    for keys in ["", "]", "]]", "["] {
        let buffer = draw(&opened((80, 24), keys), "ansi16", Glyphs::Ascii);
        assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
        assert!(
            !shown(&buffer).contains('?') || keys.is_empty() || shown(&buffer).contains("? help")
        );
    }
    let buffer = draw(&opened((80, 24), "["), "ansi16", Glyphs::Ascii);
    insta::assert_snapshot!("timeline_ascii", shown(&buffer));
}

#[test]
fn what_programs_print_has_its_colours() {
    let buffer = draw(&opened((120, 36), ""), "ansi16", Glyphs::Unicode);
    let red = |cell: &&ratatui::buffer::Cell| cell.fg == ratatui::style::Color::Red;
    let text: String = buffer.content.iter().filter(red).map(|cell| cell.symbol()).collect();
    assert!(text.contains("unable to open image"), "{text}");
}

fn sends(effects: &[Effect]) -> Vec<Outbound> {
    let mut sends = Vec::new();
    for effect in effects {
        if let Effect::Send(outbound) = effect {
            sends.push(outbound.clone());
        }
    }
    sends
}

fn key(model: &mut Model, code: KeyCode) -> Vec<Outbound> {
    sends(&feed(model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE))))
}

#[test]
fn one_output_is_followed_while_it_is_seen() {
    let mut model = list((120, 36));
    let sent = key(&mut model, KeyCode::Enter);
    let task = model.details().unwrap().task;
    let Some(Outbound::Follow { tag, .. }) = sent.last().cloned() else { panic!("{sent:?}") };
    assert!(sent.contains(&Outbound::Follow { tag, task, attempt: None }));
    tell(&mut model, failed, conversation());
    let lost = Inbound::Lost { reason: "cut".to_owned(), tries: 1, retry_in_ms: 500 };
    hear(&mut model, lost);
    assert!(!model.details().unwrap().output.text.is_empty(), "the last lines stay");
    let sent = sends(&hear(&mut model, Inbound::Connected(connection())));
    let again = model.reading.following.unwrap();
    assert!(again != tag && sent.contains(&Outbound::Follow { tag: again, task, attempt: None }));
    let lines = model.details().unwrap().output.text.end();
    let stale = Inbound::Followed { tag, result: Ok(conversation().remove(1)) };
    hear(&mut model, stale);
    assert_eq!(model.details().unwrap().output.text.end(), lines, "an old tag is not heard");
    for followed in conversation() {
        hear(&mut model, Inbound::Followed { tag: again, result: Ok(followed) });
    }
    assert_eq!(model.details().unwrap().output.text.end(), lines, "from the start again");
    let sent = key(&mut model, KeyCode::Esc);
    assert!(sent.contains(&Outbound::Unfollow { tag: again }), "{sent:?}");
}

#[test]
fn the_pane_asks_only_where_the_cursor_rests() {
    let mut model = list((120, 36));
    let asked = |sent: Vec<Outbound>| {
        sent.iter().filter(|sent| matches!(sent, Outbound::Request { .. })).count()
    };
    assert_eq!(asked(key(&mut model, KeyCode::Char('o'))), 1);
    let more: usize = (0..5).map(|_| asked(key(&mut model, KeyCode::Char('j')))).sum();
    assert_eq!(more, 0, "one question at a time");
    tell(&mut model, failed, Vec::new());
    let below = model.reading.below.as_ref().unwrap().details.as_ref().unwrap();
    assert_eq!(Some(below.task), model.tasks.cursor(), "it has caught up");
    press(&mut model, "1");
    assert!(model.reading.following.is_none(), "not followed where it is not seen");
    press(&mut model, "<tab>o");
    assert!(model.toast.as_ref().unwrap().text.contains("screens 2 and 3"));
}

/// The task opened from the pane was another box on the same task, and heard nothing.
#[test]
fn the_pane_and_the_task_opened_from_it_are_followed_in_turn() {
    let mut model = list((120, 36));
    press(&mut model, "oj");
    tell(&mut model, failed, Vec::new());
    tell(&mut model, failed, conversation());
    let in_pane = model.reading.following.unwrap();
    let sent = key(&mut model, KeyCode::Enter);
    let over = model.reading.following.unwrap();
    assert!(over != in_pane && sent.contains(&Outbound::Unfollow { tag: in_pane }), "{sent:?}");
    tell(&mut model, failed, conversation());
    assert_eq!(model.details().unwrap().output.text.end(), 7);
    let sent = key(&mut model, KeyCode::Esc);
    assert!(sent.contains(&Outbound::Unfollow { tag: over }), "{sent:?}");
    assert!(matches!(sent.last(), Some(Outbound::Follow { .. })), "the pane goes on");
}

#[test]
fn neighbours_attempts_and_a_retried_task() {
    let mut model = opened((120, 36), "]");
    let first = model.details().unwrap().task;
    press(&mut model, "}");
    assert_eq!(model.details().unwrap().task, TaskId::new(first.raw() + 1));
    assert_eq!(model.details().unwrap().tab, Tab::Spec, "the tab stays");
    press(&mut model, "{{");
    assert_eq!(model.details().unwrap().task, first);
    assert!(model.toast.as_ref().unwrap().text.contains("the list ends here"));
    tell(&mut model, failed, Vec::new());
    press(&mut model, "]gg<enter>");
    assert_eq!(model.details().unwrap().attempt, Some(1));
    assert_eq!(model.details().unwrap().tab, Tab::Output);
    let before = model.reading.following.unwrap();
    pass(&mut model, 4_000);
    tell(&mut model, running, Vec::new());
    assert_ne!(model.reading.following.unwrap(), before, "it runs again and is followed again");
    press(&mut model, "]]G<enter>");
    assert_eq!(model.details().unwrap().attempt, None, "what runs is the newest");
}

#[test]
fn saved_and_copied_is_plain_text() {
    let mut model = opened((80, 24), "x");
    let save = KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL);
    let effects = feed(&mut model, Msg::Key(save));
    let task = model.details().unwrap().task;
    let stem = format!("ganger-task-{task}-attempt-3");
    let file = crate::save::FileName::Free { stem, extension: "txt" };
    let text = "Reading in/0188.png 4032x3024 8-bit sRGB\nresize 50% [##########] 100%\n\
                … 3.1 MiB not kept …\nlast words\n"
        .to_owned();
    let saved = Effect::Save { file, text: text.clone(), what: "the output".to_owned() };
    assert!(effects.contains(&saved), "{effects:?}");
    let copy = KeyEvent::from(KeyCode::Char('y'));
    assert!(feed(&mut model, Msg::Key(copy)).contains(&Effect::Copy(text)));
    press(&mut model, "]");
    let copy = KeyEvent::from(KeyCode::Char('y'));
    let line = "ganger submit --name thumbs -p 5 --timeout 30s --retries 2 --cwd /srv/img \
                --env LANG=C --env 'TOKEN=•••' \
                --shell 'convert in/{n:04}.png -resize 50% out/{n:04}.png' ::: 188";
    assert_eq!(feed(&mut model, Msg::Key(copy)), [Effect::Copy(line.to_owned())]);
}

#[test]
fn the_log_is_read_like_an_output() {
    snap("log_searched", |size| {
        let mut model = showing(size, busy());
        press(&mut model, "5");
        hear(&mut model, Inbound::Picture(Box::new(busy())));
        press(&mut model, "/seq=4<enter>NNt");
        model
    });
    let mut model = showing((120, 36), busy());
    let mut later = busy();
    for n in 0..3 {
        later
            .log
            .push(format!("2026-03-14T14:32:0{n}.000Z  WARN master: worker golf is lost n={n}"));
    }
    hear(&mut model, Inbound::Picture(Box::new(later.clone())));
    assert!(shown(&draw(&model, "ansi16", Glyphs::Unicode)).contains("5 Log 3!"));
    press(&mut model, "5");
    hear(&mut model, Inbound::Picture(Box::new(later)));
    press(&mut model, "1");
    assert_eq!(model.screen, Screen::Overview);
    assert!(!shown(&draw(&model, "ansi16", Glyphs::Unicode)).contains("3!"), "they were looked at");
    press(&mut model, "5x");
    assert!(model.toast.as_ref().unwrap().text.contains("no streams"));
}

#[test]
fn no_size_is_too_small_and_nothing_hostile_reaches_a_cell() {
    let evil = "\u{1b}]0;x\u{7}\u{202e}abc\u{200b}\u{9b}31m\u{1b}[2J日本\t\u{1b}P1;2|x\n".repeat(9);
    for columns in (1..=130u16).filter(|c| *c < 4 || c.is_multiple_of(13)) {
        for rows in (1..=40u16).filter(|r| *r < 9 || r.is_multiple_of(6)) {
            for keys in ["", "w/b", "]", "]]", "["] {
                let mut model = list((columns, rows));
                press(&mut model, "<enter>");
                tell(&mut model, failed, vec![bytes(Stream::Stdout, 0, evil.as_bytes())]);
                press(&mut model, keys);
                let cells = draw(&model, "ansi16", Glyphs::Unicode);
                for cell in &cells.content {
                    assert_eq!(cell.symbol(), clean(cell.symbol()));
                }
            }
            let mut model = list((columns, rows));
            press(&mut model, "o<tab>jkG");
            draw(&model, "ansi16", Glyphs::Unicode);
        }
    }
}

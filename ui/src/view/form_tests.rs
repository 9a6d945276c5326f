//! The injection form and what lies over it, cell by cell, at three sizes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::tests::{SIZES, draw, press, text};
use crate::Glyphs;
use crate::model::Model;
use crate::model::form::{Field, FormKind, Source, Wanted};
use crate::msg::{Effect, Msg};
use crate::sample::{busy, connection, feed, hear, showing};

/// Presses an arrow with Alt.
fn alt(model: &mut Model, code: KeyCode) {
    feed(model, Msg::Key(KeyEvent::new(code, KeyModifiers::ALT)));
}

/// Empties the field that is typed in.
fn clear(model: &mut Model) {
    press(model, "<end>");
    ctrl(model, 'u');
}

/// Fills a field and leaves the cursor in it.
fn fill(model: &mut Model, field: Field, text: &str) {
    model.form.focus = field;
    clear(model);
    press(model, text);
}

/// Presses a letter with Ctrl.
pub(crate) fn ctrl(model: &mut Model, letter: char) {
    feed(model, Msg::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)));
}

fn check(name: &str, prepare: impl Fn(&mut Model)) {
    for size in SIZES {
        let mut model = showing(size, busy());
        prepare(&mut model);
        let buffer = draw(&model, "ansi16", Glyphs::Unicode);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text(&buffer));
    }
}

#[test]
fn templates_are_saved_and_chosen() {
    let saved = |model: &mut Model| {
        for (name, command) in [("thumbs", "convert {n:04}.png"), ("backup", "./backup {}")] {
            press(model, "i");
            model.form = Default::default();
            press(model, command);
            ctrl(model, 's');
            press(model, name);
            press(model, "<enter><esc>");
        }
        press(model, "i");
    };
    check("template_save", |model| {
        press(model, "iecho {}");
        ctrl(model, 's');
        press(model, "night");
    });
    check("template_menu", |model| {
        saved(model);
        ctrl(model, 'o');
        press(model, "<down>");
    });
    let mut model = showing((80, 24), busy());
    saved(&mut model);
    ctrl(&mut model, 'o');
    press(&mut model, "<down><enter>");
    assert_eq!(model.form.text(Field::Command), "convert {n:04}.png");
    ctrl(&mut model, 'o');
    press(&mut model, "a");
    assert_eq!(model.form.text(Field::Command), "./backup {}");
    assert_eq!(model.kept.templates.len(), 2);
}

/// A form with every field filled in.
fn filled(model: &mut Model) {
    press(model, "i");
    fill(model, Field::Command, "convert in/{n:04}.png -resize 50% out/{n:04}.png");
    model.form.source = Source::Range;
    for (field, text) in [
        (Field::Range, "1..500"),
        (Field::Priority, "5"),
        (Field::Timeout, "30s"),
        (Field::Retries, "3"),
        (Field::Backoff, "2s..60s"),
        (Field::Queue, "thumbs"),
        (Field::NotBefore, "22:00"),
        (Field::Key, "thumbs-24"),
        (Field::Env, "STAGE=prod QUALITY=80"),
        (Field::Cwd, "/srv/img"),
        (Field::Name, "thumbs of today"),
    ] {
        fill(model, field, text);
    }
}

#[test]
fn every_field_is_seen_with_its_label_where_it_is_typed() {
    check("form_filled", filled);
    check("form_queue", |model| {
        filled(model);
        model.form.focus = Field::Queue;
    });
    let mut model = showing((40, 10), busy());
    filled(&mut model);
    for field in model.form.fields() {
        model.form.focus = field;
        let buffer = draw(&model, "ansi16", Glyphs::Unicode);
        let typed = model.form.text(field).chars().rev().take(8).collect::<Vec<_>>();
        let typed: String = typed.into_iter().rev().collect();
        assert!(text(&buffer).contains(&typed), "{field:?}:\n{}", text(&buffer));
    }
}

#[test]
fn errors_stand_below_their_fields() {
    check("form_errors", |model| {
        filled(model);
        fill(model, Field::Env, "STAGE");
        fill(model, Field::Retries, "many");
        fill(model, Field::Backoff, "5m..1s");
    });
    check("form_list_error", |model| {
        press(model, "i");
        model.form.kind = FormKind::Square;
        feed(model, Msg::Paste("1\n2\n\nthree\n5\n6\n7\n8".to_owned()));
        press(model, "<f5>");
    });
}

#[test]
fn a_file_is_read_when_it_was_named_and_again_when_it_is_sent() {
    let wanted = Wanted::File("hosts.txt".to_owned());
    let lines = |count: u32| (0..count).map(|_| &b"db"[..]).collect();
    let named = |model: &mut Model| {
        press(model, "i");
        fill(model, Field::Command, "./backup {}");
        model.form.source = Source::File;
        fill(model, Field::File, "hosts.txt");
    };
    let tab = || Msg::Key(KeyEvent::from(KeyCode::Tab));
    let f5 = || Msg::Key(KeyEvent::from(KeyCode::F(5)));
    let mut model = showing((120, 36), busy());
    named(&mut model);
    assert!(feed(&mut model, tab()).contains(&Effect::Read(wanted.clone())));
    assert!(feed(&mut model, tab()).is_empty(), "it is asked for once");
    feed(&mut model, Msg::WasRead(wanted.clone(), Ok(lines(12))));
    assert_eq!(model.form.checked.as_ref().unwrap().args.count(), 12);
    assert!(feed(&mut model, f5()).contains(&Effect::Read(wanted.clone())));
    assert!(model.submissions.is_empty(), "not before it was read again");
    feed(&mut model, Msg::WasRead(wanted.clone(), Ok(lines(13))));
    assert_eq!(model.submissions[0].batch.args.count(), 13);
    assert!(model.overlays.is_empty());

    press(&mut model, "i");
    feed(&mut model, f5());
    press(&mut model, "x");
    feed(&mut model, Msg::WasRead(wanted.clone(), Ok(lines(14))));
    assert_eq!(model.submissions.len(), 1, "a key after F5 calls it off");

    check("form_file", |model| {
        named(model);
        feed(model, tab());
        feed(model, Msg::WasRead(wanted.clone(), Ok(lines(12_340))));
        model.form.focus = Field::File;
    });
    check("form_glob", |model| {
        press(model, "i");
        fill(model, Field::Command, "gzip -9 {}");
        model.form.source = Source::Glob;
        fill(model, Field::Glob, "logs/*.lgo");
        feed(model, tab());
        let why = "no name fits logs/*.lgo; this looks on the screen's own machine".to_owned();
        feed(model, Msg::WasRead(Wanted::Glob("logs/*.lgo".to_owned()), Err(why)));
    });
}

#[test]
fn forms_from_before_are_recalled_without_their_secrets() {
    let sent = |model: &mut Model| {
        for (command, env) in [("echo one", ""), ("./deploy", "TOKEN=s3cret")] {
            press(model, "i");
            fill(model, Field::Command, command);
            fill(model, Field::Env, env);
            press(model, "<f5>");
        }
        press(model, "i");
        model.form = Default::default();
        press(model, "<esc>i");
    };
    let mut model = showing((120, 36), busy());
    sent(&mut model);
    press(&mut model, "<up>");
    assert_eq!(model.form.text(Field::Command), "./deploy");
    assert_eq!(model.form.text(Field::Env), "TOKEN=***");
    assert!(model.form.checked.is_err(), "the value must be typed again");
    press(&mut model, "<up>");
    assert_eq!(model.form.text(Field::Command), "echo one");
    press(&mut model, "<up>");
    assert_eq!(model.form.text(Field::Command), "echo one", "the oldest stays");
    press(&mut model, "<down><down>");
    assert_eq!((model.form.text(Field::Command), model.form.history.at), ("", 0));
    press(&mut model, "half done");
    alt(&mut model, KeyCode::Up);
    alt(&mut model, KeyCode::Down);
    assert_eq!(model.form.text(Field::Command), "half done", "what was typed comes back");
    let kept = format!("{:?}", model.kept);
    assert!(!kept.contains("s3cret"), "{kept}");
    check("form_recalled", |model| {
        sent(model);
        press(model, "<up>");
    });
}

#[test]
fn a_draft_is_kept_when_the_form_is_left_and_taken_up_in_the_next_run() {
    let mut model = showing((80, 24), busy());
    press(&mut model, "i");
    fill(&mut model, Field::Command, "make all");
    fill(&mut model, Field::Env, "KEY=s3cret");
    let effects = feed(&mut model, Msg::Key(KeyEvent::from(KeyCode::Esc)));
    let keep = effects.into_iter().find_map(|effect| {
        let Effect::Keep(kept) = effect else { return None };
        Some(kept)
    });
    let mut next = showing((80, 24), busy());
    next.kept = *keep.unwrap();
    press(&mut next, "i");
    assert_eq!(next.form.text(Field::Command), "make all");
    assert_eq!(next.form.text(Field::Env), "KEY=***");
    fill(&mut next, Field::Env, "");
    press(&mut next, "<f5>");
    assert_eq!(next.kept.draft, None, "it was sent");
    assert_eq!(next.kept.forms.len(), 1);
    press(&mut model, "i");
    assert_eq!(model.form.text(Field::Env), "KEY=s3cret", "this run still knows it");
}

#[test]
fn a_key_that_was_used_adds_nothing_and_a_part_sent_twice_is_no_such_key() {
    use crate::link::Inbound;
    use ganger_proto::{BatchId, Reply};
    let duplicate = |model: &mut Model| {
        let tag = *model.asked.keys().next_back().unwrap();
        let reply = Reply::Submitted { batch: BatchId::new(7), tasks: 1, duplicate: true };
        hear(model, Inbound::Reply { tag, result: Ok(reply) });
        model.toast.as_ref().unwrap().text.clone()
    };
    let mut model = showing((80, 24), busy());
    press(&mut model, "itrue");
    fill(&mut model, Field::Key, "abc");
    press(&mut model, "<f5>");
    let key = ganger_proto::Key::new(0xba78_16bf_8f01_cfea_4141_40de_5dae_2223);
    assert_eq!(model.last_batch.as_ref().unwrap().batch.key, Some(key), "as `--key abc`");
    assert!(duplicate(&mut model).contains("used before, for batch b7"));
    assert!(model.undo.is_none() && model.submissions.is_empty());
    press(&mut model, "i<f5>");
    hear(&mut model, Inbound::Lost { reason: "cut".to_owned(), tries: 1, retry_in_ms: 500 });
    hear(&mut model, Inbound::Connected(connection()));
    assert!(duplicate(&mut model).starts_with("queued 1"), "the first try was heard");
}

#[test]
fn the_editor_gets_the_command_or_the_list_and_gives_it_back() {
    let edit = |model: &mut Model| {
        let key = KeyEvent::new(KeyCode::Char('e'), KeyModifiers::CONTROL);
        match feed(model, Msg::Key(key)).first() {
            Some(Effect::Edit(text)) => text.clone(),
            other => panic!("{other:?}"),
        }
    };
    let mut model = showing((80, 24), busy());
    press(&mut model, "imake");
    assert_eq!(edit(&mut model), "make");
    feed(&mut model, Msg::Edited(Ok("make\nmake install\n".to_owned())));
    assert_eq!(model.form.text(Field::Command), "make\nmake install");
    feed(&mut model, Msg::Paste("a\nb".to_owned()));
    assert_eq!(edit(&mut model), "a\nb");
    feed(&mut model, Msg::Edited(Ok("a\nb\nc\n".to_owned())));
    assert_eq!(model.form.checked.as_ref().unwrap().args.count(), 3);
    feed(&mut model, Msg::Edited(Err("the editor `x` cannot be found".to_owned())));
    assert_eq!(model.form.list.filled().count(), 3);
}

#[test]
fn a_copy_of_a_task_fills_the_form() {
    check("form_prefilled", |model| {
        press(model, "2");
        hear(model, crate::link::Inbound::Picture(Box::new(busy())));
        press(model, "<enter>");
        crate::update::tests::answer(model);
        let detail = model.overlays.iter().find_map(|overlay| {
            let crate::model::overlay::Overlay::Details(details) = overlay else { return None };
            details.detail.clone()
        });
        press(model, "<esc>");
        crate::update::prefill(model, &detail.unwrap());
        assert_eq!(model.form.checked.as_ref().unwrap().args.count(), 1);
    });
}

#[test]
fn the_quick_line_says_what_it_will_do_and_remembers() {
    let mut model = showing((80, 24), busy());
    press(&mut model, "aecho one<enter>a12<enter>a<up>");
    let shown = |model: &Model| text(&draw(model, "ansi16", Glyphs::Unicode));
    assert!(shown(&model).contains("add 12   → squares it"), "{}", shown(&model));
    press(&mut model, "<up>");
    assert!(shown(&model).contains("add echo one   → one shell task"), "{}", shown(&model));
    press(&mut model, "<up><down><down>{n:x}");
    assert!(shown(&model).contains("✗ "), "{}", shown(&model));
}

#[test]
fn a_list_that_is_too_long_is_not_kept_and_that_is_said() {
    let mut model = showing((80, 24), busy());
    press(&mut model, "iwc {}");
    let long = "x".repeat(999);
    feed(&mut model, Msg::Paste([long.as_str(); 100].join("\n")));
    press(&mut model, "<f5>");
    assert_eq!(model.kept.forms.len(), 1);
    assert!(model.kept.forms[0].values().all(|text| text.len() < 999));
    press(&mut model, "i");
    alt(&mut model, KeyCode::Up);
    let toast = &model.toast.as_ref().unwrap().text;
    assert!(toast.contains("too long to be kept"), "{toast}");
}

#[test]
fn a_file_of_bad_lines_names_the_first_one() {
    let mut model = showing((80, 24), busy());
    press(&mut model, "i");
    model.form.kind = FormKind::Square;
    model.form.source = Source::File;
    fill(&mut model, Field::File, "n");
    feed(&mut model, Msg::Key(KeyEvent::from(KeyCode::Tab)));
    let lines = ["1", " 2 ", "18446744073709551615", "x"].map(str::as_bytes).into_iter().collect();
    feed(&mut model, Msg::WasRead(Wanted::File("n".to_owned()), Ok(lines)));
    let errors = model.form.checked.as_ref().unwrap_err();
    assert_eq!(errors[0], (Field::File, "line 4: `x` is not a whole number".to_owned()));
}

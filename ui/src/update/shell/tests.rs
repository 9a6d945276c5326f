//! The palette and its commands as plain functions: keys in, effects out.

use ganger_proto::{Filter, TaskState};

use super::*;
use crate::link::Outbound;
use crate::model::{Access, LinkState, Screen};
use crate::msg::Msg;
use crate::sample::{busy, connection, empty, feed, showing};
use crate::view::tests::press;

fn ready() -> Model {
    showing((120, 36), busy())
}

/// Types a line into the palette, presses Enter, and returns what is asked of the master.
fn ask_for(model: &mut Model, line: &str) -> Vec<Request> {
    press(model, ":");
    press(model, line);
    let enter = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Enter);
    let mut requests = Vec::new();
    for effect in feed(model, Msg::Key(enter)) {
        if let Effect::Send(Outbound::Request { request, .. }) = effect {
            requests.push(request);
        }
    }
    requests
}

fn palette_error(model: &Model) -> &str {
    match model.overlays.last() {
        Some(Overlay::Palette(palette)) => &palette.error,
        _ => "",
    }
}

fn chosen(model: &Model) -> &str {
    match model.overlays.last() {
        Some(Overlay::Palette(palette)) => palette.chosen().map_or("", |found| &found.label),
        _ => "no palette",
    }
}

#[test]
fn a_few_letters_find_an_action_and_enter_does_it() {
    let mut model = ready();
    press(&mut model, ":resu<enter>");
    assert_eq!((model.screen, model.overlays.len()), (Screen::Results, 0));
    press(&mut model, ":frz<enter>");
    assert!(model.view.frozen.is_some());
    assert_eq!(model.kept.commands, ["freeze", "show-results"]);
}

#[test]
fn screens_are_left_the_way_they_were_entered() {
    let mut model = ready();
    press(&mut model, "2");
    assert_eq!(model.screen, Screen::Tasks);
    press(&mut model, "`");
    assert_eq!(model.screen, Screen::Overview);
    press(&mut model, "`");
    assert_eq!(model.screen, Screen::Tasks);
    press(&mut model, "5q");
    assert_eq!(model.screen, Screen::Overview);
    let q = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char('q'));
    assert!(feed(&mut model, Msg::Key(q)).contains(&Effect::Leave));
}

#[test]
fn commands_become_requests() {
    let check = |line: &str, expected: &str| {
        let mut model = ready();
        let asked = format!("{:?}", ask_for(&mut model, line));
        assert!(asked.contains(expected), "{line}: {asked} {}", palette_error(&model));
        assert!(model.kept.commands.contains(&line.trim().to_owned()), "{line} is remembered");
    };
    check("goto 60498", "Show { task: TaskId(60498) }");
    check("goto #7", "Show { task: TaskId(7) }");
    check("pause default", "Pause { queue");
    check("resume default", "Resume { queue");
    check("undrain echo", "Undrain { worker");
}

#[test]
fn what_cannot_be_done_is_told_in_the_palette() {
    let check = |line: &str, expected: &str| {
        let mut model = ready();
        assert_eq!(ask_for(&mut model, line), [], "{line}");
        let error = palette_error(&model);
        assert!(error.contains(expected), "{line}: {error}");
        assert!(model.kept.commands.is_empty(), "{line} is not remembered");
    };
    check("goto x", "`x` is not a task's id");
    check("goto ", "ID is missing: goto ID");
    check("goto 1 2", "`2` is too much");
    check("filter sate:done", "not a key");
    check("cancel ", "FILTER is missing");
    check("priority 5", "FILTER is missing: priority N FILTER");
    check("priority high state:queued", "`high` is not a priority");
    check("priority 99999 state:queued", "not a priority");
    check("drain ", "WORKER is missing");
    check("pause nowhere", "there is no queue `nowhere`; the queues are default");
    check("theme zzz", "there is no theme `zzz`");
    check("join ghost", "`ghost` is not a role");
    check("zzzz", "nothing is called so");
}

#[test]
fn bulk_commands_are_counted_and_asked() {
    let check = |line: &str, verb: &str| {
        let mut model = ready();
        let asked = ask_for(&mut model, line);
        assert!(!asked.is_empty(), "{line}");
        assert!(asked.iter().all(|request| matches!(request, Request::List { .. })), "{asked:?}");
        let Some(Overlay::Confirm(question)) = model.overlays.last() else { panic!("{line}") };
        assert_eq!(question.title, format!("{verb} all that match"), "{line}");
    };
    check("cancel state:queued", "Cancel");
    check("retry state:failed batch:b3", "Retry");
    check("delete state:done", "Delete");
    check("priority -5 queue:mail", "Set the priority of");
}

#[test]
fn files_and_the_mouse_are_asked_for_by_name() {
    let check = |line: &str, expected: &str| {
        let mut model = ready();
        press(&mut model, "2:");
        press(&mut model, line);
        let enter = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Enter);
        let effects = format!("{:?}", feed(&mut model, Msg::Key(enter)));
        assert!(effects.contains(expected), "{line}: {effects} {}", palette_error(&model));
    };
    check("screenshot svg", "Screenshot { format: Svg, file: Free");
    check("screenshot text my shot.txt", "Given(\"my shot.txt\")");
    check("export csv", "List { filter");
    check("mouse off", "Mouse(Terminal)");
}

#[test]
fn a_filter_is_put_on_the_list_by_text_or_by_name() {
    let mut model = ready();
    model.kept.filters.insert("broken".to_owned(), "state:failed kind:shell".to_owned());
    ask_for(&mut model, "filter broken");
    assert_eq!(
        (model.screen, model.tasks.filter_text.as_str()),
        (Screen::Tasks, "state:failed kind:shell")
    );
    ask_for(&mut model, "filter state:done");
    assert_eq!(model.tasks.filter, Filter::parse("state:done").unwrap());
    assert_ne!(
        model.tasks.filter,
        Filter::of(ganger_proto::filter::Test::State(vec![TaskState::Failed]))
    );
}

#[test]
fn a_theme_is_seen_while_it_is_chosen_and_esc_brings_the_old_one_back() {
    let mut model = ready();
    let of = |name: &str| crate::Theme::named(name).unwrap();
    press(&mut model, ":theme n");
    assert_eq!((chosen(&model), model.theme()), ("nord", Some(&of("nord"))));
    press(&mut model, "<esc>");
    assert_eq!(model.theme(), Some(&of("ansi16")));
    press(&mut model, ":theme <down><down>");
    assert_eq!(model.theme(), Some(&of("mono")));
    press(&mut model, "<enter>");
    assert_eq!((model.theme(), model.kept.theme.as_deref()), (Some(&of("mono")), Some("mono")));
}

#[test]
fn tab_fills_in_and_up_brings_back() {
    let mut model = ready();
    let line = |model: &Model| match model.overlays.last() {
        Some(Overlay::Palette(palette)) => palette.line.text().to_owned(),
        _ => String::new(),
    };
    press(&mut model, ":them<tab>");
    assert_eq!(line(&model), "theme ");
    press(&mut model, "gru<tab>");
    assert_eq!(line(&model), "theme gruvbox-dark");
    press(&mut model, "<enter>");
    press(&mut model, ":prio<down><down><down><down><esc>");
    press(&mut model, ":priority 5 sta<tab>fai<tab><enter>");
    assert_eq!(model.kept.commands[0], "priority 5 state:failed");
    press(&mut model, "<esc>");
    press(&mut model, ":<up>");
    assert_eq!(line(&model), "priority 5 state:failed");
    press(&mut model, "<up><up><up>");
    assert_eq!(line(&model), "theme gruvbox-dark");
    press(&mut model, "<down><down>");
    assert_eq!(line(&model), "");
}

#[test]
fn commands_fit_the_help() {
    for command in COMMANDS {
        assert!(command.about.len() <= 35 && command.usage().len() <= 21, "{}", command.usage());
        assert!(command.least <= command.arguments.len());
    }
}

#[test]
fn remembered_commands_are_few() {
    let mut model = ready();
    for i in 0..70 {
        ask_for(&mut model, &format!("goto {i}"));
        press(&mut model, "<esc>");
    }
    assert_eq!(model.kept.commands.len(), 50);
    assert_eq!(model.kept.commands[0], "goto 69");
}

#[test]
fn a_read_only_screen_changes_nothing() {
    let keys = ["I", "aecho<enter>", "2c", "2r", "2+", "4D", "4X", "P", "W", "J<enter>"];
    let lines = ["cancel state:queued", "add echo", "drain alpha", "pause default", "join worker"];
    let mut model = ready();
    model.access = Access::ReadOnly;
    for keys in keys {
        press(&mut model, keys);
        press(&mut model, "<esc><esc>");
    }
    for line in lines {
        assert_eq!(ask_for(&mut model, line), [], "{line}");
        assert!(palette_error(&model).contains("read-only"), "{line}");
        press(&mut model, "<esc>");
    }
    let is_look = |asked: &Asked| matches!(asked, Asked::Show(_));
    assert!(model.asked.values().all(is_look), "{:?}", model.asked);
    assert!(model.submissions.is_empty());
    let mut model = showing((120, 36), empty());
    model.access = Access::ReadOnly;
    model.welcome = crate::model::WelcomeToken::Unasked;
    model.asked.clear();
    feed(&mut model, Msg::Second);
    assert!(model.asked.is_empty(), "no token is made");
    model.link = LinkState::Up(connection());
    press(&mut model, ":theme nord<enter>");
    assert_eq!(model.kept.theme.as_deref(), Some("nord"), "looks are no change");
}

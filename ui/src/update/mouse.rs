//! What the mouse does: a click selects or presses, a second one opens, the wheel scrolls what is
//! under it. Where things lie is the view's affair; see mouse.rs.

use super::{keys, lists};
use crate::keymap::{Action, keys as key_table};
use crate::model::overlay::Overlay;
use crate::model::{Model, Screen, Tone};
use crate::mouse::{Capture, Gesture, Hit, Pointed};
use crate::msg::Effect;

/// Two clicks within this are one double click.
const DOUBLE_MS: u64 = 400;
/// Rows that one notch of the wheel moves.
const NOTCH: i64 = 3;

pub(super) fn pointed(model: &mut Model, pointed: Pointed, out: &mut Vec<Effect>) {
    let (rows, action) = match pointed.gesture {
        Gesture::Click => return clicked(model, pointed, out),
        Gesture::WheelUp => (-NOTCH, Action::Up),
        Gesture::WheelDown => (NOTCH, Action::Down),
    };
    if let Some(pane) = pointed.pane {
        model.pane = pane;
    }
    let is_covered = pointed.on == Some(Hit::Overlay);
    if is_covered && !scrolls(model) {
        return;
    }
    match model.list_mut() {
        Some(list) if !is_covered => list.scroll_by(rows),
        // What is over the lists knows its own keys best.
        Some(_) | None => (0..NOTCH).for_each(|_| keys::act(model, action, out)),
    }
}

/// Tells whether the keys of the place that has them now scroll.
fn scrolls(model: &Model) -> bool {
    let contexts = model.contexts();
    let here = |place: &[_]| place.iter().any(|context| contexts.contains(context));
    key_table().any(|binding| binding.action == Action::Down && here(binding.contexts))
}

/// A tab leads to its screen, whatever lies over the one before.
fn tab(model: &mut Model, screen: Screen) {
    model.overlays.clear();
    keys::show(model, screen);
}

/// Gives the mouse to the other one of the screen and the terminal.
pub(super) fn toggle(model: &mut Model, out: &mut Vec<Effect>) {
    let other = match model.outside.capture {
        Capture::Screen => Capture::Terminal,
        Capture::Terminal => Capture::Screen,
    };
    set_mouse(model, other, out);
}

/// Gives the mouse to the screen or to the terminal, and says what that means.
pub(crate) fn set_mouse(model: &mut Model, capture: Capture, out: &mut Vec<Effect>) {
    model.outside.capture = capture;
    out.push(Effect::Mouse(capture));
    model.say(
        Tone::Note,
        match capture {
            Capture::Screen => "clicks and the wheel work here again; % lets the terminal select",
            Capture::Terminal => "the terminal selects text; % gives the mouse back",
        },
    );
}

fn clicked(model: &mut Model, pointed: Pointed, out: &mut Vec<Effect>) {
    let Pointed { pane, on, .. } = pointed;
    if matches!(on, Some(Hit::Overlay)) {
        return;
    }
    // What lies below the lines that are typed is free to be clicked; an unreadable filter keeps
    // the last one that could be read.
    if !matches!(on, Some(Hit::Key(_))) {
        let typed = |overlay: &Overlay| matches!(overlay, Overlay::Filter(_) | Overlay::Quick(_));
        model.overlays.retain(|overlay| !typed(overlay));
    }
    if let Some(pane) = pane {
        model.pane = pane;
    }
    let now = model.now.mono_ms;
    let twice = model.outside.clicked.take().is_some_and(|(at_ms, before)| {
        now.saturating_sub(at_ms) <= DOUBLE_MS && Some(&before) == on.as_ref()
    });
    if !twice {
        model.outside.clicked = on.clone().map(|on| (now, on));
    }
    match on {
        Some(Hit::Key(action)) => keys::act(model, action, out),
        Some(Hit::Tab(screen)) => tab(model, screen),
        Some(Hit::Task(task)) => {
            if let Some(list) = model.list_mut() {
                list.select(task);
            }
            if twice {
                keys::act(model, Action::Open, out);
            }
        }
        Some(Hit::Worker(name)) => {
            model.worker = Some(name);
            if twice {
                keys::act(model, Action::OpenWorker, out);
            }
        }
        Some(Hit::Title(title)) => lists::sort_by_title(model, title),
        Some(Hit::Pane(_) | Hit::Overlay) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    use ganger_proto::TaskId;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::Glyphs;
    use crate::link::Inbound;
    use crate::model::Pane;
    use crate::msg::Msg;
    use crate::sample::{busy, feed, hear, pass, showing};
    use crate::theme::Theme;
    use crate::view::tests::{draw, press};

    const CLICK: MouseEventKind = MouseEventKind::Down(MouseButton::Left);

    /// Does something with the mouse where `text` is drawn first.
    fn point(model: &mut Model, kind: MouseEventKind, text: &str) -> Vec<Effect> {
        let (width, height) = model.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        let theme = Theme::named("ansi16").unwrap();
        let drawn = crate::view::view(model, &theme, Glyphs::Unicode, &mut buffer);
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<Vec<_>>();
        let place = (0..height).find_map(|y| {
            let cells = line(y);
            (0..cells.len()).find(|x| cells[*x..].concat().starts_with(text)).map(|x| (x, y))
        });
        let (column, row) = place.unwrap_or_else(|| panic!("{text} is not drawn"));
        let modifiers = KeyModifiers::NONE;
        let event = MouseEvent { kind, column: column as u16, row, modifiers };
        let Some(pointed) = drawn.hits.pointed(event) else { return Vec::new() };
        let effects = feed(model, Msg::Mouse(pointed));
        hear(model, Inbound::Picture(Box::new(busy())));
        effects
    }

    #[test]
    fn a_click_on_a_title_sorts_and_another_turns_it_round() {
        let mut model = showing((120, 36), busy());
        press(&mut model, "2");
        hear(&mut model, Inbound::Picture(Box::new(busy())));
        let sort = |model: &Model| model.tasks.sorted_by().map(crate::model::sorting::words);
        point(&mut model, CLICK, "PRI");
        assert_eq!(sort(&model).as_deref(), Some("priority falling"));
        pass(&mut model, 1_000);
        point(&mut model, CLICK, "PRI");
        assert_eq!(sort(&model).as_deref(), Some("priority rising"));
        point(&mut model, CLICK, "COMMAND");
        assert_eq!(sort(&model).as_deref(), Some("priority rising"), "no task is sorted by that");
    }

    #[test]
    fn a_click_selects_and_a_second_one_opens() {
        let mut model = showing((120, 36), busy());
        point(&mut model, CLICK, "60 531");
        assert_eq!(model.pane, Pane::Tasks);
        assert_eq!(model.next.cursor(), Some(TaskId::new(60_531)));
        pass(&mut model, 2_000);
        point(&mut model, CLICK, "60 531");
        assert!(model.overlays.is_empty(), "two slow clicks are two clicks");
        point(&mut model, CLICK, "60 531");
        let Some(Overlay::Details(details)) = model.overlays.last() else { panic!("opens") };
        assert_eq!(details.task, TaskId::new(60_531));
        point(&mut model, CLICK, "Workers");
        assert_eq!((model.screen, model.overlays.len()), (Screen::Workers, 0));
        point(&mut model, CLICK, "bravo");
        assert_eq!(model.worker_row().unwrap().name.as_str(), "bravo");
    }

    #[test]
    fn a_click_moves_no_row() {
        let mut model = showing((120, 36), busy());
        point(&mut model, CLICK, "Tasks");
        press(&mut model, &"j".repeat(35));
        let top = model.tasks.top();
        assert!(top > 0);
        point(&mut model, CLICK, "60 550");
        assert_eq!((model.tasks.top(), model.tasks.cursor()), (top, Some(TaskId::new(60_550))));
    }

    #[test]
    fn the_wheel_scrolls_what_is_under_it() {
        let mut model = showing((120, 36), busy());
        let before = model.next.top();
        point(&mut model, MouseEventKind::ScrollDown, "60 531");
        assert_eq!((model.pane, model.next.top()), (Pane::Tasks, before + 2));
        point(&mut model, MouseEventKind::ScrollUp, "60 531");
        point(&mut model, MouseEventKind::ScrollUp, "60 531");
        assert_eq!((model.next.top(), model.next.selected), (0, None), "and is live again");
        press(&mut model, "?");
        point(&mut model, MouseEventKind::ScrollDown, "Everywhere");
        assert!(matches!(model.overlays.last(), Some(Overlay::Help(help)) if help.scroll.0 == 3));
        press(&mut model, "<esc>i");
        let rows = (model.next.top(), model.next.selected);
        point(&mut model, MouseEventKind::ScrollDown, "60 531");
        assert_eq!((model.next.top(), model.next.selected), rows, "a form covers the list");
    }

    #[test]
    fn footer_keys_and_buttons_are_pressed() {
        let mut model = showing((120, 36), busy());
        point(&mut model, CLICK, "? help");
        assert!(matches!(model.overlays.last(), Some(Overlay::Help(_))));
        point(&mut model, CLICK, "Everywhere");
        assert_eq!(model.overlays.len(), 1, "what is only read is not pressed");
        press(&mut model, "<esc>2");
        hear(&mut model, Inbound::Picture(Box::new(busy())));
        press(&mut model, "c");
        assert!(matches!(model.overlays.last(), Some(Overlay::Confirm(_))));
        point(&mut model, CLICK, "Cancel (n)");
        assert!(model.overlays.is_empty());
        press(&mut model, "c");
        let effects = point(&mut model, CLICK, "Stop (y)");
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Send(_))), "{effects:?}");
    }

    #[test]
    fn the_terminal_gets_the_mouse_and_gives_it_back() {
        let mut model = showing((80, 24), busy());
        let effects = press_one(&mut model, '%');
        assert_eq!(effects, [Effect::Mouse(Capture::Terminal)]);
        let toast = &model.toast.as_ref().unwrap().text;
        assert_eq!(toast, "the terminal selects text; % gives the mouse back");
        assert_eq!(press_one(&mut model, '%'), [Effect::Mouse(Capture::Screen)]);
        draw(&model, "ansi16", Glyphs::Unicode);
    }

    fn press_one(model: &mut Model, c: char) -> Vec<Effect> {
        use crossterm::event::{KeyCode, KeyEvent};
        feed(model, Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)))
    }
}

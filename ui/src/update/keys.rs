//! Keys: looked up in the one table, then done by the screen or overlay they are about.

use crossterm::event::KeyEvent;

use super::scroll::{Move, scroll};
use super::{
    confirm, copy, details, files, filter, help, identities, inject, join, lists, marks, menu,
    mouse, palette, reader, save, shell, tasks, worker, workers,
};
use crate::keymap::{Action, Context, Meaning};
use crate::link::Outbound;
use crate::model::filter_line::Turn;
use crate::model::overlay::Overlay;
use crate::model::{Model, Pane, Screen, Tone, allowed};
use crate::msg::Effect;

pub(super) fn key(model: &mut Model, key: KeyEvent, out: &mut Vec<Effect>) {
    let contexts = model.contexts();
    let prefix = model.prefix.take();
    match model.keymap.meaning(&contexts, prefix, key) {
        Meaning::Prefix(prefix) => model.prefix = Some(prefix),
        Meaning::Action(action) => act(model, action, out),
        Meaning::Nothing => {
            let takes = |context: &Context| context.takes_text() || *context == Context::Menu;
            if contexts.first().is_some_and(takes) {
                typed(model, key, out);
            }
        }
    }
}

/// A key that means nothing where text is typed is text, or moves its cursor.
fn typed(model: &mut Model, key: KeyEvent, out: &mut Vec<Effect>) {
    if model.reading.search_line.is_some() {
        return reader::search_key(model, key);
    }
    if join::is_copy(model, key) {
        return copy(model, out);
    }
    match model.overlays.last_mut() {
        Some(Overlay::Inject) => inject::typed(model, key),
        Some(Overlay::Quick(quick)) => quick.line.key(key),
        Some(Overlay::Filter(_)) => filter::key(model, key),
        Some(Overlay::Join(dialog)) => join::typed(dialog, key),
        Some(Overlay::Confirm(question)) => {
            if let Some(typed) = &mut question.typed {
                typed.line.key(key);
            }
        }
        Some(Overlay::Menu(_)) => menu::typed(model, key, out),
        Some(Overlay::Save(save)) => save.line.key(key),
        Some(Overlay::Palette(_)) => palette::typed(model, |line| line.key(key)),
        Some(Overlay::Help(open)) => help::typed(open, |line| line.key(key)),
        Some(
            Overlay::Details(_) | Overlay::Worker(_) | Overlay::Identities(_) | Overlay::Note(_),
        )
        | None => {}
    }
}

pub(super) fn paste(model: &mut Model, text: &str) {
    if model.reading.search_line.is_some() {
        return reader::search_paste(model, text);
    }
    match model.overlays.last_mut() {
        Some(Overlay::Inject) => inject::paste(model, text),
        Some(Overlay::Quick(quick)) => quick.line.paste(text),
        Some(Overlay::Filter(line)) => {
            line.line.paste(text);
            filter::typed(model);
        }
        Some(Overlay::Join(dialog)) => {
            if let Some(line) = dialog.line_mut() {
                line.paste(text);
            }
        }
        Some(Overlay::Confirm(question)) => {
            if let Some(typed) = &mut question.typed {
                typed.line.paste(text);
            }
        }
        Some(Overlay::Save(save)) => save.line.paste(text),
        Some(Overlay::Palette(_)) => palette::typed(model, |line| line.paste(text)),
        Some(Overlay::Help(open)) => help::typed(open, |line| line.paste(text)),
        Some(
            Overlay::Details(_)
            | Overlay::Menu(_)
            | Overlay::Worker(_)
            | Overlay::Identities(_)
            | Overlay::Note(_),
        ) => {}
        None => {
            let hint = "press i first, then paste: every line becomes a task";
            model.say(Tone::Note, hint);
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a table: one arm with one call for each action")]
pub(super) fn act(model: &mut Model, action: Action, out: &mut Vec<Effect>) {
    if let Some(reason) = allowed::reason(model, action) {
        return model.say(Tone::Note, reason);
    }
    use Action as A;
    match action {
        A::ShowOverview => show(model, Screen::Overview),
        A::ShowTasks => show(model, Screen::Tasks),
        A::ShowResults => show(model, Screen::Results),
        A::ShowWorkers => show(model, Screen::Workers),
        A::ShowLog => show(model, Screen::Log),
        A::ShowPrevious => show(model, model.previous),
        A::NextPane => pane(model, Step::Next),
        A::PreviousPane => pane(model, Step::Previous),
        A::Up => scroll(model, Move::Rows(-1)),
        A::Down => scroll(model, Move::Rows(1)),
        A::PageUp => scroll(model, Move::Pages(-2)),
        A::PageDown => scroll(model, Move::Pages(2)),
        A::HalfUp => scroll(model, Move::Pages(-1)),
        A::HalfDown => scroll(model, Move::Pages(1)),
        A::First => scroll(model, Move::First),
        A::Last => scroll(model, Move::Last),
        A::Open => details::open(model, out),
        A::Back => back(model),
        A::Filter => filter::open(model),
        A::Help => help::open(model),
        A::Inject => inject::open(model),
        A::Again => inject::again(model),
        A::Quick => model.overlays.push(Overlay::Quick(Default::default())),
        A::Undo => inject::undo(model, out),
        A::Freeze => freeze(model),
        A::Zoom => zoom(model),
        A::PauseQueue => tasks::pause(model, out),
        A::Copy => copy(model, out),
        A::JoinDialog => join::open(model),
        A::StartWorker => workers::start_local(model, out),
        A::Redraw => out.push(Effect::Redraw),
        A::Suspend => out.push(Effect::Suspend),
        A::Quit => quit(model, out),
        A::Mark => marks::toggle(model),
        A::Retry => tasks::retry(model, out),
        A::Cancel => tasks::cancel(model, out),
        A::PriorityUp => tasks::priority(model, 1, out),
        A::PriorityDown => tasks::priority(model, -1, out),
        A::Drain => workers::drain(model, out),
        A::Revoke => workers::revoke(model),
        A::Submit => inject::submit(model, out),
        A::Accept => accept(model, out),
        A::Yes => confirm::yes(model, out),
        A::No => drop(model.overlays.pop()),
        A::NextField => field(model, Step::Next),
        A::PreviousField => field(model, Step::Previous),
        A::RetryNow => {
            out.push(Effect::Send(Outbound::RetryNow));
            model.say(Tone::Note, "trying again");
        }
        A::Search if help::is_open(model) => help::find(model),
        A::MarkRange
        | A::MarkAll
        | A::MarkInvert
        | A::SortBy
        | A::SortReverse
        | A::StateChip
        | A::RetryAll
        | A::Delete
        | A::EditCopy
        | A::GoWorker
        | A::GoBatch
        | A::GoTask
        | A::CopyJson
        | A::SaveView
        | A::Columns => lists::act(model, action, out),
        A::DetailsPane
        | A::NextTab
        | A::PreviousTab
        | A::Wrap
        | A::Times
        | A::Streams
        | A::NextMatch
        | A::PreviousMatch
        | A::PreviousTask
        | A::NextTask
        | A::Search
        | A::Follow
        | A::SaveOutput => reader::act(model, action, out),
        A::Identities => identities::open(model, out),
        A::OpenWorker | A::MoreSlots | A::FewerSlots | A::Why => workers::act(model, action, out),
        A::Editor | A::SaveTemplate | A::LoadTemplate | A::Older | A::Newer => {
            inject::act(model, action, out);
        }
        A::Palette | A::Complete => shell::act(model, action, out),
        A::Mouse => mouse::toggle(model, out),
        A::Screenshot => files::draw(model, out),
    }
}

#[derive(Clone, Copy)]
pub(super) enum Step {
    Next,
    Previous,
}

pub(super) fn show(model: &mut Model, screen: Screen) {
    if model.screen != screen {
        model.previous = model.screen;
        model.screen = screen;
        // The rows here are another list's; the next picture has the right ones.
        if let Some(picture) = &mut model.picture
            && matches!(model.link, crate::model::LinkState::Up(_))
        {
            picture.tasks = None;
            picture.results = None;
        }
    }
}

fn pane(model: &mut Model, step: Step) {
    if model.details().is_some() {
        return reader::next_pane(model, step);
    }
    reader::enter_pane(model);
    const ORDER: [Pane; 3] = [Pane::Workers, Pane::Tasks, Pane::Results];
    if model.screen == Screen::Overview && !model.is_welcome() {
        let zoomed = model.view.zoomed.is_some();
        let shown = |pane: &Pane| zoomed || model.has_room(*pane);
        let panes: Vec<Pane> = ORDER.into_iter().filter(shown).collect();
        let now = model.pane_in_view();
        let at = panes.iter().position(|pane| *pane == now).unwrap_or(0);
        let by = match step {
            Step::Next => 1,
            Step::Previous => panes.len().saturating_sub(1),
        };
        model.pane = panes.get((at + by) % panes.len().max(1)).copied().unwrap_or(now);
        if model.view.zoomed.is_some() {
            model.view.zoomed = Some(model.pane);
        }
    }
}

/// Undoes exactly one step.
fn back(model: &mut Model) {
    if reader::search_leave(model) {
        return;
    }
    if matches!(model.overlays.last(), Some(Overlay::Filter(_))) {
        filter::clear(model);
        model.overlays.pop();
        return;
    }
    if matches!(model.overlays.last(), Some(Overlay::Help(_))) {
        return help::back(model);
    }
    if matches!(model.overlays.last(), Some(Overlay::Inject)) {
        inject::leave(model);
    }
    if model.overlays.pop().is_some() || model.view.zoomed.take().is_some() {
        return;
    }
    if reader::leave_pane(model) || files::stop(model) {
        return;
    }
    if model.view.frozen.is_some() {
        return freeze(model);
    }
    if let Some(list) = model.list_mut() {
        if !list.marks.is_empty() {
            return list.marks.clear();
        }
        if !list.filter_text.is_empty() {
            return filter::clear(model);
        }
        if list.can_be_live() && list.selected.is_some() {
            return list.go_first();
        }
    }
    if model.toast.take().is_none() {
        show(model, Screen::Overview);
    }
}

/// Steps back; at the bottom, leaves. The master keeps running.
fn quit(model: &mut Model, out: &mut Vec<Effect>) {
    let at_bottom = model.screen == Screen::Overview && model.view.zoomed.is_none();
    if at_bottom || !model.is_up() {
        out.push(Effect::Leave);
    } else if model.view.zoomed.take().is_none() {
        show(model, Screen::Overview);
    }
}

fn freeze(model: &mut Model) {
    if model.view.frozen.take().is_some() {
        if let Some(held) = model.held.take() {
            super::inbound::take_picture(model, held);
        }
        return model.say(Tone::Note, "following again");
    }
    model.view.frozen = Some(model.master_now());
    model.say(Tone::Note, "frozen; work goes on behind this picture, f follows again");
}

fn zoom(model: &mut Model) {
    model.view.zoomed = match (model.screen, model.view.zoomed) {
        (Screen::Overview, None) => Some(model.pane_in_view()),
        _ => None,
    };
}

fn accept(model: &mut Model, out: &mut Vec<Effect>) {
    if model.reading.search_line.is_some() {
        return reader::search_accept(model);
    }
    match model.overlays.last() {
        Some(Overlay::Filter(_)) => filter::accept(model),
        Some(Overlay::Quick(_)) => inject::accept_quick(model),
        Some(Overlay::Confirm(_)) => confirm::accept(model, out),
        Some(Overlay::Join(_)) => join::mint(model, out),
        Some(Overlay::Menu(_)) => menu::accept(model, out),
        Some(Overlay::Save(_)) => save::accept(model, out),
        Some(Overlay::Palette(_)) => palette::accept(model, out),
        Some(Overlay::Help(_)) => help::accept(model),
        Some(Overlay::Worker(_)) => worker::open_task(model, out),
        Some(Overlay::Inject | Overlay::Details(_) | Overlay::Identities(_) | Overlay::Note(_))
        | None => {}
    }
}

fn field(model: &mut Model, step: Step) {
    match model.overlays.last_mut() {
        Some(Overlay::Inject) => inject::field(&mut model.form, step),
        Some(Overlay::Join(dialog)) => join::field(dialog, step),
        Some(Overlay::Confirm(question)) => confirm::other_button(question),
        Some(Overlay::Filter(_)) => filter::complete(
            model,
            match step {
                Step::Next => Turn::Forward,
                Step::Previous => Turn::Back,
            },
        ),
        Some(
            Overlay::Quick(_)
            | Overlay::Help(_)
            | Overlay::Details(_)
            | Overlay::Menu(_)
            | Overlay::Save(_)
            | Overlay::Palette(_)
            | Overlay::Worker(_)
            | Overlay::Identities(_)
            | Overlay::Note(_),
        )
        | None => {}
    }
}

fn copy(model: &mut Model, out: &mut Vec<Effect>) {
    if model.overlays.is_empty() && !model.is_welcome() && copy::open(model) {
        return;
    }
    match tasks::to_copy(model) {
        Some(text) => out.push(Effect::Copy(text)),
        None => model.say(Tone::Note, "there is nothing to copy here"),
    }
}

//! What lies where on the drawn screen, and what the mouse did there. The view notes the places as
//! it draws, so nothing computes them twice; what a click does is in update/mouse.rs.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ganger_proto::{Name, TaskId};
use ratatui::layout::{Position, Rect};

use crate::keymap::Action;
use crate::model::{Pane, Screen};

/// Something that the mouse can be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// A screen's tab.
    Tab(Screen),
    /// A box of the overview; rows and titles lie on it.
    Pane(Pane),
    /// The title of a column.
    Title(&'static str),
    /// A row of a list of tasks or results.
    Task(TaskId),
    /// A row of the list of workers.
    Worker(Name),
    /// A key of the footer, or a button.
    Key(Action),
    /// What an overlay covers: nothing below it can be clicked.
    Overlay,
}

/// What was drawn where; later places lie over earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    places: Vec<(Rect, Hit)>,
}

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gesture {
    /// The left button went down.
    Click,
    /// The wheel turned away from the person.
    WheelUp,
    /// The wheel turned towards the person.
    WheelDown,
}

/// A gesture with what it was on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointed {
    pub(crate) gesture: Gesture,
    /// The overview's box below it.
    pub(crate) pane: Option<Pane>,
    /// The nearest thing besides the box.
    pub(crate) on: Option<Hit>,
}

/// Who gets the mouse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Capture {
    /// The screen: clicks select.
    #[default]
    Screen,
    /// The terminal, which selects text with it.
    Terminal,
}

impl Hits {
    /// Notes that `hit` was drawn at `area`.
    pub(crate) fn note(&mut self, area: Rect, hit: Hit) {
        if !area.is_empty() {
            self.places.push((area, hit));
        }
    }

    /// Returns what an event of the terminal was on; nothing for events that have no meaning here.
    pub(crate) fn pointed(&self, event: MouseEvent) -> Option<Pointed> {
        let gesture = match event.kind {
            MouseEventKind::Down(MouseButton::Left) => Gesture::Click,
            MouseEventKind::ScrollUp => Gesture::WheelUp,
            MouseEventKind::ScrollDown => Gesture::WheelDown,
            MouseEventKind::Down(MouseButton::Right | MouseButton::Middle)
            | MouseEventKind::Up(_)
            | MouseEventKind::Drag(_)
            | MouseEventKind::Moved
            | MouseEventKind::ScrollLeft
            | MouseEventKind::ScrollRight => return None,
        };
        let at = Position { x: event.column, y: event.row };
        let mut pointed = Pointed { gesture, pane: None, on: None };
        for (_, hit) in self.places.iter().rev().filter(|(area, _)| area.contains(at)) {
            match hit {
                Hit::Pane(pane) => pointed.pane = Some(*pane),
                Hit::Tab(_)
                | Hit::Title(_)
                | Hit::Task(_)
                | Hit::Worker(_)
                | Hit::Key(_)
                | Hit::Overlay => {
                    pointed.on.get_or_insert_with(|| hit.clone());
                }
            }
            if matches!(hit, Hit::Pane(_) | Hit::Overlay) {
                break;
            }
        }
        Some(pointed)
    }
}

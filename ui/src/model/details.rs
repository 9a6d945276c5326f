//! One task in full, over the screen or as a pane below its list: which tab, which attempt, what
//! was heard. What keys do to it is in update/.

use ganger_proto::command::{AttemptRow, TaskDetail};
use ganger_proto::{TaskId, TaskState};

use super::Model;
use super::field::Line;
use super::output::{Output, State};
use super::overlay::{Overlay, Scroll};
use super::reader::Look;
use crate::keymap::Context;
use crate::layout;

/// One task in full.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) task: TaskId,
    pub(crate) detail: Option<Box<TaskDetail>>,
    pub(crate) error: String,
    pub(crate) tab: Tab,
    /// The attempt whose output is shown; the newest when none was chosen.
    pub(crate) attempt: Option<u32>,
    pub(crate) output: Output,
    /// The tag it was last followed with.
    pub(crate) followed: Option<u64>,
    /// Of the tabs that are not the output.
    pub(crate) scroll: Scroll,
    /// The row of the attempts that keys are about; beyond the last until the task is known.
    pub(crate) row: usize,
}

impl Details {
    pub(crate) fn new(task: TaskId, tab: Tab) -> Self {
        Self {
            task,
            detail: None,
            error: String::new(),
            tab,
            attempt: None,
            output: Output::default(),
            followed: None,
            scroll: Scroll::default(),
            row: usize::MAX,
        }
    }

    /// Tells whether how the shown attempt ended is known.
    pub(crate) fn has_end(&self) -> bool {
        self.shown_attempt().is_some() && !matches!(self.output.state, State::Asked | State::Open)
    }

    /// Returns what was recorded of the attempt whose output is shown.
    pub(crate) fn shown_attempt(&self) -> Option<&AttemptRow> {
        let detail = self.detail.as_ref()?;
        detail.attempts.iter().find(|attempt| attempt.attempt == self.output.attempt)
    }

    /// Returns how many attempts there are to choose from: the recorded ones and the one that runs.
    pub(crate) fn attempts(&self) -> usize {
        let runs = |detail: &TaskDetail| detail.row.state == TaskState::Running;
        let count = |d: &TaskDetail| d.attempts.len() + usize::from(runs(d));
        self.detail.as_deref().map_or(0, count)
    }

    /// Tells whether the task has ended, as far as is known.
    pub(crate) fn has_ended(&self) -> bool {
        self.detail.as_ref().is_some_and(|detail| detail.row.state.is_end())
    }
}

/// A part of the details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    #[default]
    Output,
    Spec,
    Attempts,
    Timeline,
}

impl Tab {
    pub(crate) const ALL: [Self; 4] = [Self::Output, Self::Spec, Self::Attempts, Self::Timeline];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Output => "Output",
            Self::Spec => "Spec",
            Self::Attempts => "Attempts",
            Self::Timeline => "Timeline",
        }
    }
}

/// The details below a list.
#[derive(Debug)]
pub(crate) struct Below {
    /// None while the list has no task under its cursor.
    pub(crate) details: Option<Box<Details>>,
    pub(crate) keys: Keys,
}

/// Which of list and pane has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keys {
    #[default]
    List,
    Pane,
}

/// What is read, over the screens and below their lists.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The details below the list, when they are open.
    pub(crate) below: Option<Below>,
    /// How output is shown.
    pub(crate) look: Look,
    /// The words searched for in an output or the log, while they are typed.
    pub(crate) search_line: Option<Line>,
    /// The tag of the output that is followed at the master; one at a time.
    pub(crate) following: Option<u64>,
    /// The task whose details make way for its neighbour in the list.
    pub(crate) stepping: Option<TaskId>,
}

impl Overlay {
    pub(crate) fn details_mut(&mut self) -> Option<&mut Details> {
        if let Self::Details(details) = self { Some(details) } else { None }
    }
}

impl Model {
    /// Returns where keys are looked up while something is searched or details have the keys, when
    /// only so many overlays are open.
    pub(super) fn contexts_of_reading(&self, overlays: usize) -> Option<Vec<Context>> {
        if self.reading.search_line.is_some() {
            return Some(vec![Context::Search]);
        }
        let is_over = overlays > 0;
        let details = self.details_at(overlays).filter(|_| self.is_up() || is_over)?;
        let reader = (details.tab == Tab::Output).then_some(Context::Reader);
        let screen = (!is_over).then_some(Context::Screen);
        Some(reader.into_iter().chain([Context::Details]).chain(screen).collect())
    }

    /// Returns the details that keys are about.
    pub(crate) fn details(&self) -> Option<&Details> {
        self.details_at(self.overlays.len())
    }

    /// Returns the details that keys are about when only so many overlays are open.
    pub(crate) fn details_at(&self, overlays: usize) -> Option<&Details> {
        if let Some(over) = self.overlays[..overlays].last() {
            return if let Overlay::Details(details) = over { Some(details) } else { None };
        }
        let below = self.reading.below.as_ref().filter(|below| below.keys == Keys::Pane)?;
        below.details.as_deref().filter(|_| self.has_pane())
    }

    pub(crate) fn details_mut(&mut self) -> Option<&mut Details> {
        let in_pane = self.pane_has_keys();
        match &mut self.reading.below {
            Some(below) if in_pane => below.details.as_deref_mut(),
            Some(_) | None => self.overlays.last_mut().and_then(Overlay::details_mut),
        }
    }

    /// Tells whether keys are about the pane below the list.
    pub(crate) fn pane_has_keys(&self) -> bool {
        let in_pane = self.reading.below.as_ref().is_some_and(|below| below.keys == Keys::Pane);
        in_pane && self.overlays.is_empty() && self.has_pane()
    }

    /// Tells whether the pane below the list is drawn.
    pub(crate) fn has_pane(&self) -> bool {
        self.reading.below.is_some()
            && layout::details_pane(&layout::frame(self.size), self).is_some()
    }

    /// Returns the details that are seen, whoever has the keys.
    pub(crate) fn details_seen(&mut self) -> Option<&mut Details> {
        let has_pane = self.has_pane();
        let over = self.overlays.iter_mut().rev().find_map(Overlay::details_mut);
        over.or_else(|| self.reading.below.as_mut().filter(|_| has_pane)?.details.as_deref_mut())
    }

    /// Returns all that are open, seen or not.
    pub(crate) fn all_details(&mut self) -> impl Iterator<Item = &mut Details> {
        let over = self.overlays.iter_mut().filter_map(Overlay::details_mut);
        over.chain(self.reading.below.as_mut().and_then(|below| below.details.as_deref_mut()))
    }
}

//! All that the screen knows: the last picture, where the cursor is, what is open, what was asked.
//! Changes only in update/; is drawn by view/.

pub(crate) mod allowed;
mod answer;
mod asked;
pub(crate) mod bulk;
pub(crate) mod command_line;
pub(crate) mod details;
pub(crate) mod export;
pub(crate) mod field;
pub(crate) mod filter_line;
pub(crate) mod form;
mod form_choice;
pub(crate) mod form_read;
pub(crate) mod kept_form;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod looks;
pub(crate) mod marks;
pub(crate) mod menu;
pub(crate) mod output;
pub(crate) mod outside;
pub(crate) mod overlay;
pub(crate) mod palette;
pub(crate) mod parse;
pub(crate) mod preview;
pub(crate) mod reader;
pub(crate) mod save;
pub(crate) mod sorting;
pub(crate) mod submission;
pub(crate) mod timeline;
mod toast;
mod token;
mod watch;

use std::collections::{BTreeMap, VecDeque};

use crokey::KeyCombination;
use ganger_proto::picture::{Order, ResultRow, TaskRow, WorkerRow};
use ganger_proto::{Name, Picture, QueueName, WallMs, Watch};

use crate::keep::Kept;
use crate::keymap::{Context, Keymap};
use crate::layout;
use crate::link::Connection;
use crate::msg::Moment;
pub use allowed::Access;
pub(crate) use asked::Asked;
use bulk::Tally;
use details::Reading;
use export::Export;
use form::Form;
use list::List;
use log::Log;
use looks::Looks;
use outside::Outside;
use overlay::Overlay;
use submission::{Batch, Submission};
pub(crate) use toast::{TOAST_MS, Toast, Tone, Undo, UndoOf};
pub(crate) use token::{Minted, WelcomeToken};

/// The screen's state.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) now: Moment,
    /// Columns and rows.
    pub(crate) size: (u16, u16),
    pub(crate) home: String,
    /// Minutes that the local time is ahead of UTC; none when unknown.
    pub(crate) utc_offset_min: Option<i32>,
    pub(crate) link: LinkState,
    pub(crate) picture: Option<Box<Picture>>,
    /// When the picture came, on the monotonic clock.
    pub(crate) picture_ms: u64,
    /// Pictures are not taken while the screen is frozen.
    pub(crate) view: ViewMode,
    pub(crate) screen: Screen,
    pub(crate) previous: Screen,
    pub(crate) pane: Pane,
    pub(crate) next: List,
    pub(crate) latest: List,
    pub(crate) tasks: List,
    pub(crate) results: List,
    pub(crate) worker: Option<Name>,
    pub(crate) log: Log,
    pub(crate) reading: Reading,
    pub(crate) overlays: Vec<Overlay>,
    pub(crate) form: Form,
    pub(crate) toast: Option<Toast>,
    pub(crate) undo: Option<Undo>,
    /// The bulk action whose tasks are being counted.
    pub(crate) tally: Option<Tally>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    pub(crate) tag: u64,
    /// The first is being sent; at most [`SUBMISSIONS_MAX`] wait.
    pub(crate) submissions: VecDeque<Submission>,
    pub(crate) last_batch: Option<LastBatch>,
    pub(crate) welcome: WelcomeToken,
    /// The newest picture, while the screen is frozen.
    pub(crate) held: Option<Box<Picture>>,
    pub(crate) watch_sent: Option<Watch>,
    /// Counts the watches sent.
    pub(crate) watch_number: u64,
    /// What is remembered between runs.
    pub(crate) kept: Kept,
    /// What of it has been given to be written.
    pub(crate) kept_sent: Kept,
    pub(crate) prefix: Option<KeyCombination>,
    pub(crate) keymap: Keymap,
    pub(crate) looks: Looks,
    pub(crate) access: Access,
    pub(crate) outside: Outside,
    pub(crate) export: Option<Export>,
}

/// Batches that may wait to be sent.
pub(crate) const SUBMISSIONS_MAX: usize = 16;

/// How the connection is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LinkState {
    /// The first dial has not ended.
    Dialling,
    Up(Connection),
    Lost {
        reason: String,
        tries: u32,
        /// When the next dial is, on the monotonic clock.
        retry_at_ms: u64,
    },
    Refused(String),
}

/// Whether the picture follows and how much of the overview is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ViewMode {
    pub(crate) frozen: Option<WallMs>,
    pub(crate) zoomed: Option<Pane>,
}

/// One of the five screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    Overview,
    Tasks,
    Results,
    Workers,
    Log,
}

/// One of the overview's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pane {
    Workers,
    Tasks,
    Results,
}

/// What `I` puts in again.
#[derive(Clone, Debug)]
pub(crate) struct LastBatch {
    pub(crate) batch: Batch,
    /// Random values are drawn afresh, unless a seed was given.
    pub(crate) random: Option<parse::Random>,
}

impl Model {
    pub(crate) fn new(size: (u16, u16), home: String, utc_offset_min: Option<i32>) -> Self {
        Self {
            now: Moment::default(),
            size,
            home: crate::text::clean(&home),
            utc_offset_min,
            link: LinkState::Dialling,
            picture: None,
            picture_ms: 0,
            view: ViewMode::default(),
            screen: Screen::Overview,
            previous: Screen::Tasks,
            pane: Pane::Workers,
            next: List::new(Order::Next),
            latest: List::new(Order::Latest),
            tasks: List::new(list::BY_ID),
            results: List::new(Order::Latest),
            worker: None,
            log: Log::default(),
            reading: Reading::default(),
            overlays: Vec::new(),
            form: Form::default(),
            toast: None,
            undo: None,
            tally: None,
            asked: BTreeMap::new(),
            tag: 0,
            submissions: VecDeque::new(),
            last_batch: None,
            welcome: WelcomeToken::Unasked,
            held: None,
            watch_sent: None,
            watch_number: 0,
            kept: Kept::default(),
            kept_sent: Kept::default(),
            prefix: None,
            keymap: Keymap::default(),
            looks: Looks::default(),
            access: Access::Full,
            outside: Outside::default(),
            export: None,
        }
    }

    /// Tells whether there has never been a task: then the welcome is shown.
    pub(crate) fn is_welcome(&self) -> bool {
        let counts = self.picture.as_ref().map(|p| p.master.counts.total());
        self.screen == Screen::Overview && counts == Some(0) && self.submissions.is_empty()
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.link, LinkState::Up(_))
    }

    /// Returns the list of tasks or results that keys are about.
    pub(crate) fn list(&self) -> Option<&List> {
        match self.focus() {
            Some(Focus::Next) => Some(&self.next),
            Some(Focus::Latest) => Some(&self.latest),
            Some(Focus::Tasks) => Some(&self.tasks),
            Some(Focus::Results) => Some(&self.results),
            Some(Focus::Workers) | None => None,
        }
    }

    pub(crate) fn list_mut(&mut self) -> Option<&mut List> {
        match self.focus() {
            Some(Focus::Next) => Some(&mut self.next),
            Some(Focus::Latest) => Some(&mut self.latest),
            Some(Focus::Tasks) => Some(&mut self.tasks),
            Some(Focus::Results) => Some(&mut self.results),
            Some(Focus::Workers) | None => None,
        }
    }

    /// Returns the list that keys are about.
    pub(crate) fn focus(&self) -> Option<Focus> {
        match self.screen {
            Screen::Overview if self.is_welcome() => Some(Focus::Workers),
            Screen::Overview => Some(match self.pane_in_view() {
                Pane::Workers => Focus::Workers,
                Pane::Tasks => Focus::Next,
                Pane::Results => Focus::Latest,
            }),
            Screen::Tasks => Some(Focus::Tasks),
            Screen::Results => Some(Focus::Results),
            Screen::Workers => Some(Focus::Workers),
            Screen::Log => None,
        }
    }

    /// Returns the overview's pane that keys are about: the chosen one, or the results where the
    /// terminal has no room for that one. Nothing that is not seen can be acted on.
    pub(crate) fn pane_in_view(&self) -> Pane {
        if self.has_room(self.pane) { self.pane } else { Pane::Results }
    }

    /// Tells whether a pane of the overview is drawn.
    pub(crate) fn has_room(&self, pane: Pane) -> bool {
        let frame = layout::frame(self.size);
        let boxes = layout::overview(&frame, self.worker_rows().len(), self.view.zoomed);
        match pane {
            Pane::Workers => boxes.workers.height > 0,
            Pane::Tasks => boxes.tasks.height > 0,
            Pane::Results => boxes.results.height > 0,
        }
    }

    /// Returns where keys are looked up, the nearest place first.
    pub(crate) fn contexts(&self) -> Vec<Context> {
        self.contexts_below(self.overlays.len())
    }

    /// Returns where keys are looked up when only so many overlays are open.
    pub(crate) fn contexts_below(&self, overlays: usize) -> Vec<Context> {
        if let Some(contexts) = self.contexts_of_reading(overlays) {
            return contexts;
        } else if let Some(overlay) = self.overlays[..overlays].last() {
            return vec![overlay.context()];
        } else if !self.is_up() {
            return vec![Context::Lost];
        }
        let mut contexts = Vec::new();
        if self.is_welcome() {
            contexts.push(Context::Welcome);
        }
        match self.focus() {
            Some(Focus::Workers) => contexts.push(Context::Gang),
            Some(Focus::Next | Focus::Latest | Focus::Tasks | Focus::Results) => {
                contexts.push(Context::List);
            }
            None => contexts.push(Context::Reader),
        }
        contexts.push(Context::Screen);
        contexts
    }

    pub(crate) fn task_rows(&self) -> &[TaskRow] {
        let window = self.picture.as_ref().and_then(|picture| picture.tasks.as_ref());
        window.map_or(&[], |window| &window.rows)
    }

    pub(crate) fn result_rows(&self) -> &[ResultRow] {
        let window = self.picture.as_ref().and_then(|picture| picture.results.as_ref());
        window.map_or(&[], |window| &window.rows)
    }

    pub(crate) fn worker_rows(&self) -> &[WorkerRow] {
        let window = self.picture.as_ref().and_then(|picture| picture.workers.as_ref());
        window.map_or(&[], |window| &window.rows)
    }

    /// Returns the worker under the cursor.
    pub(crate) fn worker_row(&self) -> Option<&WorkerRow> {
        let rows = self.worker_rows();
        match &self.worker {
            Some(name) => rows.iter().find(|row| row.name == *name),
            None => rows.first(),
        }
    }

    /// Returns the row of the task under the cursor, when the list is one of tasks.
    pub(crate) fn task_row(&self) -> Option<&TaskRow> {
        let task = self.list()?.cursor()?;
        self.task_rows().iter().find(|row| row.task == task)
    }

    /// Returns the time of the picture as it ages: what the master's clock says about now.
    pub(crate) fn master_now(&self) -> WallMs {
        let at = self.picture.as_ref().map_or(self.now.wall, |picture| picture.at);
        match self.is_up() && self.view.frozen.is_none() {
            true => at.plus(self.now.mono_ms.saturating_sub(self.picture_ms)),
            false => at,
        }
    }

    /// Returns how old the picture is, in milliseconds.
    pub(crate) fn picture_age_ms(&self) -> u64 {
        self.now.mono_ms.saturating_sub(self.picture_ms)
    }

    /// Returns the queue that `P` is about: the selected task's, else `default`.
    pub(crate) fn queue(&self) -> QueueName {
        match self.task_row() {
            Some(row) => row.queue.clone(),
            None => Name::from_lossy("default"),
        }
    }

    pub(crate) fn is_paused(&self, queue: &QueueName) -> bool {
        let queues = self.picture.as_ref().map_or(&[][..], |picture| &picture.queues);
        queues.iter().any(|row| row.name == *queue && row.paused)
    }
}

/// A list that keys are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    Next,
    Latest,
    Tasks,
    Results,
    Workers,
}

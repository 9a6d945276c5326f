//! What lies over a screen: questions, dialogs, details. What keys do to it is in update/.

use ganger_proto::command::TaskDetail;
use ganger_proto::gang::WorkerDetail;
use ganger_proto::{Name, Request, Role, TaskId, TaskState};

use super::field::Line;
use super::submission::Batch;
use super::{Asked, Minted};
use crate::keymap::Context;

/// Something open over the screen; the last one has the keys.
#[derive(Debug)]
pub(crate) enum Overlay {
    Help(Scroll),
    Filter(FilterLine),
    Quick(Line),
    Inject,
    Confirm(Box<Confirm>),
    Join(Box<JoinDialog>),
    Details(Box<Details>),
    Worker(Box<WorkerPage>),
    Note(Box<Note>),
}

impl Overlay {
    pub(crate) fn context(&self) -> Context {
        match self {
            Self::Help(_) => Context::Help,
            Self::Filter(_) => Context::Filter,
            Self::Quick(_) => Context::Quick,
            Self::Inject => Context::Form,
            Self::Confirm(confirm) if confirm.typed.is_some() => Context::Typed,
            Self::Confirm(_) => Context::Confirm,
            Self::Join(_) => Context::Join,
            Self::Details(_) => Context::Details,
            Self::Worker(_) => Context::Worker,
            Self::Note(_) => Context::Note,
        }
    }
}

/// The first line shown of a longer text; the view keeps it within the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scroll(pub(crate) usize);

/// The filter as it is typed.
#[derive(Debug)]
pub(crate) struct FilterLine {
    pub(crate) line: Line,
    pub(crate) error: Option<FilterFault>,
}

/// Why what was typed is no filter yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterFault {
    /// The byte where the unreadable term begins.
    pub(crate) at: usize,
    pub(crate) text: String,
}

/// A question; Cancel is focused until a key says otherwise. What it is about was fixed when it
/// opened.
#[derive(Debug)]
pub(crate) struct Confirm {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    /// The word on the button that does it.
    pub(crate) verb: String,
    pub(crate) focus: Button,
    pub(crate) then: Then,
    pub(crate) typed: Option<Typed>,
}

/// A button of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Button {
    #[default]
    Cancel,
    Go,
}

/// A word that must be typed before the question can be answered with yes.
#[derive(Debug)]
pub(crate) struct Typed {
    pub(crate) expected: String,
    pub(crate) line: Line,
}

impl Typed {
    pub(crate) fn fits(&self) -> bool {
        self.line.text().trim().replace(' ', "") == self.expected
    }
}

/// What a yes does.
#[derive(Debug)]
pub(crate) enum Then {
    Send(Vec<(Request, Asked)>),
    Submit(Box<Batch>),
}

/// The dialog that mints join lines.
#[derive(Debug)]
pub(crate) struct JoinDialog {
    pub(crate) role: Role,
    pub(crate) name: Line,
    pub(crate) uses: Line,
    pub(crate) ttl: Line,
    pub(crate) focus: JoinField,
    pub(crate) error: String,
    pub(crate) minted: Option<Minted>,
    /// The token shown last; it is withdrawn, if nobody used it, when another is made.
    pub(crate) shown: Option<String>,
}

/// A field of the join dialog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum JoinField {
    #[default]
    Role,
    Name,
    Uses,
    Ttl,
}

impl JoinField {
    pub(crate) const ALL: [Self; 4] = [Self::Role, Self::Name, Self::Uses, Self::Ttl];
}

impl JoinDialog {
    pub(crate) fn new() -> Self {
        Self {
            role: Role::Worker,
            name: Line::default(),
            uses: Line::of("1"),
            ttl: Line::of("1h"),
            focus: JoinField::default(),
            error: String::new(),
            minted: None,
            shown: None,
        }
    }

    pub(crate) fn line_mut(&mut self) -> Option<&mut Line> {
        match self.focus {
            JoinField::Role => None,
            JoinField::Name => Some(&mut self.name),
            JoinField::Uses => Some(&mut self.uses),
            JoinField::Ttl => Some(&mut self.ttl),
        }
    }

    /// Reads the name; none when it is left to the joiner.
    pub(crate) fn wished_name(&self) -> Result<Option<Name>, String> {
        match self.name.text().trim() {
            "" => Ok(None),
            text => Name::parse(text).map(Some).map_err(|error| error.to_string()),
        }
    }
}

/// One task in full.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) task: TaskId,
    pub(crate) detail: Option<Box<TaskDetail>>,
    pub(crate) error: String,
    pub(crate) scroll: Scroll,
}

/// One worker in full.
#[derive(Debug)]
pub(crate) struct WorkerPage {
    pub(crate) worker: Name,
    pub(crate) detail: Option<Box<WorkerDetail>>,
    pub(crate) error: String,
    /// The line under the cursor.
    pub(crate) line: usize,
    /// The task that stands there.
    pub(crate) task: Option<TaskId>,
}

impl WorkerPage {
    pub(crate) const fn new(worker: Name) -> Self {
        Self { worker, detail: None, error: String::new(), line: 0, task: None }
    }
}

/// Why a task is where it is.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) task: TaskId,
    /// Its state; none before the answer, or when there is none.
    pub(crate) state: Option<TaskState>,
    /// The reasons or a refusal, as sentences.
    pub(crate) reasons: Vec<String>,
    pub(crate) scroll: Scroll,
}

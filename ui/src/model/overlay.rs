//! What lies over a screen: questions, dialogs, details. What keys do to it is in update/.

use ganger_proto::gang::WorkerDetail;
use ganger_proto::identity::IdentityRow;
use ganger_proto::{Name, Request, Role, TaskId, TaskState};

use super::details::Details;
use super::field::Line;
use super::filter_line::FilterLine;
use super::menu::Menu;
use super::palette::Palette;
use super::save::SaveLine;
use super::submission::Batch;
use super::{Asked, Minted};
use crate::keymap::Context;

/// Something open over the screen; the last one has the keys.
#[derive(Debug)]
pub(crate) enum Overlay {
    Help(Box<Help>),
    Filter(Box<FilterLine>),
    Quick(Box<QuickLine>),
    Inject,
    Confirm(Box<Confirm>),
    Join(Box<JoinDialog>),
    Details(Box<Details>),
    Palette(Box<Palette>),
    Menu(Box<Menu>),
    Save(Box<SaveLine>),
    Worker(Box<WorkerPage>),
    Identities(Box<IdentitiesPage>),
    Note(Box<Note>),
}

impl Overlay {
    pub(crate) fn context(&self) -> Context {
        match self {
            Self::Help(help) if help.search == HelpSearch::Typed => Context::Search,
            Self::Help(_) => Context::Help,
            Self::Filter(_) => Context::Filter,
            Self::Quick(_) => Context::Quick,
            Self::Inject => Context::Form,
            Self::Confirm(confirm) if confirm.typed.is_some() => Context::Typed,
            Self::Confirm(_) => Context::Confirm,
            Self::Join(_) => Context::Join,
            Self::Details(_) => Context::Details,
            Self::Palette(_) => Context::Palette,
            Self::Menu(_) => Context::Menu,
            Self::Save(_) => Context::Save,
            Self::Worker(_) => Context::Worker,
            Self::Identities(_) => Context::Identities,
            Self::Note(_) => Context::Note,
        }
    }
}

/// The first line shown of a longer text; the view keeps it within the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scroll(pub(crate) usize);

/// The help: how far it is scrolled, and what is looked for in it.
#[derive(Debug, Default)]
pub(crate) struct Help {
    pub(crate) scroll: Scroll,
    pub(crate) words: Line,
    pub(crate) search: HelpSearch,
}

/// Whether the help shows only what fits the words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HelpSearch {
    #[default]
    Off,
    /// The words are being typed.
    Typed,
    /// They stay while the rest is read.
    Kept,
}

/// The quick add line as it is typed.
#[derive(Debug, Default)]
pub(crate) struct QuickLine {
    pub(crate) line: Line,
    /// Which of the lines from before it shows, from 1; 0 is what was typed.
    pub(crate) at: usize,
    /// What was typed, while another is shown.
    pub(crate) own: String,
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
    /// Nothing until the master has counted what the bulk action of that number is about.
    Counted(u64),
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

/// Whom the master knows.
#[derive(Debug, Default)]
pub(crate) struct IdentitiesPage {
    /// None until the master has answered.
    pub(crate) rows: Option<Vec<IdentityRow>>,
    /// After which one the next page comes; none when all are here.
    pub(crate) next: Option<(Role, Name)>,
    pub(crate) error: String,
    /// The row under the cursor.
    pub(crate) at: usize,
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

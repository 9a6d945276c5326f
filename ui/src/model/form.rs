//! The injection form: its fields, and what was typed into them. Its choices are in form_choice.rs,
//! what all means together in form_read.rs, what keys do to it in update/inject/.

use std::collections::BTreeMap;
use std::sync::Arc;

use ganger_proto::{ArgForm, ArgList, BatchId, Lane, Template, WallMs, template};

use super::field::{Line, Lines};
pub(crate) use super::form_choice::{ArgKind, FormKind, LANES, Source, lane_word};
use super::form_read::NO_COMMAND;
use super::submission::Batch;

/// A place to type or choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    #[default]
    Kind,
    Source,
    Command,
    /// The handler's name.
    Handler,
    /// Whether its arguments are texts or JSON.
    Form,
    Value,
    List,
    Range,
    Random,
    Repeat,
    File,
    Glob,
    Priority,
    Timeout,
    Retries,
    Backoff,
    Queue,
    NotBefore,
    Key,
    Env,
    Cwd,
    Name,
    Labels,
    Lane,
    Needs,
    On,
    After,
    Jobs,
    Rate,
}

/// The form with what was typed so far.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) kind: FormKind,
    pub(crate) source: Source,
    pub(crate) args: ArgKind,
    /// The lane; that of the handler's configuration, else `cpu`, when not chosen.
    pub(crate) lane: Option<Lane>,
    pub(crate) focus: Field,
    /// One for each of [`Field::LINES`].
    pub(crate) lines: BTreeMap<Field, Line>,
    pub(crate) list: Lines,
    pub(crate) reading: Reading,
    /// Seeds random values until the form is sent, so that the preview is what goes in.
    pub(crate) draw: u64,
    /// The time of day that waits count from, and minutes that the local time is ahead of UTC.
    pub(crate) clock: (WallMs, Option<i32>),
    /// The newest batch, which no batch to wait for can be newer than; none when unknown.
    pub(crate) newest: Option<BatchId>,
    pub(crate) history: History,
    pub(crate) checked: Checked,
}

/// What the fields mean together.
pub(crate) type Checked = Result<Batch, Vec<(Field, String)>>;

/// What the host of the screen is asked for: lines of a file, or names that fit a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    File(String),
    Glob(String),
}

/// How far the reading of a file or of names has come.
#[derive(Clone, Debug, Default)]
pub(crate) enum Reading {
    #[default]
    Unread,
    /// It is being read, for the preview or to be sent at once.
    Asked(Wanted, Purpose),
    Read {
        wanted: Wanted,
        at: WallMs,
        list: Arc<ArgList>,
    },
    Failed(Wanted, String),
}

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Preview,
    Submit,
}

/// Where one is among the forms that were sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Counted from 1, the newest; 0 is the form that is being filled in.
    pub(crate) at: usize,
    /// That form, while another is shown.
    pub(crate) own: Option<Box<Form>>,
    /// Whether the last key was a step in the history.
    pub(crate) stepped: bool,
}

impl Field {
    /// The fields that are a line of text.
    pub(crate) const LINES: [Self; 24] = [
        Self::Command,
        Self::Handler,
        Self::Value,
        Self::Range,
        Self::Random,
        Self::Repeat,
        Self::File,
        Self::Glob,
        Self::Priority,
        Self::Timeout,
        Self::Retries,
        Self::Backoff,
        Self::Queue,
        Self::NotBefore,
        Self::Key,
        Self::Env,
        Self::Cwd,
        Self::Name,
        Self::Labels,
        Self::Needs,
        Self::On,
        Self::After,
        Self::Jobs,
        Self::Rate,
    ];

    /// Tells whether it is a choice among words rather than a text.
    pub(crate) const fn is_choice(self) -> bool {
        matches!(self, Self::Kind | Self::Source | Self::Form | Self::Lane)
    }

    /// Returns the word that it is remembered by.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Source => "source",
            Self::Command => "command",
            Self::Handler => "handler",
            Self::Form => "form",
            Self::Value => "value",
            Self::List => "list",
            Self::Range => "range",
            Self::Random => "random",
            Self::Repeat => "repeat",
            Self::File => "file",
            Self::Glob => "glob",
            Self::Priority => "priority",
            Self::Timeout => "timeout",
            Self::Retries => "retries",
            Self::Backoff => "backoff",
            Self::Queue => "queue",
            Self::NotBefore => "not-before",
            Self::Key => "key",
            Self::Env => "env",
            Self::Cwd => "cwd",
            Self::Name => "name",
            Self::Labels => "labels",
            Self::Lane => "lane",
            Self::Needs => "needs",
            Self::On => "on",
            Self::After => "after",
            Self::Jobs => "jobs",
            Self::Rate => "rate",
        }
    }

    /// Returns what an empty form holds here.
    pub(crate) const fn unset(self) -> &'static str {
        match self {
            Self::Range => "1..100",
            Self::Random => "10:0..10000",
            Self::Repeat => "10",
            Self::Priority | Self::Retries => "0",
            Self::Backoff => "1s..10m",
            Self::Queue => "default",
            Self::Cwd => "worker",
            Self::Kind
            | Self::Source
            | Self::Command
            | Self::Handler
            | Self::Form
            | Self::Value
            | Self::List
            | Self::File
            | Self::Glob
            | Self::Timeout
            | Self::NotBefore
            | Self::Key
            | Self::Env
            | Self::Name
            | Self::Labels
            | Self::Lane
            | Self::Needs
            | Self::On
            | Self::After
            | Self::Jobs
            | Self::Rate => "",
        }
    }
}

impl Default for Form {
    fn default() -> Self {
        let lines = Field::LINES.map(|field| (field, Line::of(field.unset())));
        Self {
            kind: FormKind::default(),
            source: Source::default(),
            args: ArgKind::default(),
            lane: None,
            focus: Field::Command,
            lines: BTreeMap::from(lines),
            list: Lines::default(),
            reading: Reading::default(),
            draw: 0,
            clock: (WallMs(0), None),
            newest: None,
            history: History::default(),
            checked: Err(vec![(Field::Command, NO_COMMAND.to_owned())]),
        }
    }
}

impl Form {
    /// Returns the fields that the choices leave open, from the top.
    pub(crate) fn fields(&self) -> Vec<Field> {
        use Field as F;
        let mut fields = vec![F::Kind, F::Source];
        if self.kind.has_command() {
            fields.push(F::Command);
        }
        if self.kind == FormKind::Handler {
            fields.extend([F::Handler, F::Form]);
        }
        fields.extend(self.source_field());
        fields.extend([F::Priority, F::Timeout, F::Retries, F::Backoff]);
        fields.extend([F::Queue, F::Key, F::NotBefore]);
        fields.extend([F::Lane, F::On, F::Needs, F::Jobs, F::Rate, F::After]);
        if self.kind.has_command() {
            fields.extend([F::Env, F::Labels, F::Cwd, F::Name]);
        } else {
            fields.extend([F::Labels, F::Name]);
        }
        fields
    }

    /// Returns the field that holds the arguments.
    pub(crate) fn source_field(&self) -> Option<Field> {
        match self.source {
            Source::One => self.takes_value().then_some(Field::Value),
            Source::List => Some(Field::List),
            Source::Range => Some(Field::Range),
            Source::Random => Some(Field::Random),
            Source::Repeat => Some(Field::Repeat),
            Source::File => Some(Field::File),
            Source::Glob => Some(Field::Glob),
        }
    }

    /// Tells whether one task has an argument: a command may have one, when it names it.
    fn takes_value(&self) -> bool {
        !self.kind.has_command()
            || !self.text(Field::Value).is_empty()
            || Template::from_text(self.text(Field::Command))
                .is_ok_and(|line| line.has_value(&ArgForm::default()))
    }

    /// Returns what a field holds; nothing for choices and the list.
    pub(crate) fn text(&self, field: Field) -> &str {
        self.lines.get(&field).map_or("", Line::text)
    }

    /// Returns what a field holds, without spaces around it.
    pub(crate) fn trimmed(&self, field: Field) -> &str {
        self.text(field).trim()
    }

    pub(crate) fn set(&mut self, field: Field, text: &str) {
        if let Some(line) = self.lines.get_mut(&field) {
            *line = Line::of(text);
        }
    }

    /// Returns the line that a field edits; none for choices and the list.
    pub(crate) fn line(&self, field: Field) -> Option<&Line> {
        self.lines.get(&field)
    }

    pub(crate) fn line_mut(&mut self, field: Field) -> Option<&mut Line> {
        self.lines.get_mut(&field)
    }

    /// Returns what must be read before the form means something.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        let text = |field| {
            let text = self.trimmed(field);
            (!text.is_empty()).then(|| text.to_owned())
        };
        match self.source {
            Source::File => text(Field::File).map(Wanted::File),
            Source::Glob => text(Field::Glob).map(Wanted::Glob),
            Source::One | Source::List | Source::Range | Source::Random | Source::Repeat => None,
        }
    }
}

impl Reading {
    /// Tells whether `wanted` was read, or is being read.
    pub(crate) fn is_of(&self, wanted: &Wanted) -> bool {
        match self {
            Self::Unread => false,
            Self::Asked(it, _) | Self::Read { wanted: it, .. } | Self::Failed(it, _) => {
                it == wanted
            }
        }
    }
}

/// Returns a word as one types it for a shell.
pub(crate) fn quoted(word: &str) -> String {
    let mut out = Vec::new();
    template::quote(word.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

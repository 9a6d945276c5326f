//! The palette: what was typed, what it may mean, which of it is selected. How it is found and what
//! it does is in update/.

use super::Model;
use super::field::Line;
use crate::keymap::{Action, Context};
use crate::msg::Effect;

/// The palette as it is open.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    pub(crate) line: Line,
    /// What fits, the best first.
    pub(crate) found: Vec<Found>,
    /// Of how many.
    pub(crate) total: usize,
    /// The row chosen; none while what is typed is meant as it stands.
    pub(crate) selected: Option<usize>,
    /// Which of the commands used before stands in the line.
    pub(crate) recalled: Option<usize>,
    /// The command whose arguments are typed.
    pub(crate) command: Option<&'static Command>,
    /// Why the last Enter did nothing.
    pub(crate) error: String,
}

impl Palette {
    /// Returns the row that Enter and Tab are about.
    pub(crate) fn chosen(&self) -> Option<&Found> {
        self.found.get(self.selected?)
    }
}

/// One row of the palette.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) what: What,
    pub(crate) label: String,
    pub(crate) about: String,
    pub(crate) keys: String,
    /// Why it cannot be done at the moment; empty when it can.
    pub(crate) off: String,
    /// The characters of the label that were typed.
    pub(crate) hits: Vec<u32>,
}

/// What a row stands for.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Action(Action, &'static str),
    Command(&'static Command),
    /// A word that the command's argument may be.
    Word(String),
}

/// Something that is typed with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static [Argument],
    /// How many of them must be there.
    pub(crate) least: usize,
    pub(crate) about: &'static str,
    /// The action that needs the same right.
    pub(crate) right: Option<Action>,
    pub(crate) run: Run,
}

/// Does a command with its arguments, or says why not.
pub(crate) type Run = fn(&mut Model, &[&str], &mut Vec<Effect>) -> Result<(), String>;

/// What may stand behind a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    Task,
    Number,
    Worker,
    Queue,
    Theme,
    /// Terms or the name of a saved filter, to the end of the line.
    Filter,
    /// A file's name, to the end of the line.
    File,
    /// Any text, to the end of the line.
    Text,
    /// One of these.
    Word(&'static str, &'static [&'static str]),
}

impl Argument {
    /// Returns how the palette writes it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Task => "ID",
            Self::Number => "N",
            Self::Worker => "WORKER",
            Self::Queue => "QUEUE",
            Self::Theme => "THEME",
            Self::Filter => "FILTER",
            Self::File => "FILE",
            Self::Text => "LINE",
            Self::Word(word, _) => word,
        }
    }

    /// Tells whether only what the palette lists can stand there.
    pub(crate) const fn is_closed(self) -> bool {
        matches!(self, Self::Worker | Self::Queue | Self::Theme | Self::Word(..))
    }

    /// Tells whether it takes all that follows.
    pub(crate) const fn is_rest(self) -> bool {
        matches!(self, Self::Filter | Self::File | Self::Text)
    }
}

impl Command {
    /// Returns its name with its arguments, `slots WORKER N`.
    pub(crate) fn usage(&self) -> String {
        let mut text = self.name.to_owned();
        for (i, argument) in self.arguments.iter().enumerate() {
            let word = argument.word();
            let part = if i < self.least { format!(" {word}") } else { format!(" [{word}]") };
            text.push_str(&part);
        }
        text
    }
}

/// Returns the places that an open palette acts on: those below it.
pub(crate) fn places(model: &Model) -> Vec<Context> {
    let below =
        model.overlays.iter().rposition(|o| matches!(o, super::overlay::Overlay::Palette(_)));
    model.contexts_below(below.unwrap_or(model.overlays.len()))
}

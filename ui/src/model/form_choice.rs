//! What the injection form lets one choose among: kinds, sources of arguments, what those are,
//! lanes.

use ganger_proto::Lane;

/// What can run from the form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FormKind {
    Square,
    #[default]
    Shell,
    Exec,
    Sleep,
    Handler,
}

/// What an argument of a handler is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ArgKind {
    #[default]
    Text,
    Json,
}

/// Where the arguments come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    #[default]
    One,
    List,
    Range,
    Random,
    Repeat,
    File,
    Glob,
}

impl FormKind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Square, Self::Shell, Self::Exec, Self::Sleep, Self::Handler];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Shell => "shell",
            Self::Exec => "exec",
            Self::Sleep => "sleep",
            Self::Handler => "handler",
        }
    }

    pub(crate) const fn has_command(self) -> bool {
        matches!(self, Self::Shell | Self::Exec)
    }

    /// Tells whether blanks around an argument mean nothing: numbers and times have none.
    pub(crate) const fn trims(self) -> bool {
        matches!(self, Self::Square | Self::Sleep)
    }
}

impl ArgKind {
    pub(crate) const ALL: [Self; 2] = [Self::Text, Self::Json];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// The lanes that can be chosen; without one it is the handler's, or `cpu`.
pub(crate) const LANES: [Option<Lane>; 3] = [None, Some(Lane::Cpu), Some(Lane::Io)];

/// Returns the word of a choice of lane.
pub(crate) const fn lane_word(lane: Option<Lane>) -> &'static str {
    match lane {
        None => "auto",
        Some(lane) => lane.word(),
    }
}

impl Source {
    pub(crate) const ALL: [Self; 7] =
        [Self::One, Self::List, Self::Range, Self::Random, Self::Repeat, Self::File, Self::Glob];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::List => "list/paste",
            Self::Range => "range",
            Self::Random => "random",
            Self::Repeat => "repeat",
            Self::File => "from file",
            Self::Glob => "glob",
        }
    }
}

//! The one table of keys, in a file for each room: it feeds dispatch, the footer, the help and the
//! conflict test. What an action does is in update/.

mod about;
mod chord;
mod dialog;
mod form;
mod gang;
mod list;
mod map;
mod output;
mod screen;

pub(crate) use about::about;
pub(crate) use chord::shown;
pub use map::{CustomKey, KeyFault, Keymap};
pub(crate) use map::{Meaning, Row};

/// Where a key is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Context {
    /// Any screen, when no overlay is open.
    Screen,
    /// A list of tasks or results.
    List,
    /// The list of workers.
    Gang,
    /// The first screen, before the first task.
    Welcome,
    /// The connection is lost or refused.
    Lost,
    /// The filter line.
    Filter,
    /// The quick add line.
    Quick,
    /// The injection form.
    Form,
    /// A question.
    Confirm,
    /// A question that wants a word typed.
    Typed,
    /// The join dialog.
    Join,
    /// A task's details: its tabs.
    Details,
    /// Text that is read: the output of a task, or the log.
    Reader,
    /// The line that searches the text that is read.
    Search,
    /// A worker's details.
    Worker,
    /// The list of identities.
    Identities,
    /// A box that is only read, such as why a task waits.
    Note,
    /// A choice among a few.
    Menu,
    /// The line that names what is saved.
    Save,
    /// The palette of all commands.
    Palette,
    /// The help.
    Help,
}

impl Context {
    /// All places, in the order of the help.
    pub(crate) const ALL: [Self; 21] = [
        Self::Screen,
        Self::List,
        Self::Gang,
        Self::Details,
        Self::Reader,
        Self::Search,
        Self::Worker,
        Self::Identities,
        Self::Welcome,
        Self::Form,
        Self::Filter,
        Self::Quick,
        Self::Palette,
        Self::Confirm,
        Self::Typed,
        Self::Join,
        Self::Note,
        Self::Menu,
        Self::Save,
        Self::Help,
        Self::Lost,
    ];

    /// Returns what the help calls the keys of this place.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Screen => "Everywhere",
            Self::List => "Tasks and results",
            Self::Gang => "Workers",
            Self::Welcome => "Before the first task",
            Self::Lost => "Without a connection",
            Self::Filter => "Filter line",
            Self::Quick => "Quick add line",
            Self::Form => "Injection form",
            Self::Confirm => "Questions",
            Self::Typed => "Questions that want a word",
            Self::Join => "Join dialog",
            Self::Details => "Task details",
            Self::Reader => "Output and log",
            Self::Search => "Search line",
            Self::Worker => "Worker details",
            Self::Identities => "Identities",
            Self::Note => "Boxes to read",
            Self::Menu => "Menus",
            Self::Save => "Name of what is saved",
            Self::Palette => "Palette",
            Self::Help => "Help",
        }
    }

    /// Returns what `ganger.toml` calls the place: `[keys.list]`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::List => "list",
            Self::Gang => "workers",
            Self::Welcome => "welcome",
            Self::Lost => "lost",
            Self::Filter => "filter",
            Self::Quick => "quick",
            Self::Form => "form",
            Self::Confirm => "confirm",
            Self::Typed => "typed",
            Self::Join => "join",
            Self::Details => "details",
            Self::Reader => "reader",
            Self::Search => "search",
            Self::Worker => "worker",
            Self::Identities => "identities",
            Self::Note => "note",
            Self::Menu => "menu",
            Self::Save => "save",
            Self::Palette => "palette",
            Self::Help => "help",
        }
    }

    /// Tells whether letters are typed here.
    pub(crate) const fn takes_text(self) -> bool {
        matches!(
            self,
            Self::Filter
                | Self::Quick
                | Self::Form
                | Self::Join
                | Self::Typed
                | Self::Search
                | Self::Save
                | Self::Palette
        )
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    ShowOverview,
    ShowTasks,
    ShowResults,
    ShowWorkers,
    ShowLog,
    ShowPrevious,
    NextPane,
    PreviousPane,
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    First,
    Last,
    Open,
    Back,
    Filter,
    Help,
    Inject,
    Again,
    Quick,
    Undo,
    Freeze,
    Zoom,
    PauseQueue,
    Copy,
    JoinDialog,
    StartWorker,
    Redraw,
    Suspend,
    Quit,
    Mark,
    Retry,
    Cancel,
    PriorityUp,
    PriorityDown,
    Drain,
    Revoke,
    Submit,
    Accept,
    Yes,
    No,
    NextField,
    PreviousField,
    RetryNow,

    // Lists: update/lists.rs.
    MarkRange,
    MarkAll,
    MarkInvert,
    SortBy,
    SortReverse,
    StateChip,
    RetryAll,
    Delete,
    EditCopy,
    GoWorker,
    GoBatch,
    GoTask,
    CopyJson,
    SaveView,
    Columns,

    // Details, output and log: update/reader.rs.
    DetailsPane,
    NextTab,
    PreviousTab,
    Wrap,
    Times,
    Streams,
    NextMatch,
    PreviousMatch,
    PreviousTask,
    NextTask,
    Search,
    Follow,
    SaveOutput,

    // The gang: update/workers.rs.
    OpenWorker,
    Identities,
    MoreSlots,
    FewerSlots,
    Why,

    // The form: update/inject/.
    Editor,
    SaveTemplate,
    LoadTemplate,
    Older,
    Newer,

    // The program around the lists: update/shell.rs.
    Screenshot,
    Palette,
    Complete,
    Mouse,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) action: Action,
    /// The name for a configuration file; stays when labels change.
    pub(crate) id: &'static str,
    /// As a person writes them; two keys with a space between are typed one after the other.
    pub(crate) chords: &'static [&'static str],
    pub(crate) label: &'static str,
    pub(crate) contexts: &'static [Context],
    /// Place in the footer from 1; 0 when it is only in the help.
    pub(crate) footer: u8,
}

pub(super) const fn key(
    action: Action,
    id: &'static str,
    chords: &'static [&'static str],
    label: &'static str,
) -> Binding {
    Binding { action, id, chords, label, contexts: &[Context::Screen], footer: 0 }
}

impl Binding {
    const fn at(self, contexts: &'static [Context]) -> Self {
        Self { contexts, ..self }
    }

    const fn foot(self, footer: u8) -> Self {
        Self { footer, ..self }
    }
}

/// Every key there is, a table for each room.
pub(crate) fn keys() -> impl Iterator<Item = &'static Binding> + Clone {
    const TABLES: [&[Binding]; 6] =
        [screen::KEYS, list::KEYS, gang::KEYS, output::KEYS, form::KEYS, dialog::KEYS];
    TABLES.into_iter().flatten()
}

/// Places above which an action counts as one of all places.
const PLACES_MAX: usize = 6;

/// Returns the table of keys as Markdown, for the README, with the words that `ganger.toml` has for
/// places and actions.
pub fn key_table() -> String {
    let code = |text: &str| match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    };
    let mut text = String::from("| where | keys | does | name |\n| --- | --- | --- | --- |\n");
    for binding in keys() {
        let places: Vec<_> = binding.contexts.iter().map(|context| code(context.word())).collect();
        let places = match places.len() {
            0..=PLACES_MAX => places.join(" "),
            _ => "every place".to_owned(),
        };
        let chords: Vec<_> = binding.chords.iter().map(|chord| code(&shown(chord))).collect();
        let name = code(binding.id);
        let row = [&places, &chords.join(" "), about(binding.action), &name].join(" | ");
        text.push_str(&format!("| {row} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Action as A, Context as C, *};

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<_> = keys().map(|binding| binding.id).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn places_have_words_of_their_own() {
        for (i, place) in C::ALL.iter().enumerate() {
            for other in &C::ALL[i + 1..] {
                assert_ne!(place.word(), other.word());
                assert_ne!(place.title(), other.title());
            }
        }
        for binding in keys() {
            assert!(binding.contexts.iter().all(|place| C::ALL.contains(place)), "{}", binding.id);
        }
    }

    #[test]
    fn nothing_destructive_hangs_on_an_editing_key() {
        let destructive = [A::Cancel, A::Revoke, A::Drain, A::Retry];
        for binding in keys().filter(|binding| destructive.contains(&binding.action)) {
            for chord in binding.chords {
                assert!(!chord.contains('-') && *chord != "backspace", "{}", binding.id);
            }
        }
    }
}

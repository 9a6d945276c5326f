//! The one table of keys, in a file for each room: it feeds dispatch, the footer, the help and the
//! conflict test. What an action does is in update/.

mod dialog;
mod form;
mod gang;
mod list;
mod output;
mod screen;

use std::sync::LazyLock;

use crokey::KeyCombination;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

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
            Self::Note => "Boxes to read",
            Self::Menu => "Menus",
            Self::Save => "Name of what is saved",
            Self::Palette => "Palette",
            Self::Help => "Help",
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
    Palette,
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

/// Returns the table of keys as Markdown, for the README.
pub fn key_table() -> String {
    let mut text = String::from("| where | keys | does | name |\n| --- | --- | --- | --- |\n");
    for binding in keys() {
        let places: Vec<_> = binding.contexts.iter().map(|context| context.title()).collect();
        let chords: Vec<_> = binding
            .chords
            .iter()
            .map(|chord| format!("`{}`", shown(chord).replace('`', "\\`")))
            .collect();
        let row = [&places.join(", "), &chords.join(" "), binding.label, binding.id].join(" | ");
        text.push_str(&format!("| {row} |\n"));
    }
    text
}

struct Parsed {
    context: Context,
    chord: Vec<KeyCombination>,
    action: Action,
}

static PARSED: LazyLock<Vec<Parsed>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for binding in keys() {
        for (context, chord) in
            binding.contexts.iter().flat_map(|c| binding.chords.iter().map(move |k| (*c, *k)))
        {
            let chord = parse(chord).expect("every chord in the table is readable: a test checks");
            all.push(Parsed { context, chord, action: binding.action });
        }
    }
    all
});

/// What a key means after the keys typed before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It does this.
    Action(Action),
    /// Another key must follow.
    Prefix(KeyCombination),
    /// Nothing.
    Nothing,
}

/// Finds what `event` means in the first of `contexts` that knows it.
pub(crate) fn meaning(
    contexts: &[Context],
    prefix: Option<KeyCombination>,
    event: KeyEvent,
) -> Meaning {
    let key = combination(event);
    let typed: Vec<KeyCombination> = prefix.into_iter().chain([key]).collect();
    for context in contexts {
        let mut here = PARSED.iter().filter(|parsed| parsed.context == *context);
        if let Some(found) = here.clone().find(|parsed| parsed.chord == typed) {
            return Meaning::Action(found.action);
        }
        let begins = |p: &Parsed| p.chord.len() > typed.len() && p.chord.starts_with(&typed);
        if here.any(begins) {
            return Meaning::Prefix(key);
        }
    }
    match prefix {
        Some(_) => meaning(contexts, None, event),
        None => Meaning::Nothing,
    }
}

/// Terminals differ in whether they report Shift with signs; only letters keep it.
fn combination(mut event: KeyEvent) -> KeyCombination {
    if let KeyCode::Char(c) = event.code
        && !c.is_alphabetic()
    {
        event.modifiers.remove(KeyModifiers::SHIFT);
    }
    KeyCombination::from(event)
}

/// Reads one or two keys. A capital means Shift; crokey alone would read it as the small letter.
fn parse(chord: &str) -> Option<Vec<KeyCombination>> {
    let one = |word: &str| {
        let shifted = match word.as_bytes() {
            [c] if c.is_ascii_uppercase() => format!("shift-{}", word.to_ascii_lowercase()),
            _ => word.to_owned(),
        };
        crokey::parse(&shifted).ok().map(KeyCombination::normalized)
    };
    chord.split(' ').map(one).collect()
}

/// Returns a chord as the footer and the help write it.
pub(crate) fn shown(chord: &str) -> String {
    let one = |word: &str| match word {
        "space" => "Space".to_owned(),
        "tab" => "Tab".to_owned(),
        "backtab" => "S-Tab".to_owned(),
        "enter" => "Enter".to_owned(),
        "esc" => "Esc".to_owned(),
        "pageup" => "PgUp".to_owned(),
        "pagedown" => "PgDn".to_owned(),
        "home" => "Home".to_owned(),
        "end" => "End".to_owned(),
        "up" => "↑".to_owned(),
        "down" => "↓".to_owned(),
        "left" => "←".to_owned(),
        "right" => "→".to_owned(),
        "alt-enter" => "Alt-Enter".to_owned(),
        "alt-up" => "Alt-↑".to_owned(),
        "alt-down" => "Alt-↓".to_owned(),
        _ => match word.strip_prefix("ctrl-") {
            Some(letter) => format!("Ctrl-{}", letter.to_ascii_uppercase()),
            None if word.len() > 1 => word.to_ascii_uppercase(),
            None => word.to_owned(),
        },
    };
    chord.split(' ').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::{Action as A, Context as C, *};
    use std::collections::BTreeMap;

    fn of(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn no_key_means_two_things() {
        let mut seen: BTreeMap<String, Vec<(Context, Action)>> = BTreeMap::new();
        for binding in keys() {
            for chord in binding.chords {
                let parsed = parse(chord).unwrap_or_else(|| panic!("{chord} is unreadable"));
                for context in binding.contexts {
                    let all = seen.entry(format!("{parsed:?}")).or_default();
                    all.push((*context, binding.action));
                }
            }
        }
        // These are looked at together, so a key may be in one of them only.
        let together = [
            vec![C::List, C::Screen],
            vec![C::Gang, C::Screen],
            vec![C::Welcome, C::Gang, C::Screen],
        ];
        for (chord, places) in seen {
            for (i, (context, action)) in places.iter().enumerate() {
                for (other, that) in &places[i + 1..] {
                    let meet = context == other
                        || together.iter().any(|all| all.contains(context) && all.contains(other));
                    assert!(!meet || action == that, "{chord}: {context:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<_> = keys().map(|binding| binding.id).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
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

    #[test]
    fn keys_are_found_as_terminals_send_them() {
        let check = |contexts: &[Context], event, action| {
            assert_eq!(meaning(contexts, None, event), Meaning::Action(action), "{event:?}");
        };
        let list = [C::List, C::Screen];
        let none = KeyModifiers::NONE;
        check(&list, of(KeyCode::Char('G'), KeyModifiers::SHIFT), A::Last);
        check(&list, of(KeyCode::Char('G'), none), A::Last);
        check(&list, of(KeyCode::Char('?'), KeyModifiers::SHIFT), A::Help);
        check(&list, of(KeyCode::Char('?'), none), A::Help);
        check(&list, of(KeyCode::Char('+'), KeyModifiers::SHIFT), A::PriorityUp);
        check(&list, of(KeyCode::Char('-'), none), A::PriorityDown);
        check(&list, of(KeyCode::Char(' '), none), A::Mark);
        check(&list, of(KeyCode::BackTab, KeyModifiers::SHIFT), A::PreviousPane);
        check(&list, of(KeyCode::Char('c'), KeyModifiers::CONTROL), A::Quit);
        check(&[C::Form], of(KeyCode::Enter, KeyModifiers::ALT), A::Submit);
        check(&[C::Lost], of(KeyCode::Char('r'), none), A::RetryNow);
        let g = of(KeyCode::Char('g'), none);
        let Meaning::Prefix(prefix) = meaning(&list, None, g) else { panic!("g waits for more") };
        assert_eq!(meaning(&list, Some(prefix), g), Meaning::Action(A::First));
        let j = of(KeyCode::Char('j'), none);
        assert_eq!(meaning(&list, Some(prefix), j), Meaning::Action(A::Down));
        assert_eq!(meaning(&[C::Form], None, j), Meaning::Nothing);
    }
}

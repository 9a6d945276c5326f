//! The one table of keys: it feeds dispatch, the footer, the help and the conflict test. What an
//! action does is in update/.

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
    /// A task's details.
    Details,
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
            Self::Help => "Help",
        }
    }

    /// Tells whether letters are typed here.
    pub(crate) const fn takes_text(self) -> bool {
        matches!(self, Self::Filter | Self::Quick | Self::Form | Self::Join | Self::Typed)
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

const fn key(
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

use Action as A;
use Context as C;

/// Every key there is.
pub(crate) static KEYS: &[Binding] = &[
    key(A::Inject, "inject", &["i"], "inject").foot(2),
    key(A::Again, "again", &["I"], "again").foot(3),
    key(A::Quick, "quick-add", &["a"], "add a line").foot(25),
    key(A::Filter, "filter", &["/"], "filter").at(&[C::List]).foot(4),
    key(A::NextPane, "next-pane", &["tab", "l", "right"], "pane").foot(10),
    key(A::PreviousPane, "previous-pane", &["backtab", "h", "left"], "previous pane"),
    key(A::Open, "open", &["enter", "o"], "open").at(&[C::List]).foot(5),
    key(A::Mark, "mark", &["space"], "mark").at(&[C::List]).foot(6),
    key(A::Retry, "retry", &["r"], "retry").at(&[C::List]).foot(7),
    key(A::Cancel, "cancel", &["c"], "cancel").at(&[C::List]).foot(8),
    key(A::PriorityUp, "priority-up", &["+", "="], "priority up").at(&[C::List]),
    key(A::PriorityDown, "priority-down", &["-"], "priority down").at(&[C::List]),
    key(A::Drain, "drain", &["D"], "drain").at(&[C::Gang]).foot(11),
    key(A::Revoke, "revoke", &["X"], "revoke").at(&[C::Gang]).foot(12),
    key(A::StartWorker, "start-worker", &["W"], "local worker").at(&[C::Gang]).foot(24),
    key(A::JoinDialog, "join", &["J"], "join line").foot(13),
    key(A::PauseQueue, "pause-queue", &["P"], "pause queue").foot(21),
    key(A::Freeze, "freeze", &["f"], "freeze").foot(22),
    key(A::Zoom, "zoom", &["z"], "zoom").foot(23),
    key(A::Undo, "undo", &["u"], "take back").foot(9),
    key(A::Copy, "copy", &["y"], "copy").at(&[C::List, C::Gang]).foot(27),
    key(A::Copy, "copy-join", &["y"], "copy join line").at(&[C::Welcome]).foot(1),
    key(A::StartWorker, "start-first-worker", &["W"], "local worker").at(&[C::Welcome]).foot(4),
    key(A::ShowOverview, "show-overview", &["1"], "overview").at(&[C::Screen, C::Lost]),
    key(A::ShowTasks, "show-tasks", &["2"], "tasks").at(&[C::Screen, C::Lost]),
    key(A::ShowResults, "show-results", &["3"], "results").at(&[C::Screen, C::Lost]),
    key(A::ShowWorkers, "show-workers", &["4"], "workers").at(&[C::Screen, C::Lost]),
    key(A::ShowLog, "show-log", &["5"], "log").at(&[C::Screen, C::Lost]).foot(40),
    key(A::ShowPrevious, "show-previous", &["`"], "previous screen"),
    key(A::Up, "up", &["k", "up"], "up").at(&[C::Screen, C::Help, C::Details]),
    key(A::Down, "down", &["j", "down"], "down").at(&[C::Screen, C::Help, C::Details]).foot(41),
    key(A::PageUp, "page-up", &["pageup", "ctrl-b"], "page up").at(SCROLLED),
    key(A::PageDown, "page-down", &["pagedown", "ctrl-f"], "page down").at(SCROLLED),
    key(A::HalfUp, "half-up", &["ctrl-u"], "half a page up").at(SCROLLED),
    key(A::HalfDown, "half-down", &["ctrl-d"], "half a page down").at(SCROLLED),
    key(A::First, "first", &["g g", "home"], "first").at(SCROLLED),
    key(A::Last, "last", &["G", "end"], "last").at(SCROLLED),
    key(A::RetryNow, "retry-now", &["r"], "try now").at(&[C::Lost]).foot(1),
    key(A::Submit, "submit", &["f5", "alt-enter"], "inject").at(&[C::Form]).foot(1),
    key(A::NextField, "next-field", &["tab"], "next field").at(&[C::Form, C::Join]).foot(2),
    key(A::PreviousField, "previous-field", &["backtab"], "previous field").at(&[C::Form, C::Join]),
    key(A::Accept, "accept", &["enter"], "accept")
        .at(&[C::Filter, C::Quick, C::Confirm, C::Typed, C::Join])
        .foot(1),
    key(A::Yes, "yes", &["y"], "yes").at(&[C::Confirm]).foot(2),
    key(A::No, "no", &["n"], "no").at(&[C::Confirm]).foot(3),
    key(A::NextField, "other-button", &["tab", "left", "right", "backtab"], "other button")
        .at(&[C::Confirm]),
    key(A::Copy, "copy-line", &["f2"], "copy the line").at(&[C::Join, C::Form]).foot(5),
    key(A::Copy, "copy-output", &["y"], "copy").at(&[C::Details]).foot(3),
    key(A::Retry, "retry-shown", &["r"], "retry").at(&[C::Details]).foot(4),
    key(A::Cancel, "cancel-shown", &["c"], "cancel").at(&[C::Details]).foot(5),
    key(A::Back, "back", &["esc"], "back").at(EVERYWHERE).foot(50),
    key(A::Quit, "quit", &["q", "ctrl-c"], "quit").at(&[C::Screen, C::Lost]).foot(60),
    key(A::Back, "close", &["q", "ctrl-c"], "close").at(&[C::Help, C::Details]),
    key(A::Back, "leave", &["ctrl-c"], "close").at(&[
        C::Filter,
        C::Quick,
        C::Form,
        C::Join,
        C::Confirm,
        C::Typed,
    ]),
    key(A::Redraw, "redraw", &["ctrl-l"], "draw again").at(EVERYWHERE),
    key(A::Suspend, "suspend", &["ctrl-z"], "suspend").at(EVERYWHERE),
    key(A::Help, "help", &["?", "f1"], "help").at(&[C::Screen, C::Lost, C::Details]),
];

const SCROLLED: &[Context] = &[C::Screen, C::Help, C::Details];
const EVERYWHERE: &[Context] = &[
    C::Screen,
    C::Lost,
    C::Filter,
    C::Quick,
    C::Form,
    C::Confirm,
    C::Typed,
    C::Join,
    C::Details,
    C::Help,
];

/// Returns the table of keys as Markdown, for the README.
pub fn key_table() -> String {
    let mut text = String::from("| where | keys | does | name |\n| --- | --- | --- | --- |\n");
    for binding in KEYS {
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
    for binding in KEYS {
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
    use super::*;
    use std::collections::BTreeMap;

    fn of(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn no_key_means_two_things() {
        let mut seen: BTreeMap<String, Vec<(Context, Action)>> = BTreeMap::new();
        for binding in KEYS {
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
        let mut ids: Vec<_> = KEYS.iter().map(|binding| binding.id).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn nothing_destructive_hangs_on_an_editing_key() {
        let destructive = [A::Cancel, A::Revoke, A::Drain, A::Retry];
        for binding in KEYS.iter().filter(|binding| destructive.contains(&binding.action)) {
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

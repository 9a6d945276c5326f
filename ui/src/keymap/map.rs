//! The keys in force: the table with what a person changed in it. Does not read the file that says
//! so.

use std::sync::LazyLock;

use crokey::KeyCombination;
use crossterm::event::KeyEvent;

use super::chord::{combination, parse, shown, types_text};
use super::{Action, Binding, Context, keys};

/// Places that are looked up together, so that a key may mean one thing only in all of them.
const TOGETHER: [&[Context]; 3] = [
    &[Context::List, Context::Screen],
    &[Context::Gang, Context::Screen],
    &[Context::Welcome, Context::Gang, Context::Screen],
];

/// Chords that one action may have in one place.
const CHORDS_MAX: usize = 8;

/// The keys in force.
#[derive(Clone, Debug)]
pub struct Keymap {
    rows: Vec<Row>,
}

/// An action in one place, with its keys.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) binding: &'static Binding,
    pub(crate) context: Context,
    chords: Vec<Chord>,
    /// The line that changed it.
    line: Option<usize>,
}

#[derive(Clone, Debug)]
struct Chord {
    shown: String,
    keys: Vec<KeyCombination>,
}

impl Row {
    /// Returns its keys as the help writes them.
    pub(crate) fn shown(&self) -> Vec<&str> {
        self.chords.iter().map(|chord| chord.shown.as_str()).collect()
    }

    /// Tells whether a person changed its keys.
    pub(crate) const fn is_custom(&self) -> bool {
        self.line.is_some()
    }
}

/// Keys that a person gave an action: `retry = ["r"]` under `[keys.list]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomKey {
    /// The place's word, such as `list`.
    pub place: String,
    /// The action's name, such as `retry`.
    pub action: String,
    /// Its keys there; none takes the ones it had away.
    pub chords: Vec<String>,
    /// The line of the file that says so, from 1.
    pub line: usize,
}

/// A custom key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct KeyFault {
    /// The line at fault, from 1.
    pub line: usize,
    /// What is wrong with it and what to write.
    pub why: String,
}

/// The table as it is, read once.
static TABLE: LazyLock<Keymap> = LazyLock::new(Keymap::of_table);

impl Default for Keymap {
    fn default() -> Self {
        TABLE.clone()
    }
}

impl Keymap {
    fn of_table() -> Self {
        let mut rows = Vec::new();
        for binding in keys() {
            for context in binding.contexts {
                let chords = binding.chords.iter().map(|chord| Chord {
                    shown: shown(chord),
                    keys: parse(chord).expect("a test reads every chord of the table"),
                });
                let chords = chords.collect();
                rows.push(Row { binding, context: *context, chords, line: None });
            }
        }
        Self { rows }
    }

    /// Returns the table with these changes in it.
    ///
    /// # Errors
    /// Names the first line with an unknown place or action, an unreadable key, or a key that means
    /// something else already.
    pub fn with(custom: &[CustomKey]) -> Result<Self, KeyFault> {
        let mut map = Self::default();
        for key in custom {
            let row = map.row_of(key).map_err(|why| KeyFault { line: key.line, why })?;
            row.chords =
                chords(row.context, key).map_err(|why| KeyFault { line: key.line, why })?;
            row.line = Some(key.line);
        }
        map.conflict().map_or(Ok(map), Err)
    }

    fn row_of(&mut self, key: &CustomKey) -> Result<&mut Row, String> {
        let place = Context::ALL.into_iter().find(|context| context.word() == key.place);
        let Some(place) = place else {
            let words: Vec<_> = Context::ALL.iter().map(|context| context.word()).collect();
            let told = crate::text::clean(&key.place);
            return Err(format!(
                "`{told}` is not a place that has keys; the places are {}",
                words.join(" ")
            ));
        };
        let here = |row: &Row| row.context == place;
        let at = self.rows.iter().position(|row| here(row) && row.binding.id == key.action);
        match at {
            Some(at) => Ok(&mut self.rows[at]),
            None => {
                let ids: Vec<_> =
                    self.rows.iter().filter(|row| here(row)).map(|row| row.binding.id).collect();
                let told = crate::text::clean(&key.action);
                Err(format!(
                    "`{told}` is not an action of [keys.{}]; they are {}",
                    key.place,
                    ids.join(" ")
                ))
            }
        }
    }

    /// Returns why two rows, one of them changed, cannot stand side by side.
    fn conflict(&self) -> Option<KeyFault> {
        for (i, row) in self.rows.iter().enumerate() {
            for other in &self.rows[i + 1..] {
                let Some(line) = row.line.max(other.line) else { continue };
                if let Some(chord) = row.meets(other) {
                    let (new, old) =
                        if row.line == Some(line) { (row, other) } else { (other, row) };
                    let why = format!(
                        "{chord} is `{}` of [keys.{}] already; give `{}` another key, or take it \
                         from there with `{} = []`",
                        old.binding.id,
                        old.context.word(),
                        new.binding.id,
                        old.binding.id,
                    );
                    return Some(KeyFault { line, why });
                }
            }
        }
        None
    }

    /// Returns all rows, in the order of the table.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the first key of an action in the nearest of these places, as the footer writes it.
    pub(crate) fn key_of(&self, action: Action, places: &[Context]) -> Option<&str> {
        let of = |place: &Context| {
            let here = |row: &&Row| row.context == *place && row.binding.action == action;
            self.rows.iter().find(here)?.shown().first().copied()
        };
        places.iter().find_map(of)
    }

    /// Finds what `event` means in the first of `contexts` that knows it.
    pub(crate) fn meaning(
        &self,
        contexts: &[Context],
        prefix: Option<KeyCombination>,
        event: KeyEvent,
    ) -> Meaning {
        let key = combination(event);
        let typed: Vec<KeyCombination> = prefix.into_iter().chain([key]).collect();
        for context in contexts {
            let here = self.rows.iter().filter(|row| row.context == *context);
            let mut chords = here.flat_map(|row| row.chords.iter().map(move |chord| (row, chord)));
            if let Some((row, _)) = chords.clone().find(|(_, chord)| chord.keys == typed) {
                return Meaning::Action(row.binding.action);
            }
            if chords.any(|(_, chord)| chord.keys.starts_with(&typed)) {
                return Meaning::Prefix(key);
            }
        }
        match prefix {
            Some(_) => self.meaning(contexts, None, event),
            None => Meaning::Nothing,
        }
    }
}

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

impl Row {
    /// Returns the chord with which two rows get in each other's way, if they do.
    fn meets(&self, other: &Self) -> Option<&str> {
        let together = self.context == other.context
            || TOGETHER
                .iter()
                .any(|all| all.contains(&self.context) && all.contains(&other.context));
        if !together || self.binding.action == other.binding.action {
            return None;
        }
        let clash = |a: &Chord, b: &Chord| {
            a.keys == b.keys
                || (self.context == other.context
                    && (a.keys.starts_with(&b.keys) || b.keys.starts_with(&a.keys)))
        };
        let mine = self.chords.iter();
        let mut pairs = mine.flat_map(|a| other.chords.iter().map(move |b| (a, b)));
        pairs.find(|(a, b)| clash(a, b)).map(|(a, _)| a.shown.as_str())
    }
}

fn chords(place: Context, key: &CustomKey) -> Result<Vec<Chord>, String> {
    if key.chords.len() > CHORDS_MAX {
        return Err(format!("an action has at most {CHORDS_MAX} keys in one place"));
    }
    let read = |written: &String| {
        let keys = parse(written)?;
        if place.takes_text() && types_text(&keys) {
            return Err(format!(
                "letters are typed in [keys.{}], so {} would be text; take a key with ctrl or alt, \
                 or an F key",
                key.place,
                shown(written)
            ));
        }
        Ok(Chord { shown: shown(written), keys })
    };
    key.chords.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use Action as A;
    use Context as C;

    fn of(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    fn custom(place: &str, action: &str, chords: &[&str]) -> CustomKey {
        let chords = chords.iter().map(|chord| (*chord).to_owned()).collect();
        CustomKey { place: place.to_owned(), action: action.to_owned(), chords, line: 7 }
    }

    #[test]
    fn no_key_means_two_things() {
        let map = Keymap::default();
        for (i, row) in map.rows.iter().enumerate() {
            for other in &map.rows[i + 1..] {
                let clash = row.meets(other);
                assert_eq!(clash, None, "{:?} {:?}", row.binding.id, other.binding.id);
            }
        }
    }

    #[test]
    fn keys_are_found_as_terminals_send_them() {
        let map = Keymap::default();
        let check = |contexts: &[Context], event, action| {
            assert_eq!(map.meaning(contexts, None, event), Meaning::Action(action), "{event:?}");
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
        let Meaning::Prefix(prefix) = map.meaning(&list, None, g) else {
            panic!("g waits for more")
        };
        assert_eq!(map.meaning(&list, Some(prefix), g), Meaning::Action(A::First));
        let j = of(KeyCode::Char('j'), none);
        assert_eq!(map.meaning(&list, Some(prefix), j), Meaning::Action(A::Down));
        assert_eq!(map.meaning(&[C::Form], None, j), Meaning::Nothing);
    }

    #[test]
    fn a_custom_key_takes_the_place_of_the_old_ones() {
        let map = Keymap::with(&[custom("list", "retry", &["ctrl-r", "Q"])]).unwrap();
        let list = [C::List, C::Screen];
        let meaning = |event| map.meaning(&list, None, event);
        let control = of(KeyCode::Char('r'), KeyModifiers::CONTROL);
        assert_eq!(meaning(control), Meaning::Action(A::Retry));
        let capital = of(KeyCode::Char('Q'), KeyModifiers::SHIFT);
        assert_eq!(meaning(capital), Meaning::Action(A::Retry));
        assert_eq!(meaning(of(KeyCode::Char('r'), KeyModifiers::NONE)), Meaning::Nothing);
        let row = map.rows().iter().find(|row| row.binding.id == "retry").unwrap();
        assert_eq!((row.shown(), row.is_custom()), (vec!["Ctrl-R", "Q"], true));
    }

    #[test]
    fn a_key_that_cannot_be_used_names_its_line() {
        let check = |keys: &[CustomKey], expected: &str| {
            let fault = Keymap::with(keys).unwrap_err();
            assert_eq!(fault.line, 7);
            assert!(fault.why.contains(expected), "{}", fault.why);
        };
        check(&[custom("lists", "retry", &["r"])], "the places are screen list workers");
        check(&[custom("list", "retyr", &["r"])], "not an action of [keys.list]; they are filter");
        check(&[custom("list", "retry", &["hyper-r"])], "`hyper-r` is not a key");
        check(&[custom("list", "retry", &["c"])], "c is `cancel` of [keys.list] already");
        check(&[custom("list", "retry", &["i"])], "i is `inject` of [keys.screen] already");
        check(&[custom("screen", "inject", &["g"])], "already");
        check(&[custom("filter", "accept", &["x"])], "letters are typed in [keys.filter]");
        check(&[custom("list", "retry", &["r"; 9])], "at most 8 keys");
        let freed = [custom("list", "cancel", &[]), custom("list", "retry", &["c"])];
        assert!(Keymap::with(&freed).is_ok(), "a key that was taken away is free");
    }
}

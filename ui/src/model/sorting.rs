//! What a list can be sorted by: the words and letters for it, and which end comes first. The
//! comparing is the master's.

use ganger_proto::picture::{Direction, Sort, SortKey};

/// A key to sort by, as people choose it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) key: SortKey,
    pub(crate) letter: char,
    pub(crate) label: &'static str,
    /// Which end is wanted first most often.
    pub(crate) first: Direction,
}

const fn choice(key: SortKey, letter: char, label: &'static str, first: Direction) -> Choice {
    Choice { key, letter, label, first }
}

/// All keys, in the order of the menu.
pub(crate) const CHOICES: [Choice; 9] = [
    choice(SortKey::Id, 'i', "id, the order of submission", Direction::Rising),
    choice(SortKey::State, 's', "state", Direction::Rising),
    choice(SortKey::Priority, 'p', "priority", Direction::Falling),
    choice(SortKey::Kind, 'k', "kind", Direction::Rising),
    choice(SortKey::Worker, 'w', "worker", Direction::Rising),
    choice(SortKey::Tries, 't', "tries", Direction::Falling),
    choice(SortKey::Exit, 'e', "exit code", Direction::Falling),
    choice(SortKey::Took, 'o', "how long it took", Direction::Falling),
    choice(SortKey::Since, 'f', "when it changed or finished", Direction::Falling),
];

/// Returns a sort as it is remembered: `priority falling`.
pub(crate) fn words(sort: Sort) -> String {
    let direction = match sort.direction {
        Direction::Rising => "rising",
        Direction::Falling => "falling",
    };
    format!("{} {direction}", sort.key.word())
}

/// Reads what [`words`] wrote, or a key's word alone; nothing when it is neither.
pub(crate) fn parse(text: &str) -> Option<Sort> {
    let (word, direction) = text.split_once(' ').unwrap_or((text, ""));
    let choice = CHOICES.iter().find(|choice| choice.key.word() == word)?;
    let direction = match direction {
        "" => choice.first,
        "rising" => Direction::Rising,
        "falling" => Direction::Falling,
        _ => return None,
    };
    Some(Sort { key: choice.key, direction })
}

/// Returns the same key from its other end.
pub(crate) fn reversed(sort: Sort) -> Sort {
    let direction = match sort.direction {
        Direction::Rising => Direction::Falling,
        Direction::Falling => Direction::Rising,
    };
    Sort { direction, ..sort }
}

/// Returns the sign of a direction, for a column's title.
pub(crate) const fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::Rising => "▲",
        Direction::Falling => "▼",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_are_remembered_in_words() {
        for choice in CHOICES {
            for direction in [Direction::Rising, Direction::Falling] {
                let sort = Sort { key: choice.key, direction };
                assert_eq!(parse(&words(sort)), Some(sort));
            }
        }
        assert_eq!(parse("took").map(|sort| sort.direction), Some(Direction::Falling));
        assert_eq!(parse("colour falling"), None);
        assert_eq!(parse("id sideways"), None);
        let mut letters = CHOICES.map(|choice| choice.letter);
        letters.sort_unstable();
        assert!(letters.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

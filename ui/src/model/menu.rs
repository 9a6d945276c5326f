//! A choice among a few: what is offered and where the cursor is. What a choice does is in
//! update/menu.rs.

/// A box of choices.
#[derive(Debug)]
pub(crate) struct Menu {
    pub(crate) title: String,
    pub(crate) items: Vec<Item>,
    pub(crate) cursor: usize,
    pub(crate) then: MenuThen,
}

/// One choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    /// The letter that chooses it at once.
    pub(crate) key: Option<char>,
    pub(crate) text: String,
    pub(crate) note: String,
    /// Whether it is what holds at present.
    pub(crate) marked: bool,
}

/// What the choice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MenuThen {
    /// Fills the injection form with the template of that name.
    Template,
    /// Sorts the list.
    Sort,
    /// Shows or hides a column of the list.
    Columns,
    /// Sets a saved filter, or goes on to save or forget one.
    Saved,
    /// Forgets the saved filter of that name.
    Forget,
    /// Copies the item's note.
    Copy,
}

impl Menu {
    pub(crate) const fn new(title: String, items: Vec<Item>, then: MenuThen) -> Self {
        Self { title, items, cursor: 0, then }
    }

    /// Moves the cursor; it stays among the items.
    pub(crate) fn move_by(&mut self, rows: i64) {
        let last = self.items.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(rows as isize).min(last);
    }

    /// Puts the cursor on the item of that letter; tells whether there is one.
    pub(crate) fn find(&mut self, letter: char) -> bool {
        match self.items.iter().position(|item| item.key == Some(letter)) {
            Some(at) => {
                self.cursor = at;
                true
            }
            None => false,
        }
    }

    pub(crate) fn chosen(&self) -> Option<&Item> {
        self.items.get(self.cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_among_the_items() {
        let item = |key, text: &str| Item { key, text: text.to_owned(), ..Item::default() };
        let items = vec![item(Some('a'), "one"), item(None, "two"), item(Some('c'), "three")];
        let mut menu = Menu::new("Menu".to_owned(), items, MenuThen::Template);
        menu.move_by(-1);
        assert_eq!(menu.chosen().unwrap().text, "one");
        menu.move_by(i64::MAX);
        assert_eq!(menu.chosen().unwrap().text, "three");
        assert!(menu.find('a') && !menu.find('b'));
        assert_eq!(menu.cursor, 0);
        let mut empty = Menu::new(String::new(), Vec::new(), MenuThen::Template);
        empty.move_by(1);
        assert_eq!((empty.cursor, empty.chosen()), (0, None));
    }
}

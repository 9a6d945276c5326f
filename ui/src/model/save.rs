//! The line that names what is saved. What is saved under the name is in update/save.rs.

use super::field::Line;

/// Characters of a name.
pub(crate) const NAME_CHARS_MAX: usize = 40;

/// A name as it is typed.
#[derive(Debug)]
pub(crate) struct SaveLine {
    pub(crate) title: String,
    pub(crate) line: Line,
    pub(crate) then: SaveThen,
}

/// What is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaveThen {
    /// The injection form.
    Template,
    /// The filter and sort of a list.
    Filter,
    /// A priority for all marked tasks.
    Priority,
    /// The task to go to.
    GoTask,
}

impl SaveThen {
    /// Returns what is typed.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Template | Self::Filter => "Name",
            Self::Priority | Self::GoTask => "Number",
        }
    }
}

impl SaveLine {
    /// Reads the name.
    pub(crate) fn name(&self) -> Result<String, String> {
        let name = crate::text::clean(self.line.text().trim());
        match name.chars().count() {
            0 => Err(format!("write a {} first", self.then.label().to_lowercase())),
            1..=NAME_CHARS_MAX => Ok(name),
            count => Err(format!("the name has {count} characters; {NAME_CHARS_MAX} fit")),
        }
    }
}

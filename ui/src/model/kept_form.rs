//! The form as it is remembered: each field's word with its text, as far as it differs from an
//! empty form. Reads and writes no file; see keep.rs.

use super::field::{Line, Lines};
use super::form::{Field, Form, FormKind, Source};
use crate::keep::KeptForm;

/// Bytes of a list that are remembered; a longer one belongs in a file.
const LIST_BYTES_MAX: usize = 64 << 10;

impl Form {
    /// Returns what differs from an empty form.
    pub(crate) fn kept(&self) -> KeptForm {
        let empty = Self::default();
        let mut kept = KeptForm::new();
        let mut keep = |field: Field, text: String, unset: &str| {
            if text != unset {
                kept.insert(field.word().to_owned(), text);
            }
        };
        keep(Field::Kind, self.kind.word().to_owned(), empty.kind.word());
        keep(Field::Source, self.source.word().to_owned(), empty.source.word());
        for field in Field::LINES {
            if let (Some(line), Some(unset)) = (self.line(field), empty.line(field)) {
                keep(field, line.text().to_owned(), unset.text());
            }
        }
        let list = self.list.text();
        if list.len() <= LIST_BYTES_MAX {
            keep(Field::List, list, "");
        }
        kept
    }

    /// Returns the form that was kept. What this release does not know stays unset.
    pub(crate) fn recalled(kept: &KeptForm) -> Self {
        let mut form = Self::default();
        let of = |field: Field| kept.get(field.word()).map(String::as_str);
        if let Some(kind) = FormKind::ALL.into_iter().find(|k| Some(k.word()) == of(Field::Kind)) {
            form.kind = kind;
        }
        if let Some(source) = Source::ALL.into_iter().find(|s| Some(s.word()) == of(Field::Source))
        {
            form.source = source;
        }
        for field in Field::LINES {
            if let (Some(text), Some(line)) = (of(field), form.line_mut(field)) {
                *line = Line::of(&crate::text::clean(text));
            }
        }
        form.list = Lines::of(of(Field::List).unwrap_or_default());
        form.focus = form.fields().into_iter().nth(2).unwrap_or(Field::Kind);
        form
    }
}

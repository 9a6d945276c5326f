//! The form as it is remembered: each field's word with its text, as far as it differs from an
//! empty form. Reads and writes no file; see keep.rs.

use super::field::Lines;
use super::form::{ArgKind, Field, Form, FormKind, LANES, Source, lane_word};
use super::parse::masked;
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
        keep(Field::Form, self.args.word().to_owned(), empty.args.word());
        keep(Field::Lane, lane_word(self.lane).to_owned(), lane_word(empty.lane));
        for field in Field::LINES {
            let text = self.text(field);
            let text = if field == Field::Env { masked(text) } else { text.to_owned() };
            // A key that comes back would make the next batch the one before.
            if field != Field::Key {
                keep(field, text, field.unset());
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
        if let Some(args) = ArgKind::ALL.into_iter().find(|a| Some(a.word()) == of(Field::Form)) {
            form.args = args;
        }
        let lane = LANES.into_iter().find(|lane| Some(lane_word(*lane)) == of(Field::Lane));
        form.lane = lane.flatten();
        for field in Field::LINES {
            if let Some(text) = of(field) {
                form.set(field, &clean_lines(text));
            }
        }
        form.list = Lines::of(of(Field::List).unwrap_or_default());
        form.focus = form.fields().into_iter().nth(2).unwrap_or(Field::Kind);
        form
    }
}

/// Cleans a text that may have more than one line.
pub(crate) fn clean_lines(text: &str) -> String {
    text.split('\n').map(crate::text::clean).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_comes_back_as_it_was_but_for_secrets() {
        let mut form = Form { kind: FormKind::Exec, source: Source::List, ..Form::default() };
        form.set(Field::Command, "./backup {}");
        form.set(Field::Env, "TOKEN=s3cret");
        form.set(Field::Key, "nightly");
        form.set(Field::Retries, "3");
        form.list = Lines::of("one\n\ntwo");
        let kept = form.kept();
        assert!(!format!("{kept:?}").contains("s3cret"));
        let words: Vec<_> = kept.keys().map(String::as_str).collect();
        assert_eq!(words, ["command", "env", "kind", "list", "retries", "source"]);
        let back = Form::recalled(&kept);
        assert_eq!((back.kind, back.source), (form.kind, form.source));
        assert_eq!(back.text(Field::Command), "./backup {}");
        assert_eq!(back.text(Field::Env), "TOKEN=***");
        assert_eq!(back.list.text(), "one\n\ntwo");
        assert_eq!(back.kept(), kept);
        assert!(Form::default().kept().is_empty());
    }

    #[test]
    fn foreign_words_are_not_taken() {
        let kept = [("kind", "rocket"), ("colour", "red"), ("command", "a\u{1b}[31m\nb")];
        let kept = kept.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let form = Form::recalled(&kept);
        assert_eq!(form.kind, FormKind::Shell);
        assert_eq!(form.text(Field::Command), "a[31m\nb");
    }
}

//! Keys of the injection form and of the quick add line.

use super::{Action as A, Binding, Context as C, key};

pub(super) const KEYS: &[Binding] = &[
    key(A::Submit, "submit", &["f5", "alt-enter"], "inject").at(&[C::Form]).foot(1),
    key(A::NextField, "next-field", &["tab"], "next field").at(&[C::Form, C::Join]).foot(2),
    key(A::PreviousField, "previous-field", &["backtab"], "previous field").at(&[C::Form, C::Join]),
    key(A::Older, "older-form", &["alt-up"], "history").at(&[C::Form]).foot(3),
    key(A::Newer, "newer-form", &["alt-down"], "back in history").at(&[C::Form]),
    key(A::Older, "older-line", &["up"], "history").at(&[C::Quick]).foot(2),
    key(A::Newer, "newer-line", &["down"], "back in history").at(&[C::Quick]),
    key(A::Copy, "copy-line", &["f2"], "copy the line").at(&[C::Join, C::Form]).foot(5),
    key(A::Editor, "editor", &["ctrl-e"], "$EDITOR").at(&[C::Form]).foot(6),
    key(A::LoadTemplate, "load-template", &["ctrl-o"], "templates").at(&[C::Form]).foot(7),
    key(A::SaveTemplate, "save-template", &["ctrl-s"], "save as template").at(&[C::Form]).foot(8),
];

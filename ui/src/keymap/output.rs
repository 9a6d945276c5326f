//! Keys of a task's details, its output and the log.

use super::{Action as A, Binding, Context as C, key};

pub(super) const KEYS: &[Binding] = &[
    key(A::NextTab, "next-tab", &["]"], "next tab").at(&[C::Details]).foot(2),
    key(A::PreviousTab, "previous-tab", &["["], "previous tab").at(&[C::Details]),
    key(A::NextPane, "other-pane", &["tab"], "next tab, or list").at(&[C::Details]),
    key(A::PreviousPane, "other-pane-back", &["backtab"], "previous tab").at(&[C::Details]),
    key(A::Open, "open-shown", &["enter"], "open").at(&[C::Details]),
    key(A::Copy, "copy-output", &["y"], "copy").at(&[C::Details, C::Reader]).foot(6),
    key(A::Retry, "retry-shown", &["r"], "retry").at(&[C::Details]).foot(15),
    key(A::Cancel, "cancel-shown", &["c"], "cancel").at(&[C::Details]).foot(16),
    key(A::PreviousTask, "previous-task", &["{"], "previous task").at(&[C::Details]),
    key(A::NextTask, "next-task", &["}"], "next task").at(&[C::Details]).foot(5),
    key(A::Why, "why-shown", &["W"], "why").at(&[C::Details]).foot(54),
    key(A::Search, "search", &["/"], "search").at(&[C::Reader]).foot(3),
    key(A::Follow, "follow", &["f"], "follow").at(&[C::Reader]).foot(4),
    key(A::Wrap, "wrap", &["w"], "wrap").at(&[C::Reader]).foot(11),
    key(A::Times, "times", &["t"], "times").at(&[C::Reader]).foot(53),
    key(A::Streams, "streams", &["x"], "streams").at(&[C::Reader]).foot(52),
    key(A::NextMatch, "next-match", &["n"], "next match").at(&[C::Reader]),
    key(A::PreviousMatch, "previous-match", &["N"], "previous match").at(&[C::Reader]),
    key(A::SaveOutput, "save-output", &["ctrl-s"], "save").at(&[C::Reader]).foot(14),
    key(A::Accept, "search-accept", &["enter"], "search").at(&[C::Search]).foot(1),
    key(A::Back, "search-leave", &["ctrl-c"], "close").at(&[C::Search]),
];

//! Keys of lists of tasks and results.

use super::{Action as A, Binding, Context as C, key};

pub(super) const KEYS: &[Binding] = &[
    key(A::Filter, "filter", &["/"], "filter").at(&[C::List]).foot(4),
    key(A::Open, "open", &["enter"], "open").at(&[C::List]).foot(5),
    key(A::Mark, "mark", &["space"], "mark").at(&[C::List]).foot(6),
    key(A::Retry, "retry", &["r"], "retry").at(&[C::List]).foot(7),
    key(A::Cancel, "cancel", &["c"], "cancel").at(&[C::List]).foot(8),
    key(A::PriorityUp, "priority-up", &["+", "="], "priority up").at(&[C::List]),
    key(A::PriorityDown, "priority-down", &["-"], "priority down").at(&[C::List]),
    key(A::Copy, "copy", &["y"], "copy").at(&[C::List, C::Gang]).foot(27),
    key(A::MarkRange, "mark-range", &["v"], "mark a range").at(&[C::List]).foot(28),
    key(A::MarkAll, "mark-all", &["A"], "mark all").at(&[C::List]).foot(29),
    key(A::MarkInvert, "mark-invert", &["*"], "invert marks").at(&[C::List]),
    key(A::SortBy, "sort", &["s"], "sort").at(&[C::List]).foot(15),
    key(A::SortReverse, "sort-reverse", &["S"], "reverse").at(&[C::List]),
    key(A::StateChip, "state", &["."], "state").at(&[C::List]).foot(16),
    key(A::RetryAll, "retry-all", &["R"], "retry failed").at(&[C::List]),
    key(A::Delete, "delete", &["d"], "delete").at(&[C::List]).foot(17),
    key(A::EditCopy, "edit-copy", &["e"], "edit a copy").at(&[C::List]),
    key(A::Why, "why", &["w"], "why").at(&[C::List]).foot(18),
    key(A::GoWorker, "go-worker", &["g w"], "go to worker").at(&[C::List]),
    key(A::GoBatch, "go-batch", &["g b"], "go to batch").at(&[C::List]),
    key(A::GoTask, "go-task", &["g t"], "go to task").at(&[C::List]),
    key(A::CopyJson, "copy-json", &["Y"], "copy as JSON").at(&[C::List]),
    key(A::SaveView, "save-view", &["ctrl-s"], "save view").at(&[C::List]),
    key(A::Columns, "columns", &["C"], "columns").at(&[C::List]),
    key(A::DetailsPane, "details-pane", &["o"], "details").at(&[C::List]).foot(14),
];

//! Keys of the workers and of the join dialog.

use super::{Action as A, Binding, Context as C, key};

pub(super) const KEYS: &[Binding] = &[
    key(A::Drain, "drain", &["D"], "drain").at(&[C::Gang]).foot(11),
    key(A::Revoke, "revoke", &["X"], "revoke").at(&[C::Gang]).foot(12),
    key(A::StartWorker, "start-worker", &["W"], "local worker").at(&[C::Gang]).foot(24),
    key(A::JoinDialog, "join", &["J"], "join line").foot(13),
    key(A::Copy, "copy-join", &["y"], "copy join line").at(&[C::Welcome]).foot(1),
    key(A::StartWorker, "start-first-worker", &["W"], "local worker").at(&[C::Welcome]).foot(4),
    key(A::OpenWorker, "open-worker", &["enter", "o"], "open").at(&[C::Gang]).foot(5),
    key(A::MoreSlots, "more-slots", &["+", "="], "more slots").at(&[C::Gang]),
    key(A::FewerSlots, "fewer-slots", &["-"], "fewer slots").at(&[C::Gang]),
];

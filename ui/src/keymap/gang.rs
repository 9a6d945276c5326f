//! Keys of the workers and of the join dialog.

use super::{Action as A, Binding, Context as C, key};

pub(super) const KEYS: &[Binding] = &[
    key(A::Drain, "drain", &["D"], "drain").at(ON_WORKER).foot(11),
    key(A::Revoke, "revoke", &["X"], "revoke").at(ON_WORKER).foot(12),
    key(A::StartWorker, "start-worker", &["W"], "local worker").at(&[C::Gang]).foot(24),
    key(A::JoinDialog, "join", &["J"], "join line").foot(13),
    key(A::Copy, "copy-join", &["y"], "copy join line").at(&[C::Welcome]).foot(1),
    key(A::StartWorker, "start-first-worker", &["W"], "local worker").at(&[C::Welcome]).foot(4),
    key(A::Identities, "identities", &["K"], "identities").foot(43),
    key(A::OpenWorker, "open-worker", &["enter", "o"], "open").at(&[C::Gang]).foot(5),
    key(A::MoreSlots, "more-slots", &["+", "="], "more slots").at(ON_WORKER).foot(32),
    key(A::FewerSlots, "fewer-slots", &["-"], "fewer slots").at(ON_WORKER).foot(33),
    key(A::Accept, "open-held", &["enter", "o"], "open task").at(&[C::Worker]).foot(5),
    key(A::Copy, "copy-worker", &["y"], "copy").at(&[C::Worker, C::Identities, C::Note]).foot(20),
];

const ON_WORKER: &[C] = &[C::Gang, C::Worker];

//! Keys of questions, lines and boxes.

use super::{Action as A, Binding, Context as C, key};

pub(super) const KEYS: &[Binding] = &[
    key(A::Accept, "accept", &["enter"], "accept")
        .at(&[C::Filter, C::Quick, C::Confirm, C::Typed, C::Join, C::Search, C::Menu, C::Save])
        .foot(1),
    key(A::Accept, "run", &["enter"], "run").at(&[C::Palette]).foot(1),
    key(A::Complete, "complete", &["tab"], "complete").at(&[C::Palette]).foot(2),
    key(A::Up, "choose-up", &["up", "ctrl-p", "backtab"], "up, recent").at(&[C::Palette]).foot(3),
    key(A::Down, "choose-down", &["down", "ctrl-n"], "down").at(&[C::Palette]).foot(4),
    key(A::PageUp, "choose-page-up", &["pageup"], "page up").at(&[C::Palette]),
    key(A::PageDown, "choose-page-down", &["pagedown"], "page down").at(&[C::Palette]),
    key(A::Search, "search-help", &["/"], "search").at(&[C::Help]).foot(1),
    key(A::Up, "menu-up", &["up"], "up").at(&[C::Menu]).foot(2),
    key(A::Down, "menu-down", &["down"], "down").at(&[C::Menu]).foot(3),
    key(A::First, "menu-first", &["home"], "first").at(&[C::Menu]),
    key(A::Last, "menu-last", &["end"], "last").at(&[C::Menu]),
    key(A::Yes, "yes", &["y"], "yes").at(&[C::Confirm]).foot(2),
    key(A::No, "no", &["n"], "no").at(&[C::Confirm]).foot(3),
    key(A::NextField, "other-button", &["tab", "left", "right", "backtab"], "other button")
        .at(&[C::Confirm]),
    key(A::Back, "close", &["q", "ctrl-c"], "close").at(&[
        C::Help,
        C::Details,
        C::Worker,
        C::Identities,
        C::Note,
    ]),
    key(A::Back, "leave", &["ctrl-c"], "close").at(&[
        C::Filter,
        C::Quick,
        C::Form,
        C::Join,
        C::Confirm,
        C::Typed,
        C::Palette,
        C::Search,
        C::Menu,
        C::Save,
    ]),
];

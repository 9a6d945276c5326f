//! Keys of every screen.

use super::{Action as A, Binding, Context as C, key};

pub(super) const KEYS: &[Binding] = &[
    key(A::Inject, "inject", &["i"], "inject").foot(2),
    key(A::Again, "again", &["I"], "again").foot(3),
    key(A::Quick, "quick-add", &["a"], "add a line").foot(25),
    key(A::NextPane, "next-pane", &["tab", "l", "right"], "pane").foot(10),
    key(A::PreviousPane, "previous-pane", &["backtab", "h", "left"], "previous pane"),
    key(A::PauseQueue, "pause-queue", &["P"], "pause queue").foot(21),
    key(A::Freeze, "freeze", &["f"], "freeze").foot(22),
    key(A::Zoom, "zoom", &["z"], "zoom").foot(23),
    key(A::Undo, "undo", &["u"], "take back").foot(9),
    key(A::ShowOverview, "show-overview", &["1"], "overview").at(&[C::Screen, C::Lost]),
    key(A::ShowTasks, "show-tasks", &["2"], "tasks").at(&[C::Screen, C::Lost]),
    key(A::ShowResults, "show-results", &["3"], "results").at(&[C::Screen, C::Lost]),
    key(A::ShowWorkers, "show-workers", &["4"], "workers").at(&[C::Screen, C::Lost]),
    key(A::ShowLog, "show-log", &["5"], "log").at(&[C::Screen, C::Lost]).foot(40),
    key(A::ShowPrevious, "show-previous", &["`"], "previous screen"),
    key(A::Up, "up", &["k", "up"], "up").at(SCROLLED),
    key(A::Down, "down", &["j", "down"], "down").at(SCROLLED).foot(41),
    key(A::PageUp, "page-up", &["pageup", "ctrl-b"], "page up").at(SCROLLED),
    key(A::PageDown, "page-down", &["pagedown", "ctrl-f"], "page down").at(SCROLLED),
    key(A::HalfUp, "half-up", &["ctrl-u"], "half a page up").at(SCROLLED),
    key(A::HalfDown, "half-down", &["ctrl-d"], "half a page down").at(SCROLLED),
    key(A::First, "first", &["g g", "home"], "first").at(SCROLLED),
    key(A::Last, "last", &["G", "end"], "last").at(SCROLLED),
    key(A::RetryNow, "retry-now", &["r"], "try now").at(&[C::Lost]).foot(1),
    key(A::Back, "back", &["esc"], "back").at(EVERYWHERE).foot(50),
    key(A::Quit, "quit", &["q", "ctrl-c"], "quit").at(&[C::Screen, C::Lost]).foot(60),
    key(A::Redraw, "redraw", &["ctrl-l"], "draw again").at(EVERYWHERE),
    key(A::Suspend, "suspend", &["ctrl-z"], "suspend").at(EVERYWHERE),
    key(A::Help, "help", &["?", "f1"], "help").at(&[
        C::Screen,
        C::Lost,
        C::Details,
        C::Worker,
        C::Identities,
    ]),
    key(A::Palette, "palette", &[":", "ctrl-p"], "commands")
        .at(&[C::Screen, C::Lost, C::Details, C::Worker, C::Identities, C::Note])
        .foot(30),
    key(A::Screenshot, "screenshot", &["f12"], "picture").at(EVERYWHERE),
    key(A::Mouse, "mouse", &["%"], "mouse").foot(42),
];

pub(super) const SCROLLED: &[C] =
    &[C::Screen, C::Help, C::Details, C::Worker, C::Identities, C::Note];
pub(super) const EVERYWHERE: &[C] = &[
    C::Screen,
    C::Lost,
    C::Filter,
    C::Quick,
    C::Form,
    C::Confirm,
    C::Typed,
    C::Join,
    C::Details,
    C::Reader,
    C::Search,
    C::Worker,
    C::Identities,
    C::Note,
    C::Menu,
    C::Save,
    C::Palette,
    C::Help,
];

//! The terminal as this process found it: raw mode and the alternate screen, given back on every
//! way out, also on a panic. Draws nothing by itself.

use std::io::{self, Stdout, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::model::Model;
use crate::options::Glyphs;
use crate::theme::Theme;

/// Whether the terminal is ours, for the panic hook.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Holds the terminal; dropping it gives the terminal back.
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// What the terminal shows; none when that is not known.
    shown: Option<Shown>,
    /// The cells of the next draw, kept for their memory.
    next: Buffer,
}

#[derive(PartialEq, Eq)]
struct Shown {
    cells: Buffer,
    cursor: Option<Position>,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn take() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()));
        let with = |terminal| Self { terminal, shown: None, next: Buffer::default() };
        terminal.map(with).inspect_err(|_| give_back())
    }

    /// Draws the model; nothing is written for cells that did not change, and nothing at all when
    /// none did.
    pub(crate) fn draw(&mut self, model: &Model, theme: &Theme, glyphs: Glyphs) -> io::Result<()> {
        let area = Rect::from((Position::ORIGIN, self.terminal.size()?));
        let mut cells = std::mem::take(&mut self.next);
        cells.resize(area);
        cells.reset();
        let cursor = crate::view::view(model, theme, glyphs, &mut cells);
        let next = Shown { cells, cursor };
        if self.shown.as_ref() == Some(&next) {
            self.next = next.cells;
            return Ok(());
        }
        queue!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| {
            // The terminal may have changed its size since; then the next event draws it right.
            if frame.area() == area {
                frame.buffer_mut().content.clone_from(&next.cells.content);
            }
            if let Some(position) = cursor {
                frame.set_cursor_position(position);
            }
        })?;
        self.next = self.shown.replace(next).map_or_else(Buffer::default, |shown| shown.cells);
        execute!(io::stdout(), EndSynchronizedUpdate)
    }

    /// Forgets what the terminal holds, so that everything is drawn again.
    ///
    /// `Terminal::clear` is of no use here: it asks the terminal where its cursor is, and the
    /// reader of events takes the answer.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        execute!(io::stdout(), Clear(ClearType::All))?;
        self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        self.shown = None;
        Ok(())
    }

    /// Returns columns and rows.
    pub(crate) fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Gives the terminal to the shell and asks the system to stop this process. The stop comes a
    /// moment later; draw nothing until [`Screen::retake`].
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        let myself = rustix::process::getpid();
        Ok(rustix::process::kill_process(myself, rustix::process::Signal::TSTP)?)
    }

    /// Gives the terminal to another program; draw nothing until [`Screen::retake`].
    pub(crate) fn lend(&mut self) {
        give_back();
    }

    /// Takes the terminal again after something else may have changed its modes.
    pub(crate) fn retake(&mut self) -> io::Result<()> {
        enter()?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)
}

/// Errors are of no use here: there is nothing left to show them on.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        drop(execute!(
            out,
            EndSynchronizedUpdate,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        ));
        drop(out.flush());
        drop(disable_raw_mode());
    }
}

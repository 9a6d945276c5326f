//! The terminal as this process found it: raw mode and the alternate screen, given back on every
//! way out, also on a panic. Draws nothing by itself.

use std::fmt;
use std::io::{self, Stdout, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::Command;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
};
use crossterm::style::Print;
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
use crate::mouse::{Capture, Hits};
use crate::notify::{GIVE_TITLE_BACK, KEEP_TITLE, Notify, notification, title};
use crate::options::Glyphs;
use crate::theme::Theme;
use crate::view::Drawn;

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
    capture: Capture,
    /// What the mouse finds on what was drawn last.
    hits: Hits,
    /// The title of the window, once it is set.
    title: Option<String>,
}

#[derive(PartialEq, Eq)]
struct Shown {
    cells: Buffer,
    cursor: Option<Position>,
}

/// Reports presses and the wheel, with places beyond column 223. Crossterm's own command asks for
/// every move of the mouse too, and each would wake the loop for nothing.
struct CaptureMouse;

impl Command for CaptureMouse {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str("\u{1b}[?1000h\u{1b}[?1006h")
    }
}

/// Reports the mouse no more.
struct ReleaseMouse;

impl Command for ReleaseMouse {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str("\u{1b}[?1006l\u{1b}[?1000l")
    }
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
        let capture = Capture::default();
        enter(capture)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()));
        let taken = |terminal| Self {
            terminal,
            shown: None,
            next: Buffer::default(),
            capture,
            hits: Hits::default(),
            title: None,
        };
        terminal.map(taken).inspect_err(|_| give_back())
    }

    /// Draws the model; nothing is written for cells that did not change, and nothing at all when
    /// none did.
    pub(crate) fn draw(&mut self, model: &Model, theme: &Theme, glyphs: Glyphs) -> io::Result<()> {
        let area = Rect::from((Position::ORIGIN, self.terminal.size()?));
        let mut cells = std::mem::take(&mut self.next);
        cells.resize(area);
        cells.reset();
        let Drawn { cursor, hits } = crate::view::view(model, theme, glyphs, &mut cells);
        self.hits = hits;
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

    /// Returns what the mouse finds where.
    pub(crate) const fn hits(&self) -> &Hits {
        &self.hits
    }

    /// Gives the mouse to the screen or to the terminal.
    pub(crate) fn give_mouse(&mut self, capture: Capture) -> io::Result<()> {
        self.capture = capture;
        match capture {
            Capture::Screen => execute!(io::stdout(), CaptureMouse),
            Capture::Terminal => execute!(io::stdout(), ReleaseMouse),
        }
    }

    /// Calls the person.
    pub(crate) fn call(&self, how: Notify, text: &str) -> io::Result<()> {
        execute!(io::stdout(), Print(notification(how, text)))
    }

    /// Sets the title of the window when it is another one.
    pub(crate) fn set_title(&mut self, text: String) -> io::Result<()> {
        if self.title.as_ref() != Some(&text) {
            execute!(io::stdout(), Print(title(&text)))?;
            self.title = Some(text);
        }
        Ok(())
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
        enter(self.capture)?;
        self.title = None;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter(capture: Capture) -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut out = io::stdout();
    queue!(
        out,
        Print(KEEP_TITLE),
        EnterAlternateScreen,
        EnableBracketedPaste,
        EnableFocusChange,
        cursor::Hide
    )?;
    match capture {
        Capture::Screen => execute!(out, CaptureMouse),
        Capture::Terminal => out.flush(),
    }
}

/// Errors are of no use here: there is nothing left to show them on.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        drop(execute!(
            out,
            EndSynchronizedUpdate,
            ReleaseMouse,
            DisableFocusChange,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Print(GIVE_TITLE_BACK),
            cursor::Show
        ));
        drop(out.flush());
        drop(disable_raw_mode());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use super::*;

    #[test]
    #[ignore = "it panics on purpose, in a terminal that the next test gives it"]
    fn panics_while_it_has_the_terminal() {
        let mut screen = Screen::take().unwrap();
        screen.set_title("soon gone".to_owned()).unwrap();
        panic!("on purpose");
    }

    /// A panic is told on a terminal that is the shell's again: cooked, with its cursor, its first
    /// screen and none of the modes that the screen had set.
    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        let name = "terminal::tests::panics_while_it_has_the_terminal";
        command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut from = pair.master.try_clone_reader().unwrap();
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        // Linux ends a terminal without a program with an error.
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..count]);
        }
        assert!(!child.wait().unwrap().success());
        let text = String::from_utf8_lossy(&bytes);
        let told = text.find("on purpose").unwrap();
        let before = &text[..told];
        for (taken, given_back) in [
            ("\u{1b}[?1049h", "\u{1b}[?1049l"),
            ("\u{1b}[?2004h", "\u{1b}[?2004l"),
            ("\u{1b}[?1004h", "\u{1b}[?1004l"),
            ("\u{1b}[?1000h", "\u{1b}[?1000l"),
            ("\u{1b}[?1006h", "\u{1b}[?1006l"),
            ("\u{1b}[?25l", "\u{1b}[?25h"),
            ("\u{1b}[22;2t", "\u{1b}[23;2t"),
        ] {
            let taken = before.find(taken).unwrap_or_else(|| panic!("{taken:?} in {before:?}"));
            assert!(before[taken..].contains(given_back), "{given_back:?} in {before:?}");
            assert!(!text[told..].contains(given_back), "given back once");
        }
        // A cooked terminal ends its lines with both; a raw one would not.
        assert!(text[told..].contains("\r\n"), "{text:?}");
        let modes = format!("{:?}", pair.master.get_termios().unwrap().local_flags);
        assert!(modes.contains("ICANON") && modes.contains("ECHO"), "{modes}");
    }
}

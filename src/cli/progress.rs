//! A progress bar on standard error, for work that takes a while and a person who watches. Draws
//! nothing where standard error is no terminal.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

/// A bar that appears when the work turns out to take a while.
pub(crate) struct Progress {
    bar: ProgressBar,
    shows_at: Instant,
}

/// Work that ends before shows nothing.
const QUIET: Duration = Duration::from_millis(500);

/// What is shown of work whose end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A bar.
    Bar,
    /// A sentence.
    Eta,
}

impl Progress {
    /// Returns a bar over `total` tasks; a counter when their number is not known.
    pub(crate) fn new(verb: &'static str, total: Option<u64>) -> Self {
        Self::styled(verb, total, Style::Bar)
    }

    /// As [`Progress::new`], in a style.
    pub(crate) fn styled(verb: &'static str, total: Option<u64>, style: Style) -> Self {
        let template = match (total, style) {
            (_, Style::Eta) => "{prefix}: {eta} left, {human_pos} of {human_len} done, {per_sec}",
            (Some(_), Style::Bar) => {
                "{prefix} {wide_bar} {human_pos} of {human_len}  {per_sec}  {eta} left"
            }
            (None, Style::Bar) => "{prefix} {human_pos} tasks  {per_sec}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is our own");
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        bar.set_style(style.progress_chars("━╸─"));
        bar.set_prefix(verb);
        Self { bar, shows_at: Instant::now() + QUIET }
    }

    /// Says how far the work is.
    pub(crate) fn set(&mut self, done: u64, total: Option<u64>) {
        if self.bar.is_hidden() && Instant::now() >= self.shows_at {
            // Stays hidden where standard error is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// Takes the bar away, so that something else can be written; it comes back by itself.
    pub(crate) fn clear(&mut self) {
        if !self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
            // The bar is one line, and the cursor stays on it.
            write!(io::stderr().lock(), "\r\x1b[2K").ok();
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

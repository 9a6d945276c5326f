//! The loop: waits for a key, a message of the master or a second, feeds the model, does what it
//! asks, paints. Decides nothing about tasks.
//!
//! The paint rule: a key draws at once; data draws at most 30 times a second and only when
//! something changed; an idle screen draws only where an age or a clock is shown, once a second.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt as _;
use ganger_proto::WallMs;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::clipboard::{Clipboard, to_terminal, to_tmux};
use crate::link::{Inbound, Link, Outbound};
use crate::model::Model;
use crate::model::outside::Attention;
use crate::msg::{Effect, Moment, Msg};
use crate::notify::Notify;
use crate::save::{FileName, save};
use crate::signals::{Signals, Woken};
use crate::terminal::Screen;
use crate::theme::{Theme, ThemeError};
use crate::update::update;

/// Tells the milliseconds of a clock that never runs backwards, and the time of day.
pub type Clock = Arc<dyn Fn() -> (u64, WallMs) + Send + Sync>;

/// How the screen looks and what it is given.
pub struct Options {
    /// The colours.
    pub theme: ThemeChoice,
    /// The signs.
    pub glyphs: Glyphs,
    /// The home folder, for people.
    pub home: String,
    /// Minutes that the local time is ahead of UTC; times end with a Z when it is unknown.
    pub utc_offset_min: Option<i32>,
    /// How `y` copies.
    pub clipboard: Clipboard,
    /// How a person is called who looks elsewhere.
    pub notify: Notify,
    /// The time.
    pub clock: Clock,
    /// Draws random numbers for submission keys and for random arguments.
    pub key_source: Box<dyn FnMut() -> u128 + Send>,
}

/// A theme by name or as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThemeChoice {
    /// One of [`Theme::names`]; `NO_COLOR` asks for `mono`.
    Named(String),
    /// A theme file's text.
    Text(String),
}

/// Which signs the terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Box lines, braille, blocks.
    #[default]
    Unicode,
    /// Nothing beyond ASCII.
    Ascii,
}

/// How the person left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By a key; the master keeps running.
    Left,
    /// The terminal or the system asked the screen to end.
    Ended,
    /// The program around the screen closed the link.
    LinkClosed,
}

/// The screen cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// The theme cannot be used.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// The terminal cannot be used.
    #[error(
        "the terminal cannot be used for the screen; run ganger in an interactive terminal, \
         or `ganger status` for one page of text"
    )]
    Terminal(#[from] io::Error),
}

/// Time between two draws for data.
const FRAME: Duration = Duration::from_micros(33_334);
/// Messages of the master taken before the next draw.
const DRAIN_MAX: usize = 64;

/// Shows the screen until the person leaves.
///
/// # Errors
/// When the theme cannot be read or the terminal cannot be taken or written to.
pub async fn run(link: Link, options: Options) -> Result<Exit, ScreenError> {
    let theme = match &options.theme {
        ThemeChoice::Named(name) => Theme::named(name)?,
        ThemeChoice::Text(text) => Theme::parse(text)?,
    };
    // Before the terminal is taken: a signal in between would leave it as it is.
    let signals = Signals::new()?;
    let screen = Screen::take()?;
    let model = Model::new(screen.size()?, options.home.clone(), options.utc_offset_min);
    let (copied, copies) = mpsc::channel(4);
    let mut driver = Driver {
        screen,
        theme,
        options,
        model,
        outbox: VecDeque::new(),
        copied,
        paint: Paint::default(),
    };
    driver.paint_now()?;
    driver.follow(link, copies, signals).await
}

struct Driver {
    screen: Screen,
    theme: Theme,
    options: Options,
    model: Model,
    /// What waits to be sent; short, since submissions go one part at a time and a watch replaces
    /// the one before it.
    outbox: VecDeque<Outbound>,
    /// Bounded: when it is full, the sentence about a copy is dropped.
    copied: mpsc::Sender<Msg>,
    paint: Paint,
}

/// When the next draw for data is due.
#[derive(Default)]
struct Paint {
    last: Option<Instant>,
    due: Option<Instant>,
    /// Seconds that the terminal has been the shell's.
    suspended_s: Option<u8>,
}

/// What a turn of the loop leads to.
enum Turn {
    Go,
    Leave(Exit),
}

impl Driver {
    async fn follow(
        &mut self,
        mut link: Link,
        mut copies: mpsc::Receiver<Msg>,
        mut signals: Signals,
    ) -> Result<Exit, ScreenError> {
        let mut events = EventStream::new();
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let due = self.paint.due;
            let frame = async { sleep_until(due.unwrap_or_else(Instant::now)).await };
            let outbound = link.outbound.clone();
            let turn = tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.event(event?)?,
                    None => Turn::Leave(Exit::Ended),
                },
                inbound = link.inbound.recv() => match inbound {
                    Some(first) => self.heard(first, &mut link.inbound)?,
                    None => Turn::Leave(Exit::LinkClosed),
                },
                Some(msg) = copies.recv() => self.feed_and_paint(msg)?,
                permit = outbound.reserve(), if !self.outbox.is_empty() => {
                    match (permit, self.outbox.pop_front()) {
                        (Ok(permit), Some(message)) => {
                            permit.send(message);
                            Turn::Go
                        }
                        (Ok(_), None) => Turn::Go,
                        (Err(_), _) => Turn::Leave(Exit::LinkClosed),
                    }
                }
                _ = second.tick() => {
                    let before = self.model.toast.is_some();
                    let turn = self.feed(Msg::Second)?;
                    self.wake_if_never_stopped()?;
                    self.retitle()?;
                    if before || shows_time(&self.model) {
                        self.paint_soon();
                    }
                    turn
                }
                () = frame, if due.is_some() => {
                    self.paint_now()?;
                    Turn::Go
                }
                end = signals.next() => match end {
                    Woken::End => Turn::Leave(Exit::Ended),
                    Woken::Continued => {
                        self.retake()?;
                        Turn::Go
                    }
                },
            };
            if let Turn::Leave(exit) = turn {
                return Ok(exit);
            }
        }
    }

    fn event(&mut self, event: Event) -> io::Result<Turn> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                self.feed_and_paint(Msg::Key(key))
            }
            Event::Paste(text) => self.feed_and_paint(Msg::Paste(text)),
            Event::Resize(columns, rows) => self.feed_and_paint(Msg::Resize(columns, rows)),
            Event::Mouse(event) => match self.screen.hits().pointed(event) {
                Some(pointed) => self.feed_and_paint(Msg::Mouse(pointed)),
                None => Ok(Turn::Go),
            },
            Event::FocusGained => self.feed(Msg::Attention(Attention::Here)),
            Event::FocusLost => self.feed(Msg::Attention(Attention::Away)),
            Event::Key(_) => Ok(Turn::Go),
        }
    }

    /// Takes the first message and what else waits, up to a bound; paints soon if it shows.
    fn heard(&mut self, first: Inbound, more: &mut mpsc::Receiver<Inbound>) -> io::Result<Turn> {
        let mut next = Some(first);
        for _ in 0..DRAIN_MAX {
            let Some(inbound) = next.take() else { break };
            let shows = match &inbound {
                Inbound::Picture(picture) => !same_look(self.model.picture.as_deref(), picture),
                Inbound::Connected(_)
                | Inbound::Reply { .. }
                | Inbound::Followed { .. }
                | Inbound::Lost { .. }
                | Inbound::Refused { .. } => true,
            };
            if let Turn::Leave(exit) = self.feed(Msg::Link(inbound))? {
                return Ok(Turn::Leave(exit));
            }
            if shows {
                self.paint_soon();
            }
            next = more.try_recv().ok();
        }
        // What was taken from the queue beyond the bound is not lost: it is fed as well.
        if let Some(inbound) = next {
            self.paint_soon();
            return self.feed(Msg::Link(inbound));
        }
        Ok(Turn::Go)
    }

    fn feed(&mut self, msg: Msg) -> io::Result<Turn> {
        let (mono_ms, wall) = (self.options.clock)();
        self.model.now = Moment { mono_ms, wall, draw: (self.options.key_source)() };
        for effect in update(&mut self.model, msg) {
            match effect {
                Effect::Send(message) => self.post(message),
                Effect::Copy(text) => self.copy(text),
                Effect::Keep(_) => {}
                Effect::Screenshot { format, file } => {
                    self.save(file, format.write(&self.frame()), "the picture".to_owned());
                }
                Effect::Save { file, text, what } => self.save(file, text, what),
                Effect::Notify(text) => self.screen.call(self.options.notify, &text)?,
                Effect::Mouse(capture) => self.screen.give_mouse(capture)?,
                Effect::Redraw => self.screen.clear()?,
                Effect::Leave => return Ok(Turn::Leave(Exit::Left)),
                Effect::Suspend => {
                    self.screen.suspend()?;
                    self.paint.suspended_s = Some(0);
                }
            }
        }
        Ok(Turn::Go)
    }

    fn feed_and_paint(&mut self, msg: Msg) -> io::Result<Turn> {
        let turn = self.feed(msg)?;
        if matches!(turn, Turn::Go) {
            self.paint_now()?;
        }
        Ok(turn)
    }

    fn post(&mut self, message: Outbound) {
        if matches!(message, Outbound::Watch(_)) {
            self.outbox.retain(|waiting| !matches!(waiting, Outbound::Watch(_)));
        }
        self.outbox.push_back(message);
    }

    fn paint_soon(&mut self) {
        let now = Instant::now();
        let earliest = self.paint.last.map_or(now, |last| last + FRAME);
        self.paint.due.get_or_insert(earliest.max(now));
    }

    fn retake(&mut self) -> io::Result<()> {
        self.paint.suspended_s = None;
        self.screen.retake()?;
        self.paint_now()
    }

    /// The system drops the request to stop where no shell could continue us; then seconds go on.
    fn wake_if_never_stopped(&mut self) -> io::Result<()> {
        match &mut self.paint.suspended_s {
            Some(seconds @ 0) => *seconds += 1,
            Some(_) => return self.retake(),
            None => {}
        }
        Ok(())
    }

    /// Once a second is often enough for a title.
    fn retitle(&mut self) -> io::Result<()> {
        match self.paint.suspended_s {
            None => self.screen.set_title(crate::view::title(&self.model, self.options.glyphs)),
            Some(_) => Ok(()),
        }
    }

    fn paint_now(&mut self) -> io::Result<()> {
        self.paint.due = None;
        if self.paint.suspended_s.is_some() {
            return Ok(());
        }
        self.paint.last = Some(Instant::now());
        self.screen.draw(&self.model, &self.theme, self.options.glyphs)
    }

    /// Draws the screen as it is, for a picture.
    fn frame(&self) -> Buffer {
        let (width, height) = self.model.size;
        let mut frame = Buffer::empty(Rect { x: 0, y: 0, width, height });
        crate::view::view(&self.model, &self.theme, self.options.glyphs, &mut frame);
        frame
    }

    /// Writes beside the loop: a disk may be slow. The task ends with its file; the handle is of no
    /// use, since nothing waits for it.
    fn save(&self, file: FileName, text: String, what: String) {
        let copied = self.copied.clone();
        drop(tokio::task::spawn_blocking(move || {
            drop(copied.try_send(Msg::Copied(save(&file, &text, &what))));
        }));
    }

    fn copy(&self, text: String) {
        let copied = self.copied.clone();
        match self.options.clipboard {
            Clipboard::Terminal => {
                let said = to_terminal(&text);
                drop(copied.try_send(Msg::Copied(said)));
            }
            // The task ends with its child; the handle is of no use, since nothing waits for it.
            Clipboard::Tmux => drop(tokio::spawn(async move {
                let said = to_tmux(&text).await;
                drop(copied.try_send(Msg::Copied(said)));
            })),
        }
    }
}

/// Tells whether a second changes what is seen.
fn shows_time(model: &Model) -> bool {
    let has_clock = model.size.0 >= 70;
    has_clock || !model.is_up() || model.toast.is_some() || !model.overlays.is_empty()
}

/// Tells whether a picture draws the same cells as the one before it.
fn same_look(before: Option<&ganger_proto::Picture>, after: &ganger_proto::Picture) -> bool {
    before.is_some_and(|before| {
        before.master == after.master
            && before.gang == after.gang
            && before.queues == after.queues
            && before.tasks == after.tasks
            && before.results == after.results
            && before.workers == after.workers
            && before.history == after.history
            && before.log == after.log
    })
}

//! The loop: waits for a key, a message of the master or a second, feeds the model, does what it
//! asks, paints. Decides nothing about tasks; when it paints is in paint.rs.

mod errands;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::editor::edit;
use crate::keeper::{Keeper, load};
use crate::link::{Inbound, Link, Outbound};
use crate::model::looks::Looks;
use crate::model::outside::Attention;
use crate::model::{Model, Tone};
use crate::msg::{Effect, Moment, Msg};
use crate::options::Options;
use crate::paint::{Paint, same_look, shows_time};
use crate::signals::{Signals, Woken};
use crate::terminal::Screen;
use crate::update::update;

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
    #[error("{0}")]
    Theme(String),
    /// The terminal cannot be used.
    #[error(
        "the terminal cannot be used for the screen; run ganger in an interactive terminal, \
         or `ganger status` for one page of text"
    )]
    Terminal(#[from] io::Error),
}

/// Messages of the master taken before the next draw.
const DRAIN_MAX: usize = 64;

/// Shows the screen until the person leaves.
///
/// # Errors
/// When the theme cannot be read or the terminal cannot be taken or written to.
pub async fn run(link: Link, mut options: Options) -> Result<Exit, ScreenError> {
    let (kept, said) = options.kept.as_deref().map_or_else(Default::default, load);
    let looks = Looks::with(std::mem::take(&mut options.themes)).within(options.depth);
    let (looks, ignored) =
        looks.begin(&options.theme, kept.theme.as_deref()).map_err(ScreenError::Theme)?;
    // Before the terminal is taken: a signal in between would leave it as it is.
    let signals = Signals::new()?;
    let screen = Screen::take()?;
    let mut model = Model::new(screen.size()?, options.home.clone(), options.utc_offset_min);
    model.keymap = std::mem::take(&mut options.keymap);
    model.access = options.access;
    model.looks = looks;
    model.kept_sent = kept.clone();
    model.kept = kept;
    (model.now.mono_ms, model.now.wall) = (options.clock)();
    if let Some(why) = said.or(ignored) {
        model.say(Tone::Note, why);
    }
    let (copied, copies) = mpsc::channel(4);
    let keeper = options.kept.clone().map(|path| Keeper::start(path, copied.clone()));
    let mut driver = Driver {
        screen,
        options,
        model,
        keeper,
        outbox: VecDeque::new(),
        copied,
        lent: Lent::No,
        paint: Paint::default(),
    };
    driver.paint_now()?;
    let exit = driver.follow(link, copies, signals).await;
    let keeper = driver.keeper.take();
    // The terminal is the shell's again before the disk is waited for.
    drop(driver);
    if let Some(keeper) = keeper {
        keeper.finish().await;
    }
    exit
}

struct Driver {
    screen: Screen,
    options: Options,
    model: Model,
    keeper: Option<Keeper>,
    /// What waits to be sent; short, since submissions go one part at a time and a watch replaces
    /// the one before it.
    outbox: VecDeque<Outbound>,
    /// Bounded: when it is full, the sentence about a copy is dropped, and what was read or edited
    /// waits.
    copied: mpsc::Sender<Msg>,
    lent: Lent,
    paint: Paint,
}

/// Whether the terminal is an editor's.
enum Lent {
    No,
    /// It will be, once nobody here reads its keys.
    Wanted(String),
    /// It is, until this task has sent what the editor saved; the task ends with its child.
    To(JoinHandle<()>),
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
        let mut events = Some(EventStream::new());
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let due = self.paint.due;
            let frame = async { sleep_until(due.unwrap_or_else(Instant::now)).await };
            let outbound = link.outbound.clone();
            let turn = tokio::select! {
                event = next(&mut events) => match event {
                    Some(event) => self.event(event?)?,
                    None => Turn::Leave(Exit::Ended),
                },
                inbound = link.inbound.recv() => match inbound {
                    Some(first) => self.heard(first, &mut link.inbound)?,
                    None => Turn::Leave(Exit::LinkClosed),
                },
                Some(msg) = copies.recv() => self.done(msg)?,
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
                        self.paint.soon();
                    }
                    turn
                }
                () = frame, if due.is_some() => {
                    self.paint_now()?;
                    Turn::Go
                }
                end = signals.next() => match end {
                    // Ctrl-C in an editor is the editor's; the system sends it to both of us.
                    Woken::Interrupted | Woken::Continued if self.is_lent() => Turn::Go,
                    Woken::End | Woken::Interrupted => Turn::Leave(Exit::Ended),
                    Woken::Continued => {
                        self.retake()?;
                        Turn::Go
                    }
                },
            };
            if let Turn::Leave(exit) = turn {
                self.call_back();
                return Ok(exit);
            }
            self.lend(&mut events);
        }
    }

    const fn is_lent(&self) -> bool {
        matches!(self.lent, Lent::To(_))
    }

    /// Gives the terminal to an editor that waits for it; reads keys again when it came back.
    fn lend(&mut self, events: &mut Option<EventStream>) {
        match std::mem::replace(&mut self.lent, Lent::No) {
            Lent::No => drop(events.get_or_insert_with(EventStream::new)),
            Lent::Wanted(text) => {
                *events = None;
                self.screen.lend();
                let copied = self.copied.clone();
                self.lent = Lent::To(tokio::spawn(async move {
                    let saved = edit(&text).await;
                    // The screen has ended when nobody takes it.
                    drop(copied.send(Msg::Edited(saved)).await);
                }));
            }
            lent @ Lent::To(_) => self.lent = lent,
        }
    }

    /// Ends an editor that still has the terminal.
    fn call_back(&mut self) {
        if let Lent::To(task) = &self.lent {
            task.abort();
        }
    }

    fn done(&mut self, msg: Msg) -> io::Result<Turn> {
        if matches!(msg, Msg::Edited(_)) {
            self.lent = Lent::No;
            self.retake()?;
        }
        self.feed_and_paint(msg)
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
            let mut answers = false;
            let shows = match &inbound {
                Inbound::Picture(picture) => {
                    answers = self.paint.answered < picture.watch;
                    self.paint.answered = picture.watch;
                    !same_look(self.model.picture.as_deref(), picture)
                }
                Inbound::Connected(_)
                | Inbound::Reply { .. }
                | Inbound::Followed { .. }
                | Inbound::Lost { .. }
                | Inbound::Refused { .. } => true,
            };
            if let Turn::Leave(exit) = self.feed(Msg::Link(inbound))? {
                return Ok(Turn::Leave(exit));
            }
            if answers {
                self.paint_now()?;
            } else if shows {
                self.paint.soon();
            }
            next = more.try_recv().ok();
        }
        // What was taken from the queue beyond the bound is not lost: it is fed as well.
        match next {
            Some(inbound) => {
                self.paint.soon();
                self.feed(Msg::Link(inbound))
            }
            None => Ok(Turn::Go),
        }
    }

    fn feed(&mut self, msg: Msg) -> io::Result<Turn> {
        let (mono_ms, wall) = (self.options.clock)();
        self.model.now = Moment { mono_ms, wall, draw: (self.options.key_source)() };
        for effect in update(&mut self.model, msg) {
            match effect {
                Effect::Send(message) => self.post(message),
                Effect::Copy(text) => self.copy(text),
                Effect::Keep(kept) => self.keep(kept),
                Effect::Edit(text) => self.lent = Lent::Wanted(text),
                Effect::Read(wanted) => self.read(wanted),
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
        if self.paint.suspended_s.is_some() || self.is_lent() {
            return Ok(());
        }
        self.paint.last = Some(Instant::now());
        let Some(theme) = self.model.theme() else { return Ok(()) };
        self.screen.draw(&self.model, theme, self.options.glyphs)
    }
}

/// Returns the next event; none ever while the terminal is not ours.
async fn next(events: &mut Option<EventStream>) -> Option<io::Result<Event>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

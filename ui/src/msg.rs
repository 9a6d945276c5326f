//! What the model hears and what it wants done. Does not do it; see run.rs.

use crossterm::event::KeyEvent;
use ganger_proto::{ArgList, WallMs};

use crate::keep::Kept;
use crate::link::{Inbound, Outbound};
use crate::model::form::Wanted;
use crate::model::outside::Attention;
use crate::mouse::{Capture, Pointed};
use crate::save::FileName;
use crate::shot::ShotFormat;

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something.
    Mouse(Pointed),
    /// The terminal got or lost the focus.
    Attention(Attention),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// About a second passed.
    Second,
    /// Something came from the master.
    Link(Inbound),
    /// A copy to the clipboard or into a file ended: the sentence to show.
    Copied(Result<String, String>),
    /// What is remembered could not be written: the sentence to show.
    NotKept(String),
    /// The editor was left: what it saved, or why there is nothing.
    Edited(Result<String, String>),
    /// What the form asked for was read: the arguments, or why there are none.
    WasRead(Wanted, Result<ArgList, String>),
}

/// When it happened, with a random draw for ids that it may need.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// Milliseconds on a clock that never runs backwards.
    pub(crate) mono_ms: u64,
    /// The time of day.
    pub(crate) wall: WallMs,
    /// Random, fresh for every message.
    pub(crate) draw: u128,
}

/// What must be done outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Say this to the master.
    Send(Outbound),
    /// Remember this for the next run.
    Keep(Box<Kept>),
    /// Put this on the clipboard.
    Copy(String),
    /// Open this in the person's editor.
    Edit(String),
    /// Read this on the screen's host.
    Read(Wanted),
    /// Write a picture of the screen.
    Screenshot { format: ShotFormat, file: FileName },
    /// Write text into a file; `what` begins the sentence that says where it is.
    Save { file: FileName, text: String, what: String },
    /// Call the person, who may look elsewhere.
    Notify(String),
    /// Give the mouse to the screen or to the terminal.
    Mouse(Capture),
    /// Give the terminal back to the shell until it says otherwise.
    Suspend,
    /// Draw everything again, whatever the terminal holds.
    Redraw,
    /// Leave the screen.
    Leave,
}

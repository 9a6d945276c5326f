//! What the program around the screen hands it: looks, keys, the clock, where to remember things.
//! Reads nothing by itself.

use std::path::PathBuf;
use std::sync::Arc;

use ganger_proto::WallMs;

use crate::clipboard::Clipboard;
use crate::keymap::Keymap;
use crate::model::Access;
use crate::notify::Notify;
use crate::theme::{Depth, Theme};

/// Tells the milliseconds of a clock that never runs backwards, and the time of day.
pub type Clock = Arc<dyn Fn() -> (u64, WallMs) + Send + Sync>;

/// How the screen looks and what it is given.
pub struct Options {
    /// The colours.
    pub theme: ThemeChoice,
    /// Themes besides the built-in ones, by name; ones that cannot be read say why.
    pub themes: Vec<(String, Result<Theme, String>)>,
    /// The colours that the terminal has.
    pub depth: Depth,
    /// The signs.
    pub glyphs: Glyphs,
    /// The keys.
    pub keymap: Keymap,
    /// Whether anything may be changed.
    pub access: Access,
    /// The file that remembers things between runs; none remembers nothing.
    pub kept: Option<PathBuf>,
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

/// A theme by name, and how much it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThemeChoice {
    /// Unless another one was chosen on the screen in an earlier run.
    Usual(String),
    /// In this run, whatever was chosen before.
    Wanted(String),
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

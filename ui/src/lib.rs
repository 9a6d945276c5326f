//! The screen: a pure model, a pure view, and a small loop around them. Does not know the network;
//! see link.rs for what comes in and goes out.
//!
//! `run` is the only entry. Inside, `update` takes one message and changes the model, `view` draws
//! the model into cells, and `run` does what `update` asks for.

mod clipboard;
mod keep;
mod keymap;
mod layout;
pub mod link;
mod model;
mod mouse;
mod msg;
mod notify;
mod rows;
mod run;
#[cfg(test)]
mod sample;
mod save;
mod shot;
mod signals;
mod terminal;
mod text;
mod theme;
mod update;
mod view;

pub use clipboard::Clipboard;
pub use keep::{Kept, KeptForm, KeptList};
pub use keymap::key_table;
pub use notify::Notify;
pub use run::{Clock, Exit, Glyphs, Options, ScreenError, ThemeChoice, run};
pub use theme::{Theme, ThemeError};

//! The screen: a pure model, a pure view, and a small loop around them. Does not know the network;
//! see link.rs for what comes in and goes out.
//!
//! `run` is the only entry. Inside, `update` takes one message and changes the model, `view` draws
//! the model into cells, and `run` does what `update` asks for.

mod clipboard;
mod editor;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod keep;
mod keeper;
mod keymap;
mod layout;
mod lines;
pub mod link;
mod model;
mod mouse;
mod msg;
mod notify;
mod options;
mod paint;
mod rows;
mod run;
#[cfg(test)]
mod sample;
mod save;
mod shot;
mod signals;
mod sources;
mod terminal;
mod text;
mod theme;
mod update;
mod view;

pub use clipboard::Clipboard;
pub use keep::{Kept, KeptForm, KeptList};
pub use keymap::{CustomKey, KeyFault, Keymap, key_table};
pub use model::Access;
pub use notify::Notify;
pub use options::{Clock, Glyphs, Options, ThemeChoice};
pub use run::{Exit, ScreenError, run};
pub use theme::{Depth, Theme, ThemeError};

//! What the loop has done beside itself: copies, files, what is remembered. Each answers with a
//! message, when there is something to say.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::task::spawn_blocking;

use super::Driver;
use crate::clipboard::{Clipboard, to_terminal, to_tmux};
use crate::keep::Kept;
use crate::model::form::Wanted;
use crate::msg::Msg;
use crate::save::{FileName, save};
use crate::sources::read;

impl Driver {
    pub(super) fn keep(&self, kept: Box<Kept>) {
        if let Some(keeper) = &self.keeper {
            keeper.keep(kept);
        }
    }

    /// Reads a file where it may take its time; the answer comes as a message. The thread ends with
    /// the file; its handle is of no use, since nothing waits for it.
    pub(super) fn read(&self, wanted: Wanted) {
        let copied = self.copied.clone();
        drop(spawn_blocking(move || {
            let result = read(&wanted);
            // The screen has ended when nobody takes it.
            drop(copied.blocking_send(Msg::WasRead(wanted, result)));
        }));
    }

    /// Draws the screen as it is, for a picture.
    pub(super) fn frame(&self) -> Buffer {
        let (width, height) = self.model.size;
        let mut frame = Buffer::empty(Rect { x: 0, y: 0, width, height });
        if let Some(theme) = self.model.theme() {
            crate::view::view(&self.model, theme, self.options.glyphs, &mut frame);
        }
        frame
    }

    /// Writes beside the loop: a disk may be slow. The task ends with its file; the handle is of no
    /// use, since nothing waits for it.
    pub(super) fn save(&self, file: FileName, text: String, what: String) {
        let copied = self.copied.clone();
        drop(spawn_blocking(move || {
            drop(copied.try_send(Msg::Copied(save(&file, &text, &what))));
        }));
    }

    pub(super) fn copy(&self, text: String) {
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

//! What the screen asks the master to show, and which lists that is about. Sending it is update/'s.

use ganger_proto::Watch;
use ganger_proto::picture::RowWindow;

use super::{Model, Screen, log};

impl Model {
    /// Returns what the screen must be shown.
    pub(crate) fn watch(&self) -> Watch {
        let mut watch = Watch {
            number: self.watch_number,
            workers: Some(RowWindow { start: 0, rows: 200 }),
            history: self.screen == Screen::Overview,
            log_rows: log::ROWS_ASIDE,
            ..Watch::default()
        };
        match self.screen {
            Screen::Overview => {
                watch.tasks = Some(self.next.window());
                watch.results = Some(self.latest.window());
            }
            Screen::Tasks => watch.tasks = Some(self.tasks.window()),
            Screen::Results => watch.results = Some(self.results.window()),
            Screen::Workers => {}
            Screen::Log => watch.log_rows = log::ROWS,
        }
        watch
    }

    /// Tells the lists which of them the watch about to be sent is about.
    pub(crate) fn note_watch(&mut self) {
        let (screen, number) = (self.screen, self.watch_number);
        for (list, place) in [
            (&mut self.next, Screen::Overview),
            (&mut self.latest, Screen::Overview),
            (&mut self.tasks, Screen::Tasks),
            (&mut self.results, Screen::Results),
        ] {
            if place == screen {
                list.watched(number);
            } else {
                list.unwatched();
            }
        }
    }
}

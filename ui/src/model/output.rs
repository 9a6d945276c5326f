//! An attempt's output as it comes: pieces of two streams made into lines in the order of their
//! coming. Bytes are made harmless here; who asks for them is update/details.rs.

use ganger_proto::Outcome;
use ganger_proto::WallMs;
use ganger_proto::command::{AttemptRow, Stream};
use ganger_proto::follow::{Followed, Piece};

use super::reader::{Entry, Origin, Text};
use crate::lines::{Line, Liner};
use crate::text;

/// What is known of an output.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) text: Text,
    stdout: Liner,
    stderr: Liner,
    /// When a stream last said something.
    at: [WallMs; 2],
    /// The attempt it is of; 0 before anything came.
    pub(crate) attempt: u32,
    pub(crate) state: State,
    /// Whether what comes next replaces what is here.
    is_old: bool,
}

/// How far an output has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing was heard.
    #[default]
    Asked,
    /// More may come.
    Open,
    /// All has come; how the attempt ended, when it ran.
    Ended(Option<Outcome>),
    /// The master does not give it: why.
    Refused(String),
}

impl Output {
    /// What is here stays to be seen until the same is heard again.
    pub(crate) fn will_begin_again(&mut self) {
        self.is_old = true;
    }

    pub(crate) fn take(&mut self, followed: Followed) {
        match followed {
            Followed::Attempt { attempt, worker } => self.begin(attempt, &text::clean(&worker)),
            Followed::Piece(piece) => self.piece(&piece),
            Followed::Ended { outcome } => {
                self.end_lines();
                self.state = State::Ended(outcome);
            }
        }
        self.renew_open();
    }

    /// Shows the first bytes that came with the attempt's end instead of what is not given.
    pub(crate) fn refuse(&mut self, why: &str, attempts: &[AttemptRow]) {
        let shown = attempts.iter().rev().find(|a| self.attempt == 0 || a.attempt == self.attempt);
        if self.is_old || self.text.is_empty() {
            self.clear();
            if let Some(attempt) = shown {
                self.attempt = attempt.attempt;
                self.bytes(Stream::Stdout, &attempt.ended.stdout);
                self.bytes(Stream::Stderr, &attempt.ended.stderr);
            }
        }
        self.end_lines();
        if !self.text.is_empty() {
            self.say(format!("… {} …", text::clean(why)));
        }
        self.state = State::Refused(text::clean(why));
        self.renew_open();
    }

    fn clear(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        *self = Self { text, ..Self::default() };
    }

    fn begin(&mut self, attempt: u32, worker: &str) {
        if self.is_old {
            self.clear();
        }
        self.end_lines();
        if self.attempt > 0 {
            self.say(format!("── attempt {attempt} on {worker} ──"));
        }
        self.attempt = attempt;
        self.state = State::Open;
    }

    fn piece(&mut self, piece: &Piece) {
        *self.at_mut(piece.stream) = piece.at;
        if piece.skipped > 0 {
            self.end_stream(piece.stream);
            self.say(format!("… {} not kept …", text::bytes(piece.skipped)));
        }
        self.bytes(piece.stream, &piece.bytes);
    }

    fn bytes(&mut self, stream: Stream, bytes: &[u8]) {
        let at = *self.at_mut(stream);
        let (liner, from) = match stream {
            Stream::Stdout => (&mut self.stdout, Origin::Stdout),
            Stream::Stderr => (&mut self.stderr, Origin::Stderr),
        };
        liner.take(bytes, |line| self.text.push(Entry { at, from, line }));
    }

    fn at_mut(&mut self, stream: Stream) -> &mut WallMs {
        let [stdout, stderr] = &mut self.at;
        match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }

    fn end_lines(&mut self) {
        self.end_stream(Stream::Stdout);
        self.end_stream(Stream::Stderr);
    }

    fn end_stream(&mut self, stream: Stream) {
        let at = *self.at_mut(stream);
        let (liner, from) = match stream {
            Stream::Stdout => (&mut self.stdout, Origin::Stdout),
            Stream::Stderr => (&mut self.stderr, Origin::Stderr),
        };
        if let Some(line) = liner.end() {
            self.text.push(Entry { at, from, line });
        }
    }

    fn say(&mut self, text: String) {
        self.text.push(Entry { at: WallMs(0), from: Origin::Ganger, line: Line::plain(text) });
    }

    /// Shows the last lines as far as they have come.
    fn renew_open(&mut self) {
        let [at_out, at_err] = self.at;
        let stdout =
            self.stdout.rest().map(|line| Entry { at: at_out, from: Origin::Stdout, line });
        let stderr =
            self.stderr.rest().map(|line| Entry { at: at_err, from: Origin::Stderr, line });
        self.text.set_open(stdout.into_iter().chain(stderr).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reader::Streams;

    fn piece(stream: Stream, bytes: &[u8]) -> Followed {
        let at = WallMs(1);
        Followed::Piece(Piece { stream, offset: 0, skipped: 0, at, bytes: bytes.to_vec() })
    }

    fn lines(output: &Output) -> Vec<String> {
        let shown = output.text.shown(Streams::Both);
        shown.map(|entry| format!("{:?} {}", entry.from, entry.line.text)).collect()
    }

    #[test]
    fn pieces_become_lines_in_the_order_of_their_coming() {
        let mut output = Output::default();
        output.take(Followed::Attempt { attempt: 1, worker: "alpha".to_owned() });
        output.take(piece(Stream::Stdout, b"one\ntw"));
        output.take(piece(Stream::Stderr, b"oops\n"));
        assert_eq!(lines(&output), ["Stdout one", "Stderr oops", "Stdout tw"]);
        output.take(piece(Stream::Stdout, b"o\n50%\r"));
        output.take(piece(Stream::Stdout, b"99%"));
        assert_eq!(lines(&output)[2..], ["Stdout two", "Stdout 99%"]);
        let gap = Piece {
            stream: Stream::Stdout,
            offset: 9,
            skipped: 3_300_000,
            at: WallMs(1),
            bytes: b"end".to_vec(),
        };
        output.take(Followed::Piece(gap));
        let expected = ["Stdout 99%", "Ganger … 3.1 MiB not kept …", "Stdout end"];
        assert_eq!(lines(&output)[3..], expected);
        output.take(Followed::Ended { outcome: Some(Outcome::Done) });
        assert_eq!(output.state, State::Ended(Some(Outcome::Done)));
        output.take(Followed::Attempt { attempt: 2, worker: "bra\u{1b}vo".to_owned() });
        assert_eq!(lines(&output)[5..], ["Stdout end", "Ganger ── attempt 2 on bravo ──"]);
    }

    #[test]
    fn what_is_heard_again_replaces_what_was_there() {
        let mut output = Output::default();
        output.take(Followed::Attempt { attempt: 1, worker: String::new() });
        output.take(piece(Stream::Stdout, b"one\nhalf"));
        output.will_begin_again();
        assert_eq!(lines(&output).len(), 2, "it stays to be seen");
        output.take(Followed::Attempt { attempt: 1, worker: String::new() });
        output.take(piece(Stream::Stdout, b"one\nhalf a line"));
        assert_eq!(lines(&output), ["Stdout one", "Stdout half a line"]);
    }
}

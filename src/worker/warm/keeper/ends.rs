//! How a handler's tasks end: by an answer, by the end of its process, by what no handler may do.
//! When a task begins, and what is told, is in keeper.rs.

use std::os::unix::process::ExitStatusExt as _;

use ganger_proto::limits::INLINE_BYTES_MAX;
use ganger_proto::{Outcome, Usage};

use super::{Current, Keeper};
use crate::worker::order::{End, Finished, Stopped};
use crate::worker::output::{Collector, Stream};
use crate::worker::warm::line::{self, Answer, Retry};
use crate::worker::warm::process::{After, Gone, Heard};

/// Reads of what a process wrote before it ended: more than a pipe holds.
const LAST_READS_MAX: usize = 64;
/// The wait after a start that came to nothing: the first, and the longest.
const START_AGAIN_US: u64 = 100_000;
const START_AGAIN_US_MAX: u64 = 10_000_000;
/// The end of a task whose handler said an error, or did not keep to the protocol.
const FAILED: Outcome = Outcome::Failed { code: 1 };

/// Characters of an error that a handler may say.
const ERROR_CHARS_MAX: usize = 1_000;
/// What a handler may do only with a task.
pub(super) const CHATTER: &str = "wrote to its standard output without having a task";

impl Keeper {
    /// Reads once and takes what came.
    pub(super) fn listen(&mut self) -> Heard {
        let now_us = self.clock.micros();
        let Some(process) = &mut self.process else { return Heard::Silence };
        let heard = process.hear(&mut self.buffer, now_us);
        if process.is_ending() {
            process.forget_answer();
            return heard;
        }
        match heard {
            Heard::Silence | Heard::End => {}
            Heard::Part | Heard::Line(_) | Heard::Flood if self.current.is_none() => {
                self.chatter(CHATTER);
            }
            Heard::Part => {}
            Heard::Flood => self.broken(
                "wrote over 1 MiB without an end of line; it should write \
                                         much to a file, and answer with its path",
            ),
            Heard::Line(after) => self.answered(after, now_us),
        }
        heard
    }

    fn answered(&mut self, after: After, now_us: u64) {
        let (Some(process), Some(current)) = (&mut self.process, self.current.take()) else {
            return;
        };
        let answer = match line::read(process.answer(), self.batch.task_of(current.number)) {
            Ok(answer) => answer,
            Err(why) => {
                self.current = Some(current);
                return self.broken(&why);
            }
        };
        process.forget_answer();
        process.answered = process.answered.saturating_add(1);
        self.deaths = 0;
        self.moved_us = now_us;
        let stderr = process.take_stderr();
        let recycle_after = self.setup.recycle_after;
        if after == After::Nothing && recycle_after > 0 && process.answered >= recycle_after {
            process.dismiss(now_us, self.grace_us);
        }
        let took_us = now_us.saturating_sub(current.began_us);
        match answer {
            Answer::Done(bytes)
                if stderr == Stream::default() && bytes.len() <= INLINE_BYTES_MAX =>
            {
                self.telling.done(now_us, current.number, took_us, &bytes);
            }
            Answer::Done(bytes) => {
                let mut stdout = Collector::default();
                stdout.take(&bytes);
                let end = finished(current.number, Outcome::Done, String::new());
                let end = Finished { took_us, stdout: stdout.end(), stderr, ..end };
                self.telling.ended(now_us, end, Retry::MayHelp);
            }
            Answer::Failed(text, retry) => {
                let end = finished(current.number, FAILED, cut(text));
                let end = Finished { took_us, stderr, ..end };
                self.telling.ended(now_us, end, retry);
            }
        }
        if after == After::More {
            self.chatter("wrote more than one line for a task");
        }
    }

    /// The process has ended; what it said before counts.
    pub(super) fn exited(&mut self) {
        for _ in 0..LAST_READS_MAX {
            if matches!(self.listen(), Heard::Silence | Heard::End) {
                break;
            }
        }
        let Some(process) = self.process.take() else { return };
        let told = process.is_ending();
        let gone = process.reap(&mut self.buffer);
        let now_us = self.clock.micros();
        let Some(current) = self.current.take() else {
            if !told {
                self.note(&format!("{} while it had no task", gone.how()));
            }
            return;
        };
        let (outcome, message) = match current.stopped {
            Some(Stopped::Asked) => (Outcome::Cancelled, String::new()),
            Some(Stopped::TimedOut) => (Outcome::TimedOut, String::new()),
            None if gone.took_line => self.crash(&gone),
            None if gone.answered > 0 => {
                self.batch.put_back();
                return self.note(&format!("{} between two tasks", gone.how()));
            }
            None => {
                self.came_to_nothing(now_us);
                let message = format!(
                    "the handler {} on {} {} before it took a task; its standard error may say why",
                    self.setup.handler,
                    self.setup.worker,
                    gone.how()
                );
                (Outcome::Unfit, message)
            }
        };
        self.end(&current, outcome, message, gone);
    }

    /// Returns what a task comes to whose process ended.
    fn crash(&self, gone: &Gone) -> (Outcome, String) {
        let signal = gone.status.and_then(|status| status.signal());
        let code = gone.status.and_then(|status| status.code()).filter(|code| *code != 0);
        let outcome = match (signal, code) {
            (Some(signal), _) => Outcome::Signalled { signal },
            (None, Some(code)) => Outcome::Failed { code },
            (None, None) => FAILED,
        };
        let name = &self.setup.handler;
        (outcome, format!("the handler {name} {} while it ran this task", gone.how()))
    }

    /// A start came to nothing: the next one waits.
    pub(super) fn came_to_nothing(&mut self, now_us: u64) {
        let wait_us = START_AGAIN_US.saturating_mul(1 << self.deaths.min(16));
        self.start_at_us = now_us + wait_us.min(START_AGAIN_US_MAX);
        self.deaths = self.deaths.saturating_add(1);
    }

    /// The process does what no handler may do while it has a task.
    pub(super) fn broken(&mut self, why: &str) {
        let Some(process) = self.process.take() else { return };
        let gone = process.put_down(&mut self.buffer);
        match self.current.take() {
            Some(current) => {
                let message = format!("the handler {} {why}", self.setup.handler);
                self.end(&current, FAILED, message, gone);
            }
            None => self.note(why),
        }
    }

    /// The process does what no handler may do, and not for a task.
    pub(super) fn chatter(&mut self, why: &str) {
        if let Some(process) = self.process.take() {
            let _gone = process.put_down(&mut self.buffer);
            self.note(&format!("{why}; it is started again for the next task"));
        }
    }

    fn note(&mut self, what: &str) {
        let note = format!("the handler {} {what}", self.setup.handler);
        self.telling.note(self.clock.micros(), note);
    }

    /// Tells the end of a task with the end of its process.
    fn end(&mut self, current: &Current, outcome: Outcome, message: String, gone: Gone) {
        let now_us = self.clock.micros();
        self.moved_us = now_us;
        let end = Finished {
            usage: gone.usage,
            took_us: now_us.saturating_sub(current.began_us),
            stderr: gone.stderr,
            note: gone.left,
            ..finished(current.number, outcome, message)
        };
        self.telling.ended(now_us, end, Retry::MayHelp);
    }
}

fn cut(text: String) -> String {
    if text.chars().nth(ERROR_CHARS_MAX).is_none() {
        return text;
    }
    text.chars().take(ERROR_CHARS_MAX).chain(['…']).collect()
}

/// Returns the end of a task that nothing else is to be said of.
pub(super) fn finished(number: u64, outcome: Outcome, message: String) -> Finished {
    Finished {
        number,
        end: End::Answered { outcome, message },
        stopped: None,
        usage: Usage::default(),
        took_us: 0,
        stdout: Stream::default(),
        stderr: Stream::default(),
        note: String::new(),
    }
}

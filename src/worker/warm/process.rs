//! The process of a warm handler as its launcher holds it: its pipes, its end, and the end of all
//! that it started. Decides nothing about tasks; see keeper.rs.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use ganger_proto::Usage;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio, ioctl_fionread};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, kill_process_group, pidfd_open,
};
use wait4::Wait4 as _;

use super::line::ANSWER_BYTES_MAX;
use crate::worker::find::{self, NotStarted, Place};
use crate::worker::order::Order;
use crate::worker::output::{Collector, Stream};
use crate::worker::pipe::Pipe;
use crate::worker::process;

/// A handler's process.
pub(super) struct Process {
    child: Child,
    pid: Pid,
    pub(super) pidfd: OwnedFd,
    /// None once it is to end, or has closed its end.
    pub(super) stdin: Option<OwnedFd>,
    /// None once it has closed its end.
    pub(super) out: Option<OwnedFd>,
    pub(super) err: Pipe,
    /// The line being written, and how much of it is.
    line: Vec<u8>,
    sent: usize,
    /// What came of an answer.
    answer: Vec<u8>,
    /// Answers that it gave.
    pub(super) answered: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Serving,
    /// It closed a pipe that it needs, and should end by itself before this moment.
    Lost {
        until_us: u64,
    },
    /// It was told to end, and is killed at this moment.
    Ending {
        kill_at_us: u64,
    },
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// There is nothing to read.
    Silence,
    /// A part of a line.
    Part,
    /// The end of a line, and whether something came after it.
    Line(After),
    /// More than any answer may have.
    Flood,
    /// It has closed its standard output.
    End,
}

/// What came after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// Something that nobody asked for.
    More,
}

/// What its time is up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It closed a pipe and lives on.
    Lost,
    /// It did not end when it was told to.
    Kill,
}

/// The end of a process and of all below it.
pub(super) struct Gone {
    /// How it ended; none when the system does not say.
    pub(super) status: Option<ExitStatus>,
    /// What it used in its whole life.
    pub(super) usage: Usage,
    /// What it wrote to its standard error since the last task.
    pub(super) stderr: Stream,
    /// Whether it read any of the last line that it was given.
    pub(super) took_line: bool,
    /// Answers that it gave.
    pub(super) answered: u32,
    /// A sentence when something could not be killed; else empty.
    pub(super) left: String,
}

/// Whether the end of a killed process has come; a process that the kernel cannot end is not waited
/// for.
enum Expected {
    Come,
    Missing,
}

/// How long a process that closed a pipe may take to end: it closes all when it ends, and that is
/// seen before the end.
const LOST_US: u64 = 200_000;
/// Between two kills of what does not go.
const KILL_AGAIN_US: u64 = 10_000;
/// Looks, 10 ms each, whether one that is traced can be reaped.
const TRACED_LOOKS: u32 = 200;
/// How long a killed process may take to go.
const KILLED: Duration = Duration::from_secs(2);

impl Process {
    /// Starts it, in a process group of its own.
    pub(super) fn start(place: &mut Place, order: &Order, now_us: u64) -> Result<Self, NotStarted> {
        let cwd = find::directory(place, order)?;
        let program = find::program(place, order, now_us)?;
        let mut command = find::command(&program, order);
        let spawned = find::spawn(command.stdin(Stdio::piped()), cwd);
        let mut child = spawned.map_err(|error| NotStarted::by_system(&program.file, &error))?;
        let prepared = Self::prepare(&mut child);
        let (pidfd, stdin, out) = prepared.map_err(|error| {
            let _killed = child.kill();
            let _reaped = child.wait();
            NotStarted::by_system(&program.file, &error)
        })?;
        Ok(Self {
            pid: Pid::from_child(&child),
            pidfd,
            stdin: Some(stdin),
            out: Some(out),
            err: Pipe::new(child.stderr.take().map(OwnedFd::from), Collector::default()),
            child,
            line: Vec::new(),
            sent: 0,
            answer: Vec::new(),
            answered: 0,
            state: State::Serving,
        })
    }

    /// Returns what tells its end, and its pipes, which are not waited for.
    fn prepare(child: &mut Child) -> io::Result<(OwnedFd, OwnedFd, OwnedFd)> {
        let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        let missing = || io::Error::other("a pipe is missing");
        let stdin = OwnedFd::from(child.stdin.take().ok_or_else(missing)?);
        let out = OwnedFd::from(child.stdout.take().ok_or_else(missing)?);
        ioctl_fionbio(&stdin, true)?;
        ioctl_fionbio(&out, true)?;
        Ok((pidfd, stdin, out))
    }

    /// Tells whether it was told to end.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.state, State::Ending { .. })
    }

    /// Returns when it must be looked at again.
    pub(super) fn due_us(&self) -> Option<u64> {
        match self.state {
            State::Serving => None,
            State::Lost { until_us } => Some(until_us),
            State::Ending { kill_at_us } => Some(kill_at_us),
        }
    }

    /// Tells what its time is up for, if it is.
    pub(super) fn due(&self, now_us: u64) -> Option<Due> {
        match self.state {
            State::Lost { until_us } if until_us <= now_us => Some(Due::Lost),
            State::Ending { kill_at_us } if kill_at_us <= now_us => Some(Due::Kill),
            State::Serving | State::Lost { .. } | State::Ending { .. } => None,
        }
    }

    /// Returns the line to be written, empty.
    pub(super) fn next_line(&mut self) -> &mut Vec<u8> {
        self.line.clear();
        self.sent = 0;
        &mut self.line
    }

    /// Tells whether some of the line is still to be written.
    pub(super) fn is_writing(&self) -> bool {
        self.stdin.is_some() && self.sent < self.line.len()
    }

    /// Writes as much of the line as the pipe takes.
    pub(super) fn write(&mut self, now_us: u64) {
        while let Some(stdin) = &self.stdin
            && self.sent < self.line.len()
        {
            match rustix::io::write(stdin, &self.line[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.stdin = None;
                    self.lost(now_us);
                }
            }
        }
    }

    /// Reads once.
    pub(super) fn hear(&mut self, buffer: &mut [u8], now_us: u64) -> Heard {
        let Some(out) = &self.out else { return Heard::Silence };
        match rustix::io::read(out, &mut *buffer) {
            Ok(count) if count > 0 => self.take(&buffer[..count]),
            Err(Errno::INTR | Errno::AGAIN) => Heard::Silence,
            Ok(_) | Err(_) => {
                self.out = None;
                self.lost(now_us);
                Heard::End
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Heard {
        let end = memchr::memchr(b'\n', bytes);
        self.answer.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
        if self.answer.len() > ANSWER_BYTES_MAX {
            return Heard::Flood;
        }
        match end {
            None => Heard::Part,
            Some(at) if at + 1 == bytes.len() => Heard::Line(After::Nothing),
            Some(_) => Heard::Line(After::More),
        }
    }

    /// Hands out what came of an answer, and begins another.
    pub(super) fn answer(&mut self) -> &[u8] {
        &self.answer
    }

    /// Forgets what came of an answer.
    pub(super) fn forget_answer(&mut self) {
        self.answer.clear();
    }

    /// Ends what belongs to one task of its standard error.
    pub(super) fn take_stderr(&mut self) -> Stream {
        let next = Pipe::new(self.err.fd.take(), Collector::default());
        std::mem::replace(&mut self.err, next).finish(&mut [])
    }

    fn lost(&mut self, now_us: u64) {
        if self.state == State::Serving {
            self.state = State::Lost { until_us: now_us + LOST_US };
        }
    }

    /// Closes its standard input, which tells it to end.
    pub(super) fn dismiss(&mut self, now_us: u64, grace_us: u64) {
        self.stdin = None;
        self.state = State::Ending { kill_at_us: now_us.saturating_add(grace_us) };
    }

    /// Sends TERM to its process group.
    pub(super) fn terminate(&mut self, now_us: u64, grace_us: u64) {
        if !self.is_ending() {
            self.state = State::Ending { kill_at_us: now_us.saturating_add(grace_us) };
            let _may_be_gone = kill_process_group(self.pid, Signal::TERM);
            // A stopped process would not see TERM before it goes on.
            let _may_be_gone = kill_process_group(self.pid, Signal::CONT);
        }
    }

    /// Sends KILL to it and to all below the launcher.
    pub(super) fn kill(&mut self, now_us: u64) {
        // Done again shortly: a process that forks may have slipped past.
        self.state = State::Ending { kill_at_us: now_us + KILL_AGAIN_US };
        // It is not reaped yet, so its id and its group's are nobody else's.
        let _may_be_gone = kill_process_group(self.pid, Signal::KILL);
        let _may_be_gone = kill_process(self.pid, Signal::KILL);
        process::kill_below(getpid());
    }

    /// Tells whether it, which has ended, can be reaped; ends what of the task traces it.
    fn is_over(&self) -> bool {
        for _ in 0..TRACED_LOOKS {
            if process::is_reapable(self.pid) {
                return true;
            }
            process::end_tracers();
        }
        false
    }

    /// Reaps those that it left to this process.
    pub(super) fn reap_orphans(&self) {
        process::reap_orphans(self.pid);
    }

    /// Kills it and waits for its end.
    pub(super) fn put_down(mut self, buffer: &mut [u8]) -> Gone {
        self.kill(0);
        let time = Timespec::try_from(KILLED).expect("it is short");
        let ended = poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&time));
        let end = if matches!(ended, Ok(1..)) { Expected::Come } else { Expected::Missing };
        self.gone(buffer, end)
    }

    /// Takes in its end, which has come, and kills what it left.
    pub(super) fn reap(self, buffer: &mut [u8]) -> Gone {
        self.gone(buffer, Expected::Come)
    }

    fn gone(self, buffer: &mut [u8], end: Expected) -> Gone {
        let unread = self.stdin.as_ref().and_then(|stdin| ioctl_fionread(stdin).ok()).unwrap_or(0);
        let unsent = (self.line.len() - self.sent) as u64;
        let took_line = unread.saturating_add(unsent) < self.line.len() as u64;
        let used = match end {
            Expected::Come if self.is_over() => self.child.wait4().ok(),
            // What traces it keeps it from being reaped.
            Expected::Come | Expected::Missing => None,
        };
        let swept = if process::has_children() { process::sweep() } else { Ok(()) };
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Gone {
            status: used.as_ref().map(|used| used.status),
            usage: used.map_or_else(Usage::default, |used| Usage {
                max_rss_kib: used.rusage.maxrss / 1_024,
                user_us: micros(used.rusage.utime),
                system_us: micros(used.rusage.stime),
            }),
            stderr: self.err.finish(buffer),
            took_line,
            answered: self.answered,
            left: swept.err().map(|left| left.to_string()).unwrap_or_default(),
        }
    }
}

impl Gone {
    /// Says how it ended, as `exited with code 3`.
    pub(super) fn how(&self) -> String {
        match self.status.map(|status| (status.code(), status.signal())) {
            Some((Some(code), _)) => format!("exited with code {code}"),
            Some((None, Some(signal))) => format!("was ended by signal {signal}"),
            Some((None, None)) | None => "ended".to_owned(),
        }
    }
}

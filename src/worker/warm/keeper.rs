//! The launcher of a warm handler: keeps one process from task to task, gives it one task at a
//! time, and starts it again when it ended. Lives in a process of its own, like every launcher,
//! with nothing but the handler below it; see `worker/launcher.rs` for the lifeline.
//!
//! ```text
//!            a task comes                  the line is written             its answer is read
//!   none ───────────────────► serving ───────────────────────► busy ───────────────────► serving
//!    ▲                           │ recycled, told to end          │ timed out, cancelled, crashed,
//!    │        it is gone         ▼                                ▼ broke the protocol
//!    └───────────────────────  ending ◄───────────────────────────┘
//! ```

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ganger_proto::Outcome;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use ends::{CHATTER, finished};
use shown::Asked;

use super::batch::Batch;
use super::line::{self, Retry};
use super::order::{FromKeeper, Setup, ToKeeper};
use super::process::{Due, Heard, Process};
use super::telling::Telling;
use crate::clock::Clock;
use crate::worker::find::Place;
use crate::worker::order::{Frames, Stopped, encode};
use crate::worker::output::Collector;
use crate::worker::pipe::{Follow, Pipe};
use crate::worker::policy::{ExecPolicy, Permission};

mod ends;
mod shown;

/// Keeps a handler until the worker goes away, or says that it is to end.
///
/// # Errors
/// When the worker cannot be heard or spoken to.
pub(in crate::worker) fn keep(link: UnixStream, frames: Frames, setup: Setup) -> io::Result<()> {
    if setup.privileges == Permission::Refused {
        rustix::thread::set_no_new_privs(true)?;
    }
    // The owner of the worker named the program, not a task: the policy for tasks is not asked.
    let place = Place { worker: setup.worker.clone(), exec: ExecPolicy::Any, ..Place::default() };
    let mut keeper = Keeper {
        link,
        frames,
        clock: Clock::start(),
        place,
        grace_us: setup.start.grace_ms.saturating_mul(1_000),
        setup,
        process: None,
        batch: Batch::default(),
        current: None,
        ahead: None,
        telling: Telling::default(),
        moved_us: 0,
        deaths: 0,
        start_at_us: 0,
        reap_at_us: 0,
        leaving: None,
        silent: Pipe::new(None, Collector::default()),
        buffer: vec![0; READ_BYTES],
    };
    keeper.serve()
}

struct Keeper {
    link: UnixStream,
    frames: Frames,
    clock: Clock,
    place: Place,
    setup: Setup,
    grace_us: u64,
    process: Option<Process>,
    batch: Batch,
    /// The task that the process has.
    current: Option<Current>,
    /// Pieces asked for of a task that has not begun.
    ahead: Option<Asked>,
    telling: Telling,
    /// When a task began, ended or came last.
    moved_us: u64,
    /// Starts in a row that came to nothing.
    deaths: u32,
    /// No start before this moment.
    start_at_us: u64,
    reap_at_us: u64,
    /// How long the process may take to end, once this launcher is to end.
    leaving: Option<u64>,
    /// What a handler shows of its standard output while a task runs.
    silent: Pipe,
    buffer: Vec<u8>,
}

/// A task that was given.
struct Current {
    number: u64,
    began_us: u64,
    timeout_at_us: Option<u64>,
    stopped: Option<Stopped>,
    follow: Option<Follow>,
}

/// What poll found.
#[derive(Default)]
struct Ready {
    link: bool,
    out: bool,
    err: bool,
    stdin: bool,
    exited: bool,
}

/// Whether the worker wants this launcher to go on.
#[derive(PartialEq, Eq)]
enum Worker {
    There,
    Gone,
}

const READ_BYTES: usize = 64 << 10;
/// When a task takes longer, those that wait behind it are given back for other slots.
const RETURN_US: u64 = 10_000;
/// How often orphans of the handler are reaped.
const REAP_US: u64 = 10_000_000;

impl Keeper {
    fn serve(&mut self) -> io::Result<()> {
        // What came together with the setup.
        self.obey_all()?;
        self.feed();
        loop {
            let ready = self.wait()?;
            if ready.link && self.hear()? == Worker::Gone {
                return Ok(());
            }
            if let Some(process) = &mut self.process {
                if ready.stdin {
                    process.write(self.clock.micros());
                }
                // Before the answer, which ends what belongs to the task.
                if ready.err {
                    process.err.read(&mut self.buffer);
                }
            }
            if ready.out {
                self.listen();
            }
            if ready.exited {
                self.exited();
            }
            let now_us = self.clock.micros();
            self.keep_time(now_us);
            self.feed();
            self.show()?;
            let idle = self.current.is_none() && self.batch.is_empty();
            let said = if idle { self.telling.take() } else { self.telling.take_due(now_us) };
            if let Some(said) = said {
                self.link.write_all(&encode(&FromKeeper::Said(said)))?;
            }
            if self.leaving.is_some() && idle && self.process.is_none() {
                return Ok(());
            }
        }
    }

    /// Waits until something happens or a time is over.
    fn wait(&self) -> io::Result<Ready> {
        let mut fds = Vec::with_capacity(5);
        fds.push(PollFd::new(&self.link, PollFlags::IN));
        let mut at = [None; 4];
        if let Some(process) = &self.process {
            let mut watch = |place: usize, fd, flags| {
                at[place] = Some(fds.len());
                fds.push(PollFd::new(fd, flags));
            };
            if let Some(stdin) = process.stdin.as_ref().filter(|_| process.is_writing()) {
                watch(0, stdin, PollFlags::OUT);
            }
            // In this order: when an end is seen, what was written before it is seen too, and when
            // an answer is seen, what was written to standard error before it.
            watch(1, &process.pidfd, PollFlags::IN);
            if let Some(out) = &process.out {
                watch(2, out, PollFlags::IN);
            }
            // Between tasks nobody wants to know, and a flood then costs nothing.
            if let Some(err) = &process.err.fd
                && (self.current.is_some() || process.is_ending())
            {
                watch(3, err, PollFlags::IN);
            }
        }
        let timeout = self.sleep().map(|us| {
            Timespec::try_from(Duration::from_micros(us)).expect("no wait is over a year")
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        let found = |index: Option<usize>| {
            index.and_then(|index| fds.get(index)).is_some_and(|fd| !fd.revents().is_empty())
        };
        Ok(Ready {
            link: found(Some(0)),
            stdin: found(at[0]),
            exited: found(at[1]),
            out: found(at[2]),
            err: found(at[3]),
        })
    }

    /// Returns how long nothing need be done; none means for ever.
    fn sleep(&self) -> Option<u64> {
        let current = self.current.as_ref();
        let running = current.filter(|current| current.stopped.is_none());
        let due_us = [
            running.and_then(|current| current.timeout_at_us),
            self.process.as_ref().and_then(Process::due_us),
            self.process.as_ref().map(|_| self.reap_at_us),
            self.telling.due_us(),
            (self.batch.left() > self.first_kept()).then_some(self.moved_us + RETURN_US),
            (self.process.is_none() && !self.batch.is_empty()).then_some(self.start_at_us),
        ];
        let due_us = due_us.into_iter().flatten().min()?;
        Some(due_us.saturating_sub(self.clock.micros()))
    }

    /// Returns how many of the tasks that have not begun this slot keeps: without a running task
    /// the first counts as it.
    fn first_kept(&self) -> usize {
        usize::from(self.current.is_none())
    }

    /// Reads what the worker says and does it.
    fn hear(&mut self) -> io::Result<Worker> {
        match self.link.read(&mut self.buffer) {
            Ok(0) => return Ok(Worker::Gone),
            Ok(length) => self.frames.take(&self.buffer[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Worker::Gone),
            Err(error) => return Err(error),
        }
        self.obey_all()?;
        Ok(Worker::There)
    }

    fn obey_all(&mut self) -> io::Result<()> {
        while let Some(message) = self.frames.next().map_err(io::Error::other)? {
            match message {
                ToKeeper::Give(give) => {
                    self.moved_us = self.clock.micros();
                    self.batch = Batch::new(give);
                }
                ToKeeper::Stop { number } => self.stop(number, How::Gently),
                ToKeeper::Kill { number } => self.stop(number, How::AtOnce),
                ToKeeper::Show { number, follow } => self.asked(number, follow),
                ToKeeper::End { grace_ms } => self.leaving = Some(grace_ms.saturating_mul(1_000)),
            }
        }
        Ok(())
    }

    fn stop(&mut self, number: u64, how: How) {
        let now_us = self.clock.micros();
        match (&mut self.current, &mut self.process) {
            (Some(current), Some(process)) if current.number == number => {
                current.stopped.get_or_insert(Stopped::Asked);
                match how {
                    How::Gently => process.terminate(now_us, self.grace_us),
                    How::AtOnce => process.kill(now_us),
                }
            }
            (Some(_) | None, _) => {
                if self.batch.remove(number) {
                    let end = finished(number, Outcome::Cancelled, String::new());
                    self.telling.ended(now_us, end, Retry::MayHelp);
                }
            }
        }
    }

    /// Gives the next task when there is a process for it, and starts one when there is none.
    fn feed(&mut self) {
        while self.current.is_none() {
            let now_us = self.clock.micros();
            let next = self.batch.peek();
            match (next, &mut self.process) {
                (_, Some(process)) if process.is_ending() => return,
                (None, Some(process)) => match self.leaving {
                    Some(grace_us) => return process.dismiss(now_us, grace_us),
                    None => return,
                },
                (None, None) => return,
                // One that does not even start well is not to be started again for nothing.
                (Some(number), Some(process)) if process.answered == 0 => self.give(number, now_us),
                (Some(number), Some(process)) => {
                    // What it says before it has a task would be taken for an answer.
                    match process.hear(&mut self.buffer, now_us) {
                        Heard::Silence if process.stdin.is_some() => self.give(number, now_us),
                        Heard::Silence | Heard::End => self.chatter("ended or closed a pipe"),
                        Heard::Part | Heard::Line(_) | Heard::Flood => self.chatter(CHATTER),
                    }
                }
                (Some(_), None) if now_us < self.start_at_us => return,
                (Some(number), None) => {
                    match Process::start(&mut self.place, &self.setup.start, now_us) {
                        Ok(process) => {
                            self.process = Some(process);
                            self.reap_at_us = now_us + REAP_US;
                        }
                        Err(why) => {
                            self.batch.pass();
                            let message = format!(
                                "the handler {} cannot be started on {}: {}",
                                self.setup.handler, self.setup.worker, why.message
                            );
                            let end = finished(number, Outcome::Unfit, message);
                            self.telling.ended(now_us, end, Retry::MayHelp);
                            self.came_to_nothing(now_us);
                        }
                    }
                }
            }
        }
    }

    fn give(&mut self, number: u64, now_us: u64) {
        let Some(process) = &mut self.process else { return };
        let limit_ms = self.batch.timeout_ms();
        let deadline = (limit_ms > 0).then(|| self.clock.wall().plus(limit_ms).0);
        let line = process.next_line();
        line.extend_from_slice(self.batch.line());
        line::end_line(deadline, line);
        self.batch.pass();
        process.write(now_us);
        let follow = self.follow_from_start(number);
        let timeout_at_us =
            (limit_ms > 0).then(|| now_us.saturating_add(limit_ms.saturating_mul(1_000)));
        self.current =
            Some(Current { number, began_us: now_us, timeout_at_us, stopped: None, follow });
        self.moved_us = now_us;
    }

    fn keep_time(&mut self, now_us: u64) {
        if let (Some(current), Some(process)) = (&mut self.current, &mut self.process)
            && current.stopped.is_none()
            && current.timeout_at_us.is_some_and(|at| at <= now_us)
        {
            current.stopped = Some(Stopped::TimedOut);
            process.terminate(now_us, self.grace_us);
        }
        if let Some(process) = &mut self.process {
            match process.due(now_us) {
                None => {}
                Some(Due::Kill) => process.kill(now_us),
                Some(Due::Lost) => self.broken("closed its standard input or output and lives on"),
            }
        }
        if let Some(process) = &self.process
            && self.reap_at_us <= now_us
        {
            process.reap_orphans();
            self.reap_at_us = now_us + REAP_US;
        }
        if self.batch.left() > self.first_kept()
            && self.moved_us.saturating_add(RETURN_US) <= now_us
            && let Some(first) = self.batch.give_back(self.first_kept())
        {
            self.telling.returned(now_us, first);
        }
    }
}

/// How a task is stopped.
#[derive(Clone, Copy)]
enum How {
    Gently,
    AtOnce,
}

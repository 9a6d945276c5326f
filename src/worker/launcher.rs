//! The launcher: a small process, one per slot, that starts one child at a time, reads what it
//! writes, stops it, and kills whatever it leaves. Knows no task, lease or network; see order.rs.
//!
//! It lives in a session of its own and is a child subreaper, so everything below it belongs to
//! its one child. Its end of the socket pair is the lifeline: when the worker's end closes, for
//! whatever reason, it kills everything below itself and exits. It has one thread, so that
//! starting a child is cheap and nothing can happen between two of its steps.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use ganger_proto::Usage;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getpid, kill_process, kill_process_group,
    pidfd_open, set_child_subreaper, setrlimit, setsid,
};
use serde_bytes::ByteBuf;
use wait4::Wait4 as _;

use super::find::{self, NotStarted, Place};
use super::order::{
    End, Finished, Frames, FromLauncher, Order, Stopped, ToLauncher, Whole, encode,
};
use super::output::{Collector, Stream};
use super::pipe::{Follow, Pipe};
use super::policy::Permission;
use super::roots::Roots;
use super::spool::Spool;
use super::{process, warm};
use crate::clock::Clock;

/// Is the launcher until its worker goes away. Its standard input is its end of the socket pair.
pub fn launcher_main() -> ExitCode {
    let Ok(mut launcher) = Launcher::begin() else { return ExitCode::FAILURE };
    let served = launcher.serve();
    // Everything must be gone before this process is: afterwards orphans would escape it.
    let swept = process::sweep();
    if served.is_ok() && swept.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Launcher {
    link: UnixStream,
    frames: Frames,
    clock: Clock,
    place: Place,
    running: Option<Running>,
    buffer: Box<[u8]>,
}

/// The child that runs.
struct Running {
    number: u64,
    child: Child,
    pid: Pid,
    pidfd: OwnedFd,
    out: Pipe,
    err: Pipe,
    follow: Option<Follow>,
    began_us: u64,
    grace_us: u64,
    /// When its time is over.
    timeout_at_us: Option<u64>,
    /// When its grace is over.
    kill_at_us: Option<u64>,
    stopped: Option<Stopped>,
}

/// What poll found.
#[derive(Default)]
struct Ready {
    link: Found,
    exited: Found,
    out: Found,
    err: Found,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Found {
    #[default]
    Nothing,
    Something,
}

/// Whether the worker is still there.
#[derive(PartialEq, Eq)]
enum Worker {
    There,
    Gone,
}

/// How often orphans of a long child are reaped.
const REAP_EVERY: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 64 << 10;

impl Launcher {
    fn begin() -> io::Result<Self> {
        setsid()?;
        set_child_subreaper(Some(getpid()))?;
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
        let link = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        Ok(Self {
            link,
            frames: Frames::default(),
            clock: Clock::start(),
            place: Place::default(),
            running: None,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            let ready = self.wait()?;
            if ready.link == Found::Something && self.hear()? == Worker::Gone {
                return Ok(());
            }
            if let Some(running) = &mut self.running {
                if ready.out == Found::Something {
                    running.out.read(&mut self.buffer);
                }
                if ready.err == Found::Something {
                    running.err.read(&mut self.buffer);
                }
                running.keep_time(self.clock.micros());
                while let Some(shown) = running.show(&self.clock) {
                    self.link.write_all(&encode(&shown))?;
                }
            }
            if ready.exited == Found::Something
                && let Some(running) = self.running.take()
            {
                let finished = running.finish(&self.clock, &mut self.buffer)?;
                self.link.write_all(&encode(&FromLauncher::Finished(Box::new(finished))))?;
            }
        }
    }

    /// Waits until something happens or a time is over.
    fn wait(&self) -> io::Result<Ready> {
        let mut fds = vec![PollFd::new(&self.link, PollFlags::IN)];
        let (mut out_at, mut err_at) = (None, None);
        let mut timeout = None;
        if let Some(running) = &self.running {
            fds.push(PollFd::new(&running.pidfd, PollFlags::IN));
            for (pipe, at) in [(&running.out, &mut out_at), (&running.err, &mut err_at)] {
                if let Some(fd) = &pipe.fd {
                    *at = Some(fds.len());
                    fds.push(PollFd::new(fd, PollFlags::IN));
                }
            }
            timeout = Some(running.sleep(self.clock.micros()));
        }
        let timeout = timeout.map(|time| {
            Timespec::try_from(time).expect("the wait is at most the time between two reaps")
        });
        let found = match poll(&mut fds, timeout.as_ref()) {
            Ok(found) => found,
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        };
        if found == 0
            && let Some(running) = &self.running
        {
            process::reap_orphans(running.pid);
        }
        let at = |index: Option<usize>| match index.and_then(|i| fds.get(i)) {
            Some(fd) if !fd.revents().is_empty() => Found::Something,
            Some(_) | None => Found::Nothing,
        };
        let exited = at(self.running.is_some().then_some(1));
        Ok(Ready { link: at(Some(0)), exited, out: at(out_at), err: at(err_at) })
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
        while let Some(message) = self.frames.next().map_err(io::Error::other)? {
            if self.obey(message)? == Worker::Gone {
                return Ok(Worker::Gone);
            }
        }
        Ok(Worker::There)
    }

    fn obey(&mut self, message: ToLauncher) -> io::Result<Worker> {
        let now_us = self.clock.micros();
        match message {
            ToLauncher::Setup { worker, exec, privileges, roots } => {
                self.place = Place { worker, exec, roots: Roots::open(&roots), known: None };
                if privileges == Permission::Refused {
                    rustix::thread::set_no_new_privs(true)?;
                }
            }
            ToLauncher::Keep(setup) => {
                let (link, frames) = (self.link.try_clone()?, std::mem::take(&mut self.frames));
                return warm::keep(link, frames, *setup).map(|()| Worker::Gone);
            }
            ToLauncher::Run(order) => {
                if self.running.is_some() {
                    return Err(io::Error::other("a second child was ordered while one runs"));
                }
                match start(&mut self.place, &order, now_us) {
                    Ok(running) => self.running = Some(running),
                    Err(why) => {
                        let finished = Box::new(not_started(order.number, why));
                        self.link.write_all(&encode(&FromLauncher::Finished(finished)))?;
                    }
                }
            }
            ToLauncher::Stop { number } => {
                if let Some(running) = self.running.as_mut().filter(|r| r.number == number) {
                    running.stop(Stopped::Asked, now_us);
                }
            }
            ToLauncher::Kill { number } => {
                if let Some(running) = self.running.as_mut().filter(|r| r.number == number) {
                    running.stopped.get_or_insert(Stopped::Asked);
                    running.kill();
                }
            }
            ToLauncher::Show { number, follow } => {
                if let Some(running) = self.running.as_mut().filter(|r| r.number == number) {
                    running.asked(follow);
                }
            }
        }
        Ok(Worker::There)
    }
}

fn start(place: &mut Place, order: &Order, now_us: u64) -> Result<Running, NotStarted> {
    let cwd = find::directory(place, order)?;
    if let Some(path) = &order.path {
        place.roots.check(&place.worker, cwd, path)?;
    }
    let program = find::program(place, order, now_us)?;
    let spawned = find::command(&program, cwd, order).stdin(Stdio::null()).spawn();
    let mut child = spawned.map_err(|error| NotStarted::by_system(&program.file, &error))?;
    let pid = Pid::from_child(&child);
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(error) => {
            let _killed = child.kill();
            let _reaped = child.wait();
            return Err(NotStarted::by_system(&program.file, &error.into()));
        }
    };
    let collector = |file: fn(&Whole) -> &ByteBuf| match &order.whole {
        Some(whole) => {
            Collector::whole(Spool::new(OsStr::from_bytes(file(whole)).into(), whole.bytes_max))
        }
        None => Collector::default(),
    };
    let out = child.stdout.take().map(OwnedFd::from);
    let err = child.stderr.take().map(OwnedFd::from);
    let out = Pipe::new(out, collector(|whole| &whole.stdout));
    let err = Pipe::new(err, collector(|whole| &whole.stderr));
    let limit_us = order.timeout_ms.saturating_mul(1_000);
    let timeout_at_us = (limit_us > 0).then(|| now_us.saturating_add(limit_us));
    Ok(Running {
        number: order.number,
        child,
        pid,
        pidfd,
        out,
        err,
        follow: None,
        began_us: now_us,
        grace_us: order.grace_ms.saturating_mul(1_000),
        timeout_at_us,
        kill_at_us: None,
        stopped: None,
    })
}

fn not_started(number: u64, why: NotStarted) -> Finished {
    Finished {
        number,
        end: End::NotStarted { outcome: why.outcome, message: why.message },
        stopped: None,
        usage: Usage::default(),
        took_us: 0,
        stdout: Stream::default(),
        stderr: Stream::default(),
        left: String::new(),
    }
}

impl Running {
    /// Returns how long nothing need be done.
    fn sleep(&self, now_us: u64) -> Duration {
        let due = self.kill_at_us.or(self.timeout_at_us);
        let wait = due.map(|at| Duration::from_micros(at.saturating_sub(now_us)));
        wait.unwrap_or(REAP_EVERY).min(REAP_EVERY)
    }

    fn keep_time(&mut self, now_us: u64) {
        if self.kill_at_us.is_some_and(|at| at <= now_us) {
            // Asked again shortly: a process that forks may have slipped past.
            self.kill_at_us = Some(now_us + 10_000);
            self.kill();
        } else if self.stopped.is_none() && self.timeout_at_us.is_some_and(|at| at <= now_us) {
            self.stop(Stopped::TimedOut, now_us);
        }
    }

    fn stop(&mut self, why: Stopped, now_us: u64) {
        if self.stopped.is_none() {
            self.stopped = Some(why);
            self.kill_at_us = Some(now_us.saturating_add(self.grace_us));
            let _may_be_gone = kill_process_group(self.pid, Signal::TERM);
            // A stopped process would not see TERM before it goes on.
            let _may_be_gone = kill_process_group(self.pid, Signal::CONT);
        }
    }

    fn kill(&mut self) {
        let _may_be_gone = kill_process(self.pid, Signal::KILL);
        process::kill_below(getpid());
    }

    /// Takes note that a piece of output is wanted.
    fn asked(&mut self, number: u64) {
        match &mut self.follow {
            Some(follow) if follow.number == number => follow.wanted += 1,
            Some(_) | None => self.follow = Some(Follow::begin(number, &self.out, &self.err)),
        }
    }

    /// Returns the next piece, when one is wanted and there is one.
    fn show(&mut self, clock: &Clock) -> Option<FromLauncher> {
        let follow = self.follow.as_mut()?;
        let piece = follow.next(&self.out, &self.err, clock)?;
        Some(FromLauncher::Shown { follow: follow.number, piece })
    }

    /// Reaps the child, kills what it left, and reads the rest of its output.
    fn finish(self, clock: &Clock, buffer: &mut [u8]) -> io::Result<Finished> {
        let used = self.child.wait4()?;
        let took_us = clock.micros().saturating_sub(self.began_us);
        let swept = if process::has_children() { process::sweep() } else { Ok(()) };
        let end = match (used.status.code(), used.status.signal()) {
            (Some(code), _) => End::Exit { code },
            (None, signal) => End::Signal { signal: signal.unwrap_or(0) },
        };
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Ok(Finished {
            number: self.number,
            end,
            stopped: self.stopped,
            usage: Usage {
                max_rss_kib: used.rusage.maxrss / 1_024,
                user_us: micros(used.rusage.utime),
                system_us: micros(used.rusage.stime),
            },
            took_us,
            stdout: self.out.finish(buffer),
            stderr: self.err.finish(buffer),
            left: swept.err().map(|left| left.to_string()).unwrap_or_default(),
        })
    }
}

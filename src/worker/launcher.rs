//! The launcher: a small process, one per slot, that starts one child at a time, reads what it
//! writes, stops it, and kills whatever it leaves. Knows no task, lease or network; see order.rs.
//!
//! It lives in a session of its own and is a child subreaper, so everything below it belongs to
//! its one child. Its end of the socket pair is the lifeline: when the worker's end closes, for
//! whatever reason, it kills everything below itself and exits. It has one thread, so that
//! starting a child is cheap and nothing can happen between two of its steps.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use ganger_proto::Usage;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getpid, set_child_subreaper, setrlimit, setsid};

use super::entry;
use super::find::{NotStarted, Place};
use super::order::{End, Finished, Frames, FromLauncher, Stopped, ToLauncher, encode};
use super::output::Stream;
use super::policy::Permission;
use super::roots::Roots;
use super::running::Running;
use super::{process, warm};
use crate::clock::Clock;

/// Is the launcher until its worker goes away, or the program that a launcher starts through an
/// entry. A launcher's standard input is its end of the socket pair.
pub fn launcher_main() -> ExitCode {
    if let Some(code) = entry::become_program() {
        return code;
    }
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
                && let Some(running) = self.running.take_if(|running| running.is_over())
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
            ToLauncher::Setup { worker, exec, privileges, roots, caps, groups } => {
                let (roots, known) = (Roots::open(&roots), None);
                self.place = Place { worker, exec, roots, known, caps, groups };
                if privileges == Permission::Refused {
                    rustix::thread::set_no_new_privs(true)?;
                }
            }
            ToLauncher::Keep(setup) => {
                let (link, frames) = (self.link.try_clone()?, std::mem::take(&mut self.frames));
                return warm::keep(link, frames, *setup).map(|()| Worker::Gone);
            }
            ToLauncher::Run(mut order) => {
                if self.running.is_some() {
                    return Err(io::Error::other("a second child was ordered while one runs"));
                }
                match Running::start(&mut self.place, &mut order, now_us) {
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

fn not_started(number: u64, why: NotStarted) -> Finished {
    Finished {
        number,
        end: End::NotStarted { outcome: why.outcome, message: why.message },
        stopped: None,
        usage: Usage::default(),
        took_us: 0,
        stdout: Stream::default(),
        stderr: Stream::default(),
        note: String::new(),
    }
}

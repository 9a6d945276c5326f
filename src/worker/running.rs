//! The child of a launcher while it runs: its pipes, its times, how it is stopped, and its end.
//! When that is asked for is in launcher.rs.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use ganger_proto::Usage;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, kill_process_group, pidfd_open,
};
use serde_bytes::ByteBuf;
use wait4::Wait4 as _;

use super::caps::Caps;
use super::entry::{self, Hold};
use super::find::{self, NotStarted, Place};
use super::group::Group;
use super::order::{End, Finished, FromLauncher, Order, Stopped, Whole};
use super::output::Collector;
use super::pipe::{Follow, Pipe};
use super::process;
use super::spool::Spool;
use crate::clock::Clock;

/// The child that runs.
pub(super) struct Running {
    pub(super) number: u64,
    child: Child,
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    pub(super) out: Pipe,
    pub(super) err: Pipe,
    follow: Option<Follow>,
    began_us: u64,
    grace_us: u64,
    /// When its time is over.
    timeout_at_us: Option<u64>,
    /// When its grace is over.
    kill_at_us: Option<u64>,
    pub(super) stopped: Option<Stopped>,
    held: Held,
}

/// What the child is held to beside what its task says.
struct Held {
    group: Option<Group>,
    caps: Caps,
    /// How long it asked to run, in milliseconds; 0 means without a limit.
    asked_ms: u64,
}

/// How often orphans of a long child are reaped.
const REAP_EVERY: Duration = Duration::from_secs(10);

impl Running {
    /// Starts an order's program.
    ///
    /// # Errors
    /// Says why it does not start.
    pub(super) fn start(
        place: &mut Place,
        order: &mut Order,
        now_us: u64,
    ) -> Result<Self, NotStarted> {
        let cwd = &find::directory(place, order)?.to_owned();
        let check = |path| place.roots.check(&place.worker, cwd, path);
        let checked = order.path.as_ref().map(check).transpose()?;
        if let Some(file) = &checked {
            order.env.push(hand_on(file)?);
        }
        let program = find::program(place, order, now_us)?;
        let group = group_of(place, order.number)?;
        let folder = group.as_ref().map(|group| group.folder().to_owned());
        let hold = Hold { limits: place.caps.limits(), group: folder };
        let spawned = entry::command(hold, &program, order)
            .and_then(|mut command| find::spawn(&mut command, cwd));
        // The child has it; the next one must not.
        drop(checked);
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
                let spool = Spool::new(OsStr::from_bytes(file(whole)).into(), whole.bytes_max);
                Collector::whole(spool.capped(place.caps.output_bytes))
            }
            None => Collector::default(),
        };
        let out = child.stdout.take().map(OwnedFd::from);
        let err = child.stderr.take().map(OwnedFd::from);
        let out = Pipe::new(out, collector(|whole| &whole.stdout));
        let err = Pipe::new(err, collector(|whole| &whole.stderr));
        let limit_us = place.caps.timeout_ms(order.timeout_ms).saturating_mul(1_000);
        let timeout_at_us = (limit_us > 0).then(|| now_us.saturating_add(limit_us));
        Ok(Self {
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
            held: Held { group, caps: place.caps, asked_ms: order.timeout_ms },
        })
    }

    /// Returns how long nothing need be done.
    pub(super) fn sleep(&self, now_us: u64) -> Duration {
        let due = self.kill_at_us.or(self.timeout_at_us);
        let wait = due.map(|at| Duration::from_micros(at.saturating_sub(now_us)));
        wait.unwrap_or(REAP_EVERY).min(REAP_EVERY)
    }

    pub(super) fn keep_time(&mut self, now_us: u64) {
        if self.kill_at_us.is_some_and(|at| at <= now_us) {
            // Asked again shortly: a process that forks may have slipped past.
            self.kill_at_us = Some(now_us + 10_000);
            self.kill();
        } else if self.stopped.is_none() && self.timeout_at_us.is_some_and(|at| at <= now_us) {
            self.stop(Stopped::TimedOut, now_us);
        }
    }

    pub(super) fn stop(&mut self, why: Stopped, now_us: u64) {
        if self.stopped.is_none() {
            self.stopped = Some(why);
            self.kill_at_us = Some(now_us.saturating_add(self.grace_us));
            let _may_be_gone = kill_process_group(self.pid, Signal::TERM);
            // A stopped process would not see TERM before it goes on.
            let _may_be_gone = kill_process_group(self.pid, Signal::CONT);
        }
    }

    pub(super) fn kill(&mut self) {
        if let Some(group) = &self.held.group {
            group.kill();
        }
        // The child is not reaped yet, so its id and its group's are nobody else's. The kernel ends
        // a whole group at once, however fast it forks.
        let _may_be_gone = kill_process_group(self.pid, Signal::KILL);
        let _may_be_gone = kill_process(self.pid, Signal::KILL);
        process::kill_below(getpid());
    }

    /// Tells whether the child, which has ended, can be reaped. When another process traces it,
    /// that one is ended if it is the task's; else this is asked again, and the worker is heard
    /// meanwhile.
    pub(super) fn is_over(&self) -> bool {
        if process::is_reapable(self.pid) {
            return true;
        }
        process::end_tracers();
        false
    }

    /// Takes note that a piece of output is wanted.
    pub(super) fn asked(&mut self, number: u64) {
        match &mut self.follow {
            Some(follow) if follow.number == number => follow.wanted += 1,
            Some(_) | None => self.follow = Some(Follow::begin(number, &self.out, &self.err)),
        }
    }

    /// Returns the next piece, when one is wanted and there is one.
    pub(super) fn show(&mut self, clock: &Clock) -> Option<FromLauncher> {
        let follow = self.follow.as_mut()?;
        let piece = follow.next(&self.out, &self.err, clock)?;
        Some(FromLauncher::Shown { follow: follow.number, piece })
    }

    /// Reaps the child, kills what it left, and reads the rest of its output.
    pub(super) fn finish(self, clock: &Clock, buffer: &mut [u8]) -> io::Result<Finished> {
        let used = self.child.wait4()?;
        let took_us = clock.micros().saturating_sub(self.began_us);
        let swept = if process::has_children() { process::sweep() } else { Ok(()) };
        let note = match swept {
            Ok(()) => self.held.came_to(self.stopped, used.status).unwrap_or_default(),
            Err(left) => left.to_string(),
        };
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
            note,
        })
    }
}

impl Held {
    /// Says which cap of the worker the child came to, if it was one that ended it.
    fn came_to(&self, stopped: Option<Stopped>, status: ExitStatus) -> Option<String> {
        match stopped {
            Some(Stopped::TimedOut) => self.caps.why_timed_out(self.asked_ms),
            Some(Stopped::Asked) => None,
            None if status.success() => None,
            None => {
                let met = self.group.as_ref().map(Group::met).unwrap_or_default();
                let held = self.caps.why_held(met.killed, met.refused);
                let signal = entry::signal_of(status.code(), status.signal());
                held.or_else(|| self.caps.why_ended(signal?))
            }
        }
    }
}

/// Lets the next child have a file that was checked; returns the variable that says where.
fn hand_on(file: &OwnedFd) -> Result<(ByteBuf, ByteBuf), NotStarted> {
    fcntl_setfd(file, FdFlags::empty()).map_err(|errno| {
        NotStarted::unfit(format!("the file that was checked cannot be handed on: {errno}"))
    })?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok((ByteBuf::from("GANGER_FILE"), ByteBuf::from(path)))
}

/// Makes the group of one child, where the worker has groups.
fn group_of(place: &Place, number: u64) -> Result<Option<Group>, NotStarted> {
    let Some((folder, slot)) = &place.groups else { return Ok(None) };
    let group = Group::make(folder, &format!("{slot}-{number}"), &place.caps);
    group.map(Some).map_err(|error| {
        NotStarted::unfit(format!(
            "{} cannot make a group for the task in {}: {error}; start that worker again",
            place.worker,
            folder.display()
        ))
    })
}

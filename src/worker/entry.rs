//! The entry: what a child is before it is the task's program, where caps need it. It is this
//! program once more; it limits itself, goes into its group, and then becomes the program, so that
//! no moment is left in which the program is not held. Where nothing needs it, a launcher starts
//! programs without it.
//!
//! What it is to do comes on its standard input and not in its words or its environment: the
//! variables of a task must not take hold of it before it is held.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Rlimit, Signal, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::caps::Limit;
use super::find::{self, Found};
use super::group;
use super::order::Order;

/// What an entry is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// The limits of each process.
    limits: Vec<(Limit, u64)>,
    /// The folder of its group.
    group: Option<PathBuf>,
    /// The program's file, and the name under which it is started.
    file: ByteBuf,
    name: ByteBuf,
    /// Its further words.
    words: Vec<ByteBuf>,
    /// Its whole environment.
    env: Vec<(ByteBuf, ByteBuf)>,
}

/// What holds a child.
#[derive(Clone, Debug, Default)]
pub(super) struct Hold {
    /// The limits of each process.
    pub(super) limits: Vec<(Limit, u64)>,
    /// The folder of its group.
    pub(super) group: Option<PathBuf>,
}

/// The variable that makes a launcher's command an entry; no task's environment comes to it.
const ENTRY: &str = "__GANGER_ENTRY";
/// The exit code when the entry cannot do its part, as of an own fault elsewhere.
const OWN_FAULT: u8 = 125;
/// The shell's code for a program that cannot be started.
const NOT_EXECUTABLE: u8 = 126;
/// Between the signal that tells of an end of processor time, and the one that cannot be caught.
const CPU_GRACE_S: u64 = 5;

/// Returns the command of a program that reads nothing, through an entry where it is to be held.
///
/// # Errors
/// When the system has no memory for what an entry is told.
pub(super) fn command(hold: Hold, program: &Found, order: &Order) -> io::Result<Command> {
    if hold.limits.is_empty() && hold.group.is_none() {
        let mut command = find::command(program, order);
        command.stdin(Stdio::null());
        return Ok(command);
    }
    let entry = Entry {
        limits: hold.limits,
        group: hold.group,
        file: ByteBuf::from(program.file.as_os_str().as_bytes()),
        name: ByteBuf::from(program.name.as_bytes()),
        words: order.argv.iter().skip(1).cloned().collect(),
        env: order.env.clone(),
    };
    let bytes = postcard::to_stdvec(&entry).map_err(io::Error::other)?;
    let mut told = File::from(memfd_create(c"ganger-entry", MemfdFlags::CLOEXEC)?);
    told.write_all(&bytes)?;
    told.rewind()?;
    let mut command = Command::new("/proc/self/exe");
    // The words that made this process a launcher.
    command.args(std::env::args_os().skip(1)).env_clear().env(ENTRY, "1").stdin(told);
    Ok(command)
}

/// Is the entry, when this process was started as one; comes back only when it was not, or when the
/// program cannot be started.
pub(super) fn become_program() -> Option<ExitCode> {
    std::env::var_os(ENTRY)?;
    let (error, code) = match Entry::read().and_then(Entry::hold) {
        Ok(entry) => {
            let (file, error) = entry.start();
            (format!("cannot start {file}: {error}"), NOT_EXECUTABLE)
        }
        Err(error) => (format!("this worker's caps cannot be held: {error}"), OWN_FAULT),
    };
    // It is the task's standard error; when that is closed, the exit code must do.
    let _unheard = writeln!(io::stderr(), "{error}");
    Some(ExitCode::from(code))
}

impl Entry {
    fn read() -> io::Result<Self> {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        postcard::from_bytes(&bytes).map_err(io::Error::other)
    }

    /// Takes the limits and goes into the group.
    fn hold(self) -> io::Result<Self> {
        if let Some(folder) = &self.group {
            group::enter(folder)?;
        }
        for (limit, value) in &self.limits {
            let resource = limit.resource();
            let before = getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let soft = before.min(*value);
            let hard = match limit {
                Limit::Cpu => before.min(value.saturating_add(CPU_GRACE_S)),
                Limit::File | Limit::OpenFiles | Limit::AddressSpace | Limit::UserProcesses => soft,
            };
            setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })?;
        }
        Ok(self)
    }

    /// Becomes the program; returns only when that fails.
    fn start(self) -> (String, io::Error) {
        let text = |bytes: ByteBuf| OsString::from_vec(bytes.into_vec());
        let file = PathBuf::from(text(self.file));
        let error = Command::new(&file)
            .arg0(text(self.name))
            .args(self.words.into_iter().map(text))
            .env_clear()
            .envs(self.env.into_iter().map(|(key, value)| (text(key), text(value))))
            .stdin(Stdio::null())
            .exec();
        let shown = file.to_string_lossy().chars().filter(|c| !c.is_control()).take(512).collect();
        (shown, error)
    }
}

/// Returns the signal that ended a process, or of which a shell tells by its exit code.
pub(super) fn signal_of(code: Option<i32>, signal: Option<i32>) -> Option<i32> {
    const TOLD_BY_SHELL: i32 = 128;
    let told = [Signal::XCPU, Signal::XFSZ].map(|signal| signal.as_raw());
    let by_shell = code.map(|code| code - TOLD_BY_SHELL).filter(|signal| told.contains(signal));
    signal.or(by_shell)
}

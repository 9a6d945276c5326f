//! Where a child runs and which file its first word names, looked up by the launcher: a disk that
//! does not answer holds up its one slot and nothing else.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ganger_proto::Outcome;
use rustix::fs::{Access, access};
use serde_bytes::ByteBuf;

use super::allow;
use super::caps::Caps;
use super::order::{CwdKind, Order, Program};
use super::policy::{ExecPolicy, HANDLERS_ONLY};
use super::roots::Roots;

/// What a launcher knows of its worker.
#[derive(Debug)]
pub(super) struct Place {
    /// The worker's name.
    pub(super) worker: String,
    /// Which programs may run.
    pub(super) exec: ExecPolicy,
    /// Below which folders paths are checked.
    pub(super) roots: Roots,
    /// The program that was looked for last: tasks of a batch name the same one.
    pub(super) known: Option<Known>,
    /// What one task may take at most.
    pub(super) caps: Caps,
    /// Where groups are made for that, and the number of the slot.
    pub(super) groups: Option<(PathBuf, u32)>,
}

/// A program that was found on a PATH.
#[derive(Debug)]
pub(super) struct Known {
    name: Vec<u8>,
    path: Option<Vec<u8>>,
    file: PathBuf,
    until_us: u64,
}

/// How long a program counts as found: another one of its name may come before it on the PATH.
const KNOWN_US: u64 = 1_000_000;

/// Nothing may run before the worker has said what may.
impl Default for Place {
    fn default() -> Self {
        Self {
            worker: String::new(),
            exec: ExecPolicy::HandlersOnly,
            roots: Roots::default(),
            known: None,
            caps: Caps::default(),
            groups: None,
        }
    }
}

/// Why a child does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotStarted {
    /// What is reported.
    pub(super) outcome: Outcome,
    /// Why, for people.
    pub(super) message: String,
}

/// The shell's codes for a program that is not there, and one that cannot be started.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;
const SHELL: &str = "/bin/sh";
/// Where programs are looked for without a PATH.
const PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Returns the directory to run in, made if it is to be fresh.
pub(super) fn directory<'a>(place: &Place, order: &'a Order) -> Result<&'a Path, NotStarted> {
    let path = Path::new(OsStr::from_bytes(&order.cwd));
    match order.cwd_kind {
        CwdKind::There if path.is_absolute() && path.is_dir() => Ok(path),
        CwdKind::There => Err(NotStarted::unfit(format!(
            "no directory {} on {}; share it or use `--cwd scratch`",
            shown(path.as_os_str()),
            place.worker
        ))),
        CwdKind::Fresh => match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => Ok(path),
            Err(error) => Err(NotStarted::unfit(format!(
                "cannot make a scratch directory on {}: {error}; look at its disk",
                place.worker
            ))),
        },
    }
}

/// A program that may run.
#[derive(Debug)]
pub(super) struct Found {
    /// The file to start.
    pub(super) file: PathBuf,
    /// The name under which it is started.
    pub(super) name: OsString,
}

/// Makes what starts an order's program; what it reads is the caller's to say.
pub(super) fn command(program: &Found, order: &Order) -> Command {
    let text = |bytes: &ByteBuf| OsStr::from_bytes(bytes).to_owned();
    let mut command = Command::new(&program.file);
    command
        .arg0(&program.name)
        .args(order.argv.iter().skip(1).map(text))
        .env_clear()
        .envs(order.env.iter().map(|(key, value)| (text(key), text(value))));
    command
}

/// Starts a command in a directory, in a process group of its own, with pipes for what it writes.
pub(super) fn spawn(command: &mut Command, cwd: &Path) -> io::Result<Child> {
    command.current_dir(cwd).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Returns what to start.
pub(super) fn program(place: &mut Place, order: &Order, now_us: u64) -> Result<Found, NotStarted> {
    let word = order.argv.first().map_or(&[][..], |word| word);
    let name = OsStr::from_bytes(word).to_owned();
    if order.program == Program::Shell {
        return Ok(Found { file: PathBuf::from(SHELL), name });
    }
    let file = look_again(&mut place.known, order, word, now_us)?;
    match &place.exec {
        ExecPolicy::Any => Ok(Found { file, name }),
        ExecPolicy::AllowList(list) => {
            let entry = allow::entry(list, &file).map_err(NotStarted::unfit)?;
            // A name with a folder is the task's own path; one without is the entry's last name.
            let name = if word.contains(&b'/') { entry.as_os_str().to_owned() } else { name };
            Ok(Found { file: entry.to_owned(), name })
        }
        ExecPolicy::HandlersOnly => Err(NotStarted::unfit(HANDLERS_ONLY.to_owned())),
    }
}

/// As [`look`], but asks the disk only whether the program found last is still there.
fn look_again(
    known: &mut Option<Known>,
    order: &Order,
    name: &[u8],
    now_us: u64,
) -> Result<PathBuf, NotStarted> {
    let path = path_of(order);
    if let Some(known) = known
        && (known.name.as_slice(), known.path.as_deref()) == (name, path)
        && now_us < known.until_us
        && access(&known.file, Access::EXEC_OK).is_ok()
    {
        return Ok(known.file.clone());
    }
    let file = look(order, name)?;
    // A PATH with relative folders names other files in other directories.
    let fixed = path.is_none_or(|path| path.split(|byte| *byte == b':').all(is_absolute));
    *known = (fixed && !name.contains(&b'/')).then(|| Known {
        name: name.to_vec(),
        path: path.map(<[u8]>::to_vec),
        file: file.clone(),
        until_us: now_us.saturating_add(KNOWN_US),
    });
    Ok(file)
}

fn is_absolute(folder: &[u8]) -> bool {
    folder.first() == Some(&b'/')
}

fn path_of(order: &Order) -> Option<&[u8]> {
    let path = order.env.iter().rev().find(|(key, _)| key.as_slice() == b"PATH");
    path.map(|(_, path)| path.as_slice())
}

fn look(order: &Order, name: &[u8]) -> Result<PathBuf, NotStarted> {
    let cwd = Path::new(OsStr::from_bytes(&order.cwd));
    let file = OsStr::from_bytes(name);
    let mut found = None;
    if name.contains(&b'/') {
        found = Some(cwd.join(file));
    } else if !name.is_empty() {
        let path = path_of(order).unwrap_or(PATH);
        for folder in path.split(|byte| *byte == b':') {
            let candidate = cwd.join(OsStr::from_bytes(folder)).join(file);
            if is_file(&candidate) {
                let runs = access(&candidate, Access::EXEC_OK).is_ok();
                if runs {
                    return Ok(candidate);
                }
                found.get_or_insert(candidate);
            }
        }
    }
    match found {
        Some(path) if !path.exists() => Err(NotStarted::missing(file)),
        Some(path) if !is_file(&path) || access(&path, Access::EXEC_OK).is_err() => {
            Err(NotStarted::failed(
                NOT_EXECUTABLE,
                format!("{} is not an executable file; `chmod +x` it", shown(path.as_os_str())),
            ))
        }
        Some(path) => Ok(path),
        None => Err(NotStarted::missing(file)),
    }
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

fn shown(path: &OsStr) -> String {
    path.to_string_lossy().chars().filter(|c| !c.is_control()).take(512).collect()
}

impl NotStarted {
    /// The system would not start it.
    pub(super) fn by_system(program: &Path, error: &io::Error) -> Self {
        let program = shown(program.as_os_str());
        let no_room = [io::ErrorKind::WouldBlock, io::ErrorKind::OutOfMemory];
        if error.kind() == io::ErrorKind::InvalidInput {
            let message = format!("{program} cannot be given a NUL byte in a word or a variable");
            Self::failed(NOT_EXECUTABLE, message)
        } else if no_room.contains(&error.kind()) {
            Self::unfit(format!(
                "cannot start {program}: {error}; the worker's machine has no room for a process"
            ))
        } else {
            Self::failed(NOT_EXECUTABLE, format!("cannot start {program}: {error}"))
        }
    }

    fn missing(name: &OsStr) -> Self {
        let message =
            format!("no program `{}`; install it on the worker or give its path", shown(name));
        Self::failed(NOT_FOUND, message)
    }

    /// The task fails, with this exit code.
    pub(super) fn failed(code: i32, message: String) -> Self {
        Self { outcome: Outcome::Failed { code }, message }
    }

    /// Another worker may be able to run it.
    pub(super) fn unfit(message: String) -> Self {
        Self { outcome: Outcome::Unfit, message }
    }
}

//! The warm handlers that a worker offers, as `worker.toml` names them: `[handlers.NAME]`. Starts
//! nothing; see warm.rs.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use ganger_proto::limits::{ARGV_ITEMS_MAX, ENV_ITEMS_MAX};
use ganger_proto::{Lane, Name};
use serde::Deserialize;

/// One handler.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "HandlerTable")]
pub struct Handler {
    /// The argument vector; at least one word.
    pub command: Vec<String>,
    /// The lane of tasks that do not say theirs.
    pub lane: Lane,
    /// After so many tasks its process is replaced; none means never.
    pub recycle_after: Option<NonZeroU32>,
    /// No task may run longer, in milliseconds; 0 means as long as the task says.
    pub timeout_ms: u64,
    /// Variables of its process, on top of the worker's pass list.
    pub env: BTreeMap<String, String>,
    /// Where it runs; none means in the folder of the file that names it.
    pub cwd: Option<PathBuf>,
}

/// A handler as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HandlerTable {
    command: Vec<String>,
    #[serde(default)]
    lane: Lane,
    recycle_after: Option<NonZeroU32>,
    timeout_s: Option<NonZeroU32>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<PathBuf>,
}

/// Handlers named in the line for people.
const SHOWN_MAX: usize = 6;

impl Handler {
    /// Returns a handler that says nothing but its command.
    ///
    /// # Errors
    /// When there is no word in it, or too many.
    pub fn of(command: Vec<String>, cwd: Option<PathBuf>) -> Result<Self, HandlerError> {
        let none = BTreeMap::new();
        let lane = Lane::default();
        Self::try_from(HandlerTable {
            command,
            lane,
            recycle_after: None,
            timeout_s: None,
            env: none,
            cwd,
        })
    }
}

/// A handler makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// No program is named.
    #[error("`command` is empty; write command = [\"python3\", \"resize.py\"]")]
    NoProgram,
    /// Too many words.
    #[error("`command` has over {ARGV_ITEMS_MAX} words; use fewer")]
    ManyWords,
    /// Something holds a NUL byte.
    #[error("`command` and `env` cannot hold a NUL byte; leave it out")]
    Nul,
    /// A variable has no name that can be one.
    #[error("`env` has an empty name or one with `=` in it; write env = {{ KEY = \"value\" }}")]
    EnvKey,
    /// Too many variables.
    #[error("`env` has over {ENV_ITEMS_MAX} variables; use fewer")]
    ManyVariables,
}

impl TryFrom<HandlerTable> for Handler {
    type Error = HandlerError;

    fn try_from(table: HandlerTable) -> Result<Self, HandlerError> {
        let HandlerTable { command, lane, recycle_after, timeout_s, env, cwd } = table;
        if command.first().is_none_or(String::is_empty) {
            return Err(HandlerError::NoProgram);
        }
        if command.len() > ARGV_ITEMS_MAX {
            return Err(HandlerError::ManyWords);
        }
        if env.len() > ENV_ITEMS_MAX {
            return Err(HandlerError::ManyVariables);
        }
        if env.keys().any(|key| key.is_empty() || key.contains('=')) {
            return Err(HandlerError::EnvKey);
        }
        let mut words = command.iter().chain(env.keys()).chain(env.values());
        if words.any(|word| word.contains('\0')) {
            return Err(HandlerError::Nul);
        }
        let timeout_ms = timeout_s.map_or(0, |s| u64::from(s.get()) * 1_000);
        Ok(Self { command, lane, recycle_after, timeout_ms, env, cwd })
    }
}

/// Makes the directories absolute: what a file says is meant from its own folder.
pub(super) fn settle(handlers: &mut BTreeMap<Name, Handler>, folder: &Path) {
    for handler in handlers.values_mut() {
        let cwd = handler.cwd.as_deref().map_or_else(|| folder.to_owned(), |cwd| folder.join(cwd));
        handler.cwd = Some(std::path::absolute(&cwd).unwrap_or(cwd));
    }
}

/// Writes the end of a policy's line for people.
pub(super) fn show(handlers: &BTreeMap<Name, Handler>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (place, name) in handlers.keys().take(SHOWN_MAX).enumerate() {
        f.write_str(if place == 0 { ", handlers " } else { " " })?;
        f.write_str(name.as_str())?;
    }
    match handlers.len().checked_sub(SHOWN_MAX) {
        None | Some(0) => Ok(()),
        Some(more) => write!(f, " and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Policy;

    fn read(text: &str) -> Result<Policy, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        std::fs::write(&path, text).unwrap();
        Policy::default().load(&path).map_err(|error| {
            let text = error.to_string();
            let (_, reason) = text.split_once("no policy: ").unwrap();
            reason.to_owned()
        })
    }

    #[test]
    fn a_handler_is_read_with_all_that_it_may_say() {
        let policy = read(
            "[handlers.resize]\ncommand = [\"python3\", \"resize.py\"]\nlane = \"io\"\n\
             recycle_after = 1000\ntimeout_s = 30\nenv = { A = \"1\" }\ncwd = \"sub\"\n\
             [handlers.b]\ncommand = [\"./b\"]\n",
        );
        let policy = policy.unwrap();
        let resize = &policy.handlers[&Name::parse("resize").unwrap()];
        assert_eq!(resize.command, ["python3", "resize.py"]);
        assert_eq!((resize.lane, resize.timeout_ms), (Lane::Io, 30_000));
        assert_eq!(resize.recycle_after.map(NonZeroU32::get), Some(1_000));
        assert_eq!(resize.env["A"], "1");
        let cwd = resize.cwd.as_ref().unwrap();
        assert!(cwd.is_absolute() && cwd.ends_with("sub"), "{cwd:?}");
        let b = &policy.handlers[&Name::parse("b").unwrap()];
        assert_eq!((b.lane, b.recycle_after, b.timeout_ms), (Lane::Cpu, None, 0));
        assert_eq!(b.cwd.as_deref(), cwd.parent(), "the folder of the file is the default");
        let offers = policy.offers();
        assert_eq!(offers[1].name.as_str(), "resize");
        assert_eq!((offers[0].lane, offers[1].lane), (Lane::Cpu, Lane::Io));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let check = |text: &str, expected: &str| {
            let reason = read(text).unwrap_err();
            assert!(reason.starts_with(expected), "{reason}");
        };
        check("slots = 1\n[handlers.x]\nlane = \"io\"\n", "line 2: missing field `command`");
        check("\n[handlers.x]\ncommand = []\n", "line 2: `command` is empty; write");
        check(
            "[handlers.x]\ncommand = [\"a\"]\nlane = \"gpu\"\n",
            "line 3: unknown variant `gpu`, expected `cpu` or `io`",
        );
        check(
            "[handlers.x]\ncommand = [\"a\"]\ntime_out = 3\n",
            "line 3: unknown field `time_out`",
        );
        check("[handlers.x]\ncommand = [\"a\"]\nrecycle_after = 0\n", "line 3: invalid value");
        check("[handlers.x]\ncommand = [\"a\"]\nenv = { \"a=b\" = \"1\" }\n", "line 1: `env` has");
        check("[handlers.x]\ncommand = [\"a\\u0000\"]\n", "line 1: `command` and `env` cannot");
        check("slots = 2\n[handlers.\"A b\"]\ncommand = [\"a\"]\n", "line 2: `A b` is not a name");
        let many: String =
            (0..65).map(|n| format!("[handlers.h{n}]\ncommand = [\"a\"]\n")).collect();
        check(&many, "`handlers` has over 64");
    }

    #[test]
    fn many_handlers_are_shown_as_a_few() {
        let many: String =
            (0..8).map(|n| format!("[handlers.h{n}]\ncommand = [\"a\"]\n")).collect();
        let shown = read(&many).unwrap().to_string();
        assert!(shown.ends_with(", handlers h0 h1 h2 h3 h4 h5 and 2 more"), "{shown}");
    }
}

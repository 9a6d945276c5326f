//! What a batch's tasks are: kind, template, environment, limits, and how they are queued and
//! retried. Does not hold the arguments; see args.rs. What their bytes are is in form.rs, where
//! they may run in place.rs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::form::{ArgForm, FormError};
use crate::id::{BatchId, Name, QueueName};
use crate::limits;
use crate::place::{Placement, PlacementError};
use crate::template::{Template, TemplateError};
use crate::time::WallMs;

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `n * n = n²`, in the worker's own process.
    Square,
    /// Waits for the argument, a duration such as `1.5` (seconds), `20ms`, `2m`; in process.
    Sleep,
    /// An argument vector run as a child process, without a shell. Each word is a template.
    Exec {
        /// The words; the first names the program.
        argv: Vec<Template>,
    },
    /// `sh -c LINE`; the template's values are quoted for the shell.
    Shell {
        /// The line.
        line: Template,
    },
    /// A warm process of the worker's own configuration, kept from task to task.
    Handler {
        /// Its name.
        name: Name,
    },
}

impl Kind {
    /// Returns the kind's one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Sleep => "sleep",
            Self::Exec { .. } => "exec",
            Self::Shell { .. } => "shell",
            Self::Handler { .. } => "handler",
        }
    }
}

/// The kind as people write it: its word, and for a handler its name, as `handler:resize`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler { name } => write!(f, "handler:{name}"),
            Self::Square | Self::Sleep | Self::Exec { .. } | Self::Shell { .. } => {
                f.pad(self.word())
            }
        }
    }
}

/// Where a child process runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cwd {
    /// A directory that the worker must have, as bytes of an absolute path.
    Directory(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A fresh directory per attempt, mode 0700, removed after the report is acknowledged.
    Scratch,
    /// The worker's own run directory; for kinds that start no process.
    Unset,
}

/// Everything a worker needs to run the tasks of a batch, but for the arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spec {
    /// What runs.
    pub kind: Kind,
    /// Variables added to the child's environment, on top of the worker's pass list.
    pub env: Vec<(String, String)>,
    /// Where the child runs.
    pub cwd: Cwd,
    /// How long one attempt may run, in milliseconds; 0 means no limit.
    pub timeout_ms: u64,
    /// What the bytes of the arguments are.
    pub form: ArgForm,
    /// Which slots it takes, and which workers may have it.
    pub place: Placement,
    /// Bytes kept of each stream of one attempt; 0 means the first 256 KiB and the last 768 KiB.
    /// With a number, an attempt that writes more fails.
    pub output_bytes_max: u64,
}

impl Spec {
    /// Returns a spec of `kind` without environment, directory or limit.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            env: Vec::new(),
            cwd: Cwd::Unset,
            timeout_ms: 0,
            form: ArgForm::default(),
            place: Placement::default(),
            output_bytes_max: 0,
        }
    }

    /// Returns what it takes of a task's payload, in bytes: argument vector and environment.
    pub fn payload_bytes(&self) -> usize {
        let env: usize = self.env.iter().map(|(key, value)| key.len() + value.len()).sum();
        env + match &self.kind {
            Kind::Square | Kind::Sleep | Kind::Handler { .. } => 0,
            Kind::Exec { argv } => argv.iter().map(|word| word.source().len()).sum(),
            Kind::Shell { line } => line.source().len(),
        }
    }

    /// Checks the limits that hold for every spec, wherever it came from.
    ///
    /// # Errors
    /// Names the limit that is passed and what to do.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.env.len() > limits::ENV_ITEMS_MAX {
            return Err(SpecError::EnvItems { count: self.env.len() });
        }
        if let Kind::Exec { argv } = &self.kind {
            if argv.is_empty() {
                return Err(SpecError::NoProgram);
            }
            if argv.len() > limits::ARGV_ITEMS_MAX {
                return Err(SpecError::ArgvItems { count: argv.len() });
            }
        }
        if let Cwd::Directory(path) = &self.cwd
            && path.len() > limits::TEXT_BYTES_MAX
        {
            return Err(SpecError::Cwd { bytes: path.len() });
        }
        for (key, _) in &self.env {
            if key.is_empty() || key.contains(['=', '\0']) {
                return Err(SpecError::EnvKey);
            }
        }
        let bytes = self.payload_bytes();
        if bytes > limits::PAYLOAD_BYTES_MAX {
            return Err(SpecError::Payload { bytes });
        }
        if self.output_bytes_max > limits::OUTPUT_BYTES_MAX {
            return Err(SpecError::Output { bytes: self.output_bytes_max });
        }
        self.form.check()?;
        self.place.check()?;
        Ok(())
    }
}

/// A spec passes a limit or makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SpecError {
    /// `exec` without a word.
    #[error("there is no command to run; put it after `--`")]
    NoProgram,
    /// Too many words.
    #[error("the command has {count} words, the limit is {}", limits::ARGV_ITEMS_MAX)]
    ArgvItems {
        /// How many there are.
        count: usize,
    },
    /// Too many variables.
    #[error("{count} environment variables were given, the limit is {}", limits::ENV_ITEMS_MAX)]
    EnvItems {
        /// How many there are.
        count: usize,
    },
    /// A variable without a usable name.
    #[error("an environment variable has an empty name or one with `=` in it")]
    EnvKey,
    /// The payload is too large.
    #[error(
        "a task's payload of {bytes} bytes is over the limit of {} bytes; \
         pass the path of a file instead of its content (`ganger submit --paths` lets the worker \
         check it)",
        limits::PAYLOAD_BYTES_MAX
    )]
    Payload {
        /// The bytes of argument, argument vector and environment together.
        bytes: usize,
    },
    /// A template cannot be read.
    #[error("{0}")]
    Template(#[from] TemplateError),
    /// Too much output is to be kept.
    #[error(
        "{bytes} bytes of output are to be kept of each stream, the limit is {}; let the task write \
         a file",
        limits::OUTPUT_BYTES_MAX
    )]
    Output {
        /// How much.
        bytes: u64,
    },
    /// The form of the arguments makes no sense.
    #[error("{0}")]
    Form(#[from] FormError),
    /// The placement makes no sense.
    #[error("{0}")]
    Place(#[from] PlacementError),
    /// The directory's path is too long.
    #[error(
        "the path of the directory has {bytes} bytes, the limit is {}; run it in a shorter one",
        limits::TEXT_BYTES_MAX
    )]
    Cwd {
        /// How many there are.
        bytes: usize,
    },
}

/// The wait before a failed task is tried again: `min(cap, base · 2^(n−1))` with full jitter, where
/// n counts the failures (the "full jitter" of the AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first wait's upper bound, in milliseconds.
    pub base_ms: u64,
    /// The largest wait, in milliseconds.
    pub cap_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base_ms: 1_000, cap_ms: 600_000 }
    }
}

/// How the tasks of a batch are queued and retried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchOptions {
    /// What people call the batch; any text up to 128 characters, sanitised where it is shown.
    pub name: String,
    /// The queue it waits in.
    pub queue: QueueName,
    /// Higher goes first.
    pub priority: i16,
    /// Tries after the first failure.
    pub retries: u8,
    /// The wait between tries.
    pub backoff: Backoff,
    /// No task starts before this moment.
    pub not_before: Option<WallMs>,
    /// Keys with values, for filters; any text, sanitised where it is shown.
    pub labels: Vec<(String, String)>,
    /// Its tasks are blocked until these batches have ended.
    pub after: Vec<After>,
    /// Tasks of it at once, over all workers; 0 means no limit.
    pub jobs_max: u32,
    /// How often its tasks may start, over all workers.
    pub rate: Option<Rate>,
}

/// A batch that another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct After {
    /// Which.
    pub batch: BatchId,
    /// What it must have come to.
    pub then: Then,
}

/// What a batch must have come to before another one begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Then {
    /// All its tasks are done. When one failed or was cancelled, the tasks that wait fail.
    #[default]
    Done,
    /// All its tasks have ended, however.
    Any,
}

/// So many starts in so long a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// Starts; at least 1.
    pub starts: u32,
    /// In so many milliseconds; at least 1.
    pub per_ms: u32,
}

impl BatchOptions {
    /// Checks the labels' limits, wherever they came from.
    ///
    /// # Errors
    /// Names the limit that is passed.
    pub fn check_labels(&self) -> Result<(), LabelError> {
        if self.labels.len() > limits::LABELS_MAX {
            return Err(LabelError::Count { count: self.labels.len() });
        }
        let bytes = self.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > limits::LABEL_BYTES_MAX {
            return Err(LabelError::Bytes { bytes });
        }
        let mut keys: Vec<&str> = self.labels.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if keys.first().is_some_and(|key| key.is_empty()) {
            return Err(LabelError::Key);
        }
        match keys.windows(2).find(|two| two[0] == two[1]) {
            Some(two) => {
                let key = two[0].chars().filter(|c| !c.is_control()).take(40).collect();
                Err(LabelError::Twice { key })
            }
            None => Ok(()),
        }
    }
}

/// Labels pass a limit or make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Too many.
    #[error("{count} labels were given, the limit is {}", limits::LABELS_MAX)]
    Count {
        /// How many there are.
        count: usize,
    },
    /// Too long.
    #[error(
        "the labels have {bytes} bytes together, the limit is {}; shorten them",
        limits::LABEL_BYTES_MAX
    )]
    Bytes {
        /// How many bytes there are.
        bytes: usize,
    },
    /// One without a key.
    #[error("a label has no key; write it as stage=prod")]
    Key,
    /// The same key more than once.
    #[error("the label `{key}` is given twice; give it once")]
    Twice {
        /// The key.
        key: String,
    },
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            queue: Name::from_lossy("default"),
            priority: 0,
            retries: 0,
            backoff: Backoff::default(),
            not_before: None,
            labels: Vec::new(),
            after: Vec::new(),
            jobs_max: 0,
            rate: None,
        }
    }
}

//! What this worker lets a master run on it: `worker.toml`, which no master can set. Does not
//! start anything; see prepare.rs.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use ganger_proto::gang::{Allows, SLOTS_MAX};
use ganger_proto::label::LABELS_MAX;
use ganger_proto::place::{Need, OFFERS_MAX, Offer};
use ganger_proto::{Label, Name};
use serde::{Deserialize, Serialize};

use super::caps::{Caps, CapsTable};
use super::diversion;
use super::handlers::{self, Handler};

/// A worker's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which programs may run.
    pub exec: ExecPolicy,
    /// Whether `sh -c LINE` may run.
    pub shell: Permission,
    /// Variables of the worker that children see besides the usual ones.
    pub env_pass: Vec<String>,
    /// The time between TERM and KILL.
    pub grace: Duration,
    /// Tasks at once in the lane `cpu`; none means as many as there are processors.
    pub slots: Option<NonZeroU32>,
    /// Tasks at once in the lane `io`; none means 64.
    pub io_slots: Option<u32>,
    /// What the worker has beside slots; the machine's memory is `mem` when that is not among it.
    pub resources: Vec<Need>,
    /// Whether children may gain privileges, as by `sudo`.
    pub privileges: Permission,
    /// Whether the worker may run as root.
    pub root: Permission,
    /// What the worker says of itself.
    pub labels: Vec<Label>,
    /// The folders below which checked paths must be, as absolute paths.
    pub roots: Vec<PathBuf>,
    /// What one task may take at most.
    pub caps: Caps,
    /// Its warm handlers. They run under every [`ExecPolicy`]: they are the worker's own.
    pub handlers: BTreeMap<Name, Handler>,
}

/// Which programs may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExecPolicy {
    /// Every one.
    Any,
    /// These alone, by absolute path.
    AllowList(Vec<PathBuf>),
    /// None: only the kinds that run inside the worker, and its handlers.
    HandlersOnly,
}

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    /// It may.
    Allowed,
    /// It may not.
    Refused,
}

/// A policy cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file is not a policy.
    #[error("{path} is no policy: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// The system refuses.
    #[error("cannot read {path}; make it readable or take it away to use the defaults")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    exec: Option<ExecWord>,
    allow: Option<Vec<PathBuf>>,
    allow_shell: Option<bool>,
    env_pass: Option<Vec<String>>,
    grace_s: Option<u32>,
    slots: Option<NonZeroU32>,
    io_slots: Option<u32>,
    resources: Option<toml::Table>,
    no_new_privs: Option<bool>,
    allow_root: Option<bool>,
    labels: Option<Vec<Label>>,
    roots: Option<Vec<PathBuf>>,
    caps: Option<CapsTable>,
    handlers: Option<BTreeMap<Name, Handler>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ExecWord {
    Any,
    AllowList,
    HandlersOnly,
}

/// Variables that every child sees, when the worker has them; those that begin with `LC_` too.
const ENV_PASSED: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"];
const GRACE: Duration = Duration::from_secs(10);
/// Roots at most: each is an open folder in every launcher.
const ROOTS_MAX: usize = 64;
/// Why nothing runs where only handlers may.
pub(super) const HANDLERS_ONLY: &str =
    "this worker runs no programs; its worker.toml says `exec = \"handlers-only\"`";

/// What a joined worker allows when it has no file: every program, no shell, no new privileges.
impl Default for Policy {
    fn default() -> Self {
        Self {
            exec: ExecPolicy::Any,
            shell: Permission::Refused,
            env_pass: Vec::new(),
            grace: GRACE,
            slots: None,
            io_slots: None,
            resources: Vec::new(),
            privileges: Permission::Refused,
            root: Permission::Refused,
            labels: Vec::new(),
            roots: Vec::new(),
            caps: Caps::default(),
            handlers: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// Returns the policy of the worker that `ganger` starts for its own user: it runs as that
    /// user, for that user, so it allows what that user may do, as root too.
    pub fn local() -> Self {
        Self {
            shell: Permission::Allowed,
            privileges: Permission::Allowed,
            root: Permission::Allowed,
            roots: vec![PathBuf::from("/")],
            ..Self::default()
        }
    }

    /// Reads the file over these defaults; without a file they stand.
    ///
    /// # Errors
    /// When the file cannot be read, has an unknown key, or makes no sense; names the line.
    pub fn load(self, path: &Path) -> Result<Self, PolicyError> {
        match fs::read_to_string(path) {
            Ok(text) => {
                let mut policy = self
                    .parse(&text)
                    .map_err(|reason| PolicyError::Malformed { path: path.to_owned(), reason })?;
                handlers::settle(&mut policy.handlers, path.parent().unwrap_or(path));
                Ok(policy)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self),
            Err(source) => Err(PolicyError::Io { path: path.to_owned(), source }),
        }
    }

    pub(super) fn parse(self, text: &str) -> Result<Self, String> {
        let file: PolicyFile = toml::from_str(text).map_err(|error| sentence(text, &error))?;
        let exec = match (file.exec, file.allow) {
            (None, None) => self.exec,
            (Some(ExecWord::Any), None) => ExecPolicy::Any,
            (Some(ExecWord::HandlersOnly), None) => ExecPolicy::HandlersOnly,
            (Some(ExecWord::AllowList), Some(allow)) => {
                if let Some(path) = allow.iter().find(|path| !path.is_absolute()) {
                    return Err(format!(
                        "`allow` names {}, which is no absolute path; write it from the root",
                        path.display()
                    ));
                }
                ExecPolicy::AllowList(allow)
            }
            (Some(ExecWord::AllowList), None) => {
                return Err("`exec = \"allow-list\"` needs `allow = [\"/path/of/program\"]`".into());
            }
            (None | Some(ExecWord::Any | ExecWord::HandlersOnly), Some(_)) => {
                return Err("`allow` counts only with `exec = \"allow-list\"`; write both".into());
            }
        };
        if file.slots.is_some_and(|slots| slots.get() > SLOTS_MAX) {
            return Err(format!("`slots` is over {SLOTS_MAX}; use a smaller number"));
        }
        if file.io_slots.is_some_and(|slots| slots > SLOTS_MAX) {
            return Err(format!("`io_slots` is over {SLOTS_MAX}; use a smaller number"));
        }
        if file.labels.as_ref().is_some_and(|labels| labels.len() > LABELS_MAX) {
            return Err(format!("`labels` has over {LABELS_MAX}; keep those that tell most"));
        }
        if let Some(objection) = file.roots.as_deref().and_then(roots_objection) {
            return Err(objection);
        }
        if file.handlers.as_ref().is_some_and(|all| all.len() > OFFERS_MAX) {
            return Err(format!("`handlers` has over {OFFERS_MAX}; give a worker fewer"));
        }
        Ok(Self {
            exec,
            shell: Permission::of(file.allow_shell, self.shell),
            env_pass: file.env_pass.unwrap_or(self.env_pass),
            grace: file.grace_s.map_or(self.grace, |s| Duration::from_secs(s.into())),
            slots: file.slots.or(self.slots),
            io_slots: file.io_slots.or(self.io_slots),
            resources: file.resources.map_or(Ok(self.resources), |table| resources_in(&table))?,
            privileges: Permission::of(file.no_new_privs.map(|no| !no), self.privileges),
            root: Permission::of(file.allow_root, self.root),
            labels: file.labels.unwrap_or(self.labels),
            roots: file.roots.unwrap_or(self.roots),
            caps: file.caps.map_or(Ok(self.caps), CapsTable::caps)?,
            handlers: file.handlers.unwrap_or(self.handlers),
        })
    }

    /// Returns which kinds may run.
    pub(super) fn allows(&self) -> Allows {
        if self.exec == ExecPolicy::HandlersOnly {
            return Allows::INSIDE;
        }
        let programs = Allows::INSIDE.and(Allows::EXEC);
        match self.shell {
            Permission::Allowed => programs.and(Allows::SHELL),
            Permission::Refused => programs,
        }
    }

    /// Returns its handlers as a master hears of them.
    pub(super) fn offers(&self) -> Vec<Offer> {
        let all = self.handlers.iter();
        all.map(|(name, handler)| Offer { name: name.clone(), lane: handler.lane }).collect()
    }

    /// Tells whether children see this variable of the worker's own environment.
    pub(super) fn passes(&self, key: &str) -> bool {
        ENV_PASSED.contains(&key)
            || key.starts_with("LC_")
            || self.env_pass.iter().any(|passed| passed == key)
    }

    /// Says why a task may not set this variable; nothing when it may.
    pub(super) fn env_objection(&self, key: &str) -> Option<String> {
        match self.exec {
            ExecPolicy::AllowList(_) => diversion::objection(key),
            ExecPolicy::Any | ExecPolicy::HandlersOnly => None,
        }
    }

    /// Says why no shell may run; nothing when one may.
    pub(super) fn shell_objection(&self) -> Option<String> {
        (self.shell == Permission::Refused).then(|| {
            "this worker allows no shell; submit a command without one, or set \
             `allow_shell = true` in its worker.toml"
                .to_owned()
        })
    }
}

/// One line for people, shown on the master's screen.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.exec {
            ExecPolicy::Any => f.write_str("exec any")?,
            ExecPolicy::AllowList(allow) => write!(f, "exec {} listed", allow.len())?,
            ExecPolicy::HandlersOnly => f.write_str("no exec")?,
        }
        f.write_str(match self.shell {
            Permission::Allowed => ", shell",
            Permission::Refused => ", no shell",
        })?;
        match self.privileges {
            Permission::Allowed => {}
            Permission::Refused => f.write_str(", no new privileges")?,
        }
        match self.roots.as_slice() {
            [] => {}
            [root] if root.parent().is_none() => {}
            [root] => write!(f, ", paths below {}", root.display())?,
            roots => write!(f, ", paths below {} roots", roots.len())?,
        }
        write!(f, "{}", self.caps)?;
        handlers::show(&self.handlers, f)
    }
}

impl Permission {
    /// Returns what a file says, else what held before.
    fn of(given: Option<bool>, before: Self) -> Self {
        match given {
            Some(true) => Self::Allowed,
            Some(false) => Self::Refused,
            None => before,
        }
    }
}

/// Reads `[resources]`: amounts as numbers, or as texts with a unit.
fn resources_in(table: &toml::Table) -> Result<Vec<Need>, String> {
    let mut resources = Vec::with_capacity(table.len());
    for (name, amount) in table {
        let text = match amount.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={amount}"),
        };
        let has = Need::parse(&text).map_err(|error| format!("in `[resources]`: {error}"))?;
        add_resource(&mut resources, has).map_err(|error| format!("in `[resources]`: {error}"))?;
    }
    Ok(resources)
}

/// Adds what a worker has, in place of what was said of the same thing before.
///
/// # Errors
/// When it is counted otherwise, or too much is said.
pub(crate) fn add_resource(resources: &mut Vec<Need>, has: Need) -> Result<(), &'static str> {
    if has.name.as_str() == "cpu" {
        return Err("`cpu` is what slots count; set `slots` for it");
    }
    match resources.iter().position(|known| known.name == has.name) {
        Some(at) => resources[at] = has,
        // The machine's memory may come to what is said.
        None if resources.len() + 1 >= OFFERS_MAX => {
            return Err("too many resources; keep those that tasks ask for");
        }
        None => resources.push(has),
    }
    Ok(())
}

/// Says what is wrong with the folders below which paths are checked; nothing when they are right.
pub(crate) fn roots_objection(roots: &[PathBuf]) -> Option<String> {
    if roots.len() > ROOTS_MAX {
        return Some(format!("`roots` has over {ROOTS_MAX}; name the folders above them"));
    }
    let whole = |path: &Path| {
        path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
    };
    let root = roots.iter().find(|root| !whole(root))?;
    Some(format!(
        "`roots` names {}, which is no absolute path without `..`; write it from the root",
        root.display()
    ))
}

fn sentence(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| 1 + before.matches('\n').count());
    let what = error.message().trim().replace('\n', " ");
    line.map_or_else(|| what.clone(), |line| format!("line {line}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT_B: &str =
        "`roots` names b, which is no absolute path without `..`; write it from the root";

    fn check(text: &str, expected: &str) {
        let found = match Policy::default().parse(text) {
            Ok(policy) => policy.to_string(),
            Err(reason) => reason,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_is_read_over_the_defaults() {
        check("", "exec any, no shell, no new privileges");
        check("allow_shell = true\nno_new_privs = false", "exec any, shell");
        check(
            "exec = \"allow-list\"\nallow = [\"/bin/a\", \"/bin/b\"]",
            "exec 2 listed, no shell, no new privileges",
        );
        check("exec = \"handlers-only\"", "no exec, no shell, no new privileges");
        check(
            "exec = \"handlers-only\"\n[handlers.resize]\ncommand = [\"python3\", \"resize.py\"]",
            "no exec, no shell, no new privileges, handlers resize",
        );
        assert_eq!(Policy::local().to_string(), "exec any, shell");
        check("roots = [\"/data\"]", "exec any, no shell, no new privileges, paths below /data");
        check(
            "[caps]\ntimeout_s = 60\nmemory = \"2G\"",
            "exec any, no shell, no new privileges, at most 60s, 2G of memory",
        );
        check(
            "no_new_privs = false\nroots = [\"/a\", \"/b\"]",
            "exec any, no shell, paths below 2 roots",
        );
        let policy = Policy::default().parse("grace_s = 3\nslots = 7\nenv_pass = [\"X\"]").unwrap();
        assert_eq!((policy.grace.as_secs(), policy.slots.map(NonZeroU32::get)), (3, Some(7)));
        assert!(policy.passes("X") && policy.passes("LC_ALL") && policy.passes("PATH"));
        assert!(!policy.passes("AWS_SECRET_ACCESS_KEY"));
        let policy = Policy::default().parse("labels = [\"gpu=a100\"]").unwrap();
        assert_eq!(policy.labels[0].to_string(), "gpu=a100");
        assert!(Policy::default().parse("labels = [\"gpu\"]").unwrap_err().contains("KEY=VALUE"));
    }

    #[test]
    fn resources_are_numbers_or_amounts_with_a_unit() {
        let text = "io_slots = 0\n[resources]\nmem = \"8G\"\ngpu = 2\n";
        let policy = Policy::default().parse(text).unwrap();
        let shown: Vec<String> = policy.resources.iter().map(Need::to_string).collect();
        assert_eq!((shown.join(" ").as_str(), policy.io_slots), ("gpu=2 mem=8G", Some(0)));
        let mut resources = policy.resources;
        add_resource(&mut resources, Need::parse("gpu=3").unwrap()).unwrap();
        assert_eq!((resources[0].amount, resources.len()), (3, 2));
        let mut add = |n| add_resource(&mut resources, Need::parse(&format!("r{n}=1")).unwrap());
        assert!((0..61).all(|n| add(n).is_ok()));
        assert!(add(61).is_err(), "one is left for the machine's memory");
    }

    #[test]
    fn a_policy_says_which_kinds_it_lets_run() {
        let check = |text: &str, exec: bool, shell: bool| {
            let allows = Policy::default().parse(text).unwrap().allows();
            assert_eq!((allows.has(Allows::EXEC), allows.has(Allows::SHELL)), (exec, shell));
            assert!(allows.has(Allows::INSIDE));
        };
        check("", true, false);
        check("allow_shell = true", true, true);
        check("exec = \"handlers-only\"\nallow_shell = true", false, false);
    }

    #[test]
    fn each_line_of_the_sample_is_right() {
        let sample = include_str!("../../assets/config/worker.toml");
        let (mut section, mut settings) = ("", 0);
        for line in sample.lines().filter_map(|line| line.strip_prefix("# ")) {
            if line.starts_with('[') {
                section = line;
            }
            if !line.contains(" = ") {
                continue;
            }
            settings += 1;
            let mut text = line.replace("allow = [", "exec = \"allow-list\"\nallow = [");
            if section.starts_with("[handlers") && !line.starts_with("command") {
                text = format!("command = [\"x\"]\n{text}");
            }
            let text = format!("{section}\n{text}");
            Policy::default().parse(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
        }
        assert!(settings >= 24, "{settings}");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        check(
            "slots = 2\nslosts = 3\n",
            "line 2: unknown field `slosts`, expected one of `exec`, `allow`, `allow_shell`, \
             `env_pass`, `grace_s`, `slots`, `io_slots`, `resources`, `no_new_privs`, `allow_root`, \
             `labels`, `roots`, `caps`, `handlers`",
        );
        check("slots = 0", "line 1: invalid value: integer `0`, expected a nonzero u32");
        check("io_slots = 9999", "`io_slots` is over 1024; use a smaller number");
        check(
            "[resources]\ncpu = 2",
            "in `[resources]`: `cpu` is what slots count; set `slots` for it",
        );
        check(
            "[resources]\ngpu = 0",
            "in `[resources]`: `gpu=0` is no need; write NAME=AMOUNT with an amount from 1, as \
             cpu=2, mem=4G or gpu=1",
        );
        check("slots = 9999", "`slots` is over 1024; use a smaller number");
        check(
            "exec = \"allow-list\"\nallow = [\"ffmpeg\"]",
            "`allow` names ffmpeg, which is no absolute path; write it from the root",
        );
        check("roots = [\"/a\", \"b\"]", ROOT_B);
        check("roots = [\"/a/../b\"]", &ROOT_B.replace("names b", "names /a/../b"));
        check("allow = []", "`allow` counts only with `exec = \"allow-list\"`; write both");
        assert!(matches!(Policy::default().load(Path::new("/")), Err(PolicyError::Io { .. })));
        let nowhere = Path::new("/nonexistent/worker.toml");
        assert_eq!(Policy::default().load(nowhere).unwrap(), Policy::default());
    }

    #[test]
    fn a_list_of_programs_minds_the_environment() {
        let text = "exec = \"allow-list\"\nallow = [\"/usr/bin/ffmpeg\"]";
        let policy = Policy::default().parse(text).unwrap();
        assert!(policy.env_objection("LD_PRELOAD").is_some());
        assert_eq!(policy.env_objection("LANG"), None);
        assert_eq!(Policy::default().env_objection("LD_PRELOAD"), None);
        assert!(policy.shell_objection().is_some());
        assert_eq!(Policy::local().shell_objection(), None);
    }
}

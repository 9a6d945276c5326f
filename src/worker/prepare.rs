//! From a granted task to an order for a launcher: words, environment, directory. Touches no disk;
//! see find.rs.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ganger_proto::command::Stream;
use ganger_proto::form::{ArgForm, Paths};
use ganger_proto::message::GrantRun;
use ganger_proto::template::{EXPANDED_BYTES_MAX, Values, argv_bytes, expand_argv, expand_line};
use ganger_proto::{Args, Cwd, Kind, LeaseId, Name, Spec, WallMs};
use serde_bytes::ByteBuf;

use super::lanes::in_lane;
use super::order::{CwdKind, Order, Program, Whole};
use super::policy::{ExecPolicy, HANDLERS_ONLY, Policy};
use super::roots::{PathCheck, Wanted};
use super::spool;

/// What all children of a worker have in common.
#[derive(Debug)]
pub(super) struct Ground {
    /// The worker's name.
    pub(super) worker: Name,
    /// Its policy.
    pub(super) policy: Policy,
    /// Its run directory.
    pub(super) run_dir: PathBuf,
    /// Its own variables that children see.
    pub(super) env: Vec<(ByteBuf, ByteBuf)>,
    /// The folder of its groups, where it has some.
    pub(super) groups: Option<PathBuf>,
}

impl Ground {
    /// Picks the variables that children see out of the process's own.
    pub(super) fn new(worker: Name, policy: Policy, run_dir: PathBuf) -> Self {
        let env = std::env::vars_os()
            .filter(|(key, _)| key.to_str().is_some_and(|key| policy.passes(key)))
            .map(|(key, value)| (bytes(key.as_bytes()), bytes(value.as_bytes())))
            .collect();
        Self { worker, policy, run_dir, env, groups: None }
    }

    /// Returns where an attempt's scratch directory is.
    pub(super) fn scratch(&self, lease: LeaseId) -> PathBuf {
        self.run_dir.join("scratch").join(format!("{}-{}", lease.epoch.raw(), lease.counter))
    }

    /// Makes the order for one task, a run of one.
    ///
    /// # Errors
    /// Says why the policy does not allow it.
    pub(super) fn order(
        &self,
        run: &GrantRun,
        spec: &Spec,
        slot: u32,
        now: WallMs,
    ) -> Result<Order, String> {
        let argument = argument(run);
        let path = path_check(&spec.form, argument.as_deref());
        let number = run.index.saturating_add(1);
        // Slots are counted from 0 here, and from 1 in templates.
        let values = Values::new(&spec.form, argument.as_deref(), number).in_slot(slot + 1);
        let (program, argv) = match &spec.kind {
            Kind::Shell { line } => {
                let refused = match self.policy.exec {
                    ExecPolicy::HandlersOnly => Some(HANDLERS_ONLY.to_owned()),
                    ExecPolicy::Any | ExecPolicy::AllowList(_) => self.policy.shell_objection(),
                };
                if let Some(message) = refused {
                    return Err(message);
                }
                let line = expand_line(line, &values);
                (Program::Shell, vec![b"sh".to_vec(), b"-c".to_vec(), line])
            }
            Kind::Exec { argv } => (Program::Named, expand_argv(argv, &values)),
            Kind::Square | Kind::Sleep | Kind::Handler { .. } => {
                return Err("this kind starts no process; the worker's own fault".to_owned());
            }
        };
        if argv_bytes(&argv) >= EXPANDED_BYTES_MAX {
            return Err(format!(
                "the command has over {EXPANDED_BYTES_MAX} bytes when its argument is put in; name \
                 the argument fewer times, or pass the path of a file"
            ));
        }
        let (cwd, cwd_kind) = match &spec.cwd {
            Cwd::Directory(path) => (bytes(path), CwdKind::There),
            Cwd::Scratch => (of_path(&self.scratch(run.lease)), CwdKind::Fresh),
            Cwd::Unset => (of_path(&self.run_dir), CwdKind::There),
        };
        Ok(Order {
            number: 0,
            program,
            argv: argv.into_iter().map(ByteBuf::from).collect(),
            env: self.environment(run, spec, slot, now)?,
            cwd,
            cwd_kind,
            path,
            timeout_ms: spec.timeout_ms,
            grace_ms: u64::try_from(self.policy.grace.as_millis()).unwrap_or(u64::MAX),
            whole: (spec.output_bytes_max > 0).then(|| self.whole(run.lease, spec)),
        })
    }

    fn whole(&self, lease: LeaseId, spec: &Spec) -> Whole {
        let file = |stream| of_path(&spool::file_of(&self.run_dir, lease, stream));
        let (stdout, stderr) = (file(Stream::Stdout), file(Stream::Stderr));
        Whole { bytes_max: spec.output_bytes_max, stdout, stderr }
    }

    fn environment(
        &self,
        run: &GrantRun,
        spec: &Spec,
        slot: u32,
        now: WallMs,
    ) -> Result<Vec<(ByteBuf, ByteBuf)>, String> {
        let mut env = self.env.clone();
        for (key, value) in &spec.env {
            if let Some(message) = self.policy.env_objection(key) {
                return Err(message);
            }
            env.push((bytes(key.as_bytes()), bytes(value.as_bytes())));
        }
        let mut own = |key: &str, value: &dyn std::fmt::Display| {
            env.push((bytes(key.as_bytes()), ByteBuf::from(value.to_string())));
        };
        own("GANGER_TASK", &run.task);
        own("GANGER_BATCH", &run.batch);
        own("GANGER_ATTEMPT", &run.attempt);
        own("GANGER_INDEX", &run.index);
        let (lane, slot) = in_lane(slot);
        own("GANGER_LANE", &lane);
        own("GANGER_SLOT", &slot);
        own("GANGER_WORKER", &self.worker);
        let limit_ms = self.policy.caps.timeout_ms(spec.timeout_ms);
        if limit_ms > 0 {
            own("GANGER_DEADLINE", &now.plus(limit_ms).0);
        }
        Ok(env)
    }
}

/// Returns the task's argument; none for a task of a batch without arguments.
fn argument(run: &GrantRun) -> Option<Vec<u8>> {
    match &run.args {
        Args::Repeat { .. } => None,
        Args::Listed(_) | Args::Range { .. } => {
            let mut argument = Vec::new();
            run.args.write(0, &mut argument);
            Some(argument)
        }
    }
}

/// Returns what is looked at before the task starts: the path in its first column, if it is one.
pub(super) fn path_check(form: &ArgForm, argument: Option<&[u8]>) -> Option<PathCheck> {
    if form.paths == Paths::Unchecked {
        return None;
    }
    let fields = form.fields(argument.unwrap_or_default());
    let wanted = match form.paths {
        Paths::Unchecked | Paths::BelowRoots => Wanted::File,
        Paths::AsSeen => Wanted::AsSeen(fields.seen),
    };
    let path = bytes(fields.columns.first().copied().unwrap_or_default());
    Some(PathCheck { path, wanted })
}

fn bytes(text: &[u8]) -> ByteBuf {
    ByteBuf::from(text)
}

fn of_path(path: &Path) -> ByteBuf {
    bytes(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use ganger_proto::{ArgList, BatchId, Epoch, SpecId, TaskId, Template};

    use super::*;

    /// A template of 64 KiB that names an argument of 64 KiB once in two bytes comes to 2 GiB.
    #[test]
    fn a_command_that_grows_beyond_all_bounds_is_refused() {
        let policy = Policy::local();
        let (worker, run_dir) = (Name::from_lossy("w"), PathBuf::from("/"));
        let ground = Ground { worker, policy, run_dir, env: Vec::new(), groups: None };
        let check = |kind: Kind, length: usize, fits: bool| {
            let run = GrantRun {
                lease: LeaseId { epoch: Epoch::new(1), counter: 1 },
                task: TaskId::new(1),
                batch: BatchId::new(1),
                index: 0,
                attempt: 1,
                spec: SpecId::new(1),
                args: Args::Listed([&vec![b'a'; length][..]].into_iter().collect::<ArgList>()),
            };
            let order = ground.order(&run, &Spec::of(kind), 0, WallMs(0));
            match order {
                Ok(order) => assert!(fits, "{} words", order.argv.len()),
                Err(message) => assert!(!fits && message.contains("fewer times"), "{message}"),
            }
        };
        let template = Template::from_text(&"{}".repeat(32 << 10)).unwrap();
        let (line, argv) = (template.clone(), vec![template]);
        check(Kind::Exec { argv: argv.clone() }, 8, true);
        check(Kind::Exec { argv }, 64 << 10, false);
        check(Kind::Shell { line: line.clone() }, 8, true);
        check(Kind::Shell { line }, 64 << 10, false);
    }
}

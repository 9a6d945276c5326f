//! Processes on a temp home: a master, workers, commands. Stops what it started, by its id.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Bounds every wait of these tests.
pub const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// The binary under test.
pub const GANGER: &str = env!("CARGO_BIN_EXE_ganger");
/// The headless worker under test.
pub const WORKER: &str = env!("CARGO_BIN_EXE_ganger-worker");

/// A home with a master.
pub struct Rig {
    pub home: TempDir,
    master: Option<Child>,
    local_worker: &'static str,
    /// What the master and its workers log.
    log: &'static str,
    /// Where it listens, and the host that its tokens name.
    host: (&'static str, String),
    port: u16,
}

/// What a command printed.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Rig {
    /// Starts a master without a local worker.
    pub fn bare() -> Self {
        Self::start("0")
    }

    /// Starts a master with a local worker of two slots.
    pub fn with_worker() -> Self {
        let rig = Self::start("2");
        wait_for("the local worker", || {
            rig.ganger(&["workers", "--json"]).out.contains("\"up\"").then_some(())
        });
        rig
    }

    /// Starts a master with a local worker of two slots that has this `worker.toml`.
    pub fn with_policy(text: &str) -> Self {
        let home = TempDir::new().unwrap();
        // The worker's key comes to lie there too.
        std::fs::DirBuilder::new().mode(0o700).create(home.path().join("local-worker")).unwrap();
        std::fs::write(home.path().join("local-worker/worker.toml"), text).unwrap();
        Self::in_home(home, "2")
    }

    fn start(local_worker: &'static str) -> Self {
        Self::in_home(TempDir::new().unwrap(), local_worker)
    }

    /// Starts a master in a home that is there.
    pub fn in_home(home: TempDir, local_worker: &'static str) -> Self {
        Self::start_as(("127.0.0.1", "127.0.0.1"), home, local_worker, "info")
    }

    /// Starts a master in a home that is there; it and its workers log what this says.
    pub fn logging(home: TempDir, local_worker: &'static str, log: &'static str) -> Self {
        Self::start_as(("127.0.0.1", "127.0.0.1"), home, local_worker, log)
    }

    /// As [`Rig::in_home`]; it listens on an address, and its tokens name a host.
    pub fn listening(
        host: (&'static str, &str),
        home: TempDir,
        local_worker: &'static str,
    ) -> Self {
        Self::start_as(host, home, local_worker, "info")
    }

    fn start_as(
        (listen, advertise): (&'static str, &str),
        home: TempDir,
        local_worker: &'static str,
        log: &'static str,
    ) -> Self {
        let host = (listen, advertise.to_owned());
        let mut rig = Self { home, master: None, local_worker, log, host, port: 0 };
        rig.start_master();
        rig
    }

    /// Starts the master, on the port that it had before.
    pub fn start_master(&mut self) {
        let listen = format!("{}:{}", self.host.0, self.port);
        let mut command = Command::new(GANGER);
        command.args(["master", "--listen", &listen, "--advertise", &self.host.1]);
        command.args(["--local-worker", self.local_worker]).arg("--home").arg(self.home.path());
        command.env("GANGER_LOG", self.log);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = child.spawn().unwrap();
        let pid = child.id();
        self.master = Some(child);
        let file = self.home.path().join("master.json");
        let address = wait_for("the master", || {
            let text = std::fs::read_to_string(&file).ok()?;
            let json: serde_json::Value = serde_json::from_str(&text).ok()?;
            let here = json["pid"].as_u64() == Some(u64::from(pid));
            here.then(|| json["address"].as_str().unwrap().to_owned())
        });
        self.port = address.rsplit(':').next().unwrap().parse().unwrap();
        wait_for("an answer", || (self.ganger(&["status"]).code == 0).then_some(()));
    }

    /// Returns where the master listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills the master at once.
    pub fn kill_master(&mut self) {
        if let Some(mut child) = self.master.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops the master from doing anything until what is returned is dropped.
    pub fn hold_master(&self) -> Held {
        let master = Pid::from_child(self.master.as_ref().unwrap());
        kill_process(master, Signal::STOP).unwrap();
        Held(master)
    }

    /// Runs a command against this home.
    pub fn ganger(&self, args: &[&str]) -> Said {
        run(self.command(args), b"")
    }

    /// Runs a command that must succeed; returns what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        let said = self.ganger(args);
        assert_eq!(said.code, 0, "{args:?}: {said:?}");
        said.out
    }

    /// Runs a command with something on its standard input.
    pub fn ganger_with(&self, args: &[&str], input: &[u8]) -> Said {
        run(self.command(args), input)
    }

    /// Returns a command against this home.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(GANGER);
        command.args(args).env("GANGER_HOME", self.home.path()).env_remove("GANGER_MASTER");
        command
    }

    /// Returns a one-use token for a worker.
    pub fn token(&self) -> String {
        let line = self.ok(&["invite", "--role", "worker"]);
        line.split_whitespace().find(|word| word.starts_with("ganger1")).unwrap().to_owned()
    }

    /// Joins a worker from a home of its own and waits until it is up.
    pub fn join_worker(&self, name: &str, slots: &str) -> Worker {
        self.join_worker_with(name, &["--slots", slots])
    }

    /// As [`Rig::join_worker`], with other flags.
    pub fn join_worker_with(&self, name: &str, flags: &[&str]) -> Worker {
        self.join_worker_by(Command::new(WORKER), &self.token(), (name, flags))
    }

    /// As [`Rig::join_worker_with`], with a command that runs the worker and a token that was made
    /// before.
    pub fn join_worker_by(
        &self,
        mut command: Command,
        token: &str,
        (name, flags): (&str, &[&str]),
    ) -> Worker {
        let home = TempDir::new().unwrap();
        command.args(["join", token, "--name", name]).args(flags).env("GANGER_LOG", self.log);
        command.args(["--allow-shell", "--allow-root"]).env("GANGER_HOME", home.path());
        let worker = Worker { child: quiet(command), home };
        wait_for("the worker", || {
            let rows = self.workers();
            let row = rows.iter().find(|row| row["name"] == name)?;
            (row["state"] == "up").then_some(())
        });
        worker
    }

    /// Returns the workers as JSON rows.
    pub fn workers(&self) -> Vec<serde_json::Value> {
        let text = self.ganger(&["workers", "--json"]).out;
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        json.as_array().cloned().unwrap_or_default()
    }

    /// Returns how many tasks there are in a state, over all queues.
    pub fn count(&self, state: &str) -> u64 {
        let text = self.ganger(&["status", "--json"]).out;
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        json["master"]["counts"][state].as_u64().unwrap_or_default()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        run(self.command(&["stop", "--now"]), b"");
        if let Some(mut child) = self.master.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A master that does nothing.
pub struct Held(Pid);

impl Drop for Held {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).ok();
    }
}

/// A worker process with a home of its own.
pub struct Worker {
    child: Child,
    pub home: TempDir,
}

impl Worker {
    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills it at once and takes its exit in.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Returns its exit code once it has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn quiet(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Runs a command to its end, within the bound.
pub fn run(mut command: Command, input: &[u8]) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that refuses early closes its end; that is not this test's failure.
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output: Output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Looks until something is there; fails aloud after [`PATIENCE`].
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_or_say(look, || format!("{what} did not come"))
}

/// As [`wait_for`]; what is said aloud may tell what was there instead.
#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
pub fn wait_or_say<T>(mut look: impl FnMut() -> Option<T>, say: impl Fn() -> String) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{} within {PATIENCE:?}", say());
        std::thread::sleep(LOOK);
    }
}

/// Returns the processes whose command line holds `mark`, zombies left out.
pub fn processes_with(mark: &str) -> Vec<u32> {
    let folders = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = folders.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let marked = |pid: &u32| {
        let line = std::fs::read(PathBuf::from(format!("/proc/{pid}/cmdline")));
        line.is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    };
    pids.filter(|pid| *pid != std::process::id()).filter(marked).collect()
}

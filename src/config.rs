//! Where ganger keeps its things, what `ganger.toml` may say, and `master.json`, which tells where
//! the home's master runs. Does not know the worker's policy; see the worker.

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod screen;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::master::StoreChoice;
use crate::store::{KeepLog, KeepLogError};
use screen::{KeysToml, ScreenToml};

pub use screen::{KeyLine, NotifyWish, ScreenConfig};

/// Looks up one environment variable; tests hand in their own.
pub type Env = dyn Fn(&str) -> Option<OsString>;

/// Looks up a variable of this process.
pub fn process_env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A setting cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nothing says where the home folder is.
    #[error("there is no home folder: neither GANGER_HOME nor HOME is set; say where with --home")]
    NoHome,
    /// A file or folder of the home cannot be used.
    #[error("cannot use {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A configuration file holds something else than settings.
    #[error("line {line} of {path} cannot be read: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A value makes no sense.
    #[error("{origin}: {reason}")]
    Value {
        /// The flag, variable or file that gave it.
        origin: String,
        /// What is wrong and what to write.
        reason: String,
    },
}

/// Returns the home folder: the flag, else `GANGER_HOME`, else `ganger` in the XDG data folder.
/// Does not make it.
///
/// # Errors
/// When nothing says where it is.
pub fn home_folder(flag: Option<&Path>, env: &Env) -> Result<PathBuf, ConfigError> {
    let given = flag.map(Path::to_path_buf).or_else(|| env("GANGER_HOME").map(PathBuf::from));
    if let Some(path) = given {
        return std::path::absolute(&path).map_err(|source| ConfigError::Io { path, source });
    }
    // The XDG specification says that a relative XDG_DATA_HOME is to be ignored.
    let data = env("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let under_home = || {
        let home = env("HOME").map(PathBuf::from).or_else(|| etcetera::home_dir().ok());
        home.filter(|path| path.is_absolute()).map(|path| path.join(".local/share"))
    };
    data.or_else(under_home).map(|path| path.join("ganger")).ok_or(ConfigError::NoHome)
}

/// Makes a folder and the ones above it, for its owner alone.
///
/// # Errors
/// When the system refuses.
pub fn make_folder(path: &Path) -> Result<(), ConfigError> {
    let io = |source| ConfigError::Io { path: path.to_path_buf(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)
}

/// Replaces a file as a whole, readable by its owner alone: written beside it, synced, renamed.
///
/// # Errors
/// When the system refuses.
pub fn replace_file(path: &Path, content: &[u8]) -> Result<(), ConfigError> {
    let io = |source| ConfigError::Io { path: path.to_path_buf(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(io)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&beside, path).map_err(io)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

/// What the flags of `ganger master` say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MasterFlags {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--advertise`, as often as it was given.
    pub advertise: Vec<String>,
    /// `--store`.
    pub store: Option<String>,
    /// `--local-worker`.
    pub local_worker: Option<u32>,
    /// `--keep-log`.
    pub keep_log: Option<String>,
}

/// The master's settings, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterConfig {
    /// Where to listen; the remembered or first free port when none.
    pub listen: Option<SocketAddr>,
    /// Hosts that join tokens name, besides the master's own addresses.
    pub advertise: Vec<String>,
    /// Where events are kept.
    pub store: StoreChoice,
    /// Slots of the worker that the master starts here: 0 starts none, none means one a core.
    pub local_worker_slots: Option<u32>,
    /// How much of the log is kept beside what a restart needs.
    pub keep_log: KeepLog,
}

/// All that `ganger.toml` may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GangerToml {
    listen: Option<String>,
    advertise: Option<Vec<String>>,
    store: Option<String>,
    local_worker: Option<u32>,
    keep_log: Option<String>,
    screen: ScreenToml,
    keys: KeysToml,
}

impl MasterConfig {
    /// Brings flags, environment and `HOME/ganger.toml` together.
    ///
    /// # Errors
    /// Names the flag, the variable, or the line of the file that cannot be used.
    pub fn resolve(home: &Path, flags: MasterFlags, env: &Env) -> Result<Self, ConfigError> {
        let path = home.join("ganger.toml");
        let file: GangerToml = read_toml(&path)?.unwrap_or_default();
        let in_file = path.display().to_string();
        let listen = first(
            (flags.listen, "--listen"),
            (text_of(env, "GANGER_LISTEN")?, "GANGER_LISTEN"),
            (file.listen, &in_file),
        );
        let store = first(
            (flags.store, "--store"),
            (text_of(env, "GANGER_STORE")?, "GANGER_STORE"),
            (file.store, &in_file),
        );
        let keep_log = first(
            (flags.keep_log, "--keep-log"),
            (text_of(env, "GANGER_KEEP_LOG")?, "GANGER_KEEP_LOG"),
            (file.keep_log, &in_file),
        );
        let from_env = text_of(env, "GANGER_ADVERTISE")?
            .map(|text| text.split(',').map(|host| host.trim().to_owned()).collect());
        let from_flags = Some(flags.advertise).filter(|hosts| !hosts.is_empty());
        let local = match text_of(env, "GANGER_LOCAL_WORKER")? {
            Some(text) => Some(text.parse().map_err(|_| ConfigError::Value {
                origin: "GANGER_LOCAL_WORKER".to_owned(),
                reason: format!("`{text}` is not a number of slots; 0 starts no local worker"),
            })?),
            None => None,
        };
        Ok(Self {
            listen: listen.map(|(text, origin)| parse_listen(&text, &origin)).transpose()?,
            advertise: from_flags.or(from_env).or(file.advertise).unwrap_or_default(),
            store: match store {
                Some((text, origin)) => parse_store(&text, &origin, home)?,
                None => StoreChoice::Sqlite(home.join("store.db")),
            },
            local_worker_slots: flags.local_worker.or(local).or(file.local_worker),
            keep_log: keep_log
                .map(|(text, origin)| parse_keep_log(&text, origin))
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

type Given<'a> = (Option<String>, &'a str);

/// Returns the value of the highest rank, with where it came from.
fn first(flag: Given<'_>, variable: Given<'_>, file: Given<'_>) -> Option<(String, String)> {
    let given = [flag, variable, file];
    given.into_iter().find_map(|(value, origin)| value.map(|value| (value, origin.to_owned())))
}

fn text_of(env: &Env, name: &str) -> Result<Option<String>, ConfigError> {
    let Some(value) = env(name) else { return Ok(None) };
    value.into_string().map(Some).map_err(|_| ConfigError::Value {
        origin: name.to_owned(),
        reason: "its value is not UTF-8 text".to_owned(),
    })
}

fn parse_listen(text: &str, origin: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| ConfigError::Value {
        origin: origin.to_owned(),
        reason: format!(
            "`{text}` is not an address to listen on; write it as [::]:7433 or 0.0.0.0:7433"
        ),
    })
}

/// A relative path counts from the home when a file says it, from here when a flag says it.
fn parse_store(text: &str, origin: &str, home: &Path) -> Result<StoreChoice, ConfigError> {
    if text == "memory" {
        return Ok(StoreChoice::Memory);
    }
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => {
            let path = if origin.starts_with('-') || origin.starts_with("GANGER_") {
                std::path::absolute(path)
                    .map_err(|source| ConfigError::Io { path: PathBuf::from(path), source })?
            } else {
                home.join(path)
            };
            Ok(StoreChoice::Sqlite(path))
        }
        Some(_) | None => Err(ConfigError::Value {
            origin: origin.to_owned(),
            reason: format!("`{text}` is not a store; write sqlite:PATH or memory"),
        }),
    }
}

fn parse_keep_log(text: &str, origin: String) -> Result<KeepLog, ConfigError> {
    text.parse().map_err(|error: KeepLogError| {
        let reason = error.to_string();
        ConfigError::Value { origin, reason }
    })
}

/// Reads a configuration file; nothing when there is none.
///
/// # Errors
/// Names the line that cannot be read.
pub fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, ConfigError> {
    read_text(path)?.map(|text| parse_toml(path, &text)).transpose()
}

fn read_text(path: &Path) -> Result<Option<String>, ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Io { path: path.to_path_buf(), source }),
    }
}

fn parse_toml<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let line = line_at(text, error.span().map_or(0, |span| span.start));
        let reason = error.message().replace('\n', " ");
        ConfigError::File { path: path.to_path_buf(), line, reason }
    })
}

/// Returns the line of a byte, from 1.
fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

/// `master.json`: which process is this home's master, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterFile {
    /// Its process id.
    pub pid: u32,
    /// When the process began, in the kernel's clock ticks since boot: ids are used again.
    pub started_ticks: u64,
    /// The host it runs on.
    pub host: String,
    /// That host's boot id.
    pub boot_id: String,
    /// Where it listens, `host:port`.
    pub address: String,
    /// The cluster's name.
    pub cluster: String,
}

impl MasterFile {
    /// Describes this process as a master.
    pub fn of_this_process(address: SocketAddr, cluster: &str) -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started_ticks: started_ticks(pid).unwrap_or_default(),
            host: host_name(),
            boot_id: boot_id(),
            address: address.to_string(),
            cluster: cluster.to_owned(),
        }
    }

    /// Reads `HOME/master.json`; nothing when there is none or it is no such file.
    pub fn read(home: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(home.join("master.json")).ok()?).ok()
    }

    /// Writes `HOME/master.json`, as a whole.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, home: &Path) -> Result<(), ConfigError> {
        let json = serde_json::to_vec_pretty(self).expect("strings and numbers are always JSON");
        replace_file(&home.join("master.json"), &json)
    }

    /// Tells whether it was written on this host.
    pub fn is_here(&self) -> bool {
        self.host == host_name()
    }

    /// Tells whether the process that wrote it, on this host and since its last boot, still runs.
    pub fn is_alive(&self) -> bool {
        self.is_here()
            && self.boot_id == boot_id()
            && started_ticks(self.pid).is_some_and(|ticks| ticks == self.started_ticks)
    }

    /// Returns where to dial it from its own host: a wildcard address becomes loopback.
    pub fn dial_address(&self) -> String {
        match self.address.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_unspecified() => {
                let loopback = if address.is_ipv6() { "[::1]" } else { "127.0.0.1" };
                format!("{loopback}:{}", address.port())
            }
            Ok(_) | Err(_) => self.address.clone(),
        }
    }
}

/// Returns this host's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// Returns when a process began; nothing when there is none, or it has ended and is
/// not reaped yet.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything, so count from its
    // end: the state is the third field, the start time the twenty-second (proc_pid_stat(5)).
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }

    #[test]
    fn the_home_folder_is_found_in_order() {
        let check = |flag: Option<&str>, pairs, expected: &str| {
            let found = home_folder(flag.map(Path::new), &env(pairs)).unwrap();
            assert_eq!(found, Path::new(expected));
        };
        let all = &[("GANGER_HOME", "/g"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")];
        check(Some("/f"), all, "/f");
        check(None, all, "/g");
        check(None, &[("XDG_DATA_HOME", "/x"), ("HOME", "/h")], "/x/ganger");
        check(None, &[("XDG_DATA_HOME", "x"), ("HOME", "/h")], "/h/.local/share/ganger");
    }

    #[test]
    fn flags_beat_environment_beats_file_beats_default() {
        let home = tempfile::tempdir().unwrap();
        let none = MasterConfig::resolve(home.path(), MasterFlags::default(), &env(&[])).unwrap();
        assert_eq!(none.store, StoreChoice::Sqlite(home.path().join("store.db")));
        assert_eq!((none.listen, none.local_worker_slots), (None, None));
        assert_eq!(none.keep_log, KeepLog::Needed);

        fs::write(
            home.path().join("ganger.toml"),
            "listen = \"127.0.0.1:1\"\nadvertise = [\"file\"]\nstore = \"sqlite:s.db\"\n\
             local_worker = 1\nkeep_log = \"7d\"\n",
        )
        .unwrap();
        let file = MasterConfig::resolve(home.path(), MasterFlags::default(), &env(&[])).unwrap();
        assert_eq!(file.listen.unwrap().port(), 1);
        assert_eq!(file.store, StoreChoice::Sqlite(home.path().join("s.db")));
        assert_eq!((file.advertise, file.local_worker_slots), (vec!["file".into()], Some(1)));
        assert_eq!(file.keep_log.to_string(), "7days");

        const VARIABLES: &[(&str, &str)] = &[
            ("GANGER_LISTEN", "127.0.0.1:2"),
            ("GANGER_ADVERTISE", "a, b"),
            ("GANGER_STORE", "memory"),
            ("GANGER_LOCAL_WORKER", "2"),
            ("GANGER_KEEP_LOG", "none"),
        ];
        let variables =
            MasterConfig::resolve(home.path(), MasterFlags::default(), &env(VARIABLES)).unwrap();
        assert_eq!(variables.listen.unwrap().port(), 2);
        assert_eq!(variables.advertise, ["a", "b"]);
        assert_eq!((variables.store, variables.local_worker_slots), (StoreChoice::Memory, Some(2)));
        assert_eq!(variables.keep_log, KeepLog::Needed);

        let flags = MasterFlags {
            listen: Some("127.0.0.1:3".into()),
            advertise: vec!["flag".into()],
            store: Some("sqlite:/s".into()),
            local_worker: Some(0),
            keep_log: Some("all".into()),
        };
        let flags = MasterConfig::resolve(home.path(), flags, &env(VARIABLES)).unwrap();
        assert_eq!(flags.listen.unwrap().port(), 3);
        assert_eq!((flags.advertise, flags.local_worker_slots), (vec!["flag".into()], Some(0)));
        assert_eq!((flags.store, flags.keep_log), (StoreChoice::Sqlite("/s".into()), KeepLog::All));
    }

    #[test]
    fn bad_settings_say_where_and_what() {
        let home = tempfile::tempdir().unwrap();
        let check = |text: &str, parts: &[&str]| {
            fs::write(home.path().join("ganger.toml"), text).unwrap();
            let error = MasterConfig::resolve(home.path(), MasterFlags::default(), &env(&[]))
                .unwrap_err()
                .to_string();
            for part in parts {
                assert!(error.contains(part), "{error}");
            }
            assert!(!error.contains('\n'), "{error}");
        };
        check("listen = \"[::]:1\"\ncolour = \"red\"\n", &["line 2", "ganger.toml", "colour"]);
        check("listen = 5\n", &["line 1"]);
        check("listen = \"here\"", &["ganger.toml", "[::]:7433"]);
        check("store = \"postgres:x\"", &["sqlite:PATH"]);
        check("local_worker = -1", &["line 1"]);
        check("keep_log = \"some\"", &["ganger.toml", "none, all, or an age such as 7d"]);
        check("\n[screen]\nnotify = \"horn\"", &["line 3", "`bell`, `osc`, `off`"]);
        check("[screen]\nvolume = 3", &["line 2", "volume"]);
    }

    #[test]
    fn the_sample_file_is_accepted_and_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let bare = MasterConfig::resolve(home.path(), MasterFlags::default(), &env(&[])).unwrap();
        let sample = include_str!("../assets/config/ganger.toml");
        fs::write(home.path().join("ganger.toml"), sample).unwrap();
        let with = MasterConfig::resolve(home.path(), MasterFlags::default(), &env(&[])).unwrap();
        assert_eq!(bare, with);
        // Every setting is shown: with its comment sign gone, each line is read.
        let shown: String = sample
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| line.contains(" = ") || line.starts_with('['))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_eq!(shown.lines().count(), 10);
        fs::write(home.path().join("ganger.toml"), shown).unwrap();
        MasterConfig::resolve(home.path(), MasterFlags::default(), &env(&[])).unwrap();
    }

    #[test]
    fn a_master_file_tells_a_live_process_from_an_ended_one() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(MasterFile::read(home.path()), None);
        let file = MasterFile::of_this_process("[::]:7433".parse().unwrap(), "den-a1b2");
        file.write(home.path()).unwrap();
        let read = MasterFile::read(home.path()).unwrap();
        assert_eq!(read, file);
        assert!(read.is_alive());
        assert_eq!(read.dial_address(), "[::1]:7433");
        assert!(!MasterFile { started_ticks: 1, ..file.clone() }.is_alive());
        assert!(!MasterFile { boot_id: "other".into(), ..file.clone() }.is_alive());
        assert!(!MasterFile { pid: u32::MAX, ..file }.is_alive());
        fs::write(home.path().join("master.json"), "{").unwrap();
        assert_eq!(MasterFile::read(home.path()), None);
    }
}

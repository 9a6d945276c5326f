//! What holds for every subcommand: which home, which master, which form of answer. Does not dial;
//! see reach.rs.

use std::path::PathBuf;

use crate::config;

use super::error::Result;
use super::out::{Form, Out};

/// The flags that every subcommand takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Globals {
    /// The home folder [default: GANGER_HOME, else `ganger` in the XDG data folder]
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,

    /// The master to ask, instead of the home's own [default port: 7433]
    #[arg(long, global = true, env = "GANGER_MASTER", value_name = "HOST:PORT")]
    master: Option<String>,

    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,

    /// Start no master when none runs
    #[arg(long, global = true)]
    no_start: bool,
}

/// Whether a master may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starting {
    /// When none runs for the home.
    Allowed,
    /// Never.
    Forbidden,
}

/// Where a command works and how it answers.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The home folder, absolute.
    pub(crate) home: PathBuf,
    /// The master's address when one was named, with its port.
    pub(crate) master: Option<String>,
    /// How to answer.
    pub(crate) form: Form,
    /// Whether a master may be started.
    pub(crate) starting: Starting,
}

#[cfg(test)]
impl Globals {
    /// Tells whether JSON was asked for.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }
}

impl Place {
    /// Checks the flags.
    ///
    /// # Errors
    /// When there is no home folder.
    pub(crate) fn of(globals: &Globals) -> Result<Self> {
        let home = config::home_folder(globals.home.as_deref(), &config::process_env)?;
        let master = globals.master.as_deref().filter(|address| !address.is_empty());
        let may_start = !globals.no_start && master.is_none();
        Ok(Self {
            home,
            master: master.map(with_port),
            form: if globals.json { Form::Json } else { Form::Text },
            starting: if may_start { Starting::Allowed } else { Starting::Forbidden },
        })
    }

    /// Opens standard output.
    pub(crate) fn out(&self) -> Out {
        Out::new(self.form)
    }
}

/// The port that masters try first.
const PORT: u16 = 7433;

/// Adds the port that masters try first when there is none; brackets a bare IPv6 address.
pub(crate) fn with_port(address: &str) -> String {
    let bare_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    if bare_v6 {
        return format!("[{address}]:{PORT}");
    }
    let host_end = address.rfind(']').map_or(0, |at| at + 1);
    if address[host_end..].contains(':') { address.to_owned() } else { format!("{address}:{PORT}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_port() {
        let check = |given: &str, expected: &str| assert_eq!(with_port(given), expected);
        check("host", "host:7433");
        check("host:1", "host:1");
        check("10.0.0.1", "10.0.0.1:7433");
        check("::1", "[::1]:7433");
        check("[::1]", "[::1]:7433");
        check("[::1]:5", "[::1]:5");
    }

    #[test]
    fn a_named_master_is_never_started() {
        let check = |globals: Globals, expected: Starting| {
            let home = Some(PathBuf::from("/h"));
            assert_eq!(Place::of(&Globals { home, ..globals }).unwrap().starting, expected);
        };
        check(Globals::default(), Starting::Allowed);
        check(Globals { no_start: true, ..Globals::default() }, Starting::Forbidden);
        check(Globals { master: Some("h".into()), ..Globals::default() }, Starting::Forbidden);
    }
}

//! An identity on disk: key, certificate, CA, and where its master was last seen.

use std::path::{Path, PathBuf};

use ganger_proto::{Name, Role, WallMs};

/// A client's or worker's identity: everything that is needed to dial a master.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// The cluster it belongs to.
    pub cluster: Name,
    /// Its role.
    pub role: Role,
    /// Its name.
    pub name: Name,
    /// Where the master was last seen, `host:port`.
    pub addresses: Vec<String>,
    /// When its certificate ends.
    pub certificate_ends: WallMs,
}

/// An identity cannot be loaded or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is none.
    #[error("there is no identity in {path}; join first with a line from `ganger invite`")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Others could read or write it.
    #[error(
        "{path} has mode {mode:04o} and must be readable by its owner alone; run `chmod {wanted:o} {path}` if nobody else has read it, else join again"
    )]
    Mode {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it must have.
        wanted: u32,
    },
    /// Another user owns it.
    #[error(
        "{path} belongs to user {owner}, not to user {user} who runs this; use your own home folder with --home"
    )]
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner's numeric id.
        owner: u32,
        /// Who runs this.
        user: u32,
    },
    /// It cannot be read as what it should be.
    #[error("{path} is damaged: {reason}; join again with a line from `ganger invite`")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refuses.
    #[error("cannot use {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl ClientIdentity {
    /// Loads an identity; refuses files that others may read.
    ///
    /// # Errors
    /// When it is missing, damaged, or has the wrong owner or mode.
    pub fn load(_dir: &Path) -> Result<Self, IdentityError> {
        unimplemented!()
    }
}

//! An identity on disk: key, certificate, CA, and where its master was last seen. One file,
//! `identity.json`, so that it is there whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ganger_proto::{Name, Role, WallMs};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{certificate, files};
use crate::tls::Chain;

/// The file in an identity's folder.
const FILE: &str = "identity.json";

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
    pub(crate) chain: Chain,
    pub(crate) root: CertificateDer<'static>,
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
        "{path} has mode {mode:04o} and must be readable by its owner alone; \
         run `chmod {wanted:o} {path}` if nobody else has read it, else join again"
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
        "{path} belongs to user {owner}, not to user {user} who runs this; \
         use your own home folder with --home"
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
    #[error("cannot use {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// What the file holds; bytes are base58.
#[derive(Serialize, Deserialize)]
struct Stored {
    cluster: Name,
    role: Role,
    name: Name,
    addresses: Vec<String>,
    certificate: String,
    root: String,
    key: String,
}

impl ClientIdentity {
    /// Loads an identity; refuses files that others may read.
    ///
    /// # Errors
    /// When it is missing, damaged, or has the wrong owner or mode.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(FILE);
        let bytes =
            files::read(&path)?.ok_or(IdentityError::Missing { path: dir.to_path_buf() })?;
        let damaged = |reason: String| IdentityError::Damaged { path: path.clone(), reason };
        let stored: Stored =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let der =
            |text: &str| bs58::decode(text).into_vec().map_err(|error| damaged(error.to_string()));
        let leaf = der(&stored.certificate)?;
        let read = certificate::read_client(&leaf, stored.cluster.as_str())
            .map_err(|why| damaged(format!("its certificate is not usable: {why}")))?;
        Ok(Self {
            cluster: stored.cluster,
            role: read.role,
            name: read.name,
            addresses: stored.addresses,
            certificate_ends: read.not_after,
            chain: Chain {
                certificates: vec![leaf.into()],
                key: Arc::new(Zeroizing::new(der(&stored.key)?)),
            },
            root: der(&stored.root)?.into(),
        })
    }

    /// Keeps an identity in a folder, which is made when there is none.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), IdentityError> {
        files::make_dir(dir)?;
        let text = |bytes: &[u8]| bs58::encode(bytes).into_string();
        let leaf = self.chain.certificates.first().map_or(&[][..], |leaf| leaf.as_ref());
        let stored = Stored {
            cluster: self.cluster.clone(),
            role: self.role,
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            certificate: text(leaf),
            root: text(&self.root),
            key: text(&self.chain.key),
        };
        let json = serde_json::to_vec_pretty(&stored).expect("an identity is always JSON");
        files::write(&dir.join(FILE), &Zeroizing::new(json))
    }
}

//! An identity on disk: key, certificate, CA, and where its master was last seen. One file, so that
//! it is there whole or not at all. Does not know how it is used in TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ganger_proto::{Name, Role, WallMs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::certificate::{self, Leaf, Subject};
use super::token::Token;
use super::{ca, files};

/// The file of an identity, in its folder.
const FILE: &str = "identity.json";
/// The key of a join or renewal that has not been answered, in the same folder.
const PENDING: &str = "pending.key";
const FILE_BYTES_MAX: u64 = 64 << 10;
const VERSION: u32 = 1;

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
    /// From when on it should be renewed: a moment between a half and four fifths of its life, the
    /// same whenever it is asked, and another for each certificate.
    pub renews_at: WallMs,
    /// Where it is kept.
    pub(crate) dir: PathBuf,
    pub(crate) material: Arc<Material>,
}

/// What proves an identity.
pub(crate) struct Material {
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) certificate: CertificateDer<'static>,
    /// Whom it trusts to have made the master's certificate: one, or two while the cluster changes
    /// its authority. Never none.
    pub(crate) authorities: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl Material {
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        ca::private_key(&self.key)
    }
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

/// The file, field by field; byte strings are base58.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    cluster: Name,
    role: Role,
    name: Name,
    addresses: Vec<String>,
    authority: String,
    /// While the cluster changes its authority: the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_authority: Option<String>,
    certificate: String,
    key: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl ClientIdentity {
    /// Loads an identity; refuses files that others may read.
    ///
    /// # Errors
    /// When it is missing, damaged, or has the wrong owner or mode.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        files::check_dir(dir)?;
        let path = dir.join(FILE);
        let bytes = files::read(&path, FILE_BYTES_MAX)?;
        let damaged = |reason: String| IdentityError::Damaged { path: path.clone(), reason };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        if kept.version != VERSION {
            return Err(damaged(format!("its version is {}, not {VERSION}", kept.version)));
        }
        let bytes = |text: &str| bs58::decode(text).into_vec().map_err(|e| damaged(e.to_string()));
        let material = Material {
            key: Zeroizing::new(bytes(&kept.key)?),
            certificate: CertificateDer::from(bytes(&kept.certificate)?),
            authorities: std::iter::once(&kept.authority)
                .chain(&kept.next_authority)
                .map(|text| bytes(text).map(CertificateDer::from))
                .collect::<Result<_, _>>()?,
        };
        let addresses = kept.addresses.clone();
        let loaded = Self::new(dir, &kept.cluster, material, addresses).map_err(damaged)?;
        if (loaded.role, &loaded.name) != (kept.role, &kept.name) {
            return Err(damaged("its certificate is another's".to_owned()));
        }
        Ok(loaded)
    }

    /// Tells whether it trusts the authority that a token pins.
    pub fn trusts(&self, token: &Token) -> bool {
        let authorities = &self.material.authorities;
        authorities.iter().any(|authority| certificate::pin(authority) == Some(token.pin))
    }

    /// Puts together what proves an identity, to be kept in `dir`; says what does not fit.
    pub(crate) fn new(
        dir: &Path,
        cluster: &Name,
        material: Material,
        addresses: Vec<String>,
    ) -> Result<Self, String> {
        let leaf = certificate::read(&material.certificate, cluster)?;
        let renews_at = renews_at(&leaf);
        let Leaf { subject: Subject::Client(role), name, ends, key, .. } = leaf else {
            return Err("its certificate is a master's".to_owned());
        };
        if !(1..=AUTHORITIES_MAX).contains(&material.authorities.len()) {
            return Err(format!("it names {} authorities", material.authorities.len()));
        }
        let own = ca::key_pair(&material.key).map_err(|_| "its key is none")?;
        if key != super::sha256(&rcgen::PublicKeyData::subject_public_key_info(&own)) {
            return Err("its certificate is for another key".to_owned());
        }
        Ok(Self {
            cluster: cluster.clone(),
            role,
            name,
            addresses,
            certificate_ends: ends,
            renews_at,
            dir: dir.to_owned(),
            material: Arc::new(material),
        })
    }

    /// Keeps it in its folder, and forgets the key of the join or renewal that brought it.
    pub(crate) fn save(&self) -> Result<(), IdentityError> {
        let dir = &self.dir;
        files::make_dir(dir)?;
        let text = |bytes: &[u8]| bs58::encode(bytes).into_string();
        let authorities: Vec<_> =
            self.material.authorities.iter().map(|authority| text(authority)).collect();
        let kept = Kept {
            version: VERSION,
            cluster: self.cluster.clone(),
            role: self.role,
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            authority: authorities.first().cloned().unwrap_or_default(),
            next_authority: authorities.get(1).cloned(),
            certificate: text(&self.material.certificate),
            key: text(&self.material.key),
        };
        let bytes = serde_json::to_vec_pretty(&kept).expect("texts and numbers are JSON");
        files::write(&dir.join(FILE), &Zeroizing::new(bytes))?;
        files::remove(&dir.join(PENDING))
    }
}

/// When a certificate should be renewed. Drawn from its serial number, which is random, so that a
/// gang that joined at once does not come back at once.
fn renews_at(leaf: &Leaf) -> WallMs {
    let fold = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
    let draw = leaf.serial.iter().fold(0, fold);
    let (least, most) = (*RENEWS_PERCENT.start(), *RENEWS_PERCENT.end());
    let percent = least + draw % (most - least + 1);
    leaf.begins.plus(leaf.ends.since(leaf.begins) / 100 * percent)
}

/// How much of a certificate's life is over when it is renewed.
const RENEWS_PERCENT: std::ops::RangeInclusive<u64> = 50..=80;
/// Authorities that an identity trusts at once.
const AUTHORITIES_MAX: usize = 2;

/// Returns the key for a join or a renewal into `dir`: that of the one before if it was not
/// answered, else a new one that is kept first.
pub(crate) fn pending_key(dir: &Path) -> Result<rcgen::KeyPair, IdentityError> {
    files::make_dir(dir)?;
    let path = dir.join(PENDING);
    match files::read(&path, FILE_BYTES_MAX) {
        Ok(bytes) => {
            if let Ok(key) = ca::key_pair(&bytes) {
                return Ok(key);
            }
        }
        Err(IdentityError::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    let key = rcgen::KeyPair::generate().map_err(|error| IdentityError::Damaged {
        path: path.clone(),
        reason: format!("no key can be made: {error}"),
    })?;
    files::write(&path, &Zeroizing::new(key.serialize_der()))?;
    Ok(key)
}

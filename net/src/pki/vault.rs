//! The files of the authority's folder: `ca.key`, `ca.crt`, `cluster`, `master.key`, `master.crt`,
//! `transport.key`, `trust.log`, and `complete`, which is written last at the first start; after a
//! rotation `ca-2.key`, `master-2.key` and so on. Keys are PKCS#8, certificates DER. Does not know
//! the registry.

use std::path::{Path, PathBuf};

use ganger_proto::{Name, WallMs};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::authority::AuthorityError;
use super::ca::{self, Ca};
use super::certificate::{self, Subject};
use super::files;
use super::identity::IdentityError;
use super::{random, trust_log};

const FILE_BYTES_MAX: u64 = 16 << 10;
/// A trust log that holds no more than that the cluster began is far shorter.
const LOG_UNUSED_BYTES_MAX: u64 = 4 << 10;
/// Characters of the host's name that go into the cluster's.
const HOST_CHARS_MAX: usize = 40;
const TRANSPORT_KEY_BYTES: usize = 72;

/// The folder.
#[derive(Debug)]
pub(crate) struct Vault {
    dir: PathBuf,
}

impl Vault {
    pub(crate) fn open(dir: &Path) -> Result<Self, AuthorityError> {
        files::make_dir(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.dir.join("trust.log")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Tells whether the first start came to its end.
    fn is_complete(&self) -> Result<bool, AuthorityError> {
        match files::read(&self.path("complete"), FILE_BYTES_MAX) {
            Ok(_) => Ok(true),
            Err(IdentityError::Missing { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Marks the first start as done: from then on a missing file is damage.
    pub(crate) fn finish(&self) -> Result<(), AuthorityError> {
        if !self.is_complete()? {
            files::write(&self.path("complete"), b"")?;
        }
        Ok(())
    }

    /// Returns the cluster's name and the pin of its first authority, which the trust log begins
    /// with; makes both at the first start.
    pub(crate) fn first(
        &self,
        host: &str,
        now: WallMs,
    ) -> Result<(Name, [u8; 32]), AuthorityError> {
        if !self.is_complete()? {
            self.check_unused()?;
            // A first start that was cut short gave nothing to anybody: begin again.
            for name in ["trust.log", "master.crt"] {
                files::remove(&self.path(name))?;
            }
            let cluster = cluster_name(host);
            let (certificate, key) = Ca::make(&cluster, now).map_err(|e| self.failed(&e))?;
            files::write(&self.path("ca.key"), &key)?;
            files::write(&self.path("ca.crt"), &certificate)?;
            files::write(&self.path("cluster"), cluster.as_str().as_bytes())?;
        } else if !self.log_path().exists() {
            return Err(self.lost("trust.log"));
        }
        let cluster = self.read("cluster")?;
        let cluster = std::str::from_utf8(&cluster).ok().and_then(|text| Name::parse(text).ok());
        let cluster = cluster.ok_or_else(|| self.lost("cluster"))?;
        let pin = certificate::pin(&self.read("ca.crt")?).ok_or_else(|| self.lost("ca.crt"))?;
        Ok((cluster, pin))
    }

    /// Says that a log with entries beyond its first belongs to a cluster that was in use: the mark
    /// of its first start was lost, as in a copy of a part of the folder.
    fn check_unused(&self) -> Result<(), AuthorityError> {
        let bytes = match files::read(&self.log_path(), LOG_UNUSED_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(IdentityError::Missing { .. }) => return Ok(()),
            // It is longer.
            Err(IdentityError::Damaged { .. }) => return Err(self.lost("complete")),
            Err(error) => return Err(error.into()),
        };
        let entries = match certificate::pin(&files::read(&self.path("ca.crt"), FILE_BYTES_MAX)?) {
            Some(pin) => trust_log::replay(&bytes, trust_log::genesis(&pin)),
            None => return Err(self.lost("ca.crt")),
        };
        match entries {
            Ok(replay) if replay.payloads.len() <= 1 => Ok(()),
            Ok(_) | Err(_) => Err(self.lost("complete")),
        }
    }

    /// Loads an authority of the cluster.
    pub(crate) fn ca(&self, cluster: &Name, generation: u32) -> Result<Ca, AuthorityError> {
        let (key, certificate) = named("ca", generation);
        let read = CertificateDer::from(self.read(&certificate)?.to_vec());
        let loaded = Ca::load(cluster.clone(), generation, read, &self.read(&key)?);
        loaded.map_err(|_| self.lost(&key))
    }

    /// Makes an authority of the cluster; its files are there on return. What an attempt before
    /// left there was never told to anybody.
    pub(crate) fn make_ca(
        &self,
        cluster: &Name,
        generation: u32,
        now: WallMs,
    ) -> Result<Ca, AuthorityError> {
        let (certificate, key) = Ca::make(cluster, now).map_err(|error| self.failed(&error))?;
        let (key_file, certificate_file) = named("ca", generation);
        files::write(&self.path(&key_file), &key)?;
        files::write(&self.path(&certificate_file), &certificate)?;
        Ca::load(cluster.clone(), generation, certificate, &key).map_err(|_| self.lost(&key_file))
    }

    /// Removes the keys of an authority that nobody trusts any more, and of its master. Its
    /// certificate stays: the trust log begins with the first one's pin.
    pub(crate) fn forget_keys(&self, generation: u32) -> Result<(), AuthorityError> {
        let (master_key, master_certificate) = named("master", generation);
        for name in [named("ca", generation).0, master_key, master_certificate] {
            files::remove(&self.path(&name))?;
        }
        Ok(())
    }

    /// Reads a file that must be there.
    fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
        match files::read(&self.path(name), FILE_BYTES_MAX) {
            Err(IdentityError::Missing { .. }) => Err(self.lost(name)),
            other => other.map_err(AuthorityError::from),
        }
    }

    /// Loads the master's certificate; makes a new one when there is none or it is past two thirds
    /// of its life.
    pub(crate) fn master(&self, ca: &Ca, now: WallMs) -> Result<CertifiedKey, AuthorityError> {
        let read = |name: &str| match files::read(&self.path(name), FILE_BYTES_MAX) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(IdentityError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        let (key_file, certificate_file) = named("master", ca.generation);
        if let (Some(key), Some(certificate)) = (read(&key_file)?, read(&certificate_file)?)
            && is_usable(ca, &certificate, now)
            && let Some(kept) = certified(ca, CertificateDer::from(certificate.to_vec()), &key)
        {
            return Ok(kept);
        }
        let key = rcgen::KeyPair::generate().map_err(|error| self.failed(&error))?;
        let name = Name::from_lossy("master");
        let params = ca.leaf(Subject::Master, &name, now);
        let certificate = ca.sign(params, &key).map_err(|error| self.failed(&error))?;
        let key = Zeroizing::new(key.serialize_der());
        files::write(&self.path(&key_file), &key)?;
        files::write(&self.path(&certificate_file), &certificate)?;
        certified(ca, certificate, &key).ok_or_else(|| self.lost(&key_file))
    }

    /// Returns the keys of stateless resets (64 bytes) and of connection ids (8 bytes), the same at
    /// every start: a master that was killed can tell its clients at once.
    pub(crate) fn transport_keys(&self) -> Result<([u8; 64], u64), AuthorityError> {
        let path = self.path("transport.key");
        let kept = match files::read(&path, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(IdentityError::Missing { .. }) => Zeroizing::new(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let bytes: [u8; TRANSPORT_KEY_BYTES] = match kept.as_slice().try_into() {
            Ok(bytes) => bytes,
            Err(_) => {
                let fresh = random::<TRANSPORT_KEY_BYTES>();
                files::write(&path, &fresh)?;
                fresh
            }
        };
        let (reset, ids) = bytes.split_at(64);
        let (mut reset_key, mut ids_key) = ([0; 64], [0; 8]);
        reset_key.copy_from_slice(reset);
        ids_key.copy_from_slice(ids);
        Ok((reset_key, u64::from_le_bytes(ids_key)))
    }

    /// Says that the log's entries are not of this release.
    pub(crate) fn unreadable(&self) -> AuthorityError {
        AuthorityError::Damaged(format!(
            "the trust log {} holds entries that this release cannot read; run the release that \
             wrote them",
            self.log_path().display()
        ))
    }

    fn lost(&self, name: &str) -> AuthorityError {
        AuthorityError::Damaged(format!(
            "{} is missing or damaged; put back a copy of the whole folder, or move the folder away \
             and let all machines join again",
            self.path(name).display()
        ))
    }

    fn failed(&self, error: &rcgen::Error) -> AuthorityError {
        AuthorityError::Damaged(format!(
            "no certificate can be made in {}: {error}; look at the system's clock and random source",
            self.dir.display()
        ))
    }
}

/// Returns the names of a key and its certificate, of the cluster's first authority or a later one.
fn named(what: &str, generation: u32) -> (String, String) {
    if generation == 1 {
        return (format!("{what}.key"), format!("{what}.crt"));
    }
    (format!("{what}-{generation}.key"), format!("{what}-{generation}.crt"))
}

/// Tells whether the master's certificate can be used and need not be renewed.
fn is_usable(ca: &Ca, der: &[u8], now: WallMs) -> bool {
    let Ok(leaf) = certificate::read(der, &ca.cluster) else { return false };
    let life = leaf.ends.since(leaf.begins);
    leaf.subject == Subject::Master && leaf.begins <= now && now.since(leaf.begins) < life / 3 * 2
}

/// The certificate with the authority's beside it, so that a joiner can find the pin in the chain.
fn certified(ca: &Ca, leaf: CertificateDer<'static>, key: &[u8]) -> Option<CertifiedKey> {
    let key = rustls::crypto::ring::sign::any_ecdsa_type(&ca::private_key(key)).ok()?;
    let certified = CertifiedKey::new(vec![leaf, ca.certificate.clone()], key);
    certified.keys_match().ok()?;
    Some(certified)
}

/// Makes a cluster's name: the host's, and four random characters.
fn cluster_name(host: &str) -> Name {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let host = Name::from_lossy(host);
    // Every character of a name that a host name may not hold becomes a hyphen.
    let host: String = host.as_str().chars().take(HOST_CHARS_MAX).collect();
    let host = host.replace(['.', '_'], "-");
    let end = random::<4>().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    Name::from_lossy(&format!("{}-{}", host.trim_end_matches('-'), end.iter().collect::<String>()))
}

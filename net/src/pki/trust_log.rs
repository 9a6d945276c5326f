//! The trust log: one file, append-only, synced, hash-chained. It holds invites, certificates and
//! revocations; the registry is its replay and it is the security audit. No restore of the store
//! touches it. The format is in TRUST_LOG.md.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ganger_proto::{Name, Role, WallMs};
use serde::{Deserialize, Serialize};

use super::authority::AuthorityError;
use super::identity::IdentityError;
use super::{files, sha256};

/// What the file begins with; the digit is the format's version.
const MAGIC: &[u8; 8] = b"GNGRTL1\n";
/// Bytes before an entry's payload: its length and its hash.
const HEAD_BYTES: usize = 4 + 32;
/// Bytes of one entry's payload.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// Something about trust that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// The cluster began.
    Founded {
        /// Its name.
        cluster: Name,
    },
    /// A token was made.
    Invited {
        /// The invite's id, base58.
        id: String,
        /// The SHA-256 of its secret, base58.
        secret_hash: String,
        /// What it allows.
        role: Role,
        /// The name that the joiner gets.
        name: Option<Name>,
        /// How many may join.
        uses: u32,
        /// When it ends.
        expires: WallMs,
    },
    /// A token was withdrawn.
    Withdrawn {
        /// The invite's id, base58.
        id: String,
    },
    /// A certificate was made: a use of a token, or for the master's own machine.
    Issued {
        /// The invite that was used; none for the master's own machine.
        invite: Option<String>,
        /// The SHA-256 of the public key, base58.
        key_hash: String,
        /// The role.
        role: Role,
        /// The name.
        name: Name,
        /// Whether it administers the cluster.
        admin: bool,
        /// The certificate's serial, base58.
        serial: String,
        /// When it ends.
        not_after: WallMs,
        /// The certificate itself, base58, so that a lost answer can be given again.
        certificate: String,
    },
    /// All certificates of an identity were revoked.
    Revoked {
        /// The role.
        role: Role,
        /// The name.
        name: Name,
        /// Why.
        reason: String,
    },
}

/// An entry with its time and actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When.
    pub(crate) at: WallMs,
    /// Who, `role@name`; `master` for the master itself.
    pub(crate) by: String,
    /// What.
    pub(crate) entry: Entry,
}

/// The open log.
#[derive(Debug)]
pub(crate) struct TrustLog {
    file: File,
    path: PathBuf,
    chain: [u8; 32],
    records: Vec<Record>,
}

impl TrustLog {
    /// Opens or makes the log and checks its whole chain. A torn last entry, which was never
    /// acknowledged, is cut off with a warning.
    pub(crate) fn open(path: &Path) -> Result<Self, AuthorityError> {
        let bytes = match files::read(path)? {
            Some(bytes) => bytes,
            None => {
                files::write(path, MAGIC)?;
                zeroize::Zeroizing::new(MAGIC.to_vec())
            }
        };
        let (records, chain, whole) = replay(path, &bytes)?;
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        let file = options.open(path).map_err(|e| io(path, e))?;
        if whole < bytes.len() {
            let lost = bytes.len() - whole;
            tracing::warn!(lost, "the trust log ended in a torn entry, which was cut off");
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(|e| io(path, e))?;
        }
        let mut log = Self { file, path: path.to_path_buf(), chain, records };
        use std::io::{Seek, SeekFrom};
        log.file.seek(SeekFrom::End(0)).map_err(|e| io(path, e))?;
        Ok(log)
    }

    /// Appends a record; it is durable on return.
    pub(crate) fn append(&mut self, record: Record) -> Result<(), AuthorityError> {
        let payload = serde_json::to_vec(&record).expect("records are always JSON");
        let hash = link(&self.chain, &payload);
        let length = u32::try_from(payload.len()).expect("a record is small");
        let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&hash);
        bytes.extend_from_slice(&payload);
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_all());
        written.map_err(|e| io(&self.path, e))?;
        self.chain = hash;
        self.records.push(record);
        Ok(())
    }

    /// Returns all records, the oldest first.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }
}

type Replayed = (Vec<Record>, [u8; 32], usize);

fn replay(path: &Path, bytes: &[u8]) -> Result<Replayed, AuthorityError> {
    let damaged = |number: usize, why: &str| {
        AuthorityError::Damaged(format!(
            "entry {number} of the trust log {} {why}; restore the file from a backup of the \
             `trust` folder, or every identity must join again",
            path.display()
        ))
    };
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return Err(damaged(0, "is not the beginning of one of this version"));
    };
    let mut records = Vec::new();
    let mut chain = [0; 32];
    while let Some((head, after)) = rest.split_first_chunk::<HEAD_BYTES>() {
        let number = records.len() + 1;
        let (length, hash) = head.split_at(4);
        let length = length.iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
        if length > PAYLOAD_BYTES_MAX {
            return Err(damaged(number, "has a length that cannot be"));
        }
        let Some((payload, after)) = after.split_at_checked(length) else { break };
        if link(&chain, payload) != hash {
            return Err(damaged(number, "does not follow from the one before it"));
        }
        let record = serde_json::from_slice(payload)
            .map_err(|_| damaged(number, "was written by another version"))?;
        records.push(record);
        chain.copy_from_slice(hash);
        rest = after;
    }
    Ok((records, chain, bytes.len() - rest.len()))
}

fn link(before: &[u8; 32], payload: &[u8]) -> [u8; 32] {
    sha256(&[before.as_slice(), payload].concat())
}

fn io(path: &Path, source: std::io::Error) -> AuthorityError {
    IdentityError::Io { path: path.to_path_buf(), source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Record {
        let entry = Entry::Revoked {
            role: Role::Worker,
            name: Name::parse(name).unwrap(),
            reason: String::new(),
        };
        Record { at: WallMs(1), by: "master".to_owned(), entry }
    }

    #[test]
    fn what_was_appended_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.log");
        for name in ["a", "b"] {
            TrustLog::open(&path).unwrap().append(record(name)).unwrap();
        }
        let log = TrustLog::open(&path).unwrap();
        assert_eq!(log.records(), [record("a"), record("b")]);
    }

    #[test]
    fn a_torn_end_is_cut_and_a_changed_byte_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.log");
        let mut log = TrustLog::open(&path).unwrap();
        log.append(record("a")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        log.append(record("b")).unwrap();
        let two = std::fs::read(&path).unwrap();
        for end in whole.len() + 1..two.len() {
            files::write(&path, &two[..end]).unwrap();
            assert_eq!(TrustLog::open(&path).unwrap().records().len(), 1, "cut at {end}");
        }
        for at in MAGIC.len() + 4..whole.len() {
            let mut bytes = two.clone();
            bytes[at] ^= 1;
            files::write(&path, &bytes).unwrap();
            assert!(TrustLog::open(&path).is_err(), "byte {at}");
        }
    }
}

//! The trust log's file: append-only, chained by hashes, synced. TRUST_LOG.md beside this file has
//! the format. Does not know what entries say; see registry.rs.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::authority::AuthorityError;
use super::{files, sha256};

const HASH_BYTES: usize = 32;
/// Length, its complement, and the hash of the entry before.
const HEAD_BYTES: usize = 4 + 4 + HASH_BYTES;
/// Bytes of one entry's payload.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of the whole log that are replayed.
const LOG_BYTES_MAX: u64 = 1 << 30;

/// The open log.
#[derive(Debug)]
pub(crate) struct TrustLog {
    file: File,
    path: PathBuf,
    /// Where the next entry goes.
    end: u64,
    /// The hash of the newest entry.
    last: [u8; HASH_BYTES],
    /// Whether a failed write may have left something behind.
    broken: bool,
}

impl TrustLog {
    /// Opens or makes the log of the authority whose pin is `pin`; returns all payloads.
    pub(crate) fn open(
        path: &Path,
        pin: &[u8; 32],
    ) -> Result<(Self, Vec<Vec<u8>>), AuthorityError> {
        let mut options = OpenOptions::new();
        let mut file = files::open(path, options.read(true).write(true).create(true))?;
        files::sync_dir(path)?;
        let io = |source| files::io(path, source);
        let length = file.metadata().map_err(io)?.len();
        if length > LOG_BYTES_MAX {
            return Err(unusable(path, &format!("is longer than {LOG_BYTES_MAX} bytes")));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let replay = replay(&bytes, genesis(pin)).map_err(|number| {
            damaged(path, &format!("has a broken chain at entry {number}: it was changed or torn"))
        })?;
        let end = u64::try_from(replay.end).expect("a length in memory fits 64 bits");
        if end < length {
            tracing::warn!(path = %path.display(), bytes = length - end,
                "the trust log's last entry was not written to its end; it is dropped");
            file.set_len(end).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        let log = Self { file, path: path.to_owned(), end, last: replay.last, broken: false };
        Ok((log, replay.payloads))
    }

    /// Appends an entry; durable on return.
    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<(), AuthorityError> {
        if self.broken {
            return Err(unusable(&self.path, "could not be written before; restart the master"));
        }
        let length = u32::try_from(payload.len()).ok();
        let length = length.filter(|_| (1..=PAYLOAD_BYTES_MAX).contains(&payload.len()));
        let length = length.ok_or_else(|| {
            AuthorityError::Refused(format!(
                "an entry of the trust log holds at most {PAYLOAD_BYTES_MAX} bytes; say less"
            ))
        })?;
        let (entry, hash) = entry(length, &self.last, payload);
        let found = self.file.metadata().map_err(|source| files::io(&self.path, source))?.len();
        if found != self.end {
            self.broken = true;
            return Err(unusable(
                &self.path,
                "was written by another process; stop that one and restart this master",
            ));
        }
        if let Err(source) = self.write(&entry) {
            // The entry must not be found at the next start: it was not acknowledged.
            self.broken = self.file.set_len(self.end).and_then(|()| self.file.sync_all()).is_err();
            return Err(files::io(&self.path, source).into());
        }
        self.end += u64::try_from(entry.len()).expect("an entry is small");
        self.last = hash;
        Ok(())
    }

    /// Reads the file again and follows its chain; returns how many entries there are, and the hash
    /// of the newest. It must end where this process wrote last.
    pub(crate) fn check(&mut self, pin: &[u8; 32]) -> Result<(u64, [u8; 32]), AuthorityError> {
        let io = |source| files::io(&self.path, source);
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0)).map_err(io)?;
        (&self.file).take(LOG_BYTES_MAX).read_to_end(&mut bytes).map_err(io)?;
        let replay = replay(&bytes, genesis(pin)).map_err(|number| {
            damaged(&self.path, &format!("has a broken chain at entry {number}: it was changed"))
        })?;
        if replay.end != bytes.len() || replay.last != self.last {
            let entries = replay.payloads.len();
            return Err(damaged(
                &self.path,
                &format!(
                    "has {entries} whole entries and does not end where this master wrote last"
                ),
            ));
        }
        Ok((replay.payloads.len() as u64, replay.last))
    }

    fn write(&mut self, entry: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(entry)?;
        self.file.sync_data()
    }
}

/// Returns an entry as it is written, and its hash.
pub(crate) fn entry(
    length: u32,
    before: &[u8; HASH_BYTES],
    payload: &[u8],
) -> (Vec<u8>, [u8; HASH_BYTES]) {
    let mut entry = Vec::with_capacity(HEAD_BYTES + payload.len() + HASH_BYTES);
    entry.extend_from_slice(&length.to_le_bytes());
    entry.extend_from_slice(&(!length).to_le_bytes());
    entry.extend_from_slice(before);
    entry.extend_from_slice(payload);
    let hash = sha256(&entry);
    entry.extend_from_slice(&hash);
    (entry, hash)
}

/// The hash before the first entry binds the log to its authority.
pub(crate) fn genesis(pin: &[u8; 32]) -> [u8; HASH_BYTES] {
    let mut bytes = b"ganger trust log 1".to_vec();
    bytes.extend_from_slice(pin);
    sha256(&bytes)
}

/// What the bytes of a log hold.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) payloads: Vec<Vec<u8>>,
    /// Where the last whole entry ends.
    pub(crate) end: usize,
    pub(crate) last: [u8; HASH_BYTES],
}

/// Takes whole entries, as long as the chain holds; else says which entry breaks it.
pub(crate) fn replay(bytes: &[u8], genesis: [u8; HASH_BYTES]) -> Result<Replay, usize> {
    let mut replay = Replay { payloads: Vec::new(), end: 0, last: genesis };
    while let Some(rest) = bytes.get(replay.end..).filter(|rest| !rest.is_empty()) {
        let number = replay.payloads.len() + 1;
        if rest.iter().all(|byte| *byte == 0) {
            break; // The file grew, its bytes were never written.
        }
        let Some((head, _)) = rest.split_first_chunk::<HEAD_BYTES>() else { break };
        let length = length(head).ok_or(number)?;
        if head.get(8..) != Some(&replay.last[..]) {
            return Err(number);
        }
        let whole = HEAD_BYTES + length + HASH_BYTES;
        let Some(entry) = rest.get(..whole) else { break };
        let (signed, hash) = entry.split_at(HEAD_BYTES + length);
        if sha256(signed) != hash {
            // Only the last entry can be torn, and then its end was never written.
            if rest.len() == whole && hash.iter().all(|byte| *byte == 0) {
                break;
            }
            return Err(number);
        }
        replay.payloads.push(signed.get(HEAD_BYTES..).unwrap_or_default().to_vec());
        replay.end += whole;
        replay.last = sha256(signed);
    }
    Ok(replay)
}

/// Reads the length, if both copies of it agree.
fn length(head: &[u8; HEAD_BYTES]) -> Option<usize> {
    let (length, rest) = head.split_first_chunk::<4>()?;
    let complement = rest.first_chunk::<4>()?;
    let (length, complement) = (u32::from_le_bytes(*length), u32::from_le_bytes(*complement));
    let bytes = usize::try_from(length).ok()?;
    (length == !complement && (1..=PAYLOAD_BYTES_MAX).contains(&bytes)).then_some(bytes)
}

fn unusable(path: &Path, why: &str) -> AuthorityError {
    AuthorityError::Damaged(format!("the trust log {} {why}", path.display()))
}

fn damaged(path: &Path, why: &str) -> AuthorityError {
    AuthorityError::Damaged(format!(
        "the trust log {} {why}; put back a copy of the whole folder, or move the folder away and \
         let all machines join again",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn home() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let path = home.path().join("trust.log");
        (home, path)
    }

    fn write(path: &Path, payloads: &[&[u8]]) {
        let (mut log, _) = TrustLog::open(path, &[1; 32]).unwrap();
        for payload in payloads {
            log.append(payload).unwrap();
        }
    }

    #[test]
    fn what_was_appended_is_replayed() {
        let (_home, path) = home();
        write(&path, &[b"one", b"two"]);
        write(&path, &[b"three"]);
        let (_, payloads) = TrustLog::open(&path, &[1; 32]).unwrap();
        assert_eq!(payloads, [&b"one"[..], b"two", b"three"]);
        let other = TrustLog::open(&path, &[2; 32]).unwrap_err();
        assert!(other.to_string().contains("entry 1"), "{other}");
    }

    #[test]
    fn a_torn_last_entry_is_dropped() {
        let (_home, path) = home();
        write(&path, &[b"one"]);
        let one = std::fs::read(&path).unwrap();
        write(&path, &[b"two"]);
        let two = std::fs::read(&path).unwrap();
        let check = |bytes: &[u8], kept: usize| {
            std::fs::write(&path, bytes).unwrap();
            let (_, payloads) = TrustLog::open(&path, &[1; 32]).unwrap();
            assert_eq!(payloads.len(), kept, "{} of {} bytes", bytes.len(), two.len());
            assert_eq!(
                std::fs::metadata(&path).unwrap().len(),
                [0, one.len(), two.len()][kept] as u64
            );
        };
        for end in one.len()..two.len() {
            check(&two[..end], 1);
        }
        // The file grew before its bytes were written: all of the entry, or its end.
        for end in [one.len(), one.len() + HEAD_BYTES, two.len() - HASH_BYTES] {
            let mut bytes = two[..end].to_vec();
            bytes.resize(two.len(), 0);
            check(&bytes, 1);
        }
        check(&two, 2);
        check(&one, 1);
        write(&path, &[b"again"]);
        assert_eq!(TrustLog::open(&path, &[1; 32]).unwrap().1.len(), 2);
    }

    #[test]
    fn every_changed_byte_breaks_the_chain() {
        let (_home, path) = home();
        write(&path, &[b"one", b"two", b"three"]);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            assert!(replay(&bytes, genesis(&[1; 32])).is_err(), "byte {at} changed");
        }
    }

    #[test]
    fn a_check_sees_what_was_changed_since() {
        let (_home, path) = home();
        let (mut log, _) = TrustLog::open(&path, &[1; 32]).unwrap();
        assert_eq!(log.check(&[1; 32]).unwrap(), (0, genesis(&[1; 32])));
        log.append(b"one").unwrap();
        let one = std::fs::read(&path).unwrap();
        log.append(b"two").unwrap();
        let (entries, hash) = log.check(&[1; 32]).unwrap();
        assert_eq!((entries, hash), (2, log.last));
        let two = std::fs::read(&path).unwrap();
        let check = |bytes: &[u8], log: &mut TrustLog, part: &str| {
            std::fs::write(&path, bytes).unwrap();
            let error = log.check(&[1; 32]).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        let mut changed = two.clone();
        changed[HEAD_BYTES] ^= 1;
        check(&changed, &mut log, "broken chain at entry 1");
        check(&one, &mut log, "has 1 whole entries");
        check(&[&two[..], b"x"].concat(), &mut log, "does not end where");
        std::fs::write(&path, &two).unwrap();
        log.check(&[1; 32]).unwrap();
        log.append(b"three").unwrap();
        assert_eq!(TrustLog::open(&path, &[1; 32]).unwrap().1.len(), 3);
    }

    #[test]
    fn two_processes_do_not_write_one_log() {
        let (_home, path) = home();
        let (mut mine, _) = TrustLog::open(&path, &[1; 32]).unwrap();
        let (mut other, _) = TrustLog::open(&path, &[1; 32]).unwrap();
        mine.append(b"one").unwrap();
        let error = other.append(b"two").unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        assert_eq!(TrustLog::open(&path, &[1; 32]).unwrap().1.len(), 1);
    }
}

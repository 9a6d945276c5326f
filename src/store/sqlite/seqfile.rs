//! `store.seq`: the newest acknowledged batch, written after each commit and never synced. A log
//! that ends before it has lost something; see FORMAT.md.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::super::chain::{Tip, sum};
use super::super::{OpenError, Seq};
use super::error::{damaged, unusable};
use super::place::has_wal;

/// What `store.seq` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Acknowledged {
    /// Everything up to here was acknowledged.
    At(Tip),
    /// There is none: the store is new, or its database alone was copied.
    Nothing,
    /// Its checksum is wrong.
    Unreadable,
}

impl Acknowledged {
    /// Refuses to take a store without tables for one to which nothing was written when something
    /// else tells that there was: a young store whose WAL is lost looks just so.
    pub(in crate::store) fn check_empty(&self, store: &Path) -> Result<(), OpenError> {
        let what = match self {
            Self::At(tip) if tip.seq.0 > 0 => {
                format!("it is empty: batches 1 to {} are missing", tip.seq.0)
            }
            Self::Unreadable => {
                "it is empty, and what was acknowledged was noted but cannot be read".to_owned()
            }
            Self::At(_) | Self::Nothing if has_wal(store) => {
                "it is empty, but its WAL is not, and nothing in it can be read".to_owned()
            }
            Self::At(_) | Self::Nothing => return Ok(()),
        };
        Err(damaged(store, &what))
    }
}

/// The open file.
#[derive(Debug)]
pub(in crate::store) struct SeqFile {
    file: File,
    last_write: Wrote,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrote {
    Well,
    Badly,
}

impl SeqFile {
    /// Opens or makes the file beside `store` and reads it.
    pub(in crate::store) fn open(store: &Path) -> Result<(Self, Acknowledged), OpenError> {
        let path = store.with_extension("seq");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| {
                let why = format!("{} cannot be opened ({error})", path.display());
                unusable(store, &why, "give this user the right to write the folder")
            })?;
        let acknowledged = read(&file);
        if acknowledged == Acknowledged::Unreadable {
            tracing::warn!(
                file = %path.display(),
                "the newest acknowledged number is unreadable and is not checked"
            );
        }
        Ok((Self { file, last_write: Wrote::Well }, acknowledged))
    }

    /// Notes that everything up to `tip` is durable. A failure weakens the check at the next
    /// start and nothing else, so it is told once and the commit stands.
    pub(in crate::store) fn write(&mut self, tip: &Tip) {
        match (self.file.write_all_at(&encode(tip), 0), self.last_write) {
            (Ok(()), _) => self.last_write = Wrote::Well,
            (Err(error), Wrote::Well) => {
                self.last_write = Wrote::Badly;
                tracing::warn!(%error, "the newest acknowledged number cannot be written");
            }
            (Err(_), Wrote::Badly) => {}
        }
    }
}

/// Reads the file beside `store` without making it.
pub(in crate::store) fn read_acknowledged(store: &Path) -> Acknowledged {
    File::open(store.with_extension("seq")).map_or(Acknowledged::Nothing, |file| read(&file))
}

fn read(file: &File) -> Acknowledged {
    if file.metadata().is_ok_and(|meta| meta.len() == 0) {
        return Acknowledged::Nothing;
    }
    let mut bytes = [0; BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => decode(&bytes).map_or(Acknowledged::Unreadable, Acknowledged::At),
        Err(_) => Acknowledged::Unreadable,
    }
}

fn encode(tip: &Tip) -> [u8; BYTES] {
    let seq = tip.seq.0.to_le_bytes();
    let check = sum("seq", &[&seq, &tip.hash]);
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&seq);
    bytes[8..24].copy_from_slice(&tip.hash);
    bytes[24..].copy_from_slice(&check[..8]);
    bytes
}

fn decode(bytes: &[u8; BYTES]) -> Option<Tip> {
    let (seq, rest) = bytes.split_first_chunk::<8>()?;
    let (hash, _) = rest.split_first_chunk::<16>()?;
    let tip = Tip { seq: Seq(u64::from_le_bytes(*seq)), hash: *hash };
    (encode(&tip) == *bytes).then_some(tip)
}

const BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_bit_is_noticed() {
        let tip = Tip { seq: Seq(0x0102_0304_0506), hash: [9; 16] };
        let bytes = encode(&tip);
        assert_eq!(decode(&bytes), Some(tip));
        for bit in 0..BYTES * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&changed), None, "bit {bit}");
        }
    }

    #[test]
    fn short_and_missing_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store.db");
        assert_eq!(read_acknowledged(&store), Acknowledged::Nothing);
        let (mut file, found) = SeqFile::open(&store).unwrap();
        assert_eq!(found, Acknowledged::Nothing);
        let tip = Tip { seq: Seq(3), hash: [1; 16] };
        file.write(&tip);
        assert_eq!(read_acknowledged(&store), Acknowledged::At(tip));
        file.file.set_len(31).unwrap();
        assert_eq!(read_acknowledged(&store), Acknowledged::Unreadable);
    }
}

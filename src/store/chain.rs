//! The sums that tie stored bytes to their places, as FORMAT.md writes them down. Reads and writes
//! nothing itself.

use ganger_proto::{BlockId, Epoch, WallMs};
use ring::digest::{Context, SHA256};

use super::{Output, OutputKey, Seq};

/// A truncated SHA-256.
pub(super) type Sum = [u8; 16];

/// What the first batch follows.
pub(super) const ROOT: Sum = [0; 16];

/// The newest batch of a log and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) seq: Seq,
    pub(super) hash: Sum,
}

/// The end of a log that holds nothing.
pub(super) const EMPTY: Tip = Tip { seq: Seq(0), hash: ROOT };

/// One batch as the chain sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'a> {
    pub(super) seq: Seq,
    pub(super) epoch: Epoch,
    pub(super) at: WallMs,
    pub(super) durable: Seq,
    pub(super) data: &'a [u8],
    pub(super) digest: Option<&'a [u8]>,
}

impl Link<'_> {
    /// Returns the hash of this batch when it follows a batch with the hash `before`.
    pub(super) fn after(&self, before: &Sum) -> Sum {
        sum(
            "log",
            &[
                before,
                &self.seq.0.to_le_bytes(),
                &self.epoch.raw().to_le_bytes(),
                &self.at.0.to_le_bytes(),
                &self.durable.0.to_le_bytes(),
                self.data,
                self.digest.unwrap_or_default(),
            ],
        )
    }
}

/// Sums parts so that no two lists of parts give the same bytes.
pub(super) fn sum(domain: &str, parts: &[&[u8]]) -> Sum {
    let mut context = Context::new(&SHA256);
    for part in std::iter::once(&domain.as_bytes()).chain(parts) {
        let length = u64::try_from(part.len()).expect("a length fits 64 bits");
        context.update(&length.to_le_bytes());
        context.update(part);
    }
    let whole = context.finish();
    let (short, _) = whole.as_ref().split_first_chunk().expect("SHA-256 has 32 bytes");
    *short
}

/// Returns the sum of one part of a snapshot.
pub(super) fn part_sum(seq: Seq, part: u32, data: &[u8]) -> Sum {
    sum("part", &[&seq.0.to_le_bytes(), &part.to_le_bytes(), data])
}

/// Returns the sum of a snapshot's head.
pub(super) fn head_sum(seq: Seq, parts: u32, log_hash: &Sum) -> Sum {
    sum("head", &[&seq.0.to_le_bytes(), &parts.to_le_bytes(), log_hash])
}

/// Returns the sum of a block of results.
pub(super) fn block_sum(id: BlockId, data: &[u8]) -> Sum {
    sum("block", &[&id.raw().to_le_bytes(), data])
}

/// Returns the sum of an output. One in parts has a sum of another kind, since its head may not fit
/// 32 bits.
pub(super) fn output_sum(output: &Output) -> Sum {
    let (task, attempt) = (output.task.raw().to_le_bytes(), output.attempt.to_le_bytes());
    let stream = [super::stream_code(output.stream)];
    let skipped = output.skipped.to_le_bytes();
    match u32::try_from(output.head) {
        Ok(head) if !output.is_in_parts() => {
            let head = head.to_le_bytes();
            sum("output", &[&task, &attempt, &stream, &head, &skipped, &output.bytes])
        }
        Ok(_) | Err(_) => {
            let head = output.head.to_le_bytes();
            sum("whole", &[&task, &attempt, &stream, &head, &skipped])
        }
    }
}

/// Returns the sum of one part of an output.
pub(super) fn output_part_sum(of: OutputKey, part: u32, data: &[u8]) -> Sum {
    let (task, attempt) = (of.task.raw().to_le_bytes(), of.attempt.to_le_bytes());
    let stream = [super::stream_code(of.stream)];
    sum("output_part", &[&task, &attempt, &stream, &part.to_le_bytes(), data])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_parts_apart() {
        let all = [
            sum("log", &[b"ab", b"c"]),
            sum("log", &[b"a", b"bc"]),
            sum("log", &[b"abc"]),
            sum("log", &[b"abc", b""]),
            sum("part", &[b"abc"]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "sum {i} repeats");
        }
    }

    #[test]
    fn every_field_of_a_batch_is_in_its_hash() {
        let digest = [7; 16];
        let link = Link {
            seq: Seq(5),
            epoch: Epoch::new(2),
            at: WallMs(9),
            durable: Seq(4),
            data: b"events",
            digest: Some(&digest),
        };
        let hash = link.after(&ROOT);
        let others = [
            Link { seq: Seq(6), ..link },
            Link { epoch: Epoch::new(3), ..link },
            Link { at: WallMs(8), ..link },
            Link { durable: Seq(3), ..link },
            Link { data: b"event", ..link },
            Link { digest: None, ..link },
        ];
        for other in others {
            assert_ne!(other.after(&ROOT), hash, "{other:?}");
        }
        assert_ne!(link.after(&[1; 16]), hash);
    }

    #[test]
    fn the_sum_is_the_written_one() {
        // Kept as bytes: a change of the sum is a change of the format.
        let link = Link {
            seq: Seq(1),
            epoch: Epoch::new(1),
            at: WallMs(0),
            durable: Seq(0),
            data: b"",
            digest: None,
        };
        let hex: String = link.after(&ROOT).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "64a6fb3330b5395e7da193c60192e09d");
    }
}

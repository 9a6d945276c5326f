//! Reads of what attempts printed, a page at a time or for who follows.

use ganger_proto::command::{OutputPage, Stream};
use ganger_proto::limits::OUTPUT_PART_BYTES;
use ganger_proto::{BlockId, Ended, Refusal, Reply, TaskId};

use super::{Library, OUTPUT_PAGE_BYTES, Wanted, broken};
use crate::master::relay::{Kept, KeptStream};
use crate::store::{Output, ReadError};

impl Library {
    pub(super) fn output(
        &mut self,
        wanted: &Wanted,
        block: Option<BlockId>,
    ) -> Result<Reply, Refusal> {
        let Wanted { task, attempt, stream, offset } = *wanted;
        let stored = self.reader.output(task, attempt, stream).map_err(|error| broken(&error))?;
        if let Some(kept) = stored {
            if kept.is_in_parts() {
                return self.page_of_parts(&kept, offset);
            }
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(kept.bytes.len());
            let to = (from + OUTPUT_PAGE_BYTES).min(kept.bytes.len());
            return Ok(Reply::Output(OutputPage {
                attempt: kept.attempt,
                kept: kept.bytes.len() as u64,
                skipped_at: kept.head,
                skipped: kept.skipped,
                bytes: kept.bytes[from..to].to_vec(),
            }));
        }
        let ended = block.and_then(|block| self.ended(block, task));
        let ended = ended.ok_or(Refusal::NoOutput(task))?;
        let bytes = match stream {
            Stream::Stdout => ended.stdout,
            Stream::Stderr => ended.stderr,
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Reply::Output(OutputPage {
            attempt: attempt.unwrap_or(1),
            kept: bytes.len() as u64,
            skipped_at: bytes.len() as u64,
            skipped: 0,
            bytes: bytes[from..].to_vec(),
        }))
    }

    /// Returns the rest of the part that holds a byte.
    fn page_of_parts(&mut self, kept: &Output, offset: u64) -> Result<Reply, Refusal> {
        let (part, from) = (offset / OUTPUT_PART_BYTES as u64, offset % OUTPUT_PART_BYTES as u64);
        let bytes = match u32::try_from(part) {
            Ok(part) if offset < kept.head => {
                let data = self.reader.output_part(kept.key(), part);
                let data = data.map_err(|error| broken(&error))?;
                let mut data = data.ok_or(Refusal::NoOutput(kept.task))?;
                data.drain(..data.len().min(usize::try_from(from).unwrap_or(usize::MAX)));
                data
            }
            Ok(_) | Err(_) => Vec::new(),
        };
        Ok(Reply::Output(OutputPage {
            attempt: kept.attempt,
            kept: kept.head,
            skipped_at: kept.head,
            skipped: kept.skipped,
            bytes,
        }))
    }

    pub(super) fn kept(
        &mut self,
        task: TaskId,
        attempt: u32,
        block: Option<BlockId>,
    ) -> Result<Kept, ReadError> {
        let mut stored = |stream| self.reader.output(task, Some(attempt), stream);
        let (stdout, stderr) = (stored(Stream::Stdout)?, stored(Stream::Stderr)?);
        if stdout.is_none() && stderr.is_none() {
            let ended = block.and_then(|block| self.ended(block, task));
            let whole =
                |bytes: Vec<u8>| KeptStream { head: bytes.len(), bytes, ..KeptStream::default() };
            let both =
                |ended: Ended| Kept { stdout: whole(ended.stdout), stderr: whole(ended.stderr) };
            return Ok(ended.map(both).unwrap_or_default());
        }
        let part = |output: Output| KeptStream {
            in_parts: output.is_in_parts().then(|| (output.key(), output.head)),
            head: usize::try_from(output.head).unwrap_or(usize::MAX),
            skipped: output.skipped,
            bytes: output.bytes,
        };
        let part = |output: Option<Output>| output.map(part).unwrap_or_default();
        Ok(Kept { stdout: part(stdout), stderr: part(stderr) })
    }
}

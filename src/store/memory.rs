//! A store in memory: for tests, simulation and `--store memory`. Keeps nothing when the process
//! ends; clones share one store, so that a test can crash a master and let another open it.

mod disk;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ganger_proto::command::Stream;
use ganger_proto::{BlockId, Epoch, TaskId, WallMs};

use self::disk::{Disk, State};
use super::{
    AppendError, Batch, BodyReader, FencedLog, Holder, Logged, OpenError, Output, OutputKey,
    ReadError, Seq, Snapshot, Term, Trim, stream_code,
};

/// A shared store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    disk: Arc<Mutex<Disk>>,
}

/// What the next append runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no room; nothing is written.
    Full,
    /// The answer is lost; the batches are there or not.
    Ambiguous(Survival),
    /// Another master takes over first.
    Fenced,
}

/// Whether batches whose append answered "ambiguous" are there afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// They are durable.
    Kept,
    /// They are gone.
    Lost,
}

/// When an append reaches the imagined disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncing {
    /// Before it returns, as a real store does.
    #[default]
    EachAppend,
    /// Only at [`MemoryLog::sync`]; a crash loses what was appended since.
    ByHand,
}

impl MemoryLog {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses when an append reaches the imagined disk.
    pub fn set_syncing(&self, syncing: Syncing) {
        self.disk().syncing = syncing;
    }

    /// Makes everything appended so far survive a crash; returns the newest durable batch.
    pub fn sync(&self) -> Seq {
        let mut disk = self.disk();
        disk.sync();
        disk.synced_seq()
    }

    /// Crashes: the first `kept` appends since the last sync survive, the others are gone.
    pub fn crash(&self, kept: usize) {
        let mut disk = self.disk();
        if let Some(before) = disk.unsynced.get(kept).cloned() {
            disk.state = before;
        }
        disk.unsynced.clear();
    }

    /// Lets one of the next appends fail, after those already asked for.
    pub fn fail_next(&self, fault: Fault) {
        self.disk().faults.push_back(fault);
    }

    /// Faults asked for that no append has run into yet.
    pub fn faults_left(&self) -> usize {
        self.disk().faults.len()
    }

    /// The newest batch, durable or not.
    pub fn last(&self) -> Seq {
        self.disk().state.last
    }

    /// Returns a reader of the same store.
    pub fn body_reader(&self) -> MemoryReader {
        MemoryReader { log: self.clone() }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FencedLog for MemoryLog {
    fn acquire(&mut self, _me: &Holder, _now: WallMs) -> Result<Term, OpenError> {
        let mut disk = self.disk();
        let next = disk.epoch.raw().checked_add(1).ok_or_else(|| {
            OpenError::Unusable("the store has seen too many masters; make another".to_owned())
        })?;
        disk.epoch = Epoch::new(next);
        disk.state.writing.clear();
        disk.state.drop_needless();
        Ok(Term { epoch: disk.epoch, last: disk.state.last })
    }

    fn snapshot(&mut self) -> Result<Option<Snapshot>, OpenError> {
        let disk = self.disk();
        let newest = disk.state.snapshots.last_key_value();
        Ok(newest.map(|(seq, parts)| Snapshot {
            seq: *seq,
            parts: parts.iter().map(|part| part.to_vec()).collect(),
        }))
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<Logged>, OpenError> {
        let disk = self.disk();
        let mut bytes = 0;
        let mut rows = Vec::new();
        for (seq, row) in disk.state.log.range(after.next()..) {
            if *seq != Seq(after.0 + 1 + u64::try_from(rows.len()).unwrap_or(u64::MAX)) {
                break;
            }
            rows.push(Logged::clone(row));
            bytes += row.data.len();
            if bytes >= bytes_max {
                break;
            }
        }
        if rows.is_empty() && after < disk.state.last {
            let what = format!("batch {} of the store in memory was trimmed", after.0 + 1);
            return Err(OpenError::Damaged(what));
        }
        Ok(rows)
    }

    fn append(
        &mut self,
        term: &Term,
        seq: Seq,
        now: WallMs,
        batches: &[Batch],
    ) -> Result<(), AppendError> {
        let mut disk = self.disk();
        disk.check(term)?;
        if seq != disk.state.last.next() {
            let last = disk.state.last.0;
            let what = format!("batch {} cannot follow batch {last}", seq.0);
            return Err(AppendError::Ambiguous(what));
        }
        let fault = disk.faults.pop_front();
        match fault {
            Some(Fault::Full) => return Err(AppendError::Full("no bytes are free".to_owned())),
            Some(Fault::Fenced) => {
                disk.epoch = Epoch::new(disk.epoch.raw().saturating_add(1));
                return Err(AppendError::Fenced);
            }
            Some(Fault::Ambiguous(Survival::Lost)) => {}
            Some(Fault::Ambiguous(Survival::Kept)) | None => disk.commit(term.epoch, now, batches),
        }
        match fault {
            Some(Fault::Ambiguous(_)) => {
                disk.stopped = Some(term.epoch);
                Err(AppendError::Ambiguous("the answer of the store was lost".to_owned()))
            }
            Some(Fault::Full | Fault::Fenced) | None => Ok(()),
        }
    }

    fn write_part(
        &mut self,
        term: &Term,
        seq: Seq,
        part: u32,
        data: &[u8],
    ) -> Result<(), AppendError> {
        let mut disk = self.disk();
        disk.check(term)?;
        let writing = &mut disk.state.writing;
        if part == 0 {
            writing.retain(|(of, _), _| *of != seq);
        }
        writing.insert((seq, part), data.into());
        Ok(())
    }

    fn finish_snapshot(&mut self, term: &Term, seq: Seq, parts: u32) -> Result<(), AppendError> {
        let mut disk = self.disk();
        disk.check(term)?;
        if seq > disk.state.last {
            let what = format!("batch {} is not in the log, a snapshot cannot stand there", seq.0);
            return Err(AppendError::Ambiguous(what));
        }
        let written = (0..parts).map_while(|part| disk.state.writing.remove(&(seq, part)));
        let written: Vec<_> = written.collect();
        disk.state.writing.clear();
        disk.state.snapshots.insert(seq, written);
        Ok(())
    }

    fn trim(&mut self, term: &Term) -> Result<Trim, AppendError> {
        let mut disk = self.disk();
        disk.check(term)?;
        let State { snapshots, log, .. } = &mut disk.state;
        while snapshots.len() > SNAPSHOTS_KEPT {
            snapshots.pop_first();
        }
        if snapshots.len() == SNAPSHOTS_KEPT
            && let Some((older, _)) = snapshots.first_key_value()
        {
            *log = log.split_off(&older.next());
        }
        Ok(Trim::Done)
    }

    fn write_output_part(
        &mut self,
        term: &Term,
        of: OutputKey,
        part: u32,
        data: &[u8],
    ) -> Result<(), AppendError> {
        let mut disk = self.disk();
        disk.check(term)?;
        if let Some(Fault::Full) = disk.faults.front() {
            disk.faults.pop_front();
            return Err(AppendError::Full("no bytes are free".to_owned()));
        }
        disk.state.parts.insert((of, part), data.into());
        Ok(())
    }

    fn drop_output_parts(&mut self, of: OutputKey) {
        self.disk().state.drop_parts(of);
    }

    /// Parts go with their output at once.
    fn trim_outputs(&mut self, term: &Term) -> Result<Trim, AppendError> {
        self.disk().check(term)?;
        Ok(Trim::Done)
    }

    fn reader(&self) -> Result<Box<dyn BodyReader>, OpenError> {
        Ok(Box::new(self.body_reader()))
    }
}

/// Reads results and outputs of a [`MemoryLog`].
#[derive(Clone, Debug)]
pub struct MemoryReader {
    log: MemoryLog,
}

impl BodyReader for MemoryReader {
    fn block(&mut self, id: BlockId) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.log.disk().state.blocks.get(&id).map(|block| block.to_vec()))
    }

    fn output(
        &mut self,
        task: TaskId,
        attempt: Option<u32>,
        stream: Stream,
    ) -> Result<Option<Output>, ReadError> {
        let disk = self.log.disk();
        let code = stream_code(stream);
        let (low, high) = attempt.map_or((0, u32::MAX), |attempt| (attempt, attempt));
        let newest = disk
            .state
            .outputs
            .range((task, low, 0)..=(task, high, u8::MAX))
            .rev()
            .find(|((_, _, of), _)| *of == code);
        Ok(newest.map(|(_, (_, output))| Output::clone(output)))
    }

    fn output_part(&mut self, of: OutputKey, part: u32) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.log.disk().state.parts.get(&(of, part)).map(|data| data.to_vec()))
    }

    fn logged(&mut self, after: Seq, rows: usize) -> Result<Vec<Logged>, ReadError> {
        let disk = self.log.disk();
        let newer = disk.state.log.range(after.next()..).take(rows);
        Ok(newer.map(|(_, row)| Logged::clone(row)).collect())
    }
}

const SNAPSHOTS_KEPT: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Holder {
        Holder { pid: 1, host: "h".to_owned() }
    }

    fn batch(text: &str) -> Batch {
        Batch { data: text.as_bytes().to_vec(), ..Batch::default() }
    }

    fn texts(log: &mut MemoryLog) -> String {
        let rows = log.read(Seq(0), usize::MAX).unwrap();
        let texts: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(&row.data)).collect();
        texts.join(" ")
    }

    fn append(log: &mut MemoryLog, term: &Term, text: &str) -> Result<(), AppendError> {
        let seq = log.last().next();
        log.append(term, seq, WallMs(5), &[batch(text)])
    }

    #[test]
    fn a_crash_loses_the_unsynced_tail_only() {
        for (kept, left) in [(0, "a b"), (1, "a b c"), (2, "a b c d"), (9, "a b c d")] {
            let mut log = MemoryLog::new();
            log.set_syncing(Syncing::ByHand);
            let term = log.acquire(&me(), WallMs(1)).unwrap();
            append(&mut log, &term, "a").unwrap();
            append(&mut log, &term, "b").unwrap();
            assert_eq!(log.sync(), Seq(2));
            append(&mut log, &term, "c").unwrap();
            append(&mut log, &term, "d").unwrap();
            log.crash(kept);
            let mut again = log.clone();
            let next = again.acquire(&me(), WallMs(2)).unwrap();
            assert_eq!(texts(&mut again), left);
            assert_eq!(next.epoch, Epoch::new(2));
            assert!(matches!(append(&mut log, &term, "e"), Err(AppendError::Fenced)));
            append(&mut again, &next, "e").unwrap();
        }
    }

    #[test]
    fn faults_come_in_order_and_do_what_they_say() {
        let mut log = MemoryLog::new();
        let mut term = log.acquire(&me(), WallMs(1)).unwrap();
        append(&mut log, &term, "a").unwrap();
        log.fail_next(Fault::Full);
        assert!(matches!(append(&mut log, &term, "b"), Err(AppendError::Full(_))));
        append(&mut log, &term, "b").unwrap();
        for (survival, text) in [(Survival::Kept, "c"), (Survival::Lost, "d")] {
            log.fail_next(Fault::Ambiguous(survival));
            for _ in 0..2 {
                let answer = append(&mut log, &term, text);
                assert!(matches!(answer, Err(AppendError::Ambiguous(_))), "stops for good");
            }
            term = log.acquire(&me(), WallMs(1)).unwrap();
        }
        assert_eq!(texts(&mut log), "a b c");
        log.fail_next(Fault::Fenced);
        assert!(matches!(append(&mut log, &term, "e"), Err(AppendError::Fenced)));
        assert!(matches!(append(&mut log, &term, "e"), Err(AppendError::Fenced)));
    }

    #[test]
    fn outputs_and_blocks_come_and_go_with_batches() {
        let mut log = MemoryLog::new();
        let term = log.acquire(&me(), WallMs(1)).unwrap();
        let task = TaskId::new(7);
        let output = |attempt, stream, bytes: &[u8]| Output {
            task,
            attempt,
            stream,
            head: 1,
            skipped: 2,
            bytes: bytes.to_vec(),
        };
        let first = Batch {
            blocks: vec![(BlockId::new(1), b"block".to_vec())],
            outputs: vec![output(1, Stream::Stdout, b"one"), output(2, Stream::Stderr, b"two")],
            ..batch("a")
        };
        log.append(&term, Seq(1), WallMs(1), &[first]).unwrap();
        let mut reader = log.reader().unwrap();
        assert_eq!(reader.block(BlockId::new(1)).unwrap().unwrap(), b"block");
        let newest = reader.output(task, None, Stream::Stdout).unwrap().unwrap();
        assert_eq!(newest, output(1, Stream::Stdout, b"one"));
        assert_eq!(reader.output(task, Some(2), Stream::Stdout).unwrap(), None);
        let second =
            Batch { drop_blocks: vec![BlockId::new(1)], drop_outputs: vec![task], ..batch("b") };
        log.append(&term, Seq(2), WallMs(1), &[second]).unwrap();
        assert_eq!(reader.block(BlockId::new(1)).unwrap(), None);
        assert_eq!(reader.output(task, None, Stream::Stderr).unwrap(), None);
        assert_eq!(log.disk().state.output_bytes, 0);
        assert_eq!(reader.logged(Seq(1), 10).unwrap().len(), 1);
    }

    #[test]
    fn two_snapshots_are_kept_and_the_log_after_the_older() {
        let mut log = MemoryLog::new();
        let term = log.acquire(&me(), WallMs(1)).unwrap();
        for text in ["a", "b", "c", "d"] {
            append(&mut log, &term, text).unwrap();
            let parts = [text.as_bytes().to_vec(), b"end".to_vec()];
            log.install_snapshot(&term, log.last(), &mut parts.into_iter()).unwrap();
        }
        let newest = log.snapshot().unwrap().unwrap();
        assert_eq!((newest.seq, newest.parts[0].as_slice()), (Seq(4), b"d".as_slice()));
        assert!(matches!(log.read(Seq(2), 1), Err(OpenError::Damaged(_))));
        assert_eq!(log.read(Seq(3), 1).unwrap().len(), 1);
    }
}

//! Tests of the store thread against the store in memory.

use std::sync::mpsc;

use ganger_proto::TaskId;
use ganger_proto::command::Stream;

use super::thread::{COMMIT_BYTES_MAX, Times};
use super::*;
use crate::store::{
    BodyReader, Fault, Holder, Logged, MemoryLog, OpenError, Snapshot, SqliteLog, Survival, Trim,
};

fn me() -> Holder {
    Holder { pid: 1, host: "h".to_owned() }
}

fn batch(n: u64) -> Batch {
    Batch { data: n.to_le_bytes().to_vec(), ..Batch::default() }
}

fn spawn(mut log: impl FencedLog + 'static) -> Writer {
    let term = log.acquire(&me(), WallMs(1)).unwrap();
    Writer::spawn(Box::new(log), term, Clock::start()).unwrap()
}

/// Waits until the watch shows what is asked for.
fn until(writer: &Writer, is: impl FnMut(&Durable) -> bool) -> Durable {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(writer.durable().wait_for(is)).unwrap().clone()
}

fn numbers(log: &MemoryLog) -> Vec<u64> {
    let rows = log.body_reader().logged(Seq(0), usize::MAX).unwrap();
    rows.iter().map(|row| u64::from_le_bytes(row.data.as_slice().try_into().unwrap())).collect()
}

#[test]
fn everything_submitted_becomes_durable_in_order() {
    let log = MemoryLog::new();
    let writer = spawn(log.clone());
    for n in 1..=500 {
        assert_eq!(writer.submit(batch(n), WallMs(n)), Seq(n));
    }
    let durable = until(&writer, |durable| durable.seq == Seq(500));
    assert!((1..=500).contains(&durable.commits));
    assert_eq!(writer.backlog_bytes(), 0);
    writer.shutdown().unwrap();
    assert_eq!(numbers(&log), (1..=500).collect::<Vec<u64>>());
}

#[test]
fn shutdown_commits_what_waits() {
    let log = MemoryLog::new();
    let writer = spawn(log.clone());
    for n in 1..=100 {
        writer.submit(batch(n), WallMs(n));
    }
    writer.shutdown().unwrap();
    assert_eq!(numbers(&log).len(), 100);
}

/// A log whose appends wait for the test.
struct Gated {
    log: MemoryLog,
    entered: mpsc::SyncSender<usize>,
    gate: mpsc::Receiver<()>,
}

impl FencedLog for Gated {
    fn acquire(&mut self, me: &Holder, now: WallMs) -> Result<Term, OpenError> {
        self.log.acquire(me, now)
    }
    fn snapshot(&mut self) -> Result<Option<Snapshot>, OpenError> {
        self.log.snapshot()
    }
    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<Logged>, OpenError> {
        self.log.read(after, bytes_max)
    }
    fn append(
        &mut self,
        term: &Term,
        seq: Seq,
        now: WallMs,
        batches: &[Batch],
    ) -> Result<(), AppendError> {
        self.entered.send(batches.len()).unwrap();
        self.gate.recv().unwrap();
        self.log.append(term, seq, now, batches)
    }
    fn write_part(
        &mut self,
        term: &Term,
        seq: Seq,
        part: u32,
        data: &[u8],
    ) -> Result<(), AppendError> {
        self.log.write_part(term, seq, part, data)
    }
    fn finish_snapshot(&mut self, term: &Term, seq: Seq, parts: u32) -> Result<(), AppendError> {
        self.log.finish_snapshot(term, seq, parts)
    }
    fn trim(&mut self, term: &Term) -> Result<Trim, AppendError> {
        self.log.trim(term)
    }
    fn write_output_part(
        &mut self,
        term: &Term,
        of: OutputKey,
        part: u32,
        data: &[u8],
    ) -> Result<(), AppendError> {
        self.entered.send(data.len()).unwrap();
        self.gate.recv().unwrap();
        self.log.write_output_part(term, of, part, data)
    }
    fn drop_output_parts(&mut self, of: OutputKey) {
        self.log.drop_output_parts(of);
    }
    fn trim_outputs(&mut self, term: &Term) -> Result<Trim, AppendError> {
        self.log.trim_outputs(term)
    }
    fn reader(&self) -> Result<Box<dyn BodyReader>, OpenError> {
        self.log.reader()
    }
}

fn key(task: u64) -> OutputKey {
    OutputKey { task: TaskId::new(task), attempt: 1, stream: Stream::Stdout }
}

#[test]
fn a_flood_of_parts_lets_every_commit_pass() {
    let (entered, seen) = mpsc::sync_channel(100);
    let (open, gate) = mpsc::sync_channel(100);
    let log = MemoryLog::new();
    let writer = spawn(Gated { log: log.clone(), entered, gate });
    let parts = writer.parts();
    let mut written: Vec<_> = (0..4).map(|part| parts.write(key(7), part, vec![1; 99])).collect();
    assert_eq!(seen.recv().unwrap(), 99, "one part is being written");
    for n in 1..=3 {
        writer.submit(batch(n), WallMs(1));
        open.send(()).unwrap();
        assert_eq!(seen.recv().unwrap(), 1, "the commit goes before the next part");
        open.send(()).unwrap();
        assert_eq!(seen.recv().unwrap(), 99);
    }
    open.send(()).unwrap();
    written.drain(..).for_each(|written| written.blocking_recv().unwrap());
    writer.shutdown().unwrap();
    assert!(log.body_reader().output_part(key(7), 3).unwrap().is_some());
}

#[test]
fn parts_wait_for_room_on_a_full_disk_and_go_when_their_output_is_let_go() {
    let log = MemoryLog::new();
    log.fail_next(Fault::Full);
    let writer = spawn(log.clone());
    let parts = writer.parts();
    let written = parts.write(key(7), 0, vec![1]);
    until(&writer, |durable| durable.trouble.is_some());
    writer.retry();
    written.blocking_recv().unwrap();
    assert_eq!(until(&writer, |durable| durable.trouble.is_none()).seq, Seq(0));
    assert!(log.body_reader().output_part(key(7), 0).unwrap().is_some());
    parts.drop_parts(key(7));
    parts.write(key(8), 0, vec![1]).blocking_recv().unwrap();
    assert!(log.body_reader().output_part(key(7), 0).unwrap().is_none());
    writer.shutdown().unwrap();
    let late = parts.write(key(8), 1, vec![1]);
    drop(parts);
    drop(late);
}

#[test]
fn what_gathers_during_a_commit_goes_together_up_to_a_bound() {
    let (entered, seen) = mpsc::sync_channel(100);
    let (open, gate) = mpsc::sync_channel(100);
    let writer = spawn(Gated { log: MemoryLog::new(), entered, gate });
    writer.submit(batch(1), WallMs(1));
    assert_eq!(seen.recv().unwrap(), 1, "at once, alone");
    for n in 2..=40 {
        writer.submit(batch(n), WallMs(1));
    }
    let big = Batch { data: vec![0; COMMIT_BYTES_MAX], ..Batch::default() };
    writer.submit(big.clone(), WallMs(1));
    writer.submit(big, WallMs(1));
    assert!(writer.backlog_bytes() > 2 * COMMIT_BYTES_MAX);
    for _ in 0..3 {
        open.send(()).unwrap();
    }
    assert_eq!(seen.recv().unwrap(), 40, "everything up to the bound");
    assert_eq!(seen.recv().unwrap(), 1, "the rest");
    assert_eq!(until(&writer, |durable| durable.seq == Seq(42)).commits, 3);
    writer.shutdown().unwrap();
}

#[test]
fn a_full_disk_keeps_everything_until_there_is_room() {
    let log = MemoryLog::new();
    log.fail_next(Fault::Full);
    log.fail_next(Fault::Full);
    let writer = spawn(log.clone());
    writer.submit(batch(1), WallMs(1));
    let durable = until(&writer, |durable| durable.trouble.is_some());
    let trouble = durable.trouble.unwrap();
    assert!(!trouble.is_final() && trouble.to_string().contains("disk is full"));
    writer.submit(batch(2), WallMs(1));
    assert_eq!((durable.seq, numbers(&log).len()), (Seq(0), 0));
    assert!(writer.backlog_bytes() > 0);
    // The second fault; the trouble stays.
    writer.retry();
    while log.faults_left() > 0 {
        std::thread::yield_now();
    }
    writer.retry();
    let durable = until(&writer, |durable| durable.seq == Seq(2));
    assert_eq!(durable.trouble, None);
    writer.shutdown().unwrap();
    assert_eq!(numbers(&log), [1, 2]);
}

#[test]
fn the_end_tries_a_full_disk_once_more() {
    for (faults, ended) in [(1, "well"), (2, "full")] {
        let log = MemoryLog::new();
        (0..faults).for_each(|_| log.fail_next(Fault::Full));
        let writer = spawn(log.clone());
        writer.submit(batch(1), WallMs(1));
        until(&writer, |durable| durable.trouble.is_some());
        let answer = match writer.shutdown() {
            Ok(()) => "well",
            Err(Trouble::Full(_)) => "full",
            Err(Trouble::Fenced | Trouble::Ambiguous(_)) => "stopped",
        };
        assert_eq!(answer, ended);
    }
}

#[test]
fn fenced_and_ambiguous_stop_for_good() {
    for fault in [Fault::Fenced, Fault::Ambiguous(Survival::Kept), Fault::Ambiguous(Survival::Lost)]
    {
        let log = MemoryLog::new();
        log.fail_next(fault);
        let writer = spawn(log.clone());
        writer.submit(batch(1), WallMs(1));
        let durable = until(&writer, |durable| durable.trouble.is_some());
        assert_eq!(durable.seq, Seq(0), "nothing is acknowledged");
        assert!(durable.trouble.unwrap().is_final());
        writer.retry();
        writer.submit(batch(2), WallMs(1));
        assert!(writer.shutdown().unwrap_err().is_final());
        assert!(!numbers(&log).contains(&2));
    }
}

#[test]
fn a_snapshot_is_written_between_commits() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("store.db");
    let writer = spawn(SqliteLog::new(&file));
    writer.submit(batch(1), WallMs(1));
    let parts = |count: u8| (0..count).map(|part| vec![part; 10_000]);
    let first = writer.install_snapshot(Seq(1), Box::new(parts(40)));
    let second = writer.install_snapshot(Seq(1), Box::new(parts(40)));
    assert_eq!((first, second), (Installing::Started, Installing::Busy));
    for n in 2..=50 {
        writer.submit(batch(n), WallMs(n));
    }
    let durable = until(&writer, |durable| durable.seq == Seq(50) && durable.snapshot.is_some());
    assert_eq!(durable.snapshot, Some(Seq(1)));
    assert_eq!(writer.install_snapshot(Seq(50), Box::new(parts(2))), Installing::Started);
    until(&writer, |durable| durable.snapshot == Some(Seq(50)));
    writer.shutdown().unwrap();
    let mut log = SqliteLog::new(&file);
    log.acquire(&me(), WallMs(1)).unwrap();
    let newest = log.snapshot().unwrap().unwrap();
    assert_eq!((newest.seq, newest.parts), (Seq(50), parts(2).collect()));
    assert_eq!(log.read(Seq(1), usize::MAX).unwrap().len(), 49);
}

#[test]
fn a_snapshot_of_what_was_never_submitted_stops() {
    let writer = spawn(MemoryLog::new());
    writer.install_snapshot(Seq(5), Box::new(std::iter::empty()));
    let durable = until(&writer, |durable| durable.trouble.is_some());
    assert!(matches!(durable.trouble, Some(Trouble::Ambiguous(_))));
}

#[test]
fn times_show_the_median_and_the_longest() {
    let mut times = Times::default();
    assert_eq!(times.p50_and_max(), (0, 0));
    times.push(1_000);
    for us in 0..64 {
        times.push(us);
    }
    assert_eq!(times.p50_and_max(), (32, 63), "only the last 64 count");
}

//! Results and outputs for replies and pictures: read from the store on a thread of its own, so
//! that the loop never waits for a disk. Sends what it completes straight to the client's outbox.

mod events;
mod pages;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use ganger_net::pki::authority::Authority;
use ganger_net::session::Session;
use ganger_proto::audit::{AuditPlace, AuditRow};
use ganger_proto::command::{AttemptRow, ResultLine, ResultPage, Stream, TaskDetail};
use ganger_proto::ends::{EndPage, EndRow};
use ganger_proto::limits::{OUTPUT_PART_BYTES, PAGE_BYTES_MAX};
use ganger_proto::message::ToClient;
use ganger_proto::{BlockId, Ended, Outcome, Picture, Refusal, Reply, TaskId, TaskState, WallMs};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::outgoing::{put, put_reply};
use super::relay::{Kept, PartReader};
use super::{audit, status};
use crate::engine::ledger::Past;
use crate::engine::picture::fill_result;
use crate::engine::results::Block;
use crate::store::{BlockCache, BodyReader, OutputKey, ReadError};

/// Jobs that wait for the thread; when it is full pictures are dropped and requests are told that
/// the master is busy.
const JOBS_MAX: usize = 1_024;
/// Questions of one client among them; further ones are told that the master is busy.
pub(super) const JOBS_OF_ONE: usize = 64;
/// When to ask again then, in milliseconds.
pub(super) const BUSY_RETRY_MS: u64 = 500;
/// Decoded blocks kept.
const BLOCKS_KEPT: usize = 32;
/// Bytes of one page of output.
const OUTPUT_PAGE_BYTES: usize = OUTPUT_PART_BYTES;

/// Something to complete and send.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) to: Session,
    pub(super) tag: u64,
    pub(super) work: Work,
    /// Its place among its client's questions; none for what the master itself wants.
    pub(super) turn: Option<OwnedSemaphorePermit>,
}

/// What is to be completed.
#[derive(Debug)]
pub(super) enum Work {
    /// A picture, with the block of each row of results.
    Picture { picture: Box<Picture>, blocks: Vec<Option<BlockId>> },
    /// A page of results.
    Results { page: ResultPage, seeds: Vec<ResultSeed>, rest: Rest },
    /// Ends of tasks that were not told.
    Ends { page: Box<EndPage>, seeds: Vec<EndSeed> },
    /// Everything about a task, with the names of its attempts' workers.
    Detail { detail: Box<TaskDetail>, pasts: Vec<(String, Past)> },
    /// A piece of output, with the block of the newest result.
    Output {
        task: TaskId,
        attempt: Option<u32>,
        stream: Stream,
        offset: u64,
        block: Option<BlockId>,
    },
    /// What was kept of an attempt, with the block of its result, for a follower.
    Kept { task: TaskId, attempt: u32, block: Option<BlockId>, to: oneshot::Sender<Kept> },
    /// A part of an output that is kept in parts, for a follower; nothing when it is gone.
    Part { of: OutputKey, part: u32, to: oneshot::Sender<Vec<u8>> },
    /// Journal events.
    Events { after: u64, rows: usize },
    /// What the journal has for an audit, after entries of the trust log.
    Audit { after: AuditPlace, trust: Vec<AuditRow>, rows: usize },
    /// A check of the trust log.
    CheckTrust(Arc<Authority>),
}

/// Whether a batch has ended tasks beyond a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// There are more.
    More,
    /// The page is the last one.
    Nothing,
}

/// A result without what the store has of it.
#[derive(Debug)]
pub(super) struct ResultSeed {
    pub(super) task: TaskId,
    pub(super) index: u64,
    pub(super) attempt: u32,
    pub(super) worker: String,
    pub(super) state: TaskState,
    pub(super) block: Option<BlockId>,
}

/// The end of a task without what the store has of it.
#[derive(Debug)]
pub(super) struct EndSeed {
    pub(super) of: ResultSeed,
    pub(super) at: WallMs,
    pub(super) argument: Option<Vec<u8>>,
}

/// The thread, from the loop's side.
#[derive(Debug)]
pub(super) struct Bodies {
    jobs: Option<Arc<SyncSender<Job>>>,
    thread: Option<JoinHandle<()>>,
    cpu_permille: Arc<AtomicU32>,
}

impl Bodies {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start(
        reader: Box<dyn BodyReader>,
        cache: BlockCache,
        cpu_permille: Arc<AtomicU32>,
    ) -> std::io::Result<Self> {
        let (jobs, from) = sync_channel(JOBS_MAX);
        let library = Library { reader, cache, decoded: VecDeque::new() };
        let thread =
            std::thread::Builder::new().name("bodies".to_owned()).spawn(|| run(library, from))?;
        Ok(Self { jobs: Some(Arc::new(jobs)), thread: Some(thread), cpu_permille })
    }

    /// Returns what a follower on this connection reads parts with.
    pub(super) fn part_reader(&self, session: Session) -> PartReader {
        PartReader::new(self.jobs.as_ref().map(Arc::downgrade).unwrap_or_default(), session)
    }

    /// Asks for a job to be done.
    pub(super) fn ask(&self, job: Job) {
        let Some(jobs) = &self.jobs else { return };
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = jobs.try_send(job) {
            let reply = match job.work {
                // The client asks for the next picture when it has taken one in, so one must go.
                Work::Picture { picture, .. } => ToClient::Picture(picture),
                // Its follower hears that nothing comes.
                Work::Kept { .. } | Work::Part { .. } => return,
                Work::Results { .. }
                | Work::Ends { .. }
                | Work::Detail { .. }
                | Work::Output { .. }
                | Work::Events { .. }
                | Work::Audit { .. }
                | Work::CheckTrust(_) => {
                    let busy = Refusal::Busy { retry_after_ms: BUSY_RETRY_MS };
                    ToClient::Reply { tag: job.tag, result: Err(busy) }
                }
            };
            put(&job.to, &reply);
        }
    }

    /// Returns the process's use of processors lately, in thousandths of one.
    pub(super) fn cpu_permille(&self) -> u32 {
        self.cpu_permille.load(Ordering::Relaxed)
    }
}

impl Drop for Bodies {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads results ended badly");
        }
    }
}

fn run(mut library: Library, jobs: Receiver<Job>) {
    while let Ok(Job { to, tag, work, turn: _turn }) = jobs.recv() {
        let reply = match work {
            Work::Picture { mut picture, blocks } => {
                library.fill(&mut picture, &blocks);
                put(&to, &ToClient::Picture(picture));
                continue;
            }
            Work::Kept { task, attempt, block, to } => {
                match library.kept(task, attempt, block) {
                    // Fails only when the follower is gone.
                    Ok(kept) => to.send(kept).unwrap_or_default(),
                    Err(error) => tracing::error!(%task, %error, "an output cannot be read"),
                }
                continue;
            }
            Work::Part { of, part, to } => {
                match library.reader.output_part(of, part) {
                    // Dropped, the other end hears that it is gone.
                    Ok(data) => drop(data.map(|data| to.send(data))),
                    Err(error) => tracing::error!(task = %of.task, %error, "a part is lost"),
                }
                continue;
            }
            Work::Results { page, seeds, rest } => {
                Ok(Reply::Results(library.results(page, seeds, rest)))
            }
            Work::Ends { page, seeds } => Ok(Reply::Ends(library.ends(*page, seeds))),
            Work::Detail { detail, pasts } => Ok(Reply::Task(library.detail(detail, pasts))),
            Work::Output { task, attempt, stream, offset, block } => {
                library.output(&Wanted { task, attempt, stream, offset }, block)
            }
            Work::Events { after, rows } => events::page(library.reader.as_mut(), after, rows),
            Work::Audit { after, trust, rows } => {
                audit::page(library.reader.as_mut(), after, trust, rows)
            }
            Work::CheckTrust(authority) => {
                let checked = authority.check_trust().map(Reply::TrustChecked);
                checked.map_err(|error| status::refused(&error))
            }
        };
        put_reply(&to, tag, reply);
    }
}

/// A piece of output that is wanted.
struct Wanted {
    task: TaskId,
    attempt: Option<u32>,
    stream: Stream,
    offset: u64,
}

/// Reads blocks and outputs, keeping what was read lately.
struct Library {
    reader: Box<dyn BodyReader>,
    cache: BlockCache,
    decoded: VecDeque<(BlockId, Arc<Block>)>,
}

impl Library {
    fn fill(&mut self, picture: &mut Picture, blocks: &[Option<BlockId>]) {
        let Some(results) = &mut picture.results else { return };
        for (row, block) in results.rows.iter_mut().zip(blocks) {
            if let Some(ended) = block.and_then(|block| self.ended(block, row.task)) {
                fill_result(row, &ended);
            } else if row.outcome == Some(Outcome::Lost) {
                "its worker vanished while it ran".clone_into(&mut row.text);
            }
        }
    }

    fn results(&mut self, mut page: ResultPage, seeds: Vec<ResultSeed>, rest: Rest) -> ResultPage {
        let mut bytes = 0;
        let count = seeds.len();
        for (place, seed) in seeds.into_iter().enumerate() {
            let task = seed.task;
            let line = self.line(seed);
            bytes += bytes_of(&line);
            page.rows.push(line);
            let last = place + 1 == count;
            if bytes >= PAGE_BYTES_MAX || (last && rest == Rest::More) {
                page.next = (!last || rest == Rest::More).then_some(task);
                break;
            }
        }
        page
    }

    /// Fills a page as far as it goes; what is not on it was not told, and comes on the next.
    fn ends(&mut self, mut page: EndPage, seeds: Vec<EndSeed>) -> EndPage {
        let mut bytes = 0;
        for EndSeed { of, at, argument } in seeds {
            let line = self.line(of);
            bytes += bytes_of(&line) + argument.as_ref().map_or(0, Vec::len);
            page.rows.push(EndRow { line, at, argument });
            if bytes >= PAGE_BYTES_MAX {
                break;
            }
        }
        page
    }

    fn line(&mut self, seed: ResultSeed) -> ResultLine {
        ResultLine {
            task: seed.task,
            index: seed.index,
            attempt: seed.attempt,
            worker: seed.worker,
            ended: seed.block.and_then(|block| self.ended(block, seed.task)),
            state: seed.state,
        }
    }

    fn detail(
        &mut self,
        mut detail: Box<TaskDetail>,
        pasts: Vec<(String, Past)>,
    ) -> Box<TaskDetail> {
        let task = detail.row.task;
        for (worker, past) in pasts {
            let known = past.block.and_then(|block| self.ended(block, task));
            let outcome = past.outcome.unwrap_or(Outcome::Lost);
            let bare = || Ended::bare(ganger_proto::LeaseId::default(), outcome, 0);
            let ended = known.unwrap_or_else(bare);
            let attempt = u32::from(past.attempt);
            detail.attempts.push(AttemptRow { attempt, worker, at: past.at, ended });
        }
        detail
    }

    /// Returns how a task ended, from its block.
    fn ended(&mut self, block: BlockId, task: TaskId) -> Option<Ended> {
        if let Some((_, known)) = self.decoded.iter().find(|(id, _)| *id == block) {
            return known.find(task);
        }
        let bytes = match self.cache.get(block) {
            Some(bytes) => bytes,
            None => self.read(block)?.into(),
        };
        let decoded = match Block::decode(&bytes) {
            Ok(decoded) => Arc::new(decoded),
            Err(error) => {
                tracing::error!(%block, %error, "a block of results cannot be read");
                return None;
            }
        };
        if self.decoded.len() >= BLOCKS_KEPT {
            self.decoded.pop_front();
        }
        self.decoded.push_back((block, decoded.clone()));
        decoded.find(task)
    }

    fn read(&mut self, block: BlockId) -> Option<Vec<u8>> {
        match self.reader.block(block) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%block, %error, "a block of results cannot be read");
                None
            }
        }
    }
}

/// Returns about how many bytes a result takes in a frame.
fn bytes_of(line: &ResultLine) -> usize {
    let body = |e: &Ended| e.stdout.len() + e.stderr.len() + e.message.len();
    64 + line.worker.len() + line.ended.as_ref().map_or(0, body)
}

fn broken(error: &ReadError) -> Refusal {
    Refusal::State(error.to_string())
}

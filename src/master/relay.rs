//! What carries followed output: one relay for each running attempt that is followed, one task for
//! each follower. Neither keeps output: a follower that is slow misses what the relay has passed,
//! and is told how much. Does not know what is followed next; see follow.rs.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};

use ganger_net::session::Session;
use ganger_net::streams::{FromStream, ToStream, Unwanted};
use ganger_proto::command::Stream;
use ganger_proto::follow::{Cursor, Followed, Held, PIECE_BYTES_MAX, Piece};
use ganger_proto::limits::OUTPUT_PART_BYTES;
use ganger_proto::message::FollowHeader;
use ganger_proto::{Outcome, Refusal, SessionId, WallMs};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::bodies::{Job, Work};
use super::inbox::ConnectionId;
use crate::store::OutputKey;

/// Pieces that a relay holds for its slowest follower, 1 MiB in all; when there are more the oldest
/// are dropped.
const PIECES_MAX: usize = 16;

/// One running attempt that is followed.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) session: SessionId,
    /// The connection on which its worker was asked.
    pub(super) asked: ConnectionId,
    /// The number of the stream that is expected, or comes.
    pub(super) number: u64,
    pieces: broadcast::Sender<Live>,
    pump: Option<AbortHandle>,
}

/// A piece, and the number of the stream that it came on.
#[derive(Clone, Debug)]
struct Live {
    number: u64,
    piece: Arc<Piece>,
}

/// A follower's share of a relay: what comes on streams from this number on.
#[derive(Debug)]
pub(super) struct Subscription {
    pieces: broadcast::Receiver<Live>,
    from: u64,
}

impl Relay {
    pub(super) fn new(session: SessionId) -> Self {
        let (pieces, _) = broadcast::channel(PIECES_MAX);
        Self { session, asked: ConnectionId(0), number: 0, pieces, pump: None }
    }

    /// Expects a stream with a new number.
    pub(super) const fn again(&mut self, asked: ConnectionId, number: u64) {
        self.asked = asked;
        self.number = number;
    }

    pub(super) fn subscribe(&self) -> Subscription {
        Subscription { pieces: self.pieces.subscribe(), from: self.number }
    }

    /// Takes the stream that was expected, in place of the one before.
    pub(super) fn take(&mut self, stream: FromStream) {
        self.stop();
        let (to, number) = (self.pieces.clone(), self.number);
        // Ends with its stream, and is ended with its relay.
        self.pump = Some(tokio::spawn(pump(stream, number, to)).abort_handle());
    }

    fn stop(&mut self) {
        if let Some(pump) = self.pump.take() {
            pump.abort();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads as fast as the worker sends, so that nothing of it stays in the connection's window.
async fn pump(mut stream: FromStream, number: u64, to: broadcast::Sender<Live>) {
    while let Ok(Some(piece)) = stream.next::<Piece>().await {
        if piece.bytes.len() > PIECE_BYTES_MAX {
            tracing::warn!("a worker sent a piece of output over its limit");
            return;
        }
        if to.send(Live { number, piece: Arc::new(piece) }).is_err() {
            return;
        }
    }
}

/// What a follower's task is told.
#[derive(Debug)]
pub(super) enum Step {
    /// This attempt comes next; pieces of it while it runs.
    Attempt { attempt: u32, worker: String, live: Option<Subscription> },
    /// What was kept of it, of which only the rest is sent.
    Kept(oneshot::Receiver<Kept>),
    /// It has ended.
    Ended(Option<Outcome>),
    /// There is nothing to follow.
    Refused(Refusal),
    /// All was told.
    Done,
}

/// What was kept of an attempt that has ended.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) stdout: KeptStream,
    pub(super) stderr: KeptStream,
}

/// One of its streams.
#[derive(Debug, Default)]
pub(super) struct KeptStream {
    /// How many of the bytes are from the start.
    pub(super) head: usize,
    pub(super) skipped: u64,
    pub(super) bytes: Vec<u8>,
    /// Which output it is and how many bytes it has, when those are in parts.
    pub(super) in_parts: Option<(OutputKey, u64)>,
}

/// What a follower asks for parts with. Does not keep the thread that reads them alive.
#[derive(Clone, Debug)]
pub(super) struct PartReader {
    jobs: Weak<SyncSender<Job>>,
    session: Session,
}

impl PartReader {
    pub(super) const fn new(jobs: Weak<SyncSender<Job>>, session: Session) -> Self {
        Self { jobs, session }
    }

    /// Reads a part; nothing when it is gone, or the thread is busy.
    async fn read(&self, of: OutputKey, part: u32) -> Option<Vec<u8>> {
        let (to, data) = oneshot::channel();
        let work = Work::Part { of, part, to };
        let job = Job { to: self.session.clone(), tag: 0, work, turn: None };
        self.jobs.upgrade()?.try_send(job).ok()?;
        data.await.ok()
    }
}

impl KeptStream {
    fn held(&self) -> Held<'_> {
        let (head, tail) = self.bytes.split_at(self.head.min(self.bytes.len()));
        Held { head, skipped: self.skipped, tail: [tail, &[]] }
    }
}

/// Carries to one follower what it is told, until that ends or nobody listens.
pub(super) async fn carry(
    session: Session,
    tag: u64,
    parts: PartReader,
    steps: mpsc::Receiver<Step>,
) {
    let Ok(to) = session.open_stream(&FollowHeader { tag }).await else { return };
    let mut follower = Follower { to, cursor: Cursor::default(), live: None, parts };
    // Fails only when nobody listens any more.
    if follower.serve(steps).await == Ok(End::All) {
        follower.to.finish();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All was told.
    All,
    /// The loop let go of it.
    Left,
}

struct Follower {
    to: ToStream,
    cursor: Cursor,
    live: Option<Subscription>,
    parts: PartReader,
}

impl Follower {
    async fn serve(&mut self, mut steps: mpsc::Receiver<Step>) -> Result<End, Unwanted> {
        loop {
            tokio::select! {
                biased;
                step = steps.recv() => match step {
                    Some(Step::Done) => return Ok(End::All),
                    Some(step) => self.obey(step).await?,
                    None => return Ok(End::Left),
                },
                piece = next(&mut self.live) => match piece {
                    Some(piece) => self.show(Arc::unwrap_or_clone(piece)).await?,
                    None => self.live = None,
                },
                () = self.to.unwanted() => return Err(Unwanted),
            }
        }
    }

    async fn obey(&mut self, step: Step) -> Result<(), Unwanted> {
        match step {
            Step::Attempt { attempt, worker, live } => {
                self.cursor = Cursor::default();
                self.live = live;
                self.say(Ok(Followed::Attempt { attempt, worker })).await
            }
            Step::Kept(kept) => {
                self.live = None;
                match kept.await {
                    Ok(kept) => self.show_kept(&kept).await,
                    Err(_) => self.say(Err(Refusal::Busy { retry_after_ms: 500 })).await,
                }
            }
            Step::Ended(outcome) => self.say(Ok(Followed::Ended { outcome })).await,
            Step::Refused(refusal) => self.say(Err(refusal)).await,
            Step::Done => Ok(()),
        }
    }

    async fn show_kept(&mut self, kept: &Kept) -> Result<(), Unwanted> {
        for (stream, part) in [(Stream::Stdout, &kept.stdout), (Stream::Stderr, &kept.stderr)] {
            if let Some((of, length)) = part.in_parts {
                self.show_parts(of, length).await?;
                continue;
            }
            while let Some((offset, bytes)) = part.held().from(self.cursor.next(stream)) {
                self.show(Piece { stream, offset, skipped: 0, at: WallMs(0), bytes }).await?;
            }
        }
        Ok(())
    }

    /// Sends the rest of an output that is kept in parts, with one of them in memory.
    async fn show_parts(&mut self, of: OutputKey, length: u64) -> Result<(), Unwanted> {
        const PART: u64 = OUTPUT_PART_BYTES as u64;
        while self.cursor.next(of.stream) < length {
            let number = self.cursor.next(of.stream) / PART;
            let Some(data) = self.read_part(of, number).await else {
                return self.say(Err(Refusal::Busy { retry_after_ms: 500 })).await;
            };
            let begin = number * PART;
            for (piece, bytes) in data.chunks(PIECE_BYTES_MAX).enumerate() {
                let offset = begin + (piece * PIECE_BYTES_MAX) as u64;
                let (stream, bytes) = (of.stream, bytes.to_vec());
                self.show(Piece { stream, offset, skipped: 0, at: WallMs(0), bytes }).await?;
            }
        }
        Ok(())
    }

    /// Reads a part; nothing when it is gone or has not the bytes that come next.
    async fn read_part(&self, of: OutputKey, number: u64) -> Option<Vec<u8>> {
        let data = self.parts.read(of, u32::try_from(number).ok()?).await?;
        let end = number * OUTPUT_PART_BYTES as u64 + data.len() as u64;
        (end > self.cursor.next(of.stream)).then_some(data)
    }

    async fn show(&mut self, piece: Piece) -> Result<(), Unwanted> {
        match self.cursor.take(piece) {
            Some(piece) => self.say(Ok(Followed::Piece(piece))).await,
            None => Ok(()),
        }
    }

    async fn say(&mut self, frame: Result<Followed, Refusal>) -> Result<(), Unwanted> {
        self.to.send(&frame).await
    }
}

/// Waits for the next piece; none when the attempt is not followed any more. For ever when nothing
/// runs. Cancel-safe.
async fn next(live: &mut Option<Subscription>) -> Option<Arc<Piece>> {
    let Some(live) = live else { return std::future::pending().await };
    loop {
        match live.pieces.recv().await {
            Ok(Live { number, piece }) if number >= live.from => return Some(piece),
            // The cursor knows how much was missed.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

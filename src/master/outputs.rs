//! Kept outputs as they come from workers: short ones whole, long ones part by part, each durable
//! before the next but one is read. Decides nothing about tasks; an attempt's output counts once it
//! is stored with the events of its turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use ganger_net::streams::FromStream;
use ganger_proto::TaskId;
use ganger_proto::command::Stream;
use ganger_proto::limits::OUTPUT_PART_BYTES;
use ganger_proto::message::{Kept, OutputHeader};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::Master;
use super::inbox::{ConnectionId, Incoming, Mailbox};
use crate::engine::input::Input;
use crate::store::{Output, OutputKey, PartWriter, PartWritten};

/// Long outputs that are taken at once, over all workers; more wait, unread. Each has two parts in
/// memory.
const LONG_MAX: usize = 8;

/// Long outputs on their way to the store.
pub(super) struct Longs {
    tasks: JoinSet<()>,
    /// The newest transfer of each attempt; an older one may end after it began.
    newest: BTreeMap<(TaskId, u32), u64>,
    number: u64,
    permits: Arc<Semaphore>,
    parts: PartWriter,
    mail: Mailbox,
}

/// A long output that begins to come.
#[derive(Debug)]
pub(super) struct Long {
    pub(super) header: OutputHeader,
    pub(super) stream: FromStream,
    /// Dropped when the next one may come.
    pub(super) turn: oneshot::Sender<()>,
}

/// A long output that came to its end.
#[derive(Debug)]
pub(super) struct LongEnded {
    number: u64,
    header: OutputHeader,
    task: TaskId,
    attempt: u32,
    /// What ties its parts together, when all are durable; nothing when it broke off.
    outputs: Option<Vec<Output>>,
}

impl Longs {
    pub(super) fn new(parts: PartWriter, mail: Mailbox) -> Self {
        let permits = Arc::new(Semaphore::new(LONG_MAX));
        let (tasks, newest) = (JoinSet::new(), BTreeMap::new());
        Self { tasks, newest, number: 0, permits, parts, mail }
    }
}

impl Master {
    /// Keeps an attempt's output, to be stored with the next events.
    pub(super) fn output_came(
        &mut self,
        connection: ConnectionId,
        header: OutputHeader,
        bytes: Vec<u8>,
    ) {
        let Some(session) = self.workers.session_of(connection) else { return };
        let lease = header.lease;
        if let Some((task, attempt)) = self.engine.attempt_of(session, lease) {
            let mut rest = bytes.as_slice();
            for (stream, kept) in both(&header) {
                let (bytes, after) = rest.split_at(length(kept).min(rest.len()));
                rest = after;
                let (head, skipped, bytes) = (kept.head, kept.skipped, bytes.to_vec());
                self.outputs.push(Output { task, attempt, stream, head, skipped, bytes });
            }
        }
        self.engine.handle(self.clock.now(), Input::OutputCame { session, lease });
    }

    /// Begins to take a long output. One that belongs to no attempt any more is not read: the
    /// answer lets the worker forget it.
    pub(super) fn long_began(&mut self, connection: ConnectionId, long: Long) {
        while self.longs.tasks.try_join_next().is_some() {}
        let Some(session) = self.workers.session_of(connection) else { return };
        let lease = long.header.lease;
        let Some((task, attempt)) = self.engine.attempt_of(session, lease) else {
            self.engine.handle(self.clock.now(), Input::OutputCame { session, lease });
            return;
        };
        let Longs { newest, number, permits, parts, mail, .. } = &mut self.longs;
        *number += 1;
        newest.insert((task, attempt), *number);
        let (number, permits) = (*number, Arc::clone(permits));
        let (parts, mail) = (parts.clone(), mail.clone());
        let Long { header, mut stream, turn } = long;
        self.longs.tasks.spawn(async move {
            let Ok(_permit) = permits.acquire().await else { return };
            let outputs = take(&header, &mut stream, &parts, (task, attempt)).await;
            // Stopped when it broke off, so that the worker sends it again.
            drop(stream);
            let ended = LongEnded { number, header, task, attempt, outputs };
            mail.put(Incoming::LongEnded { connection, ended }).await;
            drop(turn);
        });
    }

    /// Takes a long output whose parts are durable, if its attempt still wants it.
    pub(super) fn long_ended(&mut self, connection: ConnectionId, ended: LongEnded) {
        let LongEnded { number, header, task, attempt, outputs } = ended;
        if self.longs.newest.get(&(task, attempt)) != Some(&number) {
            return;
        }
        self.longs.newest.remove(&(task, attempt));
        let lease = header.lease;
        let session = self.workers.session_of(connection);
        let holder = session
            .filter(|session| self.engine.attempt_of(*session, lease) == Some((task, attempt)));
        match (holder, outputs) {
            (Some(session), Some(outputs)) => {
                self.outputs.extend(outputs);
                self.engine.handle(self.clock.now(), Input::OutputCame { session, lease });
            }
            (_, None) => {
                tracing::warn!(%task, attempt, "an output broke off; it comes again");
                let_go(&self.longs.parts, &header, (task, attempt));
            }
            (None, Some(_)) => {
                let_go(&self.longs.parts, &header, (task, attempt));
                if let Some(session) = session {
                    // It belongs to no attempt any more: the answer lets the worker forget it.
                    self.engine.handle(self.clock.now(), Input::OutputCame { session, lease });
                }
            }
        }
    }
}

/// Reads a long output and writes its parts; nothing when it breaks off.
async fn take(
    header: &OutputHeader,
    from: &mut FromStream,
    parts: &PartWriter,
    (task, attempt): (TaskId, u32),
) -> Option<Vec<Output>> {
    let mut outputs = Vec::new();
    for (stream, kept) in both(header) {
        let bytes = if kept.beyond() > 0 {
            take_parts(kept.head, from, parts, OutputKey { task, attempt, stream }).await?;
            Vec::new()
        } else {
            from.part(length(kept)).await?
        };
        let (head, skipped) = (kept.head, kept.skipped);
        outputs.push(Output { task, attempt, stream, head, skipped, bytes });
    }
    from.at_end().await.then_some(outputs)
}

/// Reads a part while the one before it is written.
async fn take_parts(
    bytes: u64,
    from: &mut FromStream,
    parts: &PartWriter,
    of: OutputKey,
) -> Option<()> {
    let mut before: Option<PartWritten> = None;
    let mut left = bytes;
    for part in 0.. {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(OUTPUT_PART_BYTES);
        if length == 0 {
            break;
        }
        let data = from.part(length).await?;
        if let Some(before) = before.take() {
            before.await.ok()?;
        }
        before = Some(parts.write(of, part, data));
        left -= length as u64;
    }
    before?.await.ok()
}

fn let_go(parts: &PartWriter, header: &OutputHeader, (task, attempt): (TaskId, u32)) {
    for (stream, kept) in both(header) {
        if kept.beyond() > 0 {
            parts.drop_parts(OutputKey { task, attempt, stream });
        }
    }
}

fn both(header: &OutputHeader) -> [(Stream, &Kept); 2] {
    [(Stream::Stdout, &header.stdout), (Stream::Stderr, &header.stderr)]
}

/// Returns how many bytes were kept of a stream; its header was checked.
fn length(kept: &Kept) -> usize {
    kept.bytes().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX)
}

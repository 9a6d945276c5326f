//! `--line-buffer`: outputs of running tasks, followed and printed line by line. What a task
//! printed when nobody followed it comes with its end; see print.rs.

use std::collections::BTreeMap;
use std::sync::Arc;

use ganger_net::client::{CallError, Caller};
use ganger_net::limits::FOLLOWED_MAX;
use ganger_proto::command::Stream;
use ganger_proto::follow::{Cursor, Followed};
use ganger_proto::{Reply, Request, TaskId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::error::Result;
use super::super::reach;
use super::drive::Event;
use super::link::{Answer, Link};

/// Tasks that are followed.
#[derive(Default)]
pub(crate) struct Lives(BTreeMap<TaskId, Live>);

/// A task that is followed, and how far it was printed.
pub(crate) struct Live {
    /// Its argument.
    pub(crate) argument: Option<Vec<u8>>,
    /// Its place in the batch.
    pub(crate) index: u64,
    /// The attempt that is printed; 0 before the first.
    pub(crate) attempt: u32,
    /// How far each stream has come.
    pub(crate) cursor: Cursor,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    follower: JoinHandle<()>,
}

/// Bytes of a line that is held until its end comes; a longer one is printed in pieces.
const LINE_BYTES_MAX: usize = 1 << 20;

impl Live {
    /// Returns what is held of a stream: a line that has not ended.
    pub(crate) const fn held(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Takes what was followed; returns whole lines of a stream that can be printed.
    pub(crate) fn take(&mut self, followed: Followed) -> Option<(Stream, Vec<u8>)> {
        match followed {
            Followed::Attempt { attempt, .. } => {
                if attempt != self.attempt {
                    self.attempt = attempt;
                    self.cursor = Cursor::default();
                    (self.stdout, self.stderr) = (Vec::new(), Vec::new());
                }
                None
            }
            Followed::Piece(piece) => {
                // Something was left out for a slow reader: the rest comes with the end, whole.
                if piece.offset > self.cursor.next(piece.stream) {
                    return None;
                }
                let piece = self.cursor.take(piece)?;
                let held = self.held(piece.stream);
                held.extend_from_slice(&piece.bytes);
                let whole = held.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
                let whole = whole.or((held.len() > LINE_BYTES_MAX).then_some(held.len()))?;
                let rest = held.split_off(whole);
                Some((piece.stream, std::mem::replace(held, rest)))
            }
            // The end comes with the batch's ends.
            Followed::Ended { .. } => None,
        }
    }
}

impl Lives {
    /// Returns a task that is followed.
    pub(crate) fn of(&mut self, task: TaskId) -> Option<&mut Live> {
        self.0.get_mut(&task)
    }

    /// Follows it no more; returns how far it was printed.
    pub(crate) fn end(&mut self, task: TaskId) -> Option<Live> {
        let live = self.0.remove(&task)?;
        live.follower.abort();
        Some(live)
    }

    /// Follows those of the running tasks that are not, as many as one connection may.
    ///
    /// # Errors
    /// When the master refuses, or stays away.
    pub(crate) async fn follow(
        &mut self,
        link: &Arc<Link>,
        running: &[TaskId],
        events: &mpsc::Sender<Event>,
    ) -> Result<()> {
        for task in running {
            if self.0.len() >= FOLLOWED_MAX as usize {
                return Ok(());
            }
            if self.0.contains_key(task) {
                continue;
            }
            let Reply::Task(detail) = link.call(Request::Show { task: *task }).await? else {
                return Err(reach::unexpected());
            };
            let follower = tokio::spawn(one(Arc::clone(link), *task, events.clone()));
            let live = Live {
                argument: Some(detail.argument).filter(|argument| !argument.is_empty()),
                index: detail.index,
                attempt: 0,
                cursor: Cursor::default(),
                stdout: Vec::new(),
                stderr: Vec::new(),
                follower,
            };
            self.0.insert(*task, live);
        }
        Ok(())
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.0.values().for_each(|live| live.follower.abort());
    }
}

/// Follows one task to its end, also over several connections.
async fn one(link: Arc<Link>, task: TaskId, events: mpsc::Sender<Event>) {
    loop {
        let connection = link.current().await;
        let Err(error) = once(&connection.caller, task, &events).await else { return };
        // What is refused, or out of reach, comes with the task's end.
        let Ok(Answer::Again) = link.after(&connection, error).await else { return };
    }
}

async fn once(
    caller: &Caller,
    task: TaskId,
    events: &mpsc::Sender<Event>,
) -> Result<(), CallError> {
    let mut follow = caller.follow(task, None).await?;
    while let Some(came) = follow.next().await {
        // Waits when the loop is busy; the worker then drops what is in the middle of a flood.
        if events.send(Event::Live(task, came?)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ganger_proto::WallMs;
    use ganger_proto::follow::Piece;

    use super::*;

    #[tokio::test]
    async fn lines_come_whole_and_once() {
        let mut live = Live {
            argument: None,
            index: 0,
            attempt: 0,
            cursor: Cursor::default(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            follower: tokio::spawn(async {}),
        };
        let mut check = |offset: u64, text: &str, expected: Option<&str>| {
            let (stream, at, bytes) = (Stream::Stdout, WallMs(0), text.into());
            let piece = Piece { stream, offset, skipped: 0, at, bytes };
            let lines = live.take(Followed::Piece(piece)).map(|(_, lines)| lines);
            assert_eq!(lines.as_deref(), expected.map(str::as_bytes), "{text}");
        };
        check(0, "a", None);
        check(1, "b\nc\nd", Some("ab\nc\n"));
        check(0, "ab\nc\nd", None);
        check(4, "\ndef\n", Some("def\n"));
        check(20, "beyond a hole\n", None);
        assert_eq!(live.cursor.next(Stream::Stdout), 9);
        let again = Followed::Attempt { attempt: 2, worker: String::new() };
        assert!(live.take(again).is_none());
        assert_eq!(live.cursor.next(Stream::Stdout), 0);
    }
}

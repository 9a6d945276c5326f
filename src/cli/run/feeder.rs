//! Brings a run's arguments to the master while they are still being read: a task may end before
//! the last argument is known. Its two halves are a thread that reads and a future that sends.

use std::sync::Arc;
use std::time::Duration;

use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::{ArgList, Args, BatchId, Key, Reply, Request};
use tokio::sync::{mpsc, watch};

use super::super::error::{CliError, Result};
use super::super::reach;
use super::super::source::parts::{Fitting, Part, is_full};
use super::drive::Event;
use super::link::Link;

/// Arguments that were read and not sent; when there are more, the reader waits.
const READ_AHEAD: usize = 4_096;
/// How long a part waits for the next argument: so that a list goes in one part, and an argument
/// that comes alone goes at once.
const GATHER: Duration = Duration::from_millis(2);

/// Whether arguments are still wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// They are.
    More,
    /// What was sent is all.
    Enough,
}

/// Sends arguments as one submission.
pub(crate) struct Feeder {
    /// The connection.
    pub(crate) link: Arc<Link>,
    /// What makes the submission one.
    pub(crate) key: Key,
    /// What the tasks are.
    pub(crate) head: SubmitHead,
    /// Whether more is wanted.
    pub(crate) wanted: watch::Receiver<Wanted>,
    /// Who hears what is there.
    pub(crate) events: mpsc::Sender<Event>,
}

/// Where arguments come from.
pub(crate) enum Food {
    /// All at once.
    Whole(Args),
    /// One after the other.
    Read(mpsc::Receiver<Result<Vec<u8>>>),
}

impl Food {
    /// Begins to read.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn begin(mut fitting: Fitting) -> Result<Self> {
        if let Some(args) = fitting.source().whole() {
            return Ok(Self::Whole(args.clone()));
        }
        let (to, from) = mpsc::channel(READ_AHEAD);
        let read = move || {
            while let Some(next) = fitting.next().transpose() {
                let failed = next.is_err();
                // Nobody wants more: the run has ended or was stopped.
                if to.blocking_send(next).is_err() || failed {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("arguments".to_owned()).spawn(read);
        // Its handle is dropped: it may wait for standard input, which need not end before the run.
        thread.map_err(|error| CliError::io("cannot read arguments", &error))?;
        Ok(Self::Read(from))
    }
}

/// A part being gathered.
#[derive(Default)]
struct Gathered {
    list: ArgList,
    /// The argument that found no room.
    ahead: Option<Vec<u8>>,
    over: bool,
}

impl Feeder {
    /// Sends everything; says what is there.
    ///
    /// # Errors
    /// When the master refuses, or stays away. An argument that cannot be read is said; what came
    /// before it is a whole batch.
    pub(crate) async fn feed(mut self, food: Food) -> Result<()> {
        let mut from = match food {
            Food::Whole(args) => {
                let (batch, tasks) = self.send(0, Part { args, last: true }).await?;
                self.say(Event::Begun(batch)).await;
                self.say(Event::Whole(tasks)).await;
                return Ok(());
            }
            Food::Read(from) => from,
        };
        let (mut number, mut ahead) = (0, None);
        loop {
            let (gathered, failed) = self.gather(&mut from, ahead.take()).await;
            ahead = gathered.ahead;
            let over = gathered.over && ahead.is_none();
            if let Some(error) = failed {
                self.say(Event::Unread(error)).await;
            }
            if number == 0 && gathered.list.is_empty() {
                self.say(Event::Whole(0)).await;
                return Ok(());
            }
            let (batch, tasks) =
                self.send(number, Part { args: Args::Listed(gathered.list), last: over }).await?;
            if number == 0 {
                self.say(Event::Begun(batch)).await;
            }
            number += 1;
            if over {
                self.say(Event::Whole(tasks)).await;
                return Ok(());
            }
        }
    }

    /// Takes what there is, waiting for the first argument only.
    async fn gather(
        &mut self,
        from: &mut mpsc::Receiver<Result<Vec<u8>>>,
        ahead: Option<Vec<u8>>,
    ) -> (Gathered, Option<CliError>) {
        let mut part = Gathered::default();
        if let Some(argument) = ahead {
            part.list.push(&argument);
        }
        loop {
            let next = if part.list.is_empty() {
                tokio::select! {
                    next = from.recv() => Some(next),
                    _ = self.wanted.wait_for(|wanted| *wanted == Wanted::Enough) => Some(None),
                }
            } else {
                tokio::time::timeout(GATHER, from.recv()).await.ok()
            };
            let enough = *self.wanted.borrow() == Wanted::Enough;
            match next {
                Some(Some(Ok(argument))) if !enough => {
                    if is_full(&part.list, argument.len()) {
                        part.ahead = Some(argument);
                        return (part, None);
                    }
                    part.list.push(&argument);
                }
                Some(Some(Err(error))) => {
                    part.over = true;
                    return (part, Some(error));
                }
                Some(Some(Ok(_)) | None) => {
                    part.over = true;
                    return (part, None);
                }
                None => return (part, None),
            }
        }
    }

    /// Nobody hears it when the run has ended.
    async fn say(&self, event: Event) {
        self.events.send(event).await.unwrap_or_default();
    }

    async fn send(&self, number: u32, part: Part) -> Result<(BatchId, u64)> {
        let Part { args, last } = part;
        let head = (number == 0).then(|| self.head.clone());
        let head = head.map(Box::new);
        let submit = Submit { key: self.key, part: number, last, head, args };
        let reply = self.link.call(Request::Submit(submit)).await?;
        let Reply::Submitted { batch, tasks, .. } = reply else { return Err(reach::unexpected()) };
        Ok((batch, tasks))
    }
}

//! Asking a master: requests with their replies, and pictures. One task per connection reads and
//! hands each reply to whoever asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ganger_proto::message::{ClientMessage, Hello, HelloBody, MINOR, ToClient, Welcome};
use ganger_proto::picture::BatchRow;
use ganger_proto::{Picture, Refusal, Reply, Request, Watch};
use tokio::sync::{mpsc, watch};

use crate::client::{DialError, Dialer};
use crate::error::CloseCode;
use crate::frame::{FrameError, Inbox, encode};
use crate::limits::SILENCE_MAX;
use crate::pki::identity::ClientIdentity;
use crate::session::{Closed, Session};

/// Answers that wait for one asker: progress is dropped when it is full, the reply has its place.
const ANSWERS: usize = 8;

/// Asks a master: requests with their replies, and pictures. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    session: Session,
    welcome: Welcome,
    tags: AtomicU64,
    // Held for one look or one change; nothing awaits under it.
    open: Mutex<Open>,
    // One asker waits for pictures at a time.
    pictures: tokio::sync::Mutex<watch::Receiver<Option<Box<Picture>>>>,
    reading: tokio::task::AbortHandle,
}

/// Who waits for which reply.
#[derive(Debug, Default)]
struct Open {
    askers: HashMap<u64, mpsc::Sender<Answer>>,
    over: Option<Closed>,
}

#[derive(Debug)]
enum Answer {
    Progress(BatchRow),
    Reply(Box<Result<Reply, Refusal>>),
}

/// A request got no reply, or a refusal.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The master refused it.
    #[error("{0}")]
    Refused(Refusal),
    /// The connection ended before the reply.
    #[error("the connection to the master ended: {0}")]
    Lost(Closed),
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reading.abort();
        self.session.close(CloseCode::Done, "");
    }
}

impl Caller {
    /// Dials and says hello as a client.
    ///
    /// # Errors
    /// As [`Dialer::dial`].
    pub async fn connect(
        identity: &ClientIdentity,
        addresses: &[String],
    ) -> Result<Self, DialError> {
        let hello = Hello {
            minor: MINOR,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            body: HelloBody::Client,
        };
        let connected = Dialer::new(identity)?.dial(addresses, &hello).await?;
        let (to, pictures) = watch::channel(None);
        let shared = Arc::new_cyclic(|weak: &std::sync::Weak<Shared>| {
            let reading = tokio::spawn(read(connected.inbox, weak.clone(), to));
            Shared {
                session: connected.session,
                welcome: connected.welcome,
                tags: AtomicU64::new(1),
                open: Mutex::default(),
                pictures: tokio::sync::Mutex::new(pictures),
                reading: reading.abort_handle(),
            }
        });
        Ok(Self { shared })
    }

    /// Returns the master's welcome.
    pub fn welcome(&self) -> &Welcome {
        &self.shared.welcome
    }

    /// Returns the connection.
    pub fn session(&self) -> &Session {
        &self.shared.session
    }

    /// Sends a request and waits for its reply. Many may be open at once.
    ///
    /// # Errors
    /// When the master refuses, or the connection ends first.
    pub async fn call(&self, request: Request) -> Result<Reply, CallError> {
        self.call_with_progress(request, |_| {}).await
    }

    /// As [`Caller::call`], handing each progress report of a `Wait` to `progress`.
    ///
    /// # Errors
    /// As [`Caller::call`].
    pub async fn call_with_progress(
        &self,
        request: Request,
        mut progress: impl FnMut(BatchRow) + Send,
    ) -> Result<Reply, CallError> {
        let tag = self.shared.tags.fetch_add(1, Ordering::Relaxed);
        let (to, mut answers) = mpsc::channel(ANSWERS);
        self.shared.open().askers.insert(tag, to);
        let asker = Asker { shared: &self.shared, tag };
        self.send(&ClientMessage::Request { tag, request }).await?;
        loop {
            match answers.recv().await {
                Some(Answer::Progress(batch)) => progress(batch),
                Some(Answer::Reply(result)) => return result.map_err(CallError::Refused),
                None => {
                    drop(asker);
                    return Err(self.lost());
                }
            }
        }
    }

    /// Asks for pictures; replaces the previous watch.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn watch(&self, watch: Watch) -> Result<(), CallError> {
        self.send(&ClientMessage::Watch(watch)).await
    }

    /// Waits for the next picture and acknowledges it. Only the newest is kept. Ends with an error
    /// when nothing at all came for 5 s (the master pulses every 2 s) or the connection ended.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn next_picture(&self) -> Result<Box<Picture>, CallError> {
        let mut pictures = self.shared.pictures.lock().await;
        if pictures.changed().await.is_err() {
            return Err(self.lost());
        }
        let newest = pictures.borrow_and_update().clone();
        let Some(picture) = newest else { return Err(self.lost()) };
        drop(pictures);
        self.send(&ClientMessage::Seen { number: picture.number }).await?;
        Ok(picture)
    }

    async fn send(&self, message: &ClientMessage) -> Result<(), CallError> {
        let frame = encode(message).map_err(|error| {
            CallError::Refused(Refusal::Invalid(format!("the request cannot be sent: {error}")))
        })?;
        self.shared.session.outbox.send(frame).await.map_err(|_| self.lost())
    }

    fn lost(&self) -> CallError {
        let over = self.shared.open().over.clone();
        CallError::Lost(
            over.unwrap_or_else(|| Closed {
                code: None,
                sentence: "the connection ended".to_owned(),
            }),
        )
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        // The map is whole between statements, also after a panic elsewhere.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an asker out of the list, also when its future is dropped.
struct Asker<'a> {
    shared: &'a Shared,
    tag: u64,
}

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        self.shared.open().askers.remove(&self.tag);
    }
}

/// Reads until the connection ends or says nothing for too long.
async fn read(
    mut inbox: Inbox,
    shared: std::sync::Weak<Shared>,
    pictures: watch::Sender<Option<Box<Picture>>>,
) {
    let over = loop {
        let message = match tokio::time::timeout(SILENCE_MAX, inbox.next::<ToClient>()).await {
            Ok(Ok(message)) => message,
            Ok(Err(FrameError::Closed(closed))) => break closed,
            Ok(Err(error)) => break Closed { code: None, sentence: error.to_string() },
            Err(_) => {
                let sentence = "nothing was heard for 5 seconds".to_owned();
                break Closed { code: None, sentence };
            }
        };
        let Some(shared) = shared.upgrade() else { return };
        match message {
            ToClient::Picture(picture) => {
                pictures.send_replace(Some(picture));
            }
            ToClient::Reply { tag, result } => {
                let asker = shared.open().askers.remove(&tag);
                if let Some(asker) = asker {
                    // The asker's queue has room but for progress that it has not looked at yet.
                    asker.send(Answer::Reply(Box::new(result))).await.ok();
                }
            }
            ToClient::Progress { tag, batch } => {
                let asker = shared.open().askers.get(&tag).cloned();
                if let Some(asker) = asker {
                    asker.try_send(Answer::Progress(batch)).ok();
                }
            }
            ToClient::Pulse => {}
        }
    };
    if let Some(shared) = shared.upgrade() {
        let mut open = shared.open();
        open.over = Some(over);
        open.askers.clear();
    }
}

//! Asking a master: requests with their replies, pictures, followed output. Does not know what they
//! mean.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ganger_proto::message::{
    ClientMessage, FollowHeader, Hello, HelloBody, MINOR, ToClient, Welcome,
};
use ganger_proto::picture::BatchRow;
use ganger_proto::{Picture, Refusal, Reply, Request, TaskId, Watch};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::dial::{Connected, DialError, Dialer};
use super::follow::Follow;
use super::renew::renew;
use crate::error::CloseCode;
use crate::frame::{FrameError, Inbox, encode};
use crate::limits::SILENCE_MAX;
use crate::pki::identity::ClientIdentity;
use crate::session::{Closed, Session};
use crate::streams::FromStream;

/// Progress reports and the reply that wait for one caller. The reply always finds room: a report
/// that finds the last place but one taken is dropped, the next one says more.
const ANSWERS: usize = 8;

/// Asks a master: requests with their replies, pictures, followed output. Cheap to clone; the
/// connection ends with the last clone.
#[derive(Clone, Debug)]
pub struct Caller {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    session: Session,
    welcome: Welcome,
    tags: AtomicU64,
    reader: JoinHandle<()>,
    acceptor: JoinHandle<()>,
}

/// What the reader and the callers share.
#[derive(Debug, Default)]
struct Shared {
    /// Open requests; none once the connection has ended.
    open: Mutex<Open>,
    /// The newest picture that nobody has taken.
    picture: Mutex<Option<Box<Picture>>>,
    came: tokio::sync::Notify,
    lost: watch::Sender<Option<Closed>>,
}

#[derive(Debug, Default)]
struct Open {
    lost: Option<Closed>,
    requests: HashMap<u64, mpsc::Sender<Answer>>,
    /// Outputs that are to be followed and whose streams have not come.
    streams: HashMap<u64, oneshot::Sender<FromStream>>,
}

#[derive(Debug)]
enum Answer {
    Progress(BatchRow),
    Reply(Result<Reply, Refusal>),
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

impl Caller {
    /// Dials and says hello as a client. Renews the identity when it is due or the master asks
    /// for it.
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
        let Connected { session, inbox, welcome } = connected;
        if welcome.renew || identity.renews_at <= welcome.now {
            // What was asked for comes first: the next connection tries again.
            if let Err(error) = Box::pin(renew(&session, identity, welcome.now)).await {
                tracing::warn!(%error, "the identity was not renewed");
            }
        }
        let shared = Arc::new(Shared::default());
        let reader = tokio::spawn(read(inbox, shared.clone()));
        let acceptor = tokio::spawn(accept(session.clone(), shared.clone()));
        let tags = AtomicU64::new(1);
        let inner = Inner { shared, session, welcome, tags, reader, acceptor };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the master's welcome.
    pub fn welcome(&self) -> &Welcome {
        &self.inner.welcome
    }

    /// Tells whether both are one connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Returns the connection.
    pub fn session(&self) -> &Session {
        &self.inner.session
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
        let (open, answers) = self.open()?;
        self.ask(open.tag, request, answers, &mut progress).await
    }

    /// Follows the output of a task: of one attempt, or of the newest one and those after it.
    /// Nothing comes while none has started. Dropping what is returned stops it.
    ///
    /// # Errors
    /// When the master refuses, or the connection ends first.
    pub async fn follow(&self, task: TaskId, attempt: Option<u32>) -> Result<Follow, CallError> {
        let (open, answers) = self.open()?;
        let (to, stream) = oneshot::channel();
        lock(&self.inner.shared.open).streams.insert(open.tag, to);
        let request = Request::Follow { task, attempt };
        self.ask(open.tag, request, answers, &mut |_| {}).await?;
        match stream.await {
            Ok(stream) => Ok(Follow::new(self.clone(), stream)),
            Err(_) => Err(self.lost().await),
        }
    }

    async fn ask(
        &self,
        tag: u64,
        request: Request,
        mut answers: mpsc::Receiver<Answer>,
        progress: &mut (impl FnMut(BatchRow) + Send),
    ) -> Result<Reply, CallError> {
        self.send(&ClientMessage::Request { tag, request }).await?;
        while let Some(answer) = answers.recv().await {
            match answer {
                Answer::Progress(row) => progress(row),
                Answer::Reply(Ok(reply)) => return Ok(reply),
                Answer::Reply(Err(refusal)) => return Err(CallError::Refused(refusal)),
            }
        }
        Err(self.lost().await)
    }

    /// Asks for pictures; replaces the previous watch.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn watch(&self, watch: Watch) -> Result<(), CallError> {
        self.send(&ClientMessage::Watch(watch)).await
    }

    /// Asks for no more pictures.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn unwatch(&self) -> Result<(), CallError> {
        self.send(&ClientMessage::Unwatch).await
    }

    /// Waits for the next picture and acknowledges it. Only the newest is kept. Ends with an error
    /// when nothing at all came for 5 s (the master pulses every 2 s) or the connection ended.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn next_picture(&self) -> Result<Box<Picture>, CallError> {
        let mut lost = self.inner.shared.lost.subscribe();
        loop {
            let came = self.inner.shared.came.notified();
            if lost.borrow().is_some() {
                return Err(self.lost().await);
            }
            let picture = lock(&self.inner.shared.picture).take();
            if let Some(picture) = picture {
                self.send(&ClientMessage::Seen { number: picture.number }).await?;
                return Ok(picture);
            }
            tokio::select! {
                () = came => {}
                // Fails only when the sender is gone, and this end holds it.
                _ = lost.changed() => {}
            }
        }
    }

    /// Says goodbye and waits until the master can have heard it.
    pub async fn end(self) {
        self.inner.session.close(CloseCode::Done, "");
        let _closed = self.inner.session.closed().await;
    }

    fn open(&self) -> Result<(OpenRequest, mpsc::Receiver<Answer>), CallError> {
        let tag = self.inner.tags.fetch_add(1, Ordering::Relaxed);
        let (answer, answers) = mpsc::channel(ANSWERS);
        let mut open = lock(&self.inner.shared.open);
        if let Some(closed) = &open.lost {
            return Err(CallError::Lost(closed.clone()));
        }
        open.requests.insert(tag, answer);
        Ok((OpenRequest { tag, shared: self.inner.shared.clone() }, answers))
    }

    async fn send(&self, message: &ClientMessage) -> Result<(), CallError> {
        let frame = encode(message)
            .map_err(|error| CallError::Refused(Refusal::Invalid(error.to_string())))?;
        match self.inner.session.outbox.send(frame).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.lost().await),
        }
    }

    /// Says why the connection ended.
    pub(super) async fn lost(&self) -> CallError {
        let mut lost = self.inner.shared.lost.subscribe();
        let closed = match lost.wait_for(Option::is_some).await {
            Ok(closed) => closed.clone(),
            Err(_) => None,
        };
        let unknown = || Closed { code: None, sentence: "this end closed it".to_owned() };
        CallError::Lost(closed.unwrap_or_else(unknown))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.session.close(CloseCode::Done, "");
        self.reader.abort();
        self.acceptor.abort();
    }
}

/// A request that waits for its reply, and is forgotten when nobody waits any more.
#[derive(Debug)]
struct OpenRequest {
    tag: u64,
    shared: Arc<Shared>,
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut open = lock(&self.shared.open);
        open.requests.remove(&self.tag);
        open.streams.remove(&self.tag);
    }
}

/// Hands on what the master says until the connection ends or the master falls silent.
async fn read(mut inbox: Inbox, shared: Arc<Shared>) {
    let closed = loop {
        match tokio::time::timeout(SILENCE_MAX, inbox.next::<ToClient>()).await {
            Ok(Ok(message)) => shared.hand_on(message),
            Ok(Err(FrameError::Closed(closed))) => break closed,
            Ok(Err(error)) => break Closed { code: None, sentence: error.to_string() },
            Err(_) => {
                let sentence = format!("nothing was heard for {} s", SILENCE_MAX.as_secs());
                break Closed { code: None, sentence };
            }
        }
    };
    {
        let mut open = lock(&shared.open);
        open.lost = Some(closed.clone());
        shared.lost.send_replace(Some(closed));
        open.requests.clear();
        open.streams.clear();
    }
}

/// Hands on the streams that the master opens until the connection ends. One that nobody waits for
/// any more is dropped, which stops it.
async fn accept(session: Session, shared: Arc<Shared>) {
    while let Ok((FollowHeader { tag }, stream)) = session.next_stream().await {
        let waiting = lock(&shared.open).streams.remove(&tag);
        if let Some(waiting) = waiting {
            let _gone = waiting.send(stream);
        }
    }
}

impl Shared {
    fn hand_on(&self, message: ToClient) {
        match message {
            ToClient::Reply { tag, result } => {
                let waiting = lock(&self.open).requests.remove(&tag);
                if let Some(waiting) = waiting {
                    // Nobody waits any more: the reply is dropped.
                    let _gone = waiting.try_send(Answer::Reply(result));
                }
            }
            ToClient::Progress { tag, batch } => {
                let open = lock(&self.open);
                let waiting = open.requests.get(&tag).filter(|waiting| waiting.capacity() > 1);
                if let Some(waiting) = waiting {
                    let _gone = waiting.try_send(Answer::Progress(batch));
                }
            }
            ToClient::Picture(picture) => {
                *lock(&self.picture) = Some(picture);
                self.came.notify_one();
            }
            ToClient::Pulse => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds this lock")
}

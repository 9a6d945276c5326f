//! What reaches the master's loop, and the tasks that bring it: one that accepts, and one reader
//! per connection. They only receive and pass on.

use std::sync::Arc;

use ganger_net::CloseCode;
use ganger_net::frame::{FrameError, Inbox};
use ganger_net::server::{Arrival, Server};
use ganger_net::session::Session;
use ganger_net::streams::FromStream;
use ganger_proto::limits::{OUTPUT_HEAD_BYTES, OUTPUT_TAIL_BYTES};
use ganger_proto::message::{
    ClientMessage, HelloBody, LiveHeader, OutputHeader, WorkerHello, WorkerMessage, WorkerStream,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::mailbox::{PEER_BYTES, Room, Share};
use super::outputs::{Long, LongEnded};
use crate::engine::input::ClientId;

pub(super) use super::mailbox::{Mail, Mailbox};

/// Bytes of one worker's kept outputs that are read or wait for the loop: two of the longest.
const OUTPUT_BYTES: usize = 2 * 2 * (OUTPUT_HEAD_BYTES + OUTPUT_TAIL_BYTES);

/// Streams of kept output that wait to be read; further ones wait at the worker.
const OUTPUTS_WAITING: usize = 1_024;

/// Streams of long output that wait; a worker sends one at a time.
const LONG_WAITING: usize = 1;

/// A worker's connection, as the master numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// One input of the loop.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A worker connected.
    WorkerCame {
        /// Its connection.
        connection: ConnectionId,
        /// Who it is and how to reach it.
        arrival: Box<Peering>,
        /// What it presents.
        hello: WorkerHello,
    },
    /// A worker said something.
    WorkerSaid { connection: ConnectionId, message: WorkerMessage, room: Room },
    /// A worker sent an attempt's output.
    WorkerOutput { connection: ConnectionId, header: OutputHeader, bytes: Vec<u8>, room: Room },
    /// A worker begins to send an attempt's long output.
    WorkerLong { connection: ConnectionId, long: Box<Long> },
    /// All of a long output is in the store but for what ties it together, or it broke off.
    LongEnded { connection: ConnectionId, ended: LongEnded },
    /// A worker sends what a followed attempt writes.
    WorkerLive { connection: ConnectionId, header: LiveHeader, stream: FromStream },
    /// A client's follower is gone: all was sent, or nobody listens any more.
    FollowerLeft { client: ClientId, tag: u64 },
    /// A worker's connection ended.
    WorkerLeft { connection: ConnectionId },
    /// A client connected.
    ClientCame {
        /// Its number.
        client: ClientId,
        /// Who it is and how to reach it.
        arrival: Box<Peering>,
    },
    /// A client said something.
    ClientSaid { client: ClientId, message: ClientMessage, room: Room },
    /// A client's connection ended.
    ClientLeft { client: ClientId },
    /// The process was told to stop.
    Stop,
}

impl Incoming {
    pub(super) const fn is_beat(&self) -> bool {
        matches!(self, Self::WorkerSaid { message: WorkerMessage::Heartbeat { .. }, .. })
    }

    /// Tells whether it is heard while the disk is full: it concerns clients, or ends the master.
    pub(super) const fn is_clients(&self) -> bool {
        match self {
            Self::ClientCame { .. }
            | Self::ClientSaid { .. }
            | Self::ClientLeft { .. }
            | Self::FollowerLeft { .. }
            | Self::Stop => true,
            Self::WorkerCame { .. }
            | Self::WorkerSaid { .. }
            | Self::WorkerOutput { .. }
            | Self::WorkerLong { .. }
            | Self::LongEnded { .. }
            | Self::WorkerLive { .. }
            | Self::WorkerLeft { .. } => false,
        }
    }

    /// Returns about how many bytes it may bring to the store.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::WorkerSaid { room, .. }
            | Self::WorkerOutput { room, .. }
            | Self::ClientSaid { room, .. } => room.num_permits(),
            Self::WorkerCame { .. }
            | Self::WorkerLong { .. }
            | Self::LongEnded { .. }
            | Self::WorkerLive { .. }
            | Self::FollowerLeft { .. }
            | Self::WorkerLeft { .. }
            | Self::ClientCame { .. }
            | Self::ClientLeft { .. }
            | Self::Stop => 0,
        }
    }
}

/// An arrival without its inbox, which its reader keeps.
#[derive(Debug)]
pub(super) struct Peering {
    pub(super) peer: ganger_net::session::Peer,
    pub(super) session: Session,
    pub(super) hello: ganger_proto::message::Hello,
}

/// Accepts connections until the server closes; its readers end with it.
pub(super) async fn accept(server: Arc<Server>, mail: Mailbox) {
    let mut readers = JoinSet::new();
    while let Some(arrival) = server.accept().await {
        while readers.try_join_next().is_some() {}
        readers.spawn(read(arrival, mail.clone()));
    }
    readers.shutdown().await;
}

async fn read(arrival: Arrival, mail: Mailbox) {
    let Arrival { peer, session, inbox, hello } = arrival;
    let body = hello.body.clone();
    let arrival = Box::new(Peering { peer, session: session.clone(), hello });
    match body {
        HelloBody::Worker(hello) => {
            let connection = ConnectionId(mail.number());
            if mail.put(Incoming::WorkerCame { connection, arrival, hello }).await {
                let (outputs, short) = mpsc::channel(OUTPUTS_WAITING);
                let (to_long, long) = mpsc::channel(LONG_WAITING);
                tokio::select! {
                    () = read_worker(connection, inbox, &session, &mail) => {}
                    () = read_streams(connection, &session, (outputs, to_long), &mail) => {}
                    () = read_outputs(connection, short, &mail) => {}
                    () = read_long(connection, long, &mail) => {}
                }
                mail.put(Incoming::WorkerLeft { connection }).await;
            }
        }
        HelloBody::Client => {
            let client = ClientId(mail.number());
            if mail.put(Incoming::ClientCame { client, arrival }).await {
                read_client(client, inbox, &session, &mail).await;
                mail.put(Incoming::ClientLeft { client }).await;
            }
        }
    }
}

async fn read_worker(connection: ConnectionId, mut from: Inbox, to: &Session, mail: &Mailbox) {
    let share = Share::of(PEER_BYTES);
    loop {
        match from.next::<WorkerMessage>().await {
            Ok(message) if message.is_bounded() => {
                let said = |room| Incoming::WorkerSaid { connection, message, room };
                if !share.pass(from.newest_bytes(), mail, said).await {
                    return;
                }
            }
            Ok(_) => return end(to, "a message says more than a worker can hold"),
            Err(error) => return refuse(to, &error),
        }
    }
}

/// Boxed: a channel has room for thirty-two from the start, and most workers never send one.
type Begun = Box<(OutputHeader, FromStream)>;
type ToRead = mpsc::Sender<Begun>;

/// Sorts the streams that a worker opens: kept output waits in a queue, long output in another, and
/// live output goes on at once, however slowly the others come.
async fn read_streams(
    connection: ConnectionId,
    from: &Session,
    (short, long): (ToRead, ToRead),
    mail: &Mailbox,
) {
    while let Ok((header, stream)) = from.next_stream().await {
        match header {
            WorkerStream::Output(header) if header.bytes().is_none() => {
                tracing::warn!(remote = %from.remote(), "an output over its limits is not read");
            }
            WorkerStream::Output(header) if header.is_long() => {
                // Dropped, one too many is stopped; others need not wait for it.
                if long.try_send(Box::new((header, stream))).is_err() {
                    tracing::warn!(remote = %from.remote(), "too many long outputs at once");
                }
            }
            WorkerStream::Output(header) => {
                if short.send(Box::new((header, stream))).await.is_err() {
                    return;
                }
            }
            WorkerStream::Live(header) => {
                if !mail.put(Incoming::WorkerLive { connection, header, stream }).await {
                    return;
                }
            }
        }
    }
    // The control stream's reader hears why the connection ended.
    std::future::pending::<()>().await;
}

/// Reads kept outputs whole, one after the other, while there is room for them.
async fn read_outputs(
    connection: ConnectionId,
    mut streams: mpsc::Receiver<Begun>,
    mail: &Mailbox,
) {
    let share = Share::of(OUTPUT_BYTES);
    while let Some(begun) = streams.recv().await {
        let (header, stream) = *begun;
        // One over its limits was not let in here.
        let bytes = header.bytes().and_then(|bytes| usize::try_from(bytes).ok());
        let read = Box::pin(async {
            let room = share.later(bytes.unwrap_or(OUTPUT_BYTES)).await?;
            Some((stream.output(&header).await?, room))
        });
        if let Some((bytes, room)) = read.await
            && !mail.put(Incoming::WorkerOutput { connection, header, bytes, room }).await
        {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Hands on long outputs, one after the other.
async fn read_long(connection: ConnectionId, mut streams: mpsc::Receiver<Begun>, mail: &Mailbox) {
    while let Some(begun) = streams.recv().await {
        let (header, stream) = *begun;
        let (turn, over) = oneshot::channel();
        let long = Box::new(Long { header, stream, turn });
        if !mail.put(Incoming::WorkerLong { connection, long }).await {
            return;
        }
        // Nothing is sent: the other end is dropped when it is over.
        let _over = over.await;
    }
    std::future::pending::<()>().await;
}

async fn read_client(client: ClientId, mut from: Inbox, to: &Session, mail: &Mailbox) {
    let share = Share::of(PEER_BYTES);
    loop {
        match from.next::<ClientMessage>().await {
            Ok(message) => {
                let said = |room| Incoming::ClientSaid { client, message, room };
                if !share.pass(from.newest_bytes(), mail, said).await {
                    return;
                }
            }
            Err(error) => return refuse(to, &error),
        }
    }
}

/// Ends a connection on which garbage came; one that has ended needs nothing.
fn refuse(to: &Session, error: &FrameError) {
    if !matches!(error, FrameError::Closed(_)) {
        tracing::warn!(remote = %to.remote(), %error, "a peer sent what cannot be read");
        to.close(CloseCode::Protocol, "a message could not be read");
    }
}

/// Ends a connection whose peer says what no honest one does.
fn end(to: &Session, why: &str) {
    tracing::warn!(remote = %to.remote(), why, "a peer's connection is ended");
    to.close(CloseCode::Protocol, why);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of<A, B, F>(_: fn(A, B) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    #[test]
    fn what_waits_for_an_idle_worker_is_small() {
        let bytes = size_of(read);
        assert!(bytes <= 4_000, "{bytes} bytes for each connection");
    }
}

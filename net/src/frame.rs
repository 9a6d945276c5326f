//! Frames: a 4-byte little-endian length, then a postcard body. One writer task per connection
//! gathers what waits into writes of up to 64 KiB. Does not know what the frames say.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use ganger_proto::limits::FRAME_BYTES_MAX;
use quinn::{ReadError, RecvStream, SendStream, WriteError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::error::CloseCode;
use crate::limits::{
    OUTBOX_BYTES, OUTBOX_FRAMES, PROGRESS_BYTES, PROGRESS_TIMEOUT, READ_CHUNKS, WRITE_BYTES,
};
use crate::session::{Closed, Goodbye, closing};

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// Encodes one message as a frame, length included.
///
/// # Errors
/// When the body is longer than [`FRAME_BYTES_MAX`].
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, FrameError> {
    let body = Body(vec![0; LENGTH_BYTES]);
    // Our own messages hold nothing that postcard cannot carry.
    let mut frame = postcard::serialize_with_flavor::<T, Body, Vec<u8>>(message, body)
        .map_err(|_| FrameError::Malformed)?;
    let bytes = frame.len() - LENGTH_BYTES;
    if bytes > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes });
    }
    let length = u32::try_from(bytes).expect("the limit of a frame fits 32 bits");
    if let Some(place) = frame.first_chunk_mut::<LENGTH_BYTES>() {
        *place = length.to_le_bytes();
    }
    Ok(frame.into())
}

/// A message cannot be a frame, or bytes are none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The body passes the limit.
    #[error("a frame of {bytes} bytes is over the limit of {FRAME_BYTES_MAX}; send less at once")]
    TooLarge {
        /// The body's length in bytes.
        bytes: usize,
    },
    /// The body is not the message that was expected.
    #[error("a frame cannot be read; install the same release on both ends")]
    Malformed,
    /// The stream or the connection ended.
    #[error("{0}")]
    Closed(Closed),
}

/// Where frames to one peer are put; cheap to clone. Bounded: when full, `try_send` says so and
/// `send` waits.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// When full, the peer reads too slowly; see [`Outbox::try_send`].
    frames: mpsc::Sender<Bytes>,
    /// One permit a byte; given back when the transport has taken the frame.
    room: Arc<Semaphore>,
}

/// A frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer reads too slowly.
    #[error("the peer reads too slowly")]
    Full,
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed,
}

impl Outbox {
    /// Makes an outbox and the end that writes what is put there.
    pub(crate) fn new() -> (Self, Writer) {
        let (frames, waiting) = mpsc::channel(OUTBOX_FRAMES);
        let room = Arc::new(Semaphore::new(OUTBOX_BYTES));
        let writer = Writer {
            waiting,
            room: room.clone(),
            frames: VecDeque::new(),
            chunk: Bytes::new(),
            owed: 0,
        };
        (Self { frames, room }, writer)
    }

    /// Puts a frame without waiting.
    ///
    /// # Errors
    /// When the outbox is full or the connection has ended.
    pub fn try_send(&self, frame: Bytes) -> Result<(), SendError> {
        let place = self.frames.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => SendError::Full,
            mpsc::error::TrySendError::Closed(()) => SendError::Closed,
        })?;
        let room = self.room.try_acquire_many(weight(&frame)).map_err(|error| match error {
            tokio::sync::TryAcquireError::NoPermits => SendError::Full,
            tokio::sync::TryAcquireError::Closed => SendError::Closed,
        })?;
        room.forget();
        place.send(frame);
        Ok(())
    }

    /// Puts a frame, waiting for room.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&self, frame: Bytes) -> Result<(), SendError> {
        let place = self.frames.reserve().await.map_err(|_| SendError::Closed)?;
        let room = self.room.acquire_many(weight(&frame)).await.map_err(|_| SendError::Closed)?;
        room.forget();
        place.send(frame);
        Ok(())
    }
}

/// A frame's share of the outbox; a frame that no peer would take still fits into an empty one.
fn weight(frame: &Bytes) -> u32 {
    u32::try_from(frame.len().min(OUTBOX_BYTES)).expect("the outbox's bytes fit 32 bits")
}

/// The end of an outbox that writes. What it holds it keeps when `run` is cancelled.
#[derive(Debug)]
pub(crate) struct Writer {
    waiting: mpsc::Receiver<Bytes>,
    room: Arc<Semaphore>,
    /// Taken from the outbox, not gathered yet.
    frames: VecDeque<Bytes>,
    /// What the transport has not taken of the present write.
    chunk: Bytes,
    /// The present write's share of the outbox.
    owed: usize,
}

impl Writer {
    /// Writes what comes until all outboxes are dropped, or after `shut` until nothing waits.
    /// Cancel-safe.
    pub(crate) async fn run(&mut self, stream: &mut SendStream) -> Result<(), WriteError> {
        let mut taken = Vec::new();
        loop {
            while !self.chunk.is_empty() {
                stream.write_chunks(std::slice::from_mut(&mut self.chunk)).await?;
            }
            self.room.add_permits(std::mem::take(&mut self.owed));
            if self.frames.is_empty() {
                if self.waiting.recv_many(&mut taken, OUTBOX_FRAMES).await == 0 {
                    return Ok(());
                }
                self.frames.extend(taken.drain(..));
            }
            self.gather();
        }
    }

    /// Takes no more frames; those that wait can still be written.
    pub(crate) fn shut(&mut self) {
        self.waiting.close();
    }

    /// Makes the next write of what waits: one large frame, or many small ones.
    fn gather(&mut self) {
        let Some(first) = self.frames.pop_front() else { return };
        self.owed = weight(&first) as usize;
        let fits = |bytes: usize, next: Option<&Bytes>| {
            next.is_some_and(|next| bytes + next.len() <= WRITE_BYTES)
        };
        if !fits(first.len(), self.frames.front()) {
            self.chunk = first;
            return;
        }
        let mut gathered = BytesMut::with_capacity(WRITE_BYTES);
        gathered.extend_from_slice(&first);
        while fits(gathered.len(), self.frames.front()) {
            let Some(frame) = self.frames.pop_front() else { break };
            self.owed += weight(&frame) as usize;
            gathered.extend_from_slice(&frame);
        }
        self.chunk = gathered.freeze();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.room.close();
    }
}

/// Frames from one peer.
#[derive(Debug)]
pub struct Inbox {
    stream: RecvStream,
    connection: quinn::Connection,
    /// Set when this end closes: nothing that comes later counts.
    goodbye: watch::Receiver<Option<Goodbye>>,
    bytes: BytesMut,
    /// Where the transport puts what it received, a packet's share each. Boxed: an inbox is moved
    /// into tasks that keep room for it in each of their states.
    chunks: Box<[Bytes; READ_CHUNKS]>,
    /// By when a begun frame must have brought how many bytes in all; none between frames.
    progress: Option<Progress>,
    received: usize,
    /// Bytes of the newest frame's body.
    newest: usize,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    until: Instant,
    received: usize,
}

impl Inbox {
    pub(crate) fn new(
        stream: RecvStream,
        connection: quinn::Connection,
        goodbye: watch::Receiver<Option<Goodbye>>,
    ) -> Self {
        Self {
            stream,
            connection,
            goodbye,
            bytes: BytesMut::new(),
            chunks: Default::default(),
            progress: None,
            received: 0,
            newest: 0,
        }
    }

    /// Waits for the next frame and decodes it. Cancel-safe.
    ///
    /// # Errors
    /// When the frame is malformed or too large, or the connection has ended.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<T, FrameError> {
        loop {
            if let Some(goodbye) = &*self.goodbye.borrow() {
                return Err(FrameError::Closed(goodbye.closed()));
            }
            if let Some(body) = split(&mut self.bytes)? {
                self.progress = None;
                self.newest = body.len();
                return decode(&body);
            }
            self.read().await?;
        }
    }

    /// Returns how many bytes the frame had that [`Inbox::next`] returned last.
    pub const fn newest_bytes(&self) -> usize {
        self.newest
    }

    /// Waits for more bytes of the frame.
    async fn read(&mut self) -> Result<(), FrameError> {
        let stalled = self.stalled();
        let read = tokio::select! {
            read = self.stream.read_chunks(self.chunks.as_mut_slice()) => read,
            () = closing(&mut self.goodbye) => return Ok(()),
            () = stalled => return self.judge_progress(),
        };
        match read {
            Ok(Some(count)) => {
                for chunk in self.chunks.iter_mut().take(count) {
                    self.received = self.received.wrapping_add(chunk.len());
                    self.bytes.extend_from_slice(&std::mem::take(chunk));
                }
                Ok(())
            }
            Ok(None) => Err(FrameError::Closed(self.last_word().await)),
            Err(ReadError::ConnectionLost(error)) => Err(FrameError::Closed((&error).into())),
            Err(
                ReadError::Reset(_)
                | ReadError::ClosedStream
                | ReadError::IllegalOrderedRead
                | ReadError::ZeroRttRejected,
            ) => Err(FrameError::Closed(self.last_word().await)),
        }
    }

    /// Waits until a begun frame is overdue; for ever between frames.
    fn stalled(&mut self) -> impl Future<Output = ()> + use<> {
        if self.bytes.is_empty() {
            self.progress = None;
        } else if self.progress.is_none() {
            let until = Instant::now() + PROGRESS_TIMEOUT;
            self.progress = Some(Progress { until, received: self.received });
        }
        let until = self.progress.map(|progress| progress.until);
        async move {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        }
    }

    fn judge_progress(&mut self) -> Result<(), FrameError> {
        let before = self.progress.take();
        let brought = before.map_or(0, |progress| self.received.wrapping_sub(progress.received));
        if brought >= PROGRESS_BYTES {
            return Ok(());
        }
        let why = "a frame began and did not come to its end";
        let closed = self.ended(why);
        self.connection.close(CloseCode::TooSlow.wire(), why.as_bytes());
        Err(FrameError::Closed(closed))
    }

    fn ended(&self, why: &str) -> Closed {
        match self.connection.close_reason() {
            Some(error) => (&error).into(),
            None => Closed { code: None, sentence: why.to_owned() },
        }
    }

    /// A peer that closes ends its stream a moment before; the close says why.
    async fn last_word(&self) -> Closed {
        let close = tokio::time::timeout(crate::limits::SHUTDOWN_TIMEOUT, self.connection.closed());
        match close.await {
            Ok(error) => (&error).into(),
            Err(_) => self.ended("the other end sends nothing more"),
        }
    }
}

/// Takes the first whole frame's body out of `bytes`.
pub(crate) fn split(bytes: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes: length });
    }
    if bytes.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    bytes.advance(LENGTH_BYTES);
    Ok(Some(bytes.split_to(length).freeze()))
}

/// Decodes a body; every byte must belong to the message.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        Ok(_) | Err(_) => Err(FrameError::Malformed),
    }
}

/// Collects postcard's output behind the room for the length.
struct Body(Vec<u8>);

impl postcard::ser_flavors::Flavor for Body {
    type Output = Vec<u8>;

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Nearly all are short numbers; where the compiler knows the length it makes no call.
        match *bytes {
            [a] => self.0.push(a),
            [a, b] => self.0.extend_from_slice(&[a, b]),
            [a, b, c] => self.0.extend_from_slice(&[a, b, c]),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_split_at_their_length() {
        let mut bytes = BytesMut::new();
        for text in ["", "a", "two"] {
            bytes.extend_from_slice(&encode(&text).unwrap());
        }
        for text in ["", "a", "two"] {
            let body = split(&mut bytes).unwrap().unwrap();
            assert_eq!(decode::<String>(&body).unwrap(), text);
        }
        assert!(split(&mut bytes).unwrap().is_none());
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_bytes_come() {
        let mut bytes = BytesMut::from(&u32::MAX.to_le_bytes()[..]);
        assert!(matches!(split(&mut bytes), Err(FrameError::TooLarge { .. })));
        assert!(bytes.capacity() < 1 << 10);
        let large = vec![0_u8; FRAME_BYTES_MAX + 1];
        assert!(matches!(encode(&large), Err(FrameError::TooLarge { .. })));
        assert!(encode(&vec![0_u8; FRAME_BYTES_MAX - 8]).is_ok());
    }

    #[test]
    fn a_body_is_one_message_and_no_more() {
        assert!(matches!(decode::<u8>(&[1, 2]), Err(FrameError::Malformed)));
        assert!(matches!(decode::<String>(&[200, 1]), Err(FrameError::Malformed)));
        // A vector of four thousand million strings, in five bytes.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(decode::<Vec<String>>(&lie), Err(FrameError::Malformed)));
    }

    #[tokio::test]
    async fn an_outbox_is_bounded_in_frames_and_in_bytes() {
        let (outbox, _writer) = Outbox::new();
        for _ in 0..OUTBOX_FRAMES {
            outbox.try_send(Bytes::from_static(b"x")).unwrap();
        }
        assert_eq!(outbox.try_send(Bytes::from_static(b"x")), Err(SendError::Full));
        let (outbox, writer) = Outbox::new();
        let megabyte = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..OUTBOX_BYTES >> 20 {
            outbox.try_send(megabyte.clone()).unwrap();
        }
        assert_eq!(outbox.try_send(megabyte.clone()), Err(SendError::Full));
        drop(writer);
        assert_eq!(outbox.try_send(megabyte.clone()), Err(SendError::Closed));
        assert_eq!(outbox.send(megabyte).await, Err(SendError::Closed));
    }
}

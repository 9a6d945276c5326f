//! Frames: a 4-byte little-endian length, then a postcard body. One writer task per connection
//! gathers what waits into writes of up to 64 KiB. Knows no message's meaning.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use ganger_proto::limits::FRAME_BYTES_MAX;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, mpsc};

use crate::error;
use crate::limits::{FRAME_STALL_MAX, OUTBOX_BYTES, OUTBOX_FRAMES, WRITE_BYTES};
use crate::session::Closed;

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// Encodes one message as a frame, length included.
///
/// # Errors
/// When the body is longer than [`FRAME_BYTES_MAX`](ganger_proto::limits::FRAME_BYTES_MAX).
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, FrameError> {
    let mut frame =
        postcard::to_extend(message, vec![0; LENGTH_BYTES]).map_err(|_| FrameError::Malformed)?;
    let bytes = frame.len() - LENGTH_BYTES;
    let length = u32::try_from(bytes).map_err(|_| FrameError::TooLarge { bytes })?;
    if bytes > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes });
    }
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(frame.into())
}

/// A message cannot be a frame, or bytes are none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The body passes the limit.
    #[error("a frame of {bytes} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLarge {
        /// The body's length in bytes.
        bytes: usize,
    },
    /// The body is not the message that was expected.
    #[error("a frame cannot be read")]
    Malformed,
    /// A frame was begun and did not go on.
    #[error("a frame stood still for too long")]
    Stalled,
    /// The stream or the connection ended.
    #[error("{0}")]
    Closed(Closed),
}

/// Where frames to one peer are put; cheap to clone. Bounded in frames and bytes: when full,
/// `try_send` says so and `send` waits.
#[derive(Clone, Debug)]
pub struct Outbox {
    to: mpsc::Sender<Bytes>,
    bytes: Arc<AtomicUsize>,
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
    /// Starts the writer of a stream. It resets the stream when it is told to stop.
    pub(crate) fn start(stream: SendStream, stop: Arc<Notify>) -> Self {
        let (to, from) = mpsc::channel(OUTBOX_FRAMES);
        let bytes = Arc::new(AtomicUsize::new(0));
        // The task ends when all outboxes are dropped, the stream breaks, or it is told to.
        tokio::spawn(write(stream, from, bytes.clone(), stop));
        Self { to, bytes }
    }

    /// Puts a frame without waiting.
    ///
    /// # Errors
    /// When the outbox is full or the connection has ended.
    pub fn try_send(&self, frame: Bytes) -> Result<(), SendError> {
        let length = frame.len();
        let before = self.bytes.fetch_add(length, Ordering::Relaxed);
        let taken = if before > 0 && before + length > OUTBOX_BYTES {
            Err(SendError::Full)
        } else {
            self.to.try_send(frame).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SendError::Full,
                mpsc::error::TrySendError::Closed(_) => SendError::Closed,
            })
        };
        if taken.is_err() {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
        }
        taken
    }

    /// Puts a frame, waiting for room.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.bytes.fetch_add(frame.len(), Ordering::Relaxed);
        self.to.send(frame).await.map_err(|_| SendError::Closed)
    }
}

async fn write(
    mut stream: SendStream,
    mut from: mpsc::Receiver<Bytes>,
    waiting: Arc<AtomicUsize>,
    stop: Arc<Notify>,
) {
    tokio::select! {
        done = write_all(&mut stream, &mut from, &waiting) => {
            if done.is_ok() {
                stream.finish().ok();
            }
        }
        () = stop.notified() => {
            stream.reset(VarInt::from_u32(0)).ok();
        }
    }
}

async fn write_all(
    stream: &mut SendStream,
    from: &mut mpsc::Receiver<Bytes>,
    waiting: &AtomicUsize,
) -> Result<(), quinn::WriteError> {
    let mut frames = Vec::with_capacity(64);
    let mut gathered = BytesMut::new();
    while from.recv_many(&mut frames, 256).await > 0 {
        for frame in frames.drain(..) {
            waiting.fetch_sub(frame.len(), Ordering::Relaxed);
            if gathered.len() + frame.len() > WRITE_BYTES && !gathered.is_empty() {
                stream.write_chunk(gathered.split().freeze()).await?;
            }
            if frame.len() >= WRITE_BYTES / 4 {
                if !gathered.is_empty() {
                    stream.write_chunk(gathered.split().freeze()).await?;
                }
                stream.write_chunk(frame).await?;
            } else {
                gathered.put(frame);
            }
        }
        if !gathered.is_empty() {
            stream.write_chunk(gathered.split().freeze()).await?;
        }
    }
    Ok(())
}

/// Frames from one peer.
#[derive(Debug)]
pub struct Inbox {
    stream: RecvStream,
    connection: Connection,
    buffer: BytesMut,
}

impl Inbox {
    pub(crate) fn new(stream: RecvStream, connection: Connection) -> Self {
        Self { stream, connection, buffer: BytesMut::new() }
    }

    /// Waits for the next frame and decodes it. Cancel-safe.
    ///
    /// # Errors
    /// When the frame is malformed, too large or stands still, or the connection has ended.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<T, FrameError> {
        loop {
            if let Some(body) = self.take_body()? {
                return postcard::from_bytes(&body).map_err(|_| FrameError::Malformed);
            }
            let read = self.stream.read_chunk(FRAME_BYTES_MAX, true);
            let chunk = if self.buffer.is_empty() {
                read.await
            } else {
                tokio::time::timeout(FRAME_STALL_MAX, read)
                    .await
                    .map_err(|_| FrameError::Stalled)?
            };
            match chunk {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk.bytes),
                Ok(None) | Err(_) => return Err(FrameError::Closed(self.why().await)),
            }
        }
    }

    /// Splits one whole body off the buffer; the length is checked before anything grows for it.
    fn take_body(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let bytes = u32::from_le_bytes(*length) as usize;
        if bytes > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge { bytes });
        }
        if self.buffer.len() < LENGTH_BYTES + bytes {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(LENGTH_BYTES + bytes);
        Ok(Some(frame.split_off(LENGTH_BYTES).freeze()))
    }

    /// Says why the stream ended: the connection's own reason, which follows a stream's end at once.
    async fn why(&self) -> Closed {
        let soon = std::time::Duration::from_millis(500);
        match tokio::time::timeout(soon, self.connection.closed()).await {
            Ok(reason) => error::closed(&reason),
            Err(_) => Closed { code: None, sentence: "the other end ended the stream".to_owned() },
        }
    }
}

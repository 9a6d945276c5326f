//! Streams of one direction beside the control stream: kept output as raw bytes, followed output as
//! frames for as long as somebody listens. Do not know whose output it is.

use bytes::{Bytes, BytesMut};
use ganger_proto::message::OutputHeader;
use quinn::{RecvStream, SendStream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::error::CloseCode;
use crate::frame::{FrameError, decode, encode, split};
use crate::limits::{OUTPUT_HEADER_BYTES_MAX, PROGRESS_BYTES, PROGRESS_TIMEOUT, READ_BYTES};
use crate::session::{Goodbye, closing};

/// The sending end. Dropped without [`ToStream::finish`] it breaks off, so that the other end does
/// not take a part for the whole.
#[derive(Debug)]
pub struct ToStream {
    stream: SendStream,
    goodbye: watch::Receiver<Option<Goodbye>>,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Finished,
}

/// The other end does not listen any more, or the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end does not listen any more")]
pub struct Unwanted;

impl ToStream {
    pub(crate) fn new(stream: SendStream, goodbye: watch::Receiver<Option<Goodbye>>) -> Self {
        // Heartbeats, reports and replies go first.
        let _ended = stream.set_priority(-1);
        Self { stream, goodbye, end: End::Open }
    }

    /// Sends a frame; waits while the other end reads slowly. Not cancel-safe: a part of the frame
    /// may have gone.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), Unwanted> {
        let frame = encode(message).map_err(|error| {
            tracing::error!(%error, "a message does not fit a frame");
            Unwanted
        })?;
        self.send_raw(frame).await
    }

    /// Sends bytes as they are; waits while the other end reads slowly. Not cancel-safe.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub async fn send_raw(&mut self, bytes: Bytes) -> Result<(), Unwanted> {
        tokio::select! {
            sent = self.stream.write_chunk(bytes) => sent.map_err(|_| Unwanted),
            () = closing(&mut self.goodbye) => Err(Unwanted),
        }
    }

    /// Waits until nobody listens any more. Cancel-safe.
    pub async fn unwanted(&mut self) {
        tokio::select! {
            _ = self.stream.stopped() => {}
            () = closing(&mut self.goodbye) => {}
        }
    }

    /// Ends the stream: all was said.
    pub fn finish(mut self) {
        let _ended = self.stream.finish();
        self.end = End::Finished;
    }

    /// Ends the stream and waits until all has arrived.
    ///
    /// # Errors
    /// When the other end does not take it.
    pub async fn arrived(mut self) -> Result<(), Unwanted> {
        let _ended = self.stream.finish();
        self.end = End::Finished;
        tokio::select! {
            stopped = self.stream.stopped() => match stopped {
                Ok(None) => Ok(()),
                Ok(Some(_)) | Err(_) => Err(Unwanted),
            },
            () = closing(&mut self.goodbye) => Err(Unwanted),
        }
    }
}

impl Drop for ToStream {
    fn drop(&mut self) {
        if self.end == End::Open {
            let _ended = self.stream.reset(CloseCode::Done.wire());
        }
    }
}

/// The receiving end; dropped, it tells the other end to stop.
#[derive(Debug)]
pub struct FromStream {
    stream: RecvStream,
    bytes: BytesMut,
}

impl FromStream {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, bytes: BytesMut::new() }
    }

    /// Reads the first frame; nothing when it is malformed or does not come in time.
    pub(crate) async fn header<H: DeserializeOwned>(&mut self) -> Option<H> {
        let header = tokio::time::timeout(PROGRESS_TIMEOUT, read_header(&mut self.stream));
        let header = header.await.ok().and_then(Result::ok);
        if header.is_none() {
            let _ended = self.stream.stop(CloseCode::Protocol.wire());
        }
        header
    }

    /// Waits for the next frame; none when the other end has finished. Cancel-safe.
    ///
    /// # Errors
    /// When a frame is malformed or too large, or the stream was broken off.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        loop {
            if let Some(body) = split(&mut self.bytes)? {
                return decode(&body).map(Some);
            }
            match self.stream.read_chunk(READ_BYTES, true).await {
                Ok(Some(chunk)) => self.bytes.extend_from_slice(&chunk.bytes),
                Ok(None) if self.bytes.is_empty() => return Ok(None),
                Ok(None) | Err(_) => return Err(FrameError::Malformed),
            }
        }
    }

    /// Reads a whole kept output that is not long; nothing when it does not keep to its header,
    /// stalls, or is broken off.
    pub async fn output(mut self, header: &OutputHeader) -> Option<Vec<u8>> {
        let bytes = match header.bytes().filter(|_| !header.is_long()) {
            Some(bytes) => self.whole(usize::try_from(bytes).ok()?).await,
            None => None,
        };
        if bytes.is_none() {
            let _ended = self.stream.stop(CloseCode::Protocol.wire());
        }
        bytes
    }

    async fn whole(&mut self, length: usize) -> Option<Vec<u8>> {
        let bytes = self.part(length).await?;
        self.at_end().await.then_some(bytes)
    }

    /// Reads the next raw bytes, exactly so many; nothing when they stall or the stream ends
    /// before. Not cancel-safe.
    pub async fn part(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut marked = 0;
        let mut until = tokio::time::Instant::now() + PROGRESS_TIMEOUT;
        while bytes.len() < length {
            let most = READ_BYTES.min(length - bytes.len());
            match tokio::time::timeout_at(until, self.stream.read_chunk(most, true)).await {
                Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk.bytes),
                Ok(Ok(None) | Err(_)) => return None,
                Err(_) if bytes.len() - marked >= PROGRESS_BYTES => {
                    marked = bytes.len();
                    until += PROGRESS_TIMEOUT;
                }
                Err(_) => return None,
            }
        }
        Some(bytes)
    }

    /// Tells whether the stream ends here, within a moment.
    pub async fn at_end(&mut self) -> bool {
        let end = tokio::time::timeout(PROGRESS_TIMEOUT, self.stream.read_chunk(1, true));
        matches!(end.await, Ok(Ok(None)))
    }
}

async fn read_header<H: DeserializeOwned>(stream: &mut RecvStream) -> Result<H, FrameError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(|_| FrameError::Malformed)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    let mut body = [0; OUTPUT_HEADER_BYTES_MAX];
    let body = body.get_mut(..length).ok_or(FrameError::TooLarge { bytes: length })?;
    stream.read_exact(body).await.map_err(|_| FrameError::Malformed)?;
    decode(body)
}

//! Frames: a 4-byte little-endian length, then a postcard body. One writer task per connection
//! gathers what waits into writes of up to 64 KiB.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes one message as a frame, length included.
///
/// # Errors
/// When the body is longer than [`FRAME_BYTES_MAX`](ganger_proto::limits::FRAME_BYTES_MAX).
pub fn encode<T: Serialize>(_message: &T) -> Result<Bytes, FrameError> {
    unimplemented!()
}

/// A message cannot be a frame, or bytes are none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The body passes the limit.
    #[error("a frame of {bytes} bytes is over the limit")]
    TooLarge {
        /// The body's length in bytes.
        bytes: usize,
    },
    /// The body is not the message that was expected.
    #[error("a frame cannot be read")]
    Malformed,
    /// The stream or the connection ended.
    #[error("{0}")]
    Closed(crate::session::Closed),
}

/// Where frames to one peer are put; cheap to clone. Bounded: when full, `try_send` says so and
/// `send` waits.
#[derive(Clone, Debug)]
pub struct Outbox {}

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
    /// Puts a frame without waiting.
    ///
    /// # Errors
    /// When the outbox is full or the connection has ended.
    pub fn try_send(&self, _frame: Bytes) -> Result<(), SendError> {
        unimplemented!()
    }

    /// Puts a frame, waiting for room.
    ///
    /// # Errors
    /// When the connection has ended.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn send(&self, _frame: Bytes) -> Result<(), SendError> {
        unimplemented!()
    }
}

/// Frames from one peer.
#[derive(Debug)]
pub struct Inbox {}

impl Inbox {
    /// Waits for the next frame and decodes it. Cancel-safe.
    ///
    /// # Errors
    /// When the frame is malformed or too large, or the connection has ended.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<T, FrameError> {
        unimplemented!()
    }
}

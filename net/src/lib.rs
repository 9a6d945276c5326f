//! What travels between ganger's processes, and who may send it. Knows certificates, connections,
//! frames and limits; does not know tasks, queues or the engine.
//!
//! | stream | opened by | carries |
//! | --- | --- | --- |
//! | control, bidirectional, one a connection | who dialled | `Hello`, `Welcome`, then the role's messages, framed |
//! | kept output, unidirectional | a worker | a `WorkerStream`, then raw bytes |
//! | live output, unidirectional | a worker | a `WorkerStream`, then `Piece`s, framed |
//! | followed output, unidirectional | the master | a `FollowHeader`, then `Followed`s, framed |
//! | joining, bidirectional, one a connection | a joiner | one request, one answer |

pub mod client;
pub mod error;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
pub mod pki;
pub mod server;
pub mod session;
mod socket;
pub mod streams;
pub mod tls;
mod transport;

pub use error::CloseCode;

/// The wall clock, handed in by the process so that tests can turn it.
pub type WallClock = std::sync::Arc<dyn Fn() -> ganger_proto::WallMs + Send + Sync>;

#[cfg(test)]
mod tests;

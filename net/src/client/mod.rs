//! The dialling end: joining, dialling with an identity, backing off, asking. Knows no task.

mod backoff;
mod caller;
mod dial;
mod follow;
mod join;

pub use backoff::Backoff;
pub use caller::{CallError, Caller};
pub use dial::{Connected, DialError, DialSocket, Dialer};
pub use follow::Follow;
pub use join::{JoinError, join, join_on};

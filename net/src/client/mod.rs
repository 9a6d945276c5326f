//! The dialling end: joining, dialling with an identity, renewing it, backing off,
//! asking. Knows no task.

mod backoff;
mod caller;
mod dial;
mod follow;
mod join;
mod renew;

pub use backoff::Backoff;
pub use caller::{CallError, Caller};
pub use dial::{Connected, DialError, DialSocket, Dialer};
pub use follow::Follow;
pub use join::{JoinError, join, join_on};
pub use renew::{RenewError, renew, renew_when_due};

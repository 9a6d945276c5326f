//! One output that is followed, as it comes to a client. Does not make it fit for a screen.

use ganger_proto::Refusal;
use ganger_proto::follow::{Followed, PIECE_BYTES_MAX};

use super::caller::{CallError, Caller};
use crate::frame::FrameError;
use crate::streams::FromStream;

/// One followed output; dropped, it stops. Keeps the connection.
#[derive(Debug)]
pub struct Follow {
    caller: Caller,
    /// None once the end has come.
    stream: Option<FromStream>,
}

impl Follow {
    pub(super) const fn new(caller: Caller, stream: FromStream) -> Self {
        Self { caller, stream: Some(stream) }
    }

    /// Waits for what comes next; nothing when all has come. Nothing follows an error. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<Followed, CallError>> {
        let stream = self.stream.as_mut()?;
        let frame = tokio::select! {
            frame = stream.next::<Result<Followed, Refusal>>() => frame,
            error = self.caller.lost() => {
                self.stream = None;
                return Some(Err(error));
            }
        };
        let end = match frame {
            Ok(Some(Ok(followed))) if is_sound(&followed) => return Some(Ok(followed)),
            Ok(None) => None,
            Ok(Some(Err(refusal))) => Some(Err(CallError::Refused(refusal))),
            Ok(Some(Ok(_))) | Err(FrameError::Malformed | FrameError::TooLarge { .. }) => {
                Some(Err(self.broken_off().await))
            }
            Err(FrameError::Closed(closed)) => Some(Err(CallError::Lost(closed))),
        };
        self.stream = None;
        end
    }

    /// A stream that breaks off mostly does so with its connection.
    async fn broken_off(&self) -> CallError {
        if self.caller.session().connection().close_reason().is_some() {
            return self.caller.lost().await;
        }
        let sentence = "the followed output broke off; follow it again";
        CallError::Refused(Refusal::State(sentence.to_owned()))
    }
}

fn is_sound(followed: &Followed) -> bool {
    match followed {
        Followed::Piece(piece) => piece.bytes.len() <= PIECE_BYTES_MAX,
        Followed::Attempt { .. } | Followed::Ended { .. } => true,
    }
}

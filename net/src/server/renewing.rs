//! Renewals over live connections: each on a stream of its own, one after the other. Who may have
//! another certificate is decided in `pki`.

use std::net::IpAddr;
use std::sync::Arc;

use quinn::{Connection, RecvStream, SendStream};

use super::Shared;
use crate::error::CloseCode;
use crate::frame::decode;
use crate::limits::{JOIN_BYTES_MAX, RENEW_TIMEOUT, UNREADABLE_MAX};
use crate::pki::renewal::{RenewAnswer, RenewRequest};

/// Answers renewals on a connection until it ends.
pub(super) async fn serve(connection: &Connection, serial: &Arc<[u8]>, shared: &Arc<Shared>) {
    let mut unreadable = 0;
    while let Ok(stream) = connection.accept_bi().await {
        // Boxed: thousands wait for a renewal, a few are answered.
        unreadable = match Box::pin(one(stream, connection, serial, shared)).await {
            Read::Yes => 0,
            Read::No => unreadable + 1,
        };
        if unreadable >= UNREADABLE_MAX {
            let why = b"requests for renewal came that cannot be read";
            return connection.close(CloseCode::Protocol.wire(), why);
        }
    }
}

/// Whether a request could be read.
enum Read {
    Yes,
    No,
}

/// Answers one renewal.
async fn one(
    (mut send, receive): (SendStream, RecvStream),
    connection: &Connection,
    serial: &Arc<[u8]>,
    shared: &Arc<Shared>,
) -> Read {
    let answered = answer((&mut send, receive), serial.clone(), shared);
    let answered = tokio::time::timeout(RENEW_TIMEOUT, answered).await.ok().flatten();
    let read = if answered.is_some() { Read::Yes } else { Read::No };
    if answered.is_none() {
        // Fails only when the other end has stopped it or is gone.
        let _ended = send.reset(CloseCode::Protocol.wire());
    }
    note(answered, connection.remote_address().ip().to_canonical(), shared);
    read
}

/// Reads a request and answers it; nothing when it is none. Of all connections some are answered at
/// once and the others wait, but nobody waits for one whose request has not come.
async fn answer(
    (send, mut receive): (&mut SendStream, RecvStream),
    serial: Arc<[u8]>,
    shared: &Arc<Shared>,
) -> Option<RenewAnswer> {
    let bytes = receive.read_to_end(JOIN_BYTES_MAX).await.ok()?;
    let request: RenewRequest = decode(&bytes).ok()?;
    let _turn = shared.renewals.acquire().await.ok()?;
    let authority = shared.authority.clone();
    let decided = tokio::task::spawn_blocking(move || authority.renew(&serial, &request)).await;
    let answer = decided.unwrap_or(RenewAnswer::Busy);
    let bytes = postcard::to_stdvec(&answer).ok()?;
    send.write_all(&bytes).await.ok()?;
    send.finish().ok()?;
    Some(answer)
}

fn note(answer: Option<RenewAnswer>, from: IpAddr, shared: &Shared) {
    match answer {
        Some(RenewAnswer::Granted(granted)) => {
            tracing::info!(%from, role = %granted.role, name = %granted.name, "renewed");
        }
        Some(RenewAnswer::Early | RenewAnswer::Busy) => {}
        Some(RenewAnswer::Refused) => shared.refusals.note(from, "the renewal was refused"),
        None => shared.refusals.note(from, "the renewal request is malformed or slow"),
    }
}

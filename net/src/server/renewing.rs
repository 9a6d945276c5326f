//! Renewals over live connections: each on a stream of its own, one after the other. Who may have
//! another certificate is decided in `pki`.

use std::net::IpAddr;
use std::sync::Arc;

use quinn::{Connection, RecvStream, SendStream};

use super::Shared;
use crate::error::CloseCode;
use crate::frame::decode;
use crate::limits::{JOIN_BYTES_MAX, RENEW_TIMEOUT};
use crate::pki::renewal::{RenewAnswer, RenewRequest};

/// Answers renewals on a connection until it ends.
pub(super) async fn serve(connection: &Connection, serial: &Arc<[u8]>, shared: &Arc<Shared>) {
    while let Ok(stream) = connection.accept_bi().await {
        // Boxed: thousands wait for a renewal, a few are answered.
        Box::pin(one(stream, connection, serial, shared)).await;
    }
}

/// Answers one renewal. Of all connections some are answered at once, the others wait.
async fn one(
    (mut send, receive): (SendStream, RecvStream),
    connection: &Connection,
    serial: &Arc<[u8]>,
    shared: &Arc<Shared>,
) {
    let Ok(_turn) = shared.renewals.acquire().await else { return };
    let answered = answer((&mut send, receive), serial.clone(), shared);
    let answered = tokio::time::timeout(RENEW_TIMEOUT, answered).await.ok().flatten();
    if answered.is_none() {
        // Fails only when the other end has stopped it or is gone.
        let _ended = send.reset(CloseCode::Protocol.wire());
    }
    note(answered, connection.remote_address().ip().to_canonical(), shared);
}

/// Reads a request and answers it; nothing when it is none.
async fn answer(
    (send, mut receive): (&mut SendStream, RecvStream),
    serial: Arc<[u8]>,
    shared: &Arc<Shared>,
) -> Option<RenewAnswer> {
    let bytes = receive.read_to_end(JOIN_BYTES_MAX).await.ok()?;
    let request: RenewRequest = decode(&bytes).ok()?;
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

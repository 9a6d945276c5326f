//! One joining connection: one request, one answer. Who may join is decided in `pki`.

use std::net::IpAddr;
use std::sync::Arc;

use quinn::{Connection, Incoming};
use zeroize::Zeroizing;

use super::Shared;
use super::admission::Permit;
use super::refusals::reason;
use crate::error::CloseCode;
use crate::frame::decode;
use crate::limits::{JOIN_BYTES_MAX, JOIN_TIMEOUT};
use crate::pki::enroll::{Enrolled, JoinAnswer, JoinRequest};

/// Serves one join. Whoever does not come to a valid request is held against its address: else few
/// addresses that only stall could keep all others from joining.
pub(super) async fn serve(incoming: Incoming, permit: Permit, shared: Arc<Shared>) {
    let from = incoming.remote_address().ip();
    let failed = |why: &'static str| {
        permit.failed();
        shared.refusals.note(from, why);
    };
    let connecting = match incoming.accept_with(shared.join_config.clone()) {
        Ok(connecting) => connecting,
        Err(error) => return failed(reason(&error)),
    };
    let handshake = tokio::time::timeout(shared.bounds.handshake_timeout, connecting).await;
    let connection = match handshake {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return failed(reason(&error)),
        Err(_) => return failed("the handshake was not finished"),
    };
    let answered = tokio::time::timeout(JOIN_TIMEOUT, answer(&connection, &shared)).await;
    match answered {
        Ok(Some(JoinAnswer::Granted(granted))) => {
            tracing::info!(%from, role = %granted.role, name = %granted.name, "joined");
        }
        Ok(Some(JoinAnswer::Refused)) => failed("the join token was not valid"),
        Ok(Some(JoinAnswer::Name(_) | JoinAnswer::Busy)) => {}
        Ok(None) => failed("the join request is malformed"),
        Err(_) => failed("no join request came in time"),
    }
    connection.close(CloseCode::Done.wire(), b"");
}

/// Decides about a join, and ends the connections of who had the name before: together, since
/// whoever waits for the answer may be gone before it comes.
fn decide(shared: &Shared, request: &JoinRequest, from: IpAddr) -> JoinAnswer {
    let Enrolled { answer, changed_hands } = shared.authority.enroll(request, from);
    if let (JoinAnswer::Granted(granted), true) = (&answer, changed_hands) {
        // Nobody can have connected with the new certificate yet.
        let (identity, why) = ((granted.role, granted.name.clone()), "its name was given anew");
        shared.live.end(&identity, CloseCode::Revoked, why);
    }
    answer
}

/// Reads the request and answers it; nothing when it is none.
async fn answer(connection: &Connection, shared: &Arc<Shared>) -> Option<JoinAnswer> {
    let (mut send, mut receive) = connection.accept_bi().await.ok()?;
    let bytes = Zeroizing::new(receive.read_to_end(JOIN_BYTES_MAX).await.ok()?);
    let request: JoinRequest = decode(&bytes).ok()?;
    let from = connection.remote_address().ip().to_canonical();
    let decider = shared.clone();
    let decided = tokio::task::spawn_blocking(move || decide(&decider, &request, from)).await;
    let answer = decided.unwrap_or(JoinAnswer::Busy);
    let bytes = postcard::to_stdvec(&answer).ok()?;
    send.write_all(&bytes).await.ok()?;
    send.finish().ok()?;
    // Delivered, or the joiner asks again with the same key.
    let _lost = send.stopped().await;
    Some(answer)
}

//! One authenticated connection, from the handshake to its end: whose it is, its first frame, its
//! deadline. What it says afterwards goes to the master.

use std::sync::Arc;
use std::time::Duration;

use ganger_proto::message::{Hello, HelloBody, MINOR};
use ganger_proto::{Name, Role, WallMs};
use quinn::{Connection, Incoming, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::{mpsc, watch};

use super::admission::Permit;
use super::live::Entered;
use super::refusals::reason;
use super::{Arrival, Shared, renewing};
use crate::error::CloseCode;
use crate::frame::{FrameError, Inbox};
use crate::limits::{
    BIDI_CLIENT, BIDI_WORKER, FIRST_FRAME_TIMEOUT, UNI_CLIENT, UNI_WORKER_MAX, UNI_WORKER_SPARE,
};
use crate::session::{Closed, Goodbye, Peer, Session, closing};

/// The longest wait for a deadline before the wall clock is asked again.
const DEADLINE_LOOK: Duration = Duration::from_secs(60);

/// Serves one connection until it has ended.
pub(super) async fn serve(
    incoming: Incoming,
    permit: Permit,
    shared: Arc<Shared>,
    arrivals: mpsc::Sender<Arrival>,
) {
    let from = incoming.remote_address().ip();
    // What is over when the connection stands is boxed: thousands then stand for days.
    let made = Box::pin(handshake(incoming, &permit, &shared)).await;
    let Some(connection) = made else { return };
    let goodbye = watch::Sender::new(None);
    let (peer, entered) = match identify(&connection, &goodbye, &shared) {
        Ok(known) => known,
        Err(CloseCode::Busy) => {
            shared.refusals.note(from, "too many connections");
            connection.close(CloseCode::Busy.wire(), b"it has as many connections as it takes");
            return;
        }
        Err(code) => {
            permit.failed();
            shared.refusals.note(from, "the certificate is not welcome");
            connection.close(code.wire(), b"");
            return;
        }
    };
    let control = tokio::time::timeout(FIRST_FRAME_TIMEOUT, connection.accept_bi()).await;
    let Ok(Ok(control)) = control else {
        permit.failed();
        shared.refusals.note(from, "no hello came");
        connection.close(CloseCode::Protocol.wire(), b"no hello came in time");
        return;
    };
    let holder = Holder::of(&peer);
    let renewals = connection.clone();
    let (session, mut inbox, driver) = Session::start(connection, goodbye.clone(), control);
    let greeting = Box::pin(async {
        match greet(&mut inbox, peer.actor.role, &session, &entered).await {
            Ok(hello) => {
                drop(permit);
                pass_on(Arrival { peer, session, inbox, hello }, arrivals, &goodbye).await;
            }
            Err(refused) => {
                permit.failed();
                shared.refusals.note(from, refused.note);
                Goodbye::say(&goodbye, refused.code, &refused.sentence);
            }
        }
    });
    // The driver ends with the connection.
    let mut driving = std::pin::pin!(driver.run());
    tokio::select! {
        () = &mut driving => return,
        () = greeting => {}
    }
    tokio::select! {
        () = &mut driving => {}
        () = deadline(&shared, &holder, &goodbye) => driving.await,
        () = renewing::serve(&renewals, &holder.serial, &shared) => driving.await,
    }
    drop(entered);
}

/// Whose connection it is, for what happens while it stands.
struct Holder {
    serial: Arc<[u8]>,
    role: Role,
    name: Name,
    ends: WallMs,
}

impl Holder {
    fn of(peer: &Peer) -> Self {
        Self {
            serial: peer.serial.clone(),
            role: peer.actor.role,
            name: peer.actor.name.clone(),
            ends: peer.certificate_ends,
        }
    }
}

/// Finishes the handshake in time.
async fn handshake(incoming: Incoming, permit: &Permit, shared: &Shared) -> Option<Connection> {
    let from = incoming.remote_address().ip();
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(error) => {
            permit.failed();
            shared.refusals.note(from, reason(&error));
            return None;
        }
    };
    match tokio::time::timeout(shared.bounds.handshake_timeout, connecting).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            permit.failed();
            shared.refusals.note(from, reason(&error));
            None
        }
        Err(_) => {
            permit.failed();
            shared.refusals.note(from, "the handshake was not finished");
            None
        }
    }
}

/// Enters the connection among the live ones, and only then asks the registry: a revocation comes
/// either before the question or finds the connection.
fn identify(
    connection: &Connection,
    goodbye: &watch::Sender<Option<Goodbye>>,
    shared: &Shared,
) -> Result<(Peer, Entered), CloseCode> {
    let shown = connection.peer_identity();
    let chain = shown.and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    let leaf = chain.and_then(|chain| chain.into_iter().next()).ok_or(CloseCode::Unknown)?;
    let peer = shared.authority.peer(&leaf)?;
    let identity = (peer.actor.role, peer.actor.name.clone());
    let entered = shared.live.enter(identity, goodbye.clone(), &shared.bounds);
    let entered = entered.ok_or(CloseCode::Busy)?;
    let peer = shared.authority.peer(&leaf)?;
    Ok((peer, entered))
}

/// Why an arrival is sent away.
struct Refused {
    code: CloseCode,
    sentence: String,
    note: &'static str,
}

/// Waits for the first frame, and checks that it fits the certificate and this release.
async fn greet(
    inbox: &mut Inbox,
    role: Role,
    session: &Session,
    entered: &Entered,
) -> Result<Hello, Refused> {
    let refused =
        |code, sentence: &str, note| Err(Refused { code, sentence: sentence.to_owned(), note });
    let hello = tokio::time::timeout(FIRST_FRAME_TIMEOUT, inbox.next::<Hello>()).await;
    let hello = match hello {
        Ok(Ok(hello)) => hello,
        Ok(Err(FrameError::Closed(Closed { .. }))) | Err(_) => {
            return refused(CloseCode::Protocol, "no hello came in time", "no hello came");
        }
        Ok(Err(FrameError::Malformed | FrameError::TooLarge { .. })) => {
            let sentence = "the first frame is no hello; install the same release on both";
            return refused(CloseCode::Protocol, sentence, "the hello is malformed");
        }
    };
    if hello.minor.common(MINOR).is_none() {
        let sentence = format!(
            "this master speaks minor versions {} to {}, the other end {} to {}",
            MINOR.min, MINOR.max, hello.minor.min, hello.minor.max
        );
        return refused(CloseCode::Version, &sentence, "the protocol version is another");
    }
    let connection = session.connection();
    match (&hello.body, role) {
        (HelloBody::Worker(worker), Role::Worker) if !worker.is_bounded() => {
            let sentence = "the hello names more leases than a worker can hold";
            return refused(CloseCode::Protocol, sentence, "the hello names too many leases");
        }
        (HelloBody::Worker(worker), Role::Worker) => {
            let uni = worker.slots.sum().saturating_add(UNI_WORKER_SPARE).min(UNI_WORKER_MAX);
            connection.set_max_concurrent_bi_streams(VarInt::from_u32(BIDI_WORKER));
            connection.set_max_concurrent_uni_streams(VarInt::from_u32(uni));
            entered.supersede();
        }
        (HelloBody::Client, Role::Viewer | Role::Submitter | Role::Operator) => {
            connection.set_max_concurrent_bi_streams(VarInt::from_u32(BIDI_CLIENT));
            connection.set_max_concurrent_uni_streams(VarInt::from_u32(UNI_CLIENT));
        }
        (HelloBody::Worker(_), Role::Viewer | Role::Submitter | Role::Operator)
        | (HelloBody::Client, Role::Worker) => {
            let sentence = format!(
                "a certificate of the role {role} cannot be used for this; join with an invite of the \
                 right role"
            );
            return refused(CloseCode::Protocol, &sentence, "the hello does not fit the role");
        }
    }
    Ok(hello)
}

/// Hands the arrival to the master; waits while the master is busy.
async fn pass_on(
    arrival: Arrival,
    arrivals: mpsc::Sender<Arrival>,
    goodbye: &watch::Sender<Option<Goodbye>>,
) {
    let mut leaving = goodbye.subscribe();
    tokio::select! {
        sent = arrivals.send(arrival) => {
            if sent.is_err() {
                Goodbye::say(goodbye, CloseCode::Shutdown, "");
            }
        }
        () = closing(&mut leaving) => {}
    }
}

/// TLS looks at dates only in the handshake: ends the connection when its certificate ends, or the
/// one that it was renewed with.
async fn deadline(shared: &Shared, holder: &Holder, goodbye: &watch::Sender<Option<Goodbye>>) {
    let mut ends = holder.ends;
    loop {
        let mut left = Duration::from_millis(ends.since(shared.authority.now()));
        if left.is_zero() {
            let newest = shared.authority.certificate(holder.role, &holder.name);
            ends = newest.map_or(ends, |newest| newest.ends);
            left = Duration::from_millis(ends.since(shared.authority.now()));
        }
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(left.min(DEADLINE_LOOK)).await;
    }
    Goodbye::say(goodbye, CloseCode::Expired, "the certificate ended while connected");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of<A, B, C, D, F>(_: fn(A, B, C, D) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    #[test]
    fn what_waits_for_an_idle_connection_is_small() {
        let bytes = size_of(serve);
        assert!(bytes <= 2_350, "{bytes} bytes for each connection");
    }
}

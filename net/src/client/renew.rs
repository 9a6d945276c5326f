//! Renewing an identity over a connection that it opened: a new key, a new certificate, the same
//! name. When one is due is in the identity, or the master says so.

use std::time::Duration;

use ganger_proto::WallMs;
use rustls::pki_types::UnixTime;
use tokio::sync::watch;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::join::request_for;
use crate::frame::decode;
use crate::limits::{JOIN_BYTES_MAX, RENEW_AGAIN, RENEW_TIMEOUT};
use crate::pki::identity::{ClientIdentity, IdentityError, pending_key};
use crate::pki::renewal::{RenewAnswer, RenewRequest};
use crate::session::Session;
use crate::tls::check_made_by;

/// An identity was not renewed; it is what it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// The master does not renew it.
    #[error("the master does not renew this identity: {0}")]
    Refused(&'static str),
    /// The answer did not come, or is none.
    #[error("the master did not answer the renewal: {0}")]
    Lost(String),
    /// What came cannot be used.
    #[error("the master's renewal cannot be used: {0}")]
    Unusable(String),
    /// The identity cannot be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Renews an identity over its own connection, at this moment of the master's clock, and keeps it
/// in the folder that it came from: the key is made there first, so that the same call after a lost
/// answer gets the same certificate. The connection stays as it is.
///
/// # Errors
/// When the master refuses or does not answer, or the folder cannot be written.
pub async fn renew(
    session: &Session,
    identity: &ClientIdentity,
    now: WallMs,
) -> Result<ClientIdentity, RenewError> {
    let key = pending_key(&identity.dir)?;
    let csr = request_for(&key).map_err(RenewError::Unusable)?;
    let request = postcard::to_stdvec(&RenewRequest { csr });
    let request = request.map_err(|error| RenewError::Unusable(error.to_string()))?;
    let answer = tokio::time::timeout(RENEW_TIMEOUT, ask(session, &request)).await;
    let answer = answer.map_err(|_| RenewError::Lost("it took too long".to_owned()))??;
    let granted = match answer {
        RenewAnswer::Granted(granted) => granted,
        RenewAnswer::Early => return Err(RenewError::Refused("its certificate is young")),
        RenewAnswer::Refused => return Err(RenewError::Refused("it is not good any more")),
        RenewAnswer::Busy => return Err(RenewError::Refused("it is busy; it is asked again")),
    };
    let material = granted.material(Zeroizing::new(key.serialize_der()));
    let at = UnixTime::since_unix_epoch(Duration::from_millis(now.0));
    check_made_by(&material.authorities, &material.certificate, at)
        .map_err(|error| RenewError::Unusable(error.to_string()))?;
    let addresses = identity.addresses.clone();
    let renewed = ClientIdentity::new(&identity.dir, &identity.cluster, material, addresses)
        .map_err(RenewError::Unusable)?;
    if (renewed.role, &renewed.name) != (identity.role, &identity.name) {
        return Err(RenewError::Unusable("it is another's".to_owned()));
    }
    renewed.save()?;
    Ok(renewed)
}

async fn ask(session: &Session, request: &[u8]) -> Result<RenewAnswer, RenewError> {
    fn lost(error: impl std::fmt::Display) -> RenewError {
        RenewError::Lost(error.to_string())
    }
    let (mut send, mut receive) = session.connection().open_bi().await.map_err(lost)?;
    send.write_all(request).await.map_err(lost)?;
    send.finish().map_err(lost)?;
    let answer = receive.read_to_end(JOIN_BYTES_MAX).await.map_err(lost)?;
    decode::<RenewAnswer>(&answer).map_err(lost)
}

/// Waits until an identity should be renewed, because it is due by the master's clock or because
/// the master asks for it (what it asked for changed, and is a time), and renews it; again after a
/// while when that fails. Returns the new identity; the connection is the old one's still.
pub async fn renew_when_due(
    session: &Session,
    identity: &ClientIdentity,
    now: WallMs,
    asked: &mut watch::Receiver<Option<Duration>>,
) -> ClientIdentity {
    let began = Instant::now();
    let elapsed = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    loop {
        let left = Duration::from_millis(identity.renews_at.since(now.plus(elapsed())));
        tokio::select! {
            () = tokio::time::sleep(left.min(RENEW_AGAIN)) => {
                if left > RENEW_AGAIN {
                    continue;
                }
            }
            within = next_asked(asked) => {
                // Not all at once: each certificate is a write to the master's disk.
                tokio::time::sleep(within.mul_f64(fastrand::f64())).await;
            }
        }
        match renew(session, identity, now.plus(elapsed())).await {
            Ok(renewed) => return renewed,
            Err(error) => tracing::warn!(%error, "the identity was not renewed"),
        }
        tokio::time::sleep(RENEW_AGAIN).await;
        asked.mark_changed();
    }
}

/// Waits until the master asks for a renewal; returns within which time it wants it.
async fn next_asked(asked: &mut watch::Receiver<Option<Duration>>) -> Duration {
    loop {
        if asked.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        if let Some(within) = *asked.borrow_and_update() {
            return within;
        }
    }
}

//! Joining a cluster with a token. What a token allows is the master's to decide.

use std::path::Path;

use ganger_proto::Name;
use quinn::{ConnectionError, Endpoint};
use rcgen::CertificateParams;
use zeroize::Zeroizing;

use super::dial::{DialError, DialSocket, resolve};
use crate::error::{CloseCode, clean};
use crate::frame::decode;
use crate::limits::{DIAL_TIMEOUT, JOIN_BYTES_MAX, JOIN_TIMEOUT};
use crate::pki::ca::dns_name;
use crate::pki::certificate::pin;
use crate::pki::enroll::{Granted, JoinAnswer, JoinRequest};
use crate::pki::identity::{ClientIdentity, IdentityError, pending_key};
use crate::pki::record::Wish;
use crate::pki::token::Token;
use crate::session::Closed;
use crate::transport::{self, Door};

/// Joins a cluster with a token and keeps the identity in `dir` (key, certificate, CA, addresses),
/// made with mode 0700. The key is made there first, so that the same call after a lost answer gets
/// the same certificate. Without a wish the name is this host's, with a number when that is taken.
///
/// # Errors
/// When the token is refused, the master cannot be reached, or the folder cannot be written.
pub async fn join(
    token: &Token,
    wish: Option<&Name>,
    dir: &Path,
) -> Result<ClientIdentity, JoinError> {
    let socket = DialSocket::open().map_err(|error| {
        let (DialError::Unreachable { reason, .. } | DialError::Refused(reason)) = error;
        JoinError::Unreachable { addresses: token.addresses.join(", "), reason }
    })?;
    join_on(&socket, token, wish, dir).await
}

/// As [`join`], from a socket.
///
/// # Errors
/// As [`join`].
pub async fn join_on(
    socket: &DialSocket,
    token: &Token,
    wish: Option<&Name>,
    dir: &Path,
) -> Result<ClientIdentity, JoinError> {
    let key = pending_key(dir)?;
    let wish = match wish {
        Some(name) => Wish::Named(name.clone()),
        None => Wish::Host(host_name()),
    };
    let unusable = |why: String| IdentityError::Damaged { path: dir.to_owned(), reason: why };
    let csr = request_for(&key).map_err(unusable)?;
    let request = JoinRequest { invite: token.id, secret: *token.secret, wish, csr };
    let bytes = postcard::to_stdvec(&request).map(Zeroizing::new);
    let bytes = bytes.map_err(|error| unusable(format!("no request can be made: {error}")))?;
    let granted = ask(socket.endpoint(), token, &bytes).await?;
    let key = Zeroizing::new(key.serialize_der());
    let identity = accept((token, dir), granted, key).map_err(unusable)?;
    identity.save()?;
    Ok(identity)
}

/// Joining failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The master refused the token; it says the same for used, expired, unknown and wrong ones.
    #[error(
        "the master refused this token: it was used, has expired, was withdrawn or is not its own; ask for a new one with `ganger invite`"
    )]
    Refused,
    /// The name is taken.
    #[error("{0}")]
    Name(String),
    /// What answered is not the master that made the token; the secret was not sent.
    #[error(
        "what answers at {address} is not the master that made this token ({reason}); ask for a new one with `ganger invite`"
    )]
    NotTheMaster {
        /// The address.
        address: String,
        /// What TLS found.
        reason: String,
    },
    /// No address answered.
    #[error("no master answered at {addresses}: {reason}")]
    Unreachable {
        /// The addresses tried.
        addresses: String,
        /// The last reason.
        reason: String,
    },
    /// The identity cannot be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Makes a request for a certificate; only the key in it counts.
pub(super) fn request_for(key: &rcgen::KeyPair) -> Result<Vec<u8>, String> {
    let csr = CertificateParams::default().serialize_request(key);
    csr.map(|csr| csr.der().to_vec()).map_err(|error| format!("no request can be made: {error}"))
}

/// Asks at each address of the token until one answers.
async fn ask(endpoint: &Endpoint, token: &Token, request: &[u8]) -> Result<Granted, JoinError> {
    let unreachable =
        |reason: String| JoinError::Unreachable { addresses: token.addresses.join(", "), reason };
    let config = crate::tls::client_join(token.pin)
        .and_then(|config| transport::client(config, Door::Join))
        .map_err(|error| unreachable(error.to_string()))?;
    let mut last = unreachable("there is no address to dial".to_owned());
    for address in &token.addresses {
        let resolved = match resolve(address).await {
            Ok(resolved) => resolved,
            Err(why) => {
                last = unreachable(why);
                continue;
            }
        };
        for target in resolved {
            let asked = ask_one(endpoint, config.clone(), (target, token), request).await;
            match asked {
                Ok(JoinAnswer::Granted(granted)) => return Ok(granted),
                Ok(JoinAnswer::Refused) => return Err(JoinError::Refused),
                Ok(JoinAnswer::Name(why)) => return Err(JoinError::Name(clean(why.as_bytes()))),
                Ok(JoinAnswer::Busy) => last = unreachable("the master is busy".to_owned()),
                Err(Failed::Passing(why)) => last = unreachable(why),
                Err(Failed::NotTheMaster(reason)) => {
                    last = JoinError::NotTheMaster { address: address.clone(), reason };
                }
            }
        }
    }
    Err(last)
}

/// Why one address did not work.
enum Failed {
    NotTheMaster(String),
    Passing(String),
}

async fn ask_one(
    endpoint: &Endpoint,
    config: quinn::ClientConfig,
    (target, token): (std::net::SocketAddr, &Token),
    request: &[u8],
) -> Result<JoinAnswer, Failed> {
    let passing = |why: String| Failed::Passing(why);
    let ended = |error: ConnectionError| Failed::Passing(Closed::from(&error).sentence);
    let connecting = endpoint.connect_with(config, target, &dns_name(&token.cluster));
    let connecting = connecting.map_err(|error| passing(error.to_string()))?;
    let connection = tokio::time::timeout(DIAL_TIMEOUT, connecting).await;
    let connection = connection.map_err(|_| passing(format!("{target} did not answer")))?;
    let connection = connection.map_err(|error| match &error {
        // This end's TLS did not find the pinned authority: the secret stays here.
        ConnectionError::TransportError(own) if u64::from(own.code) >= 0x100 => {
            Failed::NotTheMaster(clean(own.reason.as_bytes()))
        }
        ConnectionError::TransportError(_)
        | ConnectionError::VersionMismatch
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => ended(error),
    })?;
    let exchange = async {
        let (mut send, mut receive) = connection.open_bi().await.map_err(ended)?;
        let lost = |why: String| Failed::Passing(format!("the answer was lost: {why}"));
        send.write_all(request).await.map_err(|error| lost(error.to_string()))?;
        send.finish().map_err(|error| lost(error.to_string()))?;
        let answer = receive.read_to_end(JOIN_BYTES_MAX).await;
        let answer = answer.map_err(|error| lost(error.to_string()))?;
        decode::<JoinAnswer>(&answer)
            .map_err(|_| passing("the answer is not understood".to_owned()))
    };
    let answer = tokio::time::timeout(JOIN_TIMEOUT, exchange).await;
    connection.close(CloseCode::Done.wire(), b"");
    answer.unwrap_or_else(|_| Err(passing(format!("{target} did not answer the request"))))
}

/// Checks what was granted: made by the pinned authority's holder, for this key, in this cluster.
fn accept(
    (token, dir): (&Token, &Path),
    granted: Granted,
    key: Zeroizing<Vec<u8>>,
) -> Result<ClientIdentity, String> {
    if !granted.authorities.iter().any(|authority| pin(authority) == Some(token.pin)) {
        return Err("the master sent another authority's certificate".to_owned());
    }
    let who = (granted.role, granted.name.clone());
    let material = granted.material(key);
    let identity = ClientIdentity::new(dir, &token.cluster, material, token.addresses.clone())?;
    if (identity.role, &identity.name) != (who.0, &who.1) {
        return Err("the master sent another's certificate".to_owned());
    }
    Ok(identity)
}

fn host_name() -> Name {
    let system = rustix::system::uname();
    Name::from_lossy(&system.nodename().to_string_lossy())
}

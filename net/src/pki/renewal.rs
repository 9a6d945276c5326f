//! Renewal: a certificate for a new key, asked for over a connection that the present one opened.
//! Nothing but the key is taken from whoever asks. Opens no connection.

use ganger_proto::{Name, Role};
use serde::{Deserialize, Serialize};

use super::authority::{Authority, AuthorityError};
use super::certificate::{self, Subject};
use super::enroll::{Granted, read_csr};
use super::record::{Certified, Entry, RenewedEntry};
use super::{ca, sha256};

/// What is sent on a stream of its own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RenewRequest {
    /// A request for a certificate; only the key in it counts.
    #[serde(with = "serde_bytes")]
    pub(crate) csr: Vec<u8>,
}

/// What comes back on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RenewAnswer {
    /// The new certificate.
    Granted(Granted),
    /// The present certificate is too young for another.
    Early,
    /// The identity is not good any more, or the request is none.
    Refused,
    /// Not at the moment.
    Busy,
}

/// This part of a certificate's life must be over before there is another, or one connection could
/// fill the disk with them.
const LIFE_PARTS: u64 = 4;

impl Authority {
    /// Decides about a renewal by the holder of the certificate with this serial number. A grant is
    /// durable on return. Asked again with the same key, it gives the same certificate: the answer
    /// before may have been lost.
    pub(crate) fn renew(&self, serial: &[u8], request: &RenewRequest) -> RenewAnswer {
        match self.try_renew(serial, request) {
            Ok(granted) => RenewAnswer::Granted(granted),
            Err(answer) => answer,
        }
    }

    fn try_renew(&self, serial: &[u8], request: &RenewRequest) -> Result<Granted, RenewAnswer> {
        let key = read_csr(&request.csr).map_err(|_| RenewAnswer::Refused)?;
        let key_hash = sha256(&rcgen::PublicKeyData::subject_public_key_info(&key));
        let mut log = self.lock_log();
        let now = self.now();
        let actor = {
            let registry = self.registry();
            let known = registry.by_serial(serial).filter(|known| !known.revoked);
            let actor = known.ok_or(RenewAnswer::Refused)?.actor.clone();
            let identity =
                registry.identity(actor.role, &actor.name).ok_or(RenewAnswer::Refused)?;
            if identity.newest.key == key_hash {
                let again = identity.renewed.as_ref().ok_or(RenewAnswer::Refused)?;
                return Ok(self.granted(actor.role, &actor.name, again.clone()));
            }
            let life_ms = ca::life_ms(Subject::Client(actor.role));
            let young = now.since(identity.issued) < life_ms / LIFE_PARTS;
            drop(registry);
            if young && !self.wants_renewal(actor.role, &actor.name) {
                return Err(RenewAnswer::Early);
            }
            actor
        };
        let ca = self.issuer();
        let signed = ca.sign(ca.leaf(Subject::Client(actor.role), &actor.name, now), &key);
        let der = signed.map_err(|_| RenewAnswer::Refused)?.to_vec();
        let leaf = certificate::read(&der, self.cluster()).map_err(|_| RenewAnswer::Busy)?;
        let granted = self.granted(actor.role, &actor.name, der.clone());
        let certificate = Certified { actor, serial: leaf.serial, key: leaf.key, ends: leaf.ends };
        match self.record(&mut log, Entry::Renewed(RenewedEntry { certificate, der })) {
            Ok(()) => Ok(granted),
            Err(
                error @ (AuthorityError::Refused(_)
                | AuthorityError::Identity(_)
                | AuthorityError::Damaged(_)),
            ) => {
                tracing::error!(%error, "a renewal could not be recorded");
                Err(RenewAnswer::Busy)
            }
        }
    }

    /// Puts together what goes to whoever got a certificate.
    pub(super) fn granted(&self, role: Role, name: &Name, certificate: Vec<u8>) -> Granted {
        let trusted = self.trusted().iter().map(|root| root.to_vec().into()).collect();
        Granted { role, name: name.clone(), certificate, authorities: trusted }
    }
}

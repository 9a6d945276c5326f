//! Joining: one request, one answer. The secret is checked first; only then is the signing request
//! parsed, and only its public key is taken from it.

use ganger_proto::{Actor, Name};
use rcgen::{CertificateSigningRequestParams, PublicKeyData};
use rustls::pki_types::CertificateSigningRequestDer;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::authority::{Authority, AuthorityError, Certify};
use super::sha256;
use crate::limits::CSR_BYTES_MAX;

/// Names tried with a number behind before a joiner must choose one.
const NAME_TRIES: u32 = 1_000;

/// What a joiner sends.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct JoinRequest {
    pub(crate) id: [u8; 8],
    pub(crate) secret: [u8; 16],
    /// The name it would like.
    pub(crate) wish: Wish,
    /// A PKCS#10 request; only its public key is used.
    #[serde(with = "serde_bytes")]
    pub(crate) csr: Vec<u8>,
}

/// What a joiner would like to be called.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// Just this.
    Exactly(Name),
    /// This, or this with a number.
    Like(Name),
}

/// What it gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum JoinAnswer {
    /// An identity.
    Joined {
        #[serde(with = "serde_bytes")]
        certificate: Vec<u8>,
        #[serde(with = "serde_bytes")]
        root: Vec<u8>,
    },
    /// The token is not good; nobody learns why.
    Refused,
    /// The token is good and the name is taken.
    NameTaken(Name),
    /// The master cannot do it now.
    Failed,
}

impl Authority {
    /// Answers a join.
    pub(crate) fn answer_join(&self, request: &JoinRequest) -> JoinAnswer {
        match self.redeem(request) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(%error, "a join could not be answered");
                JoinAnswer::Failed
            }
        }
    }

    fn redeem(&self, request: &JoinRequest) -> Result<JoinAnswer, AuthorityError> {
        let id = bs58::encode(request.id).into_string();
        let Some(open) = self.registry().read(|registry| registry.invite(&id).cloned()) else {
            return Ok(JoinAnswer::Refused);
        };
        let hash = bs58::encode(sha256(&request.secret)).into_string();
        let right = bool::from(hash.as_bytes().ct_eq(open.secret_hash.as_bytes()));
        if !right || open.withdrawn || self.now() >= open.expires {
            return Ok(JoinAnswer::Refused);
        }
        if request.csr.len() > CSR_BYTES_MAX {
            return Ok(JoinAnswer::Refused);
        }
        let csr = CertificateSigningRequestDer::from(request.csr.clone());
        let Ok(csr) = CertificateSigningRequestParams::from_der(&csr) else {
            return Ok(JoinAnswer::Refused);
        };
        let key = sha256(&csr.public_key.subject_public_key_info());
        let key_hash = bs58::encode(key).into_string();
        if let Some((_, certificate)) = open.issued.get(&key_hash) {
            // The answer was lost on the way: the same key gets the same certificate.
            let certificate = bs58::decode(certificate).into_vec().unwrap_or_default();
            return Ok(JoinAnswer::Joined { certificate, root: self.root().to_vec() });
        }
        if open.uses == 0 {
            return Ok(JoinAnswer::Refused);
        }
        let name = match (&open.name, &request.wish) {
            (Some(name), _) | (None, Wish::Exactly(name)) => {
                if self.registry().read(|registry| registry.is_taken(open.role, name)) {
                    return Ok(JoinAnswer::NameTaken(name.clone()));
                }
                name.clone()
            }
            (None, Wish::Like(name)) => match self.free_name(open.role, name) {
                Some(name) => name,
                None => return Ok(JoinAnswer::NameTaken(name.clone())),
            },
        };
        let actor = Actor { role: open.role, name, admin: false };
        let what = Certify { invite: Some(&id), actor: &actor };
        let certificate = self.certify(&what, &csr.public_key)?.to_vec();
        tracing::info!(role = %actor.role, name = %actor.name, "an identity has joined");
        Ok(JoinAnswer::Joined { certificate, root: self.root().to_vec() })
    }

    fn free_name(&self, role: ganger_proto::Role, like: &Name) -> Option<Name> {
        let stem: String = like.as_str().chars().take(58).collect();
        let numbered = |n: u32| {
            if n == 1 { like.clone() } else { Name::from_lossy(&format!("{stem}-{n}")) }
        };
        self.registry().read(|registry| {
            (1..=NAME_TRIES).map(numbered).find(|name| !registry.is_taken(role, name))
        })
    }
}

//! Joining: what a joiner asks, what it gets, and how the authority decides. Opens no connection.

use std::net::IpAddr;

use ganger_proto::{Actor, Name, Role, WallMs};
use rcgen::{CertificateSigningRequestParams, PublicKeyData};
use rustls::pki_types::CertificateSigningRequestDer;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::authority::{Authority, AuthorityError};
use super::certificate::{self, Subject};
use super::registry::{Certified, Entry, InviteState, JoinedEntry, Registry, Wish};
use super::{hex, sha256};
use crate::limits::CSR_BYTES_MAX;

/// What a joiner sends, once.
#[derive(Serialize, Deserialize)]
pub(crate) struct JoinRequest {
    pub(crate) invite: [u8; 8],
    pub(crate) secret: [u8; 16],
    pub(crate) wish: Wish,
    #[serde(with = "serde_bytes")]
    pub(crate) csr: Vec<u8>,
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JoinRequest({}, [secret])", hex(&self.invite))
    }
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JoinAnswer {
    /// It is in.
    Granted(Granted),
    /// The token is used, expired, withdrawn, unknown or wrong: one answer for all.
    Refused,
    /// The name cannot be had; a sentence says why.
    Name(String),
    /// Not at the moment.
    Busy,
}

/// A joiner's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Granted {
    pub(crate) role: Role,
    pub(crate) name: Name,
    #[serde(with = "serde_bytes")]
    pub(crate) certificate: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(crate) authority: Vec<u8>,
}

impl Authority {
    /// Decides about a join. A grant is durable on return.
    pub(crate) fn enroll(&self, request: &JoinRequest, from: IpAddr) -> JoinAnswer {
        match self.try_enroll(request, from) {
            Ok(granted) => JoinAnswer::Granted(granted),
            Err(answer) => answer,
        }
    }

    fn try_enroll(&self, request: &JoinRequest, from: IpAddr) -> Result<Granted, JoinAnswer> {
        let mut log = self.lock_log();
        let now = self.now();
        // The secret first: only who holds it reaches the parser of requests.
        let (role, given) = {
            let registry = self.registry();
            let invite = invite_of(&registry, request)?;
            (invite.entry.role, invite.entry.name.clone())
        };
        let key = read_csr(&request.csr)?;
        let key_hash = sha256(&key.subject_public_key_info());
        let name = {
            let registry = self.registry();
            let invite = invite_of(&registry, request)?;
            if let Some(before) = same_join(invite, request, &key_hash) {
                let known = registry.by_serial(&before.certificate.serial);
                if known.is_none_or(|known| known.revoked) {
                    return Err(JoinAnswer::Refused);
                }
                return Ok(self.granted(before));
            }
            if !is_open(invite, now) {
                return Err(JoinAnswer::Refused);
            }
            choose_name(&registry, role, given, &request.wish, now)?
        };
        let subject = Subject::Client(role);
        let signed = self.ca().sign(self.ca().leaf(subject, &name, now), &key);
        let der = signed.map_err(|_| JoinAnswer::Refused)?;
        let leaf = certificate::read(&der, self.cluster()).map_err(|_| JoinAnswer::Busy)?;
        let actor = Actor { role, name, admin: false };
        let certificate = Certified { actor, serial: leaf.serial, key: leaf.key, ends: leaf.ends };
        let joined = JoinedEntry {
            invite: request.invite,
            wish: request.wish.clone(),
            from: from.to_string(),
            certificate,
            der: der.to_vec(),
        };
        let granted = self.granted(&joined);
        match self.record(&mut log, Entry::Joined(joined)) {
            Ok(()) => Ok(granted),
            Err(AuthorityError::Refused(_)) => Err(JoinAnswer::Refused),
            Err(error @ (AuthorityError::Identity(_) | AuthorityError::Damaged(_))) => {
                tracing::error!(%error, "a join could not be recorded");
                Err(JoinAnswer::Busy)
            }
        }
    }

    fn granted(&self, joined: &JoinedEntry) -> Granted {
        Granted {
            role: joined.certificate.actor.role,
            name: joined.certificate.actor.name.clone(),
            certificate: joined.der.clone(),
            authority: self.ca().certificate.to_vec(),
        }
    }
}

/// Finds the invite whose secret was sent, in a time that does not tell how wrong it was.
fn invite_of<'a>(
    registry: &'a Registry,
    request: &JoinRequest,
) -> Result<&'a InviteState, JoinAnswer> {
    let sent = sha256(&request.secret);
    let invite = registry.invites.get(&request.invite);
    let kept = invite.map_or([0; 32], |invite| invite.entry.secret_hash);
    let fits = bool::from(sent.ct_eq(&kept));
    invite.filter(|_| fits).ok_or(JoinAnswer::Refused)
}

fn is_open(invite: &InviteState, now: WallMs) -> bool {
    !invite.withdrawn && invite.used < invite.entry.uses && now < invite.entry.expires
}

/// Finds the same join before: its answer may have been lost.
fn same_join<'a>(
    invite: &'a InviteState,
    request: &JoinRequest,
    key: &[u8; 32],
) -> Option<&'a JoinedEntry> {
    let same =
        |joined: &&JoinedEntry| joined.certificate.key == *key && joined.wish == request.wish;
    invite.joined.iter().find(same)
}

/// Takes the public key out of a request, and nothing else. Its holder signed the request.
pub(crate) fn read_csr(csr: &[u8]) -> Result<rcgen::PublicKey, JoinAnswer> {
    if csr.len() > CSR_BYTES_MAX {
        return Err(JoinAnswer::Refused);
    }
    let csr = CertificateSigningRequestDer::from(csr.to_vec());
    let parsed = CertificateSigningRequestParams::from_der(&csr);
    parsed.map(|parsed| parsed.public_key).map_err(|_| JoinAnswer::Refused)
}

fn choose_name(
    registry: &Registry,
    role: Role,
    given: Option<Name>,
    wish: &Wish,
    now: WallMs,
) -> Result<Name, JoinAnswer> {
    let exact = match (given, wish) {
        (Some(name), _) => name,
        (None, Wish::Named(name)) => name.clone(),
        (None, Wish::Host(host)) => return numbered(registry, role, host, now),
    };
    if registry.is_taken(role, &exact, now) {
        return Err(JoinAnswer::Name(taken(role, &exact)));
    }
    Ok(exact)
}

/// What to do about a name that somebody has.
pub(crate) fn taken(role: Role, name: &Name) -> String {
    format!(
        "a {role} called `{name}` has joined already; choose another name with --name, or on the \
         master run `ganger revoke {name}` first"
    )
}

/// Returns `host`, or the first free of `host-2`, `host-3`, ….
fn numbered(registry: &Registry, role: Role, host: &Name, now: WallMs) -> Result<Name, JoinAnswer> {
    let numbered = |number: u32| {
        let end = if number == 1 { String::new() } else { format!("-{number}") };
        let kept: String = host.as_str().chars().take(63 - end.len()).collect();
        Name::parse(&format!("{kept}{end}")).expect("a name with a number is a name")
    };
    let mut names = (1..=NUMBERS_MAX).map(numbered);
    let free = names.find(|name| !registry.is_taken(role, name, now));
    free.ok_or_else(|| {
        JoinAnswer::Name(format!("all names from `{host}` on are taken; choose one with --name"))
    })
}

/// Identities that may share a host's name.
const NUMBERS_MAX: u32 = 9_999;

//! Joining: what a joiner asks, what it gets, and how the authority decides. Opens no connection.

use std::net::IpAddr;

use ganger_proto::{Actor, Name, Role, WallMs};
use rcgen::{CertificateSigningRequestParams, PublicKeyData};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::authority::{Authority, AuthorityError};
use super::certificate::{self, Subject};
use super::identity::Material;
use super::record::{Certified, Entry, JoinedEntry, Wish};
use super::registry::{InviteState, Registry};
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

/// A joiner's identity, or one renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Granted {
    pub(crate) role: Role,
    pub(crate) name: Name,
    #[serde(with = "serde_bytes")]
    pub(crate) certificate: Vec<u8>,
    /// Whom to trust: the authority, and the next one while the cluster changes to it.
    pub(crate) authorities: Vec<serde_bytes::ByteBuf>,
}

impl Granted {
    /// Puts what was granted beside the key it was granted for.
    pub(crate) fn material(self, key: Zeroizing<Vec<u8>>) -> Material {
        let authorities = self.authorities.into_iter();
        Material {
            key,
            certificate: CertificateDer::from(self.certificate),
            authorities: authorities.map(|der| CertificateDer::from(der.into_vec())).collect(),
        }
    }
}

/// How a join was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Enrolled {
    pub(crate) answer: JoinAnswer,
    /// Whether the name is another key's now: its connections are to be ended.
    pub(crate) changed_hands: bool,
}

impl Authority {
    /// Decides about a join. A grant is durable on return.
    pub(crate) fn enroll(&self, request: &JoinRequest, from: IpAddr) -> Enrolled {
        match self.try_enroll(request, from) {
            Ok((granted, changed_hands)) => {
                Enrolled { answer: JoinAnswer::Granted(granted), changed_hands }
            }
            Err(answer) => Enrolled { answer, changed_hands: false },
        }
    }

    fn try_enroll(
        &self,
        request: &JoinRequest,
        from: IpAddr,
    ) -> Result<(Granted, bool), JoinAnswer> {
        let mut log = self.lock_log();
        let now = self.now();
        // The secret first: only who holds it reaches the parser of requests.
        let role = invite_of(&self.registry(), request)?.entry.role;
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
                let name = &before.certificate.actor.name;
                return Ok((self.granted(role, name, before.der.clone()), false));
            }
            if !is_open(invite, now) {
                return Err(JoinAnswer::Refused);
            }
            choose_name(&registry, invite, &request.wish, now)?
        };
        let changed_hands = self.registry().was_given(role, &name);
        let ca = self.issuer();
        let signed = ca.sign(ca.leaf(Subject::Client(role), &name, now), &key);
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
        let actor = &joined.certificate.actor;
        let granted = self.granted(role, &actor.name, joined.der.clone());
        match self.record(&mut log, Entry::Joined(joined)) {
            Ok(()) => Ok((granted, changed_hands)),
            Err(AuthorityError::Refused(_)) => Err(JoinAnswer::Refused),
            Err(error @ (AuthorityError::Identity(_) | AuthorityError::Damaged(_))) => {
                tracing::error!(%error, "a join could not be recorded");
                Err(JoinAnswer::Busy)
            }
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

/// Chooses a joiner's name. One that was given before is free only when the invite names it: else
/// whoever holds any token could take over what is called so, and the batches it owns.
fn choose_name(
    registry: &Registry,
    invite: &InviteState,
    wish: &Wish,
    now: WallMs,
) -> Result<Name, JoinAnswer> {
    let role = invite.entry.role;
    let (name, is_free) = match (&invite.entry.name, wish) {
        (Some(name), _) => (name, invite.again || !registry.is_held(role, name, now)),
        (None, Wish::Named(name)) => (name, !registry.was_given(role, name)),
        (None, Wish::Host(host)) => return numbered(registry, role, host),
    };
    if is_free { Ok(name.clone()) } else { Err(JoinAnswer::Name(taken(role, name))) }
}

/// What to do about a name that somebody has or had.
pub(crate) fn taken(role: Role, name: &Name) -> String {
    format!(
        "a {role} called `{name}` has joined already; choose another name with --name, or if this \
         is the same machine or person run `ganger invite --rejoin {name} --role {role}` on the \
         master"
    )
}

/// Returns `host`, or the first free of `host-2`, `host-3`, ….
fn numbered(registry: &Registry, role: Role, host: &Name) -> Result<Name, JoinAnswer> {
    let numbered = |number: u32| {
        let end = if number == 1 { String::new() } else { format!("-{number}") };
        let kept: String = host.as_str().chars().take(63 - end.len()).collect();
        Name::parse(&format!("{kept}{end}")).expect("a name with a number is a name")
    };
    let mut names = (1..=NUMBERS_MAX).map(numbered);
    let free = names.find(|name| !registry.was_given(role, name));
    free.ok_or_else(|| {
        JoinAnswer::Name(format!("all names from `{host}` on are taken; choose one with --name"))
    })
}

/// Identities that may share a host's name.
const NUMBERS_MAX: u32 = 9_999;

//! The registry: whom the master knows, as the replay of the trust log says. Reads no file, checks
//! no signature.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use ganger_proto::audit::AuditRow;
use ganger_proto::gang::CertificateFacts;
use ganger_proto::identity::{IdentityRow, IdentityState};
use ganger_proto::{Actor, Name, Role, WallMs};

use super::record::{Certified, Entry, InviteEntry, JoinedEntry, Record, RenewedEntry};
use super::{hex, local};

/// An invite and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct InviteState {
    pub(crate) entry: InviteEntry,
    /// Whether the name in it may be one that is held.
    pub(crate) again: bool,
    pub(crate) used: u32,
    pub(crate) withdrawn: bool,
    /// Who joined with it, for the case that an answer was lost.
    pub(crate) joined: Vec<JoinedEntry>,
}

impl InviteState {
    fn of(entry: InviteEntry) -> Self {
        Self { entry, again: false, used: 0, withdrawn: false, joined: Vec::new() }
    }
}

/// A certificate that the registry knows.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) actor: Actor,
    /// The hash of its key: another key with its serial number is a forgery.
    pub(crate) key: [u8; 32],
    pub(crate) revoked: bool,
}

/// One entry of the registry: an identity with its newest certificate.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) actor: Actor,
    pub(crate) revoked: bool,
    pub(crate) newest: Certified,
    /// When that was made.
    pub(crate) issued: WallMs,
    /// Which authority made it.
    pub(crate) generation: u32,
    /// Whether it was made while the cluster changed its authority: its holder trusts two.
    pub(crate) trusts_two: bool,
    /// The certificate itself, when it came of a renewal: its answer may have been lost.
    pub(crate) renewed: Option<Vec<u8>>,
    /// When it came first.
    since: WallMs,
    /// The address it joined from; empty for one of the master's own machine.
    from: String,
}

impl Identity {
    /// Returns its newest certificate, for people.
    pub(crate) fn certificate(&self) -> CertificateFacts {
        CertificateFacts {
            serial: hex(&self.newest.serial),
            fingerprint: hex(&self.newest.key),
            issued: self.issued,
            ends: self.newest.ends,
            revoked: self.revoked,
        }
    }

    /// Returns it as a list shows it.
    pub(crate) fn row(&self, now: WallMs) -> IdentityRow {
        let state = match () {
            () if self.revoked => IdentityState::Revoked,
            () if self.newest.ends <= now => IdentityState::Expired,
            () => IdentityState::Good,
        };
        IdentityRow {
            actor: self.actor.clone(),
            state,
            certificate: self.certificate(),
            authority: self.generation,
            since: self.since,
            from: self.from.clone(),
            connections: 0,
        }
    }
}

/// Whom the master knows.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) cluster: Option<Name>,
    /// The authority that made the master's certificate, counted from 1.
    pub(crate) generation: u32,
    /// The one that makes everybody else's, when that is another.
    pub(crate) next: Option<u32>,
    pub(crate) invites: HashMap<[u8; 8], InviteState>,
    by_serial: HashMap<Vec<u8>, Known>,
    identities: BTreeMap<(Role, Name), Identity>,
    audit: Vec<AuditRow>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            cluster: None,
            generation: 1,
            next: None,
            invites: HashMap::new(),
            by_serial: HashMap::new(),
            identities: BTreeMap::new(),
            audit: Vec::new(),
        }
    }
}

impl Registry {
    /// Takes in one entry; cannot fail, so that recovery and the live path are one.
    pub(crate) fn apply(&mut self, record: Record) {
        self.audit.push(record.row(self.audit.len() as u64 + 1));
        let at = record.at;
        match record.entry {
            Entry::Began { cluster } => self.cluster = Some(cluster),
            Entry::Invited(entry) => self.invited(InviteState::of(entry)),
            Entry::InvitedAgain(entry) => {
                self.invited(InviteState { again: true, ..InviteState::of(entry) });
            }
            Entry::Joined(joined) => {
                // Whoever had the name before does not have it any more.
                let Actor { role, name, .. } = &joined.certificate.actor;
                self.revoke(*role, name);
                self.certify(at, &joined.certificate).from.clone_from(&joined.from);
                if let Some(invite) = self.invites.get_mut(&joined.invite) {
                    invite.used += 1;
                    invite.joined.push(joined);
                }
            }
            Entry::Issued { certificate } => {
                self.certify(at, &certificate);
            }
            Entry::Revoked { role, name, .. } => {
                self.revoke(role, &name);
                self.withdraw_from(role, &name);
            }
            Entry::Renewed(RenewedEntry { certificate, der }) => {
                self.certify(at, &certificate).renewed = Some(der);
            }
            Entry::Rotating { generation, .. } => self.next = Some(generation),
            Entry::Rotated { generation, .. } => self.rotated(generation),
        }
    }

    fn invited(&mut self, invite: InviteState) {
        let replaced = invite.entry.replaces.and_then(|id| self.invites.get_mut(&id));
        if let Some(replaced) = replaced.filter(|replaced| replaced.used == 0) {
            replaced.withdrawn = true;
        }
        self.invites.insert(invite.entry.id, invite);
    }

    /// Tokens name the authority that they were made under; nobody answers for it any more.
    fn rotated(&mut self, generation: u32) {
        self.generation = generation;
        self.next = None;
        for invite in self.invites.values_mut() {
            invite.withdrawn = true;
        }
    }

    fn certify(&mut self, at: WallMs, certificate: &Certified) -> &mut Identity {
        let Certified { actor, serial, key, .. } = certificate;
        let known = Known { actor: actor.clone(), key: *key, revoked: false };
        self.by_serial.insert(serial.clone(), known);
        let place = (actor.role, actor.name.clone());
        let before = self.identities.remove(&place);
        let (since, from) = before.map_or((at, String::new()), |was| (was.since, was.from));
        let identity = Identity {
            actor: actor.clone(),
            revoked: false,
            newest: certificate.clone(),
            issued: at,
            generation: self.next.unwrap_or(self.generation),
            trusts_two: self.next.is_some(),
            renewed: None,
            since,
            from,
        };
        self.identities.entry(place).or_insert(identity)
    }

    fn revoke(&mut self, role: Role, name: &Name) {
        if let Some(row) = self.identities.get_mut(&(role, name.clone())) {
            row.revoked = true;
        }
        let theirs = |known: &&mut Known| known.actor.role == role && known.actor.name == *name;
        for known in self.by_serial.values_mut().filter(theirs) {
            known.revoked = true;
        }
    }

    /// Withdraws the tokens with which a revoked identity, or whoever got its tokens, could come
    /// back: those that it made, those made for it, and that which it joined with.
    fn withdraw_from(&mut self, role: Role, name: &Name) {
        for invite in self.invites.values_mut() {
            let InviteEntry { by, role: admits, name: named, .. } = &invite.entry;
            let made = by.role == role && by.name == *name;
            let meant = *admits == role && named.as_ref() == Some(name);
            let joined = |joined: &JoinedEntry| {
                let actor = &joined.certificate.actor;
                actor.role == role && actor.name == *name
            };
            invite.withdrawn |= made || meant || invite.joined.iter().any(joined);
        }
    }

    /// Returns what is known of a certificate; nothing known is a refusal.
    pub(crate) fn by_serial(&self, serial: &[u8]) -> Option<&Known> {
        self.by_serial.get(serial)
    }

    /// Returns an identity.
    pub(crate) fn identity(&self, role: Role, name: &Name) -> Option<&Identity> {
        self.identities.get(&(role, name.clone()))
    }

    /// Tells whether somebody of this role goes by the name, or did: it is nobody else's then
    /// unless an invite says so.
    pub(crate) fn was_given(&self, role: Role, name: &Name) -> bool {
        local::is_kept(role, name) || self.identity(role, name).is_some()
    }

    /// Tells whether somebody of this role goes by the name now.
    pub(crate) fn is_held(&self, role: Role, name: &Name, now: WallMs) -> bool {
        self.identity(role, name).is_some_and(|known| !known.revoked && known.newest.ends > now)
    }

    /// Returns all identities by role and name, from after one of them.
    pub(crate) fn identities(
        &self,
        after: Option<&(Role, Name)>,
    ) -> impl Iterator<Item = &Identity> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.identities.range((from, Bound::Unbounded)).map(|(_, identity)| identity)
    }

    /// Returns how many identities could still connect now whose newest certificate is not of the
    /// newest authority.
    pub(crate) fn behind(&self, now: WallMs) -> impl Iterator<Item = &Identity> {
        let newest = self.next.unwrap_or(self.generation);
        self.identities(None).filter(move |known| {
            !known.revoked && known.newest.ends > now && known.generation < newest
        })
    }

    /// Returns entries after the `after`th.
    pub(crate) fn audit(&self, after: u64, rows: usize) -> Vec<AuditRow> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        self.audit.iter().skip(after).take(rows).cloned().collect()
    }
}

//! The registry: whom the master knows, as the replay of the trust log says. Reads no file, checks
//! no signature.

use std::collections::{BTreeMap, HashMap};

use ganger_proto::audit::{AuditLog, AuditRow};
use ganger_proto::gang::CertificateFacts;
use ganger_proto::{Actor, Name, Role, WallMs};
use serde::{Deserialize, Serialize};

use super::{date, hex};

/// The version byte before each record.
const VERSION: u8 = 1;

/// One entry of the trust log. TRUST_LOG.md has the format; kinds are only added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) at: WallMs,
    pub(crate) entry: Entry,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// The cluster was made.
    Began { cluster: Name },
    /// A token was made.
    Invited(InviteEntry),
    /// A token was used: the use and the certificate in one.
    Joined(JoinedEntry),
    /// A certificate was made on the master's own machine.
    Issued { certificate: Certified },
    /// All certificates of an identity were revoked.
    Revoked { role: Role, name: Name, reason: String, by: Actor },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InviteEntry {
    pub(crate) id: [u8; 8],
    pub(crate) secret_hash: [u8; 32],
    pub(crate) role: Role,
    pub(crate) name: Option<Name>,
    pub(crate) uses: u32,
    pub(crate) expires: WallMs,
    pub(crate) by: Actor,
    pub(crate) replaces: Option<[u8; 8]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JoinedEntry {
    pub(crate) invite: [u8; 8],
    pub(crate) wish: Wish,
    /// The joiner's address, for people.
    pub(crate) from: String,
    pub(crate) certificate: Certified,
    #[serde(with = "serde_bytes")]
    pub(crate) der: Vec<u8>,
}

/// What a joiner wants to be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// So and not otherwise.
    Named(Name),
    /// After its host, with a number when that is taken.
    Host(Name),
}

/// A certificate as the registry keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certified {
    pub(crate) actor: Actor,
    pub(crate) serial: Vec<u8>,
    pub(crate) key: [u8; 32],
    pub(crate) ends: WallMs,
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![VERSION]).expect("records hold nothing postcard refuses")
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let body = payload.strip_prefix(&[VERSION])?;
        match postcard::take_from_bytes(body) {
            Ok((record, [])) => Some(record),
            Ok(_) | Err(_) => None,
        }
    }

    /// Returns it as an audit shows it.
    fn row(&self, number: u64) -> AuditRow {
        let (word, actor) = match &self.entry {
            Entry::Began { .. } => ("began", None),
            Entry::Invited(invite) => ("invited", Some(&invite.by)),
            Entry::Joined(joined) => ("joined", Some(&joined.certificate.actor)),
            Entry::Issued { certificate } => ("issued", Some(&certificate.actor)),
            Entry::Revoked { by, .. } => ("revoked", Some(by)),
        };
        let actor = actor.map(Actor::to_string).unwrap_or_default();
        let (at, word, text) = (self.at, word.to_owned(), self.text());
        AuditRow { at, log: AuditLog::Trust, number, actor, word, text }
    }

    /// Says it in one sentence for people.
    fn text(&self) -> String {
        match &self.entry {
            Entry::Began { cluster } => format!("the cluster {cluster} was made"),
            Entry::Invited(invite) => {
                let name = invite.name.as_ref().map(|name| format!(" `{name}`"));
                format!(
                    "{} made invite {} for a {}{}, {} uses, until {}",
                    invite.by,
                    hex(&invite.id),
                    invite.role,
                    name.unwrap_or_default(),
                    invite.uses,
                    date(invite.expires)
                )
            }
            Entry::Joined(joined) => format!(
                "{} joined from {} with invite {}; certificate until {}",
                joined.certificate.actor,
                joined.from,
                hex(&joined.invite),
                date(joined.certificate.ends)
            ),
            Entry::Issued { certificate } => format!(
                "{} got a certificate on this machine, until {}",
                certificate.actor,
                date(certificate.ends)
            ),
            Entry::Revoked { role, name, reason, by } => {
                let why = if reason.is_empty() { "no reason given" } else { reason };
                format!("{by} revoked {role}@{name}: {why}")
            }
        }
    }
}

/// An invite and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct InviteState {
    pub(crate) entry: InviteEntry,
    pub(crate) used: u32,
    pub(crate) withdrawn: bool,
    /// Who joined with it, for the case that an answer was lost.
    pub(crate) joined: Vec<JoinedEntry>,
}

/// A certificate that the registry knows.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) actor: Actor,
    pub(crate) revoked: bool,
}

/// One entry of the registry.
#[derive(Clone, Debug)]
pub struct IdentityRow {
    /// Its role and name.
    pub actor: Actor,
    /// When its newest certificate ends.
    pub certificate_ends: WallMs,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The newest certificate's serial number, in hex.
    pub serial: String,
    /// SHA-256 of its key, in hex.
    pub fingerprint: String,
    /// When it was issued.
    pub issued: WallMs,
}

impl IdentityRow {
    /// Returns its newest certificate, for people.
    pub(crate) fn certificate(&self) -> CertificateFacts {
        CertificateFacts {
            serial: self.serial.clone(),
            fingerprint: self.fingerprint.clone(),
            issued: self.issued,
            ends: self.certificate_ends,
            revoked: self.revoked,
        }
    }
}

/// Whom the master knows.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) cluster: Option<Name>,
    pub(crate) invites: HashMap<[u8; 8], InviteState>,
    by_serial: HashMap<Vec<u8>, Known>,
    identities: BTreeMap<(Role, Name), IdentityRow>,
    audit: Vec<AuditRow>,
}

impl Registry {
    /// Takes in one entry; cannot fail, so that recovery and the live path are one.
    pub(crate) fn apply(&mut self, record: Record) {
        self.audit.push(record.row(self.audit.len() as u64 + 1));
        let at = record.at;
        match record.entry {
            Entry::Began { cluster } => self.cluster = Some(cluster),
            Entry::Invited(entry) => {
                let replaced = entry.replaces.and_then(|id| self.invites.get_mut(&id));
                if let Some(replaced) = replaced.filter(|replaced| replaced.used == 0) {
                    replaced.withdrawn = true;
                }
                let id = entry.id;
                let state = InviteState { entry, used: 0, withdrawn: false, joined: Vec::new() };
                self.invites.insert(id, state);
            }
            Entry::Joined(joined) => {
                self.certify(at, &joined.certificate);
                if let Some(invite) = self.invites.get_mut(&joined.invite) {
                    invite.used += 1;
                    invite.joined.push(joined);
                }
            }
            Entry::Issued { certificate } => self.certify(at, &certificate),
            Entry::Revoked { role, name, .. } => self.revoke(role, &name),
        }
    }

    fn certify(&mut self, at: WallMs, certificate: &Certified) {
        let Certified { actor, serial, key, ends } = certificate;
        let known = Known { actor: actor.clone(), revoked: false };
        self.by_serial.insert(serial.clone(), known);
        let row = IdentityRow {
            actor: actor.clone(),
            certificate_ends: *ends,
            revoked: false,
            serial: hex(serial),
            fingerprint: hex(key),
            issued: at,
        };
        self.identities.insert((actor.role, actor.name.clone()), row);
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

    /// Returns what is known of a certificate; nothing known is a refusal.
    pub(crate) fn by_serial(&self, serial: &[u8]) -> Option<&Known> {
        self.by_serial.get(serial)
    }

    /// Returns an identity.
    pub(crate) fn identity(&self, role: Role, name: &Name) -> Option<&IdentityRow> {
        self.identities.get(&(role, name.clone()))
    }

    /// Tells whether somebody of this role goes by the name now.
    pub(crate) fn is_taken(&self, role: Role, name: &Name, now: WallMs) -> bool {
        self.identity(role, name).is_some_and(|row| !row.revoked && row.certificate_ends > now)
    }

    /// Returns all identities.
    pub(crate) fn identities(&self) -> Vec<IdentityRow> {
        self.identities.values().cloned().collect()
    }

    /// Returns entries after the `after`th.
    pub(crate) fn audit(&self, after: u64, rows: usize) -> Vec<AuditRow> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        self.audit.iter().skip(after).take(rows).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Record> {
        let name = |text: &str| Name::parse(text).unwrap();
        let by = Actor { role: Role::Operator, name: name("admin"), admin: true };
        let worker = Actor { role: Role::Worker, name: name("w"), admin: false };
        let certificate = Certified {
            actor: worker,
            serial: vec![0x41, 2],
            key: [3; 32],
            ends: WallMs(90 * 86_400_000),
        };
        let entries = [
            Entry::Began { cluster: name("host-ab12") },
            Entry::Invited(InviteEntry {
                id: [1; 8],
                secret_hash: [2; 32],
                role: Role::Worker,
                name: Some(name("w")),
                uses: 1,
                expires: WallMs(3_600_000),
                by: by.clone(),
                replaces: Some([9; 8]),
            }),
            Entry::Joined(JoinedEntry {
                invite: [1; 8],
                wish: Wish::Host(name("w")),
                from: "10.0.0.1".to_owned(),
                certificate: certificate.clone(),
                der: vec![0x30, 0],
            }),
            Entry::Issued { certificate },
            Entry::Revoked { role: Role::Worker, name: name("w"), reason: "lost".to_owned(), by },
        ];
        entries.into_iter().map(|entry| Record { at: WallMs(1_000), entry }).collect()
    }

    /// What the first release wrote; later ones must go on reading it.
    const KEPT: [&str; 5] = [
        "01e8070009686f73742d61623132",
        concat!(
            "01e8070101010101010101010202020202020202020202020202020202020202020202020202020202020202",
            "000101770180dddb01030561646d696e01010909090909090909",
        ),
        concat!(
            "01e8070201010101010101010101770831302e302e302e310001770002410203030303030303030303030303",
            "0303030303030303030303030303030303030380b0f1fb1c023000",
        ),
        concat!(
            "01e8070300017700024102030303030303030303030303030303030303030303030303030303030303030380",
            "b0f1fb1c",
        ),
        "01e80704000177046c6f7374030561646d696e01",
    ];

    #[test]
    fn kept_entries_are_read_and_written_as_ever() {
        for (record, kept) in samples().into_iter().zip(KEPT) {
            assert_eq!(hex(&record.encode()), kept);
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
        assert_eq!(Record::decode(&[]), None);
        assert_eq!(Record::decode(&[VERSION]), None);
        assert_eq!(Record::decode(&[VERSION + 1, 0, 0, 0]), None);
        let longer = [samples()[0].encode(), vec![0]].concat();
        assert_eq!(Record::decode(&longer), None);
    }
}

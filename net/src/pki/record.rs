//! The entries of the trust log, and how an audit shows them. TRUST_LOG.md has the format. What
//! follows from them is in registry.rs.

use ganger_proto::audit::{AuditLog, AuditRow};
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
    /// A token was made with which one identity joins anew, also while its certificate is good.
    InvitedAgain(InviteEntry),
    /// A certificate for a new key was made over a connection that an older one opened.
    Renewed(RenewedEntry),
    /// The next authority was made: certificates are its own from now on, both are trusted.
    Rotating { generation: u32, pin: [u8; 32], by: Actor },
    /// The authority before is not trusted any more.
    Rotated { generation: u32, by: Actor },
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RenewedEntry {
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
    pub(crate) fn row(&self, number: u64) -> AuditRow {
        let (word, actor) = match &self.entry {
            Entry::Began { .. } => ("began", None),
            Entry::Invited(invite) | Entry::InvitedAgain(invite) => ("invited", Some(&invite.by)),
            Entry::Joined(joined) => ("joined", Some(&joined.certificate.actor)),
            Entry::Issued { certificate } => ("issued", Some(&certificate.actor)),
            Entry::Revoked { by, .. } => ("revoked", Some(by)),
            Entry::Renewed(renewed) => ("renewed", Some(&renewed.certificate.actor)),
            Entry::Rotating { by, .. } => ("rotating", Some(by)),
            Entry::Rotated { by, .. } => ("rotated", Some(by)),
        };
        let actor = actor.map(Actor::to_string).unwrap_or_default();
        let (at, word, text) = (self.at, word.to_owned(), self.text());
        AuditRow { at, log: AuditLog::Trust, number, actor, word, text }
    }

    /// Says it in one sentence for people.
    fn text(&self) -> String {
        match &self.entry {
            Entry::Began { cluster } => format!("the cluster {cluster} was made"),
            Entry::Invited(invite) | Entry::InvitedAgain(invite) => {
                let again = matches!(self.entry, Entry::InvitedAgain(_));
                let name = invite.name.as_ref().map(|name| format!(" `{name}`"));
                format!(
                    "{} made invite {} for {} {}{}, {} uses, until {}",
                    invite.by,
                    hex(&invite.id),
                    if again { "the return of a" } else { "a" },
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
            Entry::Renewed(RenewedEntry { certificate, .. }) => format!(
                "{} renewed its certificate, until {}",
                certificate.actor,
                date(certificate.ends)
            ),
            Entry::Rotating { generation, pin, by } => {
                format!("{by} made authority {generation} with the pin {}", hex(pin))
            }
            Entry::Rotated { generation, by } => {
                format!("{by} ended the trust in all authorities before {generation}")
            }
        }
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
        let invite = InviteEntry {
            id: [1; 8],
            secret_hash: [2; 32],
            role: Role::Worker,
            name: Some(name("w")),
            uses: 1,
            expires: WallMs(3_600_000),
            by: by.clone(),
            replaces: Some([9; 8]),
        };
        let again = InviteEntry { id: [5; 8], name: Some(name("w")), ..invite.clone() };
        let entries = [
            Entry::Began { cluster: name("host-ab12") },
            Entry::Invited(invite),
            Entry::Joined(JoinedEntry {
                invite: [1; 8],
                wish: Wish::Host(name("w")),
                from: "10.0.0.1".to_owned(),
                certificate: certificate.clone(),
                der: vec![0x30, 0],
            }),
            Entry::Issued { certificate: certificate.clone() },
            Entry::Revoked {
                role: Role::Worker,
                name: name("w"),
                reason: "lost".to_owned(),
                by: by.clone(),
            },
            Entry::InvitedAgain(again),
            Entry::Renewed(RenewedEntry { certificate, der: vec![0x30, 1] }),
            Entry::Rotating { generation: 2, pin: [4; 32], by: by.clone() },
            Entry::Rotated { generation: 2, by },
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

//! Identities and authorities as the master lists them, for people. What proves one is
//! `ganger-net`'s affair.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::command::Actor;
use crate::gang::CertificateFacts;
use crate::time::WallMs;

/// An identity that the registry knows, with its newest certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRow {
    /// Its role and name.
    pub actor: Actor,
    /// Whether it could connect now.
    pub state: IdentityState,
    /// Its newest certificate.
    pub certificate: CertificateFacts,
    /// Which of the cluster's authorities made that, counted from 1.
    pub authority: u32,
    /// When it came first.
    pub since: WallMs,
    /// The address it joined from; empty for one of the master's own machine.
    pub from: String,
    /// How many connections it has at this moment.
    pub connections: u32,
}

/// Whether an identity could connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityState {
    /// It can.
    Good,
    /// Its certificate has ended: it was not connected while it could have renewed it.
    Expired,
    /// It was revoked.
    Revoked,
}

impl IdentityState {
    /// Returns its one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for IdentityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The authority of a cluster, and the next one while it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityFacts {
    /// Which one it is, counted from 1.
    pub generation: u32,
    /// SHA-256 of its public key, in hex: what join tokens name.
    pub pin: String,
    /// When its certificate ends.
    pub ends: WallMs,
    /// The pin of the next one, in hex, while the cluster changes to it.
    pub next_pin: Option<String>,
    /// While it changes: identities that could connect and have no certificate of the next one.
    pub behind: u64,
}

/// A step of changing a cluster's authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rotation {
    /// Make the next authority; both are trusted, and everybody renews.
    Begin,
    /// End the trust in the old one. Refused while somebody is behind.
    Finish,
    /// The same; whoever is behind has to join again.
    FinishNow,
}

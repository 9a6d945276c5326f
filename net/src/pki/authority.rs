//! The certificate authority of one cluster, its registry and its trust log. Only the master has one.

use std::path::Path;

use ganger_proto::command::Invite;
use ganger_proto::{Actor, Name, Role, WallMs};

use crate::WallClock;
use crate::pki::identity::ClientIdentity;
use crate::pki::token::Token;

/// A cluster's root key, registry and trust log.
#[derive(Debug)]
pub struct Authority {}

/// The authority cannot be opened, or cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A file or folder cannot be used; the sentence says which, why, and what to do.
    #[error(transparent)]
    Identity(#[from] crate::pki::identity::IdentityError),
    /// The trust log is damaged.
    #[error("{0}")]
    Damaged(String),
    /// No such identity, or the name is taken, or the actor may not.
    #[error("{0}")]
    Refused(String),
}

/// A token and what it allows.
#[derive(Debug)]
pub struct Invited {
    /// The token; shown once.
    pub token: Token,
    /// The invite's id, to withdraw it.
    pub id: String,
    /// When it ends.
    pub expires: WallMs,
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
}

/// One entry of the trust log, for people.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// Its number, from 1.
    pub number: u64,
    /// When it was written.
    pub at: WallMs,
    /// What happened, in one sentence.
    pub text: String,
}

impl Authority {
    /// Opens the authority in `dir` (`HOME/trust`), making CA, cluster name and master certificate at
    /// the first start. `host` goes into the cluster's name.
    ///
    /// # Errors
    /// When a file has the wrong owner or mode, is damaged, or cannot be written.
    pub fn open(_dir: &Path, _host: &str, _clock: WallClock) -> Result<Self, AuthorityError> {
        unimplemented!()
    }

    /// Returns the cluster's name.
    pub fn cluster(&self) -> &Name {
        unimplemented!()
    }

    /// Makes a join token for `addresses` (`host:port`). Durable on return.
    ///
    /// # Errors
    /// When the actor may not invite that role, or the trust log cannot be written.
    pub fn invite(
        &self,
        _invite: &Invite,
        _by: &Actor,
        _addresses: &[String],
    ) -> Result<Invited, AuthorityError> {
        unimplemented!()
    }

    /// Revokes all certificates of an identity. Durable on return; the caller kicks its connections.
    ///
    /// # Errors
    /// When there is no such identity, the actor may not, or the trust log cannot be written.
    pub fn revoke(
        &self,
        _role: Role,
        _name: &Name,
        _reason: &str,
        _by: &Actor,
    ) -> Result<(), AuthorityError> {
        unimplemented!()
    }

    /// Makes or renews an identity on the master's own machine, without a connection, and keeps it in
    /// `dir`: the home's administrator (operator, admin) or the local worker.
    ///
    /// # Errors
    /// When the folder cannot be written or the trust log cannot be written.
    pub fn issue_local(
        &self,
        _dir: &Path,
        _actor: &Actor,
        _addresses: &[String],
    ) -> Result<ClientIdentity, AuthorityError> {
        unimplemented!()
    }

    /// Returns the registry.
    pub fn identities(&self) -> Vec<IdentityRow> {
        unimplemented!()
    }

    /// Returns entries of the trust log after the `after`th.
    pub fn audit(&self, _after: u64, _rows: usize) -> Vec<AuditRow> {
        unimplemented!()
    }
}

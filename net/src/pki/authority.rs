//! The certificate authority of one cluster, its registry and its trust log; only the master has
//! one. The files of its folder are opened in vault.rs; joins are decided in enroll.rs, renewals in
//! renewal.rs; local.rs has the identities of its own machine, rotation.rs changes the root key.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};

use ganger_proto::audit::{AuditRow, TrustChecked};
use ganger_proto::command::Invite;
use ganger_proto::gang::CertificateFacts;
use ganger_proto::identity::IdentityRow;
use ganger_proto::{Actor, Name, Role, WallMs};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::ca::Ca;
use super::certificate::{self, Subject};
use super::identity::IdentityError;
use super::record::{Entry, InviteEntry, Record};
use super::registry::{Identity, Registry};
use super::rotation::Roots;
use super::trust_log::TrustLog;
use super::vault::Vault;
use super::{enroll, hex, local, random, sha256};
use crate::WallClock;
use crate::error::{CloseCode, clean};
use crate::limits::{INVITE_TTL_MAX, INVITE_USES_MAX};
use crate::pki::token::Token;
use crate::session::Peer;

/// A cluster's root key, registry and trust log.
pub struct Authority {
    clock: WallClock,
    cluster: Name,
    /// The pin of the cluster's first root, which the trust log begins with.
    first_pin: [u8; 32],
    /// Held for moments only.
    pub(super) roots: RwLock<Roots>,
    vault: Vault,
    /// Held while an entry is decided and written: one at a time.
    log: Mutex<TrustLog>,
    /// Held for moments only, also by the verifier of certificates.
    registry: RwLock<Registry>,
    pub(super) master: RwLock<Arc<CertifiedKey>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.cluster)
    }
}

/// The authority cannot be opened, or cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A file or folder cannot be used; the sentence says which, why, and what to do.
    #[error(transparent)]
    Identity(#[from] IdentityError),
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

impl Authority {
    /// Opens the authority in `dir` (`HOME/trust`), making CA, cluster name and master certificate
    /// at the first start. `host` goes into the cluster's name.
    ///
    /// # Errors
    /// When a file has the wrong owner or mode, is damaged, or cannot be written.
    pub fn open(dir: &Path, host: &str, clock: WallClock) -> Result<Self, AuthorityError> {
        let now = clock();
        let vault = Vault::open(dir)?;
        let (cluster, first_pin) = vault.first(host, now)?;
        let (log, payloads) = TrustLog::open(&vault.log_path(), &first_pin)?;
        let mut registry = Registry::default();
        for payload in payloads {
            let record = Record::decode(&payload).ok_or_else(|| vault.unreadable())?;
            registry.apply(record);
        }
        let began = registry.cluster.clone();
        if began.as_ref().is_some_and(|named| *named != cluster) {
            return Err(vault.unreadable());
        }
        let roots = Roots::load(&vault, &cluster, &registry)?;
        let master = Arc::new(vault.master(&roots.served, now)?);
        let authority = Self {
            clock,
            cluster,
            first_pin,
            roots: RwLock::new(roots),
            vault,
            log: Mutex::new(log),
            registry: RwLock::new(registry),
            master: RwLock::new(master),
        };
        if began.is_none() {
            let cluster = authority.cluster.clone();
            let mut log = authority.lock_log();
            authority.record(&mut log, Entry::Began { cluster })?;
        }
        authority.vault.finish()?;
        Ok(authority)
    }

    /// Returns the cluster's name.
    pub fn cluster(&self) -> &Name {
        &self.cluster
    }

    /// Makes a join token for `addresses` (`host:port`). Durable on return.
    ///
    /// # Errors
    /// When the actor may not invite that role, or the trust log cannot be written.
    pub fn invite(
        &self,
        invite: &Invite,
        by: &Actor,
        addresses: &[String],
    ) -> Result<Invited, AuthorityError> {
        may_admit(by, invite.role, "invite")?;
        let mut log = self.lock_log();
        let now = self.now();
        self.check_invite(invite, now)?;
        let addresses = Token::fitting(addresses);
        if addresses.is_empty() {
            return Err(AuthorityError::Refused(
                "a join token needs an address of this master; start it with --advertise HOST"
                    .to_owned(),
            ));
        }
        let (id, secret) = (random::<8>(), Zeroizing::new(random::<16>()));
        let expires = now.plus(invite.ttl_ms);
        let replaces = invite.replaces.as_deref().and_then(read_id);
        let entry = InviteEntry {
            id,
            secret_hash: sha256(&*secret),
            role: invite.role,
            name: invite.name.clone(),
            uses: invite.uses,
            expires,
            by: by.clone(),
            replaces,
        };
        let entry = if invite.again { Entry::InvitedAgain(entry) } else { Entry::Invited(entry) };
        self.record(&mut log, entry)?;
        let (pin, cluster) = (self.ca().pin, self.cluster.clone());
        let token = Token { pin, id, secret, cluster, addresses };
        Ok(Invited { token, id: hex(&id), expires })
    }

    fn check_invite(&self, invite: &Invite, now: WallMs) -> Result<(), AuthorityError> {
        let refused = |why: String| Err(AuthorityError::Refused(why));
        let ttl_max = u64::try_from(INVITE_TTL_MAX.as_millis()).unwrap_or(u64::MAX);
        if !(1..=ttl_max).contains(&invite.ttl_ms) {
            return refused(format!(
                "an invite is valid for at most {} days; choose --ttl within them",
                ttl_max / 86_400_000
            ));
        }
        if !(1..=INVITE_USES_MAX).contains(&invite.uses) {
            return refused(format!("an invite has 1 to {INVITE_USES_MAX} uses; choose --uses so"));
        }
        let Some(name) = &invite.name else {
            let named = "whoever rejoins has a name; say which".to_owned();
            return if invite.again { refused(named) } else { Ok(()) };
        };
        if invite.uses > 1 {
            return refused(format!(
                "only one can be called `{name}`; leave out --name, or --uses"
            ));
        }
        let registry = self.registry();
        let role = invite.role;
        if local::is_kept(role, name) {
            return refused(format!(
                "`{name}` is the {role} that the master starts itself; choose another name"
            ));
        }
        match registry.identity(role, name) {
            Some(known) if known.actor.admin => refused(admins_own(&known.actor)),
            Some(_) if !invite.again && registry.is_held(role, name, now) => {
                refused(enroll::taken(role, name))
            }
            None if invite.again => refused(format!(
                "no {role} was ever called `{name}`; `ganger invite --role {role} --name {name}` \
                 admits one"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Revokes all certificates of an identity. Durable on return; the caller kicks the live ones.
    ///
    /// # Errors
    /// When there is no such identity, the actor may not, or the trust log cannot be written.
    pub fn revoke(
        &self,
        role: Role,
        name: &Name,
        reason: &str,
        by: &Actor,
    ) -> Result<(), AuthorityError> {
        may_admit(by, role, "revoke")?;
        let mut log = self.lock_log();
        {
            let registry = self.registry();
            let row = registry.identity(role, name).filter(|row| !row.revoked);
            let Some(row) = row else {
                return Err(AuthorityError::Refused(format!(
                    "no {role} is called `{name}`, or it was revoked before"
                )));
            };
            if row.actor.admin {
                return Err(AuthorityError::Refused(admins_own(&row.actor)));
            }
        }
        let reason = clean(reason.as_bytes());
        let (name, by) = (name.clone(), by.clone());
        self.record(&mut log, Entry::Revoked { role, name, reason, by })
    }

    /// Returns identities by role and name, from after one of them; at most `rows`.
    pub fn identities(&self, after: Option<&(Role, Name)>, rows: usize) -> Vec<IdentityRow> {
        let now = self.now();
        self.registry().identities(after).take(rows).map(|known| known.row(now)).collect()
    }

    /// Returns an identity's newest certificate, for people.
    pub fn certificate(&self, role: Role, name: &Name) -> Option<CertificateFacts> {
        self.registry().identity(role, name).map(Identity::certificate)
    }

    /// Returns entries of the trust log after the `after`th.
    pub fn audit(&self, after: u64, rows: usize) -> Vec<AuditRow> {
        self.registry().audit(after, rows)
    }

    /// Checks the trust log as it is on the disk against its chain and what was written to it.
    ///
    /// # Errors
    /// When it was changed, cut or lengthened, or cannot be read.
    pub fn check_trust(&self) -> Result<TrustChecked, AuthorityError> {
        let (entries, hash) = self.lock_log().check(&self.first_pin)?;
        Ok(TrustChecked { entries, hash: hex(&hash) })
    }

    /// Tells who holds a certificate, or with which code its connection ends: by default, no one.
    pub(crate) fn peer(&self, der: &[u8]) -> Result<Peer, CloseCode> {
        let leaf = certificate::read(der, self.cluster()).map_err(|_| CloseCode::Protocol)?;
        let registry = self.registry();
        let known = registry.by_serial(&leaf.serial).ok_or(CloseCode::Unknown)?;
        if known.revoked {
            return Err(CloseCode::Revoked);
        }
        let same =
            leaf.subject == Subject::Client(known.actor.role) && leaf.name == known.actor.name;
        // Whoever had the root key could write a certificate of anybody's, but not for their key.
        if !same || leaf.key != known.key {
            return Err(CloseCode::Unknown);
        }
        let (actor, certificate_ends) = (known.actor.clone(), leaf.ends);
        Ok(Peer { actor, certificate_ends, serial: leaf.serial.into() })
    }

    /// Returns the master's present certificate with its key.
    pub(crate) fn master(&self) -> Arc<CertifiedKey> {
        self.master.read().expect(UNPOISONED).clone()
    }

    /// Makes the master a new certificate when the present one is past two thirds of its life.
    pub(crate) fn renew_master(&self) -> Result<(), AuthorityError> {
        let renewed = Arc::new(self.vault.master(&self.ca(), self.now())?);
        *self.master.write().expect(UNPOISONED) = renewed;
        Ok(())
    }

    /// Appends an entry to the log, and only then takes it in.
    pub(super) fn record(
        &self,
        log: &mut MutexGuard<'_, TrustLog>,
        entry: Entry,
    ) -> Result<(), AuthorityError> {
        let record = Record { at: self.now(), entry };
        log.append(&record.encode())?;
        self.registry.write().expect(UNPOISONED).apply(record);
        Ok(())
    }

    pub(super) fn lock_log(&self) -> MutexGuard<'_, TrustLog> {
        self.log.lock().expect(UNPOISONED)
    }

    /// Returns the root that made the master's certificate.
    pub(crate) fn ca(&self) -> Arc<Ca> {
        self.roots.read().expect(UNPOISONED).served.clone()
    }

    pub(crate) fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().expect(UNPOISONED)
    }

    pub(crate) fn now(&self) -> WallMs {
        (self.clock)()
    }

    pub(crate) fn clock(&self) -> WallClock {
        self.clock.clone()
    }

    pub(crate) const fn vault(&self) -> &Vault {
        &self.vault
    }
}

pub(super) const UNPOISONED: &str = "nothing panics while it holds this lock";

/// Operators admit workers, submitters and viewers; administrators admit operators too.
fn may_admit(by: &Actor, role: Role, verb: &str) -> Result<(), AuthorityError> {
    let may = match (by.role, role) {
        (Role::Operator, Role::Worker | Role::Submitter | Role::Viewer) => true,
        (Role::Operator, Role::Operator) => by.admin,
        (Role::Worker | Role::Submitter | Role::Viewer, _) => false,
    };
    if may {
        return Ok(());
    }
    let who = match by.role {
        Role::Operator => "only the administrator of the master's own home",
        Role::Worker | Role::Submitter | Role::Viewer => "only an operator",
    };
    Err(AuthorityError::Refused(format!("a {} may not {verb} a {role}; {who} may", by.role)))
}

/// Why the administrator of the master's own home cannot be revoked or replaced.
fn admins_own(admin: &Actor) -> String {
    format!("{admin} is this master's own administrator; it stays, and renews by itself")
}

/// Reads an invite's id as people see it.
fn read_id(text: &str) -> Option<[u8; 8]> {
    let fits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| u64::from_str_radix(text, 16).ok())?.map(u64::to_be_bytes)
}

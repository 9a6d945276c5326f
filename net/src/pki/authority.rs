//! The certificate authority of one cluster, its registry and its trust log. Only the master has one.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ganger_proto::command::Invite;
use ganger_proto::{Actor, Name, Role, WallMs};
use rcgen::{Issuer, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::certificate::{self, ClientName, life_of, pin_of};
use super::identity::{ClientIdentity, IdentityError};
use super::registry::SharedRegistry;
use super::token::{ADDRESSES_MAX, Token};
use super::trust_log::{Entry, Record, TrustLog};
use super::{files, random, sha256};
use crate::WallClock;
use crate::tls::Chain;

/// How long a token may live.
const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many may join with one token.
const USES_MAX: u32 = 10_000;
/// A local identity younger than this is not renewed, in milliseconds.
const RENEW_AFTER_MS: u64 = 24 * 60 * 60 * 1_000;
/// Characters of the random part of a cluster's name.
const CLUSTER_LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A cluster's root key, registry and trust log.
pub struct Authority {
    cluster: Name,
    root: CertificateDer<'static>,
    pin: [u8; 32],
    issuer: Issuer<'static, KeyPair>,
    master: Chain,
    reset_key: [u8; 64],
    connection_id_key: u64,
    registry: SharedRegistry,
    // Appends are synced, so they take turns; nothing awaits while it is held.
    log: Mutex<TrustLog>,
    clock: WallClock,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("cluster", &self.cluster).finish_non_exhaustive()
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
    pub fn open(dir: &Path, host: &str, clock: WallClock) -> Result<Self, AuthorityError> {
        files::make_dir(dir)?;
        let facts = std::fs::metadata(dir)
            .map_err(|source| IdentityError::Io { path: dir.to_path_buf(), source })?;
        files::check(dir, &facts, 0o700)?;
        let now = clock();
        let mut log = TrustLog::open(&dir.join("trust.log"))?;
        let cluster = match founded(&log) {
            Some(cluster) => cluster,
            None => {
                let cluster = new_cluster(host);
                let entry = Entry::Founded { cluster: cluster.clone() };
                log.append(Record { at: now, by: "master".to_owned(), entry })?;
                cluster
            }
        };
        let registry = SharedRegistry::default();
        for record in log.records() {
            registry.apply(record);
        }
        let (root, key) = open_root(dir, cluster.as_str(), now)?;
        let pin =
            pin_of(&root).ok_or_else(|| damaged(&dir.join("ca.der"), "it is no certificate"))?;
        let issuer = Issuer::from_ca_cert_der(&root, key).map_err(refused)?;
        let master = open_master(dir, cluster.as_str(), host, &issuer, now)?;
        let mut master = master;
        // The CA rides along, so that a joiner can find it by its pin.
        master.certificates.push(root.clone());
        Ok(Self {
            cluster,
            root,
            pin,
            issuer,
            master,
            reset_key: keep(&dir.join("reset.key"))?,
            connection_id_key: u64::from_le_bytes(keep(&dir.join("connection-id.key"))?),
            registry,
            log: Mutex::new(log),
            clock,
        })
    }

    /// Returns the cluster's name.
    pub fn cluster(&self) -> &Name {
        &self.cluster
    }

    pub(crate) fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    pub(crate) fn master_chain(&self) -> &Chain {
        &self.master
    }

    pub(crate) fn registry(&self) -> &SharedRegistry {
        &self.registry
    }

    pub(crate) const fn reset_key(&self) -> &[u8; 64] {
        &self.reset_key
    }

    pub(crate) const fn connection_id_key(&self) -> u64 {
        self.connection_id_key
    }

    pub(crate) fn now(&self) -> WallMs {
        (self.clock)()
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
        may_invite(by, invite.role)?;
        if invite.uses == 0 || invite.uses > USES_MAX {
            let text = format!("a token is for 1 to {USES_MAX} uses");
            return Err(AuthorityError::Refused(text));
        }
        if let Some(name) = &invite.name
            && self.registry.read(|registry| registry.is_taken(invite.role, name))
        {
            let text = format!(
                "the name `{name}` is taken; revoke that {} first, or choose another",
                invite.role
            );
            return Err(AuthorityError::Refused(text));
        }
        let ttl_ms = invite.ttl_ms.min(u64::try_from(TTL_MAX.as_millis()).unwrap_or(u64::MAX));
        let token = Token {
            pin: self.pin,
            id: random(),
            secret: Zeroizing::new(random()),
            cluster: self.cluster.clone(),
            addresses: addresses.iter().take(ADDRESSES_MAX).cloned().collect(),
        };
        let id = bs58::encode(token.id).into_string();
        let expires = self.now().plus(ttl_ms);
        if let Some(older) = &invite.replaces {
            self.withdraw(older, by)?;
        }
        let entry = Entry::Invited {
            id: id.clone(),
            secret_hash: bs58::encode(sha256(&*token.secret)).into_string(),
            role: invite.role,
            name: invite.name.clone(),
            uses: invite.uses,
            expires,
        };
        self.append(by.to_string(), entry)?;
        Ok(Invited { token, id, expires })
    }

    fn withdraw(&self, id: &str, by: &Actor) -> Result<(), AuthorityError> {
        let open = self.registry.read(|registry| {
            registry.invite(id).is_some_and(|open| !open.withdrawn && open.uses > 0)
        });
        if open {
            self.append(by.to_string(), Entry::Withdrawn { id: id.to_owned() })
        } else {
            Ok(())
        }
    }

    /// Revokes all certificates of an identity. Durable on return; the caller kicks its connections.
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
        if role == Role::Operator && !by.admin {
            let text = "only the administrator of the master's home may revoke an operator";
            return Err(AuthorityError::Refused(text.to_owned()));
        }
        let known = self.registry.read(|registry| registry.identity(role, name).cloned());
        let live = known.filter(|known| !known.revoked);
        if live.as_ref().is_some_and(|known| known.admin) {
            let text = "the administrator of the master's home cannot be revoked";
            return Err(AuthorityError::Refused(text.to_owned()));
        }
        if live.is_none() {
            let text = format!("no {role} is called `{name}`, or it was revoked before");
            return Err(AuthorityError::Refused(text));
        }
        let reason = crate::error::clean(reason);
        self.append(by.to_string(), Entry::Revoked { role, name: name.clone(), reason })
    }

    /// Makes or renews an identity on the master's own machine, without a connection, and keeps it in
    /// `dir`: the home's administrator (operator, admin) or the local worker.
    ///
    /// # Errors
    /// When the folder cannot be written or the trust log cannot be written.
    pub fn issue_local(
        &self,
        dir: &Path,
        actor: &Actor,
        addresses: &[String],
    ) -> Result<ClientIdentity, AuthorityError> {
        if let Ok(mut kept) = ClientIdentity::load(dir)
            && kept.cluster == self.cluster
            && self.is_fresh(&kept, actor)
        {
            kept.addresses = addresses.to_vec();
            kept.save(dir)?;
            return Ok(kept);
        }
        let key = KeyPair::generate().map_err(refused)?;
        let leaf = self.certify(&Certify { invite: None, actor }, &key)?;
        let identity = ClientIdentity {
            cluster: self.cluster.clone(),
            role: actor.role,
            name: actor.name.clone(),
            addresses: addresses.to_vec(),
            certificate_ends: certificate::ends(&leaf).unwrap_or_default(),
            chain: Chain {
                certificates: vec![leaf],
                key: std::sync::Arc::new(Zeroizing::new(key.serialize_der())),
            },
            root: self.root.clone(),
        };
        identity.save(dir)?;
        Ok(identity)
    }

    /// Tells whether an identity on disk is the right one, still good, and younger than a day.
    fn is_fresh(&self, kept: &ClientIdentity, actor: &Actor) -> bool {
        let life = u64::try_from(life_of(kept.role).as_millis()).unwrap_or(u64::MAX);
        let left = kept.certificate_ends.since(self.now());
        let serial = kept
            .chain
            .certificates
            .first()
            .and_then(|leaf| certificate::read_client(leaf, self.cluster.as_str()).ok());
        let good = serial.is_some_and(|read| {
            matches!(self.registry.standing(&read.serial), super::registry::Standing::Good(_))
        });
        good && (kept.role, &kept.name) == (actor.role, &actor.name) && left + RENEW_AFTER_MS > life
    }

    /// Makes a certificate for a public key and records it; durable on return.
    pub(crate) fn certify(
        &self,
        what: &Certify<'_>,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let Actor { role, name, admin } = what.actor;
        let named = ClientName { cluster: self.cluster.as_str(), role: *role, name };
        let leaf =
            certificate::make_client(&named, key, &self.issuer, self.now()).map_err(refused)?;
        let read = certificate::read_client(&leaf, self.cluster.as_str()).map_err(|why| {
            AuthorityError::Refused(format!("a certificate was made badly: {why}"))
        })?;
        let entry = Entry::Issued {
            invite: what.invite.map(str::to_owned),
            key_hash: bs58::encode(sha256(&key.subject_public_key_info())).into_string(),
            role: *role,
            name: name.clone(),
            admin: *admin,
            serial: bs58::encode(&read.serial).into_string(),
            not_after: read.not_after,
            certificate: bs58::encode(&leaf).into_string(),
        };
        self.append("master".to_owned(), entry)?;
        Ok(leaf)
    }

    fn append(&self, by: String, entry: Entry) -> Result<(), AuthorityError> {
        let record = Record { at: self.now(), by, entry };
        self.log().append(record.clone())?;
        self.registry.apply(&record);
        Ok(())
    }

    fn log(&self) -> MutexGuard<'_, TrustLog> {
        // An append either happened or failed before the lock was released.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the registry.
    pub fn identities(&self) -> Vec<IdentityRow> {
        self.registry.read(|registry| {
            let row =
                |((role, name), known): (&(Role, Name), &super::registry::Known)| IdentityRow {
                    actor: Actor { role: *role, name: name.clone(), admin: known.admin },
                    certificate_ends: known.not_after,
                    revoked: known.revoked,
                };
            registry.identities().map(row).collect()
        })
    }

    /// Returns entries of the trust log after the `after`th.
    pub fn audit(&self, after: u64, rows: usize) -> Vec<AuditRow> {
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        let log = self.log();
        let some = log.records().iter().enumerate().skip(skip).take(rows);
        some.map(|(place, record)| AuditRow {
            number: place as u64 + 1,
            at: record.at,
            text: format!("{} {}", record.by, sentence(&record.entry)),
        })
        .collect()
    }
}

/// What a certificate is made for.
pub(crate) struct Certify<'a> {
    /// The invite that is used.
    pub(crate) invite: Option<&'a str>,
    /// Whom it names.
    pub(crate) actor: &'a Actor,
}

fn may_invite(by: &Actor, role: Role) -> Result<(), AuthorityError> {
    match (by.role, role) {
        (Role::Operator, Role::Worker | Role::Submitter | Role::Viewer) => Ok(()),
        (Role::Operator, Role::Operator) if by.admin => Ok(()),
        (Role::Operator, Role::Operator) => Err(AuthorityError::Refused(
            "only the administrator of the master's home may invite an operator".to_owned(),
        )),
        (Role::Worker | Role::Viewer | Role::Submitter, _) => {
            Err(AuthorityError::Refused(format!("a {} may not invite anybody", by.role)))
        }
    }
}

fn sentence(entry: &Entry) -> String {
    match entry {
        Entry::Founded { cluster } => format!("founded the cluster {cluster}"),
        Entry::Invited { role, name, uses, .. } => {
            let whom = name.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
            format!("invited {uses} × {role}{whom}")
        }
        Entry::Withdrawn { id } => format!("withdrew the invite {id}"),
        Entry::Issued { role, name, invite, .. } => {
            let how = if invite.is_some() { "with a token" } else { "on its own machine" };
            format!("issued a certificate to {role} `{name}` {how}")
        }
        Entry::Revoked { role, name, reason } if reason.is_empty() => {
            format!("revoked {role} `{name}`")
        }
        Entry::Revoked { role, name, reason } => format!("revoked {role} `{name}`: {reason}"),
    }
}

fn founded(log: &TrustLog) -> Option<Name> {
    log.records().iter().find_map(|record| match &record.entry {
        Entry::Founded { cluster } => Some(cluster.clone()),
        Entry::Invited { .. }
        | Entry::Withdrawn { .. }
        | Entry::Issued { .. }
        | Entry::Revoked { .. } => None,
    })
}

fn new_cluster(host: &str) -> Name {
    let short = host.split('.').next().unwrap_or_default();
    let host: String = Name::from_lossy(short).as_str().chars().take(48).collect();
    let letters = random::<4>().map(|byte| CLUSTER_LETTERS[usize::from(byte % 32)]);
    Name::from_lossy(&format!("{host}-{}", String::from_utf8_lossy(&letters)))
}

fn damaged(path: &Path, reason: &str) -> AuthorityError {
    let path: PathBuf = path.to_path_buf();
    IdentityError::Damaged { path, reason: reason.to_owned() }.into()
}

fn refused(error: rcgen::Error) -> AuthorityError {
    AuthorityError::Refused(format!("a certificate cannot be made: {error}"))
}

fn open_root(
    dir: &Path,
    cluster: &str,
    now: WallMs,
) -> Result<(CertificateDer<'static>, KeyPair), AuthorityError> {
    let (cert_path, key_path) = (dir.join("ca.der"), dir.join("ca.key"));
    let kept = (files::read(&cert_path)?, files::read(&key_path)?);
    if let (Some(cert), Some(key)) = kept {
        let key = read_key(&key_path, &key)?;
        return Ok((cert.to_vec().into(), key));
    }
    let key = KeyPair::generate().map_err(refused)?;
    let cert = certificate::make_ca(cluster, &key, now).map_err(refused)?;
    files::write(&key_path, &Zeroizing::new(key.serialize_der()))?;
    files::write(&cert_path, &cert)?;
    Ok((cert, key))
}

/// Loads the master's certificate; makes a new one when there is none or two thirds of its life are
/// over.
fn open_master(
    dir: &Path,
    cluster: &str,
    host: &str,
    issuer: &Issuer<'_, KeyPair>,
    now: WallMs,
) -> Result<Chain, AuthorityError> {
    let (cert_path, key_path) = (dir.join("master.der"), dir.join("master.key"));
    let third = u64::try_from(certificate::MASTER_LIFE.as_millis() / 3).unwrap_or(u64::MAX);
    if let (Some(cert), Some(key)) = (files::read(&cert_path)?, files::read(&key_path)?)
        && certificate::ends(&cert).is_some_and(|ends| ends.since(now) > third)
    {
        let certificates = vec![cert.to_vec().into()];
        return Ok(Chain { certificates, key: std::sync::Arc::new(key) });
    }
    let key = KeyPair::generate().map_err(refused)?;
    let name = Name::from_lossy(host);
    let cert =
        certificate::make_master(cluster, name.as_str(), &key, issuer, now).map_err(refused)?;
    let key = Zeroizing::new(key.serialize_der());
    files::write(&key_path, &key)?;
    files::write(&cert_path, &cert)?;
    Ok(Chain { certificates: vec![cert], key: std::sync::Arc::new(key) })
}

fn read_key(path: &Path, der: &[u8]) -> Result<KeyPair, AuthorityError> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.to_vec()));
    KeyPair::try_from(&der).map_err(|_| damaged(path, "it is no key"))
}

/// Reads random bytes that are made once.
fn keep<const N: usize>(path: &Path) -> Result<[u8; N], AuthorityError> {
    if let Some(bytes) = files::read(path)? {
        let bytes: Result<[u8; N], _> = bytes.as_slice().try_into();
        return bytes.map_err(|_| damaged(path, "it has another length"));
    }
    let bytes = random::<N>();
    files::write(path, &bytes)?;
    Ok(bytes)
}

//! Identities of the master's own machine: made and renewed in their folders, without a connection.

use std::path::Path;

use ganger_proto::{Actor, Name, Role};
use zeroize::Zeroizing;

use super::authority::{Authority, AuthorityError};
use super::ca::LEAF_EARLY_MS;
use super::certificate::{self, Leaf, Subject};
use super::identity::{ClientIdentity, IdentityError, Material};
use super::record::{Certified, Entry};

/// How old an identity of the master's own machine gets before it is renewed, in milliseconds.
const LOCAL_AGE_MAX_MS: u64 = 86_400_000;

/// The name of the worker that the master starts on its own machine.
const LOCAL_WORKER: &str = "local";

/// Tells whether a name is kept for the master's own machine, where nobody joins.
pub(super) fn is_kept(role: Role, name: &Name) -> bool {
    role == Role::Worker && name.as_str() == LOCAL_WORKER
}

impl Authority {
    /// Makes or renews an identity on the master's own machine, without a connection, and keeps it
    /// in `dir`: the home's administrator (operator, admin) or the local worker.
    ///
    /// # Errors
    /// When the folder cannot be written or the trust log cannot be written, or the identity was
    /// revoked.
    pub fn issue_local(
        &self,
        dir: &Path,
        actor: &Actor,
        addresses: &[String],
    ) -> Result<ClientIdentity, AuthorityError> {
        let mut log = self.lock_log();
        let revoked = self.registry().identity(actor.role, &actor.name).is_some_and(|r| r.revoked);
        if revoked {
            return Err(AuthorityError::Refused(format!(
                "{actor} was revoked; invite a worker under another name"
            )));
        }
        match ClientIdentity::load(dir) {
            Ok(mut kept) if self.is_fresh(&kept, actor) => {
                if kept.addresses != addresses {
                    kept.addresses = addresses.to_vec();
                    kept.save()?;
                }
                return Ok(kept);
            }
            Ok(_) | Err(IdentityError::Missing { .. } | IdentityError::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let (material, leaf) = self.issue(actor)?;
        let identity = ClientIdentity::new(dir, self.cluster(), material, addresses.to_vec())
            .map_err(AuthorityError::Damaged)?;
        let certificate =
            Certified { actor: actor.clone(), serial: leaf.serial, key: leaf.key, ends: leaf.ends };
        self.record(&mut log, Entry::Issued { certificate })?;
        identity.save()?;
        Ok(identity)
    }

    /// Tells whether a kept identity is the actor's, known here, and less than a day old.
    fn is_fresh(&self, kept: &ClientIdentity, actor: &Actor) -> bool {
        let Ok(leaf) = certificate::read(&kept.material.certificate, self.cluster()) else {
            return false;
        };
        let known = self
            .registry()
            .by_serial(&leaf.serial)
            .is_some_and(|known| !known.revoked && known.actor == *actor);
        let now = self.now();
        // One that was made while the clock was ahead begins in the future: nobody takes it.
        let counts = leaf.begins <= now && now < leaf.ends;
        let age_ms = now.since(leaf.begins.plus(LEAF_EARLY_MS));
        known
            && counts
            && age_ms <= LOCAL_AGE_MAX_MS
            && !self.wants_renewal(actor.role, &actor.name)
    }

    fn issue(&self, actor: &Actor) -> Result<(Material, Leaf), AuthorityError> {
        let failed = |error: rcgen::Error| {
            AuthorityError::Refused(format!("no certificate can be made for {actor}: {error}"))
        };
        let key = rcgen::KeyPair::generate().map_err(failed)?;
        let ca = self.issuer();
        let params = ca.leaf(Subject::Client(actor.role), &actor.name, self.now());
        let certificate = ca.sign(params, &key).map_err(failed)?;
        let leaf = certificate::read(&certificate, self.cluster())
            .map_err(|why| AuthorityError::Damaged(why.to_owned()))?;
        let key = Zeroizing::new(key.serialize_der());
        Ok((Material { key, certificate, authorities: self.trusted() }, leaf))
    }
}

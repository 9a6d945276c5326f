//! Changing the root key of a cluster, in steps and without an interruption. The next root is made
//! and signs everybody's certificates from then on, while the master still shows one of the old
//! root, and all trust both. Whoever is connected renews. When nobody is left behind, the master
//! shows one of the new root, and the old one's key is removed.

use std::sync::Arc;

use ganger_proto::identity::{AuthorityFacts, Rotation};
use ganger_proto::{Actor, Name, Role};
use rustls::pki_types::CertificateDer;

use super::authority::{Authority, AuthorityError, UNPOISONED};
use super::ca::Ca;
use super::hex;
use super::record::Entry;
use super::registry::Registry;
use super::vault::Vault;

/// Identities that a refusal names.
const NAMED_MAX: usize = 5;

/// The roots that are trusted.
pub(super) struct Roots {
    /// What made the master's certificate.
    pub(super) served: Arc<Ca>,
    /// What makes everybody else's, while the cluster changes to it.
    next: Option<Arc<Ca>>,
}

impl Roots {
    /// Loads the roots that the registry trusts. Removes the keys of those it does not any more: a
    /// rotation may have been cut short before that.
    pub(super) fn load(
        vault: &Vault,
        cluster: &Name,
        registry: &Registry,
    ) -> Result<Self, AuthorityError> {
        for generation in 1..registry.generation {
            vault.forget_keys(generation)?;
        }
        let served = Arc::new(vault.ca(cluster, registry.generation)?);
        let next = registry.next.map(|next| vault.ca(cluster, next).map(Arc::new));
        Ok(Self { served, next: next.transpose()? })
    }

    fn issuer(&self) -> &Arc<Ca> {
        self.next.as_ref().unwrap_or(&self.served)
    }
}

impl Authority {
    /// Returns the root that makes certificates.
    pub(super) fn issuer(&self) -> Arc<Ca> {
        self.roots.read().expect(UNPOISONED).issuer().clone()
    }

    /// Returns the certificates of the roots that are trusted.
    pub(crate) fn trusted(&self) -> Vec<CertificateDer<'static>> {
        let roots = self.roots.read().expect(UNPOISONED);
        let all = std::iter::once(&roots.served).chain(&roots.next);
        all.map(|ca| ca.certificate.clone()).collect()
    }

    /// Returns the root for people, and the next one while the cluster changes to it.
    pub fn facts(&self) -> AuthorityFacts {
        let (served, next) = {
            let roots = self.roots.read().expect(UNPOISONED);
            (roots.served.clone(), roots.next.clone())
        };
        let behind = self.registry().behind(self.now()).count() as u64;
        AuthorityFacts {
            generation: served.generation,
            pin: hex(&served.pin),
            ends: served.ends(),
            next_pin: next.as_ref().map(|next| hex(&next.pin)),
            behind: if next.is_some() { behind } else { 0 },
        }
    }

    /// Tells whether an identity should renew now: the next root has not made its certificate, or
    /// it trusts a root that nobody else does any more.
    pub fn wants_renewal(&self, role: Role, name: &Name) -> bool {
        let registry = self.registry();
        let Some(known) = registry.identity(role, name) else { return false };
        let newest = registry.next.unwrap_or(registry.generation);
        known.generation < newest || (registry.next.is_none() && known.trusts_two)
    }

    /// Takes a step of changing the root. Durable on return. Of the last one it returns who was
    /// left behind; the caller ends their connections.
    ///
    /// # Errors
    /// When it is not the turn of this step, somebody would be left behind, the actor may not, or
    /// nothing can be written.
    pub fn rotate(&self, step: Rotation, by: &Actor) -> Result<Vec<(Role, Name)>, AuthorityError> {
        if !by.admin {
            return Err(AuthorityError::Refused(
                "only the administrator of the master's own home may change the authority"
                    .to_owned(),
            ));
        }
        match step {
            Rotation::Begin => self.begin_rotation(by).map(|()| Vec::new()),
            Rotation::Finish => self.finish_rotation(by, Stragglers::Waited),
            Rotation::FinishNow => self.finish_rotation(by, Stragglers::Left),
        }
    }

    fn begin_rotation(&self, by: &Actor) -> Result<(), AuthorityError> {
        let mut log = self.lock_log();
        if self.registry().next.is_some() {
            return Err(AuthorityError::Refused(
                "the authority is being changed already; `ganger authority` tells how far it is"
                    .to_owned(),
            ));
        }
        let generation = self.registry().generation + 1;
        let next = self.vault().make_ca(self.cluster(), generation, self.now())?;
        let entry = Entry::Rotating { generation, pin: next.pin, by: by.clone() };
        // Certificates that come after the entry are the next root's: both change together.
        let mut roots = self.roots.write().expect(UNPOISONED);
        self.record(&mut log, entry)?;
        roots.next = Some(Arc::new(next));
        Ok(())
    }

    fn finish_rotation(
        &self,
        by: &Actor,
        stragglers: Stragglers,
    ) -> Result<Vec<(Role, Name)>, AuthorityError> {
        let mut log = self.lock_log();
        let (served, next) = {
            let roots = self.roots.read().expect(UNPOISONED);
            (roots.served.clone(), roots.next.clone())
        };
        let Some(next) = next else {
            return Err(AuthorityError::Refused(
                "the authority is not being changed; `ganger authority rotate` begins it"
                    .to_owned(),
            ));
        };
        let behind: Vec<(Role, Name)> = {
            let registry = self.registry();
            let behind = registry.behind(self.now());
            behind.map(|known| (known.actor.role, known.actor.name.clone())).collect()
        };
        if stragglers == Stragglers::Waited && !behind.is_empty() {
            return Err(AuthorityError::Refused(waits_for(&behind)));
        }
        let master = Arc::new(self.vault().master(&next, self.now())?);
        let generation = next.generation;
        self.record(&mut log, Entry::Rotated { generation, by: by.clone() })?;
        {
            let mut roots = self.roots.write().expect(UNPOISONED);
            *roots = Roots { served: next, next: None };
        }
        *self.master.write().expect(UNPOISONED) = master;
        // The step is done whatever becomes of this; it is tried again at each start.
        if let Err(error) = self.vault().forget_keys(served.generation) {
            tracing::error!(%error, "the keys of the authority before could not be removed");
        }
        Ok(behind)
    }
}

/// What becomes of identities that have not renewed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stragglers {
    /// The step is refused while there are any.
    Waited,
    /// They have to join again.
    Left,
}

/// Says who has not renewed, and what to do.
fn waits_for(behind: &[(Role, Name)]) -> String {
    let named = behind.iter().take(NAMED_MAX).map(|(role, name)| format!("{role}@{name}"));
    let mut named = named.collect::<Vec<_>>().join(", ");
    if behind.len() > NAMED_MAX {
        named.push_str(&format!(" and {} more", behind.len() - NAMED_MAX));
    }
    format!(
        "{} of those who could connect have no certificate of the new authority yet: {named}; \
         workers renew while they are connected, people with their next command; revoke who will \
         not come back, or finish with --now and let them join again",
        behind.len()
    )
}

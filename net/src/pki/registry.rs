//! The registry: who exists, which certificates are good, which invites are open. The replay of the
//! trust log, shared with the TLS verifier. What is not in it is refused.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use ganger_proto::{Name, Role, WallMs};

use super::trust_log::{Entry, Record};

/// What the registry says of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is good; tells whether its identity administers the cluster.
    Good(Admin),
    /// It was revoked.
    Revoked,
    /// It is not known.
    Unknown,
}

/// Whether an identity administers the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    Yes,
    No,
}

/// An identity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) admin: bool,
    pub(crate) revoked: bool,
    pub(crate) not_after: WallMs,
    serials: Vec<Vec<u8>>,
}

/// An open or used-up invite.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) secret_hash: String,
    pub(crate) role: Role,
    pub(crate) name: Option<Name>,
    pub(crate) uses: u32,
    pub(crate) expires: WallMs,
    pub(crate) withdrawn: bool,
    /// Certificates given for it: by key hash the name and the certificate.
    pub(crate) issued: HashMap<String, (Name, String)>,
}

/// The state.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    identities: BTreeMap<(Role, Name), Known>,
    serials: HashMap<Vec<u8>, (Role, Name)>,
    revoked: HashSet<Vec<u8>>,
    invites: HashMap<String, Open>,
}

impl Registry {
    /// Follows a record.
    pub(crate) fn apply(&mut self, record: &Record) {
        match &record.entry {
            Entry::Founded { .. } => {}
            Entry::Invited { id, secret_hash, role, name, uses, expires } => {
                let open = Open {
                    secret_hash: secret_hash.clone(),
                    role: *role,
                    name: name.clone(),
                    uses: *uses,
                    expires: *expires,
                    withdrawn: false,
                    issued: HashMap::new(),
                };
                self.invites.insert(id.clone(), open);
            }
            Entry::Withdrawn { id } => {
                if let Some(open) = self.invites.get_mut(id) {
                    open.withdrawn = true;
                }
            }
            Entry::Issued {
                invite,
                key_hash,
                role,
                name,
                admin,
                serial,
                not_after,
                certificate,
            } => {
                if let Some(open) = invite.as_ref().and_then(|id| self.invites.get_mut(id)) {
                    open.uses = open.uses.saturating_sub(1);
                    open.issued.insert(key_hash.clone(), (name.clone(), certificate.clone()));
                }
                let serial = bs58::decode(serial).into_vec().unwrap_or_default();
                let known = self.identities.entry((*role, name.clone())).or_default();
                known.admin = *admin;
                known.revoked = false;
                known.not_after = *not_after;
                known.serials.push(serial.clone());
                self.serials.insert(serial, (*role, name.clone()));
            }
            Entry::Revoked { role, name, .. } => {
                if let Some(known) = self.identities.get_mut(&(*role, name.clone())) {
                    known.revoked = true;
                    for serial in known.serials.drain(..) {
                        self.serials.remove(&serial);
                        self.revoked.insert(serial);
                    }
                }
            }
        }
    }

    /// Returns an invite.
    pub(crate) fn invite(&self, id: &str) -> Option<&Open> {
        self.invites.get(id)
    }

    /// Returns an identity.
    pub(crate) fn identity(&self, role: Role, name: &Name) -> Option<&Known> {
        self.identities.get(&(role, name.clone()))
    }

    /// Tells whether a name is in use for a role.
    pub(crate) fn is_taken(&self, role: Role, name: &Name) -> bool {
        self.identity(role, name).is_some_and(|known| !known.revoked)
    }

    /// Iterates over all identities.
    pub(crate) fn identities(&self) -> impl Iterator<Item = (&(Role, Name), &Known)> {
        self.identities.iter()
    }

    fn standing(&self, serial: &[u8]) -> Standing {
        if self.revoked.contains(serial) {
            return Standing::Revoked;
        }
        let known = self.serials.get(serial).and_then(|id| self.identities.get(id));
        match known {
            Some(known) if known.admin => Standing::Good(Admin::Yes),
            Some(_) => Standing::Good(Admin::No),
            None => Standing::Unknown,
        }
    }
}

/// The registry as the verifier, the server and the authority share it. The lock is held for one
/// look-up or one change.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedRegistry(Arc<RwLock<Registry>>);

impl SharedRegistry {
    /// Reads.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        // Every change is whole before the lock is released, also when a thread panicked.
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows a record.
    pub(crate) fn apply(&self, record: &Record) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).apply(record);
    }

    /// Returns what is said of a certificate.
    pub(crate) fn standing(&self, serial: &[u8]) -> Standing {
        self.read(|registry| registry.standing(serial))
    }
}

//! Who is who: the authority, identities, tokens, joining, roles, the registry.

pub mod authority;
pub mod identity;
pub mod policy;
pub mod token;

//! Who is who: the authority, identities, tokens, joining, renewing, roles, registry. Knows no
//! connection.

pub mod authority;
pub(crate) mod ca;
pub(crate) mod certificate;
pub(crate) mod enroll;
pub(crate) mod files;
pub mod identity;
mod local;
pub mod policy;
pub(crate) mod record;
pub(crate) mod registry;
pub(crate) mod renewal;
pub(crate) mod rotation;
pub mod token;
pub(crate) mod trust_log;
pub(crate) mod vault;

/// Returns the SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    hash
}

/// Returns random bytes fit for keys and secrets.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .expect("the system's random source works: no key could be made without it");
    bytes
}

/// Returns an invite's id as people see it.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a moment as a date for people, UTC.
pub(crate) fn date(at: ganger_proto::WallMs) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let text = ca::offset(at).format(&format);
    text.unwrap_or_else(|_| format!("{} ms after 1970", at.0))
}

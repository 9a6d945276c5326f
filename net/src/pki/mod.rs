//! Who is who: the authority, identities, tokens, joining, roles, the registry.

pub mod authority;
pub(crate) mod certificate;
pub(crate) mod enroll;
pub(crate) mod files;
pub mod identity;
pub mod policy;
pub(crate) mod registry;
pub mod token;
pub(crate) mod trust_log;

/// Returns random bytes from the system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .expect("a system without randomness cannot run anything here");
    bytes
}

/// Returns the SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

//! Certificates and requests for them, as a stranger sends them: read or refused, the same each
//! time, and never taken for more than they say.

use ganger_proto::Name;
use rcgen::PublicKeyData as _;

use crate::pki::certificate::{pin, read};
use crate::pki::enroll::{JoinAnswer, read_csr};
use crate::pki::sha256;

/// The cluster of the certificates in the corpus.
const CLUSTER: &str = "host-ab12";

/// Reads the bytes as a certificate, and as a request for one.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let cluster = Name::parse(CLUSTER).expect("it is a name");
    let pinned = pin(bytes);
    if let Ok(leaf) = read(bytes, &cluster) {
        assert_eq!(Some(leaf.key), pinned, "its key is the one that is pinned");
        let again = read(bytes, &cluster).expect("it was read before");
        assert_eq!((again.subject, &again.name), (leaf.subject, &leaf.name));
        assert_eq!((again.begins, again.ends), (leaf.begins, leaf.ends));
        assert!(leaf.serial.len() < bytes.len());
        let other = Name::parse("host-ab1").expect("it is a name");
        assert!(read(bytes, &other).is_err(), "it belongs to one cluster alone");
    }
    match read_csr(bytes) {
        Ok(key) => {
            let info = key.subject_public_key_info();
            assert!(info.len() < bytes.len());
            let again = read_csr(bytes).expect("it was read before");
            assert_eq!(sha256(&again.subject_public_key_info()), sha256(&info));
        }
        Err(answer) => assert_eq!(answer, JoinAnswer::Refused),
    }
}

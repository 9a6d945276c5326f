//! The cluster's root key, and what it signs. Keeps no record of it; see registry.rs.

use ganger_proto::{Name, Role, WallMs};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::certificate::{self, Subject, pin};
use super::random;

const DAY_MS: u64 = 86_400_000;
/// The authority's life.
const CA_LIFE_MS: u64 = 3_650 * DAY_MS;
/// The authority and the master begin this much earlier, so that a machine with a slow clock joins.
const SLOW_CLOCK_MS: u64 = DAY_MS;
/// Every other certificate begins this much earlier.
pub(crate) const LEAF_EARLY_MS: u64 = 5 * 60_000;

/// Returns how long a certificate lives, in milliseconds.
pub(crate) const fn life_ms(subject: Subject) -> u64 {
    match subject {
        Subject::Master | Subject::Client(Role::Worker | Role::Submitter) => 90 * DAY_MS,
        Subject::Client(Role::Operator | Role::Viewer) => 30 * DAY_MS,
    }
}

/// Returns the name that clients dial, whatever the master's address is.
pub(crate) fn dns_name(cluster: &Name) -> String {
    format!("master.{cluster}.ganger.internal")
}

/// Returns a moment for certificates and people; the last one they know when it is later.
pub(crate) fn offset(at: WallMs) -> OffsetDateTime {
    let seconds = i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX);
    let last = time::macros::datetime!(9999-12-31 23:59:59 UTC);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(last)
}

/// A cluster's root.
pub(crate) struct Ca {
    /// Counts the authorities of the cluster from 1; each rotation makes the next.
    pub(crate) generation: u32,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) cluster: Name,
    pub(crate) pin: [u8; 32],
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ca({} {}, [secret])", self.cluster, self.generation)
    }
}

impl Ca {
    /// Makes the key and the certificate of a cluster; returns them as they are kept.
    pub(crate) fn make(
        cluster: &Name,
        now: WallMs,
    ) -> Result<(CertificateDer<'static>, Zeroizing<Vec<u8>>), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, cluster.as_str());
        params.distinguished_name.push(DnType::CommonName, "ganger authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = offset(WallMs(now.0.saturating_sub(SLOW_CLOCK_MS)));
        params.not_after = offset(now.plus(CA_LIFE_MS));
        params.serial_number = Some(serial());
        let certificate = params.self_signed(&key)?;
        Ok((certificate.der().clone(), Zeroizing::new(key.serialize_der())))
    }

    /// Takes the key and the certificate as they were kept.
    pub(crate) fn load(
        cluster: Name,
        generation: u32,
        certificate: CertificateDer<'static>,
        key: &[u8],
    ) -> Result<Self, rcgen::Error> {
        let key = key_pair(key)?;
        let pin = pin(&certificate).ok_or(rcgen::Error::CouldNotParseCertificate)?;
        if pin != super::sha256(&key.subject_public_key_info()) {
            return Err(rcgen::Error::CouldNotParseKeyPair);
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { generation, certificate, cluster, pin, issuer })
    }

    /// Returns when its own certificate ends.
    pub(crate) fn ends(&self) -> WallMs {
        certificate::ends(&self.certificate).unwrap_or_default()
    }

    /// Returns what a certificate of ours says, before it is signed.
    pub(crate) fn leaf(&self, subject: Subject, name: &Name, now: WallMs) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, self.cluster.as_str());
        params.distinguished_name.push(DnType::CommonName, format!("{}/{name}", subject.word()));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let uri = format!("spiffe://{}/{}/{name}", self.cluster, subject.word());
        params.subject_alt_names = vec![SanType::URI(ascii(&uri))];
        let (purpose, early) = match subject {
            Subject::Master => {
                let dns = dns_name(&self.cluster);
                params.subject_alt_names.push(SanType::DnsName(ascii(&dns)));
                (ExtendedKeyUsagePurpose::ServerAuth, SLOW_CLOCK_MS)
            }
            Subject::Client(_) => (ExtendedKeyUsagePurpose::ClientAuth, LEAF_EARLY_MS),
        };
        params.extended_key_usages = vec![purpose];
        params.not_before = offset(WallMs(now.0.saturating_sub(early)));
        params.not_after = offset(now.plus(life_ms(subject)));
        params.serial_number = Some(serial());
        params.use_authority_key_identifier_extension = true;
        params
    }

    /// Signs a certificate for a public key. Only the key is taken from whoever asks.
    pub(crate) fn sign(
        &self,
        params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, rcgen::Error> {
        Ok(params.signed_by(key, &self.issuer)?.der().clone())
    }
}

/// Reads a private key as it is kept.
pub(crate) fn key_pair(pkcs8: &[u8]) -> Result<KeyPair, rcgen::Error> {
    KeyPair::try_from(&private_key(pkcs8))
}

/// Wraps a private key for TLS.
pub(crate) fn private_key(pkcs8: &[u8]) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.to_vec()))
}

/// Returns a serial of 126 random bits: positive, and never derived from the key.
pub(crate) fn serial() -> SerialNumber {
    let mut bytes = random::<16>();
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn ascii(text: &str) -> rcgen::string::Ia5String {
    text.try_into().expect("names hold ASCII only")
}

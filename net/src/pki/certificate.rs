//! Certificates: made by the rules of one table, read and checked by the same rules. The name of an
//! identity is a SPIFFE id, `spiffe://CLUSTER/ROLE/NAME` (SPIFFE X509-SVID).

use std::time::Duration;

use ganger_proto::{Name, Role, WallMs};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Eku,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{random, sha256};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How far back the CA's and the master's certificates begin, so that a machine with a slow clock
/// can join.
const MASTER_BACK: Duration = DAY;
/// How far back a client's certificate begins.
const CLIENT_BACK: Duration = Duration::from_secs(5 * 60);
/// How long the CA lives.
const CA_LIFE: Duration = DAY.saturating_mul(3_650);
/// How long the master's certificate lives.
pub(crate) const MASTER_LIFE: Duration = DAY.saturating_mul(90);

/// Why a certificate was not made.
pub(crate) type MakeError = rcgen::Error;

/// Returns how long a role's certificate lives.
pub(crate) const fn life_of(role: Role) -> Duration {
    match role {
        Role::Worker | Role::Submitter => DAY.saturating_mul(90),
        Role::Viewer | Role::Operator => DAY.saturating_mul(30),
    }
}

/// Returns the DNS name that every client dials, wherever the master is.
pub(crate) fn dns_name(cluster: &str) -> String {
    format!("master.{cluster}.ganger.internal")
}

/// Makes a CA's certificate.
pub(crate) fn make_ca(
    cluster: &str,
    key: &KeyPair,
    now: WallMs,
) -> Result<CertificateDer<'static>, MakeError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("ganger {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = moment(now) - MASTER_BACK;
    params.not_after = moment(now) + CA_LIFE;
    params.serial_number = Some(serial());
    Ok(params.self_signed(key)?.der().clone())
}

/// Makes the master's certificate.
pub(crate) fn make_master(
    cluster: &str,
    name: &str,
    key: &KeyPair,
    issuer: &Issuer<'_, KeyPair>,
    now: WallMs,
) -> Result<CertificateDer<'static>, MakeError> {
    let mut params = leaf(&format!("master/{name}"), Eku::ServerAuth);
    params.subject_alt_names = vec![
        SanType::URI(format!("spiffe://{cluster}/master/{name}").as_str().try_into()?),
        SanType::DnsName(dns_name(cluster).as_str().try_into()?),
    ];
    params.not_before = moment(now) - MASTER_BACK;
    params.not_after = moment(now) + MASTER_LIFE;
    Ok(params.signed_by(key, issuer)?.der().clone())
}

/// Makes a client's certificate for a public key; nothing else of a request is used.
pub(crate) fn make_client(
    identity: &ClientName<'_>,
    key: &impl PublicKeyData,
    issuer: &Issuer<'_, KeyPair>,
    now: WallMs,
) -> Result<CertificateDer<'static>, MakeError> {
    let ClientName { cluster, role, name } = identity;
    let mut params = leaf(&format!("{role}/{name}"), Eku::ClientAuth);
    let uri = format!("spiffe://{cluster}/{role}/{name}");
    params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into()?)];
    params.not_before = moment(now) - CLIENT_BACK;
    params.not_after = moment(now) + life_of(*role);
    Ok(params.signed_by(key, issuer)?.der().clone())
}

/// Whom a client's certificate names.
pub(crate) struct ClientName<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) role: Role,
    pub(crate) name: &'a Name,
}

fn leaf(common_name: &str, usage: Eku) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.serial_number = Some(serial());
    params.use_authority_key_identifier_extension = true;
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Returns a random serial: rcgen's own is derived from the key and would repeat.
fn serial() -> SerialNumber {
    let mut bytes = random::<16>();
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn moment(at: WallMs) -> OffsetDateTime {
    let seconds = i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// What a client's certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) role: Role,
    pub(crate) name: Name,
    pub(crate) serial: Vec<u8>,
    pub(crate) not_after: WallMs,
}

/// Reads a client's certificate and checks everything that webpki does not: no CA, key usage,
/// exactly one URI, this cluster, a known role, a good name, and the one extended key usage.
///
/// # Errors
/// Says what does not fit.
pub(crate) fn read_client(der: &[u8], cluster: &str) -> Result<Read, &'static str> {
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| "it cannot be read")?;
    if !rest.is_empty() {
        return Err("it has trailing bytes");
    }
    if parsed.is_ca() {
        return Err("it is a CA's");
    }
    let usage = parsed.key_usage().ok().flatten().ok_or("it has no key usage")?.value;
    if !usage.digital_signature() || usage.key_cert_sign() || usage.crl_sign() {
        return Err("its key usage does not fit");
    }
    let extended = parsed.extended_key_usage().ok().flatten();
    let extended = extended.ok_or("it has no extended key usage")?.value;
    if !extended.client_auth || extended.server_auth || extended.any {
        return Err("its extended key usage does not fit");
    }
    let names = parsed.subject_alternative_name().ok().flatten().ok_or("it has no name")?.value;
    let mut uris = names.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let uri = uris.next().ok_or("it has no URI")?;
    if uris.next().is_some() {
        return Err("it has more than one URI");
    }
    let (role, name) = read_uri(uri, cluster)?;
    let serial = parsed.raw_serial().to_vec();
    let ends = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    Ok(Read { role, name, serial, not_after: WallMs(ends.saturating_mul(1_000)) })
}

fn read_uri(uri: &str, cluster: &str) -> Result<(Role, Name), &'static str> {
    let path = uri.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(cluster));
    let path = path.and_then(|rest| rest.strip_prefix('/')).ok_or("it is of another cluster")?;
    let (role, name) = path.split_once('/').ok_or("its id has no name")?;
    let role = Role::parse(role).ok_or("its role is not known")?;
    let name = Name::parse(name).map_err(|_| "its name is not one")?;
    Ok((role, name))
}

/// Returns when a certificate ends; none when it cannot be read.
pub(crate) fn ends(der: &[u8]) -> Option<WallMs> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    Some(WallMs(seconds.saturating_mul(1_000)))
}

/// Returns the SHA-256 of a certificate's SubjectPublicKeyInfo; none when it cannot be read.
pub(crate) fn pin_of(der: &[u8]) -> Option<[u8; 32]> {
    let (rest, parsed) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then(|| sha256(parsed.tbs_certificate.subject_pki.raw))
}

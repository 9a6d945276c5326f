//! What a certificate of ours says: whose it is, its serial, its dates. Checks no signature; TLS
//! has done so before.

use ganger_proto::{Name, Role, WallMs};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::sha256;

/// Whose a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The master's own.
    Master,
    /// Of one who dials.
    Client(Role),
}

impl Subject {
    /// Returns its word in the certificate.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Client(role) => role.word(),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        if word == Self::Master.word() {
            return Some(Self::Master);
        }
        Role::parse(word).map(Self::Client)
    }
}

/// An end entity's certificate, read.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// Whose it is.
    pub(crate) subject: Subject,
    /// The name in it.
    pub(crate) name: Name,
    /// Its serial number, as it is encoded.
    pub(crate) serial: Vec<u8>,
    /// When it begins.
    pub(crate) begins: WallMs,
    /// When it ends.
    pub(crate) ends: WallMs,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub(crate) key: [u8; 32],
}

/// Reads an end entity's certificate of `cluster`; says what is wrong with any other.
pub(crate) fn read(der: &[u8], cluster: &Name) -> Result<Leaf, &'static str> {
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| "it is no certificate")?;
    if !rest.is_empty() {
        return Err("bytes follow the certificate");
    }
    if parsed.is_ca() {
        return Err("it is an authority's");
    }
    let usage = parsed.key_usage().ok().flatten().ok_or("it has no key usage")?.value;
    if !usage.digital_signature() || usage.key_cert_sign() || usage.crl_sign() {
        return Err("its key usage is another");
    }
    let (subject, name) = read_uri(&parsed, cluster)?;
    let purpose = parsed.extended_key_usage().ok().flatten();
    let purpose = purpose.ok_or("it has no extended key usage")?.value;
    let serves = subject == Subject::Master;
    if purpose.any || purpose.server_auth != serves || purpose.client_auth == serves {
        return Err("its extended key usage does not fit its role");
    }
    Ok(Leaf {
        subject,
        name,
        serial: parsed.raw_serial().to_vec(),
        begins: moment(parsed.validity().not_before.timestamp()),
        ends: moment(parsed.validity().not_after.timestamp()),
        key: sha256(parsed.public_key().raw),
    })
}

/// Returns a moment in a certificate, in seconds since 1970.
fn moment(seconds: i64) -> WallMs {
    WallMs(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000))
}

/// Reads the one URI name: `spiffe://CLUSTER/ROLE/NAME`.
fn read_uri(
    certificate: &X509Certificate<'_>,
    cluster: &Name,
) -> Result<(Subject, Name), &'static str> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.ok_or("it has no alternative name")?;
    let mut uris = names.value.general_names.iter().filter_map(|name| {
        let GeneralName::URI(uri) = name else { return None };
        Some(*uri)
    });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err("it has not exactly one URI name");
    };
    let path = uri.strip_prefix("spiffe://").ok_or("its URI name is another kind's")?;
    let path = path.strip_prefix(cluster.as_str()).and_then(|path| path.strip_prefix('/'));
    let path = path.ok_or("it belongs to another cluster")?;
    let (role, name) = path.split_once('/').ok_or("its URI name has no role")?;
    let subject = Subject::parse(role).ok_or("its role is unknown")?;
    let name = Name::parse(name).map_err(|_| "its name is none")?;
    Ok((subject, name))
}

/// Returns when a certificate ends, whosever it is.
pub(crate) fn ends(der: &[u8]) -> Option<WallMs> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    Some(moment(parsed.validity().not_after.timestamp()))
}

/// Returns the SHA-256 of a certificate's SubjectPublicKeyInfo: its pin.
pub(crate) fn pin(der: &[u8]) -> Option<[u8; 32]> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    Some(sha256(parsed.public_key().raw))
}

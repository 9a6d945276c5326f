//! TLS configurations and certificate verifiers: TLS 1.3 only, one provider, no resumption, no
//! early data. Does not know QUIC's limits; see transport.rs.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use subtle::ConstantTimeEq;

use crate::WallClock;
use crate::error::CloseCode;
use crate::pki::authority::Authority;
use crate::pki::certificate::pin;
use crate::pki::identity::ClientIdentity;

/// The protocol of authenticated connections; the major version is in it.
pub const ALPN_DATA: &[u8] = b"ganger/1";
/// The protocol of joining.
pub const ALPN_JOIN: &[u8] = b"ganger-enroll/1";
/// What a joiner's first destination connection id begins with, so that the listener can choose the
/// configuration before it sees the protocol. It grants nothing.
pub const JOIN_TAG: &[u8; 8] = b"gangJOIN";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The listener's configuration for authenticated connections.
pub(crate) fn server_data(authority: &Arc<Authority>) -> Result<ServerConfig, Error> {
    let gate = Arc::new(Gate { authority: authority.clone(), provider: provider() });
    let builder = ServerConfig::builder_with_details(provider(), clock(authority))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(gate);
    Ok(harden(builder.with_cert_resolver(Arc::new(Own(authority.clone()))), ALPN_DATA))
}

/// The listener's configuration for joining: nobody has a certificate yet.
pub(crate) fn server_join(authority: &Arc<Authority>) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_details(provider(), clock(authority))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth();
    Ok(harden(builder.with_cert_resolver(Arc::new(Own(authority.clone()))), ALPN_JOIN))
}

fn harden(mut config: ServerConfig, alpn: &[u8]) -> ServerConfig {
    config.alpn_protocols = vec![alpn.to_vec()];
    // A resumed session would not be verified again: a revoked client could come back.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.max_early_data_size = 0;
    config
}

/// The dialling end's configuration for authenticated connections.
pub(crate) fn client_data(identity: &ClientIdentity) -> Result<ClientConfig, Error> {
    let roots = roots(&identity.material.authorities)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let chain = vec![identity.material.certificate.clone()];
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(chain, identity.material.private_key())?;
    Ok(quiet(config, ALPN_DATA))
}

/// The dialling end's configuration for joining: all it knows is the authority's pin.
pub(crate) fn client_join(pin: [u8; 32]) -> Result<ClientConfig, Error> {
    let verifier = Arc::new(PinnedAuthority { pin, provider: provider() });
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(quiet(config, ALPN_JOIN))
}

fn quiet(mut config: ClientConfig, alpn: &[u8]) -> ClientConfig {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    Ok(Arc::new(roots))
}

/// Checks that one of these authorities made a client's certificate, and that it is good now.
pub(crate) fn check_made_by(
    authorities: &[CertificateDer<'static>],
    leaf: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<ClientCertVerified, Error> {
    WebPkiClientVerifier::builder_with_provider(roots(authorities)?, provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?
        .verify_client_cert(leaf, &[], now)
}

fn clock(authority: &Arc<Authority>) -> Arc<dyn TimeProvider> {
    Arc::new(Wall(authority.clock()))
}

/// The process's wall clock, as TLS asks for it.
struct Wall(WallClock);

impl std::fmt::Debug for Wall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wall")
    }
}

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis((self.0)().0)))
    }
}

/// Presents the master's present certificate, which may be renewed while it runs.
#[derive(Debug)]
struct Own(Arc<Authority>);

impl ResolvesServerCert for Own {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.master())
    }
}

/// Checks a client: signatures and dates first, then what the certificate is for and whose, then
/// the registry, which by default knows no one. Whom it trusts may change while it listens.
#[derive(Debug)]
struct Gate {
    authority: Arc<Authority>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Gate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = check_made_by(&self.authority.trusted(), leaf, now)?;
        match self.authority.peer(leaf) {
            Ok(_) => Ok(verified),
            Err(CloseCode::Revoked) => Err(CertificateError::Revoked.into()),
            Err(CloseCode::Unknown) => Err(CertificateError::ApplicationVerificationFailure.into()),
            Err(_) => Err(CertificateError::InvalidPurpose.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Checks a master by its authority's pin: the authority's certificate travels in the chain.
#[derive(Debug)]
struct PinnedAuthority {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Never the leaf itself: only an authority may carry the pin.
        let pinned = |der: &&CertificateDer<'_>| {
            pin(der).is_some_and(|found| bool::from(found.ct_eq(&self.pin)))
        };
        let authority = intermediates.iter().find(pinned);
        let authority = authority.ok_or(CertificateError::UnknownIssuer)?;
        let roots = roots(&[authority.clone().into_owned()])?;
        WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(leaf, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

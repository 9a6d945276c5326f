//! TLS and QUIC configurations, and the verifiers wrapped around webpki. TLS 1.3 only, one provider,
//! no tickets, no resumption, no early data: each connection verifies its certificate anew.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ConnectionId, IdleTimeout, TransportConfig, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::limits::{
    ALPN_DATA, ALPN_JOIN, BIDI_MAX, CLIENT_KEEP_ALIVE, CONNECTION_WINDOW, DATA_IDLE,
    INCOMING_BYTES_MAX, INCOMING_MAX, INCOMING_TOTAL_BYTES_MAX, JOIN_IDLE, JOIN_TAG, JOIN_WINDOW,
    RETRY_LIFETIME, STREAM_WINDOW, UNI_MAX,
};
use crate::pki::certificate::{self, pin_of};
use crate::pki::random;
use crate::pki::registry::{SharedRegistry, Standing};

/// A certificate chain with its key.
#[derive(Clone)]
pub(crate) struct Chain {
    /// The leaf first.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub(crate) key: Arc<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chain { key: [secret] }")
    }
}

impl Chain {
    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.to_vec()))
    }
}

/// Whether a connection carries data or a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Authenticated on both ends.
    Data,
    /// The joiner has no certificate yet.
    Join,
}

impl Purpose {
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Data => ALPN_DATA,
            Self::Join => ALPN_JOIN,
        }
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Returns the configuration of the listening end for authenticated connections.
pub(crate) fn data_server(
    chain: &Chain,
    root: &CertificateDer<'static>,
    registry: SharedRegistry,
    cluster: &str,
) -> Result<quinn::ServerConfig, Error> {
    let inner = WebPkiClientVerifier::builder_with_provider(roots(root)?, provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let gate = Gate { inner, registry, cluster: cluster.to_owned() };
    server(chain, Some(Arc::new(gate)), Purpose::Data)
}

/// Returns the configuration of the listening end for joins.
pub(crate) fn join_server(chain: &Chain) -> Result<quinn::ServerConfig, Error> {
    server(chain, None, Purpose::Join)
}

fn server(
    chain: &Chain,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    purpose: Purpose,
) -> Result<quinn::ServerConfig, Error> {
    let builder = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut tls = builder.with_single_cert(chain.certificates.clone(), chain.private_key())?;
    tls.alpn_protocols = vec![purpose.alpn().to_vec()];
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.max_early_data_size = 0;
    let tls = QuicServerConfig::try_from(tls).map_err(|e| Error::General(e.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(transport(purpose, Keep::Quiet))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_TOTAL_BYTES_MAX)
        .retry_token_lifetime(RETRY_LIFETIME)
        .migration(true);
    Ok(config)
}

/// Returns the configuration of a dialling end with an identity.
pub(crate) fn data_client(
    chain: &Chain,
    root: &CertificateDer<'static>,
) -> Result<quinn::ClientConfig, Error> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(root)?, provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    client(verifier, Some(chain), Purpose::Data)
}

/// Returns the configuration of a joiner: the CA is known by its pin alone.
pub(crate) fn join_client(pin: [u8; 32]) -> Result<quinn::ClientConfig, Error> {
    client(Arc::new(PinnedCa { pin, provider: provider() }), None, Purpose::Join)
}

/// Builds a dialling end's configuration from its parts.
pub(crate) fn client(
    verifier: Arc<dyn ServerCertVerifier>,
    chain: Option<&Chain>,
    purpose: Purpose,
) -> Result<quinn::ClientConfig, Error> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut tls = match chain {
        Some(chain) => {
            builder.with_client_auth_cert(chain.certificates.clone(), chain.private_key())?
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![purpose.alpn().to_vec()];
    tls.resumption = Resumption::disabled();
    tls.enable_early_data = false;
    let tls = QuicClientConfig::try_from(tls).map_err(|e| Error::General(e.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(transport(purpose, Keep::Alive));
    if purpose == Purpose::Join {
        config.initial_dst_cid_provider(Arc::new(tagged_id));
    }
    Ok(config)
}

fn tagged_id() -> ConnectionId {
    let mut id = [0; 20];
    id[..JOIN_TAG.len()].copy_from_slice(JOIN_TAG);
    id[JOIN_TAG.len()..].copy_from_slice(&random::<12>());
    ConnectionId::new(&id)
}

/// Whether an end sends something when nothing else is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Alive,
    Quiet,
}

fn transport(purpose: Purpose, keep: Keep) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    let (stream, connection, idle) = match purpose {
        Purpose::Data => (STREAM_WINDOW, CONNECTION_WINDOW, DATA_IDLE),
        Purpose::Join => (JOIN_WINDOW, JOIN_WINDOW, JOIN_IDLE),
    };
    let (bidi, uni) = match purpose {
        Purpose::Data => (BIDI_MAX, UNI_MAX),
        Purpose::Join => (1, 0),
    };
    let idle = IdleTimeout::try_from(idle).expect("seconds fit a QUIC timeout");
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(bidi))
        .max_concurrent_uni_streams(VarInt::from_u32(uni))
        .stream_receive_window(VarInt::from_u32(stream))
        .receive_window(VarInt::from_u32(connection))
        .send_window(u64::from(connection) * 2)
        .max_idle_timeout(Some(idle))
        .datagram_receive_buffer_size(None)
        .crypto_buffer_size(16 << 10)
        .allow_spin(false);
    if purpose == Purpose::Data && keep == Keep::Alive {
        config.keep_alive_interval(Some(CLIENT_KEEP_ALIVE));
    }
    Arc::new(config)
}

fn roots(root: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    Ok(Arc::new(roots))
}

/// Finds the pinned CA in the server's chain, then does the full webpki checks below it.
#[derive(Debug)]
struct PinnedCa {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Never the leaf itself: only a CA's certificate may carry the pin.
        let pinned =
            |c: &&CertificateDer<'_>| pin_of(c).is_some_and(|pin| bool::from(pin.ct_eq(&self.pin)));
        let root = others.iter().find(pinned);
        let root = root.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        WebPkiServerVerifier::builder_with_provider(
            roots(&root.clone().into_owned())?,
            self.provider.clone(),
        )
        .build()
        .map_err(|error| Error::General(error.to_string()))?
        .verify_server_cert(leaf, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// webpki's checks first; then extended key usage, role and name; then the registry, in which what is
/// not known is refused.
#[derive(Debug)]
struct Gate {
    inner: Arc<dyn ClientCertVerifier>,
    registry: SharedRegistry,
    cluster: String,
}

impl ClientCertVerifier for Gate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(leaf, others, now)?;
        let refused = Error::InvalidCertificate;
        let read = certificate::read_client(leaf, &self.cluster)
            .map_err(|_| refused(CertificateError::ApplicationVerificationFailure))?;
        match self.registry.standing(&read.serial) {
            Standing::Good(_) => Ok(verified),
            Standing::Revoked => Err(refused(CertificateError::Revoked)),
            Standing::Unknown => Err(refused(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

//! TLS to a control plane.

use std::sync::Arc;

use mesh_core::clock::WallClock;
use mesh_core::tls::{TlsError, time_provider};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, CipherSuite, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::ControlError;

/// The cipher suites, preferred first. Source: Istio; those of TLS 1.2 count where it is allowed.
const SUITES: [CipherSuite; 6] = [
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

const FROM_TLS12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const FROM_TLS13: &[&SupportedProtocolVersion] = &[&TLS13];

/// The oldest version of TLS that is spoken to a control plane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Oldest {
    Tls12,
    Tls13,
}

impl Oldest {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => FROM_TLS12,
            Self::Tls13 => FROM_TLS13,
        }
    }
}

/// The rules of one endpoint, without the roots.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn WallClock>,
    oldest: Oldest,
    alternative: Option<ServerName<'static>>,
}

impl Rules {
    pub(super) fn new(
        mut provider: CryptoProvider,
        clock: Arc<dyn WallClock>,
        oldest: Oldest,
        alternative: Option<ServerName<'static>>,
    ) -> Result<Self, ControlError> {
        let offered = std::mem::take(&mut provider.cipher_suites);
        provider.cipher_suites = SUITES
            .iter()
            .filter_map(|name| offered.iter().find(|suite| suite.suite() == *name).copied())
            .collect();
        if provider.cipher_suites.is_empty() {
            return Err(ControlError::Cryptography(TlsError::NoCipherSuite));
        }
        Ok(Self {
            provider: Arc::new(provider),
            clock,
            oldest,
            alternative,
        })
    }

    /// The configuration for one connection to a server that `roots` vouch for.
    pub(super) fn client(&self, roots: Arc<RootCertStore>) -> Result<ClientConfig, ControlError> {
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone())
            .build()
            .map_err(|error| ControlError::configuration(Error::General(error.to_string())))?;
        let verifier = Arc::new(EitherName {
            verifier,
            alternative: self.alternative.clone(),
        });
        let time = time_provider(self.clock.clone());
        let mut config = ClientConfig::builder_with_details(self.provider.clone(), time)
            .with_protocol_versions(self.oldest.versions())
            .map_err(ControlError::configuration)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}

/// The usual checks, but a certificate may also be for the alternative name.
#[derive(Debug)]
struct EitherName {
    verifier: Arc<WebPkiServerVerifier>,
    alternative: Option<ServerName<'static>>,
}

impl ServerCertVerifier for EitherName {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |name: &ServerName<'_>| {
            let verifier = &self.verifier;
            verifier.verify_server_cert(leaf, intermediates, name, ocsp_response, now)
        };
        match (verify(name), &self.alternative) {
            (Err(error), Some(alternative)) if is_wrong_name(&error) => {
                verify(alternative).map_err(|_| error)
            }
            (result, _) => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn is_wrong_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

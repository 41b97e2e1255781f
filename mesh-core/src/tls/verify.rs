//! Whether a peer is who it has to be.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, RevocationOptionsBuilder, UnknownStatusPolicy};

use super::PeerError;
use crate::credential::{Credential, TrustBundle};
use crate::identity::{ExpectedPeers, SpiffeId, TrustDomain};

/// The one SPIFFE ID of a workload among the URI names of a leaf; other names are skipped.
///
/// Two that differ are none: which of them policies mean would depend on who looks.
/// Source: X509-SVID section 2, "an X.509 SVID MUST contain exactly one URI SAN".
pub(super) fn identity(leaf: &EndEntityCert<'_>) -> Result<SpiffeId, PeerError> {
    let mut all = leaf.valid_uri_names().filter_map(|name| name.parse().ok());
    let id: SpiffeId = all.next().ok_or(PeerError::NoIdentity)?;
    match all.find(|other| *other != id) {
        Some(other) => Err(PeerError::SeveralIdentities { first: id, other }),
        None => Ok(id),
    }
}

/// What a credential trusts.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    trust: Arc<TrustBundle>,
    algorithms: WebPkiSupportedAlgorithms,
    trust_domain: TrustDomain,
    aliases: Arc<[TrustDomain]>,
}

impl Peers {
    pub(super) fn new(
        provider: &CryptoProvider,
        credential: &Credential,
        aliases: &Arc<[TrustDomain]>,
    ) -> Self {
        Self {
            trust: credential.trust().clone(),
            algorithms: provider.signature_verification_algorithms,
            trust_domain: credential.id().trust_domain().clone(),
            aliases: aliases.clone(),
        }
    }

    /// Verifies servers that must have one of the expected identities.
    pub(super) fn servers(&self, expected: ExpectedPeers) -> Servers {
        Servers {
            peers: self.clone(),
            expected,
        }
    }

    /// Verifies clients that must be of the own trust domain.
    pub(super) fn clients(&self) -> Clients {
        Clients(self.clone())
    }

    fn own_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        std::iter::once(&self.trust_domain).chain(self.aliases.iter())
    }

    fn is_own(&self, domain: &TrustDomain) -> bool {
        self.own_domains().any(|own| own == domain)
    }

    fn is_expected(&self, id: &SpiffeId, expected: &ExpectedPeers) -> bool {
        let under = |domain: &TrustDomain| {
            id.with_trust_domain(domain.clone())
                .is_ok_and(|id| expected.contains(&id))
        };
        expected.contains(id)
            || (!self.aliases.is_empty()
                && self.is_own(id.trust_domain())
                && self.own_domains().any(under))
    }

    /// The path from the leaf to one of the roots: signatures, lifetimes, usage, revocation.
    fn verify_path<'a>(
        &self,
        leaf: &'a CertificateDer<'a>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<EndEntityCert<'a>, PeerError> {
        let leaf = EndEntityCert::try_from(leaf)?;
        let (algorithms, trust) = (self.algorithms, &*self.trust);
        verify_path(algorithms, trust, trust, &leaf, intermediates, now, usage)?;
        Ok(leaf)
    }
}

/// The path from the leaf to one of the roots of `roots`, looked up in the lists of `lists`.
fn verify_path(
    algorithms: WebPkiSupportedAlgorithms,
    roots: &TrustBundle,
    lists: &TrustBundle,
    leaf: &EndEntityCert<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    usage: KeyUsage,
) -> Result<(), PeerError> {
    let revoked: Vec<_> = lists.revoked().iter().collect();
    let revocation = RevocationOptionsBuilder::new(&revoked).ok().map(|options| {
        options
            .with_status_policy(UnknownStatusPolicy::Allow)
            .build()
    });
    leaf.verify_for_usage(
        algorithms.all,
        roots.anchors(),
        intermediates,
        now,
        usage,
        revocation,
        None,
    )?;
    Ok(())
}

/// On which side of a connection a peer is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two sides")]
pub enum PeerRole {
    /// The peer dialled.
    Client,
    /// The peer was dialled.
    Server,
}

/// What the handshake of a live connection was verified against: its roots and its time.
///
/// With it the peer is looked up in later revocation lists without any other rule being applied
/// anew. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Verified {
    trust: Arc<TrustBundle>,
    time: UnixTime,
    role: PeerRole,
}

impl Verified {
    pub(super) fn new(trust: &Arc<TrustBundle>, time: UnixTime, role: PeerRole) -> Self {
        let trust = trust.clone();
        Self { trust, time, role }
    }

    /// The bundle.
    #[must_use]
    pub fn trust(&self) -> &Arc<TrustBundle> {
        &self.trust
    }

    /// Looks a chain that has passed before up in the lists of another bundle.
    pub(super) fn recheck(
        &self,
        algorithms: WebPkiSupportedAlgorithms,
        chain: &[CertificateDer<'_>],
        lists: &TrustBundle,
    ) -> Result<(), PeerError> {
        if lists.revoked().is_empty() {
            return Ok(());
        }
        let (leaf, intermediates) = chain.split_first().ok_or(PeerError::NoIdentity)?;
        let leaf = EndEntityCert::try_from(leaf)?;
        let usage = match self.role {
            PeerRole::Client => KeyUsage::client_auth(),
            PeerRole::Server => KeyUsage::server_auth(),
        };
        let (roots, time) = (&*self.trust, self.time);
        verify_path(algorithms, roots, lists, &leaf, intermediates, time, usage)
    }
}

/// Verifies the servers that a client dials.
#[derive(Debug)]
pub(super) struct Servers {
    peers: Peers,
    expected: ExpectedPeers,
}

impl Servers {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.peers.algorithms
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), PeerError> {
        let usage = KeyUsage::server_auth();
        let leaf = self.peers.verify_path(leaf, intermediates, now, usage)?;
        let id = identity(&leaf)?;
        if self.peers.is_expected(&id, &self.expected) {
            return Ok(());
        }
        Err(PeerError::UnexpectedIdentity {
            presented: id,
            expected: self.expected.clone(),
        })
    }
}

/// Verifies the clients that dial a server.
#[derive(Debug)]
pub(super) struct Clients(Peers);

impl Clients {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.0.algorithms
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), PeerError> {
        let usage = KeyUsage::client_auth();
        let leaf = self.0.verify_path(leaf, intermediates, now, usage)?;
        let id = identity(&leaf)?;
        if self.0.is_own(id.trust_domain()) {
            return Ok(());
        }
        Err(PeerError::TrustDomain {
            presented: id,
            expected: self.0.trust_domain.clone(),
        })
    }
}

macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signature, self.algorithms())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, self.algorithms())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms().supported_schemes()
        }
    };
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(leaf, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for Clients {
    /// None: peers of a mesh have one certificate each and need no hint which to choose.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(leaf, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    signatures!();
}

/// Stands in a configuration that no connection uses: it accepts no server.
#[derive(Debug)]
pub(super) struct NoServer;

impl ServerCertVerifier for NoServer {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Err(PeerError::NoIdentity.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerError::NoIdentity.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerError::NoIdentity.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Vec::new()
    }
}

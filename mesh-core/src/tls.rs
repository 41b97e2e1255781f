//! rustls configurations for HBONE: TLS 1.3, mutual, and the peer's identity checked in the
//! handshake.
//!
//! Needs the feature `tls`. The types of rustls in this module follow rustls' own versions.

mod bases;
mod error;
mod time;
mod verify;

pub use bases::ALPN;
pub use error::{PeerError, TlsError};
pub use verify::{PeerRole, Verified};

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls::{CipherSuite, ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::clock::{SystemClock, WallClock};
use crate::credential::{Credential, TrustBundle};
use crate::identity::{ExpectedPeers, SpiffeId, TrustDomain};
use bases::{Base, Bases};
use time::Time;

/// The cipher suites, preferred first. Source: Istio.
const SUITES: [CipherSuite; 2] = [
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_AES_128_GCM_SHA256,
];

/// The server name to give to rustls' client: 0.0.0.0, which is not sent (RFC 6066 section 3
/// allows no address) and not checked.
#[must_use]
pub fn server_name() -> ServerName<'static> {
    ServerName::from(Ipv4Addr::UNSPECIFIED)
}

/// The identity of a peer: the one SPIFFE ID of a workload among the URI names of its leaf; none when
/// there are two that differ.
///
/// `certificates` is what rustls gives as the peer's certificates after a handshake.
#[must_use]
pub fn peer_identity(certificates: &[CertificateDer<'_>]) -> Option<SpiffeId> {
    let leaf = webpki::EndEntityCert::try_from(certificates.first()?).ok()?;
    verify::identity(&leaf).ok()
}

/// Makes the TLS configurations of both ends of HBONE.
///
/// Both ends: TLS 1.3 only; AES-256-GCM and AES-128-GCM only; ALPN `h2` only; both show a
/// certificate; no resumption and no early data; the client sends no server name.
///
/// One context is shared by everything that serves or dials with the same rules. What is made of
/// a credential is kept, so asking for a configuration for each connection is cheap.
///
/// # Example
/// ```no_run
/// use std::sync::Arc;
/// use mesh_core::credential::Credential;
/// use mesh_core::identity::ExpectedPeers;
/// use mesh_core::tls::TlsContext;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (chain, key, roots) = ([], [], []);
/// let tls = TlsContext::with_default_provider()?;
/// let credential = Arc::new(Credential::from_pem(&chain, &key, &roots)?);
/// let expected = ExpectedPeers::from("spiffe://cluster.local/ns/shop/sa/cart".parse::<mesh_core::identity::SpiffeId>()?);
/// let client: Arc<rustls::ClientConfig> = tls.client(&credential, &expected)?;
/// let server: Arc<rustls::ServerConfig> = tls.server(&credential)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TlsContext {
    provider: Arc<CryptoProvider>,
    time: Arc<Time>,
    aliases: Arc<[TrustDomain]>,
    bases: Bases,
}

impl TlsContext {
    /// A context that uses the cryptography of `provider`, of which only the two AES-GCM suites of
    /// TLS 1.3 are used, in the order of this module.
    ///
    /// # Errors
    /// [`TlsError::NoCipherSuite`] when the provider has neither suite.
    pub fn new(mut provider: CryptoProvider) -> Result<Self, TlsError> {
        let offered = std::mem::take(&mut provider.cipher_suites);
        provider.cipher_suites = SUITES
            .iter()
            .filter_map(|name| offered.iter().find(|suite| suite.suite() == *name).copied())
            .collect();
        if provider.cipher_suites.is_empty() {
            return Err(TlsError::NoCipherSuite);
        }
        Ok(Self {
            provider: Arc::new(provider),
            time: Arc::new(Time(Arc::new(SystemClock))),
            aliases: Arc::default(),
            bases: Bases::default(),
        })
    }

    /// A context with the cryptography that this crate was built with: aws-lc-rs, else ring.
    ///
    /// The provider is a value: nothing is installed for the process.
    ///
    /// # Errors
    /// [`TlsError::NoProvider`] when the crate was built without the features `aws-lc-rs` and
    /// `ring`.
    pub fn with_default_provider() -> Result<Self, TlsError> {
        Self::new(default_provider()?)
    }

    /// The same context with another clock to check the lifetimes of peers' certificates.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn WallClock>) -> Self {
        Self {
            time: Arc::new(Time(clock)),
            bases: Bases::default(),
            ..self
        }
    }

    /// The same context with other names of the own trust domain.
    ///
    /// An identity under any of these names, or under the trust domain of the own certificate,
    /// is taken to be the same workload. Default: none.
    #[must_use]
    pub fn with_trust_domain_aliases(self, aliases: impl IntoIterator<Item = TrustDomain>) -> Self {
        Self {
            aliases: aliases.into_iter().collect(),
            bases: Bases::default(),
            ..self
        }
    }

    /// The configuration to dial peers that have one of the `expected` identities.
    ///
    /// The peer's chain must lead to a root of the credential; the handshake fails when none of
    /// its SPIFFE IDs is expected. Give [`server_name`] to the connection.
    ///
    /// # Errors
    /// [`TlsError`] when key and certificate do not belong together or cannot be used.
    pub fn client(
        &self,
        credential: &Arc<Credential>,
        expected: &ExpectedPeers,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let base = self.base(credential)?;
        let mut config = base.client.clone();
        let verifier = Arc::new(base.peers.servers(expected.clone()));
        config.dangerous().set_certificate_verifier(verifier);
        Ok(Arc::new(config))
    }

    /// The configuration to accept peers of the credential's own trust domain.
    ///
    /// The peer must show a certificate whose chain leads to a root of the credential and whose
    /// identity is in the same trust domain. A client that does not offer ALPN is refused.
    ///
    /// # Errors
    /// [`TlsError`] when key and certificate do not belong together or cannot be used.
    pub fn server(&self, credential: &Arc<Credential>) -> Result<Arc<ServerConfig>, TlsError> {
        Ok(self.base(credential)?.server.clone())
    }

    /// What a handshake that has just succeeded with `credential` was verified against.
    #[must_use]
    pub fn verified(&self, credential: &Credential, peer: PeerRole) -> Verified {
        // A clock before 1970 has let no certificate pass.
        let zero = UnixTime::since_unix_epoch(Duration::ZERO);
        let now = self.time.current_time().unwrap_or(zero);
        Verified::new(credential.trust(), now, peer)
    }

    /// Looks the peer of a live connection up in the revocation lists of a bundle that replaces the
    /// one of its handshake.
    ///
    /// `chain` is what rustls gives as the peer's certificates. Nothing else is applied anew: a
    /// certificate that has expired since or a root that is not trusted any more ends no connection.
    ///
    /// # Errors
    /// [`PeerError::Revoked`] when a certificate of the chain is on the list of its issuer; another
    /// [`PeerError`] when that list is not signed by the issuer, or may not be.
    pub fn recheck(
        &self,
        chain: &[CertificateDer<'_>],
        verified: &Verified,
        lists: &TrustBundle,
    ) -> Result<(), PeerError> {
        let algorithms = self.provider.signature_verification_algorithms;
        verified.recheck(algorithms, chain, lists)
    }

    /// Looks the own certificate up in the revocation lists of its own trust bundle: peers refuse
    /// who shows a revoked one.
    ///
    /// # Errors
    /// As [`recheck`](Self::recheck); whatever else is wrong with the chain as well.
    pub fn check_own(&self, credential: &Credential) -> Result<(), PeerError> {
        let verified = self.verified(credential, PeerRole::Client);
        self.recheck(credential.chain(), &verified, credential.trust())
    }

    fn base(&self, credential: &Arc<Credential>) -> Result<Arc<Base>, TlsError> {
        self.bases.get_or_build(credential, || {
            Base::new(&self.provider, &self.time, &self.aliases, credential)
        })
    }
}

/// The cryptography that this crate was built with: aws-lc-rs, else ring.
///
/// # Errors
/// [`TlsError::NoProvider`] when it was built without the features `aws-lc-rs` and `ring`.
pub fn default_provider() -> Result<CryptoProvider, TlsError> {
    #[cfg(feature = "aws-lc-rs")]
    return Ok(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return Ok(rustls::crypto::ring::default_provider());
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    return Err(TlsError::NoProvider);
}

/// A clock as rustls wants it.
#[must_use]
pub fn time_provider(clock: Arc<dyn WallClock>) -> Arc<dyn TimeProvider> {
    Arc::new(Time(clock))
}

#[cfg(test)]
mod tests;

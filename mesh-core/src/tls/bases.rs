//! What is made of a credential once and used for each connection.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};

use super::TlsError;
use super::time::Time;
use super::verify::{NoServer, Peers};
use crate::credential::Credential;
use crate::identity::TrustDomain;

/// The only application protocol: HTTP/2.
pub const ALPN: &[u8] = b"h2";

/// How many credentials' bases are kept.
const LIMIT: usize = 1024;

const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The parsed key, the configurations and the rules that belong to one credential.
pub(super) struct Base {
    /// Without a verifier for real: a clone gets the one for its target.
    pub(super) client: ClientConfig,
    pub(super) server: Arc<ServerConfig>,
    pub(super) peers: Peers,
}

impl Base {
    pub(super) fn new(
        provider: &Arc<CryptoProvider>,
        time: &Arc<Time>,
        aliases: &Arc<[TrustDomain]>,
        credential: &Credential,
    ) -> Result<Self, TlsError> {
        let (chain, key) = (credential.chain().to_vec(), credential.key().clone_key());
        let key = Arc::new(
            CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Key {
                id: credential.id().clone(),
                source,
            })?,
        );
        let peers = Peers::new(provider, credential, aliases);
        Ok(Self {
            client: client(provider, time, &key)?,
            server: Arc::new(server(provider, time, key, &peers)?),
            peers,
        })
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").finish_non_exhaustive()
    }
}

fn client(
    provider: &Arc<CryptoProvider>,
    time: &Arc<Time>,
    key: &Arc<CertifiedKey>,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_details(provider.clone(), time.clone())
        .with_protocol_versions(VERSIONS)
        .map_err(TlsError::Configuration)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NoServer))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server(
    provider: &Arc<CryptoProvider>,
    time: &Arc<Time>,
    key: Arc<CertifiedKey>,
    peers: &Peers,
) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_details(provider.clone(), time.clone())
        .with_protocol_versions(VERSIONS)
        .map_err(TlsError::Configuration)?
        .with_client_cert_verifier(Arc::new(peers.clients()))
        .with_cert_resolver(Arc::new(WithAlpn(key)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Serves one certificate to clients that use ALPN, and none to others.
///
/// rustls itself refuses only clients whose protocols differ from ours, not those without any.
#[derive(Debug)]
struct WithAlpn(Arc<CertifiedKey>);

impl ResolvesServerCert for WithAlpn {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        hello.alpn().map(|_| self.0.clone())
    }
}

/// The bases of the credentials in use, by generation. Reading takes no lock.
#[derive(Debug)]
pub(super) struct Bases {
    kept: ArcSwap<BTreeMap<u64, Kept>>,
    /// Held while a base is built, so that nobody builds the same one.
    building: Mutex<()>,
    limit: usize,
}

/// A base, for as long as somebody holds its credential.
type Kept = (Weak<Credential>, Arc<Base>);

impl Bases {
    /// Keeps at most `limit` bases.
    pub(super) fn with_limit(limit: usize) -> Self {
        Self {
            kept: ArcSwap::default(),
            building: Mutex::new(()),
            limit,
        }
    }

    pub(super) fn get_or_build(
        &self,
        credential: &Arc<Credential>,
        build: impl FnOnce() -> Result<Base, TlsError>,
    ) -> Result<Arc<Base>, TlsError> {
        if let Some(base) = self.get(credential) {
            return Ok(base);
        }
        let _building = self.building.lock();
        if let Some(base) = self.get(credential) {
            return Ok(base);
        }
        let base = Arc::new(build()?);
        self.insert(credential, &base);
        Ok(base)
    }

    fn get(&self, credential: &Credential) -> Option<Arc<Base>> {
        let kept = self.kept.load();
        kept.get(&credential.generation())
            .map(|(_, base)| base.clone())
    }

    pub(super) fn insert(&self, credential: &Arc<Credential>, base: &Arc<Base>) {
        self.kept.rcu(|kept| {
            let mut kept = BTreeMap::clone(kept);
            // A credential that nobody holds is never asked for again.
            kept.retain(|_, (credential, _)| credential.strong_count() > 0);
            while kept.len() >= self.limit {
                kept.pop_first();
            }
            kept.insert(
                credential.generation(),
                (Arc::downgrade(credential), base.clone()),
            );
            kept
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.load().len()
    }
}

impl Default for Bases {
    fn default() -> Self {
        Self::with_limit(LIMIT)
    }
}

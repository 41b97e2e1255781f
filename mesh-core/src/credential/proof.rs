//! The proof of one identity.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::der::Decode;

use super::{InvalidCredential, TrustBundle};
use crate::identity::SpiffeId;

/// The proof of one identity: a certificate chain with its private key, and the roots that peers
/// are checked against.
///
/// Parsed once, when it is made. A renewed certificate is a new credential with a new
/// [`generation`](Self::generation). `Debug` shows no key.
///
/// # Example
/// ```no_run
/// use mesh_core::credential::Credential;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (chain, key, roots) = (
///     std::fs::read("cert-chain.pem")?,
///     std::fs::read("key.pem")?,
///     std::fs::read("root-cert.pem")?,
/// );
/// let credential = Credential::from_pem(&chain, &key, &roots)?;
/// println!("{} until {:?}", credential.id(), credential.not_after());
/// # Ok(())
/// # }
/// ```
pub struct Credential {
    generation: u64,
    proof_generation: u64,
    id: SpiffeId,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    trust: Arc<TrustBundle>,
    not_before: SystemTime,
    not_after: SystemTime,
    serial: Box<str>,
}

impl Credential {
    /// A credential from DER: the leaf first, then its intermediates in order.
    ///
    /// Roots of `trust` that the chain repeats are dropped from it: peers do not need them.
    ///
    /// # Errors
    /// [`InvalidCredential`] when the chain is empty, when the leaf cannot be parsed or when it
    /// carries no SPIFFE ID. Whether the key belongs to the leaf is checked when a TLS
    /// configuration is made of it.
    pub fn from_der(
        mut chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        trust: Arc<TrustBundle>,
    ) -> Result<Self, InvalidCredential> {
        let mut position = 0;
        chain.retain(|certificate| {
            position += 1;
            position == 1 || !trust.roots().contains(certificate)
        });
        let leaf = chain.first().ok_or(InvalidCredential::NoCertificate)?;
        let id = spiffe_id(leaf)?.ok_or(InvalidCredential::NoSpiffeId)?;
        let parsed = x509_cert::Certificate::from_der(leaf)
            .map_err(|source| InvalidCredential::Certificate(source.into()))?;
        let leaf = parsed.tbs_certificate();
        let generation = next_generation();
        Ok(Self {
            generation,
            proof_generation: generation,
            id,
            key,
            trust,
            not_before: leaf.validity().not_before.to_system_time(),
            not_after: leaf.validity().not_after.to_system_time(),
            serial: hex(leaf.serial_number().as_bytes()).into(),
            chain,
        })
    }

    /// A credential from PEM: the chain (leaf first), the private key and the trusted roots.
    ///
    /// # Errors
    /// As [`from_der`](Self::from_der), and when a text holds no or malformed PEM.
    pub fn from_pem(chain: &[u8], key: &[u8], roots: &[u8]) -> Result<Self, InvalidCredential> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|source| InvalidCredential::Certificate(source.into()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(InvalidCredential::Key)?;
        Self::from_der(chain, key, Arc::new(TrustBundle::from_pem(roots)?))
    }

    /// A number that no other credential of this process has; later ones have larger numbers.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The generation of the first credential with this certificate and these roots.
    ///
    /// Credentials that differ in nothing but revocation lists have it in common; later proofs have
    /// larger numbers. Connections are replaced when it changes, and only looked up in the lists
    /// when they change.
    #[must_use]
    pub fn proof_generation(&self) -> u64 {
        self.proof_generation
    }

    /// The same certificate and key with another trust bundle: a new credential.
    ///
    /// For new revocation lists: when the roots are the same, so is the
    /// [`proof_generation`](Self::proof_generation).
    ///
    /// # Errors
    /// As [`from_der`](Self::from_der); in effect none, as the chain has been parsed before.
    pub fn with_trust(&self, trust: Arc<TrustBundle>) -> Result<Self, InvalidCredential> {
        let same = trust.roots() == self.trust.roots();
        let mut new = Self::from_der(self.chain.clone(), self.key.clone_key(), trust)?;
        if same {
            new.proof_generation = self.proof_generation;
        }
        Ok(new)
    }

    /// The identity: the first SPIFFE ID among the leaf's URI names.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The chain to show to peers: leaf, then intermediates, without the root.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The private key of the leaf.
    #[must_use]
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key
    }

    /// The roots that peers are checked against.
    #[must_use]
    pub fn trust(&self) -> &Arc<TrustBundle> {
        &self.trust
    }

    /// When the leaf becomes valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// When the leaf expires.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether the leaf is valid at a time; both ends of its lifetime included.
    #[must_use]
    pub fn is_valid_at(&self, time: SystemTime) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }

    /// The leaf's serial number, in lower-case hexadecimal.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("id", &self.id)
            .field("serial", &self.serial)
            .field("generation", &self.generation)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// The first URI name of a certificate that is a SPIFFE ID of a workload.
fn spiffe_id(leaf: &CertificateDer<'_>) -> Result<Option<SpiffeId>, InvalidCredential> {
    let leaf = webpki::EndEntityCert::try_from(leaf)
        .map_err(|source| InvalidCredential::Certificate(source.into()))?;
    Ok(leaf.valid_uri_names().find_map(|name| name.parse().ok()))
}

fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

//! A certificate authority that lives in memory.

use std::io;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A self-signed root that issues certificates with P-256 keys.
#[derive(Debug)]
pub struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, issued by an [`Authority`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Leaf {
    /// The certificate alone: the root signs it directly.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key in PKCS #8.
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    /// Makes a fresh root.
    ///
    /// # Errors
    /// When the key or the signature cannot be made.
    pub fn new() -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = parameters.self_signed(&key).map_err(io::Error::other)?;
        Ok(Self {
            root: root.der().clone(),
            issuer: Issuer::new(parameters, key),
        })
    }

    /// The root's certificate.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// Issues a certificate with `spiffe_id` as its URI name and `dns_name` as its DNS name.
    ///
    /// # Errors
    /// When a name is not ASCII, or the key or the signature cannot be made.
    pub fn issue(&self, spiffe_id: &str, dns_name: &str) -> io::Result<Leaf> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.subject_alt_names = vec![
            SanType::URI(Ia5String::try_from(spiffe_id).map_err(io::Error::other)?),
            SanType::DnsName(Ia5String::try_from(dns_name).map_err(io::Error::other)?),
        ];
        let leaf = parameters
            .signed_by(&key, &self.issuer)
            .map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Leaf {
            chain: vec![leaf.der().clone()],
            key: key.into(),
        })
    }
}

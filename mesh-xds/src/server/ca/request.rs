//! Reading and checking signing requests.

use mesh_core::identity::SpiffeId;
use mesh_core::tls::default_provider;
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateSigningRequestDer, alg_id};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::request::{CertReq, ExtensionReq};

/// What a caller wants to have certified. It has proven that the key is its own.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: SpiffeId,
    pub(super) key: PublicKey,
}

/// An ECDSA P-256 key: the point.
#[derive(Debug)]
pub(super) struct PublicKey(Vec<u8>);

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl Request {
    /// Reads a PKCS #10 request in PEM and checks its signature.
    ///
    /// The error is for the caller to read.
    pub(super) fn read(pem: &str) -> Result<Self, &'static str> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes());
        let der = der.map_err(|_| "the request is not PEM")?;
        let request = CertReq::from_der(&der).map_err(|_| "the request cannot be parsed")?;
        let key = verified_key(&request)?;
        Ok(Self {
            id: identity(&request)?,
            key,
        })
    }
}

/// The key of a request that it has signed itself.
fn verified_key(request: &CertReq) -> Result<PublicKey, &'static str> {
    const OTHER: &str = "the key is not ECDSA P-256, or does not sign with SHA-256";
    let key = &request.info.public_key;
    if value(key.algorithm.to_der()).as_deref() != Some(&*alg_id::ECDSA_P256)
        || value(request.algorithm.to_der()).as_deref() != Some(&*alg_id::ECDSA_SHA256)
    {
        return Err(OTHER);
    }
    let provider = default_provider().map_err(|_| "there is no cryptography")?;
    let verify = provider
        .signature_verification_algorithms
        .all
        .iter()
        .find(|known| {
            known.public_key_alg_id() == alg_id::ECDSA_P256
                && known.signature_alg_id() == alg_id::ECDSA_SHA256
        })
        .ok_or(OTHER)?;
    let point = key.subject_public_key.raw_bytes();
    let message = request.info.to_der();
    let message = message.map_err(|_| "the request cannot be parsed")?;
    verify
        .verify_signature(point, &message, request.signature.raw_bytes())
        .map_err(|_| "the signature of the request is wrong")?;
    Ok(PublicKey(point.to_vec()))
}

/// An algorithm without the header of its sequence: two bytes, for it is short.
fn value(algorithm: x509_cert::der::Result<Vec<u8>>) -> Option<Vec<u8>> {
    algorithm.ok()?.get(2..).map(<[u8]>::to_vec)
}

/// The only name, which must be a workload's.
fn identity(request: &CertReq) -> Result<SpiffeId, &'static str> {
    const NONE: &str = "the request has not exactly one SPIFFE ID of a workload";
    let mut names = Vec::new();
    for attribute in request.info.attributes.iter() {
        if attribute.oid != ExtensionReq::OID {
            continue;
        }
        for value in attribute.values.iter() {
            let extensions: ExtensionReq = value.decode_as().map_err(|_| NONE)?;
            for extension in extensions.0 {
                let value = extension.extn_value.as_bytes();
                names.extend(alternative_names(extension.extn_id, value)?);
            }
        }
    }
    match names.as_slice() {
        [GeneralName::UniformResourceIdentifier(name)] => name.as_str().parse().map_err(|_| NONE),
        _ => Err(NONE),
    }
}

fn alternative_names(
    oid: ObjectIdentifier,
    value: &[u8],
) -> Result<Vec<GeneralName>, &'static str> {
    if oid != SubjectAltName::OID {
        return Ok(Vec::new());
    }
    let names = SubjectAltName::from_der(value);
    names
        .map(|names| names.0)
        .map_err(|_| "the names of the request cannot be parsed")
}

//! Oracles: Istio's requests and checks of answers (spec/node-proxy.md 4.2, 4.3), RFC 2986, RFC
//! 5280 4.2.1.6, RFC 5758 3.2.

use std::time::{Duration, UNIX_EPOCH};

use mesh_core::identity::SpiffeId;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::CertificateSigningRequestDer;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::request::{CertReq, ExtensionReq};

use super::*;
use crate::signing;

const HOUR: Duration = Duration::from_secs(3600);

fn id() -> SpiffeId {
    "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    fn root(name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    fn below(&self, name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    /// A leaf for the key of the request.
    fn leaf(&self, request: &SigningRequest, params: &CertificateParams) -> String {
        let key = KeyPair::from_der_and_sign_algo(&request.key, &PKCS_ECDSA_P256_SHA256).unwrap();
        params.signed_by(&key, &self.issuer).unwrap().pem()
    }

    fn usual(&self, request: &SigningRequest) -> String {
        self.leaf(
            request,
            &signing::workload(&id(), now(), now() + HOUR).unwrap(),
        )
    }
}

#[test]
fn a_request_is_what_istio_sends() {
    let request = SigningRequest::new(&id()).unwrap();
    let der = CertificateSigningRequestDer::from_pem_slice(request.pem().as_bytes()).unwrap();
    let parsed = CertReq::from_der(&der).unwrap();
    assert!(parsed.info.subject.is_empty());
    let key = &parsed.info.public_key;
    assert_eq!(key.algorithm.oid.to_string(), "1.2.840.10045.2.1");
    let curve: x509_cert::der::asn1::ObjectIdentifier = key
        .algorithm
        .parameters
        .as_ref()
        .unwrap()
        .decode_as()
        .unwrap();
    assert_eq!(curve.to_string(), "1.2.840.10045.3.1.7");
    assert_eq!(parsed.algorithm.oid.to_string(), "1.2.840.10045.4.3.2");
    let attributes: Vec<_> = parsed.info.attributes.iter().collect();
    let [attribute] = attributes[..] else {
        panic!("{attributes:?}");
    };
    assert_eq!(attribute.oid, ExtensionReq::OID);
    let extensions: ExtensionReq = attribute.values.get(0).unwrap().decode_as().unwrap();
    let [extension] = &extensions.0[..] else {
        panic!("{extensions:?}");
    };
    assert!(extension.critical);
    let names = SubjectAltName::from_der(extension.extn_value.as_bytes()).unwrap();
    let [GeneralName::UniformResourceIdentifier(name)] = &names.0[..] else {
        panic!("{names:?}");
    };
    assert_eq!(name.as_str(), id().to_string());
    let other = SigningRequest::new(&id()).unwrap();
    assert_ne!(
        request.public_key, other.public_key,
        "a fresh key for each request"
    );
    assert!(!format!("{request:?}").contains("key"));
}

#[test]
fn a_good_answer_gives_chain_key_and_all_roots() {
    let request = SigningRequest::new(&id()).unwrap();
    let (root, old) = (Ca::root("root"), Ca::root("old"));
    let (first, second) = (root.below("first"), root.below("second"));
    let leaf = first.usual(&request);
    let both = format!("{}{}", root.pem, old.pem);
    let joined = format!("{}{}", first.pem, second.pem);
    for (case, chain, length, roots) in [
        (
            "leaf and root",
            vec![&root.usual(&request), &root.pem],
            1,
            1,
        ),
        ("two roots", vec![&root.usual(&request), &both], 1, 2),
        ("an intermediate", vec![&leaf, &first.pem, &both], 2, 2),
        (
            "two intermediates",
            vec![&leaf, &first.pem, &second.pem, &root.pem],
            3,
            1,
        ),
        ("two in one element", vec![&leaf, &joined, &root.pem], 3, 1),
        (
            "the root among them",
            vec![&leaf, &first.pem, &root.pem, &root.pem],
            2,
            1,
        ),
    ] {
        let credential = request.credential(&chain, now()).unwrap();
        assert_eq!(credential.id(), &id(), "{case}");
        assert_eq!(credential.chain().len(), length, "{case}");
        assert_eq!(credential.trust().roots().len(), roots, "{case}");
        assert_eq!(credential.not_after(), now() + HOUR, "{case}");
        assert_eq!(credential.key(), &request.key, "{case}");
    }
}

#[test]
fn bad_answers_say_what_is_wrong() {
    let request = SigningRequest::new(&id()).unwrap();
    let other = SigningRequest::new(&id()).unwrap();
    let root = Ca::root("root");
    let leaf = root.usual(&request);
    let stranger = "spiffe://cluster.local/ns/shop/sa/other".parse().unwrap();
    let wrong_name = signing::workload(&stranger, now(), now() + HOUR).unwrap();
    let wrong_name = root.leaf(&request, &wrong_name);
    let nobody = root.leaf(&request, &CertificateParams::default());
    let backwards = signing::workload(&id(), now() + 2 * HOUR, now() + HOUR).unwrap();
    let backwards = root.leaf(&request, &backwards);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    let torn = leaf[..leaf.len() / 2].to_owned();
    let empty = String::new();
    type Expected = fn(&CaError) -> bool;
    let unusable: Expected = |error| matches!(error, CaError::Unusable(_));
    let cases: [(&str, Vec<&String>, Expected); 15] = [
        ("nothing", vec![], |error| {
            matches!(error, CaError::EmptyChain)
        }),
        ("no roots", vec![&leaf], |error| {
            matches!(error, CaError::MissingRoots)
        }),
        ("empty roots", vec![&leaf, &empty], unusable),
        ("broken roots", vec![&leaf, &broken], unusable),
        ("one broken root", vec![&leaf, &broken], unusable),
        ("empty leaf", vec![&empty, &root.pem], unusable),
        ("broken leaf", vec![&broken, &root.pem], unusable),
        ("torn leaf", vec![&torn, &root.pem], unusable),
        (
            "empty intermediate",
            vec![&leaf, &empty, &root.pem],
            unusable,
        ),
        ("torn intermediate", vec![&leaf, &torn, &root.pem], unusable),
        ("no identity", vec![&nobody, &root.pem], unusable),
        ("another identity", vec![&wrong_name, &root.pem], |error| {
            matches!(error, CaError::WrongIdentity { delivered }
                if delivered.service_account().as_str() == "other")
        }),
        ("another key", vec![&leaf, &root.pem], |error| {
            matches!(error, CaError::WrongKey)
        }),
        ("expired", vec![&leaf, &root.pem], |error| {
            matches!(error, CaError::Expired { .. })
        }),
        ("backwards", vec![&backwards, &root.pem], |error| {
            matches!(error, CaError::Validity)
        }),
    ];
    for (case, chain, expected) in cases {
        let (request, time) = match case {
            "another key" => (&other, now()),
            "expired" => (&request, now() + HOUR),
            _ => (&request, now()),
        };
        let error = request.credential(&chain, time).unwrap_err();
        assert!(expected(&error), "{case}: {error:?}");
    }
}

#[test]
fn unknown_extensions_do_not_disturb() {
    let request = SigningRequest::new(&id()).unwrap();
    let root = Ca::root("root");
    let mut params = signing::workload(&id(), now(), now() + HOUR).unwrap();
    let extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    params.custom_extensions.push(extension);
    let leaf = root.leaf(&request, &params);
    assert!(request.credential(&[leaf, root.pem], now()).is_ok());
}

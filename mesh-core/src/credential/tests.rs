use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::*;

/// A certificate authority for tests.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
    /// From this authority up to, but without, the root.
    intermediates: Vec<CertificateDer<'static>>,
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Ca {
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
            intermediates: Vec::new(),
        }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let mut intermediates = vec![certificate.clone()];
        intermediates.extend(self.intermediates.iter().cloned());
        Self {
            issuer: Issuer::new(params, key),
            certificate,
            intermediates,
        }
    }

    /// A leaf with these URI names.
    pub(crate) fn leaf(
        &self,
        names: &[&str],
        edit: impl FnOnce(&mut CertificateParams),
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = names
            .iter()
            .map(|name| SanType::URI((*name).try_into().unwrap()))
            .collect();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        let mut chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
        chain.extend(self.intermediates.iter().cloned());
        (chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    pub(crate) fn bundle(&self) -> Arc<TrustBundle> {
        Arc::new(TrustBundle::from_der([self.certificate.clone()]).unwrap())
    }

    /// A credential whose peers are checked against this authority.
    pub(crate) fn credential(&self, id: &str) -> Arc<Credential> {
        self.credential_with(id, &self.bundle(), |_| ())
    }

    pub(crate) fn credential_with(
        &self,
        id: &str,
        trust: &Arc<TrustBundle>,
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Arc<Credential> {
        let (chain, key) = self.leaf(&[id], edit);
        Arc::new(Credential::from_der(chain, key, trust.clone()).unwrap())
    }

    /// A list that revokes the certificate with this serial number.
    pub(crate) fn revoke(&self, serial: &[u8]) -> CertificateRevocationListDer<'static> {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2026, 2, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from_slice(serial),
                revocation_time: date_time_ymd(2026, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().clone()
    }
}

const ID: &str = "spiffe://cluster.local/ns/shop/sa/cart";

fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write as _;
    // PEM readers take any line length; base64 by hand keeps a dependency out.
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for chunk in der.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            if digit <= chunk.len() {
                text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    let _ = write!(text, "\n-----END {label}-----\n");
    text
}

#[test]
fn a_credential_knows_what_its_leaf_says() {
    let ca = Ca::root("root");
    let credential = ca.credential_with(ID, &ca.bundle(), |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0xff]));
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 1, 2);
    });
    assert_eq!(credential.id().to_string(), ID);
    assert_eq!(credential.serial(), "0aff");
    // 2026-01-01T00:00:00Z
    let begin = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let end = begin + Duration::from_secs(86_400);
    assert_eq!(
        (credential.not_before(), credential.not_after()),
        (begin, end)
    );
    assert!(credential.is_valid_at(begin) && credential.is_valid_at(end));
    assert!(!credential.is_valid_at(end + Duration::from_secs(1)));
    assert!(!credential.is_valid_at(begin - Duration::from_secs(1)));
}

#[test]
fn debug_shows_no_key() {
    let credential = Ca::root("root").credential(ID);
    let text = format!("{credential:?}");
    assert!(
        text.contains(ID) && !text.to_lowercase().contains("key"),
        "{text}"
    );
}

#[test]
fn each_credential_has_its_own_generation() {
    let ca = Ca::root("root");
    let (first, second) = (ca.credential(ID), ca.credential(ID));
    assert!(first.generation() < second.generation());
}

#[test]
fn the_chain_keeps_intermediates_and_drops_the_root() {
    let root = Ca::root("root");
    let middle = root.intermediate("middle");
    let (mut chain, key) = middle.leaf(&[ID], |_| ());
    chain.push(root.certificate.clone());
    let leaf = chain[0].clone();
    let credential = Credential::from_der(chain, key, root.bundle()).unwrap();
    assert_eq!(credential.chain(), [leaf, middle.certificate]);
}

#[test]
fn pem_gives_the_same_as_der() {
    let root = Ca::root("root");
    let middle = root.intermediate("middle");
    let (chain, key) = middle.leaf(&[ID], |_| ());
    let text: String = chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
    let roots = pem("CERTIFICATE", &root.certificate) + &pem("CERTIFICATE", &middle.certificate);
    let key_text = pem("PRIVATE KEY", key.secret_der());
    let credential =
        Credential::from_pem(text.as_bytes(), key_text.as_bytes(), roots.as_bytes()).unwrap();
    assert_eq!(credential.chain()[0], chain[0]);
    assert_eq!(credential.key(), &key);
    assert_eq!(
        credential.trust().roots(),
        [root.certificate, middle.certificate]
    );
}

#[test]
fn what_is_no_credential_says_why() {
    let ca = Ca::root("root");
    let (chain, key) = ca.leaf(&[ID], |_| ());
    let from = |chain, trust| Credential::from_der(chain, key.clone_key(), trust).unwrap_err();
    let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
    assert!(matches!(
        from(vec![], ca.bundle()),
        InvalidCredential::NoCertificate
    ));
    assert!(matches!(
        from(vec![garbage.clone()], ca.bundle()),
        InvalidCredential::Certificate(_)
    ));
    for names in [
        &[][..],
        &["https://example.com/"],
        &["spiffe://cluster.local/web"],
    ] {
        let (chain, _) = ca.leaf(names, |_| ());
        assert!(
            matches!(from(chain, ca.bundle()), InvalidCredential::NoSpiffeId),
            "{names:?}"
        );
    }
    let bundle = |roots: Vec<CertificateDer<'static>>| TrustBundle::from_der(roots).unwrap_err();
    assert!(matches!(bundle(vec![]), InvalidCredential::NoRoot));
    assert!(matches!(bundle(vec![garbage]), InvalidCredential::Root(_)));

    let certificate = pem("CERTIFICATE", &chain[0]);
    let key_text = pem("PRIVATE KEY", key.secret_der());
    let texts = |chain: &str, key: &str, roots: &str| {
        Credential::from_pem(chain.as_bytes(), key.as_bytes(), roots.as_bytes())
            .unwrap_err()
            .to_string()
    };
    for (case, error, expected) in [
        (
            "no chain",
            texts("", &key_text, &certificate),
            "the chain is empty",
        ),
        (
            "no key",
            texts(&certificate, "", &certificate),
            "private key",
        ),
        (
            "no root",
            texts(&certificate, &key_text, "hello"),
            "root certificate",
        ),
        (
            "broken PEM",
            texts("-----BEGIN CERTIFICATE-----\n", &key_text, &certificate),
            "chain",
        ),
    ] {
        assert!(error.contains(expected), "{case}: {error}");
    }
}

#[test]
fn a_broken_revocation_list_is_an_error() {
    let bundle = TrustBundle::from_der([Ca::root("root").certificate]).unwrap();
    let lists = [CertificateRevocationListDer::from(vec![1, 2, 3])];
    assert!(matches!(
        bundle.with_revocation_lists(lists),
        Err(InvalidCredential::RevocationList(_))
    ));
}

mod fixed_source {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a fixed source does not wait"),
        }
    }

    #[test]
    fn it_serves_the_identities_that_it_was_given() {
        let ca = Ca::root("root");
        let (cart, shop) = (
            ca.credential(ID),
            ca.credential("spiffe://cluster.local/ns/shop/sa/shop"),
        );
        let source = FixedSource::new([cart.clone(), shop.clone()]);
        assert!(Arc::ptr_eq(
            &now(source.credential(cart.id())).unwrap(),
            &cart
        ));
        assert!(Arc::ptr_eq(
            &now(source.credential(shop.id())).unwrap(),
            &shop
        ));
        let other = "spiffe://cluster.local/ns/shop/sa/other".parse().unwrap();
        assert!(matches!(
            now(source.credential(&other)),
            Err(CertificateError::UnknownIdentity { id }) if id == other
        ));
    }

    #[test]
    fn a_replacement_reaches_callers_and_watches() {
        let ca = Ca::root("root");
        let first = ca.credential(ID);
        let source = FixedSource::new([first.clone()]);
        let mut watch = now(source.watch(first.id())).unwrap().unwrap();
        let second = ca.credential(ID);
        source.replace(second.clone());
        assert!(Arc::ptr_eq(
            &now(source.credential(first.id())).unwrap(),
            &second
        ));
        assert!(Arc::ptr_eq(&now(watch.changed()).unwrap(), &second));
        source.remove(first.id());
        assert!(now(watch.changed()).is_err());
        assert!(now(source.credential(first.id())).is_err());
    }
}

#[test]
fn new_revocation_lists_are_another_credential_and_the_same_proof() {
    let ca = Ca::root("root");
    let old = ca.credential("spiffe://cluster.local/ns/shop/sa/cart");
    assert_eq!(old.proof_generation(), old.generation());
    let bundle = TrustBundle::from_der([ca.certificate.clone()]).unwrap();
    let lists = Arc::new(bundle.with_revocation_lists([ca.revoke(&[9])]).unwrap());
    let same = old.with_trust(lists).unwrap();
    assert!(same.generation() > old.generation());
    assert_eq!(same.proof_generation(), old.generation());
    assert_eq!((same.id(), same.chain()), (old.id(), old.chain()));
    assert_eq!(same.trust().revoked().len(), 1);
    let other = same.with_trust(Ca::root("other").bundle()).unwrap();
    assert_eq!(other.proof_generation(), other.generation());
}

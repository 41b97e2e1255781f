//! Oracle: Istio's protocol and its authority's refusals (spec/node-proxy.md 3.4, 4.2, 4.3).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::credential::Credential;
use mesh_core::identity::SpiffeId;
use prost_types::{Struct, Value, value::Kind};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ED25519, SanType};
use tonic::{Code, Request, Response, Status};

use super::*;
use crate::ca::SigningRequest;
use crate::svid;
use crate::wire::ca::istio_certificate_service_server::IstioCertificateService;
use crate::wire::ca::{IstioCertificateRequest, IstioCertificateResponse};

const DAY: u64 = 24 * 3600;

fn id(name: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/a/sa/{name}")
        .parse()
        .unwrap()
}

fn ca() -> CaService {
    let authorize = |call: &CaCall<'_>| match call.token {
        Some("secret") => Ok(call.wanted().clone()),
        _ => Err("unknown token".to_owned()),
    };
    CaService::builder(authorize).build().unwrap()
}

fn message(csr: &str) -> Request<IstioCertificateRequest> {
    let mut request = Request::new(IstioCertificateRequest {
        csr: csr.to_owned(),
        ..IstioCertificateRequest::default()
    });
    let token = "Bearer secret".parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    request
}

async fn ask(
    ca: &CaService,
    request: Request<IstioCertificateRequest>,
) -> Result<Vec<String>, Status> {
    let answer = ca.create_certificate(request).await;
    answer
        .map(Response::into_inner)
        .map(|IstioCertificateResponse { cert_chain }| cert_chain)
}

async fn credential(ca: &CaService, seconds: i64) -> Credential {
    let request = SigningRequest::new(&id("web")).unwrap();
    let mut call = message(request.pem());
    call.get_mut().validity_duration = seconds;
    let chain = ask(ca, call).await.unwrap();
    request.credential(&chain, SystemTime::now()).unwrap()
}

#[tokio::test]
async fn lifetimes_are_as_asked_up_to_the_longest() {
    let ca = ca();
    for (asked, expected) in [(3600, 3600), (0, DAY), (-1, DAY), (i64::MAX, DAY)] {
        let left = credential(&ca, asked)
            .await
            .not_after()
            .duration_since(SystemTime::now());
        let left = left.unwrap().as_secs();
        assert!(
            (expected - 60..=expected).contains(&left),
            "{asked}: {left}"
        );
    }
    ca.set_lifetime(Duration::from_secs(600));
    let left = credential(&ca, 3600)
        .await
        .not_after()
        .duration_since(SystemTime::now());
    assert!(left.unwrap().as_secs() <= 600);
}

#[tokio::test]
async fn requests_that_do_not_hold_are_refused() {
    let good = SigningRequest::new(&id("web")).unwrap();
    let with = |names: &[SanType]| {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = names.to_vec();
        let key = svid::new_key().unwrap();
        params.serialize_request(&key).unwrap().pem().unwrap()
    };
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let web = uri("spiffe://cluster.local/ns/a/sa/web");
    let edwards = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let edwards = svid::names(&id("web"))
        .unwrap()
        .serialize_request(&edwards)
        .unwrap();
    for (case, csr, reason) in [
        ("empty", String::new(), "not PEM"),
        ("text", "hello".to_owned(), "not PEM"),
        ("another PEM", ca().roots(), "not PEM"),
        ("another key type", edwards.pem().unwrap(), "ECDSA P-256"),
        ("no name", with(&[]), "exactly one"),
        (
            "two names",
            with(&[web.clone(), uri("spiffe://cluster.local/ns/a/sa/x")]),
            "exactly one",
        ),
        (
            "a DNS name",
            with(&[SanType::DnsName("web.test".try_into().unwrap())]),
            "exactly one",
        ),
        (
            "a DNS name, too",
            with(&[web, SanType::DnsName("a.test".try_into().unwrap())]),
            "exactly one",
        ),
        (
            "no workload",
            with(&[uri("spiffe://cluster.local/web")]),
            "exactly one",
        ),
        (
            "another signature",
            swapped_signature(good.pem()),
            "signature",
        ),
    ] {
        let status = ask(&ca(), message(&csr)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{case}");
        assert!(
            status.message().contains(reason),
            "{case}: {}",
            status.message()
        );
    }
    assert!(ask(&ca(), message(good.pem())).await.is_ok());
}

/// The request with one of the last bytes of its signature changed.
fn swapped_signature(pem: &str) -> String {
    let (content, end) = pem.split_once("\n-----END").unwrap();
    let digit = |(_, c): &(usize, char)| c.is_ascii_alphanumeric();
    let (at, old) = content.char_indices().rev().filter(digit).nth(9).unwrap();
    let new = if old == 'A' { "B" } else { "A" };
    format!(
        "{}{new}{}\n-----END{end}",
        &content[..at],
        &content[at + 1..]
    )
}

#[tokio::test]
async fn refusals_are_opaque() {
    let request = SigningRequest::new(&id("web")).unwrap();
    for token in [
        None,
        Some("Bearer wrong"),
        Some("secret"),
        Some("Basic secret"),
    ] {
        let mut call = message(request.pem());
        call.metadata_mut().remove("authorization");
        if let Some(token) = token {
            call.metadata_mut()
                .insert("authorization", token.parse().unwrap());
        }
        let status = ask(&ca(), call).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{token:?}");
        assert!(!status.message().contains("token"), "{token:?}");
    }
}

#[tokio::test]
async fn the_callback_decides_whom_a_certificate_names() {
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let log = seen.clone();
    let ca = CaService::builder(move |call| {
        let cluster = call.cluster.map(ToOwned::to_owned);
        log.lock()
            .push((call.requested.clone(), call.impersonated.cloned(), cluster));
        Ok(call.wanted().clone())
    });
    let ca = ca.build().unwrap();
    let request = SigningRequest::new(&id("node")).unwrap();
    let mut call = message(request.pem());
    call.metadata_mut()
        .insert("clusterid", "one".parse().unwrap());
    let kind = |kind| Struct {
        fields: [(
            "ImpersonatedIdentity".to_owned(),
            Value { kind: Some(kind) },
        )]
        .into(),
    };
    let text = |id: &str| kind(Kind::StringValue(id.to_owned()));
    call.get_mut().metadata = Some(text(&id("pod").to_string()));
    let chain = ask(&ca, call).await.unwrap();
    let error = request.credential(&chain, SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains("sa/pod"), "{error}");
    assert_eq!(
        *seen.lock(),
        [(id("node"), Some(id("pod")), Some("one".to_owned()))]
    );
    for metadata in [text("pod"), kind(Kind::BoolValue(true))] {
        let mut call = message(request.pem());
        call.get_mut().metadata = Some(metadata);
        let status = ask(&ca, call).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_rotation_keeps_the_former_root_beside_the_new_one() {
    let ca = ca();
    let first = credential(&ca, 0).await;
    ca.rotate().unwrap();
    let second = credential(&ca, 0).await;
    ca.rotate().unwrap();
    let third = credential(&ca, 0).await;
    let roots = |credential: &Credential| credential.trust().roots().to_vec();
    let (first, second, third) = (roots(&first), roots(&second), roots(&third));
    assert_eq!((first.len(), second.len(), third.len()), (1, 2, 2));
    assert_eq!(second[1], first[0]);
    assert_eq!(third[1], second[0]);
}

#[tokio::test(start_paused = true)]
async fn it_fails_and_delays_on_demand() {
    let (ca, request) = (ca(), SigningRequest::new(&id("web")).unwrap());
    ca.set_failure(Some((Code::Unavailable, "closed".to_owned())));
    ca.set_delay(Duration::from_secs(5));
    let start = tokio::time::Instant::now();
    let status = ask(&ca, message(request.pem())).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "closed")
    );
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    ca.set_failure(None);
    ca.set_delay(Duration::ZERO);
    assert!(ask(&ca, message(request.pem())).await.is_ok());
    assert_eq!(ca.requests(), 2);
}

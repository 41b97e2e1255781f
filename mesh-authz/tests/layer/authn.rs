//! `AuthnLayer`: spec 3.3.5 to 3.3.8 and 3.5.

use std::sync::Arc;

use http::Request;
use http::uri::Scheme;
use mesh_authz::jwt::{Authenticator, ClaimToHeader, Jwks, JwksStore, JwtRule, KeySource, Profile};
use mesh_authz::layer::{Authn, AuthnLayer, Counter, JwtOutcome, request_claims};
use mesh_core::watch::{self, Publisher, Watch};
use serde_json::json;
use tower_layer::Layer;

use crate::inner::{Inner, NOW, Remembers, Stopped, header, send};
use crate::signer::{P256, jwks};

fn rules(audience: &str) -> Authenticator {
    let keys = Jwks::parse(jwks(std::slice::from_ref(&P256.jwk)).as_bytes()).unwrap();
    let mut rule = JwtRule::new("a", KeySource::Inline(keys));
    rule.audiences = vec![audience.into()];
    rule.output_claim_to_headers = vec![ClaimToHeader::new("x-sub", "sub")];
    Authenticator::new(vec![rule], &JwksStore::new(), Profile::strict()).unwrap()
}

fn token(expiry: u64) -> String {
    let payload = json!({"iss": "a", "sub": "s", "aud": "x", "exp": expiry});
    P256.token("ES256", None, &payload)
}

fn service(rules: Watch<Authenticator>) -> (Authn<Inner>, Inner, Arc<Remembers>) {
    let sink = Arc::new(Remembers::default());
    let inner = Inner::default();
    let layer = AuthnLayer::new(rules, Arc::new(Stopped), Scheme::HTTP, sink.clone());
    (layer.layer(inner.clone()), inner, sink)
}

fn with_rules() -> (
    Authn<Inner>,
    Inner,
    Arc<Remembers>,
    Publisher<Authenticator>,
) {
    let (publisher, watch) = watch::channel(rules("x"));
    let (service, inner, sink) = service(watch);
    (service, inner, sink, publisher)
}

fn bearer(token: &str) -> http::request::Builder {
    Request::get("/p?q=1")
        .header("host", "h.example:80")
        .header("authorization", format!("Bearer {token}"))
}

#[test]
fn a_verified_request_goes_on_with_its_claims_and_without_its_token() {
    let (mut service, inner, sink, _publisher) = with_rules();
    let response = send(&mut service, bearer(&token(NOW + 60)).body(()).unwrap());
    assert_eq!(response.body(), "inner");
    let seen = inner.seen.lock().unwrap();
    assert!(!seen[0].headers.contains_key("authorization"));
    assert_eq!(seen[0].headers["x-sub"], "s");
    assert_eq!(
        request_claims(&seen[0].extensions).unwrap().subject(),
        Some("s")
    );
    assert_eq!(
        *sink.counters.lock().unwrap(),
        [Counter::Jwt(JwtOutcome::Verified)]
    );
}

#[test]
fn a_request_without_token_goes_on_without_claims() {
    let (mut service, inner, sink, _publisher) = with_rules();
    let verified = send(&mut service, bearer(&token(NOW + 60)).body(()).unwrap());
    assert_eq!(verified.status(), 200);
    // The extensions of another request do not help.
    let extensions = inner.seen.lock().unwrap()[0].extensions.clone();
    let mut request = Request::get("/").header("x-sub", "root").body(()).unwrap();
    *request.extensions_mut() = extensions;
    assert_eq!(send(&mut service, request).status(), 200);
    let seen = inner.seen.lock().unwrap();
    assert!(request_claims(&seen[1].extensions).is_none());
    assert!(!seen[1].headers.contains_key("x-sub"));
    assert_eq!(
        sink.counters.lock().unwrap()[1],
        Counter::Jwt(JwtOutcome::Missing)
    );
}

#[test]
fn a_bad_token_is_answered_with_401_and_never_arrives() {
    let (mut service, inner, sink, _publisher) = with_rules();
    let response = send(&mut service, bearer(&token(NOW - 61)).body(()).unwrap());
    assert_eq!(response.status(), 401);
    assert_eq!(response.body(), "Jwt is expired");
    assert_eq!(header(&response, "content-type"), Some("text/plain"));
    assert_eq!(header(&response, "content-length"), Some("14"));
    let expected = r#"Bearer realm="http://h.example:80/p", error="invalid_token""#;
    assert_eq!(
        header(&response, "www-authenticate"),
        Some(expected),
        "no query in the realm"
    );
    assert!(inner.seen.lock().unwrap().is_empty());
    assert_eq!(*inner.reserved.lock().unwrap(), 0, "nothing stays reserved");
    assert_eq!(
        *sink.counters.lock().unwrap(),
        [Counter::Jwt(JwtOutcome::Refused)]
    );
    let refused = ["/p jwt_authn_access_denied{Jwt_is_expired}"];
    assert_eq!(*sink.refused.lock().unwrap(), refused);
}

#[test]
fn another_audience_is_403() {
    let (mut service, _, _, publisher) = with_rules();
    publisher.publish(rules("y"));
    let response = send(&mut service, bearer(&token(NOW + 60)).body(()).unwrap());
    assert_eq!(response.status(), 403, "new rules are in force at once");
    assert_eq!(response.body(), "Audiences in Jwt are not allowed");
    assert!(header(&response, "www-authenticate").is_some());
}

#[test]
fn realms_have_the_scheme_and_authority_of_the_target_and_no_quotes() {
    let cases = [
        (
            "https://u:p@h.example/a%22b",
            r#"Bearer realm="https://h.example/a%22b", error="invalid_token""#,
        ),
        (
            r#"/a"b"#,
            r#"Bearer realm="http://h.example:80/a%22b", error="invalid_token""#,
        ),
        (
            "/a?access_token=x",
            r#"Bearer realm="http://h.example:80/a", error="invalid_token""#,
        ),
    ];
    for (target, expected) in cases {
        let (mut service, _, _, _publisher) = with_rules();
        let response = send(&mut service, bearer("x").uri(target).body(()).unwrap());
        assert_eq!(
            header(&response, "www-authenticate"),
            Some(expected),
            "{target}"
        );
    }
}

/// 3.3.6.
#[test]
fn head_and_grpc_have_their_forms() {
    let (mut service, _, _, _publisher) = with_rules();
    let head = send(&mut service, bearer("x").method("HEAD").body(()).unwrap());
    assert_eq!((head.status().as_u16(), head.body().len()), (401, 0));
    for kind in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;x=y",
    ] {
        let response = send(
            &mut service,
            bearer("x").header("content-type", kind).body(()).unwrap(),
        );
        assert_eq!(
            (response.status().as_u16(), response.body().len()),
            (200, 0),
            "{kind}"
        );
        assert_eq!(header(&response, "content-type"), Some("application/grpc"));
        assert_eq!(header(&response, "grpc-status"), Some("16"));
        let text =
            "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
        assert_eq!(header(&response, "grpc-message"), Some(text));
        assert!(header(&response, "www-authenticate").is_some());
    }
    let web = send(
        &mut service,
        bearer("x")
            .header("content-type", "application/grpc-web")
            .body(())
            .unwrap(),
    );
    assert_eq!(web.status(), 401, "gRPC-Web is another protocol");
}

/// 5.1.3.
#[test]
fn an_http_1_request_with_a_body_closes_its_connection() {
    let (mut service, _, _, _publisher) = with_rules();
    let cases = [
        ("content-length", "5", http::Version::HTTP_11, Some("close")),
        ("content-length", "0", http::Version::HTTP_11, None),
        (
            "transfer-encoding",
            "chunked",
            http::Version::HTTP_11,
            Some("close"),
        ),
        ("content-length", "5", http::Version::HTTP_2, None),
    ];
    for (name, value, version, expected) in cases {
        let request = bearer("x")
            .header(name, value)
            .version(version)
            .body(())
            .unwrap();
        let response = send(&mut service, request);
        assert_eq!(
            header(&response, "connection"),
            expected,
            "{name}: {value} {version:?}"
        );
    }
}

#[test]
fn a_preflight_passes_and_is_counted_as_such() {
    let (mut service, inner, sink, _publisher) = with_rules();
    let request = bearer("x")
        .method("OPTIONS")
        .header("origin", "https://o.example")
        .header("access-control-request-method", "GET");
    assert_eq!(send(&mut service, request.body(()).unwrap()).status(), 200);
    assert!(request_claims(&inner.seen.lock().unwrap()[0].extensions).is_none());
    assert_eq!(
        *sink.counters.lock().unwrap(),
        [Counter::Jwt(JwtOutcome::Preflight)]
    );
}

#[test]
fn the_names_of_counters_are_those_that_are_written_down() {
    let jwt = Counter::Jwt(JwtOutcome::Preflight);
    assert_eq!(jwt.metric(), "mesh_authz_jwt_total");
    assert_eq!(jwt.labels(), [("result", "cors_preflight_bypassed")]);
}

//! `AuthzLayer`: spec 5.1, 5.3 and 5.4.

use std::sync::Arc;

use http::Request;
use http::request::Parts;
use mesh_authz::claims::{ClaimPath, VerifiedClaims};
use mesh_authz::jwt::{Authenticator, Jwks, JwksStore, JwtRule, KeySource, Profile};
use mesh_authz::layer::{
    AuditFields, AuditedConnection, AuthnLayer, AuthzLayer, Counter, DecidedBy, RequestAuthorizer,
    RequestDecision, RequestDenial, Sink,
};
use mesh_core::watch::Watch;
use serde_json::{Value, json};
use tower_layer::Layer;

use crate::inner::{Inner, NOW, Remembers, Stopped, header, send};
use crate::signer::{P256, jwks};

/// Decides by the path, which it puts into the form that it decides about.
#[derive(Clone)]
struct ByPath;

impl RequestAuthorizer for ByPath {
    fn decide(&self, parts: &mut Parts, claims: Option<&VerifiedClaims>) -> RequestDecision {
        let rule = || DecidedBy::new("shop/p".into(), 2);
        let path = parts.uri.path().replace("//", "/");
        parts.uri = path.parse().unwrap();
        match path.as_str() {
            "/deny" => RequestDecision::deny(RequestDenial::Explicit).by(rule()),
            "/none" => RequestDecision::deny(RequestDenial::NoneAllowed),
            "/bad" => RequestDecision::deny(RequestDenial::Malformed),
            "/incomplete" => RequestDecision::deny(RequestDenial::Incomplete),
            "/claims" if claims.and_then(VerifiedClaims::subject) != Some("s") => {
                RequestDecision::deny(RequestDenial::NoneAllowed)
            }
            "/audit" => {
                let mut decision = RequestDecision::allow().by(rule());
                decision.audit = Some(DecidedBy::new("shop/audit".into(), 0));
                decision.would_deny = true;
                decision
            }
            _ => RequestDecision::allow(),
        }
    }
}

fn get(target: &str) -> http::request::Builder {
    Request::get(target).header("host", "h.example")
}

#[test]
fn what_is_denied_is_answered_as_envoy_does_and_never_arrives() {
    let inner = Inner::default();
    let mut service = AuthzLayer::new(ByPath, Arc::new(Remembers::default())).layer(inner.clone());
    for target in ["/deny", "/none", "/incomplete"] {
        let response = send(&mut service, get(target).body(()).unwrap());
        assert_eq!(response.status(), 403, "{target}");
        assert_eq!(response.body(), "RBAC: access denied", "{target}");
        assert_eq!(header(&response, "content-type"), Some("text/plain"));
        assert_eq!(header(&response, "content-length"), Some("19"));
        assert_eq!(
            response.headers().len(),
            2,
            "{target}: nothing about the policy"
        );
    }
    assert_eq!(
        send(&mut service, get("/bad").body(()).unwrap()).status(),
        400
    );
    assert!(inner.seen.lock().unwrap().is_empty());
    assert_eq!(*inner.reserved.lock().unwrap(), 0, "nothing stays reserved");
    let grpc = get("/deny")
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let response = send(&mut service, grpc);
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "grpc-status"), Some("7"));
    assert_eq!(
        header(&response, "grpc-message"),
        Some("RBAC: access denied")
    );
}

#[test]
fn what_was_decided_about_is_what_goes_on() {
    let inner = Inner::default();
    let mut service = AuthzLayer::new(ByPath, Arc::new(Remembers::default())).layer(inner.clone());
    assert_eq!(
        send(&mut service, get("/a//b").body(()).unwrap()).status(),
        200
    );
    assert_eq!(inner.seen.lock().unwrap()[0].uri, "/a/b");
}

#[test]
fn policies_read_the_claims_that_were_verified() {
    let keys = Jwks::parse(jwks(std::slice::from_ref(&P256.jwk)).as_bytes()).unwrap();
    let rule = JwtRule::new("a", KeySource::Inline(keys));
    let rules = Authenticator::new(vec![rule], &JwksStore::new(), Profile::strict()).unwrap();
    let sink: Arc<dyn Sink> = Arc::new(Remembers::default());
    let authn = AuthnLayer::new(
        Watch::fixed(rules),
        Arc::new(Stopped),
        http::uri::Scheme::HTTP,
        sink.clone(),
    );
    let mut service = authn.layer(AuthzLayer::new(ByPath, sink).layer(Inner::default()));
    let bearer = |subject: &str| {
        let payload = json!({"iss": "a", "sub": subject, "exp": NOW + 60});
        let token = P256.token("ES256", None, &payload);
        get("/claims")
            .header("authorization", format!("Bearer {token}"))
            .body(())
            .unwrap()
    };
    assert_eq!(send(&mut service, bearer("s")).status(), 200);
    assert_eq!(send(&mut service, bearer("t")).status(), 403);
    assert_eq!(
        send(&mut service, get("/claims").body(()).unwrap()).status(),
        403,
        "403, not 401"
    );
}

#[test]
fn decisions_are_counted_with_their_reasons() {
    let sink = Arc::new(Remembers::default());
    let mut service = AuthzLayer::new(ByPath, sink.clone()).layer(Inner::default());
    for target in ["/", "/deny", "/audit"] {
        let _ = send(&mut service, get(target).body(()).unwrap());
    }
    let counters = sink.counters.lock().unwrap();
    let policy = Some("shop/p".into());
    let expected = [
        Counter::Decision {
            denial: None,
            policy: None,
        },
        Counter::Decision {
            denial: Some(RequestDenial::Explicit),
            policy: policy.clone(),
        },
        Counter::Decision {
            denial: None,
            policy,
        },
        Counter::WouldDeny,
    ];
    assert_eq!(*counters, expected);
    assert_eq!(counters[1].metric(), "mesh_authz_decisions_total");
    let labels = [
        ("layer", "l7"),
        ("verdict", "deny"),
        ("reason", "explicit_deny"),
    ];
    assert_eq!(counters[1].labels(), labels);
    assert_eq!(counters[3].metric(), "mesh_authz_shadow_would_deny_total");
}

fn record(builder: http::request::Builder, fields: AuditFields) -> Value {
    let sink = Arc::new(Remembers::default());
    let mut connection = AuditedConnection::new(
        "10.0.0.1:5000".parse().unwrap(),
        "10.0.0.2:80".parse().unwrap(),
    );
    connection.peer = Some("spiffe://td/ns/n/sa/s".into());
    let layer = AuthzLayer::new(ByPath, sink.clone())
        .with_audit(fields)
        .with_connection(connection)
        .with_clock(Arc::new(Stopped));
    let _ = send(
        &mut layer.layer(Inner::default()),
        builder.body(()).unwrap(),
    );
    let records = sink.records.lock().unwrap();
    assert_eq!(records.len(), 1);
    assert!(!records[0].contains('\n'), "one line");
    serde_json::from_str(&records[0]).unwrap()
}

/// 5.4.
#[test]
fn denied_and_audited_requests_are_recorded_and_no_others() {
    let denied = record(get("/deny?secret=1"), AuditFields::default());
    let expected = json!({
        "v": 1, "ts": NOW as f64, "layer": "l7", "verdict": "deny", "reason": "explicit_deny",
        "policy": "shop/p", "rule": 2, "audit": null, "would_deny": false,
        "conn": {
            "src_ip": "10.0.0.1", "src_port": 5000, "dst_ip": "10.0.0.2", "dst_port": 80,
            "remote_ip": null, "peer_id": "spiffe://td/ns/n/sa/s", "sni": null,
        },
        "req": {
            "method": "GET", "host": "h.example", "path_norm": "/deny",
            "path_raw_hash": denied["req"]["path_raw_hash"], "headers_used": {}, "jwt": null,
        },
    });
    assert_eq!(denied, expected);
    let audited = record(get("/audit"), AuditFields::default());
    assert_eq!(audited["verdict"], "allow");
    assert_eq!(audited["audit"], json!({"policy": "shop/audit", "rule": 0}));
    assert_eq!(audited["would_deny"], true);
    let raw = |target| record(get(target), AuditFields::default())["req"]["path_raw_hash"].clone();
    assert_eq!(raw("/deny"), raw("/deny"));
    assert_ne!(raw("/deny"), raw("//deny"), "the raw path is told apart");
    let sink = Arc::new(Remembers::default());
    let mut service = AuthzLayer::new(ByPath, sink.clone()).layer(Inner::default());
    let _ = send(&mut service, get("/").body(()).unwrap());
    assert!(sink.records.lock().unwrap().is_empty());
}

/// 5.4.1 and 5.4.2.
#[test]
fn records_have_what_policies_read_without_secrets_escaped_and_bounded() {
    let mut fields = AuditFields::default();
    let names = [
        "authorization",
        "cookie",
        "x-api-key",
        "x-own",
        "x-plain",
        "x-long",
        "x-odd",
    ];
    fields.headers = names.map(http::HeaderName::from_static).to_vec();
    fields.redacted = vec![http::HeaderName::from_static("x-own")];
    let odd = http::HeaderValue::from_bytes(b"a\xff\tb").unwrap();
    let mut request = get("/deny")
        .header("x-odd", odd)
        .header("x-other", "unread")
        .header("x-long", "l".repeat(300));
    for name in ["authorization", "cookie", "x-api-key", "x-own"] {
        request = request.header(name, "hunter2");
    }
    let request = request.header("x-plain", "1").header("x-plain", "2");
    let record = record(request, fields);
    assert!(!record.to_string().contains("hunter2"), "{record}");
    let headers = &record["req"]["headers_used"];
    assert_eq!(headers["authorization"], json!(["[redacted]"]));
    assert_eq!(headers["x-plain"], json!(["1", "2"]));
    assert_eq!(headers["x-odd"], json!(["a\\xff\\u{9}b"]));
    assert_eq!(
        headers["x-long"],
        json!([format!("{}...", "l".repeat(256))])
    );
    assert!(headers.get("x-other").is_none());
}

#[test]
fn records_have_the_claims_that_policies_read() {
    let keys = Jwks::parse(jwks(std::slice::from_ref(&P256.jwk)).as_bytes()).unwrap();
    let rule = JwtRule::new("a", KeySource::Inline(keys));
    let rules = Authenticator::new(vec![rule], &JwksStore::new(), Profile::strict()).unwrap();
    let sink = Arc::new(Remembers::default());
    let mut fields = AuditFields::default();
    fields.claims = vec![ClaimPath::from_brackets("[org][team]").unwrap()];
    let authn = AuthnLayer::new(
        Watch::fixed(rules),
        Arc::new(Stopped),
        http::uri::Scheme::HTTP,
        sink.clone(),
    );
    let authz = AuthzLayer::new(ByPath, sink.clone()).with_audit(fields);
    let mut service = authn.layer(authz.layer(Inner::default()));
    let payload = json!({
        "iss": "a", "sub": "s", "aud": ["x"], "exp": NOW + 60, "org": {"team": ["t"]}, "email": "private",
    });
    let token = P256.token("ES256", None, &payload);
    let request = get("/deny").header("authorization", format!("Bearer {token}"));
    assert_eq!(send(&mut service, request.body(()).unwrap()).status(), 403);
    let record: Value = serde_json::from_str(&sink.records.lock().unwrap()[0]).unwrap();
    let jwt = &record["req"]["jwt"];
    assert_eq!((&jwt["iss"], &jwt["sub"]), (&json!("a"), &json!("s")));
    assert_eq!(jwt["claims_used"], json!({"[org][team]": ["t"]}));
    assert!(jwt["aud_hash"].is_string());
    assert!(!record.to_string().contains("private"));
}

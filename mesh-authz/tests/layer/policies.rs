//! The layers over real policies: spec 1.3, 1.10.1, 1.13.7, 1.16 (S1), 3.4 and 5.1.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use mesh_authz::external::{
    ExternalAnswer, ExternalAuthorizer, ExternalDenial, ExternalError, HeaderChanges,
};
use mesh_authz::jwt::{Authenticator, Jwks, JwksStore, JwtRule, KeySource, Profile};
use mesh_authz::layer::{
    AppliesTo, AuthnLayer, AuthzLayer, ConnectionFacts, Counter, ExternalProvider, OnError,
    RequestDenial, RequestPolicies,
};
use mesh_authz::spec::{
    Action, HeaderMatch, MatchSpec, PathMatch, PolicySpec, RequestPrincipalMatch, RuleSpec, Scope,
    StringMatch,
};
use mesh_authz::store::{PolicyStore, Update};
use mesh_core::model::{Workload, WorkloadSpec};
use mesh_core::name::Name;
use mesh_core::watch::{self, Watch};
use serde_json::json;
use tower_layer::Layer;

use crate::inner::{Inner, NOW, Remembers, Stopped, header, send};
use crate::signer::{P256, jwks};

fn policy(name: &str, action: Action, one: MatchSpec) -> Update<PolicySpec> {
    let mut policy = PolicySpec::new("shop", name, Scope::Namespace, action);
    policy.provider = name.strip_prefix("ask-").map(Name::from);
    policy.rules.push(RuleSpec::of(one));
    Update::Upsert(policy)
}

fn path(text: &str) -> MatchSpec {
    MatchSpec {
        paths: vec![PathMatch::Text(StringMatch::exact(text).unwrap())],
        ..MatchSpec::default()
    }
}

fn gets() -> MatchSpec {
    MatchSpec {
        methods: vec![StringMatch::exact("GET").unwrap()],
        ..MatchSpec::default()
    }
}

fn shop() -> Watch<AppliesTo> {
    let workload = Workload::new(WorkloadSpec {
        namespace: "shop".into(),
        ..WorkloadSpec::default()
    });
    Watch::fixed(AppliesTo::Workload(Arc::new(workload)))
}

fn facts() -> ConnectionFacts {
    let (source, destination) = ("10.0.0.1:5000", "10.0.0.2:80");
    ConnectionFacts::new(source.parse().unwrap(), destination.parse().unwrap())
}

/// What external authorizers were asked, and what they answer.
#[derive(Debug)]
struct Answers {
    answer: Result<ExternalAnswer, ExternalError>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl ExternalAuthorizer for Answers {
    async fn check(
        &self,
        provider: &str,
        _: &mesh_authz::Connection<'_>,
        request: &mesh_authz::Request<'_>,
    ) -> Result<ExternalAnswer, ExternalError> {
        assert!(request.claims.is_none(), "CUSTOM comes before the tokens");
        let target = request.target.map_or("", |target| target.as_str());
        self.asked
            .lock()
            .unwrap()
            .push(format!("{provider} {target}"));
        tokio::task::yield_now().await;
        self.answer.clone()
    }
}

/// A stack of all three layers over policies, with everything that it reports.
struct Stack {
    store: Arc<PolicyStore>,
    providers: HashMap<Name, ExternalProvider>,
    asked: Arc<Mutex<Vec<String>>>,
    sink: Arc<Remembers>,
    inner: Inner,
}

impl Stack {
    fn new(policies: Vec<Update<PolicySpec>>) -> Self {
        let store = Arc::new(PolicyStore::new());
        assert_eq!(store.apply(policies).rejected, []);
        Self {
            store,
            providers: HashMap::new(),
            asked: Arc::default(),
            sink: Arc::default(),
            inner: Inner::default(),
        }
    }

    fn provider(
        mut self,
        name: &str,
        answer: Result<ExternalAnswer, ExternalError>,
        on_error: OnError,
    ) -> Self {
        let asked = self.asked.clone();
        let provider = ExternalProvider::new(Arc::new(Answers { answer, asked }));
        let provider = provider.with_on_error(on_error);
        self.providers.insert(name.into(), provider);
        self
    }

    fn authz(&self) -> AuthzLayer<RequestPolicies> {
        let policies = RequestPolicies::new(self.store.watch(), shop(), facts());
        AuthzLayer::new(policies, self.sink.clone()).with_connection(facts().audited())
    }

    fn send(&self, request: http::request::Builder) -> Response<Bytes> {
        let keys = Jwks::parse(jwks(std::slice::from_ref(&P256.jwk)).as_bytes()).unwrap();
        let rule = JwtRule::new("a", KeySource::Inline(keys));
        let rules = Authenticator::new(vec![rule], &JwksStore::new(), Profile::strict()).unwrap();
        let (clock, http) = (Arc::new(Stopped), http::uri::Scheme::HTTP);
        let authn = AuthnLayer::new(Watch::fixed(rules), clock, http, self.sink.clone());
        let authz = self.authz();
        let custom = authz.custom(Watch::fixed(self.providers.clone()));
        let mut service = custom.layer(authn.layer(authz.layer(self.inner.clone())));
        let response = send(&mut service, request.body(()).unwrap());
        drop(service);
        assert_eq!(*self.inner.reserved.lock().unwrap(), 0, "nothing reserved");
        response
    }

    fn status(&self, request: http::request::Builder) -> u16 {
        self.send(request).status().as_u16()
    }

    fn passed(&self) -> usize {
        self.inner.seen.lock().unwrap().len()
    }
}

fn get(target: &str) -> http::request::Builder {
    Request::get(target).header("host", "shop.example")
}

#[test]
fn policies_allow_and_deny_in_the_form_that_clients_expect() {
    let stack = Stack::new(vec![
        policy("open", Action::Allow, gets()),
        policy("closed", Action::Deny, path("/admin")),
    ]);
    assert_eq!(stack.status(get("/a")), 200);
    let denied = stack.send(get("/admin?x"));
    assert_eq!(denied.status(), 403);
    assert_eq!(denied.body(), "RBAC: access denied");
    let grpc = stack.send(get("/admin").header("content-type", "application/grpc"));
    assert_eq!(grpc.status(), 200);
    assert_eq!(header(&grpc, "grpc-status"), Some("7"));
    assert_eq!(stack.passed(), 1);
    let counters = stack.sink.counters.lock().unwrap();
    let explicit = Counter::Decision {
        denial: Some(RequestDenial::Explicit),
        policy: Some("shop/closed".into()),
    };
    assert_eq!(counters.iter().filter(|one| **one == explicit).count(), 2);
    let records = stack.sink.records.lock().unwrap();
    assert!(records[0].contains(r#""policy":"shop/closed""#));
    assert!(records[0].contains(r#""src_ip":"10.0.0.1""#));
}

/// 3.4 and P18.
#[test]
fn a_rule_about_tokens_allows_only_who_has_a_verified_one() {
    let one = MatchSpec {
        request_principals: vec![RequestPrincipalMatch::parse("a/s").unwrap()],
        ..MatchSpec::default()
    };
    let stack = Stack::new(vec![policy("signed", Action::Allow, one)]);
    let with = |issuer: &str, subject: &str| {
        let payload = json!({"iss": issuer, "sub": subject, "exp": NOW + 60});
        let token = P256.token("ES256", None, &payload);
        get("/").header("authorization", format!("Bearer {token}"))
    };
    assert_eq!(stack.status(with("a", "s")), 200);
    assert_eq!(stack.status(with("a", "t")), 403, "another subject");
    assert_eq!(stack.status(get("/")), 403, "no token: 403, not 401");
    let bad = get("/").header("authorization", "Bearer x.y.z");
    assert_eq!(stack.status(bad), 401, "a bad token");
    assert_eq!(stack.passed(), 1);
}

/// 1.13.7.
#[test]
fn the_path_that_is_decided_about_is_the_path_that_is_passed_on() {
    let stack = Stack::new(vec![policy("closed", Action::Deny, path("/admin"))]);
    for raw in [
        "/admin",
        "/a/../admin",
        "//admin",
        "/%61dmin",
        "/a%2F..%2fadmin",
    ] {
        assert_eq!(stack.status(get(raw)), 403, "{raw}");
    }
    assert_eq!(stack.status(get("/a/./b//c%2fd?q=/../x")), 200);
    assert_eq!(stack.inner.seen.lock().unwrap()[0].uri, "/a/b/c/d?q=/../x");
    assert_eq!(stack.status(get("/a%00")), 400);
}

/// S1; RFC 9112 section 3.2, RFC 9113 section 8.3.1.
#[test]
fn a_request_has_one_host() {
    let stack = Stack::new(vec![]);
    let cases = [
        ("one Host", get("/"), 200),
        ("two Hosts", get("/").header("host", "shop.example"), 400),
        ("no Host", Request::get("/"), 400),
        ("an authority", Request::get("http://shop.example/"), 200),
        ("both, the same", get("http://SHOP.example/"), 200),
        ("both, different", get("http://other.example/"), 400),
        ("no host", Request::get("/").header("host", "a b"), 400),
        ("asterisk", get("*"), 400),
        ("asterisk of OPTIONS", get("*").method("OPTIONS"), 200),
    ];
    for (name, request, expected) in cases {
        assert_eq!(stack.status(request), expected, "{name}");
    }
}

#[test]
fn new_policies_and_targets_are_in_force_for_the_next_request() {
    let store = PolicyStore::new();
    let named: Arc<[Name]> = [].into();
    let (publisher, applies) = watch::channel(AppliesTo::Named(named));
    let policies = RequestPolicies::new(store.watch(), applies, facts());
    let layer = AuthzLayer::new(policies, Arc::new(Remembers::default()));
    let mut service = layer.layer(Inner::default());
    let mut status = || send(&mut service, get("/admin").body(()).unwrap()).status();
    assert_eq!(status(), 200);
    let mut closed = PolicySpec::new("shop", "closed", Scope::WorkloadSelector, Action::Deny);
    closed.rules.push(RuleSpec::of(path("/admin")));
    assert_eq!(store.apply(vec![Update::Upsert(closed)]).upserted, 1);
    assert_eq!(status(), 200, "nothing names it");
    publisher.publish(AppliesTo::Named(["shop/closed".into()].into()));
    assert_eq!(status(), 403, "a new target");
    assert_eq!(
        store
            .apply(vec![Update::Remove("shop/closed".into())])
            .removed,
        1
    );
    assert_eq!(status(), 403, "a policy that is named and not known denies");
    publisher.publish(AppliesTo::Named([].into()));
    assert_eq!(status(), 200);
}

fn asks(name: &str) -> Update<PolicySpec> {
    policy(name, Action::Custom, path("/ask"))
}

/// 1.10.1 and 4.4.
#[test]
fn external_authorizers_are_asked_until_one_denies() {
    let mut denial = ExternalAnswer::deny(StatusCode::UNAUTHORIZED);
    if let ExternalAnswer::Deny(ExternalDenial { headers, body, .. }) = &mut denial {
        headers.insert("location", "/login".parse().unwrap());
        headers.insert("content-type", "text/html".parse().unwrap());
        headers.insert("content-length", "99".parse().unwrap());
        *body = b"log in".to_vec();
    }
    let stack = Stack::new(vec![asks("ask-c"), asks("ask-b"), asks("ask-a")])
        .provider("a", Ok(ExternalAnswer::Allow), OnError::default())
        .provider("b", Ok(denial), OnError::default())
        .provider("c", Ok(ExternalAnswer::Allow), OnError::default());
    assert_eq!(stack.status(get("/other")), 200, "nobody is asked");
    let response = stack.send(get("//ask?q"));
    assert_eq!(response.status(), 401);
    assert_eq!(response.body(), "log in");
    assert_eq!(header(&response, "location"), Some("/login"));
    assert_eq!(header(&response, "content-type"), Some("text/html"));
    assert_eq!(header(&response, "content-length"), Some("6"));
    assert_eq!(*stack.asked.lock().unwrap(), ["a /ask?q", "b /ask?q"]);
    assert_eq!(stack.passed(), 1);
    let external = Counter::Decision {
        denial: Some(RequestDenial::External),
        policy: Some("shop/ask-b".into()),
    };
    assert!(stack.sink.counters.lock().unwrap().contains(&external));
    assert_eq!(
        *stack.sink.refused.lock().unwrap(),
        ["/ask ext_authz_denied"]
    );
}

/// Envoy asks each provider in a filter of its own, about the request that the one before left.
#[test]
fn what_one_authorizer_changes_the_next_ones_and_the_policies_see() {
    let mut changes = HeaderChanges::default();
    let user = ("x-user".parse().unwrap(), "ann".parse().unwrap());
    changes.set.push(user);
    let with_user = |name: &str, action| {
        let header = HeaderMatch {
            name: "x-user".into(),
            values: vec![StringMatch::exact("ann").unwrap()],
            not_values: Vec::new(),
        };
        let of = MatchSpec {
            headers: vec![header],
            ..MatchSpec::default()
        };
        policy(name, action, of)
    };
    let stack = Stack::new(vec![asks("ask-a"), with_user("ask-b", Action::Custom)])
        .provider("a", Ok(ExternalAnswer::Change(changes)), OnError::default())
        .provider("b", Ok(ExternalAnswer::Allow), OnError::default());
    assert_eq!(stack.status(get("/ask")), 200);
    assert_eq!(*stack.asked.lock().unwrap(), ["a /ask", "b /ask"]);
    let _ = stack.store.apply(vec![with_user("closed", Action::Deny)]);
    assert_eq!(stack.status(get("/ask")), 403);
}

#[test]
fn what_external_authorizers_allow_the_other_policies_decide() {
    let answer = Ok(ExternalAnswer::Allow);
    let stack = Stack::new(vec![asks("ask-a")]).provider("a", answer, OnError::default());
    assert_eq!(stack.status(get("/ask")), 200);
    let _ = stack
        .store
        .apply(vec![policy("closed", Action::Deny, path("/ask"))]);
    assert_eq!(stack.status(get("/ask")), 403);
    assert_eq!(stack.asked.lock().unwrap().len(), 2);
}

/// The last rows of 4.4.
#[test]
fn authorizers_that_do_not_answer_deny_unless_they_are_to_allow() {
    let closed = OnError::Deny(StatusCode::SERVICE_UNAVAILABLE);
    let cases = [
        (ExternalError::Timeout, OnError::default(), 403, ""),
        (ExternalError::Unavailable, closed, 503, ""),
        (ExternalError::BadAnswer, OnError::Allow, 200, "inner"),
        (
            ExternalError::UnknownProvider,
            OnError::Allow,
            403,
            "RBAC: access denied",
        ),
    ];
    for (error, on_error, status, body) in cases {
        let stack = Stack::new(vec![asks("ask-a")]).provider("a", Err(error), on_error);
        let response = stack.send(get("/ask"));
        assert_eq!(response.status().as_u16(), status, "{error}");
        assert_eq!(response.body(), body, "{error}");
        let refused = stack.sink.refused.lock().unwrap();
        let expected: &[&str] = match status {
            200 => &[],
            _ => &["/ask ext_authz_error"],
        };
        assert_eq!(*refused, expected, "{error}");
    }
    let unknown = Stack::new(vec![asks("ask-a")]);
    assert_eq!(unknown.status(get("/ask")), 403, "nobody has this name");
    assert_eq!(unknown.passed(), 0);
}

#[test]
fn a_custom_policy_whose_provider_was_not_asked_denies() {
    let stack = Stack::new(vec![asks("ask-a")]);
    let mut service = stack.authz().layer(stack.inner.clone());
    let mut status = |target: &str| send(&mut service, get(target).body(()).unwrap()).status();
    assert_eq!(status("/ask"), 403);
    assert_eq!(status("/other"), 200);
}

//! The product, asked what the plain evaluator is asked: documents are read, checked, attached and
//! converted, the policies go into a store, and its index decides.

use http::HeaderMap;
use mesh_authz::claims::VerifiedClaims;
use mesh_authz::kube::{
    Authorization, AuthorizationPolicy, EffectiveMtls, Labels, MtlsPolicy, MtlsShape,
    PeerAuthentication, PeerPolicy, Profile as KubeProfile, Provenance, Served, ServiceKind,
    Settings, Subject, TrustDomains, static_strict,
};
use mesh_authz::plain::{self, PlainVerdict};
use mesh_authz::spec::{PolicySpec, Scope};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{
    AllowReason, Connection, DenyReason, DryRunAllow, Limits, Metadata, PolicyTarget, Request,
    RuleRef, Semantics, Undecided,
};
use mesh_core::identity::SpiffeId;
use mesh_core::model::{Workload, WorkloadSpec};
use mesh_core::name::Name;
use mesh_core::target::{PathNormalization, Target};
use serde_json::{Map, Value};

use crate::cases::{Expected, Question, Word};
use crate::evaluator::{self, Conn, Decision, Mesh, Profile, Req, RuleName, Verdict, View};
use crate::tables::Answer;

/// What the product says; `None` where it has no such place.
pub(crate) fn ask(question: &Question, expected: &Expected) -> Option<Answer> {
    let accepted = match accept(question) {
        Ok(accepted) => accepted,
        Err(why) => return Some(Err(why)),
    };
    // TCP chains are Envoy's, and a waypoint decides about requests. What should have been rejected is
    // told in any case.
    let elsewhere = question.view == View::TcpChain
        || (question.target.waypoint && question.view != View::Request);
    let asked = !elsewhere || expected.verdict == Word::Rejected;
    asked.then(|| decide(question, &accepted))
}

/// Reads and checks all documents.
pub(crate) fn accept(question: &Question) -> Result<Vec<Authorization>, String> {
    let settings = settings(&question.mesh);
    let each = question
        .policies
        .iter()
        .map(|document| accept_one(document, &settings));
    each.collect()
}

pub(crate) fn settings(mesh: &Mesh) -> Settings {
    let profile = match mesh.profile {
        Profile::Compat => KubeProfile::Compat,
        Profile::Strict => KubeProfile::Strict,
    };
    Settings::default()
        .with_root_namespace(mesh.root_namespace.as_str())
        .with_profile(profile)
}

fn accept_one(document: &Value, settings: &Settings) -> Result<Authorization, String> {
    let object = AuthorizationPolicy::read(document).map_err(|error| error.to_string())?;
    let provenance = Provenance::of(&object.metadata);
    object
        .convert(settings, provenance)
        .map_err(|error| error.to_string())
}

/// What of the policies is in force where the question is asked, and the names that select it.
pub(crate) fn in_force(
    question: &Question,
    accepted: &[Authorization],
) -> (Vec<PolicySpec>, Vec<Name>) {
    let Question {
        mesh, target, view, ..
    } = question;
    let settings = settings(mesh);
    let labels = labels(target);
    let served: Vec<Served<'_>> = target.services.iter().map(served).collect();
    let mut subject = Subject::new(&target.namespace, &labels);
    if target.waypoint {
        subject = subject.waypoint(&served);
    }
    let attached = subject.select(accepted, &settings);
    let by_name =
        |one: &Authorization| target.waypoint || one.policy.scope == Scope::WorkloadSelector;
    let named = attached
        .iter()
        .filter(|one| by_name(one))
        .map(|one| one.policy.key())
        .collect();
    let profile = settings.profile;
    let specs = accepted.iter().filter_map(|one| match view {
        View::Ztunnel => one.project_l4(profile).policy,
        _ => Some(one.policy.clone()),
    });
    let mut domains = mesh
        .trust_domains
        .iter()
        .map(|domain| domain.parse().unwrap());
    let aliases = TrustDomains::new(domains.next().unwrap(), domains);
    (specs.map(|spec| aliases.expand(spec)).collect(), named)
}

fn decide(question: &Question, accepted: &[Authorization]) -> Answer {
    let Question {
        mesh,
        conn,
        target,
        view,
        req,
        ..
    } = question;
    let (specs, named) = in_force(question, accepted);
    // A policy that is not sent is not missing either.
    let sent: Vec<Name> = specs.iter().map(PolicySpec::key).collect();
    let named: Vec<Name> = named.into_iter().filter(|key| sent.contains(key)).collect();
    let semantics = match mesh.profile {
        Profile::Compat => Semantics::compat(),
        Profile::Strict => Semantics::strict(),
    };
    let semantics = match view {
        View::Ztunnel => semantics.at_node_proxy(),
        _ => semantics,
    };
    let store = PolicyStore::with_semantics(Limits::default(), semantics);
    let applied = store.apply(specs.iter().cloned().map(Update::Upsert).collect());
    if let Some(rejected) = applied.rejected.first() {
        return Err(rejected.to_string());
    }
    let index = store.index();
    let workload = Workload::new(WorkloadSpec {
        namespace: target.namespace.as_str().into(),
        authorization_policies: named.clone(),
        ..WorkloadSpec::default()
    });
    let policies = if target.waypoint {
        PolicyTarget::named(&named)
    } else {
        PolicyTarget::workload(&workload)
    };
    let identity = identity(conn);
    let connection = connection(conn, identity.as_ref());
    let name = |request: Option<&Request<'_>>, rule| {
        name(index.reported(&policies, &connection, request, rule))
    };
    if *view != View::Request {
        let decision = index.decide(&workload, &connection);
        return Ok(translated(&decision, |rule| name(None, rule)));
    }
    let sent = Sent::new(req);
    let request = sent.request(req);
    let decision = index.decide_request(&policies, &connection, &request);
    // What is left for requests on the connection says the same (P10), and so do the rules as they
    // are written down.
    let said = translated(&decision, |rule| name(Some(&request), rule));
    let left = index.residual(&policies, &connection).decide(&request);
    assert_eq!(
        translated(&left, |rule| name(Some(&request), rule)),
        said,
        "the residual"
    );
    let plain = plain::decide_request(&specs, &policies, &connection, &request, semantics);
    let verdict = match said.verdict {
        Verdict::Allow(_) => PlainVerdict::Allow,
        Verdict::Deny(Some(_)) => PlainVerdict::DenyExplicit,
        Verdict::Deny(None) => PlainVerdict::DenyNoneAllowed,
        Verdict::Undecided => PlainVerdict::NeedsRequest,
    };
    assert_eq!(plain.verdict, verdict, "the rules as they are written down");
    let providers = index.providers(&policies, &connection, &request);
    let providers = providers.map(|(provider, _)| provider.to_owned()).collect();
    Ok(Decision { providers, ..said })
}

/// A request in the form in which the product takes it.
pub(crate) struct Sent {
    target: Option<Target<'static>>,
    headers: HeaderMap,
    claims: Option<VerifiedClaims>,
    noted: Noted,
}

impl Sent {
    pub(crate) fn new(req: &Req) -> Self {
        let target = req.path.as_ref().map(|path| {
            let query = req
                .query
                .as_ref()
                .map_or_else(String::new, |query| format!("?{query}"));
            let raw = format!("{path}{query}");
            let target = Target::normalize(raw.as_bytes(), PathNormalization::None)
                .unwrap()
                .into_owned();
            assert_eq!(target.path(), path);
            target
        });
        let mut headers = HeaderMap::new();
        for (name, line) in &req.headers {
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, http::HeaderValue::from_bytes(line).unwrap());
        }
        let claims = req.claims.clone().map(VerifiedClaims::assume_verified);
        Self {
            target,
            headers,
            claims,
            noted: Noted(req.metadata.clone()),
        }
    }

    pub(crate) fn request<'a>(&'a self, req: &'a Req) -> Request<'a> {
        let mut request =
            Request::new(&req.method, &req.host, &self.headers).with_metadata(&self.noted);
        if let Some(target) = &self.target {
            request = request.with_target(target);
        }
        if let Some(claims) = &self.claims {
            request = request.with_claims(claims);
        }
        request
    }
}

#[derive(Debug)]
struct Noted(Map<String, Value>);

impl Metadata for Noted {
    fn text(&self, filter: &str, key: &str, fits: &dyn Fn(&str) -> bool) -> bool {
        let found = self.0.get(filter).and_then(|keys| keys.get(key));
        found.and_then(Value::as_str).is_some_and(fits)
    }

    fn element(&self, filter: &str, key: &str, fits: &dyn Fn(&str) -> bool) -> bool {
        let found = self.0.get(filter).and_then(|keys| keys.get(key));
        let elements = found.and_then(Value::as_array).into_iter().flatten();
        elements.filter_map(Value::as_str).any(fits)
    }
}

fn translated<'i>(
    decision: &mesh_authz::Decision<'i>,
    name: impl Fn(RuleRef<'i>) -> RuleName,
) -> Decision {
    let verdict = match decision.verdict {
        mesh_authz::Verdict::Allow(AllowReason::Matched(rule)) => Verdict::Allow(Some(name(rule))),
        mesh_authz::Verdict::Allow(_) => Verdict::Allow(None),
        mesh_authz::Verdict::Deny(DenyReason::Explicit(rule)) => Verdict::Deny(Some(name(rule))),
        mesh_authz::Verdict::Deny(_) => Verdict::Deny(None),
        mesh_authz::Verdict::Undecided(Undecided::NeedsRequest(_)) => Verdict::Undecided,
        mesh_authz::Verdict::Undecided(Undecided::MissingPolicy(key)) => panic!("{key} is missing"),
    };
    Decision {
        verdict,
        audit: decision.audit.map(name),
        providers: Vec::new(),
        dry_run_deny: decision.dry_run.deny.is_some(),
        dry_run_allow: match decision.dry_run.allow {
            DryRunAllow::None => None,
            DryRunAllow::Matched(_) => Some(true),
            _ => Some(false),
        },
    }
}

fn name(rule: RuleRef<'_>) -> RuleName {
    let policy = rule.policy();
    (
        policy.namespace().to_string(),
        policy.name().to_string(),
        rule.rule(),
    )
}

pub(crate) fn identity(conn: &Conn) -> Option<SpiffeId> {
    conn.identity
        .as_ref()
        .map(|text| format!("spiffe://{text}").parse().unwrap())
}

pub(crate) fn connection<'a>(conn: &'a Conn, identity: Option<&'a SpiffeId>) -> Connection<'a> {
    let mut connection = Connection::new(conn.source, identity, conn.destination);
    if let Some(remote) = conn.remote {
        connection = connection.with_remote(remote);
    }
    if let Some(sni) = &conn.sni {
        connection = connection.with_sni(sni);
    }
    connection
}

pub(crate) fn labels(target: &evaluator::Target) -> Labels {
    target.labels.iter().cloned().collect()
}

fn served((kind, namespace, name): &(String, String, String)) -> Served<'_> {
    let kind = if kind == "Service" {
        ServiceKind::Service
    } else {
        ServiceKind::ServiceEntry
    };
    Served {
        kind,
        namespace,
        name,
    }
}

pub(crate) const SHAPES: [MtlsShape; 2] = [MtlsShape::Merged, MtlsShape::Istiod];

/// What PeerAuthentications become for a workload.
pub(crate) struct ConvertedPeers {
    store: PolicyStore,
    workload: Workload,
    effective: EffectiveMtls,
    /// `nothing`, `static` or `own`.
    pub(crate) kind: &'static str,
}

/// Reads, checks, composes and converts them.
pub(crate) fn peers(
    mesh: &Mesh,
    objects: &[Value],
    target: &evaluator::Target,
    shape: MtlsShape,
) -> Result<ConvertedPeers, String> {
    let settings = settings(mesh);
    let mut policies: Vec<PeerPolicy> = Vec::new();
    for document in objects {
        let object = PeerAuthentication::read(document).map_err(|error| error.to_string())?;
        let provenance = Provenance::of(&object.metadata);
        policies.push(
            object
                .convert(&settings, provenance)
                .map_err(|error| error.to_string())?,
        );
    }
    let effective = EffectiveMtls::of(&policies, &target.namespace, &labels(target), &settings);
    let policy = effective.policy(shape);
    let key = policy.key(&settings.root_namespace);
    let mut specs = vec![static_strict(settings.root_namespace.clone())];
    let kind = match policy {
        MtlsPolicy::Nothing => "nothing",
        MtlsPolicy::StaticStrict => "static",
        MtlsPolicy::Own(own) => {
            specs.push(own);
            "own"
        }
    };
    let store = PolicyStore::new();
    let applied = store.apply(specs.into_iter().map(Update::Upsert).collect());
    assert!(applied.rejected.is_empty());
    let workload = Workload::new(WorkloadSpec {
        namespace: target.namespace.as_str().into(),
        authorization_policies: key.into_iter().collect(),
        ..WorkloadSpec::default()
    });
    Ok(ConvertedPeers {
        store,
        workload,
        effective,
        kind,
    })
}

impl ConvertedPeers {
    /// Whether a connection to this port is let in, with or without a verified peer.
    pub(crate) fn accepts(&self, port: u16, peer: bool) -> bool {
        let identity: SpiffeId = "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap();
        let to = (std::net::IpAddr::from([10, 9, 9, 9]), port).into();
        let connection =
            Connection::new("10.0.0.1".parse().unwrap(), peer.then_some(&identity), to);
        let decision = self.store.index();
        let allowed = matches!(
            decision.decide(&self.workload, &connection).verdict,
            mesh_authz::Verdict::Allow(_)
        );
        if !peer {
            assert_eq!(
                self.effective.accepts_plaintext(port),
                allowed,
                "direct evaluation of {port}"
            );
        }
        allowed
    }
}

//! What would become of a request, and by which rule.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use mesh_authz::Request;
use mesh_authz::layer::ConnectionFacts;
use mesh_core::identity::SpiffeId;
use mesh_core::target::Target;
use mesh_l7::matching::Head;
use mesh_l7::mesh::UpstreamConfig;
use mesh_l7::route::{Action, BackendTarget, Rule};
use mesh_l7::target::ServiceTarget;
use serde_json::{Value, json};

use crate::mesh::Mesh;

/// Policies that an answer tells of.
const MOST: usize = 16;

/// Answers a query such as `service=shop/web.shop.svc.cluster.local&port=80&method=GET&path=/a&host=web&namespace=shop`:
/// what policies decide about a request without further headers, the rule that it meets, and the hosts that it may go to.
/// Only `service` must be given. `namespace` is that of the client, which has no identity unless `principal` says it:
/// `principal=spiffe://cluster.local/ns/shop/sa/cart`. `source` is its address.
///
/// # Errors
/// What is wrong with the query.
pub(crate) fn explain(mesh: &Mesh, query: &str) -> Result<Value, String> {
    let asked: HashMap<String, String> = process::query::pairs(query).collect();
    let word =
        |name: &str, default: &str| asked.get(name).map_or(default, String::as_str).to_owned();
    let service = word("service", "");
    let (namespace, hostname) = service
        .split_once('/')
        .ok_or("service: expected namespace/hostname")?;
    let port = word("port", "80");
    let port = port
        .parse()
        .map_err(|_| format!("port: `{port}`, expected a number"))?;
    let target = ServiceTarget {
        namespace: namespace.into(),
        hostname: hostname.into(),
        port,
        subset: None,
    };
    let (method, path, host) = (
        word("method", "GET"),
        word("path", "/"),
        word("host", hostname),
    );
    let principal = asked.get("principal");
    let principal = principal.map(|text| {
        let identity: Result<SpiffeId, _> = text.parse();
        identity.map_err(|_| {
            format!("principal: `{text}`, expected spiffe://domain/ns/namespace/sa/account")
        })
    });
    let principal = principal.transpose()?;
    let namespace = principal
        .as_ref()
        .map(|identity| identity.namespace().to_string());
    let client = asked.get("namespace").cloned().or(namespace);
    let client = client.as_deref();
    let headers = HeaderMap::new();
    let mut head = Head::new(&method, &host, &path, &headers);
    head.source_namespace = client;
    let routes = mesh.routes.load().of_client(&target, client);
    let matched = routes.select(&head);
    let source = word("source", "0.0.0.0");
    let source: IpAddr = source
        .parse()
        .map_err(|_| format!("source: `{source}`, expected an IP address"))?;
    let caller = Caller { source, principal };
    let policies = policies(mesh, &target, &caller, (&method, &host, &path))?;
    Ok(json!({
        "service": service,
        "port": port,
        "protocol": format!("{:?}", mesh.routing.load().protocol(&target)),
        "policies": policies,
        "rule": matched.map_or(Value::Null, |matched| rule(matched.rule)),
    }))
}

/// Who asks.
struct Caller {
    source: IpAddr,
    principal: Option<SpiffeId>,
}

/// What policies decide, and why.
fn policies(
    mesh: &Mesh,
    target: &ServiceTarget,
    caller: &Caller,
    (method, host, path): (&str, &str, &str),
) -> Result<Value, String> {
    let snapshot = mesh.store.snapshot();
    let Some(service) = snapshot.service(&target.namespace, &target.hostname) else {
        return Ok(Value::Null);
    };
    let security = mesh.security.of(service)?;
    let here = service
        .spec()
        .vips
        .first()
        .map_or(caller.source, |vip| vip.ip);
    let to = SocketAddr::new(here, target.port);
    let mut facts = ConnectionFacts::new(SocketAddr::new(caller.source, 0), to);
    if let Some(principal) = &caller.principal {
        facts = facts.with_identity(principal.clone());
    }
    let normalized = Target::normalize(path.as_bytes(), mesh.target_rules());
    let normalized = normalized.map_err(|error| format!("path: {error}"))?;
    let headers = HeaderMap::new();
    let request = Request::new(method, host, &headers).with_target(&normalized);
    let (index, applies) = (mesh.security.policies.index(), security.applies.load());
    let (target, connection) = (applies.target(), facts.connection());
    let said = index.explain_request(&target, &connection, &request, MOST);
    let asked = index.providers(&target, &connection, &request);
    let asked: Vec<Value> = asked
        .map(|(provider, rule)| json!({"provider": provider, "rule": rule.id()}))
        .collect();
    let nearest = said.nearest.map(|nearest| {
        let failed = nearest.failed.iter();
        let failed = failed.map(
            |field| json!({"place": field.place, "found": field.found, "expected": field.expected}),
        );
        json!({
            "policy": nearest.policy.as_str(),
            "rule": nearest.rule,
            "failed": failed.collect::<Vec<_>>(),
        })
    });
    Ok(json!({
        "verdict": said.verdict,
        "rule": said.rule.map(|(policy, rule)| json!({"policy": policy.as_str(), "rule": rule})),
        "external": asked,
        "nearest": nearest,
    }))
}

fn rule(rule: &Rule) -> Value {
    let action = match &rule.action {
        Action::Forward(backends) => {
            let backends = backends
                .entries()
                .iter()
                .map(|backend| match &backend.target {
                    BackendTarget::Service(service) => json!({
                        "service": service.hostname.as_str(),
                        "port": service.port,
                        "subset": service.subset.as_deref(),
                        "weight": backend.weight,
                    }),
                    BackendTarget::Invalid(invalid) => json!({
                        "error": invalid.to_string(),
                        "weight": backend.weight,
                    }),
                });
            json!({ "forward": backends.collect::<Vec<_>>() })
        }
        Action::Redirect(redirect) => json!({ "redirect": redirect.status.as_u16() }),
        Action::Respond(response) => json!({ "respond": response.status.as_u16() }),
    };
    json!({
        "name": rule.name.as_str(),
        "origin": rule.origin.to_string(),
        "action": action,
        "timeout": rule.timeouts.request.map(|time| format!("{time:?}")),
        "retries": rule.retry.as_ref().map(|retry| retry.retries),
    })
}

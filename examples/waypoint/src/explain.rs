//! What would become of a request, and by which rule.

use std::collections::HashMap;

use http::HeaderMap;
use mesh_l7::matching::Head;
use mesh_l7::mesh::UpstreamConfig;
use mesh_l7::route::{Action, BackendTarget, Rule};
use mesh_l7::target::ServiceTarget;
use serde_json::{Value, json};

use crate::mesh::Mesh;

/// Answers a query such as `service=shop/web.shop.svc.cluster.local&port=80&method=GET&path=/a&host=web&namespace=shop`:
/// the rule that a request without further headers meets, and the hosts that it may go to. Only `service` must be
/// given; `namespace` is that of the client.
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
    let client = asked.get("namespace").map(String::as_str);
    let headers = HeaderMap::new();
    let mut head = Head::new(&method, &host, &path, &headers);
    head.source_namespace = client;
    let routes = mesh.routes.load().of_client(&target, client);
    let matched = routes.select(&head);
    Ok(json!({
        "service": service,
        "port": port,
        "protocol": format!("{:?}", mesh.routing.load().protocol(&target)),
        "rule": matched.map_or(Value::Null, |matched| rule(matched.rule)),
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

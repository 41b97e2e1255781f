//! `GRPCRoute`.

use std::sync::Arc;

use http::StatusCode;

use crate::matching::{PathMatch, Regex, RequestMatch};
use crate::route::{Action, Origin, Rule};

use super::backends::resolved;
use super::filters::filters;
use super::http_route::headers;
use super::limits;
use super::rank::{Rank, Ranked, Specific};
use super::references::{From, References};
use super::session::session;
use super::status::{Compiled, Condition, Problem, Status};
use super::types::{GrpcMethodMatch, GrpcRouteMatch, GrpcRouteRule, GrpcRouteSpec, RouteObject};

/// Makes rules of a `GRPCRoute`, as [`compile_http`](super::compile_http) does of an `HTTPRoute`: the
/// path of a call is `/service/method`.
#[must_use]
pub fn compile_grpc(route: &RouteObject<GrpcRouteSpec>, references: &dyn References) -> Compiled {
    let from = From {
        kind: "GRPCRoute",
        namespace: &route.namespace,
        references,
    };
    let mut compiled = Compiled {
        rules: Vec::new(),
        status: Status::GOOD,
        problems: Vec::new(),
    };
    let whole = [GrpcRouteRule::default()];
    let rules = if route.spec.rules.is_empty() {
        &whole[..]
    } else {
        &route.spec.rules
    };
    limits::at_most(rules.len(), 16, "spec.rules", &mut compiled.problems);
    let mut unusable = !compiled.problems.is_empty();
    for (at, spec) in (0_u32..).zip(rules) {
        let field = format!("spec.rules[{at}]");
        let before = compiled.problems.len();
        let always = [GrpcRouteMatch::default()];
        let matches = if spec.matches.is_empty() {
            &always[..]
        } else {
            &spec.matches
        };
        limits::at_most(
            matches.len(),
            64,
            &format!("{field}.matches"),
            &mut compiled.problems,
        );
        let problems = &mut compiled.problems;
        let one = |(place, one): (usize, &GrpcRouteMatch)| {
            condition(one, &format!("{field}.matches[{place}]"), problems)
        };
        let alternatives: Vec<_> = matches.iter().enumerate().map(one).collect();
        unusable |= compiled.problems.len() > before;
        let origin = Origin {
            kind: from.kind,
            namespace: route.namespace.clone(),
            name: route.name.clone(),
            rule: at,
        };
        let rule = rule(spec, origin, from, &field, &mut compiled);
        for (place, (alternative, specific)) in (0_u32..).zip(alternatives) {
            let rank = Rank {
                specific,
                created: route.created.clone(),
                namespace: route.namespace.clone(),
                name: route.name.clone(),
                place: (at, place),
            };
            let rule = Rule {
                matches: vec![alternative],
                ..rule.clone()
            };
            let rule = Arc::new(rule);
            compiled.rules.push(Ranked { rank, rule });
        }
    }
    compiled.rules.shrink_to_fit();
    if unusable {
        compiled.rules.clear();
        compiled.status.accepted = Condition::UnsupportedValue;
    }
    compiled
}

fn condition(
    spec: &GrpcRouteMatch,
    field: &str,
    problems: &mut Vec<Problem>,
) -> (RequestMatch, Specific) {
    let method = spec.method.as_ref();
    let path = method.map_or(Some(PathMatch::Any), |method| {
        path(method, &format!("{field}.method"), problems)
    });
    let headers = headers(&spec.headers, &format!("{field}.headers"), problems);
    let length = |text: Option<&String>| text.map_or(0, |text| text.chars().count());
    let specific = Specific {
        path_kind: length(method.and_then(|method| method.service.as_ref())),
        path_length: length(method.and_then(|method| method.method.as_ref())),
        headers: headers.len(),
        ..Specific::default()
    };
    let conditions = RequestMatch {
        path: path.unwrap_or_default(),
        headers,
        ..RequestMatch::default()
    };
    (conditions, specific)
}

/// The condition on the path; `None` after a problem.
fn path(spec: &GrpcMethodMatch, field: &str, problems: &mut Vec<Problem>) -> Option<PathMatch> {
    let mut wrong = |problem: String| {
        problems.push(Problem::new(field, problem));
        None
    };
    let service = spec.service.as_deref().filter(|text| !text.is_empty());
    let method = spec.method.as_deref().filter(|text| !text.is_empty());
    let kind = spec.kind.as_deref().unwrap_or("Exact");
    let plain = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let expression = |text: String| Regex::new(&text).map(PathMatch::Regex);
    match (kind, service, method) {
        (_, None, None) => wrong("expected a service or a method".to_owned()),
        ("Exact", service, method) => {
            if ![service, method].into_iter().flatten().all(plain) {
                return wrong("expected names of a service and a method".to_owned());
            }
            match (service, method) {
                (Some(service), Some(method)) => {
                    Some(PathMatch::Exact(format!("/{service}/{method}").into()))
                }
                (Some(service), None) => Some(PathMatch::Prefix(format!("/{service}/").into())),
                (None, Some(method)) => {
                    let method = method.replace('.', "\\.");
                    expression(format!("/[^/]+/{method}")).ok()
                }
                (None, None) => None,
            }
        }
        ("RegularExpression", service, method) => {
            let [service, method] = [service, method].map(|part| part.unwrap_or("[^/]+"));
            match expression(format!("/(?:{service})/(?:{method})")) {
                Ok(path) => Some(path),
                Err(error) => wrong(error.to_string()),
            }
        }
        (other, ..) => wrong(format!(
            "type {other:?}, expected Exact or RegularExpression"
        )),
    }
}

fn rule(
    spec: &GrpcRouteRule,
    origin: Origin,
    from: From<'_>,
    field: &str,
    compiled: &mut Compiled,
) -> Rule {
    let problems = &mut compiled.problems;
    let backends = from.backends(&spec.backend_refs, field, problems);
    if let (Some(reason), true) = (resolved(&backends), compiled.status.resolved_refs.is_true()) {
        compiled.status.resolved_refs = reason;
    }
    let before = problems.len();
    let parts = filters(&spec.filters, from, field, problems);
    if parts.redirect.is_some() || parts.rewrite.is_some() || parts.cors.is_some() {
        let problem = "expected header modifiers and mirrors only";
        problems.push(Problem::new(format!("{field}.filters"), problem));
    }
    let persistence = spec.session_persistence.as_ref();
    let session = persistence.and_then(|spec| session(spec, field, problems));
    let broken = problems.len() > before || backends.entries().is_empty();
    problems.extend(parts.lost);
    let action = if broken {
        Action::respond(StatusCode::INTERNAL_SERVER_ERROR)
    } else {
        Action::Forward(backends)
    };
    let name = spec
        .name
        .clone()
        .unwrap_or_else(|| format!("{}/{}[{}]", origin.namespace, origin.name, origin.rule));
    Rule {
        origin,
        request_headers: parts.headers.request,
        response_headers: parts.headers.response,
        mirrors: parts.mirrors,
        session: session.map(Box::new),
        ..Rule::new(name, action)
    }
}

#[cfg(test)]
mod tests;

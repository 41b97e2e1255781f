//! `HTTPRoute`.

use std::sync::Arc;

use http::StatusCode;
use mesh_core::name::Name;

use crate::matching::{
    HeaderMatch, PathMatch, Polarity, QueryMatch, Regex, RequestMatch, TextMatch,
};
use crate::route::{Action, Origin, Rule};

use super::backends::resolved;
use super::filters::{Filters, filters};
use super::limits;
use super::rank::{Rank, Ranked, Specific};
use super::references::{From, References};
use super::retry::{retry, timeouts};
use super::session::session;
use super::status::{Compiled, Condition, Problem, Status};
use super::types::{
    HttpHeaderMatch, HttpPathMatch, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, RouteObject,
};

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// Makes rules of an `HTTPRoute`.
///
/// A rule with a filter or a setting that is wrong or not supported answers 500; conditions that are
/// wrong make the whole route unusable, since a request might then meet another rule.
#[must_use]
pub fn compile_http(route: &RouteObject<HttpRouteSpec>, references: &dyn References) -> Compiled {
    let from = From {
        kind: "HTTPRoute",
        namespace: &route.namespace,
        references,
    };
    let mut compiled = Compiled {
        rules: Vec::new(),
        status: Status::GOOD,
        problems: Vec::new(),
    };
    let whole = [HttpRouteRule::default()];
    let rules = route.spec.rules.as_deref().unwrap_or(&whole);
    limits::at_most(rules.len(), 16, "spec.rules", &mut compiled.problems);
    limits::at_most(
        route.spec.hostnames.len(),
        16,
        "spec.hostnames",
        &mut compiled.problems,
    );
    let matches = rules.iter().map(|rule| rule.matches.len()).sum();
    limits::at_most(matches, 128, "spec.rules[].matches", &mut compiled.problems);
    let mut unusable = !compiled.problems.is_empty();
    for (at, spec) in (0_u32..).zip(rules) {
        let field = format!("spec.rules[{at}]");
        let before = compiled.problems.len();
        let alternatives = conditions(spec, &field, &mut compiled.problems);
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
    // All routes are compiled before any is put where requests find it.
    compiled.rules.shrink_to_fit();
    if unusable {
        compiled.rules.clear();
        compiled.status.accepted = Condition::UnsupportedValue;
    }
    compiled
}

/// The alternatives of a rule; one that holds always where there are none.
fn conditions(
    spec: &HttpRouteRule,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Vec<(RequestMatch, Specific)> {
    limits::at_most(
        spec.matches.len(),
        64,
        &format!("{field}.matches"),
        problems,
    );
    let always = [HttpRouteMatch::default()];
    let matches = if spec.matches.is_empty() {
        &always[..]
    } else {
        &spec.matches
    };
    let one = |(at, one): (usize, &HttpRouteMatch)| {
        condition(one, &format!("{field}.matches[{at}]"), problems)
    };
    matches.iter().enumerate().map(one).collect()
}

fn condition(
    spec: &HttpRouteMatch,
    field: &str,
    problems: &mut Vec<Problem>,
) -> (RequestMatch, Specific) {
    let (path, path_kind) = path(spec.path.as_ref(), &format!("{field}.path"), problems);
    if let Some(method) = &spec.method
        && !METHODS.contains(&method.as_str())
    {
        let problem = format!("{method:?}, expected one of {METHODS:?}");
        problems.push(Problem::new(format!("{field}.method"), problem));
    }
    limits::at_most(
        spec.headers.len(),
        16,
        &format!("{field}.headers"),
        problems,
    );
    limits::at_most(
        spec.query_params.len(),
        16,
        &format!("{field}.queryParams"),
        problems,
    );
    let headers = headers(&spec.headers, &format!("{field}.headers"), problems);
    let mut query: Vec<QueryMatch> = Vec::new();
    for (at, one) in spec.query_params.iter().enumerate() {
        let test = text(one, &format!("{field}.queryParams[{at}]"), problems);
        let name: Name = one.name.as_str().into();
        // Of several conditions on one name the first counts.
        if !query.iter().any(|known| known.name == name) {
            query.extend(test.map(|test| QueryMatch {
                name,
                test,
                polarity: Polarity::Positive,
            }));
        }
    }
    query.shrink_to_fit();
    let value = spec.path.as_ref().and_then(|path| path.value.as_deref());
    let specific = Specific {
        path_kind,
        path_length: value.unwrap_or("/").chars().count(),
        has_method: spec.method.is_some(),
        headers: headers.len(),
        query: query.len(),
    };
    let conditions = RequestMatch {
        path,
        method: spec
            .method
            .as_deref()
            .map(|method| TextMatch::Exact(method.into())),
        headers,
        query,
        ..RequestMatch::default()
    };
    (conditions, specific)
}

fn path(
    spec: Option<&HttpPathMatch>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> (PathMatch, usize) {
    let kind = spec
        .and_then(|spec| spec.kind.as_deref())
        .unwrap_or("PathPrefix");
    let value = spec.and_then(|spec| spec.value.as_deref()).unwrap_or("/");
    let value_field = format!("{field}.value");
    match kind {
        "Exact" => {
            limits::path(value, &value_field, problems);
            (PathMatch::Exact(value.into()), 3)
        }
        "PathPrefix" => {
            limits::path(value, &value_field, problems);
            (PathMatch::Below(value.into()), 2)
        }
        "RegularExpression" => match Regex::new(value) {
            Ok(regex) => (PathMatch::Regex(regex), 1),
            Err(error) => {
                problems.push(Problem::new(value_field, error));
                (PathMatch::Any, 0)
            }
        },
        other => {
            let problem = format!("{other:?}, expected Exact, PathPrefix or RegularExpression");
            problems.push(Problem::new(format!("{field}.type"), problem));
            (PathMatch::Any, 0)
        }
    }
}

/// Conditions on headers; of several on one name the first counts.
pub(super) fn headers(
    specs: &[HttpHeaderMatch],
    field: &str,
    problems: &mut Vec<Problem>,
) -> Vec<HeaderMatch> {
    let mut headers: Vec<HeaderMatch> = Vec::new();
    for (at, spec) in specs.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let name = limits::header_name(&spec.name, &format!("{field}.name"), problems);
        let test = text(spec, &field, problems);
        if let (Some(name), Some(test)) = (name, test)
            && !headers.iter().any(|known| known.name == name)
        {
            headers.push(HeaderMatch {
                name,
                test,
                polarity: Polarity::Positive,
            });
        }
    }
    headers.shrink_to_fit();
    headers
}

fn text(spec: &HttpHeaderMatch, field: &str, problems: &mut Vec<Problem>) -> Option<TextMatch> {
    if spec.value.len() > 4096 {
        problems.push(Problem::new(
            format!("{field}.value"),
            "expected at most 4096 bytes",
        ));
    }
    match spec.kind.as_deref().unwrap_or("Exact") {
        "Exact" => Some(TextMatch::Exact(spec.value.as_str().into())),
        "RegularExpression" => match Regex::new(&spec.value) {
            Ok(regex) => Some(TextMatch::Regex(regex)),
            Err(error) => {
                problems.push(Problem::new(format!("{field}.value"), error));
                None
            }
        },
        other => {
            let problem = format!("{other:?}, expected Exact or RegularExpression");
            problems.push(Problem::new(format!("{field}.type"), problem));
            None
        }
    }
}

/// A rule without its conditions.
fn rule(
    spec: &HttpRouteRule,
    origin: Origin,
    from: From<'_>,
    field: &str,
    compiled: &mut Compiled,
) -> Rule {
    let problems = &mut compiled.problems;
    limits::at_most(
        spec.backend_refs.len(),
        16,
        &format!("{field}.backendRefs"),
        problems,
    );
    let backends = from.backends(&spec.backend_refs, field, problems);
    if let (Some(reason), true) = (resolved(&backends), compiled.status.resolved_refs.is_true()) {
        compiled.status.resolved_refs = reason;
    }
    let before = problems.len();
    let parts = filters(&spec.filters, from, field, problems);
    let Filters {
        headers,
        mirrors,
        redirect,
        rewrite,
        cors,
        lost,
    } = parts;
    let limits = spec
        .timeouts
        .as_ref()
        .map(|spec| timeouts(spec, field, problems));
    let retry = spec.retry.as_ref().map(|spec| retry(spec, field, problems));
    let persistence = spec.session_persistence.as_ref();
    let session = persistence.and_then(|spec| session(spec, field, problems));
    if redirect.is_some() && !spec.backend_refs.is_empty() {
        let problem = "a redirect and backends, expected one of them";
        problems.push(Problem::new(format!("{field}.backendRefs"), problem));
    }
    let broken = problems.len() > before;
    problems.extend(lost);
    let action = match redirect {
        _ if broken => Action::respond(StatusCode::INTERNAL_SERVER_ERROR),
        Some(redirect) => Action::Redirect(redirect.into()),
        None if backends.entries().is_empty() => Action::respond(StatusCode::INTERNAL_SERVER_ERROR),
        None => Action::Forward(backends),
    };
    let name = spec
        .name
        .clone()
        .unwrap_or_else(|| format!("{}/{}[{}]", origin.namespace, origin.name, origin.rule));
    Rule {
        origin,
        request_headers: headers.request,
        response_headers: headers.response,
        rewrite: rewrite.map(Box::new),
        timeouts: limits.unwrap_or_default(),
        retry,
        mirrors,
        cors: cors.map(Box::new),
        session: session.map(Box::new),
        ..Rule::new(name, action)
    }
}

#[cfg(test)]
mod tests;

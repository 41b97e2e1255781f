//! `TCPRoute` and `TLSRoute`.

use crate::route::{HostMatch, Origin};
use crate::tcp::{TcpConditions, TcpRule};

use super::backends::resolved;
use super::references::{From, References};
use super::status::{Condition, Problem, Status};
use super::types::{L4RouteSpec, RouteObject};

/// A route for connections, compiled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompiledL4 {
    /// Its rule; none when the route is not accepted.
    pub rule: Option<TcpRule>,
    /// What the API wants to be told.
    pub status: Status,
    /// What is wrong, field by field.
    pub problems: Vec<Problem>,
}

/// Makes the rule of a `TCPRoute`, which has exactly one. Its host names mean nothing.
#[must_use]
pub fn compile_tcp(route: &RouteObject<L4RouteSpec>, references: &dyn References) -> CompiledL4 {
    let mut compiled = rule(route, "TCPRoute", references);
    if !route.spec.hostnames.is_empty() {
        let problem = Problem::new("spec.hostnames", "expected none in a TCPRoute");
        compiled.problems.push(problem);
    }
    compiled
}

/// Makes the rule of a `TLSRoute`, for connections whose server name is one of its host names. TLS is not
/// ended here.
#[must_use]
pub fn compile_tls(route: &RouteObject<L4RouteSpec>, references: &dyn References) -> CompiledL4 {
    let mut compiled = rule(route, "TLSRoute", references);
    let mut names = Vec::new();
    let before = compiled.problems.len();
    for (at, host) in route.spec.hostnames.iter().enumerate() {
        match HostMatch::parse(host) {
            Ok(host) if host != HostMatch::Any => names.push(host),
            _ => compiled.problems.push(Problem::new(
                format!("spec.hostnames[{at}]"),
                format!("expected a host name, got `{host}`"),
            )),
        }
    }
    if route.spec.hostnames.is_empty() {
        let problem = Problem::new("spec.hostnames", "missing, expected server names");
        compiled.problems.push(problem);
    }
    match &mut compiled.rule {
        Some(rule) if compiled.problems.len() == before => rule.server_names = names,
        _ => {
            compiled.rule = None;
            compiled.status.accepted = Condition::UnsupportedValue;
        }
    }
    compiled
}

fn rule(
    route: &RouteObject<L4RouteSpec>,
    kind: &'static str,
    references: &dyn References,
) -> CompiledL4 {
    let mut problems = Vec::new();
    let mut status = Status::GOOD;
    let [only] = &*route.spec.rules else {
        let rules = route.spec.rules.len();
        let text = format!("{rules} rules, expected exactly one");
        status.accepted = Condition::UnsupportedValue;
        return CompiledL4 {
            rule: None,
            status,
            problems: vec![Problem::new("spec.rules", text)],
        };
    };
    let from = From {
        kind,
        namespace: &route.namespace,
        references,
    };
    let backends = from.backends(&only.backend_refs, "spec.rules[0]", &mut problems);
    if let Some(condition) = resolved(&backends) {
        status.resolved_refs = condition;
    }
    let rule = TcpRule {
        name: format!("{}/{}[0]", route.namespace, route.name).into(),
        origin: Origin {
            kind,
            namespace: route.namespace.clone(),
            name: route.name.clone(),
            rule: 0,
        },
        server_names: Vec::new(),
        conditions: TcpConditions::default(),
        backends,
    };
    CompiledL4 {
        rule: Some(rule),
        status,
        problems,
    }
}

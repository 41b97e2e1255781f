//! `VirtualService`.

mod delegated;

use http::StatusCode;

use crate::filter::{Mirror, Percent, Rewrite};
use crate::matching::{PathMatch, RequestMatch};
use crate::route::{
    Action, Backend, BackendTarget, Backends, InvalidBackend, Origin, Rule, Rules, Timeouts,
};
use crate::severity::Severity;
use crate::target::ServiceTarget;

use super::action::{redirect, respond, rewrite};
use super::condition::condition;
use super::delegate::NoDelegate;
use super::policies::{cors, edits, fault, limit, percent, retry};
use super::problem::Problem;
use super::types::{Destination, HttpRoute, HttpRouteDestination, VirtualServiceSpec};

/// Conditions, with those of the rules that delegate, that the rules of all delegates of one virtual service may have
/// together: each may be there once for each rule that delegates.
const MOST_DELEGATED: usize = 65_536;

/// What a virtual service refers to.
pub trait Destinations {
    /// A port of a service: the host as it is written, in a namespace; its only port where none is
    /// given.
    ///
    /// # Errors
    /// [`InvalidBackend`] when the service or the subset does not exist.
    fn destination(
        &self,
        namespace: &str,
        host: &str,
        port: Option<u16>,
        subset: Option<&str>,
    ) -> Result<ServiceTarget, InvalidBackend>;

    /// The virtual service of a name that others delegate to, for one of the namespace `from`.
    ///
    /// # Errors
    /// [`NoDelegate`] when there is none; by default there never is one.
    fn delegate(
        &self,
        from: &str,
        namespace: &str,
        name: &str,
    ) -> Result<&VirtualServiceSpec, NoDelegate> {
        let _ = (from, namespace, name);
        Err(NoDelegate::NotFound)
    }
}

/// A virtual service, compiled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompiledService {
    /// Its rules for HTTP, in their order.
    pub rules: Rules,
    /// What is wrong, field by field.
    pub problems: Vec<Problem>,
}

/// Makes rules of a `VirtualService`.
///
/// A rule whose conditions are wrong answers 500 to all requests that reach it: what it was meant for is
/// not known, and a later rule must not take it. One whose delegate is not there answers 500 to the requests that meet
/// it. Rules of a delegate whose conditions cannot hold together with those of the rule are left out.
#[must_use]
pub fn compile_virtual_service(
    namespace: &str,
    name: &str,
    spec: &VirtualServiceSpec,
    destinations: &dyn Destinations,
) -> CompiledService {
    let mut compiler = Compiler {
        namespace,
        destinations,
        problems: Vec::new(),
        room: MOST_DELEGATED,
    };
    let for_mesh =
        spec.gateways.is_empty() || spec.gateways.iter().any(|gateway| gateway == "mesh");
    let http = if for_mesh { spec.http.as_slice() } else { &[] };
    let mut rules = Vec::new();
    for (at, route) in (0_u32..).zip(http) {
        let origin = Origin {
            kind: "VirtualService",
            namespace: namespace.into(),
            name: name.into(),
            rule: at,
        };
        match &route.delegate {
            Some(delegate) => compiler.delegated(route, delegate, &origin, &mut rules),
            None => rules.extend(compiler.rule(route, origin, &format!("spec.http[{at}]"))),
        }
    }
    CompiledService {
        rules: Rules::new(rules),
        problems: compiler.problems,
    }
}

struct Compiler<'a> {
    namespace: &'a str,
    destinations: &'a dyn Destinations,
    problems: Vec<Problem>,
    /// Conditions that rules of delegates may still have.
    room: usize,
}

impl Compiler<'_> {
    /// A rule; `None` when it is not for a waypoint.
    fn rule(&mut self, route: &HttpRoute, origin: Origin, field: &str) -> Option<Rule> {
        let before = self.wrong();
        let matches = self.conditions(route, field)?;
        let conditions_broken = self.wrong() > before;
        let (backends, host) = self.backends(&route.route, field);
        let before = self.wrong();
        let problems = &mut self.problems;
        let headers = route.headers.clone().unwrap_or_default();
        let (request_headers, set_host) = edits(
            &headers.request,
            &format!("{field}.headers.request"),
            problems,
        );
        let (response_headers, _) = edits(
            &headers.response,
            &format!("{field}.headers.response"),
            problems,
        );
        let mut change = route
            .rewrite
            .as_ref()
            .map(|spec| rewrite(spec, field, problems));
        // The rule's own host goes before that of a destination.
        if let Some(host) = set_host.or(host) {
            let change = change.get_or_insert_with(Rewrite::default);
            change.host.get_or_insert(host.as_str().into());
        }
        let (retry, attempt) = retry(route.retries.as_ref(), field, problems);
        let timeouts = Timeouts {
            request: limit(
                route.timeout.as_deref(),
                &format!("{field}.timeout"),
                problems,
            ),
            attempt,
            idle: None,
        };
        let cors = route
            .cors_policy
            .as_ref()
            .map(|policy| cors(policy, field, problems));
        let mut notes = Vec::new();
        let fault = route
            .fault
            .as_ref()
            .map(|spec| fault(spec, field, &mut notes));
        let action = self.action(route, backends, field);
        let broken = conditions_broken || self.wrong() > before;
        self.problems.extend(notes);
        let mirrors = self.mirrors(route, field);
        let name = if route.name.is_empty() {
            format!("{}/{}[{}]", origin.namespace, origin.name, origin.rule)
        } else {
            route.name.clone()
        };
        let action = action.filter(|_| !broken);
        Some(Rule {
            matches: if conditions_broken {
                Vec::new()
            } else {
                matches
            },
            origin,
            request_headers,
            response_headers,
            rewrite: change.map(Box::new),
            timeouts,
            retry,
            mirrors,
            fault: fault.map(Box::new),
            cors: cors.map(Box::new),
            ..Rule::new(
                name,
                action.unwrap_or_else(|| Action::respond(StatusCode::INTERNAL_SERVER_ERROR)),
            )
        })
    }

    /// How much is wrong so far.
    fn wrong(&self) -> usize {
        let wrong = |problem: &&Problem| problem.severity == Severity::Wrong;
        self.problems.iter().filter(wrong).count()
    }

    /// The alternatives; `None` when none of them can hold at a waypoint.
    fn conditions(&mut self, route: &HttpRoute, field: &str) -> Option<Vec<RequestMatch>> {
        let mut matches = Vec::new();
        for (at, spec) in route.matches.iter().enumerate() {
            let field = format!("{field}.match[{at}]");
            let mut one = condition(spec, &field, &mut self.problems);
            if let Some(one) = &mut one
                && one.path == PathMatch::Any
                && route
                    .rewrite
                    .as_ref()
                    .is_some_and(|rewrite| rewrite.uri.is_some())
            {
                // What a rewrite replaces.
                one.path = PathMatch::Prefix("/".into());
            }
            matches.extend(one);
        }
        if route.matches.is_empty() {
            let path = match &route.rewrite {
                Some(rewrite) if rewrite.uri.is_some() => PathMatch::Prefix("/".into()),
                _ => return Some(matches),
            };
            matches.push(RequestMatch {
                path,
                ..RequestMatch::default()
            });
        }
        (!matches.is_empty()).then_some(matches)
    }

    fn target(&self, destination: &Destination) -> Result<ServiceTarget, InvalidBackend> {
        let port = destination.port.map(|port| port.number);
        let subset = destination.subset.as_deref();
        self.destinations
            .destination(self.namespace, &destination.host, port, subset)
    }

    /// Destinations, and the host that one of them sets.
    fn backends(
        &mut self,
        routes: &[HttpRouteDestination],
        field: &str,
    ) -> (Backends, Option<String>) {
        let alone = routes.len() == 1;
        let mut host = None;
        let mut backends = Vec::new();
        for (at, route) in routes.iter().enumerate() {
            let field = format!("{field}.route[{at}]");
            if route.weight == 0 && !alone {
                continue;
            }
            let target = match self.target(&route.destination) {
                Ok(target) => BackendTarget::Service(target),
                Err(invalid) => {
                    self.problems
                        .push(Problem::note(format!("{field}.destination"), invalid));
                    BackendTarget::Invalid(invalid)
                }
            };
            let headers = route.headers.clone().unwrap_or_default();
            let at_request = format!("{field}.headers.request");
            let (request_headers, set_host) =
                edits(&headers.request, &at_request, &mut self.problems);
            let at_response = format!("{field}.headers.response");
            let (response_headers, _) = edits(&headers.response, &at_response, &mut self.problems);
            if alone {
                host = set_host;
            } else if set_host.is_some() {
                let problem = "a host of one of several destinations is not supported";
                self.problems.push(Problem::new(at_request, problem));
            }
            backends.push(Backend {
                weight: if alone { 1 } else { route.weight },
                request_headers,
                response_headers,
                ..Backend::new(target)
            });
        }
        (Backends::new(backends), host)
    }

    fn action(&mut self, route: &HttpRoute, backends: Backends, field: &str) -> Option<Action> {
        let problems = &mut self.problems;
        let said = [
            !route.route.is_empty(),
            route.redirect.is_some(),
            route.direct_response.is_some(),
            route.delegate.is_some(),
        ];
        if said.iter().filter(|said| **said).count() != 1 {
            problems.push(Problem::new(
                field,
                "expected one of route, redirect, directResponse and delegate",
            ));
            return None;
        }
        if route.delegate.is_some() {
            let problem = "a delegate cannot delegate itself";
            problems.push(Problem::new(format!("{field}.delegate"), problem));
            return None;
        }
        if let Some(spec) = &route.redirect {
            let redirect = redirect(spec, field, problems)?;
            return Some(Action::Redirect(redirect.into()));
        }
        if let Some(spec) = &route.direct_response {
            return respond(spec, field, problems).map(Action::Respond);
        }
        Some(Action::Forward(backends))
    }

    /// Copies; one that has nowhere to go is left out and told.
    fn mirrors(&mut self, route: &HttpRoute, field: &str) -> Vec<Mirror> {
        let whole = route.mirror_percent.map(|value| super::types::Percent {
            value: value.into(),
        });
        let single = route.mirror.iter().map(|destination| {
            (
                destination,
                route.mirror_percentage.or(whole),
                format!("{field}.mirror"),
            )
        });
        let listed = route.mirrors.iter().enumerate().map(|(at, mirror)| {
            (
                &mirror.destination,
                mirror.percentage,
                format!("{field}.mirrors[{at}]"),
            )
        });
        let mut mirrors = Vec::new();
        for (destination, share, field) in single.chain(listed) {
            let share = percent(
                share,
                Percent::ALL,
                &format!("{field}.percentage"),
                &mut self.problems,
            );
            match self.target(destination) {
                Ok(target) => mirrors.push(Mirror { target, share }),
                Err(invalid) => self.problems.push(Problem::note(field, invalid)),
            }
        }
        mirrors
    }
}

#[cfg(test)]
mod tests;

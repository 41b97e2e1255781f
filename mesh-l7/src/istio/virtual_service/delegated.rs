//! A rule that leaves the rest to another virtual service.

use crate::istio::delegate;
use crate::istio::problem::Problem;
use crate::istio::types::{Delegate, DirectResponse, HttpRoute, VirtualServiceSpec};
use crate::route::{Origin, Rule};

use super::Compiler;

impl Compiler<'_> {
    /// The rules in place of one that delegates.
    pub(super) fn delegated(
        &mut self,
        route: &HttpRoute,
        delegate: &Delegate,
        origin: &Origin,
        rules: &mut Vec<Rule>,
    ) {
        let field = format!("spec.http[{}]", origin.rule);
        let alone =
            route.route.is_empty() && route.redirect.is_none() && route.direct_response.is_none();
        if !alone {
            // What it does tells that it does too much.
            return rules.extend(self.rule(route, origin.clone(), &field));
        }
        // What answers where there is no delegate: what the rule is for is known, and a later rule must not take it.
        let failing = HttpRoute {
            delegate: None,
            direct_response: Some(DirectResponse {
                status: 500,
                body: None,
            }),
            ..route.clone()
        };
        let before = self.wrong();
        let Some(failing) = self.rule(&failing, origin.clone(), &field) else {
            return;
        };
        if self.wrong() > before {
            return rules.push(failing);
        }
        let namespace = match delegate.namespace.as_str() {
            "" => self.namespace,
            other => other,
        };
        let found = self
            .destinations
            .delegate(self.namespace, namespace, &delegate.name);
        let spec = match found {
            Ok(spec) => spec,
            Err(problem) => {
                let text = format!("{namespace}/{}: {problem}", delegate.name);
                let place = format!("{field}.delegate");
                self.problems.push(Problem::note(place, text));
                return rules.push(failing);
            }
        };
        let wanted = conditions(route, spec);
        if wanted > self.room {
            let text = format!("{wanted} more conditions, expected {} at most", self.room);
            let place = format!("{field}.delegate");
            self.problems.push(Problem::note(place, text));
            return rules.push(failing);
        }
        self.room -= wanted;
        let left_out = self.children((route, origin), (namespace, &delegate.name, spec), rules);
        if left_out > 0 {
            let text = format!("{left_out} of its rules have conditions that conflict");
            let place = format!("{field}.delegate");
            self.problems.push(Problem::note(place, text));
        }
    }

    /// The rules of a delegate, for requests that meet the root's; how many are left out.
    fn children(
        &mut self,
        (root, origin): (&HttpRoute, &Origin),
        (namespace, name, spec): (&str, &str, &VirtualServiceSpec),
        rules: &mut Vec<Rule>,
    ) -> usize {
        // Short names of hosts are those of the delegate's namespace.
        let mut compiler = Compiler {
            namespace,
            destinations: self.destinations,
            problems: Vec::new(),
            room: 0,
        };
        let mut left_out = 0;
        for (at, own) in (0_u32..).zip(&spec.http) {
            let field = format!("spec.http[{at}]");
            let Some(merged) = delegate::merged(root, own) else {
                left_out += 1;
                let text = format!("conditions conflict with those of {origin}: left out there");
                compiler.problems.push(Problem::note(field, text));
                continue;
            };
            let origin = Origin {
                kind: origin.kind,
                namespace: namespace.into(),
                name: name.into(),
                rule: at,
            };
            rules.extend(compiler.rule(&merged, origin, &field));
        }
        let problems = compiler.problems.into_iter();
        self.problems.extend(problems.map(|problem| Problem {
            delegate: Some((namespace.into(), name.into())),
            ..problem
        }));
        left_out
    }
}

/// The most conditions that the rules of a delegate have together with those of the rule; one without any counts as one.
fn conditions(root: &HttpRoute, delegate: &VirtualServiceSpec) -> usize {
    let number = |route: &HttpRoute| route.matches.len().max(1);
    let own: usize = delegate.http.iter().map(number).sum();
    own.saturating_mul(number(root))
}

//! From a case to its answer.

use mesh_authz::kube::Profile;
use mesh_authz::spec::Action;
use mesh_authz::{AllowReason, DenyReason, RuleRef, Undecided, Verdict};

use crate::answer::{Answer, Word};
use crate::case::{Case, Tokens};
use crate::mesh::Mesh;
use crate::question::Layer;
use crate::unknown::{self, Asking};

/// The answer to a case: what comes first on the way through a proxy decides.
pub(crate) fn decide(mesh: &Mesh, case: &Case<'_>) -> Answer {
    if case.layer == Layer::L7 {
        if let Some(answer) = plaintext(mesh, case) {
            return answer;
        }
        if let Some(malformed) = &case.malformed {
            return Answer::deny(Some(malformed.status), malformed.reason.clone());
        }
    }
    let external = external(mesh, case);
    if let Some(answer) = external
        .as_ref()
        .filter(|answer| answer.decision == Word::Deny)
    {
        return answer.clone();
    }
    if let Tokens::Refused(error) = &case.tokens {
        let status = error.status().as_u16();
        return Answer::deny(Some(status), format!("token refused: {error}"));
    }
    let answer = policies(mesh, case);
    if answer.decision == Word::Deny {
        return answer;
    }
    if matches!(case.tokens, Tokens::KeysUnknown) {
        let reason = "there is a token, and the keys of its issuer are not in the manifests";
        return Answer::undecided(reason);
    }
    external.unwrap_or(answer)
}

/// What peer authentication says about a connection without an identity to a sidecar.
fn plaintext(mesh: &Mesh, case: &Case<'_>) -> Option<Answer> {
    let mutual = case.subject.mutual.as_ref()?;
    if case.connection.identity.is_some() {
        return None;
    }
    let root = &mesh.configuration.settings.root_namespace;
    match mutual.accepts_plaintext(case.port) {
        Some(true) => None,
        Some(false) => {
            let reason = "peer authentication: mutual TLS is required, and there is no identity";
            let policy = mutual
                .policy
                .as_ref()
                .map(|policy| policy.key().to_string());
            let policy = policy.unwrap_or_else(|| root.to_string());
            Some(Answer::deny(None, reason).by(policy, 0))
        }
        None => {
            let reason = "peer authentication depends on destination.address, which is not known";
            Some(Answer::undecided(reason))
        }
    }
}

/// What external authorizers come to: nothing without one that is to be asked.
fn external(mesh: &Mesh, case: &Case<'_>) -> Option<Answer> {
    if case.layer == Layer::L4 || case.request.is_none() {
        return None;
    }
    let layered = mesh.layer(case.layer);
    let index = layered.index();
    let target = case.subject.target(case.layer);
    let denied = |rule: &RuleRef<'_>, why: String| {
        let answer = Answer::deny(Some(403), why);
        Some(answer.by(rule.to_string(), rule.rule()))
    };
    let found = case.with_request(|request| {
        let mut asked = index.providers(&target, &case.connection, request?);
        let first = asked.next()?;
        let all = std::iter::once(first).chain(asked);
        let unknown = mesh.configuration.providers.as_ref().and_then(|known| {
            let mut all = all;
            all.find(|(name, _)| !known.contains_key(*name))
        });
        if let Some((name, rule)) = unknown {
            let why =
                format!("external authorizer {name} is not defined in the mesh's configuration");
            return denied(&rule, why);
        }
        let (name, rule) = first;
        if several_providers(mesh, case) {
            let why = "Istio does not ask several external authorizers for one workload";
            return denied(&rule, why.to_owned());
        }
        let answer = Answer::undecided(format!("external authorizer {name} decides"));
        Some(answer.by(rule.to_string(), rule.rule()))
    });
    let asking = || {
        let keys = case.subject.keys(case.layer);
        unknown::asking(layered, keys, Action::Custom, &case.unknown)
    };
    found.or_else(|| asking().map(|asking| not_known(mesh, case, &asking)))
}

/// Whether policies of several providers apply, which Istio turns into denials.
fn several_providers(mesh: &Mesh, case: &Case<'_>) -> bool {
    let specs = mesh.full.specs.borrow();
    let applying = case.subject.applying.iter();
    let mut providers: Vec<_> = applying
        .filter_map(|key| specs.get(key)?.provider.as_ref())
        .collect();
    providers.sort();
    providers.dedup();
    mesh.configuration.settings.profile == Profile::Compat && providers.len() > 1
}

/// What policies say.
fn policies(mesh: &Mesh, case: &Case<'_>) -> Answer {
    let index = mesh.layer(case.layer).index();
    let target = case.subject.target(case.layer);
    let status = match case.layer {
        Layer::L4 => 401,
        Layer::L7 => 403,
    };
    case.with_request(|request| {
        let verdict = match request {
            Some(request) => {
                index
                    .decide_request(&target, &case.connection, request)
                    .verdict
            }
            None => index.decide_connection(&target, &case.connection).verdict,
        };
        let named = |answer: Answer, rule: RuleRef<'_>| {
            let rule = index.reported(&target, &case.connection, request, rule);
            let key = rule.policy().key();
            answer.by(key, mesh.written_rule(case.layer, key, rule.rule()))
        };
        if let Some(asking) = in_doubt(mesh, case, &verdict) {
            return not_known(mesh, case, &asking);
        }
        match verdict {
            Verdict::Allow(AllowReason::Matched(rule)) => {
                let reported = index.reported(&target, &case.connection, request, rule);
                named(
                    Answer::allow(AllowReason::Matched(reported).to_string()),
                    rule,
                )
            }
            Verdict::Allow(reason) => Answer::allow(reason.to_string()),
            Verdict::Deny(DenyReason::Explicit(rule)) => {
                let reported = index.reported(&target, &case.connection, request, rule);
                let reason = DenyReason::Explicit(reported).to_string();
                named(Answer::deny(Some(status), reason), rule)
            }
            Verdict::Deny(reason) => Answer::deny(Some(status), reason.to_string()),
            Verdict::Undecided(Undecided::NeedsRequest(rule)) => {
                let reason = Undecided::NeedsRequest(rule).to_string();
                named(Answer::undecided(reason), rule)
            }
            Verdict::Undecided(reason) => Answer::undecided(reason.to_string()),
        }
    })
}

/// A rule that could change the verdict and asks for something that is not known.
fn in_doubt(mesh: &Mesh, case: &Case<'_>, verdict: &Verdict<'_>) -> Option<Asking> {
    if case.unknown.is_empty() {
        return None;
    }
    let layered = mesh.layer(case.layer);
    let any = |action| {
        let keys = case.subject.keys(case.layer);
        unknown::asking(layered, keys, action, &case.unknown)
    };
    let this = |rule: &RuleRef<'_>| {
        let (policy, rule) = (rule.policy().key(), rule.rule());
        let attribute = unknown::asked_by(layered, policy, rule, &case.unknown)?;
        Some(Asking {
            policy: policy.into(),
            rule,
            attribute,
        })
    };
    match verdict {
        Verdict::Deny(DenyReason::Explicit(rule)) => this(rule),
        Verdict::Deny(_) => any(Action::Allow),
        Verdict::Allow(AllowReason::Matched(rule)) => any(Action::Deny).or_else(|| this(rule)),
        Verdict::Allow(_) => any(Action::Deny),
        Verdict::Undecided(_) => None,
    }
}

fn not_known(mesh: &Mesh, case: &Case<'_>, asking: &Asking) -> Answer {
    let Asking {
        policy,
        rule,
        attribute,
    } = asking;
    let rule = mesh.written_rule(case.layer, policy, *rule);
    let reason = format!("{attribute} is not known, and policy {policy} asks for it");
    Answer::undecided(reason).by(policy.to_string(), rule)
}

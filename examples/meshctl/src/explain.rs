//! `authz explain`: the answer, and everything that it comes from.

mod field;
mod nearest;
mod text;
mod told;
mod written;

use mesh_authz::kube::{Attachment, Authorization, MtlsMode};
use mesh_authz::{DenyReason, PolicyTree, RequestExplanation, RuleTree};
use serde_json::Value;

use crate::case::{Case, Tokens};
use crate::decide::decide;
use crate::failure::{Failure, Result};
use crate::mesh::Mesh;
use crate::question::{Layer, Question};
use field::Condition;
use nearest::Nearest;
pub(crate) use text::write;
pub(crate) use told::Told;
use told::{Caller, Considered, NotConsidered, PathReport, PeerAuthentication, Rule};
use written::at;

/// The most policies that are told about.
const MOST: usize = 10_000;

/// Answers a question and tells why.
pub(crate) fn explain(mesh: &Mesh, asked: &Value) -> Result<Told> {
    let question = Question::of(asked).map_err(Failure::new)?;
    let case = Case::new(mesh, &question).map_err(Failure::new)?;
    Ok(tell(mesh, &question, &case))
}

pub(crate) fn tell(mesh: &Mesh, question: &Question, case: &Case<'_>) -> Told {
    let answer = decide(mesh, case);
    let index = mesh.layer(case.layer).index();
    let target = case.subject.target(case.layer);
    let connection = &case.connection;
    let explanation = case.with_request(|request| match request {
        Some(request) => index.explain_request(&target, connection, request, MOST),
        None => index.explain_connection(&target, connection, MOST),
    });
    let place = |key: &str| {
        let policy = mesh.authorization(key);
        policy.map_or_else(|| "peer authentication".to_owned(), |policy| at(policy))
    };
    // Only what policies decide has a nearest rule: no token or malformed request.
    let is_by_policies = answer.reason == DenyReason::NoneAllowed.to_string();
    let nearest = explanation.nearest.as_ref().filter(|_| is_by_policies);
    let nearest = nearest.map(|nearest| Nearest::of(mesh, case, nearest));
    Told {
        place: answer.policy.as_deref().map(place),
        nearest,
        subject: case.subject.party.describe(),
        layer: match case.layer {
            Layer::L4 => "l4",
            Layer::L7 => "l7",
        },
        caller: caller(case),
        peer_authentication: peer_authentication(case),
        token: token(case),
        path: question.request.as_ref().and_then(|asked| {
            let target = case
                .request
                .as_ref()
                .and_then(|request| request.target.as_ref());
            Some(PathReport {
                raw: asked.path.clone()?,
                normalised: target.map(|target| target.as_str().to_owned()),
            })
        }),
        policies: considered(mesh, case, &explanation),
        not_considered: not_considered(mesh, case),
        answer,
    }
}

fn caller(case: &Case<'_>) -> Caller {
    let identity = case.connection.identity;
    let note = "no identity: no mutual TLS, or no SPIFFE ID in the certificate";
    Caller {
        identity: identity.map(ToString::to_string),
        note: identity.is_none().then_some(note),
    }
}

fn peer_authentication(case: &Case<'_>) -> Option<PeerAuthentication> {
    let mutual = case.subject.mutual.as_ref()?;
    let effective = &mutual.effective;
    let ports = effective.ports.iter();
    Some(PeerAuthentication {
        mode: mode(effective.mode),
        ports: ports
            .map(|(port, of_port)| (*port, mode(*of_port)))
            .collect(),
        own: effective.own.as_ref().map(ToString::to_string),
        without_identity: match mutual.accepts_plaintext(case.port) {
            Some(true) => "accepted",
            Some(false) => "refused",
            None => "depends on the port",
        },
    })
}

fn mode(mode: MtlsMode) -> &'static str {
    match mode {
        MtlsMode::Unset => "UNSET",
        MtlsMode::Disable => "DISABLE",
        MtlsMode::Permissive => "PERMISSIVE",
        MtlsMode::Strict => "STRICT",
    }
}

fn token(case: &Case<'_>) -> Option<String> {
    let of = |claims: &mesh_authz::claims::VerifiedClaims| {
        let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
        format!(
            "issuer {}, subject {}",
            text(claims.issuer()),
            text(claims.subject())
        )
    };
    Some(match &case.tokens {
        Tokens::NotAsked => return None,
        Tokens::None => "none".to_owned(),
        Tokens::Given(claims) => format!("taken as verified: {}", of(claims)),
        Tokens::Verified(claims) => format!("verified: {}", of(claims)),
        Tokens::Refused(error) => format!("refused: {error}"),
        Tokens::KeysUnknown => "not verified: the keys are not in the manifests".to_owned(),
    })
}

fn considered(mesh: &Mesh, case: &Case<'_>, explanation: &RequestExplanation) -> Vec<Considered> {
    let policies = explanation.policies.iter();
    policies
        .map(|report| consider(mesh, case, report))
        .collect()
}

fn consider(mesh: &Mesh, case: &Case<'_>, report: &PolicyTree) -> Considered {
    let key = report.key.as_str();
    let policy = mesh.authorization(key);
    let root = &mesh.configuration.settings.root_namespace;
    let attached_by = match policy.map(|policy| (&policy.attachment, &policy.provenance)) {
        None => "peer authentication",
        Some((Attachment::Labels(_), _)) => "its selector",
        Some((Attachment::Targets(_), _)) => "its targets",
        Some((Attachment::Unknown, _)) => "what it is for, which cannot be told",
        Some((Attachment::Scope, place)) if place.namespace == *root => "the mesh",
        Some((Attachment::Scope, _)) => "its namespace",
    };
    let written = |rule| mesh.written_rule(case.layer, key, rule);
    let rule = |(at, rule): (usize, &RuleTree)| Rule {
        rule: written(at),
        matches: rule.matches,
        failed: failed(mesh, case, key, rule),
    };
    let projected = mesh.projected(key).filter(|_| case.layer == Layer::L4);
    Considered {
        policy: key.to_owned(),
        place: policy.map_or_else(String::new, |policy| at(policy)),
        action: format!("{:?}", report.action).to_uppercase(),
        dry_run: report.dry_run,
        attached_by,
        matched: report
            .rules
            .iter()
            .position(|rule| rule.matches)
            .map(written),
        rules: report.rules.iter().enumerate().map(rule).collect(),
        note: projected.and_then(|projected| projected.status.as_deref().map(str::to_owned)),
    }
}

/// The fields that keep a rule from matching: those of clauses that do not match.
fn failed(mesh: &Mesh, case: &Case<'_>, key: &str, rule: &RuleTree) -> Vec<Condition> {
    let clauses = rule.clauses.iter().filter(|clause| !clause.matches);
    let fields = clauses
        .flat_map(|clause| &clause.alternatives)
        .flat_map(|alternative| &alternative.fields);
    fields
        .filter(|field| !field.agrees)
        .map(|field| Condition::of(mesh, case, key, field))
        .collect()
}

fn not_considered(mesh: &Mesh, case: &Case<'_>) -> Vec<NotConsidered> {
    let settings = &mesh.configuration.settings;
    let policies = mesh.inventory.authorization_policies.iter();
    let reason = |policy: &Authorization| {
        let applies = case
            .subject
            .party
            .subject(|subject| subject.applies(policy, settings));
        if let Err(detached) = applies {
            return Some(detached.to_string());
        }
        let projected = mesh.projected(&policy.policy.key());
        let unsent = projected.filter(|it| case.layer == Layer::L4 && !it.is_sent)?;
        let status = unsent.status.as_deref();
        Some(status.unwrap_or("a node proxy does not get it").to_owned())
    };
    let detached = policies.filter_map(|policy| {
        Some(NotConsidered {
            policy: policy.policy.key().to_string(),
            place: at(policy),
            reason: reason(policy)?,
        })
    });
    detached.take(MOST).collect()
}

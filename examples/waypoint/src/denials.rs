//! What policies, tokens and external authorizers have against a request, as its record says it.

use http::request::Parts;
use mesh_authz::claims::VerifiedClaims;
use mesh_authz::layer::{
    AuditRecord, Counter, DecidedBy, Refusal, RequestAuthorizer, RequestDecision, RequestVerdict,
    Sink,
};
use mesh_l7::record::{Flags, Record};

/// Lets another authorizer decide, and notes in the request's record why it denies, in the words of Envoy's
/// `RESPONSE_CODE_DETAILS`. Clients are not told.
#[derive(Clone, Debug)]
pub(crate) struct NotesDenials<A>(pub(crate) A);

impl<A: RequestAuthorizer> RequestAuthorizer for NotesDenials<A> {
    fn decide(&self, parts: &mut Parts, claims: Option<&VerifiedClaims>) -> RequestDecision {
        let decision = self.0.decide(parts, claims);
        if let RequestVerdict::Deny(_) = decision.verdict
            && let Some(record) = Record::of(&parts.extensions)
        {
            let words = words(decision.by.as_ref());
            record.note(|entry| entry.denial = Some(words.into()));
        }
        decision
    }
}

/// Notes in records what layers answer without a policy, in the words of Envoy's `RESPONSE_CODE_DETAILS`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotesRefusals;

impl Sink for NotesRefusals {
    fn count(&self, _: &Counter) {}

    fn refused(&self, request: &Parts, why: &Refusal) {
        let Some(record) = Record::of(&request.extensions) else {
            return;
        };
        let flags = match why {
            Refusal::External | Refusal::ExternalFailed => Flags::UNAUTHORIZED,
            _ => Flags::NONE,
        };
        record.note(|entry| {
            entry.flags = entry.flags.and(flags);
            entry.denial = Some(why.details().into());
        });
    }

    fn audit(&self, _: &AuditRecord) {}
}

/// Source: Envoy's RBAC filter, with Istio's names of policies.
fn words(by: Option<&DecidedBy>) -> String {
    let rule = by.and_then(|by| {
        let (namespace, name) = by.policy.split_once('/')?;
        Some(format!("ns[{namespace}]-policy[{name}]-rule[{}]", by.rule))
    });
    let rule = rule.as_deref().unwrap_or("none");
    format!("rbac_access_denied_matched_policy[{rule}]")
}

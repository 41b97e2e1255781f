//! Requests decided by the policies of a store.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use mesh_core::name::Name;
use mesh_core::target::TargetRules;
use mesh_core::watch::{self, Publisher, Watch};

use super::authorizer::{DecidedBy, RequestAuthorizer, RequestDecision, RequestDenial};
use super::connection::ConnectionFacts;
use super::head;
use super::passed::Passed;
use super::prepared::{AppliesTo, Prepared};
use super::reply::Reply;
use crate::claims::VerifiedClaims;
use crate::decision::{AllowReason, Decision, DenyReason, RuleRef, Verdict};
use crate::index::PolicyIndex;
use crate::request::Request;

/// Decides about the requests of one connection by the policies of a
/// [`PolicyStore`](crate::store::PolicyStore).
///
/// - What the connection decides is computed once, and again when the policies or the target are
///   others; a new version is in force for the next request.
/// - The target is normalised, decided about, and passed on with the same bytes. A target that cannot
///   be, no host, two `Host` lines, and a `Host` that is not the target's authority are answered with 400.
/// - A request that a CUSTOM policy is about is denied unless [`CustomLayer`](super::CustomLayer)
///   has asked its provider.
///
/// Clones share what was computed. Metadata of filters is not known here: conditions on it do not
/// match. The client's address is that of the connection: no header of a request is read for it.
///
/// ```
/// use std::sync::Arc;
/// use mesh_authz::layer::{AppliesTo, ConnectionFacts, RequestAuthorizer, RequestPolicies, RequestVerdict};
/// use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
/// use mesh_authz::store::{PolicyStore, Update};
/// use mesh_core::watch::Watch;
///
/// let store = PolicyStore::new();
/// let mut read = PolicySpec::new("shop", "read", Scope::WorkloadSelector, Action::Allow);
/// let methods = vec![StringMatch::exact("GET")?];
/// read.rules.push(RuleSpec::of(MatchSpec { methods, ..MatchSpec::default() }));
/// assert!(store.apply(vec![Update::Upsert(read)]).rejected.is_empty());
/// let applies = Watch::fixed(AppliesTo::Named(["shop/read".into()].into()));
/// let connection = ConnectionFacts::new("10.0.0.1:5000".parse()?, "10.0.0.2:80".parse()?);
/// let policies = RequestPolicies::new(store.watch(), applies, connection);
/// let mut get = http::Request::get("http://shop.example/a").body(())?.into_parts().0;
/// assert_eq!(policies.decide(&mut get, None).verdict, RequestVerdict::Allow);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RequestPolicies {
    shared: Arc<Shared>,
    rules: TargetRules,
}

struct Shared {
    index: Watch<PolicyIndex>,
    applies: Watch<AppliesTo>,
    connection: Arc<ConnectionFacts>,
    prepared: Publisher<Prepared>,
}

impl RequestPolicies {
    /// The policies for the requests of one connection. Targets are normalised by
    /// [`TargetRules::default`].
    #[must_use]
    pub fn new(
        index: Watch<PolicyIndex>,
        applies: Watch<AppliesTo>,
        connection: ConnectionFacts,
    ) -> Self {
        let prepared = Prepared::new(index.load(), applies.load(), &connection);
        let shared = Shared {
            prepared: watch::channel(prepared).0,
            index,
            applies,
            connection: Arc::new(connection),
        };
        Self {
            shared: Arc::new(shared),
            rules: TargetRules::default(),
        }
    }

    /// With other rules for targets.
    #[must_use]
    pub fn with_target_rules(mut self, rules: impl Into<TargetRules>) -> Self {
        self.rules = rules.into();
        self
    }

    /// The connection of the requests.
    #[must_use]
    pub fn connection(&self) -> &Arc<ConnectionFacts> {
        &self.shared.connection
    }

    /// The present policies.
    pub(super) fn prepared(&self) -> Arc<Prepared> {
        let shared = &self.shared;
        // What applies first: policies come before they are named.
        let applies = shared.applies.load();
        let index = shared.index.load();
        let prepared = shared.prepared.load();
        if Arc::ptr_eq(&prepared.index, &index) && Arc::ptr_eq(&prepared.applies, &applies) {
            return prepared;
        }
        let prepared = Arc::new(Prepared::new(index, applies, &shared.connection));
        shared.prepared.publish(prepared.clone());
        prepared
    }

    /// Brings the head of a request into the form that is decided about, and calls `decide` with it.
    ///
    /// # Errors
    /// The answer to a request that is malformed.
    pub(super) fn read<T>(
        &self,
        parts: &mut Parts,
        decide: impl FnOnce(&Request<'_>) -> T,
    ) -> Result<T, Box<Reply>> {
        let raw = parts.uri.clone();
        let target = head::target(&parts.method, &raw, self.rules)?;
        if let Some(target) = &target {
            head::rewrite(&mut parts.uri, target)?;
        }
        Ok(decide(&head::request(parts, target.as_ref())?))
    }

    /// The rules for targets.
    pub(super) fn target_rules(&self) -> TargetRules {
        self.rules
    }

    /// The names of the providers that are to be asked about a request, each with a rule that says so.
    pub(super) fn providers(
        &self,
        prepared: &Prepared,
        request: &Request<'_>,
    ) -> Vec<(Name, DecidedBy)> {
        if !prepared.asks {
            return Vec::new();
        }
        let connection = self.connection().connection();
        let target = prepared.applies.target();
        let providers = prepared.index.providers(&target, &connection, request);
        let owned = providers.map(|(provider, rule)| (provider.into(), decided_by(rule)));
        owned.collect()
    }

    fn decided(&self, request: &Request<'_>, passed: Option<&Passed>) -> RequestDecision {
        let prepared = self.prepared();
        let unasked = match passed {
            Some(passed) if Arc::ptr_eq(&passed.prepared, &prepared) => None,
            _ => {
                let mut providers = self.providers(&prepared, request).into_iter();
                providers.find(|(name, _)| !passed.is_some_and(|passed| passed.by.contains(name)))
            }
        };
        if let Some((_, rule)) = unasked {
            return RequestDecision::deny(RequestDenial::External).by(rule);
        }
        let connection = self.connection().connection();
        let (target, remainder) = (prepared.applies.target(), &prepared.remainder);
        let decision = remainder.decide(&prepared.index, &target, &connection, request);
        conclusion(&decision)
    }
}

impl RequestAuthorizer for RequestPolicies {
    fn decide(&self, parts: &mut Parts, claims: Option<&VerifiedClaims>) -> RequestDecision {
        // Of another connection it says nothing.
        let passed = Passed::take(&mut parts.extensions, self.connection());
        let decide = |request: &Request<'_>| {
            let mut request = *request;
            request.claims = claims;
            self.decided(&request, passed.as_deref())
        };
        match self.read(parts, decide) {
            Ok(decision) => decision,
            Err(reply) => RequestDecision::deny(RequestDenial::Malformed).with_reply(reply),
        }
    }
}

fn conclusion(decision: &Decision<'_>) -> RequestDecision {
    let (mut conclusion, rule) = match decision.verdict {
        Verdict::Allow(AllowReason::Matched(rule)) => (RequestDecision::allow(), Some(rule)),
        Verdict::Allow(AllowReason::NoAllowPolicies) => (RequestDecision::allow(), None),
        Verdict::Deny(DenyReason::Explicit(rule)) => {
            (RequestDecision::deny(RequestDenial::Explicit), Some(rule))
        }
        Verdict::Deny(DenyReason::NoneAllowed) => {
            (RequestDecision::deny(RequestDenial::NoneAllowed), None)
        }
        Verdict::Undecided(_) => (RequestDecision::deny(RequestDenial::Incomplete), None),
    };
    conclusion.by = rule.map(decided_by);
    conclusion.audit = decision.audit.map(decided_by);
    conclusion.would_deny = decision.dry_run.would_deny();
    conclusion
}

fn decided_by(rule: RuleRef<'_>) -> DecidedBy {
    DecidedBy::new(rule.policy().key().into(), rule.rule())
}

impl fmt::Debug for RequestPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestPolicies")
            .field("connection", self.connection())
            .finish_non_exhaustive()
    }
}

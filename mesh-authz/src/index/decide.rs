//! The decision about one connection, or one request on it.

use mesh_core::model::Workload;
use mesh_core::name::Name;

use super::asked::{Applying, Said};
use super::scope::Kind;
use super::snapshot::PolicyIndex;
use crate::connection::Connection;
use crate::decision::{
    AllowReason, Decision, DenyReason, DryRun, DryRunAllow, RuleRef, Undecided, Verdict,
};
use crate::facts::Facts;
use crate::request::Request;
use crate::target::PolicyTarget;

impl PolicyIndex {
    /// Decides about a connection to a workload. Allocates nothing, unless an identity has more
    /// than 512 bytes.
    ///
    /// The policies of all workloads, of the workload's namespace and those that the workload
    /// names count. In this order: a DENY that matches denies; a policy that the workload names and
    /// that is not known leaves it undecided; so does a DENY that may match a request on the
    /// connection, and a CUSTOM; without any ALLOW it is allowed; an ALLOW that matches allows; one
    /// that may match a request leaves it undecided; anything else is denied.
    ///
    /// When several rules match, any of them may be the reason; see
    /// [`reported`](Self::reported).
    pub fn decide<'i>(
        &'i self,
        workload: &'i Workload,
        connection: &Connection<'_>,
    ) -> Decision<'i> {
        self.decide_connection(&PolicyTarget::workload(workload), connection)
    }

    /// Decides about a connection as far as that can be done without a request on it: as
    /// [`decide`](Self::decide), whatever the policies are of.
    pub fn decide_connection<'i>(
        &'i self,
        target: &PolicyTarget<'i>,
        connection: &Connection<'_>,
    ) -> Decision<'i> {
        let facts = Facts::of(connection, None, self.semantics);
        let applying = Applying::new(self, target);
        conclude(&applying, applying.missing(), false, |kind| {
            applying.ask(kind, &facts)
        })
    }

    /// Decides about a request on a connection. Allocates nothing, unless an identity has more than
    /// 512 bytes or a host has letters in upper case.
    ///
    /// The order is that of [`decide`](Self::decide); nothing is left undecided but for a policy
    /// that is not known. CUSTOM policies do not count here: ask whom
    /// [`providers`](Self::providers) names first, and deny when one of them does.
    ///
    /// ```
    /// use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
    /// use mesh_authz::store::{PolicyStore, Update};
    /// use mesh_authz::{Connection, PolicyTarget, Request, Verdict};
    ///
    /// let mut policy = PolicySpec::new("shop", "read", Scope::WorkloadSelector, Action::Allow);
    /// policy.rules.push(RuleSpec::of(MatchSpec {
    ///     methods: vec![StringMatch::exact("GET")?],
    ///     ..MatchSpec::default()
    /// }));
    /// let store = PolicyStore::new();
    /// assert!(store.apply(vec![Update::Upsert(policy)]).rejected.is_empty());
    ///
    /// let named = ["shop/read".into()];
    /// let target = PolicyTarget::named(&named);
    /// let connection = Connection::new("10.0.0.1".parse()?, None, "10.0.0.2:80".parse()?);
    /// let headers = http::HeaderMap::new();
    /// let index = store.index();
    /// let get = Request::new("GET", "shop.example", &headers);
    /// let verdict = index.decide_request(&target, &connection, &get).verdict;
    /// assert!(matches!(verdict, Verdict::Allow(_)));
    /// let put = Request::new("PUT", "shop.example", &headers);
    /// let verdict = index.decide_request(&target, &connection, &put).verdict;
    /// assert!(matches!(verdict, Verdict::Deny(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decide_request<'i>(
        &'i self,
        target: &PolicyTarget<'i>,
        connection: &Connection<'_>,
        request: &Request<'_>,
    ) -> Decision<'i> {
        let facts = Facts::of(connection, Some(request), self.semantics);
        let applying = Applying::new(self, target);
        conclude(&applying, applying.missing(), true, |kind| {
            applying.ask(kind, &facts)
        })
    }
}

/// What the policies of all kinds come to.
pub(super) fn conclude<'i>(
    applying: &Applying<'i>,
    missing: Option<&'i Name>,
    request: bool,
    ask: impl Fn(Kind) -> Said,
) -> Decision<'i> {
    let rule = |said: &Said| said.matches().and_then(|id| applying.rule(id));
    let may = |said: &Said| said.may_match().and_then(|id| applying.rule(id));
    let deny = ask(Kind::Deny);
    let allow = ask(Kind::Allow);
    let needs_request = || {
        let custom = || may(&ask(Kind::Custom)).filter(|_| !request);
        may(&deny).or_else(custom)
    };
    let verdict = if let Some(rule) = rule(&deny) {
        Verdict::Deny(DenyReason::Explicit(rule))
    } else if let Some(key) = missing {
        Verdict::Undecided(Undecided::MissingPolicy(key))
    } else if let Some(rule) = needs_request() {
        Verdict::Undecided(Undecided::NeedsRequest(rule))
    } else if !allow.exist {
        Verdict::Allow(AllowReason::NoAllowPolicies)
    } else if let Some(rule) = rule(&allow) {
        Verdict::Allow(AllowReason::Matched(rule))
    } else if let Some(rule) = may(&allow) {
        Verdict::Undecided(Undecided::NeedsRequest(rule))
    } else {
        Verdict::Deny(DenyReason::NoneAllowed)
    };
    Decision {
        verdict,
        dry_run: DryRun {
            deny: rule(&ask(Kind::DryRunDeny)),
            allow: dry_run_allow(&ask(Kind::DryRunAllow), allow.exist, rule),
        },
        audit: rule(&ask(Kind::Audit)),
    }
}

fn dry_run_allow<'i>(
    said: &Said,
    allows: bool,
    rule: impl Fn(&Said) -> Option<RuleRef<'i>>,
) -> DryRunAllow<'i> {
    if !said.exist {
        return DryRunAllow::None;
    }
    match rule(said) {
        Some(rule) => DryRunAllow::Matched(rule),
        None if allows || said.may_match().is_some() => DryRunAllow::NotMatched,
        None => DryRunAllow::WouldDeny,
    }
}

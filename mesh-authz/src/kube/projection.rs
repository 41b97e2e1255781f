//! What is left of a policy where only connections are seen: at a node proxy.
//!
//! A node proxy knows the peer's identity, the addresses and the port of a connection, and no
//! request. A policy that asks for more is cut down to what it knows. That is never silent: the
//! result says how exact it is.

use mesh_core::name::Name;

use super::authorization::{Authorization, Origin};
use super::settings::Profile;
use crate::spec::{Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec};

mod exactness;
mod fields;
mod status;

pub use exactness::Exactness;
pub use status::UNSUPPORTED_VALUE;

/// What is left of a policy at a node proxy.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct L4Projection {
    /// The policy to enforce; `None` when there is none to send.
    pub policy: Option<PolicySpec>,
    /// For each rule of that policy, its number in the policy that was projected, from 0: a rule that
    /// is left out has none.
    pub rules: Vec<usize>,
    /// How it compares with what was asked for.
    pub exactness: Exactness,
    /// What a node proxy does not know, by its names in the object, in order: `hosts`,
    /// `request.headers[x-name]`.
    pub unsupported: Vec<Name>,
    /// The status to write into the object, if there is something to say.
    pub status: Option<Box<str>>,
}

/// What is left of a policy at a node proxy.
///
/// | policy | `Strict` | `Compat` |
/// |---|---|---|
/// | ALLOW | rules that need a request are left out: narrower | the same |
/// | DENY | what needs a request is left out of its rules: wider | an alternative that needs nothing else never matches |
/// | CUSTOM | a DENY of what is left: an authorizer that cannot be asked denies | none |
/// | AUDIT | rules that need a request are left out | none |
/// | dry run | as its action | none |
///
/// In `Strict` nothing that the policy denies is let through. Trust domains, and service accounts
/// in conditions, are known in `Strict` and not in `Compat`, whose wire form has no place for them:
/// an ALLOW that asks for nothing else is exact in `Strict` and left out in `Compat`. It is the one
/// point in which `Strict` lets more pass.
///
/// Where the policy comes from an object, [`Authorization::project_l4`] names fields as the object
/// does.
///
/// Source: istiod's conversion of policies for ztunnel.
///
/// ```
/// use mesh_authz::kube::{Exactness, Profile, project_l4};
/// use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
///
/// let mut policy = PolicySpec::new("shop", "no-posts", Scope::Namespace, Action::Deny);
/// policy.rules.push(RuleSpec::of(MatchSpec {
///     methods: vec![StringMatch::exact("POST")?],
///     ..MatchSpec::default()
/// }));
/// let strict = project_l4(&policy, Profile::Strict);
/// assert_eq!(strict.exactness, Exactness::Unenforceable(vec!["methods".into()]));
/// // It denies everything, as it cannot tell a POST from other traffic.
/// assert!(strict.policy.is_some_and(|policy| policy.rules[0].clauses.is_empty()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn project_l4(policy: &PolicySpec, profile: Profile) -> L4Projection {
    project(policy, &[], profile)
}

impl Authorization {
    /// What is left of the policy at a node proxy; see [`project_l4`].
    ///
    /// A policy with targets is for waypoints and gateways alone; do not ask for it.
    #[must_use]
    pub fn project_l4(&self, profile: Profile) -> L4Projection {
        project(&self.policy, &self.origins, profile)
    }
}

/// The rules of a policy on their way.
#[derive(Default)]
struct Cut {
    rules: Vec<RuleSpec>,
    /// The number of each in the whole policy.
    numbers: Vec<usize>,
    /// What is not known, of all rules.
    unsupported: Vec<Name>,
    /// What made a rule, or an alternative of one, lose all that is known.
    lost: Vec<Name>,
}

fn project(policy: &PolicySpec, origins: &[Vec<Origin>], profile: Profile) -> L4Projection {
    let compat = profile == Profile::Compat;
    if compat && matches!(policy.action, Action::Audit | Action::Custom) {
        return unsent(status::action(policy.action));
    }
    if compat && policy.dry_run {
        return unsent(status::dry_run(policy));
    }
    let mut cut = Cut::default();
    for (index, rule) in policy.rules.iter().enumerate() {
        let origins = origins.get(index).map(Vec::as_slice);
        if let Some(left) = cut.rule(policy.action, rule, origins, profile) {
            cut.rules.push(left);
            cut.numbers.push(index);
        }
    }
    cut.finish(policy, profile)
}

impl Cut {
    /// What is left of a rule, if it is.
    fn rule(
        &mut self,
        action: Action,
        rule: &RuleSpec,
        origins: Option<&[Origin]>,
        profile: Profile,
    ) -> Option<RuleSpec> {
        let origin = |index| origins.and_then(|origins| origins.get(index));
        let mut found = Vec::new();
        for (index, clause) in rule.clauses.iter().enumerate() {
            for each in &clause.matches {
                fields::unsupported(each, origin(index), profile, &mut found);
            }
        }
        let complete = found.is_empty();
        self.unsupported.append(&mut found);
        if complete {
            return Some(rule.clone());
        }
        // What allows or notes is never made to match more.
        if matches!(action, Action::Allow | Action::Audit) {
            return None;
        }
        let clauses = rule.clauses.iter().enumerate();
        let clauses =
            clauses.filter_map(|(index, clause)| self.clause(clause, origin(index), profile));
        let clauses = clauses.collect();
        Some(RuleSpec { clauses })
    }

    /// What is left of a clause of a rule that denies; `None` when that is everything.
    fn clause(
        &mut self,
        clause: &ClauseSpec,
        origin: Option<&Origin>,
        profile: Profile,
    ) -> Option<ClauseSpec> {
        let mut matches = Vec::with_capacity(clause.matches.len());
        let mut everything = false;
        for each in &clause.matches {
            let mut found = Vec::new();
            fields::unsupported(each, origin, profile, &mut found);
            let known = fields::known(each, origin, profile);
            if !found.is_empty() && known == MatchSpec::default() {
                self.lost.append(&mut found);
                everything = true;
            }
            matches.push(known);
        }
        // In `Compat` an empty alternative stays and never matches, as it does at ztunnel.
        let widened = everything && profile == Profile::Strict;
        (!widened).then_some(ClauseSpec { matches })
    }

    fn finish(mut self, policy: &PolicySpec, profile: Profile) -> L4Projection {
        for names in [&mut self.unsupported, &mut self.lost] {
            names.sort_unstable();
            names.dedup();
        }
        let custom = policy.action == Action::Custom;
        let exactness = if !self.lost.is_empty() {
            Exactness::Unenforceable(self.lost)
        } else if custom {
            Exactness::Wider
        } else if self.unsupported.is_empty() {
            Exactness::Exact
        } else if policy.action == Action::Deny {
            Exactness::Wider
        } else {
            Exactness::Narrower
        };
        let projected = PolicySpec {
            action: if custom { Action::Deny } else { policy.action },
            provider: None,
            rules: self.rules,
            ..policy.clone()
        };
        let status = match profile {
            _ if custom => Some(status::custom_denies()),
            Profile::Strict => status::strict(policy.action, &exactness, &self.unsupported),
            Profile::Compat => status::compat(&projected, &self.unsupported),
        };
        L4Projection {
            policy: Some(projected),
            rules: self.numbers,
            exactness,
            unsupported: self.unsupported,
            status,
        }
    }
}

/// A policy that is not sent at all.
fn unsent(status: Box<str>) -> L4Projection {
    L4Projection {
        policy: None,
        rules: Vec::new(),
        exactness: Exactness::Unenforceable(Vec::new()),
        unsupported: Vec::new(),
        status: Some(status),
    }
}

//! Reasons that outlive the index they come from.

use std::fmt;

use mesh_core::name::Name;

use crate::decision::{DenyReason, DryRun, DryRunAllow, RuleRef};
use crate::policy::Policy;

/// A rule that matched.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MatchedRule {
    /// The policy, as it was.
    pub policy: Policy,
    /// The place of the rule in the policy, from 0.
    pub rule: usize,
}

/// Why a connection may not go on, or not any longer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Denial {
    /// A DENY policy matches.
    Explicit(MatchedRule),
    /// ALLOW policies apply to the workload, and none of them matches.
    NoneAllowed,
    /// It depends on requests, which are not seen here.
    NeedsRequest(MatchedRule),
    /// A policy that the workload names did not arrive within the grace.
    MissingPolicy {
        /// Its key.
        key: Name,
    },
}

/// What policies said about a connection that are not enforced.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DryRunReport {
    /// A DENY policy that matches.
    pub deny: Option<MatchedRule>,
    /// An ALLOW policy that matches.
    pub allow: Option<MatchedRule>,
    /// Whether there are ALLOW policies of which none matches, and no enforced one.
    pub none_allowed: bool,
}

impl DryRunReport {
    pub(super) fn of(dry_run: &DryRun<'_>) -> Self {
        Self {
            deny: dry_run.deny.map(MatchedRule::from),
            allow: match dry_run.allow {
                DryRunAllow::Matched(rule) => Some(rule.into()),
                _ => None,
            },
            none_allowed: dry_run.allow == DryRunAllow::WouldDeny,
        }
    }

    /// Whether the connection would be denied if these policies were enforced as well.
    #[must_use]
    pub fn would_deny(&self) -> bool {
        self.deny.is_some() || self.none_allowed
    }

    /// A line for the log on each finding, in the words of the node proxy of Istio.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let line = |what: &str, rule: &MatchedRule| format!("dry-run: {what} policy match: {rule}");
        let deny = self.deny.as_ref().map(|rule| line("deny", rule));
        let allow = self.allow.as_ref().map(|rule| line("allow", rule));
        let none = self.none_allowed;
        let none = none.then(|| "dry-run: no allow policies match".to_owned());
        [deny, allow, none].into_iter().flatten()
    }
}

impl From<RuleRef<'_>> for MatchedRule {
    fn from(rule: RuleRef<'_>) -> Self {
        Self {
            policy: rule.policy().clone(),
            rule: rule.rule(),
        }
    }
}

/// `namespace/name` of the policy.
impl fmt::Display for MatchedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.policy.key().fmt(f)
    }
}

impl From<DenyReason<'_>> for Denial {
    fn from(reason: DenyReason<'_>) -> Self {
        match reason {
            DenyReason::Explicit(rule) => Self::Explicit(rule.into()),
            DenyReason::NoneAllowed => Self::NoneAllowed,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit(rule) => {
                write!(f, "explicitly denied by: {rule}")
            }
            Self::NoneAllowed => DenyReason::NoneAllowed.fmt(f),
            Self::NeedsRequest(rule) => {
                write!(
                    f,
                    "policy {rule} is about requests, which are not seen here"
                )
            }
            Self::MissingPolicy { key } => write!(f, "policy {key} has not arrived"),
        }
    }
}

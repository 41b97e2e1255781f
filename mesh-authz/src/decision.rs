//! What is decided, and why.

use std::fmt;

use mesh_core::name::Name;

use crate::policy::Policy;

/// What policies say about a connection, by reference to the policies that say so: giving a reason
/// costs nothing until it is written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct Decision<'i> {
    /// What is decided.
    pub verdict: Verdict<'i>,
    /// What policies that are not enforced say. It has no influence on the verdict.
    pub dry_run: DryRun<'i>,
    /// An AUDIT policy that matches. It has no influence on the verdict.
    pub audit: Option<RuleRef<'i>>,
}

/// The answer to whether a connection may go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
#[must_use]
pub enum Verdict<'i> {
    /// It may.
    Allow(AllowReason<'i>),
    /// It may not.
    Deny(DenyReason<'i>),
    /// What is known does not decide it, and it must not go on.
    Undecided(Undecided<'i>),
}

/// What is missing for a decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum Undecided<'i> {
    /// No known policy denies it, but one that the workload names is not known: it must wait, and
    /// in the end be denied.
    MissingPolicy(&'i Name),
    /// It depends on the requests on the connection, which only a proxy for HTTP sees. Anything
    /// else must deny it.
    NeedsRequest(RuleRef<'i>),
}

/// Why a connection may go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AllowReason<'i> {
    /// No ALLOW policy applies to the workload.
    NoAllowPolicies,
    /// An ALLOW policy matches.
    Matched(RuleRef<'i>),
}

/// Why a connection may not go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DenyReason<'i> {
    /// A DENY policy matches.
    Explicit(RuleRef<'i>),
    /// ALLOW policies apply to the workload, and none of them matches.
    NoneAllowed,
}

/// What policies that are not enforced say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DryRun<'i> {
    /// A DENY policy that matches.
    pub deny: Option<RuleRef<'i>>,
    /// What the ALLOW policies say.
    pub allow: DryRunAllow<'i>,
}

/// What ALLOW policies that are not enforced say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum DryRunAllow<'i> {
    /// There are none.
    #[default]
    None,
    /// One of them matches.
    Matched(RuleRef<'i>),
    /// None of them matches, but an enforced ALLOW policy does, or one of those decides anyway.
    NotMatched,
    /// None of them matches and there is no enforced one: enforcing them would deny.
    WouldDeny,
}

impl DryRun<'_> {
    /// Whether the connection would be denied if these policies were enforced as well.
    #[must_use]
    pub fn would_deny(&self) -> bool {
        self.deny.is_some() || self.allow == DryRunAllow::WouldDeny
    }
}

/// A rule of a policy.
#[derive(Clone, Copy)]
pub struct RuleRef<'i> {
    policy: &'i Policy,
    /// Where the rule begins in the policy.
    place: u32,
}

impl<'i> RuleRef<'i> {
    pub(crate) fn new(policy: &'i Policy, place: u32) -> Self {
        Self { policy, place }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &'i Policy {
        self.policy
    }

    /// The place of the rule in the policy, from 0. It is counted when it is asked for.
    #[must_use]
    pub fn rule(&self) -> usize {
        self.policy.number_of(self.place)
    }

    /// The identifier that Istio has for the rule, such as `ns[shop]-policy[read]-rule[0]`.
    #[must_use]
    pub fn id(&self) -> String {
        let (namespace, name) = (self.policy.namespace(), self.policy.name());
        let id = format!("ns[{namespace}]-policy[{name}]-rule[{}]", self.rule());
        match self.policy.provider() {
            Some(provider) => format!("istio-ext-authz-{provider}-{id}"),
            None => id,
        }
    }
}

impl PartialEq for RuleRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place && self.policy.is(other.policy)
    }
}

impl Eq for RuleRef<'_> {}

/// `namespace/name` of the policy.
impl fmt::Display for RuleRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.policy.key().fmt(f)
    }
}

impl fmt::Debug for RuleRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.policy.key(), self.rule())
    }
}

impl fmt::Display for Undecided<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingPolicy(key) => write!(f, "policy {key} has not arrived"),
            Self::NeedsRequest(rule) => {
                write!(
                    f,
                    "policy {rule} is about requests, which are not seen here"
                )
            }
        }
    }
}

/// The texts of the node proxy of Istio.
impl fmt::Display for DenyReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit(rule) => write!(f, "explicitly denied by: {rule}"),
            Self::NoneAllowed => f.write_str("allow policies exist, but none allowed"),
        }
    }
}

impl fmt::Display for AllowReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAllowPolicies => f.write_str("no allow policies exist"),
            Self::Matched(rule) => write!(f, "allowed by: {rule}"),
        }
    }
}

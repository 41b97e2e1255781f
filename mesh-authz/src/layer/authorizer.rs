//! The seam between a layer and whoever decides.

use http::request::Parts;
use mesh_core::name::Name;

use super::reply::Reply;
use crate::claims::VerifiedClaims;

/// Decides about the requests of one connection.
///
/// One is made when a connection comes: what does not change from request to request is computed
/// then. Deciding is not asynchronous; it looks at a snapshot.
pub trait RequestAuthorizer: Clone {
    /// Decides about a request with these verified claims.
    ///
    /// It may change the request to the form that it has decided about, such as a normalised path:
    /// what was authorized is what is passed on.
    fn decide(&self, parts: &mut Parts, claims: Option<&VerifiedClaims>) -> RequestDecision;
}

/// What is decided about a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct RequestDecision {
    /// The answer.
    pub verdict: RequestVerdict,
    /// The rule that decides, where one does.
    pub by: Option<DecidedBy>,
    /// A rule of an AUDIT policy that matches: the request is recorded.
    pub audit: Option<DecidedBy>,
    /// Whether policies in dry-run mode would deny it.
    pub would_deny: bool,
    /// The answer to the client when it is denied; `None` for the one that follows from the verdict.
    pub reply: Option<Box<Reply>>,
}

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum RequestVerdict {
    /// It may.
    Allow,
    /// It may not.
    Deny(RequestDenial),
}

/// Why a request may not go on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RequestDenial {
    /// A DENY policy matches.
    Explicit,
    /// ALLOW policies apply, and none of them matches.
    NoneAllowed,
    /// An external authorizer denies, or does not answer.
    External,
    /// Policies are not complete, so nothing can be decided.
    Incomplete,
    /// The request is malformed: it is answered with 400.
    Malformed,
}

/// A rule of a policy, by name.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DecidedBy {
    /// `namespace/name` of the policy.
    pub policy: Name,
    /// The place of the rule in the policy, from 0.
    pub rule: usize,
}

impl DecidedBy {
    /// The rule `rule` of the policy `policy`.
    #[must_use]
    pub fn new(policy: Name, rule: usize) -> Self {
        Self { policy, rule }
    }
}

impl RequestDecision {
    /// The request may go on.
    pub fn allow() -> Self {
        Self::of(RequestVerdict::Allow)
    }

    /// The request may not go on.
    pub fn deny(denial: RequestDenial) -> Self {
        Self::of(RequestVerdict::Deny(denial))
    }

    /// With the rule that decides.
    pub fn by(mut self, rule: DecidedBy) -> Self {
        self.by = Some(rule);
        self
    }

    /// With the answer to the client when it is denied.
    pub fn with_reply(mut self, reply: impl Into<Box<Reply>>) -> Self {
        self.reply = Some(reply.into());
        self
    }

    fn of(verdict: RequestVerdict) -> Self {
        Self {
            verdict,
            by: None,
            audit: None,
            would_deny: false,
            reply: None,
        }
    }
}

impl RequestDenial {
    /// The value of the label `reason`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Explicit => "explicit_deny",
            Self::NoneAllowed => "no_allow_match",
            Self::External => "ext_authz",
            Self::Incomplete => "missing_policy",
            Self::Malformed => "malformed_request",
        }
    }
}

//! What is counted.

use mesh_core::name::Name;

use super::authorizer::RequestDenial;

/// One event, to be added to a counter.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Counter {
    /// A request was decided about: `mesh_authz_decisions_total`.
    Decision {
        /// Why it was denied; `None` when it was allowed.
        denial: Option<RequestDenial>,
        /// The policy that decided, where one did. Exporters bound how many values they keep.
        policy: Option<Name>,
    },
    /// A request would have been denied by policies in dry-run mode:
    /// `mesh_authz_shadow_would_deny_total`.
    WouldDeny,
    /// The tokens of a request were looked at: `mesh_authz_jwt_total`.
    Jwt(JwtOutcome),
}

/// What became of the tokens of a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum JwtOutcome {
    /// There was none.
    Missing,
    /// One verified.
    Verified,
    /// None verified: the request was refused.
    Refused,
    /// A CORS preflight passed without a look at its tokens.
    Preflight,
}

impl Counter {
    /// Name of the metric.
    #[must_use]
    pub fn metric(&self) -> &'static str {
        match self {
            Self::Decision { .. } => "mesh_authz_decisions_total",
            Self::WouldDeny => "mesh_authz_shadow_would_deny_total",
            Self::Jwt(_) => "mesh_authz_jwt_total",
        }
    }

    /// Labels of the metric, without `policy`.
    #[must_use]
    pub fn labels(&self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Decision { denial: None, .. } => vec![("layer", "l7"), ("verdict", "allow")],
            Self::Decision {
                denial: Some(denial),
                ..
            } => {
                vec![
                    ("layer", "l7"),
                    ("verdict", "deny"),
                    ("reason", denial.label()),
                ]
            }
            Self::WouldDeny => Vec::new(),
            Self::Jwt(outcome) => vec![("result", outcome.label())],
        }
    }
}

impl JwtOutcome {
    /// The value of the label `result`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Verified => "allowed",
            Self::Refused => "denied",
            Self::Preflight => "cors_preflight_bypassed",
        }
    }
}

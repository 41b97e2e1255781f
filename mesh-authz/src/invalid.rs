//! Why a policy is rejected.

use mesh_core::name::Name;

/// A policy that must not be accepted, with the place of the mistake.
///
/// A policy is rejected as a whole: leaving out the part that is wrong could make an ALLOW wider or
/// a DENY narrower than its author meant.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("policy {policy}: {place}: {problem}")]
#[non_exhaustive]
pub struct InvalidPolicy {
    /// Key of the policy, `namespace/name`.
    pub policy: Name,
    /// Where, such as `rules[0].clauses[1].matches[0].principals[2]`.
    pub place: Box<str>,
    /// What is wrong there.
    pub problem: Problem,
}

impl InvalidPolicy {
    /// The error for a mistake that is found before there is a [`PolicySpec`](crate::spec::PolicySpec).
    pub fn new(policy: impl Into<Name>, place: impl Into<Box<str>>, problem: Problem) -> Self {
        Self {
            policy: policy.into(),
            place: place.into(),
            problem,
        }
    }
}

/// What is wrong with a part of a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Name or namespace is empty or has a `/`, so there is no key.
    #[error("name and namespace are needed, without '/'")]
    Key,
    /// A text to compare with is empty: presence is what was meant, or nothing.
    #[error("a text to match is empty")]
    EmptyText,
    /// A text to compare with is too long to match anything.
    #[error("a text to match has {length} bytes, at most {limit} are allowed")]
    LongText {
        /// Bytes of the text.
        length: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// A string match says neither exact, prefix, suffix nor presence.
    #[error("a string match needs one of exact, prefix, suffix and presence")]
    NoMatchType,
    /// A port number is above 65535.
    #[error("{port} is not a port")]
    Port {
        /// The number.
        port: u32,
    },
    /// An IP address does not have 4 or 16 bytes.
    #[error("an IP address has 4 or 16 bytes, not {bytes}")]
    Address {
        /// The number of bytes.
        bytes: usize,
    },
    /// A prefix is longer than the address.
    #[error("a prefix of {length} bits is longer than the address")]
    PrefixLength {
        /// Bits of the prefix.
        length: u32,
    },
    /// A service account or its namespace is empty.
    #[error("a service account needs namespace and name")]
    ServiceAccount,
    /// CUSTOM without the name of an external authorizer, or another action with one.
    #[error("a provider is needed for CUSTOM, and only for that")]
    Provider,
    /// AUDIT and CUSTOM cannot be tried without being enforced.
    #[error("only ALLOW and DENY can be a dry run")]
    DryRun,
    /// A condition on a header, claim or metadata asks for nothing.
    #[error("values or excluded values are needed")]
    NoValues,
    /// The name of a header is not in lower case, or not one.
    #[error("a header name in lower case is needed")]
    HeaderName,
    /// The path to a claim has no names, or an empty one.
    #[error("a claim needs a name")]
    ClaimPath,
    /// Filter or key of a condition on metadata is empty.
    #[error("metadata needs filter and key")]
    MetadataKey,
    /// There is more of something than the [`Limits`](crate::Limits) allow.
    #[error("{found} {what}, at most {limit} are allowed")]
    TooMany {
        /// What there is too much of: `rules`, `clauses`, `matches` or `parts`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
}

//! What is wrong with an object that is rejected.

use crate::spec::InvalidTemplate;

/// What is wrong with a field, and what is expected there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Another version or group.
    #[error("{version:?}: security.istio.io/v1 or security.istio.io/v1beta1 is expected")]
    ApiVersion {
        /// What is there.
        version: Box<str>,
    },
    /// Another kind.
    #[error("{found:?}: {expected} is expected")]
    Kind {
        /// What is there.
        found: Box<str>,
        /// What is expected.
        expected: &'static str,
    },
    /// A name or namespace is empty or has a `/`.
    #[error("a name without '/' is expected")]
    Name,
    /// More of something than there may be.
    #[error("{found} entries, at most {limit} are allowed")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A longer text than there may be.
    #[error("{length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes of the text.
        length: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// A text is empty.
    #[error("a text that is not empty is expected")]
    EmptyText,
    /// A list is there and empty.
    #[error("a list that is there has at least one entry; leave it out if there are none")]
    EmptyList,
    /// A field is not there.
    #[error("{field} is needed")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// A source or an operation has no field.
    #[error("at least one field is needed; leave it out if there is no condition")]
    NoFields,

    /// More than one of `selector`, `targetRef` and `targetRefs`.
    #[error("only one of selector, targetRef and targetRefs is allowed")]
    SelectorAndTargets,
    /// A label of a selector has a `*`.
    #[error("labels are compared as they are; '*' is not allowed")]
    LabelWildcard,
    /// A target in another namespace.
    #[error("a target is in the policy's own namespace; leave the field out")]
    TargetNamespace,
    /// A target of another kind.
    #[error(
        "{kind:?} of group {group:?}: Service of group \"\", ServiceEntry of networking.istio.io, \
         Gateway or GatewayClass of gateway.networking.k8s.io is expected"
    )]
    TargetKind {
        /// Group of the target.
        group: Box<str>,
        /// Kind of the target.
        kind: Box<str>,
    },

    /// DENY or CUSTOM without rules never matches.
    #[error("without rules it never matches; write `rules: [{{}}]` if it is meant for everything")]
    NoRules,
    /// An external authorizer where none is asked.
    #[error("a provider is only for CUSTOM")]
    Provider,
    /// The name of a provider is not a DNS label.
    #[error("1 to 63 of a-z, 0-9 and '-' are expected, without '-' at the ends")]
    ProviderName,
    /// An external authorizer is asked before identities and tokens are looked at.
    #[error("not allowed with CUSTOM")]
    NotWithCustom,
    /// A dry run of AUDIT or CUSTOM.
    #[error("only ALLOW and DENY can be a dry run")]
    DryRunAction,

    /// Not an address or a range of addresses.
    #[error("{found:?}: an IP address or a range such as 10.0.0.0/8 is expected")]
    Address {
        /// What is there.
        found: Box<str>,
    },
    /// Not a port.
    #[error("{found:?}: a port, 0 to 65535, is expected")]
    Port {
        /// What is there.
        found: Box<str>,
    },
    /// A path has an operator in braces and is not a template.
    #[error(transparent)]
    PathTemplate(#[from] InvalidTemplate),
    /// Not a trust domain.
    #[error(
        "{found:?}: a trust domain without '/' is expected, with one '*' at most, first or last"
    )]
    TrustDomain {
        /// What is there.
        found: Box<str>,
    },
    /// Not a service account.
    #[error("{found:?}: ACCOUNT or NAMESPACE/ACCOUNT is expected, without '*'")]
    ServiceAccount {
        /// What is there.
        found: Box<str>,
    },
    /// Service accounts beside principals or namespaces in one source.
    #[error("not allowed beside principals and namespaces in one source")]
    ServiceAccounts,

    /// A condition without values.
    #[error("values or notValues are needed")]
    NoValues,
    /// A key that does not exist.
    #[error("{found:?} is not an attribute")]
    UnknownKey {
        /// The key.
        found: Box<str>,
    },
    /// A key of an older version, with what to write in its place.
    #[error("{found:?} is not supported; {instead}")]
    FormerKey {
        /// The key.
        found: Box<str>,
        /// What to write.
        instead: &'static str,
    },
    /// A key with a name in brackets is not of that form.
    #[error("{found:?}: a name in brackets is expected, such as request.headers[x-name]")]
    BracketKey {
        /// The key.
        found: Box<str>,
    },
    /// A name in brackets cannot be the name of a header.
    #[error("{found:?} is not the name of a header")]
    HeaderName {
        /// The name.
        found: Box<str>,
    },

    /// Ports without a selector.
    #[error("ports are of workloads: a selector with labels is needed")]
    PortsWithoutSelector,
    /// Port 0, or above 65535.
    #[error("{port}: a port of a workload, 1 to 65535, is expected")]
    WorkloadPort {
        /// The number.
        port: u32,
    },

    /// Neither an issuer nor keys.
    #[error("an issuer or a source of keys, jwksUri or jwks, is needed")]
    NoIssuer,
    /// Two sources of keys.
    #[error("only one of jwksUri and jwks is allowed")]
    TwoKeySources,
    /// Not the address of a key set.
    #[error("{found:?}: an http or https URI with a host is expected")]
    JwksUri {
        /// What is there.
        found: Box<str>,
    },
    /// Not a key set.
    #[error("a JSON Web Key Set is expected: {reason}")]
    Jwks {
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// Two claims or the payload go to one header.
    #[error("{header:?} is written twice")]
    SameHeader {
        /// The header.
        header: Box<str>,
    },
    /// A header that a claim cannot be written to.
    #[error("{found:?}: a header name of letters, digits, '-' and '_' is expected")]
    OutputHeader {
        /// What is there.
        found: Box<str>,
    },
    /// Not a duration.
    #[error("{found:?}: a duration of at least 1ms such as 5s or 1m30s is expected")]
    Duration {
        /// What is there.
        found: Box<str>,
    },
}

//! What is questionable about an object that is accepted.

/// What is questionable about an object. It is accepted nevertheless.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Caution {
    /// A selector without labels selects all workloads of its scope.
    #[error("a selector without labels selects every workload; leave it out if that is meant")]
    EmptySelector,
    /// All values of a DENY rule are about HTTP, so it denies all of TCP.
    #[error(
        "a DENY rule of HTTP attributes alone denies all TCP traffic as well; name the ports it is about"
    )]
    DeniesAllTcp,
    /// `istio.io/dry-run` is not a boolean, and the policy is enforced.
    #[error("{found:?} is neither true nor false: the policy is enforced, and not a dry run")]
    DryRunValue {
        /// The value.
        found: Box<str>,
    },
    /// A `*` that is neither first nor last means one thing at Envoy and another at ztunnel.
    #[error(
        "a '*' inside of a namespace stands for any characters where requests are seen, and at a node \
         proxy for itself, which no namespace has"
    )]
    InnerWildcard,
    /// Mutual TLS between proxies cannot be switched off.
    #[error("DISABLE means PERMISSIVE: what arrives by HBONE is mutual TLS in any case")]
    Disable,
    /// A PeerAuthentication with labels in the root namespace applies to no workload.
    #[error("in the root namespace a PeerAuthentication with a selector applies to nothing")]
    SelectorInRoot,
    /// A key set has keys that are to be kept secret.
    #[error("the key set has private parts of a key; only public keys belong here")]
    PrivateKey,
}

//! Why a rule cannot be enforced.

/// A rule that cannot be enforced.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("rule {rule}: {problem}")]
#[non_exhaustive]
pub struct InvalidRule {
    /// The place of the rule in what was given, from 0.
    pub rule: usize,
    /// What is wrong with it.
    pub problem: RuleProblem,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleProblem {
    /// There are more than 4096 rules.
    #[error("more than 4096 rules")]
    TooMany,
    /// Neither an issuer nor keys are given.
    #[error("`issuer` must be given, unless `jwks` or `jwksUri` is")]
    NoIssuer,
    /// An audience, parameter, cookie or claim has no name.
    #[error("{0} must not contain an empty text")]
    Empty(&'static str),
    /// This is no name of a header, or not one that may be written.
    #[error("{0}: `{1}` is no header name of letters, digits, `-` and `_`")]
    HeaderName(&'static str, String),
    /// Two outputs go to this header.
    #[error("header `{0}` is written more than once")]
    SameHeader(String),
    /// This is no `http` or `https` URI of at most 2048 bytes.
    #[error("`jwksUri` must be an http or https URI of at most 2048 bytes: {0}")]
    Uri(&'static str),
}

//! How large a policy may be.

/// How large a policy may be; a larger one is rejected as a whole.
///
/// The defaults are above what the API of Istio lets through (512 rules with 512 sources each), and
/// bound the memory of one policy to some megabytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain numbers, each with a default"
)]
pub struct Limits {
    /// Rules of one policy. Default 4096.
    pub rules: usize,
    /// Clauses of one rule. Default 256.
    pub clauses: usize,
    /// Matches of one clause. Default 4096.
    pub matches: usize,
    /// Clauses, matches and values of one policy, all added up. Default 65,536.
    pub parts: usize,
    /// Bytes of one text. Default 2048: no longer one can match, as no SPIFFE ID is longer.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rules: 4096,
            clauses: 256,
            matches: 4096,
            parts: 65_536,
            text: 2048,
        }
    }
}

//! Where tokens are taken exactly as Istio takes them, and where more strictly.

/// Switches between what Istio's proxies do and what is safer. Strict only ever refuses more.
///
/// The default is [`Profile::strict`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// Whether HS256, HS384 and HS512 and keys of type `oct` are used.
    pub symmetric_keys: bool,
    /// Whether a token without `exp` is refused.
    pub expiry_required: bool,
    /// Whether audiences are compared exactly, rather than without `http://` or `https://` and
    /// without one `/` at the end.
    pub exact_audiences: bool,
    /// Whether a request is refused whose tokens verify with different issuers or subjects.
    pub one_identity: bool,
    /// Whether a query parameter or cookie that comes twice is refused, rather than read once, from
    /// its first place. A header that comes twice is always refused.
    pub one_token_per_place: bool,
    /// Whether verified tokens are taken out of cookies as well, where a rule does not forward them.
    pub strip_cookies: bool,
}

impl Profile {
    /// What Istio's proxies do.
    #[must_use]
    pub const fn compat() -> Self {
        Self {
            symmetric_keys: true,
            expiry_required: false,
            exact_audiences: false,
            one_identity: false,
            one_token_per_place: false,
            strip_cookies: false,
        }
    }

    /// What is safest.
    #[must_use]
    pub const fn strict() -> Self {
        Self {
            symmetric_keys: false,
            expiry_required: true,
            exact_audiences: true,
            one_identity: true,
            one_token_per_place: true,
            strip_cookies: true,
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::strict()
    }
}

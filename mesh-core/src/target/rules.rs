//! What is done to a target.

/// How paths are normalised: `meshConfig.pathNormalization.normalization` of Istio.
///
/// Each does what the one before does, and more. In the order in which it is done:
///
/// | | decodes `%2F` and `%5C` | `\` is `/`; escapes of unreserved characters are decoded, dot segments resolved | merges slashes |
/// |---|---|---|---|
/// | `None` | | | |
/// | `Base` | | yes | |
/// | `MergeSlashes` | | yes | yes |
/// | `DecodeAndMergeSlashes` | yes | yes | yes |
///
/// Unreserved characters are letters, digits and `-._~` (RFC 3986 §2.3). `.` and `..` are dot
/// segments with parameters after a `;` as well. ``"<>^`{|}`` are escaped where normalisation is on.
/// `None` still refuses bytes that are not visible ASCII, and removes the fragment.
///
/// The default is the last one: servers behind a proxy differ in what they take for a slash.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the API of Istio has these four")]
pub enum PathNormalization {
    /// As it was sent.
    None,
    /// RFC 3986 §6.2.2, and backslashes. What Istio does unless told otherwise.
    Base,
    /// As `Base`; of several slashes in a row one is left.
    MergeSlashes,
    /// As `MergeSlashes`, after escaped slashes and backslashes are decoded.
    #[default]
    DecodeAndMergeSlashes,
}

/// What is done to a target, one by one.
///
/// The default is what [`PathNormalization::default`] stands for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain switches, each with a default"
)]
pub struct TargetRules {
    /// Whether unreserved characters are decoded, dot segments resolved, backslashes turned and
    /// `%00` refused. Default yes.
    pub normalize: bool,
    /// Whether of several slashes in a row one is left. Default yes.
    pub merge_slashes: bool,
    /// What becomes of `%2F` and `%5C`. Default [`EscapedSlashes::Forward`].
    pub escaped_slashes: EscapedSlashes,
    /// What becomes of a fragment. Default [`Fragment::Remove`].
    pub fragment: Fragment,
    /// What becomes of path parameters. Default [`PathParameters::Keep`].
    pub parameters: PathParameters,
}

/// What becomes of `%2F` and `%5C` in a path, in either case of letters.
///
/// Source: Envoy's `path_with_escaped_slashes_action`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the API of Envoy has these four")]
pub enum EscapedSlashes {
    /// They stay: they are part of a segment.
    Keep,
    /// The request is refused.
    Reject,
    /// They are decoded, and the client is sent to the path that results.
    Redirect,
    /// They are decoded, and the request goes on.
    Forward,
}

/// What becomes of a fragment, which no request target should have (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to do")]
pub enum Fragment {
    /// It is removed, as proxies of Istio do.
    Remove,
    /// The request is refused.
    Reject,
}

/// What becomes of path parameters, `;` and what follows it in a segment.
///
/// Some servers take `/admin;x` for `/admin`; a policy with `/admin` as a path does not.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to do")]
pub enum PathParameters {
    /// They are part of the path.
    Keep,
    /// The request is refused.
    Reject,
}

impl From<PathNormalization> for TargetRules {
    fn from(mode: PathNormalization) -> Self {
        use PathNormalization::{DecodeAndMergeSlashes, MergeSlashes, None};
        Self {
            normalize: mode != None,
            merge_slashes: matches!(mode, MergeSlashes | DecodeAndMergeSlashes),
            escaped_slashes: match mode {
                DecodeAndMergeSlashes => EscapedSlashes::Forward,
                _ => EscapedSlashes::Keep,
            },
            fragment: Fragment::Remove,
            parameters: PathParameters::Keep,
        }
    }
}

impl Default for TargetRules {
    fn default() -> Self {
        PathNormalization::default().into()
    }
}

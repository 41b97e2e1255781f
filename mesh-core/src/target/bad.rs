//! Why a request target is not forwarded.

use super::host::BadHost;

/// Why a request target is refused, or answered with a redirect.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTarget {
    /// The target has none of the forms that the method allows; see [`RequestForm`](super::RequestForm).
    #[error("a request target is a path that begins with '/', a URI, or '*' with OPTIONS")]
    Form,
    /// The scheme of a URI is neither `http` nor `https`.
    #[error("the scheme of a request target is http or https")]
    Scheme,
    /// The authority in a target is none.
    #[error("the authority in a request target: {0}")]
    Host(#[from] BadHost),
    /// A byte that is not a visible ASCII character.
    #[error("byte {position} of a request target is not a visible ASCII character")]
    Character {
        /// Its position, from 0.
        position: usize,
    },
    /// The path has `%00`.
    #[error("a path has %00")]
    Nul,
    /// There is a fragment, and [`Fragment::Reject`](super::Fragment::Reject) is set.
    #[error("a request target has a fragment")]
    Fragment,
    /// The path has an escaped slash or backslash, and [`EscapedSlashes::Reject`](super::EscapedSlashes::Reject) is set.
    #[error("a path has an escaped slash or backslash")]
    EscapedSlash,
    /// The path has parameters, and [`PathParameters::Reject`](super::PathParameters::Reject) is set.
    #[error("a path has parameters")]
    Parameters,
    /// The path had an escaped slash or backslash, and [`EscapedSlashes::Redirect`](super::EscapedSlashes::Redirect) is set.
    #[error("a path has an escaped slash or backslash; it is {location} without")]
    Redirect {
        /// The value for `location`: the normalised target. It begins with exactly one slash.
        location: Box<str>,
    },
}

impl BadTarget {
    /// The status to answer with: 400, or 307 for [`BadTarget::Redirect`].
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Redirect { .. } => 307,
            _ => 400,
        }
    }
}

//! Path and query, normalised.

use std::borrow::Cow;
use std::fmt;

use super::bad::BadTarget;
use super::path;
use super::rules::{EscapedSlashes, Fragment, PathParameters, TargetRules};

/// The path and the query of a request, normalised.
///
/// There is no way to make one but [`Target::normalize`], so that whoever has one knows that policy,
/// routes and the server behind the proxy see the same path. Normalising a second time changes
/// nothing. Every byte is a visible ASCII character, and there is no fragment.
///
/// It borrows from the request when nothing had to be changed.
///
/// ```
/// use mesh_core::target::{PathNormalization, Target};
///
/// let target = Target::normalize(b"/app/%2E%2e/admin%2Fx?q=/../y", PathNormalization::default())?;
/// assert_eq!(target.path(), "/admin/x");
/// assert_eq!(target.query(), Some("q=/../y"));
/// assert_eq!(target.as_str(), "/admin/x?q=/../y");
/// # Ok::<(), mesh_core::target::BadTarget>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Target<'a> {
    pub(super) text: Cow<'a, str>,
    path_end: usize,
}

impl<'a> Target<'a> {
    /// Normalises a target in origin form (a path that begins with `/`, and a query), as in the
    /// request line of HTTP/1.1 and in `:path` of HTTP/2. `*` is passed as it is.
    ///
    /// The query is not changed. For targets of all forms there is [`RequestForm::parse`](super::RequestForm::parse).
    ///
    /// # Errors
    /// [`BadTarget`].
    pub fn normalize(raw: &'a [u8], rules: impl Into<TargetRules>) -> Result<Self, BadTarget> {
        let rules = rules.into();
        let text = path::visible(raw)?;
        let text = match text.split_once('#') {
            Some(_) if rules.fragment == Fragment::Reject => return Err(BadTarget::Fragment),
            Some((text, _)) => text,
            None => text,
        };
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        if text == "*" {
            return Ok(Self::of(Cow::Borrowed(text), text.len()));
        }
        if !path.starts_with('/') {
            return Err(BadTarget::Form);
        }
        if rules.parameters == PathParameters::Reject && path.contains(';') {
            return Err(BadTarget::Parameters);
        }
        let escaped = rules.escaped_slashes != EscapedSlashes::Keep && path::escapes_slash(path);
        if escaped && rules.escaped_slashes == EscapedSlashes::Reject {
            return Err(BadTarget::EscapedSlash);
        }
        let target = match (path::normalize(path, &rules)?, query) {
            (Cow::Borrowed(same), _) if same.len() == path.len() => {
                Self::of(Cow::Borrowed(text), same.len())
            }
            (changed, None) => {
                let end = changed.len();
                Self::of(changed, end)
            }
            (changed, Some(query)) => {
                Self::of(Cow::Owned(format!("{changed}?{query}")), changed.len())
            }
        };
        if escaped && rules.escaped_slashes == EscapedSlashes::Redirect {
            return Err(redirect(target));
        }
        Ok(target)
    }

    fn of(text: Cow<'a, str>, path_end: usize) -> Self {
        Self { text, path_end }
    }

    /// The path: no query, no fragment. It begins with `/`, or is `*`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(..self.path_end).unwrap_or(&self.text)
    }

    /// The query without its question mark. Empty when there is a question mark and nothing after it.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.path_end.checked_add(1)?..)
    }

    /// Path and query, as they are forwarded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is the `*` of an `OPTIONS` request, which is about the server and no resource.
    #[must_use]
    pub fn is_asterisk(&self) -> bool {
        self.as_str() == "*"
    }

    /// The same target, no longer borrowing from the request.
    #[must_use]
    pub fn into_owned(self) -> Target<'static> {
        Target {
            text: Cow::Owned(self.text.into_owned()),
            path_end: self.path_end,
        }
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Readers of `location` take two slashes at its beginning, or a slash and a backslash, for a host.
fn redirect(target: Target<'_>) -> BadTarget {
    let text = target.as_str();
    if text.starts_with("//") || text.starts_with("/\\") {
        return BadTarget::EscapedSlash;
    }
    BadTarget::Redirect {
        location: text.into(),
    }
}

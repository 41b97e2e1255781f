//! Values of the fields of a match that are about a request.

use std::fmt;

use mesh_core::name::Name;

use super::{InvalidTemplate, PathTemplate, StringMatch, TemplateCharset};
use crate::invalid::Problem;

/// A comparison with the path of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the forms that policies have")]
pub enum PathMatch {
    /// With the path as a text.
    Text(StringMatch),
    /// With the segments of the path.
    Template(PathTemplate),
}

/// Why a text is not a value of `paths`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPath {
    /// It is not a text that can be compared with.
    #[error(transparent)]
    Text(#[from] Problem),
    /// It has an operator of templates and is none.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
}

impl PathMatch {
    /// A match as policies are written: a template when there is `{*}` or `{**}`, else a text.
    ///
    /// # Errors
    /// [`InvalidPath`].
    pub fn parse(pattern: &str) -> Result<Self, InvalidPath> {
        if PathTemplate::is_template(pattern) {
            return Ok(Self::Template(PathTemplate::parse(pattern)?));
        }
        Ok(Self::Text(StringMatch::parse(pattern)?))
    }

    /// Whether a path without query fits; `charset` says what an operator of a template takes.
    #[must_use]
    pub fn matches(&self, path: &str, charset: TemplateCharset) -> bool {
        match self {
            Self::Text(text) => text.matches(path),
            Self::Template(template) => template.matches(path, charset),
        }
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Template(template) => template.fmt(f),
        }
    }
}

/// A comparison with issuer and subject of a verified token, the claims `iss` and `sub`. Both must
/// be texts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct RequestPrincipalMatch {
    /// Issuer.
    pub issuer: StringMatch,
    /// Subject; `None` for the empty text.
    pub subject: Option<StringMatch>,
}

impl RequestPrincipalMatch {
    /// A match as policies are written, `issuer/subject`, cut at the last `/`.
    ///
    /// A `*` counts at the start of the whole text, or else at its end: `*bar/foo` and `foo/bar*` have
    /// one, in `foo*/bar` it is part of the issuer.
    ///
    /// Without a `/`, `*` and `foo*` ask for any subject, `*foo` for any issuer, and `foo` for the
    /// empty subject. Source: Istio's `requestPrincipals`.
    ///
    /// # Errors
    /// [`Problem::EmptyText`] when there is nothing, or nothing before the `/`.
    ///
    /// ```
    /// use mesh_authz::spec::{RequestPrincipalMatch, StringMatch};
    ///
    /// let any = RequestPrincipalMatch::parse("https://idp/a/*")?;
    /// assert_eq!(any.issuer, StringMatch::exact("https://idp/a")?);
    /// assert_eq!(any.subject, Some(StringMatch::Presence));
    /// # Ok::<(), mesh_authz::Problem>(())
    /// ```
    pub fn parse(pattern: &str) -> Result<Self, Problem> {
        if let Some((issuer, subject)) = pattern.rsplit_once('/') {
            // A star counts at one end of the whole text: at the start, or else at the end.
            let (issuer, subject) = if issuer.starts_with('*') {
                (StringMatch::parse(issuer)?, exact_or_empty(subject)?)
            } else if pattern.ends_with('*') {
                (
                    StringMatch::exact(issuer)?,
                    Some(StringMatch::parse(subject)?),
                )
            } else {
                (StringMatch::exact(issuer)?, exact_or_empty(subject)?)
            };
            return Ok(Self { issuer, subject });
        }
        let one = StringMatch::parse(pattern)?;
        let (issuer, subject) = match one {
            StringMatch::Suffix(_) => (StringMatch::Presence, Some(one)),
            StringMatch::Presence | StringMatch::Prefix(_) => (one, Some(StringMatch::Presence)),
            StringMatch::Exact(_) => (one, None),
        };
        Ok(Self { issuer, subject })
    }

    /// Whether issuer and subject fit.
    #[must_use]
    pub fn matches(&self, issuer: &str, subject: &str) -> bool {
        self.issuer.matches(issuer)
            && match &self.subject {
                Some(wanted) => wanted.matches(subject),
                None => subject.is_empty(),
            }
    }
}

/// `None` for the empty text.
fn exact_or_empty(text: &str) -> Result<Option<StringMatch>, Problem> {
    (!text.is_empty())
        .then(|| StringMatch::exact(text))
        .transpose()
}

impl fmt::Display for RequestPrincipalMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.issuer)?;
        self.subject.as_ref().map_or(Ok(()), |text| text.fmt(f))
    }
}

/// A condition on a header: a line of it has one of the values, and no line has an excluded one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct HeaderMatch {
    /// Name, in lower case; `:method`, `:authority` and `:path` are those parts of the request.
    pub name: Name,
    /// One must fit a line. Empty when any will do.
    pub values: Vec<StringMatch>,
    /// None may fit a line.
    pub not_values: Vec<StringMatch>,
}

/// A condition on a claim of a verified token, which is a text or a list with texts in it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct ClaimMatch {
    /// Names of the claim and of those inside of it, from the outside in; never empty.
    pub path: Vec<Name>,
    /// One must fit a text. Empty when any will do.
    pub values: Vec<StringMatch>,
    /// None may fit a text.
    pub not_values: Vec<StringMatch>,
}

/// A condition on what an earlier part of a proxy has noted about the request.
///
/// Source: Istio's `experimental.envoy.filters.FILTER[KEY]`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct MetadataMatch {
    /// Who noted it.
    pub filter: Name,
    /// What.
    pub key: Name,
    /// Whether it is a list, of which an element is compared, and not a text.
    pub element: bool,
    /// One must fit. Empty when any will do.
    pub values: Vec<StringMatch>,
    /// None may fit.
    pub not_values: Vec<StringMatch>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of Istio's `requestPrincipals`, row by row.
    #[test]
    fn a_request_principal_is_cut_at_its_last_slash() {
        let exact = |text: &str| StringMatch::exact(text).unwrap();
        let prefix = |text: &str| StringMatch::prefix(text).unwrap();
        let suffix = |text: &str| StringMatch::suffix(text).unwrap();
        let any = StringMatch::Presence;
        for (pattern, issuer, subject) in [
            ("*", any.clone(), Some(any.clone())),
            ("foo*", prefix("foo"), Some(any.clone())),
            ("foo/*", exact("foo"), Some(any.clone())),
            ("foo/bar*", exact("foo"), Some(prefix("bar"))),
            ("*foo", any.clone(), Some(suffix("foo"))),
            ("*/foo", any, Some(exact("foo"))),
            ("*bar/foo", suffix("bar"), Some(exact("foo"))),
            ("foo/bar", exact("foo"), Some(exact("bar"))),
            ("https://idp/a/b", exact("https://idp/a"), Some(exact("b"))),
            ("foo", exact("foo"), None),
            ("foo/", exact("foo"), None),
        ] {
            let expected = RequestPrincipalMatch { issuer, subject };
            assert_eq!(
                RequestPrincipalMatch::parse(pattern),
                Ok(expected),
                "{pattern}"
            );
        }
        for pattern in ["", "/foo"] {
            let expected = Err(Problem::EmptyText);
            assert_eq!(RequestPrincipalMatch::parse(pattern), expected, "{pattern}");
        }
    }
}

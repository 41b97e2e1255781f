//! Tests of the path.

use mesh_core::name::Name;

use super::regex::Regex;

/// A test of a path without its query.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a matcher must handle every test")]
pub enum PathMatch {
    /// Any path.
    #[default]
    Any,
    /// This path.
    Exact(Name),
    /// This path and what is below it, element by element: `/v2` covers `/v2`, `/v2/` and `/v2/x`,
    /// not `/v2example`. A slash at its end says nothing. Gateway API's `PathPrefix`.
    Below(Name),
    /// Paths that begin with this text, wherever an element ends. Istio's `prefix`.
    Prefix(Name),
    /// Paths of which the whole matches.
    Regex(Regex),
    /// [`Exact`](Self::Exact) with upper and lower case the same.
    ExactIgnoringCase(Name),
    /// [`Prefix`](Self::Prefix) with upper and lower case the same.
    PrefixIgnoringCase(Name),
}

impl PathMatch {
    /// Whether a path passes.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => path == text.as_str(),
            Self::Below(text) => is_below(path, text),
            Self::Prefix(text) => path.starts_with(text.as_str()),
            Self::Regex(regex) => regex.is_match(path.as_bytes()),
            Self::ExactIgnoringCase(text) => path.eq_ignore_ascii_case(text),
            Self::PrefixIgnoringCase(text) => {
                let start = path.as_bytes().get(..text.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()))
            }
        }
    }

    /// The part of a path that was compared, for rewrites of it.
    #[must_use]
    pub fn matched<'p>(&self, path: &'p str) -> &'p str {
        let length = match self {
            Self::Any => 0,
            Self::Below(text) => text.trim_end_matches('/').len(),
            Self::Prefix(text) | Self::PrefixIgnoringCase(text) => text.len(),
            Self::Exact(_) | Self::ExactIgnoringCase(_) | Self::Regex(_) => path.len(),
        };
        path.get(..length).unwrap_or(path)
    }
}

/// Whether a path is `root` or below it, element by element.
fn is_below(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    let rest = path.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `HTTPPathMatch` in the Gateway API, and Istio's `StringMatch` beside it.
    #[test]
    fn prefixes_end_where_their_api_says() {
        let cases = [
            ("/", "/", true, true),
            ("/", "/a/b", true, true),
            ("/v2", "/v2", true, true),
            ("/v2", "/v2/", true, true),
            ("/v2", "/v2/x", true, true),
            ("/v2", "/v2example", false, true),
            ("/v2/", "/v2", true, false),
            ("/v2/", "/v2/x", true, true),
            ("/aaa/bbb", "/aaa/bbbxyz", false, true),
            ("/aaa/bbb", "/aaa", false, false),
            ("/Foo", "/foo", false, false),
        ];
        for (text, path, below, prefix) in cases {
            assert_eq!(
                PathMatch::Below(text.into()).matches(path),
                below,
                "{text} on {path}"
            );
            assert_eq!(
                PathMatch::Prefix(text.into()).matches(path),
                prefix,
                "{text} on {path}"
            );
        }
        assert!(PathMatch::PrefixIgnoringCase("/Foo".into()).matches("/fOO/x"));
        assert!(PathMatch::ExactIgnoringCase("/Foo".into()).matches("/fOO"));
    }

    #[test]
    fn the_matched_part_is_what_a_rewrite_replaces() {
        let cases = [
            (PathMatch::Below("/foo/".into()), "/foo/bar", "/foo"),
            (PathMatch::Prefix("/foo/".into()), "/foo/bar", "/foo/"),
            (PathMatch::Exact("/foo".into()), "/foo", "/foo"),
            (PathMatch::Any, "/foo", ""),
        ];
        for (test, path, matched) in cases {
            assert_eq!(test.matched(path), matched, "{test:?}");
        }
    }
}

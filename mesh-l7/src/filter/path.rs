//! Other paths.

use mesh_core::name::Name;

use crate::matching::{PathMatch, Regex};

/// How a path is changed. The query stays.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a router must handle every change")]
pub enum PathChange {
    /// It becomes this.
    Full(Name),
    /// What the rule's prefix covered becomes this, element by element: Gateway API's
    /// `ReplacePrefixMatch`.
    Below(Name),
    /// The text that the rule compared becomes this, wherever an element ends: Istio's `rewrite.uri` and
    /// `prefixRewrite`.
    Prefix(Name),
    /// What an expression matches becomes this, with `\1` for its first group.
    Regex(Regex, Name),
}

/// What cannot be the target of a request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the changed path {0:?} is no path")]
#[expect(clippy::exhaustive_structs, reason = "it is the text")]
pub struct InvalidTarget(pub String);

impl PathChange {
    /// A path, given without query, as it becomes when `matched` was the rule's condition on it.
    ///
    /// # Errors
    /// [`InvalidTarget`] when what comes out does not begin with `/` or has bytes that no path has.
    pub fn apply(&self, path: &str, matched: Option<&PathMatch>) -> Result<String, InvalidTarget> {
        let covered = matched.map_or("", |matched| matched.matched(path));
        let rest = path.get(covered.len()..).unwrap_or_default();
        let changed = match self {
            Self::Full(full) => full.to_string(),
            Self::Prefix(with) => format!("{with}{rest}"),
            Self::Below(with) => below(with, rest),
            Self::Regex(regex, with) => regex.replace_all(path, with),
        };
        let ordinary = |byte: u8| byte.is_ascii_graphic() && byte != b'?' && byte != b'#';
        if changed.starts_with('/') && changed.bytes().all(ordinary) {
            Ok(changed)
        } else {
            Err(InvalidTarget(changed.chars().take(256).collect()))
        }
    }
}

/// One slash between what is new and what is left, and at least one in all.
fn below(with: &str, rest: &str) -> String {
    let with_slash = with.ends_with('/');
    match (with.trim_end_matches('/'), rest) {
        ("", "" | "/") => "/".to_owned(),
        (with, "") if with_slash => format!("{with}/"),
        (with, rest) => format!("{with}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `HTTPPathModifier.replacePrefixMatch` in the Gateway API.
    #[test]
    fn prefixes_are_replaced_element_by_element() {
        let cases = [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo", "/foo", "/xyz/", "/xyz/"),
            ("/foo/bar", "/", "/xyz", "/xyz/foo/bar"),
        ];
        for (path, prefix, with, result) in cases {
            let change = PathChange::Below(with.into());
            let matched = PathMatch::Below(prefix.into());
            assert_eq!(
                change.apply(path, Some(&matched)).as_deref(),
                Ok(result),
                "{path} {with}"
            );
        }
    }

    #[test]
    fn texts_are_replaced_as_they_are() {
        let prefix = PathMatch::Prefix("/foo".into());
        let change = |with: &str| PathChange::Prefix(with.into()).apply("/foo/baz", Some(&prefix));
        assert_eq!(change("/").as_deref(), Ok("//baz"), "Istio's way");
        assert_eq!(change("/v1").as_deref(), Ok("/v1/baz"));
        let exact = PathMatch::Exact("/foo".into());
        let whole = PathChange::Prefix("/v1".into()).apply("/foo", Some(&exact));
        assert_eq!(
            whole.as_deref(),
            Ok("/v1"),
            "without a prefix the whole path"
        );
        let full = PathChange::Full("/new".into()).apply("/foo/baz", Some(&prefix));
        assert_eq!(full.as_deref(), Ok("/new"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for with in ["x", "/a b", "/a?b", "/a#b", "/\u{e9}"] {
            let change = PathChange::Full(with.into());
            assert!(change.apply("/", None).is_err(), "{with}");
        }
        let empty = PathChange::Prefix(Name::default());
        assert!(
            empty
                .apply("/foo", Some(&PathMatch::Exact("/foo".into())))
                .is_err()
        );
    }
}

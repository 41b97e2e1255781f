//! Tests of one value.

use mesh_core::name::Name;

use super::regex::Regex;

/// A test of a header's value, a query parameter's, a method.
///
/// Source: `HTTPHeaderMatch` of the Gateway API; `StringMatch` of Istio.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a matcher must handle every test")]
pub enum TextMatch {
    /// It is there, whatever its value.
    Present,
    /// It is this.
    Exact(Name),
    /// It begins like this.
    Prefix(Name),
    /// It ends like this.
    Suffix(Name),
    /// The whole of it matches.
    Regex(Regex),
}

impl TextMatch {
    /// Whether a value that is there passes.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => value == text.as_bytes(),
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
            Self::Suffix(text) => value.ends_with(text.as_bytes()),
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    /// Whether a value passes when upper and lower case are the same. Expressions say for themselves.
    #[must_use]
    pub fn matches_ignoring_case(&self, value: &[u8]) -> bool {
        let begins = |text: &Name| {
            let start = value.get(..text.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()))
        };
        let ends = |text: &Name| {
            let start = value.len().checked_sub(text.len());
            let end = start.and_then(|start| value.get(start..));
            end.is_some_and(|end| end.eq_ignore_ascii_case(text.as_bytes()))
        };
        match self {
            Self::Present => true,
            Self::Exact(text) => value.eq_ignore_ascii_case(text.as_bytes()),
            Self::Prefix(text) => begins(text),
            Self::Suffix(text) => ends(text),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_compares_its_own_end() {
        let regex = || TextMatch::Regex(Regex::new("a.c").unwrap());
        let cases = [
            (TextMatch::Present, "", true, true),
            (TextMatch::Exact("abc".into()), "abc", true, true),
            (TextMatch::Exact("abc".into()), "ABC", false, true),
            (TextMatch::Exact("abc".into()), "abcd", false, false),
            (TextMatch::Prefix("ab".into()), "abc", true, true),
            (TextMatch::Prefix("ab".into()), "ABC", false, true),
            (TextMatch::Prefix("ab".into()), "a", false, false),
            (TextMatch::Suffix("bc".into()), "abc", true, true),
            (TextMatch::Suffix("bc".into()), "aBC", false, true),
            (TextMatch::Suffix("bc".into()), "c", false, false),
            (regex(), "abc", true, true),
            (regex(), "ABC", false, false),
        ];
        for (test, value, exact, ignoring_case) in cases {
            let got = (
                test.matches(value.as_bytes()),
                test.matches_ignoring_case(value.as_bytes()),
            );
            assert_eq!(got, (exact, ignoring_case), "{test:?} on {value:?}");
        }
    }
}

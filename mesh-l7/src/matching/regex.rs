//! Regular expressions of configuration.

use std::fmt;
use std::sync::{Arc, OnceLock};

use mesh_core::name::Name;

/// The largest size of a compiled expression, in bytes.
const LARGEST: usize = 1024 * 1024;
/// The longest expression, in bytes.
const LONGEST: usize = 4096;

/// A regular expression in RE2's syntax that a whole value must match. Comparison is by bytes, so a
/// value that is not UTF-8 is compared like any other; classes such as `\d` are those of ASCII.
///
/// Matching takes time in proportion to the value, whatever the expression.
///
/// ```
/// use mesh_l7::matching::Regex;
///
/// let regex = Regex::new("/v[0-9]+/.*")?;
/// assert!(regex.is_match(b"/v12/x") && !regex.is_match(b"/a/v12/x"));
/// # Ok::<(), mesh_l7::matching::InvalidRegex>(())
/// ```
///
/// Clones share the compiled expression.
#[derive(Clone)]
pub struct Regex(Arc<Compiled>);

/// In a place of its own: most conditions have no expression, and should not have room for one.
struct Compiled {
    text: Name,
    compiled: regex::bytes::Regex,
    /// Not anchored; made when something is rewritten for the first time.
    part: OnceLock<regex::bytes::Regex>,
}

/// An expression that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("regular expression {expression:?}: {problem}")]
#[non_exhaustive]
pub struct InvalidRegex {
    /// The expression.
    pub expression: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Regex {
    /// An expression.
    ///
    /// # Errors
    /// [`InvalidRegex`] when it is not one, when it is longer than 4096 bytes, or when it compiles to
    /// more than 1 MiB.
    pub fn new(expression: &str) -> Result<Self, InvalidRegex> {
        let invalid = |problem: String| InvalidRegex {
            expression: expression.chars().take(256).collect(),
            problem,
        };
        if expression.len() > LONGEST {
            return Err(invalid(format!(
                "it has {} bytes, expected at most {LONGEST}",
                expression.len()
            )));
        }
        // By itself first: `a)|(b` must not become valid by being wrapped.
        build(expression).map_err(|error| invalid(error.to_string()))?;
        let compiled = build(&format!(r"\A(?:{expression})\z"));
        Ok(Self(Arc::new(Compiled {
            text: expression.into(),
            compiled: compiled.map_err(|error| invalid(error.to_string()))?,
            part: OnceLock::new(),
        })))
    }

    /// The expression as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether the whole of a value matches.
    #[must_use]
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.0.compiled.is_match(value)
    }

    /// The value with every part that the expression matches replaced; `\0` to `\9` in `rewrite` stand
    /// for the whole part and its groups, `\\` for a backslash.
    ///
    /// Source: Envoy's `RegexMatchAndSubstitute`.
    #[must_use]
    pub fn replace_all(&self, value: &str, rewrite: &str) -> String {
        let part = match self.0.part.get() {
            Some(part) => part,
            // It was valid before.
            None => match build(&self.0.text) {
                Ok(part) => self.0.part.get_or_init(|| part),
                Err(_) => return value.to_owned(),
            },
        };
        let with = |found: &regex::bytes::Captures<'_>| expand(rewrite, found);
        let replaced = part.replace_all(value.as_bytes(), with);
        String::from_utf8_lossy(&replaced).into_owned()
    }

    pub(crate) fn anchored(&self) -> &str {
        self.0.compiled.as_str()
    }
}

fn build(expression: &str) -> Result<regex::bytes::Regex, regex::Error> {
    let mut builder = regex::bytes::RegexBuilder::new(expression);
    builder.unicode(false).size_limit(LARGEST).build()
}

fn expand(rewrite: &str, found: &regex::bytes::Captures<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(rewrite.len());
    let mut bytes = rewrite.bytes();
    while let Some(byte) = bytes.next() {
        match (byte, (byte == b'\\').then(|| bytes.next()).flatten()) {
            (_, Some(digit)) if digit.is_ascii_digit() => {
                let group = found.get(usize::from(digit - b'0'));
                out.extend_from_slice(group.map_or(b"", |group| group.as_bytes()));
            }
            (_, Some(other)) => out.push(other),
            (byte, None) => out.push(byte),
        }
    }
    out
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Regex {}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_must_match() {
        let cases: [(&str, &[u8], bool); 8] = [
            ("a|ab", b"ab", true),
            ("a", b"ab", false),
            ("b", b"ab", false),
            ("^a.*c$", b"abc", true),
            (".*", b"", true),
            ("a.c", b"a\xffc", true),
            (r"\d+", "٣".as_bytes(), false),
            ("(?i)ABC", b"abc", true),
        ];
        for (expression, value, matches) in cases {
            let regex = Regex::new(expression).unwrap();
            assert_eq!(regex.is_match(value), matches, "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_or_too_large_is_refused() {
        let long = "a".repeat(LONGEST + 1);
        for expression in ["(", "a)|(b", "[", r"(a)\1", "((a{1000}){1000})", &long] {
            assert!(Regex::new(expression).is_err(), "{expression}");
        }
    }

    /// The examples of Envoy's documentation of `regex_rewrite`.
    #[test]
    fn groups_are_put_in_their_places() {
        let cases = [
            (
                "^/service/([^/]+)(/.*)$",
                r"\2/instance/\1",
                "/service/foo/v1/api",
                "/v1/api/instance/foo",
            ),
            ("one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"),
            (
                "^(.*?)one(.*)$",
                r"\1two\2",
                "/xxx/one/yyy/one/zzz",
                "/xxx/two/yyy/one/zzz",
            ),
            ("(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb"),
            ("a", r"\\\9", "a", r"\"),
        ];
        for (expression, rewrite, value, result) in cases {
            let regex = Regex::new(expression).unwrap();
            assert_eq!(regex.replace_all(value, rewrite), result, "{expression}");
        }
    }
}

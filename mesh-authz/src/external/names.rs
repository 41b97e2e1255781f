//! Lists of names of headers.

use http::HeaderName;

/// Names of headers in the forms of Istio's extension providers: `x-user`, `x-auth-*`, `*-token`; in any case of
/// letters.
///
/// ```
/// use mesh_authz::external::HeaderNames;
///
/// let names = HeaderNames::parse(["X-Auth-*", "cookie"])?;
/// assert!(names.contains(&"x-auth-user".parse()?) && names.contains(&"cookie".parse()?));
/// assert!(HeaderNames::parse(["*"]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderNames(Vec<Pattern>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Pattern {
    Exact(HeaderName),
    Prefix(String),
    Suffix(String),
}

/// A name, or a form of it, that headers cannot have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}`: expected the name of a header, `beginning*` or `*end`")]
#[non_exhaustive]
pub struct InvalidHeaderNames(pub String);

impl HeaderNames {
    /// Reads a list.
    ///
    /// # Errors
    /// [`InvalidHeaderNames`] for the first that is none. `*` alone is none.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidHeaderNames> {
        let pattern = |text: &str| {
            let invalid = || InvalidHeaderNames(text.to_owned());
            // A part of a name is one itself. Names may have stars (RFC 9110 section 5.6.2), but no
            // header does, and whoever writes one in the middle means a pattern.
            let part = |part: &str| {
                let name = HeaderName::try_from(part).map_err(|_| invalid())?;
                match name.as_str().contains('*') {
                    true => Err(invalid()),
                    false => Ok(name),
                }
            };
            let text_of = |name: HeaderName| name.as_str().to_owned();
            if let Some(prefix) = text.strip_suffix('*') {
                return part(prefix).map(text_of).map(Pattern::Prefix);
            }
            if let Some(suffix) = text.strip_prefix('*') {
                return part(suffix).map(text_of).map(Pattern::Suffix);
            }
            part(text).map(Pattern::Exact)
        };
        let patterns: Result<Vec<_>, _> = names.into_iter().map(pattern).collect();
        patterns.map(Self)
    }

    /// Whether a name is on the list.
    #[must_use]
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Exact(exact) => exact == name,
            Pattern::Prefix(prefix) => name.as_str().starts_with(prefix.as_str()),
            Pattern::Suffix(suffix) => name.as_str().ends_with(suffix.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// authz.md 4.3.1.
    #[test]
    fn a_name_is_exact_a_beginning_or_an_end() {
        let cases = [
            ("x-user", "x-user", true),
            ("X-User", "x-user", true),
            ("x-user", "x-user-id", false),
            ("x-auth-*", "x-auth-a", true),
            ("x-auth-*", "x-au", false),
            ("*-token", "id-token", true),
            ("*-token", "token", false),
        ];
        for (pattern, name, expected) in cases {
            let names = HeaderNames::parse([pattern]).unwrap();
            assert_eq!(
                names.contains(&name.parse().unwrap()),
                expected,
                "{pattern} {name}"
            );
        }
        for text in ["*", "", "a*b", "**", "a b", "*a*"] {
            assert!(HeaderNames::parse([text]).is_err(), "{text}");
        }
    }
}

//! The conditions of a rule.

use std::collections::BTreeMap;

use http::HeaderName;
use mesh_core::name::Name;

use super::head::Head;
use super::path::PathMatch;
use super::text::TextMatch;
use crate::labels::has_labels;

/// Conditions on a request, of which all must hold. The default holds for everything but CONNECT.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct RequestMatch {
    /// The path.
    pub path: PathMatch,
    /// The method; any but CONNECT by default.
    pub method: Option<TextMatch>,
    /// `http` or `https`.
    pub scheme: Option<TextMatch>,
    /// The host with its port, upper and lower case the same.
    pub authority: Option<TextMatch>,
    /// The port that the request was addressed to.
    pub port: Option<u16>,
    /// Headers.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters.
    pub query: Vec<QueryMatch>,
    /// Claims of a verified token.
    pub claims: Vec<ClaimMatch>,
    /// Namespace of the workload that the request comes from.
    pub source_namespace: Option<Name>,
    /// Labels that the workload has which the request comes from.
    pub source_labels: BTreeMap<String, String>,
}

/// What a test must say.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Polarity {
    /// It must pass.
    #[default]
    Positive,
    /// It must not pass; what is absent counts as an empty value, and is not present.
    Negative,
}

/// A condition on a header: on its value, several lines joined by commas.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct HeaderMatch {
    /// Its name.
    pub name: HeaderName,
    /// The test of its value.
    pub test: TextMatch,
    /// What the test must say.
    pub polarity: Polarity,
}

/// A condition on a query parameter: on the decoded value of the first one of its name.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct QueryMatch {
    /// Its name; upper and lower case differ.
    pub name: Name,
    /// The test of its value.
    pub test: TextMatch,
    /// What the test must say.
    pub polarity: Polarity,
}

/// A condition on a claim of a verified token; without one it does not hold, whatever its polarity.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct ClaimMatch {
    /// Names that lead to it.
    pub path: Vec<Name>,
    /// The test of its text, or of one of its list's.
    pub test: TextMatch,
    /// What the test must say.
    pub polarity: Polarity,
}

impl Polarity {
    fn holds(self, test: &TextMatch, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Positive, Some(value)) => test.matches(value),
            (Self::Positive, None) => false,
            (Self::Negative, Some(value)) => !test.matches(value),
            (Self::Negative, None) => *test == TextMatch::Present || !test.matches(b""),
        }
    }
}

impl RequestMatch {
    /// Whether a request meets all conditions. A CONNECT meets none but those that ask for the method.
    #[must_use]
    pub fn matches(&self, head: &Head<'_>) -> bool {
        self.path.matches(head.path) && self.matches_but_path(head)
    }

    /// Whether it meets all but that on the path, which an index has looked at.
    pub(crate) fn matches_but_path(&self, head: &Head<'_>) -> bool {
        let text = |test: &Option<TextMatch>, value: &str| {
            test.as_ref()
                .is_none_or(|test| test.matches(value.as_bytes()))
        };
        let authority = |test: &TextMatch| test.matches_ignoring_case(head.authority.as_bytes());
        let namespace = |name: &Name| head.source_namespace == Some(name.as_str());
        let meant = || self.method.is_some() || !head.is_tunnel();
        meant()
            && text(&self.method, head.method)
            && text(&self.scheme, head.scheme)
            && self.port.is_none_or(|port| port == head.port)
            && self.source_namespace.as_ref().is_none_or(namespace)
            && has_labels(head.source_labels, &self.source_labels)
            && self.authority.as_ref().is_none_or(authority)
            && self.headers.iter().all(|header| header.matches(head))
            && self.query.iter().all(|query| query.matches(head))
            && self.claims.iter().all(|claim| claim.matches(head))
    }

    /// Whether every request that reaches this rule meets it: rules after it are never looked at.
    #[must_use]
    pub fn is_always(&self) -> bool {
        let any_path = match &self.path {
            PathMatch::Any => true,
            PathMatch::Below(text) | PathMatch::Prefix(text) => *text == *"/",
            PathMatch::Regex(regex) => regex.as_str() == ".*",
            _ => false,
        };
        any_path
            && Self {
                path: PathMatch::Any,
                ..self.clone()
            } == Self::default()
    }
}

impl HeaderMatch {
    fn matches(&self, head: &Head<'_>) -> bool {
        self.polarity
            .holds(&self.test, head.header(&self.name).as_deref())
    }
}

impl QueryMatch {
    fn matches(&self, head: &Head<'_>) -> bool {
        let value = head.query_parameter(&self.name);
        self.polarity.holds(&self.test, value.as_deref())
    }
}

impl ClaimMatch {
    fn matches(&self, head: &Head<'_>) -> bool {
        let Some(claims) = head.claims else {
            return false;
        };
        let mut test = |text: &str| self.test.matches(text.as_bytes());
        let any = claims.any(&self.path, &mut test);
        any == (self.polarity == Polarity::Positive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let mut map = HeaderMap::new();
        lines.for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    fn on_header(test: TextMatch, polarity: Polarity) -> RequestMatch {
        RequestMatch {
            headers: vec![HeaderMatch {
                name: HeaderName::from_static("x-a"),
                test,
                polarity,
            }],
            ..RequestMatch::default()
        }
    }

    #[test]
    fn an_absent_header_is_empty_only_for_what_must_not_pass() {
        use Polarity::{Negative, Positive};
        let exact = |text: &str| TextMatch::Exact(text.into());
        let cases = [
            ("there and equal", exact("1"), Positive, Some("1"), true),
            ("there and other", exact("1"), Positive, Some("2"), false),
            ("absent", exact("1"), Positive, None, false),
            ("absent, exact empty", exact(""), Positive, None, false),
            ("absent, present", TextMatch::Present, Positive, None, false),
            (
                "empty, present",
                TextMatch::Present,
                Positive,
                Some(""),
                true,
            ),
            ("not: equal", exact("1"), Negative, Some("1"), false),
            ("not: other", exact("1"), Negative, Some("2"), true),
            ("not: absent", exact("1"), Negative, None, true),
            ("not: absent, exact empty", exact(""), Negative, None, false),
            (
                "not present: absent",
                TextMatch::Present,
                Negative,
                None,
                true,
            ),
            (
                "not present: there",
                TextMatch::Present,
                Negative,
                Some("1"),
                false,
            ),
        ];
        for (name, test, polarity, value, holds) in cases {
            let lines: Vec<_> = value.iter().map(|value| ("x-a", *value)).collect();
            let headers = headers(&lines);
            let head = Head::new("GET", "h", "/", &headers);
            assert_eq!(on_header(test, polarity).matches(&head), holds, "{name}");
        }
    }

    #[test]
    fn a_tunnel_is_only_for_rules_that_ask_for_it() {
        let none = HeaderMap::new();
        let of = |method: Option<&str>| RequestMatch {
            method: method.map(|method| TextMatch::Exact(method.into())),
            ..RequestMatch::default()
        };
        let below = RequestMatch {
            path: PathMatch::Below("/".into()),
            ..of(Some("CONNECT"))
        };
        for (name, condition, method, holds) in [
            ("anything", of(None), "CONNECT", false),
            ("another method", of(Some("GET")), "CONNECT", false),
            ("the method", of(Some("CONNECT")), "CONNECT", true),
            ("the method, any path", below, "CONNECT", true),
            ("other methods", of(None), "OPTIONS", true),
        ] {
            let target = if method == "CONNECT" { "" } else { "/" };
            let head = Head::new(method, "h:1", target, &none);
            assert_eq!(condition.matches(&head), holds, "{name}");
            let rules = crate::route::Rules::new([crate::route::Rule {
                matches: [condition].into_iter().collect(),
                ..crate::route::Rule::new("r", crate::route::Action::not_found())
            }]);
            assert_eq!(rules.select(&head).is_some(), holds, "{name}, as a rule");
        }
        // One rule, and more than are looked at one by one.
        for count in [1, 100] {
            let rule = || crate::route::Rule::new("r", crate::route::Action::not_found());
            let rules = crate::route::Rules::new((0..count).map(|_| rule()));
            let get = Head::new("GET", "h:1", "/", &none);
            assert!(rules.select(&get).is_some(), "{count} without conditions");
            let tunnel = Head::new("CONNECT", "h:1", "", &none);
            assert!(rules.select(&tunnel).is_none(), "{count}, a tunnel");
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        let all = RequestMatch {
            path: PathMatch::Below("/p".into()),
            method: Some(TextMatch::Exact("GET".into())),
            authority: Some(TextMatch::Exact("EXAMPLE.com:8080".into())),
            port: Some(8080),
            query: vec![QueryMatch {
                name: "q".into(),
                test: TextMatch::Exact("a b".into()),
                polarity: Polarity::Positive,
            }],
            source_namespace: Some("shop".into()),
            ..on_header(TextMatch::Exact("1".into()), Polarity::Positive)
        };
        let lines = headers(&[("x-a", "1")]);
        let none = HeaderMap::new();
        let fits = Head {
            source_namespace: Some("shop"),
            ..Head::new("GET", "example.com:8080", "/p/x?q=a%20b", &lines)
        };
        assert!(all.matches(&fits));
        let others = [
            Head {
                method: "POST",
                ..fits
            },
            Head {
                path: "/px",
                ..fits
            },
            Head {
                authority: "example.com",
                ..fits
            },
            Head { port: 80, ..fits },
            Head {
                query: Some("q=b"),
                ..fits
            },
            Head {
                query: None,
                ..fits
            },
            Head {
                headers: &none,
                ..fits
            },
            Head {
                source_namespace: Some("other"),
                ..fits
            },
            Head {
                source_namespace: None,
                ..fits
            },
        ];
        for head in others {
            assert!(!all.matches(&head), "{head:?}");
        }
    }

    struct Groups;

    impl super::super::head::Claims for Groups {
        fn any(&self, path: &[Name], test: &mut dyn FnMut(&str) -> bool) -> bool {
            path == ["groups"] && ["a", "b"].into_iter().any(test)
        }
    }

    #[test]
    fn a_claim_needs_a_token_whatever_it_must_say() {
        let headers = HeaderMap::new();
        let claim = |test: &str, polarity| RequestMatch {
            claims: vec![ClaimMatch {
                path: vec!["groups".into()],
                test: TextMatch::Exact(test.into()),
                polarity,
            }],
            ..RequestMatch::default()
        };
        let without = Head::new("GET", "h", "/", &headers);
        let with = Head {
            claims: Some(&Groups),
            ..without
        };
        let cases = [
            ("b", Polarity::Positive, true),
            ("c", Polarity::Positive, false),
            ("b", Polarity::Negative, false),
            ("c", Polarity::Negative, true),
        ];
        for (text, polarity, holds) in cases {
            assert_eq!(
                claim(text, polarity).matches(&with),
                holds,
                "{text} {polarity:?}"
            );
            assert!(
                !claim(text, polarity).matches(&without),
                "{text} {polarity:?}"
            );
        }
    }
}

//! Requests from pages of other origins.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use mesh_core::name::Name;

use crate::matching::TextMatch;

/// Which pages of other origins may read answers.
///
/// Source: `HTTPCORSFilter` of the Gateway API; `CorsPolicy` of Istio; the Fetch standard.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Cors {
    /// Origins that may.
    pub origins: Vec<Origins>,
    /// Methods that may be used; `*` for all.
    pub methods: Vec<Name>,
    /// Headers that may be sent; `*` for all.
    pub headers: Vec<Name>,
    /// Headers that may be read; `*` for all.
    pub expose: Vec<Name>,
    /// Whether cookies and the like may be sent.
    pub credentials: Credentials,
    /// How long a browser may remember the answer to its question.
    pub max_age: Option<Duration>,
    /// What becomes of a question from an origin that may not.
    pub unmatched: Unmatched,
}

/// Whether cookies and the like may be sent.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Credentials {
    /// They may not.
    #[default]
    Omitted,
    /// They may.
    Allowed,
}

/// What becomes of a question (preflight) from an origin that may not.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the two of Istio")]
pub enum Unmatched {
    /// The upstream answers it.
    #[default]
    Forward,
    /// It is answered with 204 and says nothing.
    Ignore,
}

/// Origins.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the ways of both APIs")]
pub enum Origins {
    /// All.
    Any,
    /// `scheme://*.example.com`: what is before and after the star. Upper and lower case are the same.
    Wildcard(Name, Name),
    /// Those that pass a test; upper and lower case are the same.
    Text(TextMatch),
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a router must handle every answer")]
pub enum CorsAnswer {
    /// It is answered here, with this status and these headers.
    Answered(StatusCode, HeaderMap),
    /// It goes on, and the answer gets these headers in place of its own.
    Forwarded(HeaderMap),
}

impl Origins {
    fn matches(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Wildcard(before, after) => {
                let begins = TextMatch::Prefix(before.clone()).matches_ignoring_case(origin);
                let ends = TextMatch::Suffix(after.clone()).matches_ignoring_case(origin);
                begins && ends && origin.len() > before.len() + after.len()
            }
            Self::Text(test) => test.matches_ignoring_case(origin),
        }
    }
}

impl Cors {
    /// Decides about a request by its method and headers.
    #[must_use]
    pub fn decide(&self, method: &Method, headers: &HeaderMap) -> CorsAnswer {
        let Some(origin) = headers.get(ORIGIN) else {
            return CorsAnswer::Forwarded(self.vary(HeaderMap::new()));
        };
        let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD);
        let preflight = asked.filter(|_| *method == Method::OPTIONS);
        let matched = self
            .origins
            .iter()
            .any(|origins| origins.matches(origin.as_bytes()));
        match (preflight, matched) {
            (Some(asked), true) => {
                let answer = self.preflight(origin, asked, headers);
                CorsAnswer::Answered(StatusCode::OK, answer)
            }
            (Some(_), false) if self.unmatched == Unmatched::Ignore => {
                let answer = self.vary(HeaderMap::new());
                CorsAnswer::Answered(StatusCode::NO_CONTENT, answer)
            }
            (None, true) => CorsAnswer::Forwarded(self.actual(origin)),
            (_, false) => CorsAnswer::Forwarded(self.vary(HeaderMap::new())),
        }
    }

    /// The answer to a question: what is asked for is repeated where all may be, because a star means
    /// nothing to requests with credentials.
    fn preflight(
        &self,
        origin: &HeaderValue,
        method: &HeaderValue,
        asked: &HeaderMap,
    ) -> HeaderMap {
        let mut answer = self.base(origin);
        if let Some(methods) = self.list(&self.methods, Some(method)) {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        if let Some(asked) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS)
            && let Some(headers) = self.list(&self.headers, Some(asked))
        {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers);
        }
        if let Some(age) = self.max_age {
            answer.insert(ACCESS_CONTROL_MAX_AGE, age.as_secs().into());
        }
        answer
    }

    /// Headers of the answer to the request itself.
    fn actual(&self, origin: &HeaderValue) -> HeaderMap {
        let mut answer = self.base(origin);
        // With credentials a star would be a name, and there is nothing to repeat.
        if let Some(expose) = self.list(&self.expose, None) {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose);
        }
        answer
    }

    fn base(&self, origin: &HeaderValue) -> HeaderMap {
        let mut answer = self.vary(HeaderMap::new());
        let credentials = self.credentials == Credentials::Allowed;
        let any = self.origins.contains(&Origins::Any) && !credentials;
        let origin = if any {
            HeaderValue::from_static("*")
        } else {
            origin.clone()
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if credentials {
            answer.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        answer
    }

    /// A list, or what was asked for in place of a star; `None` when there is nothing to say.
    fn list(&self, names: &[Name], asked: Option<&HeaderValue>) -> Option<HeaderValue> {
        let star = names.iter().any(|name| *name == *"*");
        if star && self.credentials == Credentials::Allowed {
            return asked.cloned();
        }
        if star {
            return Some(HeaderValue::from_static("*"));
        }
        let names: Vec<&str> = names.iter().map(Name::as_str).collect();
        let text = (!names.is_empty()).then(|| names.join(", "))?;
        HeaderValue::try_from(text).ok()
    }

    /// Says that the answer depends on the origin, where it does.
    fn vary(&self, mut answer: HeaderMap) -> HeaderMap {
        let same_for_all = self.origins.contains(&Origins::Any);
        if !same_for_all || self.credentials == Credentials::Allowed {
            answer.insert(VARY, HeaderValue::from_static("Origin"));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<Name> {
        list.iter().map(|name| (*name).into()).collect()
    }

    fn policy() -> Cors {
        Cors {
            origins: vec![
                Origins::Text(TextMatch::Exact("https://a.example".into())),
                Origins::Wildcard("https://".into(), ".b.example".into()),
            ],
            methods: names(&["GET", "PUT"]),
            headers: names(&["x-a"]),
            expose: names(&["x-b"]),
            credentials: Credentials::Omitted,
            max_age: Some(Duration::from_secs(5)),
            unmatched: Unmatched::Ignore,
        }
    }

    fn request(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn preflight(origin: &'static str) -> HeaderMap {
        request(&[
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-a, x-c"),
        ])
    }

    fn lines(headers: &HeaderMap) -> Vec<(&str, &str)> {
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn a_question_of_an_origin_that_may_is_answered_here() {
        let CorsAnswer::Answered(status, headers) =
            policy().decide(&Method::OPTIONS, &preflight("https://A.example"))
        else {
            panic!("it is a question");
        };
        assert_eq!(status, 200);
        let expected = [
            ("access-control-allow-headers", "x-a"),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-origin", "https://A.example"),
            ("access-control-max-age", "5"),
            ("vary", "Origin"),
        ];
        assert_eq!(lines(&headers), expected);
    }

    #[test]
    fn with_credentials_what_was_asked_for_is_repeated() {
        let open = Cors {
            origins: vec![Origins::Any],
            methods: names(&["*"]),
            headers: names(&["*"]),
            expose: names(&["*"]),
            credentials: Credentials::Allowed,
            ..policy()
        };
        let CorsAnswer::Answered(_, headers) =
            open.decide(&Method::OPTIONS, &preflight("https://x.example"))
        else {
            panic!("it is a question");
        };
        let expected = [
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-headers", "x-a, x-c"),
            ("access-control-allow-methods", "PUT"),
            ("access-control-allow-origin", "https://x.example"),
            ("access-control-max-age", "5"),
            ("vary", "Origin"),
        ];
        assert_eq!(lines(&headers), expected);
        let without = Cors {
            credentials: Credentials::Omitted,
            ..open
        };
        let CorsAnswer::Forwarded(headers) =
            without.decide(&Method::GET, &request(&[("origin", "https://x.example")]))
        else {
            panic!("it is no question");
        };
        let stars = [
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "*"),
        ];
        assert_eq!(lines(&headers), stars);
    }

    #[test]
    fn an_origin_that_may_not_learns_nothing() {
        let vary = [("vary", "Origin")];
        for origin in [
            "https://b.example",
            "http://x.b.example",
            "https://a.example.evil",
            "null",
        ] {
            let CorsAnswer::Answered(status, headers) =
                policy().decide(&Method::OPTIONS, &preflight(origin))
            else {
                panic!("{origin}: it is ignored");
            };
            assert_eq!(
                (status.as_u16(), lines(&headers)),
                (204, vary.to_vec()),
                "{origin}"
            );
            let forwarded = policy().decide(&Method::GET, &request(&[("origin", origin)]));
            let CorsAnswer::Forwarded(headers) = forwarded else {
                panic!("{origin}: it is no question");
            };
            assert_eq!(lines(&headers), vary, "{origin}");
        }
        let forward = Cors {
            unmatched: Unmatched::Forward,
            ..policy()
        };
        let answer = forward.decide(&Method::OPTIONS, &preflight("https://c.example"));
        assert!(matches!(answer, CorsAnswer::Forwarded(_)));
    }

    #[test]
    fn only_options_with_both_headers_is_a_question() {
        let question = preflight("https://x.b.example");
        assert!(matches!(
            policy().decide(&Method::GET, &question),
            CorsAnswer::Forwarded(_)
        ));
        let plain = request(&[("origin", "https://a.example")]);
        assert!(matches!(
            policy().decide(&Method::OPTIONS, &plain),
            CorsAnswer::Forwarded(_)
        ));
        let no_origin = request(&[("access-control-request-method", "PUT")]);
        assert!(matches!(
            policy().decide(&Method::OPTIONS, &no_origin),
            CorsAnswer::Forwarded(_)
        ));
    }
}

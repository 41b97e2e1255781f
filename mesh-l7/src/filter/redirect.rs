//! An answer with another location.

use http::StatusCode;
use mesh_core::name::Name;

use super::path::{InvalidTarget, PathChange};
use crate::matching::{Head, PathMatch, split_port};

/// An answer with another location.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// `http` or `https`; the request's by default.
    pub scheme: Option<Name>,
    /// Host, without port unless [`RedirectPort::OfRequest`] leaves it as it is; the request's by default.
    pub host: Option<Name>,
    /// The port.
    pub port: RedirectPort,
    /// How the path is changed.
    pub path: Option<PathChange>,
}

/// The port of a location. One that is the scheme's own is not written.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the ways of both APIs")]
pub enum RedirectPort {
    /// The Gateway API's way: the new scheme's own where the scheme changes, otherwise the port that
    /// the request was addressed to.
    #[default]
    Derived,
    /// Istio's way: the one that the request's host has, whatever the scheme; none where the host is
    /// another one, or where it was the old scheme's own.
    OfRequest,
    /// The port that the request was addressed to.
    OfListener,
    /// The scheme's own.
    OfScheme,
    /// This one.
    Number(u16),
}

impl Redirect {
    /// The location that a request is sent to when `matched` was the rule's condition on the path.
    ///
    /// # Errors
    /// [`InvalidTarget`] when the changed path is none.
    pub fn location(
        &self,
        head: &Head<'_>,
        matched: Option<&PathMatch>,
    ) -> Result<String, InvalidTarget> {
        let scheme = self.scheme.as_deref().unwrap_or(head.scheme);
        let host = self.host.as_deref().unwrap_or(head.host);
        let own_of = |scheme| if scheme == "https" { 443 } else { 80 };
        let own = own_of(scheme);
        let port = match self.port {
            RedirectPort::Number(port) => port,
            RedirectPort::OfScheme => own,
            RedirectPort::Derived if self.scheme.is_some() => own,
            RedirectPort::Derived | RedirectPort::OfListener => head.port,
            RedirectPort::OfRequest if self.host.is_some() => own,
            RedirectPort::OfRequest => split_port(head.authority)
                .1
                .filter(|port| scheme == head.scheme || *port != own_of(head.scheme))
                .unwrap_or(own),
        };
        let path = match &self.path {
            Some(change) => change.apply(head.path, matched)?,
            None => head.path.to_owned(),
        };
        let mut location = format!("{scheme}://{host}");
        if port != own {
            location.push_str(&format!(":{port}"));
        }
        location.push_str(&path);
        if let Some(query) = head.query {
            location.push('?');
            location.push_str(query);
        }
        Ok(location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn plain() -> Redirect {
        Redirect {
            status: StatusCode::FOUND,
            scheme: None,
            host: None,
            port: RedirectPort::Derived,
            path: None,
        }
    }

    /// `HTTPRouteRedirectPortAndScheme` of the Gateway API's conformance tests, and what was measured
    /// of Istio's way.
    #[test]
    fn a_port_is_written_when_it_is_not_the_schemes_own() {
        let scheme = |scheme: &str| Redirect {
            scheme: Some(scheme.into()),
            ..plain()
        };
        let port = |port| Redirect {
            port: RedirectPort::Number(port),
            ..plain()
        };
        let host = Redirect {
            host: Some("example.org".into()),
            ..plain()
        };
        let cases = [
            (
                "scheme nil and port nil, on 80",
                host.clone(),
                80,
                "http://example.org/x",
            ),
            (
                "scheme nil and port nil, on 8080",
                host,
                8080,
                "http://example.org:8080/x",
            ),
            ("port 80", port(80), 8080, "http://h/x"),
            ("port 8080", port(8080), 80, "http://h:8080/x"),
            ("https, port nil", scheme("https"), 80, "https://h/x"),
            (
                "https, port nil, on 8080",
                scheme("https"),
                8080,
                "https://h/x",
            ),
            (
                "https, 443",
                Redirect {
                    port: RedirectPort::Number(443),
                    ..scheme("https")
                },
                80,
                "https://h/x",
            ),
            (
                "https, 8443",
                Redirect {
                    port: RedirectPort::Number(8443),
                    ..scheme("https")
                },
                80,
                "https://h:8443/x",
            ),
            (
                "http, port nil, on 8080",
                scheme("http"),
                8080,
                "http://h/x",
            ),
            (
                "Istio keeps the port",
                Redirect {
                    port: RedirectPort::OfRequest,
                    ..scheme("https")
                },
                8080,
                "https://h:8080/x",
            ),
            (
                "Istio does not keep that of the old scheme",
                Redirect {
                    port: RedirectPort::OfRequest,
                    ..scheme("https")
                },
                80,
                "https://h/x",
            ),
            (
                "Istio does not give another host the port",
                Redirect {
                    port: RedirectPort::OfRequest,
                    host: Some("example.org".into()),
                    ..plain()
                },
                8080,
                "http://example.org/x",
            ),
            (
                "another host may have one of its own",
                Redirect {
                    port: RedirectPort::OfRequest,
                    host: Some("example.org:8443".into()),
                    ..scheme("https")
                },
                8080,
                "https://example.org:8443/x",
            ),
            (
                "Istio's FROM_REQUEST_PORT",
                Redirect {
                    port: RedirectPort::OfListener,
                    host: Some("example.org".into()),
                    ..scheme("https")
                },
                8080,
                "https://example.org:8080/x",
            ),
        ];
        for (name, redirect, port, location) in cases {
            let headers = HeaderMap::new();
            let authority = format!("h:{port}");
            let head = Head::new("GET", &authority, "/x", &headers);
            assert_eq!(
                redirect.location(&head, None).as_deref(),
                Ok(location),
                "{name}"
            );
        }
    }

    #[test]
    fn the_path_may_change_and_the_query_stays() {
        let headers = HeaderMap::new();
        let head = Head::new("GET", "h", "/old/a?b=c", &headers);
        let redirect = Redirect {
            path: Some(PathChange::Below("/new".into())),
            ..plain()
        };
        let matched = PathMatch::Below("/old".into());
        let location = redirect.location(&head, Some(&matched));
        assert_eq!(location.as_deref(), Ok("http://h/new/a?b=c"));
    }
}
